#!/bin/bash
# The run-book's start of the query gates: here, waits until vtgate answers on its MySQL port.
if [ "${PACELINE_ON:-local}" = kubernetes ]; then exec "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/kubernetes.sh" vtgate-up "$@"; fi
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/local.sh"
port=$((base_port + 306))
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$port" && IFS= read -r -t 2 -n 1 _ <&3); }
wait_for 60 "vtgate on port $port" answers
echo "vtgate serves MySQL on 127.0.0.1:$port"
