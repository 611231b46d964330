#!/bin/bash
# The run-book's start of the management API. On a local cluster one supervisor keeps all processes, so this starts that,
# with no shard primary yet, and makes the cell. Flags go to `paceline up` (for instance --flavor=mariadb --topo=etcd).
if [ "${PACELINE_ON:-local}" = kubernetes ]; then exec "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/kubernetes.sh" vtctld-up "$@"; fi
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/local.sh"
mkdir -p "$data"
read -ra more <<<"${PACELINE_UP_FLAGS:-}"
set -- "${more[@]}" "$@"
log=$data/up.log
"$bin/paceline" up --detach --init=false --tablets="$tablets" --cell="$cell" --data-dir="$data" --base-port="$base_port" "$@" \
  >"$log" 2>&1 </dev/null &
up=$!
client() {
  local tls=()
  [ ! -f "$data/tls/client.pem" ] || tls=(--vtctld-grpc-ca "$data/tls/ca.pem" --vtctld-grpc-cert "$data/tls/client.pem" --vtctld-grpc-key "$data/tls/client-key.pem")
  "$bin/vtctldclient" --server "$vtctld" "${tls[@]}" "$@"
}
answers() { client GetKeyspaces || ! kill -0 "$up" 2>/dev/null; }
wait_for 60 "vtctld on $vtctld" answers
client GetKeyspaces >/dev/null 2>&1 || { cat "$log" >&2; exit 1; }

scheme=http
[[ " $* " != *" --tls"* ]] || scheme=https
case " $* " in
  *topo=etcd* | *"topo etcd"*) topology=$(for i in 0 2 4; do printf '%s://127.0.0.1:%d,' "$scheme" $((base_port + 790 + i)); done) ;;
  *) topology=$data/topo/topology.sqlite ;;
esac
client GetCellInfo "$cell" >/dev/null 2>&1 || client AddCellInfo --root "/vitess/$cell" --server-address "${topology%,}" "$cell"
client GetKeyspace test_keyspace >/dev/null 2>&1 || client CreateKeyspace --durability-policy semi_sync test_keyspace >/dev/null ||
  client SetKeyspaceDurabilityPolicy --durability-policy semi_sync test_keyspace >/dev/null
wait "$up" || { cat "$log" >&2; exit 1; }
echo "vtctld serves on $vtctld"
