"""Custom resource definitions for tests: each with a group of its own, so that no test sees another's."""
import contextlib
import itertools

from .cluster import Resource

ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
numbers = itertools.count(1)


class Custom:
    """An established definition and its objects."""

    def __init__(self, cluster, made, namespace):
        self.cluster, self.namespace = cluster, namespace
        spec = made["spec"]
        self.group, self.plural, self.kind = spec["group"], spec["names"]["plural"], spec["names"]["kind"]
        self.name = made["metadata"]["name"]
        self.definitions = cluster.resource("apiextensions.k8s.io/v1", "customresourcedefinitions")

    def objects(self, version="v1"):
        return Resource(self.cluster, f"{self.group}/{version}", self.plural, self.namespace)

    def object(self, name, version="v1", **fields):
        return {"apiVersion": f"{self.group}/{version}", "kind": self.kind, "metadata": {"name": name}, **fields}


def manifest(versions=None, scope="Namespaced", group=None, schema=ANYTHING, labels=None, **spec):
    """A definition; without versions it has one, v1, with the schema."""
    number = next(numbers)
    group = group or f"group{number}.example.com"
    singular = f"testcrd{number}"
    versions = versions or [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{singular}s.{group}", "labels": labels or {}},
        "spec": {
            "group": group, "scope": scope, "versions": versions,
            "names": {"plural": f"{singular}s", "singular": singular, "kind": f"TestCRD{number}", "listKind": f"TestCRD{number}List"}, **spec}}


def established(object):
    conditions = {c["type"]: c["status"] for c in object.get("status", {}).get("conditions") or []}
    return conditions.get("Established") == "True" and conditions.get("NamesAccepted") == "True"


@contextlib.contextmanager
def definition(cluster, namespace="default", **fields):
    """Creates a definition, waits until it is established, and deletes it with its objects afterwards."""
    document = manifest(**fields)
    definitions = cluster.resource("apiextensions.k8s.io/v1", "customresourcedefinitions")
    made = definitions.create(document)
    name = made["metadata"]["name"]
    try:
        made = definitions.wait(name, established, "established")
        yield Custom(cluster, made, namespace if document["spec"]["scope"] == "Namespaced" else None)
    finally:
        if not definitions.gone(name):
            definitions.delete(name)
            definitions.wait_gone(name)
