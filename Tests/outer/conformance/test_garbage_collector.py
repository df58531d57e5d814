"""test/e2e/apimachinery/garbage_collector.go"""
from conftest import wait_for

from .workloads import deployment, pod, replication_controller


def options(policy, owner):
    return {"propagationPolicy": policy, "preconditions": {"uid": owner["metadata"]["uid"]}}


def owned(resource, owner):
    return [item for item in resource.list()["items"] if owner in [o["name"] for o in item["metadata"].get("ownerReferences", [])]]


def controlled(cluster, namespace, name, replicas):
    """A replication controller that has made its pods."""
    controllers = cluster.core("replicationcontrollers", namespace)
    controllers.create(replication_controller(name, replicas, {"gctest": name}))
    return controllers.wait(name, lambda object: object["status"].get("replicas") == replicas, f"has made {replicas} pods")


def no_more_changes(cluster, namespace, resource):
    """The garbage collector has looked at everything that was there: it has taken what was made after it, whose owner does not exist."""
    maps = cluster.core("configmaps", namespace)
    maps.create({"metadata": {"name": "marker", "ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "00000000-0000-0000-0000-000000000000"}]}})
    maps.wait_gone("marker")
    return resource.list()["items"]


def test_pods_of_a_controller_go_in_the_background(cluster, namespace):
    """[sig-api-machinery] Garbage collector should delete pods created by rc when not orphaning [Conformance]"""
    controllers, pods = cluster.core("replicationcontrollers", namespace), cluster.core("pods", namespace)
    controller = controlled(cluster, namespace, "background", 10)
    assert len(pods.names()) == 10
    controllers.delete("background", options("Background", controller))
    wait_for(lambda: controllers.names() == [] and pods.names() == [], "controller and pods are gone")


def test_pods_of_a_controller_are_orphaned(cluster, namespace):
    """[sig-api-machinery] Garbage collector should orphan pods created by rc if delete options say so [Serial] [Conformance]"""
    controllers, pods = cluster.core("replicationcontrollers", namespace), cluster.core("pods", namespace)
    controller = controlled(cluster, namespace, "orphaning", 100)
    controllers.delete("orphaning", options("Orphan", controller))
    controllers.wait_gone("orphaning")
    assert owned(pods, "orphaning") == []
    left = no_more_changes(cluster, namespace, pods)
    assert len(left) == 100 and all("deletionTimestamp" not in item["metadata"] for item in left)
    pods.delete_collection({"gracePeriodSeconds": 0})


def test_replica_sets_of_a_deployment_go(cluster, namespace):
    """[sig-api-machinery] Garbage collector should delete RS created by deployment when not orphaning [Conformance]"""
    deployments, sets = cluster.resource("apps/v1", "deployments", namespace), cluster.resource("apps/v1", "replicasets", namespace)
    made = deployments.create(deployment("simpletest", 2))
    wait_for(lambda: sets.names(), "the replica set is made")
    deployments.delete("simpletest", options("Background", made))
    pods = cluster.core("pods", namespace)
    wait_for(lambda: deployments.names() == [] and sets.names() == [] and pods.names() == [], "deployment, replica set and pods are gone")


def test_replica_sets_of_a_deployment_are_orphaned(cluster, namespace):
    """[sig-api-machinery] Garbage collector should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan [Conformance]"""
    deployments, sets = cluster.resource("apps/v1", "deployments", namespace), cluster.resource("apps/v1", "replicasets", namespace)
    made = deployments.create(deployment("simpletest", 2))
    name = wait_for(lambda: sets.names(), "the replica set is made")[0]
    sets.wait(name, lambda object: object["status"].get("replicas") == 2, "has made its pods")
    deployments.delete("simpletest", options("Orphan", made))
    deployments.wait_gone("simpletest")
    left = no_more_changes(cluster, namespace, sets)
    assert [item["metadata"]["name"] for item in left] == [name] and owned(sets, "simpletest") == []
    assert len(cluster.core("pods", namespace).names()) == 2


def test_a_controller_stays_until_its_pods_are_gone(cluster, namespace):
    """[sig-api-machinery] Garbage collector should keep the rc around until all its pods are deleted if the deleteOptions says so [Serial] [Conformance]"""
    controllers, pods = cluster.core("replicationcontrollers", namespace), cluster.core("pods", namespace)
    controller = controlled(cluster, namespace, "foreground", 50)
    # One pod that does not go shows that the controller waits.
    last = pods.names()[0]
    pods.patch(last, {"metadata": {"finalizers": ["e2e.example.com/stay"]}})
    deleted = controllers.delete("foreground", options("Foreground", controller))
    assert "foregroundDeletion" in deleted["metadata"]["finalizers"] and deleted["metadata"]["deletionTimestamp"]
    wait_for(lambda: pods.names() == [last], "all other pods are gone")
    assert not controllers.gone("foreground")
    pods.patch(last, {"metadata": {"finalizers": None}})
    controllers.wait_gone("foreground")
    assert pods.names() == []


def test_a_dependent_with_another_owner_stays(cluster, namespace):
    """[sig-api-machinery] Garbage collector should not delete dependents that have both valid owner and owner that's waiting for dependents to be deleted [Serial] [Conformance]"""
    controllers, pods = cluster.core("replicationcontrollers", namespace), cluster.core("pods", namespace)
    deleted = controlled(cluster, namespace, "to-be-deleted", 10)
    kept = controllers.create(replication_controller("to-stay", 0, {"gctest": "to-stay"}))
    reference = {"apiVersion": "v1", "kind": "ReplicationController", "name": "to-stay", "uid": kept["metadata"]["uid"]}
    shared = pods.names()[:5]
    for name in shared:
        pods.patch(name, {"metadata": {"ownerReferences": [reference]}}, kind="strategic")
    controllers.delete("to-be-deleted", options("Foreground", deleted))
    controllers.wait_gone("to-be-deleted")
    left = no_more_changes(cluster, namespace, pods)
    assert sorted(item["metadata"]["name"] for item in left) == sorted(shared)
    assert all("deletionTimestamp" not in item["metadata"] for item in left)
    assert {o["name"] for item in left for o in item["metadata"]["ownerReferences"]} == {"to-stay"}


def test_a_circle_of_owners_does_not_block(cluster, namespace):
    """[sig-api-machinery] Garbage collector should not be blocked by dependency circle [Conformance]"""
    pods = cluster.core("pods", namespace)
    made = [pods.create(pod(f"pod{number}")) for number in (1, 2, 3)]
    for index, object in enumerate(made):
        owner = made[index - 1]["metadata"]
        reference = {"apiVersion": "v1", "kind": "Pod", "name": owner["name"], "uid": owner["uid"], "controller": True, "blockOwnerDeletion": True}
        pods.patch(object["metadata"]["name"], {"metadata": {"ownerReferences": [reference]}}, kind="strategic")
    pods.delete("pod1", {"propagationPolicy": "Foreground", "gracePeriodSeconds": 0})
    wait_for(lambda: pods.names() == [], "all three are gone", timeout=30)
