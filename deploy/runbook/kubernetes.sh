#!/bin/bash
# What the run-book's scripts do on Kubernetes (PACELINE_ON=kubernetes): the chart in ../helm/paceline, step by step, in the
# namespace of kubectl's context. usage: kubernetes.sh SCRIPT [ARGUMENTS], by the scripts themselves.
# PACELINE_VALUES: a values file; it names at least vtgate.usersSecret, etcd.secret and one of access or tls.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
script=$1
shift
release=${PACELINE_RELEASE:-paceline}
cell=${PACELINE_CELL:-asiaeast1c} tablets=${PACELINE_TABLETS:-5}
for program in helm kubectl; do
  command -v $program >/dev/null || { echo "$script: needs $program" >&2; exit 1; }
done

# The run-book's five tablets in its cell; `upgrade REPLICAS VTORCS`.
upgrade() {
  helm upgrade --install "$release" "$here/../helm/paceline" ${PACELINE_VALUES:+--values "$PACELINE_VALUES"} \
    --set-json "cells=[{\"name\":\"$cell\"}]" --set vtorc.replicas="$2" \
    --set-json "keyspaces=[{\"name\":\"test_keyspace\",\"durability\":\"semi_sync\",\"shards\":[{\"name\":\"0\",\"pools\":[{\"cell\":\"$cell\",\"type\":\"replica\",\"replicas\":$1,\"uidBase\":100}]}]}]"
}
replicas_of() { kubectl get "$1" -o 'jsonpath={.spec.replicas}' 2>/dev/null || echo "$2"; }
set_of_tablets=statefulset/vttablet-$cell-test-keyspace-0

case $script in
  vtctld-up)
    upgrade "$(replicas_of "$set_of_tablets" 0)" "$(replicas_of deployment/vtorc 0)"
    kubectl rollout status deployment/vtctld --timeout=300s
    ;;
  vttablet-petset-up)
    upgrade "$tablets" "$(replicas_of deployment/vtorc 0)"
    # Ready means that they serve, which waits for a primary; here they only have to have registered.
    for _ in $(seq 150); do
      [ "$("$here/kubernetes.sh" kvtctl ListAllTablets "$cell" 2>/dev/null | wc -l)" -lt "$tablets" ] || exit 0
      sleep 2
    done
    echo "$script: waited 300 s in vain for $tablets tablets: kubectl get pods" >&2
    exit 1
    ;;
  orchestrator-up)
    upgrade "$(replicas_of "$set_of_tablets" 0)" 2
    kubectl rollout status deployment/vtorc --timeout=300s
    ;;
  vtgate-up) kubectl rollout status "deployment/vtgate-$cell" --timeout=300s ;;
  # Inside vtctld's pod, which lets its own pod in.
  kvtctl) kubectl exec -i deployment/vtctld -- vtctlclient --server localhost:15999 --legacy-names "$@" ;;
  *) echo "kubernetes.sh: there is no $script" >&2; exit 2 ;;
esac
