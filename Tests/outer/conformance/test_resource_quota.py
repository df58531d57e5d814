"""test/e2e/apimachinery/resource_quota.go"""
import contextlib

import pytest
from conftest import wait_for

from .cluster import refused
from .operations import contains
from .workloads import pod, replication_controller, template


class Quota:
    """A quota of a namespace whose usage is followed."""

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace
        self.quotas = cluster.core("resourcequotas", namespace)

    def create(self, name, hard, **spec):
        self.quotas.create({"metadata": {"name": name}, "spec": {"hard": hard, **spec}})
        self.used(name, {resource: "0" for resource in hard if resource not in ("resourcequotas", "configmaps")})

    def used(self, name, expected):
        """Waits until the status says so, with all the quota's limits."""
        def says(object):
            status = object.get("status", {})
            return status.get("hard") == object["spec"]["hard"] and contains(status.get("used", {}), expected)
        try:
            return self.quotas.wait(name, says, f"uses {expected}", timeout=20)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.quotas.get(name).get('status')}") from error


@pytest.fixture
def quota(cluster, namespace):
    return Quota(cluster, namespace)


def requests(cpu, memory, **more):
    return {"resources": {"requests": {"cpu": cpu, "memory": memory, **more}, "limits": dict(more)}}


def test_a_quotas_status_is_computed(quota):
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and ensure its status is promptly calculated. [Conformance]"""
    quota.create("test-quota", {"pods": "5", "services": "10", "cpu": "1", "memory": "500Mi", "count/replicasets.apps": "5", "requests.storage": "10Gi"})
    quota.used("test-quota", {"pods": "0", "services": "0", "cpu": "0", "memory": "0", "count/replicasets.apps": "0", "requests.storage": "0"})


def test_services_count(quota):
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a service. [Conformance]"""
    quota.create("test-quota", {"services": "10", "services.nodeports": "1", "services.loadbalancers": "1"})
    services = quota.cluster.core("services", quota.namespace)

    def service(name, kind, **spec):
        return {"metadata": {"name": name}, "spec": {"type": kind, "ports": [{"port": 80}], "selector": {"a": "b"}, **spec}}
    services.create(service("cluster-ip", "ClusterIP"))
    services.create(service("node-port", "NodePort"))
    with refused(403, "exceeded quota: test-quota, requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1"):
        services.create(service("load-balancer", "LoadBalancer"))
    services.create(service("portless", "LoadBalancer", allocateLoadBalancerNodePorts=False))
    quota.used("test-quota", {"services": "3", "services.nodeports": "1", "services.loadbalancers": "1"})
    for name in ("cluster-ip", "node-port", "portless"):
        services.delete(name)
    quota.used("test-quota", {"services": "0", "services.nodeports": "0", "services.loadbalancers": "0"})


def test_secrets_count(quota):
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a secret. [Conformance]"""
    quota.create("test-quota", {"secrets": "1"})
    secrets = quota.cluster.core("secrets", quota.namespace)
    secrets.create({"metadata": {"name": "test-secret"}, "data": {"data-1": "dmFsdWUtMQo="}})
    quota.used("test-quota", {"secrets": "1"})
    with refused(403, 'secrets "second" is forbidden: exceeded quota: test-quota, requested: secrets=1, used: secrets=1, limited: secrets=1'):
        secrets.create({"metadata": {"name": "second"}})
    secrets.delete("test-secret")
    quota.used("test-quota", {"secrets": "0"})


def test_config_maps_count(quota):
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a configMap. [Conformance]"""
    maps = quota.cluster.core("configmaps", quota.namespace)
    maps.wait("kube-root-ca.crt", lambda _: True, "is there")
    quota.create("test-quota", {"configmaps": "2"})
    quota.used("test-quota", {"configmaps": "1"})
    maps.create({"metadata": {"name": "test-configmap"}})
    quota.used("test-quota", {"configmaps": "2"})
    with refused(403, "exceeded quota"):
        maps.create({"metadata": {"name": "third"}})
    maps.delete("test-configmap")
    quota.used("test-quota", {"configmaps": "1"})


