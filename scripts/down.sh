#!/usr/bin/env bash
# `make down`: deletes what `make up` made and ends the service and the fixture registry.
set -euo pipefail
cd "$(dirname "$0")/.."
eyrie=$1
data=${EYRIE_DATA_DIR:-/var/lib/eyrie}
"$eyrie" down --data-dir "$data" --purge
if [ -f "$data/registry/registry.pid" ]; then Tests/fixtures/registry.sh stop "$data/registry"; fi
