#!/bin/bash
# The run-book's start of the MySQL instances, each beside its vttablet: here, waits until all have registered.
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/local.sh"
registered() { [ "$("$bin/vtctlclient" --server "$vtctld" --legacy-names ListAllTablets "$cell" | wc -l)" -ge "$tablets" ]; }
wait_for 120 "$tablets tablets in cell $cell" registered
echo "$tablets tablets are up in cell $cell"