def test_pods_count_with_what_they_request(quota):
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a pod. [Conformance]"""
    extended = "requests.example.com/dongle"
    quota.create("test-quota", {"pods": "5", "cpu": "1", "memory": "500Mi", "ephemeral-storage": "50Gi", extended: "3"})
    pods = quota.cluster.core("pods", quota.namespace)
    fits = requests("500m", "252Mi", **{"ephemeral-storage": "30Gi", "example.com/dongle": "2"})
    pods.create(pod("test-pod", container=fits))
    used = {"pods": "1", "cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", extended: "2"}
    quota.used("test-quota", used)
    with refused(403, "exceeded quota: test-quota, requested: cpu=600m,memory=275Mi, used: cpu=500m,memory=252Mi"):
        pods.create(pod("too-large", container=requests("600m", "275Mi")))
    with refused(403, "exceeded quota: test-quota, requested: requests.example.com/dongle=2, used: requests.example.com/dongle=2"):
        pods.create(pod("too-many", container=requests("500m", "100Mi", **{"ephemeral-storage": "10Gi", "example.com/dongle": "2"})))
    with refused(403, "must specify cpu"):
        pods.create(pod("says-nothing"))
    with refused(422):
        pods.patch("test-pod", {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "50m"}}}]}}, kind="strategic")
    quota.used("test-quota", used)
    pods.delete("test-pod", {"gracePeriodSeconds": 0})
    quota.used("test-quota", {"pods": "0", "cpu": "0", "memory": "0", "ephemeral-storage": "0", extended: "0"})


def test_replication_controllers_count(quota):
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replication controller. [Conformance]"""
    quota.create("test-quota", {"replicationcontrollers": "10"})
    controllers = quota.cluster.core("replicationcontrollers", quota.namespace)
    controllers.create(replication_controller("test-rc", 0, {"name": "test-rc"}))
    quota.used("test-quota", {"replicationcontrollers": "1"})
    controllers.delete("test-rc")
    quota.used("test-quota", {"replicationcontrollers": "0"})


