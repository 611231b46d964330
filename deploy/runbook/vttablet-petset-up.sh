#!/bin/bash
# The run-book's start of the MySQL instances, each beside its vttablet: here, waits until all have registered.
if [ "${PACELINE_ON:-local}" = kubernetes ]; then exec "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/kubernetes.sh" vttablet-petset-up "$@"; fi
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/local.sh"
registered() { [ "$("$bin/vtctlclient" --server "$vtctld" "${tls[@]}" --legacy-names ListAllTablets "$cell" | wc -l)" -ge "$tablets" ]; }
wait_for 120 "$tablets tablets in cell $cell" registered
echo "$tablets tablets are up in cell $cell"
