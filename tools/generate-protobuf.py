#!/usr/bin/env python3
"""Writes Sources/CSchema/data/protobuf.txt: how the types of the Kubernetes API are numbered in protobuf.

Input (--sources DIR, may be given more than once): the unpacked Debian packages golang-k8s-api-dev, golang-k8s-apimachinery-dev and
golang-k8s-apiextensions-apiserver-dev, which hold the generated.proto files (numbers and types) and the Go structs (which fields are pointers, and so may
hold a zero that means something). Only facts go in: names, numbers, types. --check writes nothing and fails when the file differs.
"""
import argparse
import pathlib
import re
import sys

DATA = pathlib.Path(__file__).resolve().parent.parent / "Sources" / "CSchema" / "data"
HEAD = """\
# Protobuf numbers of the types of the Kubernetes API, version 1.36. Written by tools/generate-protobuf.py; do not edit.
# M NAME      a message; names as in schema.txt
#  NUMBER TYPE FIELD [!]      a field of it by its JSON name, '-' when its members stand in the parent; '!' when a zero must be kept
# TYPE is string bytes bool int double, a message's name, []TYPE or {}TYPE (a map with string keys).
"""
SCALARS = {"string": "string", "bytes": "bytes", "bool": "bool", "int32": "int", "int64": "int", "uint32": "int", "uint64": "int", "double": "double", "float": "double"}
# Types that schema.txt does not name because nothing that is stored refers to them, but requests and answers carry them.
EXTRA = ["apimachinery.pkg.apis.meta.v1.DeleteOptions", "api.autoscaling.v1.Scale", "api.policy.v1.Eviction", "api.core.v1.Binding",
         "api.authentication.v1.TokenRequest", "apimachinery.pkg.apis.meta.v1.PartialObjectMetadata",
         "apimachinery.pkg.apis.meta.v1.PartialObjectMetadataList"]


def schema_name(name):
    """k8s.io.api.core.v1.Pod as schema.txt names it: api.core.v1.Pod."""
    name = name.removeprefix("k8s.io.").replace("apiextensions_apiserver", "apiextensions-apiserver")
    return name


def read_protos(roots):
    messages = {}
    for root in roots:
        for path in sorted(pathlib.Path(root).rglob("generated.proto")):
            package = None
            message = None
            for line in path.read_text().splitlines():
                line = line.split("//")[0].strip()
                if match := re.match(r"package ([\w.]+);", line):
                    package = match[1]
                elif match := re.match(r"message (\w+) \{", line):
                    message = f"{package}.{match[1]}"
                    messages[schema_name(message)] = []
                elif line == "}":
                    message = None
                elif message and (match := re.match(r"(?:optional|repeated|required)?\s*(map<string, ([\w.]+)>|[\w.]+) (\w+) = (\d+);", line)):
                    kind = match[2] or match[1]
                    if kind not in SCALARS:
                        kind = kind.removeprefix(".") if kind.startswith(".") else f"{package}.{kind}"
                        kind = schema_name(kind)
                    else:
                        kind = SCALARS[kind]
                    if match[2]:
                        kind = "{}" + kind
                    elif line.startswith("repeated"):
                        kind = "[]" + kind
                    messages[schema_name(message)].append((int(match[4]), kind, match[3]))
    return messages


def read_structs(roots):
    """(message, number) -> (JSON name, or '-' for an inlined member; whether a zero is kept)."""
    fields = {}
    for root in roots:
        for path in sorted(pathlib.Path(root).rglob("*.go")):
            if path.name.endswith(("_test.go", ".pb.go")) or path.name.startswith("zz_"):
                continue
            parts = path.parts
            if "k8s.io" not in parts:
                continue
            package = ".".join(parts[parts.index("k8s.io") + 1:-1])
            struct = None
            for line in path.read_text().splitlines():
                if match := re.match(r"type (\w+) struct \{", line):
                    struct = f"{package}.{match[1]}"
                elif line.startswith("}"):
                    struct = None
                elif struct and (match := re.search(r"^\s+(?:\w+\s+)?(\S+)\s+`([^`]*)`", line)):
                    json_tag = re.search(r'json:"([^"]*)"', match[2])
                    proto_tag = re.search(r'protobuf:"\w+,(\d+)', match[2])
                    if not json_tag or not proto_tag:
                        continue
                    name, *options = json_tag[1].split(",")
                    inline = "inline" in options or not name
                    keeps = match[1].startswith("*") or not ({"omitempty", "omitzero", "inline"} & set(options))
                    fields[(struct, int(proto_tag[1]))] = ("-" if inline else name, keeps)
    return fields


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", action="append", required=True)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    messages = read_protos(arguments.sources)
    structs = read_structs(arguments.sources)
    wanted = [line.split()[1] for line in (DATA / "schema.txt").read_text().splitlines() if line.startswith("T ")] + EXTRA
    pending = [name for name in wanted if name in messages]
    reached = set(pending)
    while pending:
        for _, kind, _ in messages[pending.pop()]:
            name = kind.lstrip("[]{}")
            if name in messages and name not in reached:
                reached.add(name)
                pending.append(name)
    lines = []
    for name in sorted(reached):
        lines.append(f"M {name}")
        for number, kind, field in sorted(messages[name]):
            json_name, keeps = structs.get((name, number), (field, False))
            lines.append(f" {number} {kind} {json_name}" + (" !" if keeps else ""))
    text = HEAD + "\n".join(lines) + "\n"
    target = DATA / "protobuf.txt"
    if arguments.check:
        if target.read_text() != text:
            sys.exit(f"{target} differs from what its sources say: run tools/generate-protobuf.py")
        return
    target.write_text(text)
    print(f"{target}: {len(reached)} messages, {len(text)} bytes")


main()
