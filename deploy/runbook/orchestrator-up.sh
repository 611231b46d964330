#!/bin/bash
# The run-book's automatic failover: two vtorc, which watch the shards and heal them. Run again, it leaves what runs alone.
# They go on in the background until ./orchestrator-down.sh.
if [ "${PACELINE_ON:-local}" = kubernetes ]; then exec "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/kubernetes.sh" orchestrator-up "$@"; fi
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/local.sh"
[ -f "$data/cluster.json" ] || { echo "${0##*/}: no cluster in $data: ./vtctld-up.sh starts one" >&2; exit 1; }
topo=(--topo-implementation embedded --topo-global-server-address "$data/topo/topology.sqlite")
manager=()
if [ -f "$data/tls/node.pem" ]; then
  manager=(--tablet-manager-grpc-ca "$data/tls/ca.pem" --tablet-manager-grpc-cert "$data/tls/node.pem" --tablet-manager-grpc-key "$data/tls/node-key.pem")
fi
if grep -q '"topo": "etcd"' "$data/cluster.json"; then
  scheme=http
  [ ! -f "$data/tls/node.pem" ] || scheme=https
  topo=(--topo-implementation etcd2 --topo-global-server-address
        "$(for i in 0 2 4; do printf '%s%s://127.0.0.1:%d' "$([ $i = 0 ] || echo ,)" $scheme $((base_port + 790 + i)); done)")
  [ $scheme = http ] || topo+=(--topo-etcd-tls-ca "$data/tls/ca.pem" --topo-etcd-tls-cert "$data/tls/node.pem" --topo-etcd-tls-key "$data/tls/node-key.pem")
fi
for n in 0 1; do
  port=$((base_port + 1000 + n)) pid_file=$data/orchestrator-$n.pid
  if ! { [ -f "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; }; then
    setsid "$bin/vtorc" --cell "$cell" --bind-address 127.0.0.1 --port "$port" --sqlite-data-file "$data/orchestrator-$n.db" \
      --local-copy "$data/orchestrator-$n.topo" "${topo[@]}" --topo-global-root /vitess/global "${manager[@]}" \
      >>"$data/log/orchestrator-$n.log" 2>&1 </dev/null &
    echo $! >"$pid_file"
  fi
  ready() { curl -sf "http://127.0.0.1:$port/readyz"; }
  wait_for 30 "vtorc on port $port (its log: $data/log/orchestrator-$n.log)" ready
  echo "vtorc watches; its page is http://127.0.0.1:$port/"
done
