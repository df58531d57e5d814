"""What a node does with running pods: resources changed in place, limits on disk and memory kept, pods evicted. Real containers on one node, kubectl."""
import json

import pytest
from aws_setup import cluster
from conftest import wait_for


@pytest.fixture(scope="module")
def node(service):
    cluster(service, "node", "10.94", nodes=1)
    return service


def pod(name, **spec):
    container = {"name": "main", "image": "nginx:1.15", "command": ["sleep", "100000"]}
    container.update(spec.pop("container", {}))
    body = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    body.update(spec)
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body})


def create(service, name, **spec):
    service.kubectl("apply", "-f", "-", input=pod(name, **spec))
    service.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")


def shell(service, name, script):
    return service.kubectl("exec", name, "--", "sh", "-c", script).strip()


def status(service, name):
    return service.get("pod", name)["status"]


def ended(service, name):
    return wait_for(lambda: (s := status(service, name))["phase"] == "Failed" and s, f"{name} is Failed", timeout=60)


def events(service, name):
    return {(e["reason"], e["message"]) for e in service.get("events", "--field-selector", f"involvedObject.name={name}")["items"]}


def limits(service, name):
    """Quota and memory limit of a container's cgroup, as the container sees it, in either version of cgroups."""
    return shell(service, name, "cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us cpu.max memory/memory.limit_in_bytes memory.max 2>/dev/null; true").split()


def resize(service, name, cpu, memory):
    amounts = {"cpu": cpu, "memory": memory}
    patch = {"spec": {"containers": [{"name": "main", "resources": {"requests": amounts, "limits": amounts}}]}}
    service.kubectl("patch", "pod", name, "--subresource", "resize", "--patch", json.dumps(patch))


def conditions(service, name):
    return {c["type"]: c for c in status(service, name)["conditions"]}


def resized(service, name, cpu, memory):
    """Waits until the status has these amounts and no resize is on its way; the container's status."""
    def look():
        found = status(service, name)
        container = found["containerStatuses"][0]
        same = container.get("resources", {}).get("limits") == {"cpu": cpu, "memory": memory}
        return same and not any(c["type"].startswith("PodResize") for c in found["conditions"]) and container
    return wait_for(look, f"{name} has cpu {cpu} and memory {memory}", timeout=30)


def test_resize_in_place(node):
    """Limits of a running container change, up and down, without a restart; what has no room waits, and what never has room is refused."""
    amounts = {"cpu": "200m", "memory": "64Mi"}
    create(node, "sized", container={"resources": {"requests": amounts, "limits": amounts}})
    resize(node, "sized", "300m", "96Mi")
    container = resized(node, "sized", "300m", "96Mi")
    assert container["restartCount"] == 0 and container["allocatedResources"] == {"cpu": "300m", "memory": "96Mi"}
    assert {"30000", str(96 << 20)} <= set(limits(node, "sized"))
    resize(node, "sized", "150m", "80Mi")
    assert resized(node, "sized", "150m", "80Mi")["restartCount"] == 0
    assert {"15000", str(80 << 20)} <= set(limits(node, "sized"))
    wait_for(lambda: {"ResizeStarted", "ResizeCompleted"} <= {r for r, _ in events(node, "sized")}, "the resize is told in events")

    resize(node, "sized", "100", "80Mi")
    pending = wait_for(lambda: conditions(node, "sized").get("PodResizePending"), "a resize beyond the node is pending")
    assert pending["reason"] == "Infeasible" and pending["message"].startswith("Node didn't have enough capacity: cpu, requested: 100000, capacity: ")
    create(node, "neighbour", container={"resources": {"requests": {"cpu": "1"}}})
    resize(node, "sized", "1500m", "80Mi")
    wait_for(lambda: conditions(node, "sized").get("PodResizePending", {}).get("reason") == "Deferred", "a resize without room is deferred")
    assert "15000" in limits(node, "sized")
    node.kubectl("delete", "pod", "neighbour")
    assert resized(node, "sized", "1500m", "80Mi")["restartCount"] == 0
    node.kubectl("delete", "pod", "sized")


def test_resize_with_restart(node):
    """A container whose policy says so starts anew for another memory limit, and not for another cpu limit."""
    amounts = {"cpu": "200m", "memory": "64Mi"}
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}, {"resourceName": "cpu", "restartPolicy": "NotRequired"}]
    create(node, "strict", container={"resources": {"requests": amounts, "limits": amounts}, "resizePolicy": policy})
    resize(node, "strict", "250m", "64Mi")
    assert resized(node, "strict", "250m", "64Mi")["restartCount"] == 0
    resize(node, "strict", "250m", "96Mi")
    wait_for(lambda: resized(node, "strict", "250m", "96Mi")["restartCount"] == 1, "the container starts anew")
    node.kubectl("wait", "--for=condition=Ready", "pod/strict", "--timeout=30s")
    assert str(96 << 20) in limits(node, "strict")
    node.kubectl("delete", "pod", "strict")


def test_no_room(node):
    """A pod that is sent to the node by name and does not fit is refused, in the kubelet's words."""
    name = node.get("nodes")["items"][0]["metadata"]["name"]
    node.kubectl("apply", "-f", "-", input=pod("huge", nodeName=name, container={"resources": {"requests": {"cpu": "64"}}}))
    found = ended(node, "huge")
    assert found["reason"] == "OutOfcpu" and found["message"].startswith("Pod was rejected: Node didn't have enough resource: cpu, requested: 64000")
    assert "containerStatuses" not in found
    node.kubectl("delete", "pod", "huge")
