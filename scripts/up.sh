#!/usr/bin/env bash
# `make up`: starts the service, makes the cluster, deploys nginx, and ends with three running pods.
set -euo pipefail
cd "$(dirname "$0")/.."
eyrie=$1
data=${EYRIE_DATA_DIR:-/var/lib/eyrie}
cluster=${EYRIE_CLUSTER:-demo}
mirror=()

kubectl=${KUBECTL:-$(command -v kubectl || true)}
if [ -z "$kubectl" ]; then
    make -s .build/venv/ready
    kubectl=$PWD/.build/venv/bin/kubectl
fi

if ! curl -sS -m 5 -o /dev/null https://registry-1.docker.io/v2/ 2>/dev/null; then
    echo " ! The internet's registries cannot be reached: a local registry serves a fixture nginx image instead."
    port=5599
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || Tests/fixtures/registry.sh start "$data/registry" "$port"
    mirror=(--registry-mirror "docker.io=http://127.0.0.1:$port")
fi

"$eyrie" up "$cluster" --data-dir "$data" --nodes 2 "${mirror[@]}"
"$kubectl" apply -f docs/examples/nginx.yaml
"$kubectl" rollout status deployment/nginx --timeout=120s
"$kubectl" get pods -o wide
cat <<END

Three pods are running. Go on with:
    kubectl get nodes
    kubectl scale deployment nginx --replicas 5
    eval "\$($eyrie env --data-dir $data)" && aws eks describe-cluster --name $cluster
    make down
END
