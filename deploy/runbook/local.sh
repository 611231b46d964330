# Sourced by the run-book's scripts when the cluster is a local one: where its programs and its vtctld are.
set -euo pipefail
repo=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)
bin=${PACELINE_BIN:-$repo/build/release/bin}
[ -x "$bin/paceline" ] || { echo "${0##*/}: no paceline in $bin: build it with tools/build, or set PACELINE_BIN" >&2; exit 1; }
cell=${PACELINE_CELL:-asiaeast1c}
tablets=${PACELINE_TABLETS:-5}
data=${PACELINE_DATA_DIR:-$repo/data}
base_port=${PACELINE_BASE_PORT:-15000}
vtctld=${VTCTLD_SERVER:-localhost:$((base_port + 999))}
# A cluster under --tls has certificates for its people.
tls=()
[ ! -f "$data/tls/client.pem" ] || tls=(--vtctld-grpc-ca "$data/tls/ca.pem" --vtctld-grpc-cert "$data/tls/client.pem" --vtctld-grpc-key "$data/tls/client-key.pem")

# Tries a command each fifth of a second until it succeeds; after the given seconds, says what was waited for.
wait_for() {
  local seconds=$1 what=$2 end=$((SECONDS + $1))
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { echo "${0##*/}: waited $seconds s in vain for $what" >&2; exit 1; }
    sleep 0.2
  done
}
