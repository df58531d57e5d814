"""What needs only the API of test/e2e/scheduling: limit_range.go and the end points of priority classes of preemption.go."""
from .cluster import refused
from .operations import contains
from .workloads import pod


def limit_range(name, **limits):
    return {"metadata": {"name": name, "labels": {"limits": name}}, "spec": {"limits": [{"type": "Container", **limits}]}}


def resources(cpu, memory, storage):
    return {"cpu": cpu, "memory": memory, "ephemeral-storage": storage}


def container(requests=None, limits=None):
    return {"resources": {key: value for key, value in (("requests", requests), ("limits", limits)) if value}}


def test_limit_ranges_give_defaults(cluster, namespace):
    """[sig-scheduling] LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied. [Conformance]"""
    ranges, pods = cluster.core("limitranges", namespace), cluster.core("pods", namespace)
    requests, limits = resources("100m", "200Mi", "200Gi"), resources("500m", "500Mi", "500Gi")
    with ranges.watch() as watch:
        ranges.create(limit_range("limit-range", min=resources("50m", "100Mi", "100Gi"), max=limits, default=limits, defaultRequest=requests))
        watch.next("ADDED")
        made = pods.create(pod("no-resources"))
        assert made["spec"]["containers"][0]["resources"] == {"requests": requests, "limits": limits}
        made = pods.create(pod("partial", container=container({"cpu": "300m", "memory": "150Mi"}, {"cpu": "300m"})))
        assert made["spec"]["containers"][0]["resources"] == {
            "requests": {"cpu": "300m", "memory": "150Mi", "ephemeral-storage": "200Gi"}, "limits": {"cpu": "300m", "memory": "500Mi", "ephemeral-storage": "500Gi"}}
        with refused(403, "minimum memory usage per Container is 100Mi, but request is 50Mi"):
            pods.create(pod("less", container=container(resources("10m", "50Mi", "50Gi"))))
        with refused(403, "maximum cpu usage per Container is 500m, but limit is 600m"):
            pods.create(pod("more", container=container(None, resources("600m", "600Mi", "600Gi"))))
        ranges.update("limit-range", lambda object: object["spec"]["limits"][0].update(min=resources("9m", "49Mi", "49Gi")))
        watch.next("MODIFIED", lambda object: object["spec"]["limits"][0]["min"]["cpu"] == "9m")
        pods.create(pod("less", container=container(resources("10m", "50Mi", "50Gi"))))
        ranges.delete("limit-range")
        watch.next("DELETED")
    # A pod without limits is one again.
    made = pods.create(pod("free", container=container(None, resources("600m", "600Mi", "600Gi"))))
    assert made["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "600m"


def test_limit_ranges_are_a_collection(cluster, namespace):
    """[sig-scheduling] LimitRange should list, patch and delete a LimitRange by collection [Conformance]"""
    limits = {"default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}, "min": {"cpu": "50m"}}
    ranges = cluster.core("limitranges", namespace)
    with cluster.namespace() as other:
        for space in (namespace, other):
            cluster.core("limitranges", space).create(limit_range("e2e-limitrange", **limits))
        found = cluster.core("limitranges").list(labelSelector="limits=e2e-limitrange")["items"]
        assert sorted(item["metadata"]["namespace"] for item in found) == sorted([namespace, other])
        patched = ranges.patch("e2e-limitrange", {"metadata": {"labels": {"e2e-limitrange": "patched"}}, "spec": {"limits": [
            {"type": "Container", "min": {"cpu": "40m"}, **{key: value for key, value in limits.items() if key != "min"}}]}}, kind="strategic")
        assert patched["metadata"]["labels"]["e2e-limitrange"] == "patched"
        assert contains(patched["spec"]["limits"][0], {"min": {"cpu": "40m"}})
        ranges.delete_collection(labelSelector="e2e-limitrange=patched")
        assert ranges.names() == []
        left = cluster.core("limitranges").list(labelSelector="limits=e2e-limitrange")["items"]
        assert [item["metadata"]["namespace"] for item in left] == [other]


def test_priority_classes(cluster):
    """[sig-scheduling] SchedulerPreemption [Serial] PriorityClass endpoints verify PriorityClass endpoints can be operated with different HTTP methods [Conformance]"""
    classes = cluster.resource("scheduling.k8s.io/v1", "priorityclasses")
    for name, value in (("p1", 1), ("p2", 2)):
        classes.create({"metadata": {"name": name}, "value": value})
    for change in ("update", "patch"):
        # The value cannot be changed by any method.
        with refused(422, "value: Forbidden: may not be changed in an update."):
            if change == "update":
                classes.update("p1", lambda object: object.update(value=object["value"] * 10))
            else:
                classes.patch("p1", {"value": 10})
    assert classes.patch("p2", {"description": "patched"})["description"] == "patched"
    assert classes.update("p1", lambda object: object.update(description="updated"))["description"] == "updated"
    assert {"p1", "p2", "system-node-critical"} <= set(classes.names())
    for name, value in (("p1", 1), ("p2", 2)):
        assert classes.get(name)["value"] == value
        classes.delete(name)
        assert classes.gone(name)