def test_replica_sets_count(quota):
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replica set. [Conformance]"""
    quota.create("test-quota", {"count/replicasets.apps": "5"})
    sets = quota.cluster.resource("apps/v1", "replicasets", quota.namespace)
    sets.create({"metadata": {"name": "test-rs"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template({"a": "b"})}})
    quota.used("test-quota", {"count/replicasets.apps": "1"})
    sets.delete("test-rs")
    quota.used("test-quota", {"count/replicasets.apps": "0"})


def test_a_quota_changes_and_goes(quota):
    """[sig-api-machinery] ResourceQuota should be able to update and delete ResourceQuota. [Conformance]"""
    quotas = quota.quotas
    hard = {"cpu": "1", "memory": "500Mi"}
    assert quotas.create({"metadata": {"name": "test-quota"}, "spec": {"hard": hard}})["spec"]["hard"] == hard
    assert quotas.get("test-quota")["spec"]["hard"] == hard
    larger = {"cpu": "2", "memory": "1Gi"}
    assert quotas.update("test-quota", lambda object: object["spec"].update(hard=larger))["spec"]["hard"] == larger
    assert quotas.get("test-quota")["spec"]["hard"] == larger
    quotas.delete("test-quota")
    quotas.wait_gone("test-quota")


def test_a_quota_lives(quota):
    """[sig-api-machinery] ResourceQuota should manage the lifecycle of a ResourceQuota [Conformance]"""
    quotas = quota.quotas
    hard = {"cpu": "1", "memory": "500Mi"}
    quotas.create({"metadata": {"name": "test-quota", "labels": {"e2e": "lifecycle"}}, "spec": {"hard": hard}})
    assert quotas.get("test-quota")["spec"]["hard"] == hard
    everywhere = quota.cluster.core("resourcequotas").list(labelSelector="e2e=lifecycle")["items"]
    assert [item["metadata"]["name"] for item in everywhere] == ["test-quota"]
    patched = quotas.patch("test-quota", {"metadata": {"labels": {"test-quota": "patched"}}, "spec": {"hard": {"memory": "750Mi"}}}, kind="strategic")
    assert patched["metadata"]["labels"]["test-quota"] == "patched" and patched["spec"]["hard"] == {"cpu": "1", "memory": "750Mi"}
    quotas.delete_collection(labelSelector="test-quota=patched")
    wait_for(lambda: quotas.names(labelSelector="test-quota=patched") == [], "the quota is gone")


def test_the_status_of_a_quota_changes(quota):
    """[sig-api-machinery] ResourceQuota should apply changes to a resourcequota status [Conformance]"""
    quotas = quota.quotas
    hard = {"cpu": "500m", "memory": "500Mi"}
    with quotas.watch() as watch:
        quota.create("test-quota", hard)
        revision = quotas.get("test-quota")["metadata"]["resourceVersion"]
        # The status takes other limits than the specification's, until the controller computes it anew.
        larger = {"cpu": "1", "memory": "1Gi"}
        updated = quotas.update("test-quota", lambda object: object["status"].update(hard=larger), sub="status")
        assert updated["status"]["hard"] == larger and updated["spec"]["hard"] == hard
        watch.next("MODIFIED", lambda object: object["status"].get("hard") == larger)
        patched = quotas.patch("test-quota", {"status": {"hard": {"cpu": "2", "memory": "2Gi"}}}, sub="status")
        assert patched["status"]["hard"] == {"cpu": "2", "memory": "2Gi"} and patched["spec"]["hard"] == hard
        watch.next("MODIFIED", lambda object: object["status"].get("hard") == {"cpu": "2", "memory": "2Gi"})
        assert int(watch.next("MODIFIED", lambda object: object["status"]["hard"] == hard)["metadata"]["resourceVersion"]) > int(revision)


@contextlib.contextmanager
def living(quota, object):
    pods = quota.cluster.core("pods", quota.namespace)
    pods.create(object)
    yield
    pods.delete(object["metadata"]["name"], {"gracePeriodSeconds": 0})


def test_quotas_of_terminating_pods(quota):
    """[sig-api-machinery] ResourceQuota should verify ResourceQuota with terminating scopes. [Conformance]"""
    hard = {"pods": "5", "requests.cpu": "1", "requests.memory": "500Mi", "limits.cpu": "2", "limits.memory": "1Gi"}
    nothing = {resource: "0" for resource in hard}
    used = {"pods": "1", "requests.cpu": "500m", "requests.memory": "200Mi", "limits.cpu": "1", "limits.memory": "400Mi"}
    container = {"resources": {"requests": {"cpu": "500m", "memory": "200Mi"}, "limits": {"cpu": "1", "memory": "400Mi"}}}
    quota.create("terminating", hard, scopes=["Terminating"])
    quota.create("not-terminating", hard, scopes=["NotTerminating"])
    with living(quota, pod("test-pod", container=container)):
        quota.used("not-terminating", used)
        quota.used("terminating", nothing)
    quota.used("not-terminating", nothing)
    with living(quota, pod("terminating-pod", container=container, activeDeadlineSeconds=3600)):
        quota.used("terminating", used)
        quota.used("not-terminating", nothing)
    quota.used("terminating", nothing)


def test_quotas_of_best_effort_pods(quota):
    """[sig-api-machinery] ResourceQuota should verify ResourceQuota with best effort scope. [Conformance]"""
    quota.create("best-effort", {"pods": "5"}, scopes=["BestEffort"])
    quota.create("not-best-effort", {"pods": "5"}, scopes=["NotBestEffort"])
    with living(quota, pod("test-pod")):
        quota.used("best-effort", {"pods": "1"})
        quota.used("not-best-effort", {"pods": "0"})
    quota.used("best-effort", {"pods": "0"})
    with living(quota, pod("burstable-pod", container=requests("100m", "100Mi"))):
        quota.used("not-best-effort", {"pods": "1"})
        quota.used("best-effort", {"pods": "0"})
    quota.used("not-best-effort", {"pods": "0"})
