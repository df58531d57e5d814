"""R9: a node's agent and its containerd are killed. No container is restarted, everything converges, and nothing is left over."""
import os
import signal
import statistics
import time

from bed import bed, until
from cluster_api import DEPLOYMENTS, PODS, containers, deployment, disturbed, settled
from cri import CRI
from figures import percentile
from machines import grown

PODS_ON_NODE = 50
TARGET_SECONDS = 10
KILLED = (("agent",), ("containerd",), ("agent", "containerd"))
#: The machine's init starts what died within ten seconds of its start only after a pause.
BETWEEN_SECONDS = 11


def traces(node, runtime):
    return node.traces() | {"sandboxes": len(runtime.sandboxes()), "containers": len(runtime.containers(running=False))}


def one_round(api, node, runtime, number):
    """Kills, and deletes a pod at the same moment, so that there is something to converge. Seconds until all is well, containers that were
    disturbed, containers that nobody knows, and what there is more of than before."""
    before, had = containers(api.pods("app%3Dsteady")), traces(node, runtime)
    victim = sorted(before)[number % len(before)]
    api.delete(f"{PODS}/{victim}")
    killed = KILLED[number % len(KILLED)]
    for pid in [getattr(node, name) for name in killed]:
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def is_well():
        found = api.pods("app%3Dsteady")
        is_gone = victim not in {pod["metadata"]["name"] for pod in found}
        return is_gone and settled(found, PODS_ON_NODE) and node.agent is not None and node.containerd is not None
    seconds = until(is_well, 120)
    after = containers(api.pods("app%3Dsteady"))
    known = {container.split("://")[-1] for container, _, _ in after.values()}
    # What was killed in the middle of its work is cleaned up a moment later.
    until(lambda: not grown(had, traces(node, runtime)), 30, every=0.5)
    return killed, seconds, disturbed(before, after, {victim}), sorted(runtime.containers() - known), grown(had, traces(node, runtime))


def run(binary, mirror, quick):
    rounds = 6 if quick else 50
    found = []
    with bed(binary, mirror, "10.81", kubelet={"maxPods": 110}) as (_, api, [node]):
        runtime = CRI(node.socket)
        api.create(DEPLOYMENTS, deployment("steady", PODS_ON_NODE))
        assert until(lambda: settled(api.pods("app%3Dsteady"), PODS_ON_NODE), 300) is not None, "the pods are not Ready"
        time.sleep(BETWEEN_SECONDS)
        start = traces(node, runtime)
        for number in range(rounds):
            began = time.monotonic()
            found.append(one_round(api, node, runtime, number))
            print(f"R9 round {number + 1} of {rounds}: {found[-1]}", flush=True)
            time.sleep(max(0.0, BETWEEN_SECONDS - (time.monotonic() - began)))
        leaked = grown(start, traces(node, runtime))
        runtime.close()
    seconds = [took for _, took, *_ in found if took is not None]
    yield f"{rounds} rounds with {PODS_ON_NODE} pods: rounds that converged", rounds, len(seconds), len(seconds) == rounds
    yield "converged after, p99", f"{TARGET_SECONDS} s", f"{percentile(seconds, 0.99):.1f} s", percentile(seconds, 0.99) <= TARGET_SECONDS
    for killed in KILLED:
        some = [took for which, took, *_ in found if which == killed and took is not None]
        if some:
            most = max(some)
            yield f"{' and '.join(killed)} killed: converged after, median and most", f"{TARGET_SECONDS} s", (
                f"{statistics.median(some):.1f} s, {most:.1f} s"), most <= TARGET_SECONDS
    for position, what in ((2, "containers restarted or gone"), (3, "containers that no pod has")):
        count = sum(len(one[position]) for one in found)
        yield what, 0, count, count == 0
    yield "left over: sandboxes, cgroups, mounts, rules, addresses, processes, folders", "none", leaked or "none", not leaked
