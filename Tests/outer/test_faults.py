"""Faults on a node: the agent, containerd and the machine itself are killed. What runs goes on; what died is replaced."""
import os
import signal

from conftest import wait_for
from machines import agents, containerds, processes

POD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: steady}
spec:
  replicas: 2
  selector: {matchLabels: {app: steady}}
  template:
    metadata: {labels: {app: steady}}
    spec:
      containers: [{name: c, image: "nginx:1.15"}]
"""


def running(service):
    """Pod name to (container id, restarts), when both are ready."""
    found = {}
    for pod in service.get("pods", "-l", "app=steady")["items"]:
        statuses = pod["status"].get("containerStatuses", [])
        if statuses and statuses[0]["ready"] and "deletionTimestamp" not in pod["metadata"]:
            found[pod["metadata"]["name"]] = (statuses[0]["containerID"], statuses[0]["restartCount"])
    return found if len(found) == 2 else None


def test_eyrie_up_makes_a_cluster_of_one_node(service):
    service.run(service.binary, "up", "faults", "--data-dir", service.data, "--nodes", "1", timeout=120)
    assert len(service.get("nodes")["items"]) == 1
    service.kubectl("apply", "-f", "-", input=POD)
    wait_for(lambda: running(service), "two pods ready")


def test_a_killed_agent_restarts_no_container(service):
    before = running(service)
    for pid in agents(service):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: agents(service), "the agent is started again")
    # The new agent has taken over when it answers for the pods.
    name = next(iter(before))
    wait_for(lambda: service.kubectl("exec", name, "--", "hostname", check=False).stdout.strip() == name, "exec through the new agent")
    wait_for(lambda: running(service) == before, "the same containers")


def test_a_killed_containerd_restarts_no_container(service):
    before = running(service)
    for pid in containerds(service):
        os.kill(pid, signal.SIGKILL)
    name = next(iter(before))
    wait_for(lambda: service.kubectl("exec", name, "--", "hostname", check=False).stdout.strip() == name, "exec through the new containerd")
    wait_for(lambda: running(service) == before, "the same containers")


def test_a_dead_machine_is_replaced_by_another_instance(service):
    old = service.get("nodes")["items"][0]["metadata"]["name"]
    before = running(service)
    for pid in processes(f"machine-run {service.data}/machines/"):
        os.kill(pid, signal.SIGKILL)

    def replaced():
        nodes = [n for n in service.get("nodes")["items"] if any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"]["conditions"])]
        return [n["metadata"]["name"] for n in nodes] if nodes and all(n["metadata"]["name"] != old for n in nodes) else None
    wait_for(replaced, "another node is Ready", timeout=60)

    # The API server goes on showing the dead node's pods until pod garbage collection is sure of them (40 s).
    def renewed():
        pods = running(service)
        return pods if pods and not set(pods) & set(before) else None
    wait_for(renewed, "two other pods are ready on the new node", timeout=120)
