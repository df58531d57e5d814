"""test/e2e/apimachinery/custom_resource_definition.go, crd_watch.go, crd_selectable_fields.go and crd_conversion_webhook.go"""
import contextlib

import pytest
from secure_server import JSONHandler, SecureServer

from .definitions import definition, established, manifest
from .operations import check_discovery

VERSION = "apiextensions.k8s.io/v1"


def created(cluster, **fields):
    definitions = cluster.resource(VERSION, "customresourcedefinitions")
    made = definitions.create(manifest(scope="Cluster", **fields))
    return definitions.wait(made["metadata"]["name"], established, "established")


def test_definitions_come_and_go(cluster):
    """[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition creating/deleting custom resource definition objects works [Conformance]"""
    with definition(cluster, scope="Cluster") as custom:
        assert custom.objects().names() == []
    assert custom.definitions.gone(custom.name)


def test_definitions_are_listed(cluster):
    """[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition listing custom resource definition objects works [Conformance]"""
    definitions = cluster.resource(VERSION, "customresourcedefinitions")
    made = {object["metadata"]["name"]: object for object in (created(cluster, labels={"e2e-list-test": "yes"}) for _ in range(10))}
    with definition(cluster, scope="Cluster") as other:
        listed = definitions.list(labelSelector="e2e-list-test=yes")["items"]
        assert {item["metadata"]["name"]: item["spec"] for item in listed} == {name: object["spec"] for name, object in made.items()}
        definitions.delete_collection(labelSelector="e2e-list-test=yes")
        for name in made:
            definitions.wait_gone(name)
        assert not definitions.gone(other.name)


def test_the_status_of_a_definition_changes(cluster):
    """[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition getting/updating/patching custom resource definition status sub-resource works [Conformance]"""
    with definition(cluster, scope="Cluster") as custom:
        definitions = custom.definitions
        assert definitions.get(custom.name, "status")["spec"] == definitions.get(custom.name)["spec"]
        # Upstream's conditions have a message and nothing else.
        updated = definitions.update(
            custom.name, lambda object: object["status"]["conditions"].append({"message": "updated", "status": "", "type": ""}), sub="status")
        assert "updated" in [condition.get("message") for condition in updated["status"]["conditions"]]
        patched = definitions.patch(
            custom.name, [{"op": "add", "path": "/status/conditions", "value": [{"message": "patched"}]}], kind="json", sub="status")
        assert "patched" in [condition.get("message") for condition in patched["status"]["conditions"]]


def test_discovery_has_definitions(cluster):
    """[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] should include custom resource definition resources in discovery documents [Conformance]"""
    check_discovery(cluster, VERSION, "customresourcedefinitions")


def test_defaults_of_requests_and_of_what_is_stored(cluster):
    """[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] custom resource defaulting for requests and from storage works [Conformance]"""
    properties = "/spec/versions/0/schema/openAPIV3Schema/properties"
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    with definition(cluster, scope="Cluster", schema=schema) as custom:
        objects = custom.objects()
        assert "a" not in objects.create(custom.object("cr-1"))
        custom.definitions.patch(custom.name, [{"op": "add", "path": f"{properties}/a/default", "value": "A"}], kind="json")
        objects.wait("cr-1", lambda object: object.get("a") == "A", "reads with its default")
        assert objects.create(custom.object("cr-2"))["a"] == "A"
        custom.definitions.patch(custom.name, [
            {"op": "remove", "path": f"{properties}/a/default"}, {"op": "add", "path": f"{properties}/b/default", "value": "B"}], kind="json")
        second = objects.wait("cr-2", lambda object: object.get("b") == "B", "reads with the other default")
        assert second["a"] == "A", "a default that was stored stays"
        assert "a" not in objects.get("cr-1"), "a default that was only shown does not"


def test_custom_resources_are_watched(cluster):
    """[sig-api-machinery] CustomResourceDefinition Watch [Privileged:ClusterAdmin] CustomResourceDefinition Watch watch on custom resource definition objects [Conformance]"""
    with definition(cluster, scope="Cluster") as custom:
        objects = custom.objects()
        with objects.watch(fieldSelector="metadata.name=name1") as one, objects.watch(fieldSelector="metadata.name=name2") as two:
            watches = {"name1": one, "name2": two}

            def seen(kind, name):
                event, object = watches[name].event()
                assert (event, object["metadata"]["name"]) == (kind, name)
            for name in watches:
                objects.create(custom.object(name, content={"key": "value"}, num={"num1": 9223372036854775807, "num2": 1000000}))
                seen("ADDED", name)
            for name in watches:
                assert objects.patch(name, {"dummy": "test"})["num"] == {"num1": 9223372036854775807, "num2": 1000000}
                seen("MODIFIED", name)
            for name in watches:
                objects.delete(name)
                seen("DELETED", name)


