"""test/e2e/apimachinery/crd_publish_openapi.go"""
import contextlib
import json
import re

from conftest import wait_for

from .definitions import ANYTHING, definition

FOO = {
    "description": "Foo CRD for Testing", "type": "object", "properties": {
        "spec": {"type": "object", "description": "Specification of Foo", "properties": {
            "bars": {"description": "List of Bars and their specs.", "type": "array", "items": {
                "type": "object", "required": ["name"], "properties": {
                    "name": {"description": "Name of Bar.", "type": "string"},
                    "age": {"description": "Age of Bar.", "type": "string"},
                    "feeling": {"description": "Whether Bar is feeling great.", "type": "string", "enum": ["Great", "Down"]},
                    "bazs": {"description": "List of Bazs.", "items": {"type": "string"}, "type": "array"}}}}}},
        "status": {"description": "Status of Foo", "type": "object", "properties": {
            "bars": {"description": "List of Bars and their statuses.", "type": "array", "items": {
                "type": "object", "properties": {
                    "name": {"description": "Name of Bar.", "type": "string"},
                    "available": {"description": "Whether the Bar is installed.", "type": "boolean"},
                    "quxType": {"description": "Indicates to external qux type.", "pattern": "in-tree|out-of-tree", "type": "string"}}}}}}}}
WALDO = {
    "description": "Waldo CRD for Testing", "type": "object", "properties": {
        "spec": {"description": "Specification of Waldo", "type": "object", "properties": {"dummy": {"description": "Dummy property.", "type": "object"}}},
        "status": {"description": "Status of Waldo", "type": "object", "properties": {
            "bars": {"description": "List of Bars and their statuses.", "type": "array", "items": {"type": "object"}}}}}}
PRESERVE_ROOT = {
    "description": "preserve-unknown-properties at root for Testing", "x-kubernetes-preserve-unknown-fields": True, "type": "object", "properties": {
        "spec": {"description": "Specification of Waldo", "type": "object", "properties": {"dummy": {"description": "Dummy property.", "type": "object"}}},
        "status": WALDO["properties"]["status"]}}
PRESERVE_NESTED = {
    "description": "preserve-unknown-properties in nested field for Testing", "type": "object", "properties": {
        "spec": {"description": "Specification of Waldo", "type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {
            "dummy": {"description": "Dummy property.", "type": "object"}}},
        "status": WALDO["properties"]["status"]}}


def versions(schema, *names):
    return [{"name": name, "served": True, "storage": index == 0, "schema": {"openAPIV3Schema": schema}} for index, name in enumerate(names)]


def definition_name(custom, version):
    return ".".join([*reversed(custom.group.split(".")), version, custom.kind])


def published(cluster, custom, version):
    """What /openapi/v2 has of a version, without what every object has; None when it has nothing."""
    found = cluster.get("/openapi/v2")["definitions"].get(definition_name(custom, version))
    if found is None:
        return None
    assert found.pop("x-kubernetes-group-version-kind") == [{"group": custom.group, "kind": custom.kind, "version": version}]
    for name in ("metadata", "apiVersion", "kind"):
        found.get("properties", {}).pop(name, None)
    if found.get("properties") == {}:
        del found["properties"]
    return found


@contextlib.contextmanager
def published_definition(cluster, schema, *names, expected=None, **fields):
    """A definition all of whose versions are published, and are not any more when it is gone. What is published of it is compared with `expected`."""
    with definition(cluster, versions=versions(schema, *names), **fields) as custom:
        for name in names:
            has(cluster, custom, name, expected)
        yield custom
    for name in names:
        has_not(cluster, custom, name)


def has(cluster, custom, version, expected):
    found = wait_for(lambda: published(cluster, custom, version), f"{custom.kind} {version} is published", timeout=20, every=0.05)
    assert expected is None or found == expected


def has_not(cluster, custom, version):
    wait_for(lambda: published(cluster, custom, version) is None, f"{custom.kind} {version} is not published", timeout=20, every=0.05)


class Kubectl:
    """kubectl with objects of one definition."""

    def __init__(self, cluster, custom, version="v1"):
        self.cluster, self.custom, self.version = cluster, custom, version

    def object(self, **fields):
        return json.dumps(self.custom.object("test-cr", self.version, **fields))

    def accepts(self, **fields):
        for verb in ("create", "apply"):
            self.cluster.kubectl(verb, "-f", "-", input=self.object(**fields))
            self.cluster.kubectl("delete", self.custom.plural, "test-cr")

    def refuses(self, *messages, **fields):
        for verb in ("create", "apply"):
            result = self.cluster.kubectl(verb, "-f", "-", input=self.object(**fields), check=False)
            assert result.returncode != 0 and any(message in result.stdout for message in messages), result.stdout

    def explains(self, path, pattern):
        output = self.cluster.kubectl("explain", self.custom.plural + path)
        assert re.search(pattern, output, re.S), output


