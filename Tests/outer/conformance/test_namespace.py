"""test/e2e/apimachinery/namespace.go"""
import pytest
from kubernetes.client.rest import ApiException

from .workloads import pod


def recreated(cluster, name):
    """Deletes the namespace, waits until it is gone, and makes it again, empty."""
    namespaces = cluster.core("namespaces")
    namespaces.delete(name)
    namespaces.wait_gone(name, timeout=60)
    namespaces.create({"metadata": {"name": name}})


def test_pods_go_with_their_namespace(node_cluster, node_namespace):
    """[sig-api-machinery] Namespaces [Serial] should ensure that all pods are removed when a namespace is deleted [Conformance]"""
    pods = node_cluster.core("pods", node_namespace)
    pods.create(pod("test-pod"))
    pods.wait("test-pod", lambda object: object["status"]["phase"] == "Running", "running")
    recreated(node_cluster, node_namespace)
    assert pods.names() == []


def test_services_go_with_their_namespace(cluster, namespace):
    """[sig-api-machinery] Namespaces [Serial] should ensure that all services are removed when a namespace is deleted [Conformance]"""
    services = cluster.core("services", namespace)
    services.create({"metadata": {"name": "test-service"}, "spec": {"selector": {"foo": "bar"}, "ports": [{"port": 80, "targetPort": 80}]}})
    recreated(cluster, namespace)
    assert services.names() == []


def test_a_namespace_is_patched(cluster, namespace):
    """[sig-api-machinery] Namespaces [Serial] should patch a Namespace [Conformance]"""
    namespaces = cluster.core("namespaces")
    namespaces.patch(namespace, {"metadata": {"labels": {"testLabel": "testValue"}}}, kind="strategic")
    assert namespaces.get(namespace)["metadata"]["labels"]["testLabel"] == "testValue"


def test_the_status_of_a_namespace_changes(cluster, namespace):
    """[sig-api-machinery] Namespaces [Serial] should apply changes to a namespace status [Conformance]"""
    namespaces = cluster.core("namespaces")
    assert namespaces.get(namespace, "status")["status"]["phase"] == "Active"
    condition = {"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "Patched by an e2e test"}
    patched = namespaces.patch(
        namespace, {"metadata": {"annotations": {"e2e-patched-ns-status": namespace}}, "status": {"conditions": [condition]}}, sub="status")
    assert patched["metadata"]["annotations"]["e2e-patched-ns-status"] == namespace
    assert patched["status"]["phase"] == "Active"
    assert [(c["type"], c["message"]) for c in patched["status"]["conditions"]] == [("StatusPatch", "Patched by an e2e test")]

    def change(object):
        object["status"]["conditions"].append({"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Updated by an e2e test"})
    updated = namespaces.update(namespace, change, sub="status")
    assert [c["type"] for c in updated["status"]["conditions"]] == ["StatusPatch", "StatusUpdate"] and updated["status"]["phase"] == "Active"


def test_a_namespace_is_updated(cluster, namespace):
    """[sig-api-machinery] Namespaces [Serial] should apply an update to a Namespace [Conformance]"""
    namespaces = cluster.core("namespaces")
    namespaces.update(namespace, lambda object: object["metadata"].setdefault("labels", {}).update({namespace: "updated"}))
    assert namespaces.get(namespace)["metadata"]["labels"][namespace] == "updated"


def test_a_namespace_takes_a_finalizer(cluster, namespace):
    """[sig-api-machinery] Namespaces [Serial] should apply a finalizer to a Namespace [Conformance]"""
    namespaces = cluster.core("namespaces")
    finalizer = "e2e.example.com/fakeFinalizer"

    def finalize(change):
        object = namespaces.get(namespace)
        change(object["spec"]["finalizers"])
        return cluster.request("PUT", namespaces.path(namespace, "finalize"), object).json
    added = finalize(lambda finalizers: finalizers.append(finalizer))
    assert added["spec"]["finalizers"] == ["kubernetes", finalizer]
    removed = finalize(lambda finalizers: finalizers.remove(finalizer))
    assert removed["spec"]["finalizers"] == ["kubernetes"]


@pytest.fixture
def guarded(node_cluster):
    """A namespace whose pod and config map each have a finalizer."""
    with node_cluster.namespace() as name:
        finalizers = ["e2e.example.com/finalizer"]
        pods, maps = node_cluster.core("pods", name), node_cluster.core("configmaps", name)
        pods.create(pod("pod-1", metadata={"finalizers": finalizers}))
        maps.create({"metadata": {"name": "map-1", "finalizers": finalizers}})
        yield name, pods, maps
        for resource, object in ((pods, "pod-1"), (maps, "map-1")):
            try:
                resource.patch(object, {"metadata": {"finalizers": None}})
            except ApiException as error:
                assert error.status == 404


def test_pods_are_deleted_first(node_cluster, guarded):
    """[sig-api-machinery] OrderedNamespaceDeletion namespace deletion should delete pod first [Conformance]"""
    name, pods, maps = guarded
    namespaces = node_cluster.core("namespaces")
    namespaces.delete(name)

    def waits_for_pods(object):
        conditions = {c["type"]: c for c in object["status"].get("conditions", [])}
        assert not conditions or "NamespaceDeletionContentFailure" in conditions, "all conditions come at once"
        return conditions.get("NamespaceContentRemaining", {}).get("status") == "True" \
            and "pods. has 1 resource instances" in conditions["NamespaceContentRemaining"]["message"] \
            and conditions.get("NamespaceFinalizersRemaining", {}).get("status") == "True"
    namespaces.wait(name, waits_for_pods, "says that a pod remains")
    assert "deletionTimestamp" in pods.get("pod-1")["metadata"]
    assert "deletionTimestamp" not in maps.get("map-1")["metadata"], "the rest waits for the pods"
    pods.patch("pod-1", {"metadata": {"finalizers": None}})
    pods.wait_gone("pod-1")
    maps.wait("map-1", lambda object: "deletionTimestamp" in object["metadata"], "is deleted after the pods")
    maps.patch("map-1", {"metadata": {"finalizers": None}})
    namespaces.wait_gone(name)
