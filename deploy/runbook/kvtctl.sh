#!/bin/bash
# The run-book's way to vtctld. usage: ./kvtctl.sh COMMAND [FLAGS] [ARGUMENTS]
# Which vtctld: $VTCTLD_SERVER, by default the local cluster's on localhost:15999.
if [ "${PACELINE_ON:-local}" = kubernetes ]; then exec "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/kubernetes.sh" kvtctl "$@"; fi
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/local.sh"
exec "$bin/vtctlclient" --server "$vtctld" "${tls[@]}" --legacy-names "$@"
