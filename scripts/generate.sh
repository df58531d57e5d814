#!/usr/bin/env bash
# Makes the generated tables from their public, pinned inputs. Protobuf code is made by tools/generate-cri.sh, by hand: it needs protoc.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.build/generate
[ -d "$venv" ] || python3 -m venv "$venv"
"$venv/bin/pip" install -q botocore==1.44.8
"$venv/bin/python" tools/generate-schema.py
"$venv/bin/python" tools/generate-eks.py
