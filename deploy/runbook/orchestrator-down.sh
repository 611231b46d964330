#!/bin/bash
# Ends what ./orchestrator-up.sh started.
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/local.sh"
for pid_file in "$data"/orchestrator-*.pid; do
  [ -f "$pid_file" ] || continue
  pid=$(cat "$pid_file")
  kill "$pid" 2>/dev/null || true
  gone() { ! kill -0 "$pid"; }
  wait_for 15 "the end of vtorc $pid" gone
  rm -f "$pid_file"
done
