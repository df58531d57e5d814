#!/bin/bash
# Generates Sources/CRIProtocol: the CRI's messages (runtime.v1) and the few of containerd's events service, as Swift.
#
#   tools/generate-cri.sh API.PROTO PROTOC_GEN_SWIFT
#
# API.PROTO is pkg/apis/runtime/v1/api.proto of k8s.io/cri-api 0.36: Debian's package golang-k8s-cri-api-dev (testing or unstable; `apt-get download`,
# then `dpkg-deb -x`). PROTOC_GEN_SWIFT is built from the package's own swift-protobuf checkout:
#   swift build --product protoc-gen-swift --scratch-path SCRATCH --package-path .build/checkouts/swift-protobuf
# protoc itself is Debian's protobuf-compiler. The output is checked in because generating in a build plugin costs ten minutes a first build.
set -euo pipefail
[ $# = 2 ] || { sed -n '2,10p' "$0"; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# protoc 3.21 knows no [debug_redact]; comments are left out, the interface's documentation is upstream's. Services are left out: calls go by path.
python3 - "$1" > "$work/cri.proto" <<'P'
import re, sys
text = open(sys.argv[1]).read()
text = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
text = re.sub(r'//[^\n]*', '', text)
text = re.sub(r'\s*\[debug_redact = true\]', '', text)
text = re.sub(r'service \w+ \{.*?\n\}', '', text, flags=re.S)
text = re.sub(r'option go_package[^;]*;', '', text)
print(re.sub(r'\n\s*\n+', '\n\n', text))
P
cp "$here/tools/proto/containerd_events.proto" "$work/"
protoc --plugin="$2" -I "$work" --swift_out="$here/Sources/CRIProtocol" \
    --swift_opt=Visibility=Package --swift_opt=UseAccessLevelOnImports=true --swift_opt=FileNaming=DropPath "$work"/*.proto
# FoundationEssentials is always there on Linux; the alternative would pull all of Foundation into the module's list of imports.
sed -i -e '/^#if canImport(FoundationEssentials)$/d' -e '/^#else$/,/^#endif$/d' "$here"/Sources/CRIProtocol/*.pb.swift