def test_a_validation_schema(cluster):
    """[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD with validation schema [Conformance]"""
    with published_definition(cluster, FOO, "v1", expected=FOO) as custom:
        kubectl = Kubectl(cluster, custom)
        kubectl.accepts(spec={"bars": [{"name": "test-bar"}]})
        kubectl.refuses('Unsupported value: "NonExistentValue"', spec={"bars": [{"name": "test-bar", "feeling": "NonExistentValue"}]})
        kubectl.refuses('unknown field "spec.foo"', spec={"foo": True})
        kubectl.refuses('missing required field "name"', "spec.bars[0].name: Required value", spec={"bars": [{"age": "10"}]})
        kubectl.explains(
            "", r"DESCRIPTION:.*Foo CRD for Testing.*FIELDS:.*apiVersion.*<string>.*APIVersion defines.*spec.*<Object>.*Specification of Foo")
        kubectl.explains(
            ".metadata", r"DESCRIPTION:.*Standard object's metadata.*FIELDS:.*creationTimestamp.*<string>.*CreationTimestamp is a timestamp")
        kubectl.explains(".spec", r"DESCRIPTION:.*Specification of Foo.*FIELDS:.*bars.*<\[\]Object>.*List of Bars and their specs")
        kubectl.explains(
            ".spec.bars", r"(FIELD|RESOURCE):.*bars.*<\[\]Object>.*DESCRIPTION:.*List of Bars and their specs.*FIELDS:.*bazs.*<\[\]string>.*List of Bazs"
                          r".*name.*<string>.*Name of Bar")
        missing = cluster.kubectl("explain", custom.plural + ".spec.bars2", check=False)
        assert missing.returncode != 0 and 'field "bars2" does not exist' in missing.stdout, missing.stdout


def test_no_validation_schema(cluster):
    """[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD without validation schema [Conformance]"""
    with published_definition(cluster, ANYTHING, "v1", expected={"type": "object"}) as custom:
        kubectl = Kubectl(cluster, custom)
        kubectl.accepts(a={"b": [{"c": "d"}]})
        kubectl.explains("", r"DESCRIPTION:.*<empty>")


def test_unknown_fields_at_the_root(cluster):
    """[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD preserving unknown fields at the schema root [Conformance]"""
    with published_definition(cluster, PRESERVE_ROOT, "v1") as custom:
        kubectl = Kubectl(cluster, custom)
        kubectl.accepts(a={"b": [{"c": "d"}]})
        kubectl.explains("", rf"KIND:.*{custom.kind}")


def test_unknown_fields_in_an_embedded_object(cluster):
    """[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD preserving unknown fields in an embedded object [Conformance]"""
    with published_definition(cluster, PRESERVE_NESTED, "v1") as custom:
        kubectl = Kubectl(cluster, custom)
        kubectl.accepts(spec={"a": None, "b": [{"c": "d"}]})
        kubectl.explains("", r"DESCRIPTION:.*preserve-unknown-properties in nested field for Testing")


def test_several_groups(cluster):
    """[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of different groups [Conformance]"""
    with published_definition(cluster, FOO, "v1", expected=FOO) as foo, published_definition(cluster, WALDO, "v1beta1", expected=WALDO) as waldo:
        assert foo.group != waldo.group
        has(cluster, foo, "v1", FOO)
        has(cluster, waldo, "v1beta1", WALDO)


def test_several_versions_of_a_group(cluster):
    """[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of same group but different versions [Conformance]"""
    with published_definition(cluster, FOO, "v2", "v3", expected=FOO):
        pass
    group = "common-group.example.com"
    with published_definition(cluster, FOO, "v4", expected=FOO, group=group) as foo, \
            published_definition(cluster, WALDO, "v5", expected=WALDO, group=group) as waldo:
        has(cluster, foo, "v4", FOO)
        has(cluster, waldo, "v5", WALDO)


def test_several_kinds_of_a_version(cluster):
    """[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for multiple CRDs of same group and version but different kinds [Conformance]"""
    group = "common-group.example.com"
    with published_definition(cluster, FOO, "v6", expected=FOO, group=group) as foo, \
            published_definition(cluster, WALDO, "v6", expected=WALDO, group=group) as waldo:
        has(cluster, foo, "v6", FOO)
        has(cluster, waldo, "v6", WALDO)


def test_a_version_is_renamed(cluster):
    """[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] updates the published spec when one version gets renamed [Conformance]"""
    with published_definition(cluster, FOO, "v2", "v3", expected=FOO) as custom:
        custom.definitions.patch(custom.name, [
            {"op": "test", "path": "/spec/versions/1/name", "value": "v3"}, {"op": "replace", "path": "/spec/versions/1/name", "value": "v4"}], kind="json")
        has(cluster, custom, "v4", FOO)
        has_not(cluster, custom, "v3")
        has(cluster, custom, "v2", FOO)


def test_a_version_is_not_served_any_more(cluster):
    """[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] removes definition from spec when one version gets changed to not be served [Conformance]"""
    with published_definition(cluster, FOO, "v5", "v6alpha1", expected=FOO) as custom:
        custom.definitions.update(custom.name, lambda object: object["spec"]["versions"][1].update(served=False))
        has_not(cluster, custom, "v6alpha1")
        has(cluster, custom, "v5", FOO)