class Converter(JSONHandler):
    """The conversion webhook of upstream's test image: hostPort in v1 is host and port in v2."""

    def do_POST(self):
        request = self.body()["request"]
        converted = [self.convert(object, request["desiredAPIVersion"]) for object in request["objects"]]
        self.answer(200, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": {
            "uid": request["uid"], "convertedObjects": converted, "result": {"status": "Success"}}})

    @staticmethod
    def convert(object, wanted):
        version = wanted.split("/")[1]
        if version == "v2" and "hostPort" in object:
            host, _, port = object.pop("hostPort").partition(":")
            object.update(host=host, **({"port": port} if port else {}))
        if version == "v1" and "host" in object:
            port = object.pop("port", "")
            object["hostPort"] = object.pop("host") + (f":{port}" if port else "")
        return {**object, "apiVersion": wanted}


@pytest.fixture(scope="module")
def converter(cluster, tmp_path_factory):
    server = SecureServer(Converter, tmp_path_factory.mktemp("converter"), "default", "e2e-test-crd-conversion-webhook")
    for object in server.objects(port=9443):
        resource = cluster.core("services", "default") if object["kind"] == "Service" \
            else cluster.resource("discovery.k8s.io/v1", "endpointslices", "default")
        resource.create(object)
    yield server
    server.stop()
    cluster.core("services", "default").delete(server.name)


def text(*fields):
    return {"schema": {"openAPIV3Schema": {"type": "object", "properties": {field: {"type": "string"} for field in fields}}},
            "selectableFields": [{"jsonPath": f".{field}"} for field in fields]}


@contextlib.contextmanager
def hosts(cluster, namespace, converter):
    """A definition whose versions a webhook converts; v1 is stored."""
    versions = [{"name": "v1", "served": True, "storage": True, **text("hostPort")}, {"name": "v2", "served": True, "storage": False, **text("host", "port")}]
    conversion = {"strategy": "Webhook", "webhook": {
        "clientConfig": converter.client_config("/crdconvert", port=9443), "conversionReviewVersions": ["v1", "v1beta1"]}}
    with definition(cluster, namespace, versions=versions, conversion=conversion) as custom:
        yield custom


def test_one_version_is_converted_to_another(cluster, namespace, converter):
    """[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert from CR v1 to CR v2 [Conformance]"""
    with hosts(cluster, namespace, converter) as custom:
        custom.objects("v1").create(custom.object("example", "v1", hostPort="localhost:8080"))
        second = custom.objects("v2").get("example")
        assert second["apiVersion"] == f"{custom.group}/v2" and "hostPort" not in second
        assert (second["host"], second["port"]) == ("localhost", "8080")


def test_a_list_of_versions_is_converted(cluster, namespace, converter):
    """[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert a non homogeneous list of CRs [Conformance]"""
    with hosts(cluster, namespace, converter) as custom:
        first, second = custom.objects("v1"), custom.objects("v2")
        first.create(custom.object("one", "v1", hostPort="localhost:8080"))

        def store(version):
            def change(object):
                for entry in object["spec"]["versions"]:
                    entry["storage"] = entry["name"] == version
            custom.definitions.update(custom.name, change)
        store("v2")
        custom.definitions.wait(custom.name, lambda object: object["status"]["storedVersions"] == ["v1", "v2"], "stores both versions")
        first.create(custom.object("two", "v1", hostPort="localhost:9090"))
        assert [item["hostPort"] for item in first.list()["items"]] == ["localhost:8080", "localhost:9090"]
        listed = second.list()["items"]
        assert [(item["apiVersion"], item["host"], item["port"]) for item in listed] == [
            (f"{custom.group}/v2", "localhost", "8080"), (f"{custom.group}/v2", "localhost", "9090")]


def test_custom_resources_are_selected_by_fields(cluster, namespace, converter):
    """[sig-api-machinery] CustomResourceFieldSelectors [Privileged:ClusterAdmin] CustomResourceFieldSelectors MUST list and watch custom resources matching the field selector [Conformance]"""
    with hosts(cluster, namespace, converter) as custom, contextlib.ExitStack() as stack:
        first, second = custom.objects("v1"), custom.objects("v2")
        by_host, by_both, by_host_port = (
            stack.enter_context(resource.watch(fieldSelector=selector))
            for resource, selector in ((second, "host=host1"), (second, "host=host1,port=80"), (first, "hostPort=host1:80")))
        second.create(custom.object("a", "v2", host="host1", port="80"))
        second.create(custom.object("b", "v2", host="host1", port="8080"))
        second.create(custom.object("c", "v2", host="host2"))
        assert second.names(fieldSelector="host=host1") == ["a", "b"]
        assert second.names(fieldSelector="host=host1,port=80") == ["a"]
        assert first.names(fieldSelector="hostPort=host1:80") == ["a"]
        assert first.names(fieldSelector="hostPort=host1:8080") == ["b"]
        second.delete_collection({"gracePeriodSeconds": 0}, fieldSelector="host=host1,port=80")
        second.update("b", lambda object: object.update(host="host2"))
        assert second.names(fieldSelector="host=host1") == [] and second.names(fieldSelector="host=host1,port=80") == []

        def events(watch, count):
            return [(kind, object["metadata"]["name"]) for kind, object in (watch.event() for _ in range(count))]
        assert events(by_host, 4) == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a"), ("DELETED", "b")]
        assert events(by_both, 2) == [("ADDED", "a"), ("DELETED", "a")]
        assert events(by_host_port, 2) == [("ADDED", "a"), ("DELETED", "a")]
