"""Predicates and preemption. Upstream: test/e2e/scheduling."""
import json

import pytest
from conftest import wait_for

from .kube import condition, names, pod, ready, workload

RESOURCE = "example.com/fakecpu"


@pytest.fixture
def scarce(kube):
    """Two of a resource on each node."""
    nodes = names(kube.get("nodes")["items"])
    for node in nodes:
        kube.patch("node", node, {"status": {"capacity": {RESOURCE: "2"}, "allocatable": {RESOURCE: "2"}}}, sub="status")
    try:
        yield nodes
    finally:
        kube.kubectl("delete", "pods", "--all", "--grace-period=0", "--force", check=False)
        for node in nodes:
            kube.patch("node", node, {"status": {"capacity": {RESOURCE: None}, "allocatable": {RESOURCE: None}}}, sub="status")


def needing(name, amount, priority=None, **spec):
    resources = {"requests": {RESOURCE: str(amount)}, "limits": {RESOURCE: str(amount)}}
    if priority:
        spec["priorityClassName"] = priority
    return pod(name, container={"resources": resources}, **spec)


def on(node):
    return {"nodeSelector": {"kubernetes.io/hostname": node}}


def unschedulable(kube, name, *texts):
    object = kube.wait("pod", name, lambda p: condition(p, "PodScheduled").get("reason") == "Unschedulable", "is not scheduled")
    message = condition(object, "PodScheduled")["message"]
    for text in texts:
        assert text in message, message


@pytest.fixture
def classes(kube):
    """Priorities of the test's own: low, medium and high."""
    made = {name: f"{kube.namespace}-{name}"[-60:].lstrip("-") for name in ("low", "medium", "high")}
    kube.create(*({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": made[name]}, "value": value}
                  for name, value in (("low", 1), ("medium", 100), ("high", 1000))))
    yield made
    kube.kubectl("delete", "priorityclass", *made.values(), check=False)


def gone(kube, name):
    return kube.kubectl("get", "pod", name, check=False).returncode != 0


def test_resource_limits(kube, scarce):
    """[sig-scheduling] SchedulerPredicates [Serial] validates resource limits of pods that are allowed to run [Conformance]"""
    kube.create(*(needing(f"filler-{i}", 2, **on(node)) for i, node in enumerate(scarce)))
    for i in range(2):
        kube.wait("pod", f"filler-{i}", ready, "runs")
    kube.create(needing("additional", 1))
    unschedulable(kube, "additional", "0/2 nodes are available", f"2 Insufficient {RESOURCE}")


def test_selector_not_matching(kube):
    """[sig-scheduling] SchedulerPredicates [Serial] validates that NodeSelector is respected if not matching [Conformance]"""
    kube.create(pod("restricted", nodeSelector={"label": "nonempty"}))
    unschedulable(kube, "restricted", "0/2 nodes are available", "2 node(s) didn't match Pod's node affinity/selector")


def test_selector_matching(kube):
    """[sig-scheduling] SchedulerPredicates [Serial] validates that NodeSelector is respected if matching [Conformance]"""
    node = names(kube.get("nodes")["items"])[1]
    try:
        kube.kubectl("label", "node", node, "kubernetes.io/e2e-pick=42")
        kube.create(pod("with-labels", nodeSelector={"kubernetes.io/e2e-pick": "42"}))
        assert kube.wait("pod", "with-labels", ready, "runs")["spec"]["nodeName"] == node
    finally:
        kube.kubectl("label", "node", node, "kubernetes.io/e2e-pick-")


def test_host_ports(kube):
    """[sig-scheduling] SchedulerPredicates [Serial] validates that there exists conflict between pods with same hostPort and protocol but one using 0.0.0.0 hostIP [Conformance]"""
    node = names(kube.get("nodes")["items"])[0]
    def using(name, address=None):
        port = {"containerPort": 80, "hostPort": 54322, "protocol": "TCP", **({"hostIP": address} if address else {})}
        return pod(name, container={"ports": [port]}, **on(node))
    kube.create(using("pod4"))
    kube.wait("pod", "pod4", lambda p: p["spec"].get("nodeName") == node, "is scheduled")
    kube.create(using("pod5", "127.0.0.1"))
    unschedulable(kube, "pod5", "node(s) didn't have free ports for the requested pod ports")


def preempts(kube, scarce, classes, priority, **spec):
    """Fills both nodes, one with a pod of low priority; a pod that comes takes that one's place."""
    kube.create(needing("low", 2, classes["low"], **on(scarce[0])), needing("medium", 2, classes["medium"], **on(scarce[1])))
    for name in ("low", "medium"):
        kube.wait("pod", name, ready, "runs")
    kube.create(needing("preemptor", 2, priority, **spec))
    assert kube.wait("pod", "preemptor", ready, "runs")["spec"]["nodeName"] == scarce[0]
    assert gone(kube, "low") and not gone(kube, "medium")
    events = kube.get("events")["items"]
    assert any(e["reason"] == "Preempted" and e["involvedObject"]["name"] == "low" for e in events)


def test_basic_preemption(kube, scarce, classes):
    """[sig-scheduling] SchedulerPreemption [Serial] validates basic preemption works [Conformance]"""
    preempts(kube, scarce, classes, classes["high"])


def test_critical_preemption(kube, scarce, classes):
    """[sig-scheduling] SchedulerPreemption [Serial] validates lower priority pod preemption by critical pod [Conformance]"""
    preempts(kube, scarce, classes, "system-node-critical")


def test_disruption_condition(kube, scarce, classes):
    """[sig-scheduling] SchedulerPreemption [Serial] validates pod disruption condition is added to the preempted pod [Conformance]"""
    victim = needing("victim", 2, classes["low"], **on(scarce[0]))
    victim["metadata"]["finalizers"] = ["example.com/test-finalizer"]
    kube.create(victim)
    kube.wait("pod", "victim", ready, "runs")
    try:
        kube.create(needing("preemptor", 2, classes["high"], **on(scarce[0])))
        object = kube.wait("pod", "victim", lambda p: "deletionTimestamp" in p["metadata"], "is being deleted")
        assert condition(object, "DisruptionTarget")["reason"] == "PreemptionByScheduler"
        assert kube.get("pod", "preemptor")["status"].get("nominatedNodeName") in (scarce[0], None)
    finally:
        kube.patch("pod", "victim", {"metadata": {"finalizers": None}})
    kube.wait("pod", "preemptor", ready, "runs")


def test_preemption_path(kube, scarce, classes):
    """[sig-scheduling] SchedulerPreemption [Serial] PreemptionExecutionPath runs ReplicaSets to verify preemption running path [Conformance]"""
    def replicas(name, count, priority):
        resources = {"requests": {RESOURCE: "1"}, "limits": {RESOURCE: "1"}}
        return workload("ReplicaSet", name, count, container={"resources": resources}, pod={"priorityClassName": classes[priority], **on(scarce[0])})
    kube.create(replicas("rs-low", 2, "low"))
    kube.wait_running("app=rs-low", 2)
    kube.create(replicas("rs-medium", 1, "medium"))
    kube.wait_running("app=rs-medium", 1)
    kube.create(replicas("rs-high", 1, "high"))
    kube.wait_running("app=rs-high", 1)
    wait_for(lambda: not [p for p in kube.list("pods", "app=rs-low") if ready(p)], "no pod of low priority runs")
    assert len([p for p in kube.list("pods", "app=rs-medium") if ready(p)]) == 1
