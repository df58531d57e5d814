"""A service whose clusters' scheduler is configured (`eyrie serve --scheduler-config`): a second profile that packs nodes full, and an extender that has
one node only. The nodes are simulated."""
import json
import os
import subprocess
import threading

import pytest
from aws_setup import client, cluster, fast, role, trust
from conftest import Service, clean_up, wait_for
from secure_server import JSONHandler, Server

RESOURCE = "example.com/pinned"
#: What the extender was asked, and what it answers instead while it is out of order.
QUESTIONS, TROUBLE = [], []


class Extender(JSONHandler):
    """Leaves the first node by name."""

    def do_POST(self):
        question = self.body()
        QUESTIONS.append((self.path, question))
        if TROUBLE:
            return self.answer(200, {"Error": TROUBLE[0]})
        first, *others = sorted(question["NodeNames"])
        self.answer(200, {"NodeNames": [first], "FailedNodes": {node: "not the first" for node in others}})


def configuration(port):
    packing = {"type": "MostAllocated", "resources": [{"name": "cpu", "weight": 1}, {"name": "memory", "weight": 1}]}
    return json.dumps({
        "apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
        "profiles": [
            {"schedulerName": "default-scheduler"},
            {
                "schedulerName": "packer", "plugins": {"multiPoint": {"enabled": [{"name": "NodeResourcesFit", "weight": 10}]}},
                "pluginConfig": [{"name": "NodeResourcesFit", "args": {"scoringStrategy": packing}}]}],
        "extenders": [{
            "urlPrefix": f"http://127.0.0.1:{port}/pinning", "filterVerb": "filter", "nodeCacheCapable": True,
            "managedResources": [{"name": RESOURCE, "ignoredByScheduler": True}]}]})


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.fail("the service makes networks: run it as root")
    directory = tmp_path_factory.mktemp("scheduler")
    server = Server(("127.0.0.1", 0), Extender)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (directory / "scheduler.json").write_text(configuration(server.server_address[1]))
    service = Service(directory, {})
    service.arguments = ["--scheduler-config", directory / "scheduler.json"]
    service.start()
    try:
        subnets = cluster(service, "demo", "10.99")
        arn = role(service, "demo-node", trust("ec2.amazonaws.com"), ["AmazonEKSWorkerNodePolicy"])
        service.aws(
            "eks", "create-nodegroup", "--cluster-name", "demo", "--nodegroup-name", "sim", "--node-role", arn, "--subnets", *subnets,
            "--instance-types", "m5.large", "--scaling-config", "minSize=0,maxSize=4,desiredSize=4", "--tags", "eyrie.dev/runtime=simulated")
        fast(client(service, "eks").get_waiter("nodegroup_active")).wait(clusterName="demo", nodegroupName="sim")
        yield service
    finally:
        service.stop()
        server.shutdown()
        clean_up(service)


def pods(demo, group, count, scheduler, resources):
    """Pods by themselves, which nothing spreads; their names begin with the group's."""
    items = [{
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{group}-{number}", "labels": {"group": group}},
        "spec": {
            "schedulerName": scheduler, "automountServiceAccountToken": False,
            "containers": [{"name": "c", "image": "nginx:1.15", "resources": {"requests": resources, "limits": resources}}]}}
        for number in range(count)]
    demo.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def places(demo, group, count):
    """The nodes of a group's pods, once all are bound."""
    def bound():
        names = [pod["spec"].get("nodeName") for pod in demo.get("pods", "-l", f"group={group}")["items"]]
        return names if len(names) == count and all(names) else None
    return wait_for(bound, f"the pods of {group} are bound", timeout=30)


def test_pods_are_placed_by_the_profile_they_name(demo):
    pods(demo, "spread", 4, "default-scheduler", {"cpu": "100m", "memory": "100Mi"})
    assert len(set(places(demo, "spread", 4))) == 4
    pods(demo, "packed", 6, "packer", {"cpu": "100m", "memory": "100Mi"})
    assert len(set(places(demo, "packed", 6))) == 1
    events = wait_for(
        lambda: demo.get("events", "--field-selector", "reason=Scheduled,involvedObject.name=packed-0")["items"], "an event", timeout=30)
    assert events[0]["source"]["component"] == "packer"
    # What was not the extender's concern it was not asked about.
    assert not QUESTIONS


def test_an_extender_leaves_one_node(demo):
    pods(demo, "pinned", 3, "default-scheduler", {RESOURCE: "1"})
    first = min(node["metadata"]["name"] for node in demo.get("nodes")["items"])
    assert set(places(demo, "pinned", 3)) == {first}
    path, question = QUESTIONS[0]
    assert path == "/pinning/filter" and question["Pod"]["metadata"]["name"].startswith("pinned-") and question["Nodes"] is None


def test_a_pod_waits_while_its_extender_is_out_of_order(demo):
    TROUBLE.append("out of order")
    pods(demo, "late", 1, "default-scheduler", {RESOURCE: "1"})

    def refused():
        conditions = demo.get("pod", "late-0")["status"].get("conditions", [])
        return [c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"]
    [condition] = wait_for(refused, "the extender's error is told", timeout=30)
    assert (condition["reason"], condition["message"]) == ("SchedulerError", "out of order")
    TROUBLE.clear()
    places(demo, "late", 1)


def test_pods_of_another_scheduler_are_left_alone(demo):
    pods(demo, "foreign", 1, "somebody-else", {"cpu": "100m", "memory": "100Mi"})
    pods(demo, "own", 1, "default-scheduler", {"cpu": "100m", "memory": "100Mi"})
    places(demo, "own", 1)
    pod = demo.get("pod", "foreign-0")
    assert "nodeName" not in pod["spec"] and "conditions" not in pod["status"], pod


def test_a_bad_file_stops_the_start_and_the_field_is_named(demo):
    bad = demo.directory / "bad.yaml"
    bad.write_text("apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nprofiles: [{schedulerName: a}, {}]\n")
    result = subprocess.run(
        [demo.binary, "serve", "--data-dir", demo.directory / "other", "--listen", "127.0.0.1:0", "--scheduler-config", bad], capture_output=True,
        text=True, timeout=20)
    assert result.returncode != 0 and "profiles[1].schedulerName: Required value" in result.stderr + result.stdout, result
