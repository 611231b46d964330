#!/bin/bash
# The run-book's start of the management API. On a local cluster one supervisor keeps all processes, so this starts that,
# with no shard primary yet, and makes the cell. Flags go to `paceline up` (for instance --flavor=mariadb --topo=etcd).
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/local.sh"
mkdir -p "$data"
log=$data/up.log
"$bin/paceline" up --detach --init=false --tablets="$tablets" --cell="$cell" --data-dir="$data" --base-port="$base_port" "$@" \
  >"$log" 2>&1 </dev/null &
up=$!
client() { "$bin/vtctldclient" --server "$vtctld" "$@"; }
answers() { client GetKeyspaces || ! kill -0 "$up" 2>/dev/null; }
wait_for 60 "vtctld on $vtctld" answers
client GetKeyspaces >/dev/null 2>&1 || { cat "$log" >&2; exit 1; }

case " $* " in
  *topo=etcd* | *"topo etcd"*) topology=$(for i in 0 2 4; do printf 'http://127.0.0.1:%d,' $((base_port + 790 + i)); done) ;;
  *) topology=$data/topo/topology.sqlite ;;
esac
client GetCellInfo "$cell" >/dev/null 2>&1 || client AddCellInfo --root "/vitess/$cell" --server-address "${topology%,}" "$cell"
client GetKeyspace test_keyspace >/dev/null 2>&1 || client CreateKeyspace --durability-policy semi_sync test_keyspace >/dev/null ||
  client SetKeyspaceDurabilityPolicy --durability-policy semi_sync test_keyspace >/dev/null
wait "$up" || { cat "$log" >&2; exit 1; }
echo "vtctld serves on $vtctld"
