#!/usr/bin/env python3
"""Measures a large Deployment through the release binary: `make bench-scheduler`. Prints each figure with its target and writes its part of
Benchmarks/results-scheduler.md.

usage: run_rollout.py EYRIE [RUNS]

A cluster whose node groups are simulated; `kubectl apply` of one Deployment; the clock runs from the start of kubectl until no pod is without a node.
"""
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests/outer"))
sys.path.insert(0, str(ROOT / "Benchmarks"))
from aws_setup import client, cluster, fast, role, trust  # noqa: E402
from cluster_api import API, DEPLOYMENTS, condition  # noqa: E402
from conftest import running_service  # noqa: E402
from figures import machine, write_section  # noqa: E402
from processes import cpu_seconds, resident_megabytes  # noqa: E402

NODES, REPLICAS = 1000, 5000
#: A managed node group has 450 nodes at most.
GROUPS = 4
UNBOUND = "/api/v1/namespaces/default/pods?fieldSelector=spec.nodeName%3D&limit=1"


def deployment(name, replicas):
    labels = {"app": name}
    container = {"name": "web", "image": "nginx:1.15", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}}


def eventually(condition, seconds=600, every=0.05):
    """Waits until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(every)


def nodes(service, api, subnets):
    """Simulated nodes, all Ready: the seconds they took."""
    eks, arn = client(service, "eks"), role(service, "node", trust("ec2.amazonaws.com"), ["AmazonEKSWorkerNodePolicy"])
    start, each = time.monotonic(), NODES // GROUPS
    for number in range(GROUPS):
        eks.create_nodegroup(
            clusterName="bench", nodegroupName=f"ng-{number}", scalingConfig={"minSize": each, "maxSize": each, "desiredSize": each},
            subnets=subnets, nodeRole=arn, instanceTypes=["m5.2xlarge"], tags={"eyrie.dev/runtime": "simulated"})
    for number in range(GROUPS):
        fast(eks.get_waiter("nodegroup_active")).wait(clusterName="bench", nodegroupName=f"ng-{number}")
    eventually(lambda: sum(condition(node, "Ready") == "True" for node in api.nodes()) == NODES, every=0.5)
    return time.monotonic() - start


def rollout(service, api, pid, name):
    """Seconds until the last pod had a node, and until all were available; processor seconds of the service for a pod."""
    before, start = cpu_seconds(pid), time.monotonic()
    service.run(
        service.kubectl_binary, "--server", api.endpoint, "--insecure-skip-tls-verify", "--token", api.bearer(), "apply", "-f", "-",
        input=json.dumps(deployment(name, REPLICAS)))
    path = f"{DEPLOYMENTS}/{name}"
    eventually(lambda: api.get(path).get("status", {}).get("replicas") == REPLICAS and not api.get(UNBOUND)["items"])
    bound = time.monotonic() - start
    eventually(lambda: api.get(path)["status"].get("availableReplicas") == REPLICAS)
    return bound, time.monotonic() - start, (cpu_seconds(pid) - before) / REPLICAS * 1000


def run(binary, runs):
    os.environ["EYRIE"] = binary
    with tempfile.TemporaryDirectory(prefix="eyrie-bench-") as directory, running_service(directory, {}) as service:
        subnets = cluster(service, "bench", "10.88")
        api = API(service, "bench")
        joined = nodes(service, api, subnets)
        pid = service.process.pid
        results = []
        for number in range(runs):
            results.append(rollout(service, api, pid, f"web-{number}"))
            print(f"run {number + 1} of {runs}: {results[-1]}", flush=True)
            api.delete(f"{DEPLOYMENTS}/web-{number}")
            eventually(lambda: not api.get("/api/v1/namespaces/default/pods?limit=1")["items"], every=0.5)
            time.sleep(5)
        return joined, results, resident_megabytes(pid)


def main():
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    joined, results, megabytes = run(sys.argv[1], runs)

    def shown(index, unit):
        values = [result[index] for result in results]
        return f"{statistics.median(values):.2f} {unit} ({min(values):.2f} to {max(values):.2f})"
    missed = statistics.median(result[0] for result in results) > 5
    table = "\n".join([
        "| figure | target | measured |", "|---|---|---|",
        f"| Deployment of {REPLICAS:,}, from `kubectl apply` until every pod has a node | 5 s | {shown(0, 's')}{', missed' if missed else ''} |",
        f"| the same, until all are available | | {shown(1, 's')} |",
        f"| processor time of the service for a pod | | {shown(2, 'ms')} |",
        f"| {NODES:,} simulated nodes of {GROUPS} node groups, from their creation to Ready | | {joined:.1f} s |",
        f"| resident memory of the service at the end | | {megabytes:.0f} MB |"])
    note = f"{machine()}; the release binary, {NODES:,} simulated nodes; kubectl on the same cores. {runs} runs: median (least to most)."
    write_section(ROOT / "Benchmarks/results-scheduler.md", "# The scheduler's figures\n", "rollout", f"{note}\n\n{table}")
    print(table)
    sys.exit(1 if missed else 0)


main()
