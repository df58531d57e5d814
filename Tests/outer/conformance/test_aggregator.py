"""test/e2e/apimachinery/aggregator.go"""
import kubernetes
import pytest
from conftest import wait_for
from kubernetes.client.rest import ApiException
from wardle import API_SERVICE, GROUP_VERSION, WardleServer

PATH = f"/apis/{GROUP_VERSION}/namespaces/default/flunders"


@pytest.fixture
def services(cluster, namespace, tmp_path):
    """The extension server in the test's namespace; gives the resource of APIServices, with the server's among them."""
    clients = cluster.core("configmaps", "kube-system").get("extension-apiserver-authentication")["data"]
    server = WardleServer(tmp_path, namespace, clients)
    service, endpoints = server.objects()
    cluster.core("services", namespace).create(service)
    cluster.resource("discovery.k8s.io/v1", "endpointslices", namespace).create(endpoints)
    services = cluster.resource("apiregistration.k8s.io/v1", "apiservices")
    services.create(server.api_service())
    yield services
    server.stop()
    if not services.gone(API_SERVICE):
        services.delete(API_SERVICE)


def check_flunders(cluster):
    """Creating, listing and deleting, by plain requests and by the dynamic client, which finds the kind by discovery."""
    flunder = {"apiVersion": GROUP_VERSION, "kind": "Flunder", "metadata": {"name": "rest-flunder", "labels": {"sample-label": "true"}}}
    assert cluster.request("POST", PATH, flunder).status == 201
    assert [item["metadata"]["name"] for item in cluster.get(PATH)["items"]] == ["rest-flunder"]
    cluster.request("DELETE", f"{PATH}/rest-flunder")
    assert cluster.get(PATH)["items"] == []

    flunders = kubernetes.dynamic.DynamicClient(cluster.client).resources.get(api_version=GROUP_VERSION, kind="Flunder")
    flunders.create(namespace="default", body={**flunder, "metadata": {"name": "dynamic-flunder"}})
    assert [item.metadata.name for item in flunders.get(namespace="default").items] == ["dynamic-flunder"]
    flunders.delete(name="dynamic-flunder", namespace="default")
    assert flunders.get(namespace="default").items == []


def test_an_extension_server_is_aggregated(cluster, services):
    """[sig-api-machinery] Aggregator Should be able to support the 1.17 Sample API Server using the current Aggregator [LinuxOnly] [Conformance]"""
    def answers():
        try:
            return cluster.request("GET", PATH).status == 200
        except ApiException as error:
            assert error.status in (404, 503), error.body
    wait_for(answers, "the extension server is asked", timeout=30, every=0.05)
    check_flunders(cluster)

    status = services.get(API_SERVICE, "status")["status"]
    assert ("Available", "True") in [(condition["type"], condition["status"]) for condition in status["conditions"]]
    assert services.patch(API_SERVICE, {"spec": {"versionPriority": 400}})["spec"]["versionPriority"] == 400
    assert API_SERVICE in services.names()
    updated = services.update(API_SERVICE, lambda object: object["metadata"].setdefault("labels", {}).update({API_SERVICE: "updated"}))
    assert updated["metadata"]["labels"] == {API_SERVICE: "updated"}

    def condition(object):
        object["status"]["conditions"].append({"type": "StatusUpdated", "status": "True", "reason": "E2E", "message": "Set from an e2e test"})
    updated = services.update(API_SERVICE, condition, sub="status")
    assert "StatusUpdated" in [condition["type"] for condition in updated["status"]["conditions"]]
    patched = services.patch(API_SERVICE, {"status": {"conditions": [
        {"type": "StatusPatched", "status": "True", "reason": "E2E", "message": "Set by an e2e test"}]}}, sub="status")
    assert "StatusPatched" in [condition["type"] for condition in patched["status"]["conditions"]]
    services.delete_collection(labelSelector=f"{API_SERVICE}=updated")
    wait_for(lambda: services.names(labelSelector=f"{API_SERVICE}=updated") == [], "the APIService is gone", timeout=20)
    assert API_SERVICE not in services.names()
