#!/usr/bin/env python3
"""Measures a node through its release binary, with real containers: `make bench-nodes`, as root. Prints each figure with its target and writes
Benchmarks/results-nodes.md.

usage: run_nodes.py EYRIE [RUNS]

A hundred pods at once on one node, against the same hundred sandboxes and containers made by its containerd and runc alone, on the same machine with the agent stopped.
"""
import contextlib
import json
import os
import pathlib
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests/outer"))
sys.path.insert(0, str(ROOT / "Benchmarks"))
from bed import bed, registry, until  # noqa: E402
from cluster_api import DEPLOYMENTS, PODS, Watch, condition, deployment, pod, running_since, settled  # noqa: E402
from conftest import leftovers  # noqa: E402
from cri import CRI, start_many  # noqa: E402
from figures import Figure, machine, percentile, table  # noqa: E402
from processes import cpu_seconds, proportional_megabytes, resident_megabytes  # noqa: E402

COUNT = 100
AT_ONCE = (8, COUNT)
IDLE_SECONDS = 60
#: After a burst: images' and pods' memory is given back, statuses are written.
SETTLING_SECONDS = 20

FIGURES = [
    Figure(f"{COUNT} pods at once on a node, from `kubectl apply` to all Running", None, "s"),
    Figure(f"{COUNT} sandboxes and containers by containerd and runc alone", None, "s"),
    Figure("the former by the latter", 1.3, ""),
    Figure("container's start to its status seen by a watch, median, one pod after another", None, "ms"),
    Figure("container's start to its status seen by a watch, p99, one pod after another", 50, "ms"),
    Figure(f"container's start to its status seen by a watch, p99, {COUNT} pods at once", None, "ms"),
    Figure(f"resident memory of the agent with {COUNT} pods", 60, "MB"),
    Figure("the same, what is shared divided by its users (PSS)", None, "MB"),
    Figure(f"idle CPU of the agent with {COUNT} pods", 1, "% of a core"),
]


@contextlib.contextmanager
def stopped(pid):
    """A process does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def delays(watch, runtime):
    """Milliseconds from each container's start, as containerd has it, to the watch's first event that says so."""
    return [(seen - runtime.started(container)) / 1e6 for container, seen in running_since(watch.events()).items()]


def alone(node, api):
    """Seconds of containerd and runc without us: the better of few and of all at once."""
    with stopped(node.agent):
        seconds = min(start_many(node.socket, node, COUNT, at_once) for at_once in AT_ONCE)
    # Its lease may have run out meanwhile.
    assert until(lambda: condition(api.nodes()[0], "Ready") == "True", 120) is not None
    return seconds


def together(service, api, runtime):
    """Seconds and delays of the pods at once; they stay."""
    watch = Watch(api, f"{PODS}?labelSelector=app%3Dsmall")
    token, body = api.bearer(), json.dumps(deployment("small", COUNT))
    start = time.monotonic()
    service.run(
        service.kubectl_binary, "--server", api.endpoint, "--insecure-skip-tls-verify", "--token", token, "apply", "-f", "-", input=body)
    deadline = start + 600
    # The watch's thread has the clock: this only asks it whether all are there.
    while len(running_since(watch.events())) < COUNT:
        assert time.monotonic() < deadline, "the pods are not Running"
        time.sleep(0.25)
    last = max(running_since(watch.events()).values())
    seconds = time.monotonic() - start - (time.time_ns() - last) / 1e9
    return seconds, delays(watch, runtime)


def in_turn(api, runtime):
    """Delays of pods that are made one after another, and removed."""
    watch = Watch(api, f"{PODS}?labelSelector=app%3Dturn")
    for index in range(COUNT):
        api.create(PODS, pod(f"turn-{index}", {"app": "turn"}))
        assert until(lambda: len(running_since(watch.events())) > index, 60) is not None
    found = delays(watch, runtime)
    for index in range(COUNT):
        api.delete(f"{PODS}/turn-{index}", grace=0)
    return found


def run(binary, mirror):
    figures = {}
    with bed(binary, mirror, "10.87", kubelet={"maxPods": 110}) as (service, api, [node]):
        runtime = CRI(node.socket)
        # The image is there before anything is measured.
        api.create(PODS, pod("first"))
        assert until(lambda: settled(api.pods("app%3Dfirst"), 1), 120) is not None
        api.delete(f"{PODS}/first")
        assert until(lambda: not runtime.sandboxes(), 60) is not None

        figures[FIGURES[1].name] = alone(node, api)
        slow = in_turn(api, runtime)
        figures[FIGURES[3].name], figures[FIGURES[4].name] = percentile(slow, 0.5), percentile(slow, 0.99)
        assert until(lambda: not runtime.sandboxes(), 120) is not None
        figures[FIGURES[0].name], fast = together(service, api, runtime)
        figures[FIGURES[2].name] = figures[FIGURES[0].name] / figures[FIGURES[1].name]
        figures[FIGURES[5].name] = percentile(fast, 0.99)

        time.sleep(SETTLING_SECONDS)
        agent = node.agent
        before = cpu_seconds(agent)
        time.sleep(IDLE_SECONDS)
        figures[FIGURES[8].name] = (cpu_seconds(agent) - before) / IDLE_SECONDS * 100
        figures[FIGURES[6].name], figures[FIGURES[7].name] = resident_megabytes(agent), proportional_megabytes(agent)
        runtime.close()
        api.delete(f"{DEPLOYMENTS}/small")
    return figures


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # The thread that takes the watch's times does not wait long for the one that reads events.
    sys.setswitchinterval(0.0005)
    binary, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    assert not leftovers(), f"an earlier run left: {leftovers()}"
    results = []
    with registry() as mirror:
        for number in range(runs):
            results.append(run(binary, mirror))
            print(f"run {number + 1} of {runs}: {json.dumps(results[-1], indent=1)}", flush=True)
    rows, missed = table(FIGURES, results)
    text = "\n".join([
        "# Results of `make bench-nodes`", "",
        f"Machine: {machine()}, the service, its client and the node on the same cores. Release build. {runs} runs: median (least to most).", "",
        f"One node of type m5.4xlarge (more than the machine has), pods of one container `sleep`, image present. Alone: the node's containerd, with its agent stopped, is asked by the CRI from Python "
        f"for a sandbox, a container like the pods' (hosts file, termination log, folder of the token, masked paths) and its start, {' or '.join(map(str, AT_ONCE))} at once, whichever is quicker; the same CNI plug-in and kinds of cgroups. The start of a container is containerd's "
        f"`started_at`. Idle is {IDLE_SECONDS} s.", "", *rows]) + "\n"
    (ROOT / "Benchmarks/results-nodes.md").write_text(text)
    print(text)
    sys.exit(1 if missed else 0)


main()
