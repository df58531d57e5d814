"""R11: a node is cut off by its cable and comes back. It becomes Unknown, its pods are evicted in their time, and no pod of a StatefulSet ever runs twice: the pods
themselves write down when they live, into one file of the host."""
import pathlib
import subprocess
import tempfile
import time

from bed import bed, until
from cluster_api import condition, pod_spec, settled

#: Upstream: node-monitor-grace-period of 50 s since the last of the leases, which are ten seconds apart, and the check's own five.
UNKNOWN_SECONDS = (40, 55)
CUT_SECONDS, QUICK_CUT_SECONDS = 600, 120
TOLERATION_SECONDS, QUICK_TOLERATION_SECONDS = 300, 20
SETS = "/apis/apps/v1/namespaces/default/statefulsets"
#: The host's clock since its start, which all its nodes have; two lines of one pod are never as far apart as two of its lives.
BEAT = 'while :; do read up rest </proc/uptime; echo "$POD $LIFE $up" >>/log/beats; sleep 0.2; done'


def read_beats(text):
    """(pod, life, seconds) of each whole line."""
    return [(name, life, float(at)) for name, life, at in (line.split() for line in text.splitlines() if line.count(" ") == 2)]


def overlaps(beats):
    """Pairs of lives of one pod of which the second began before the first had ended: (pod, first, second)."""
    lives = {}
    for name, life, at in beats:
        first, last = lives.setdefault(name, {}).get(life, (at, at))
        lives[name][life] = (min(first, at), max(last, at))
    found = []
    for name, spans in lives.items():
        ordered = sorted(spans.items(), key=lambda item: item[1])
        found += [(name, one, other) for (one, (_, end)), (other, (begin, _)) in zip(ordered, ordered[1:]) if begin <= end]
    return found


def stateful_set(folder, toleration):
    """Two pods, one on each node. `toleration`: seconds; None: the default of five minutes."""
    def own(path):
        return {"valueFrom": {"fieldRef": {"fieldPath": path}}}
    spec = pod_spec(
        command=["sh", "-c", BEAT], volumeMounts=[{"name": "log", "mountPath": "/log"}],
        env=[{"name": "POD", **own("metadata.name")}, {"name": "LIFE", **own("metadata.uid")}])
    spec["volumes"] = [{"name": "log", "hostPath": {"path": folder, "type": "Directory"}}]
    spec["topologySpreadConstraints"] = [{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app": "once"}}}]
    if toleration is not None:
        spec["tolerations"] = [
            {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": toleration}
            for taint in ("not-ready", "unreachable")]
    return {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "once", "namespace": "default"},
        "spec": {"replicas": 2, "serviceName": "once", "podManagementPolicy": "Parallel", "selector": {"matchLabels": {"app": "once"}},
                 "template": {"metadata": {"labels": {"app": "once"}}, "spec": spec}}}


def run(binary, mirror, quick):
    cut_for, toleration = (QUICK_CUT_SECONDS, QUICK_TOLERATION_SECONDS) if quick else (CUT_SECONDS, TOLERATION_SECONDS)
    with tempfile.TemporaryDirectory(prefix="eyrie-beats-") as folder, bed(binary, mirror, "10.83", nodes=2, instance_type="t3.large") as (_, api, nodes):
        api.create(SETS, stateful_set(folder, toleration if quick else None))
        assert until(lambda: settled(api.pods("app%3Donce"), 2), 120) is not None, "the pods are not Ready"
        pods = api.pods("app%3Donce")
        victim = pods[0]["metadata"]["name"]
        name = pods[0]["spec"]["nodeName"]
        instance = next(node["spec"]["providerID"] for node in api.nodes() if node["metadata"]["name"] == name).rsplit("/", 1)[-1]
        cable = next(node.cable for node in nodes if node.id == instance)

        def ready():
            return next(condition(node, "Ready") for node in api.nodes() if node["metadata"]["name"] == name)

        def is_evicted():
            found = api.pod(victim)
            return found is None or "deletionTimestamp" in found["metadata"]
        start = time.monotonic()
        subprocess.run(["ip", "link", "set", cable, "down"], check=True)
        try:
            unknown = until(lambda: ready() == "Unknown", 120)
            yield "node cut off: Unknown after", f"about 50 s (from {UNKNOWN_SECONDS[0]} to {UNKNOWN_SECONDS[1]})", unknown and f"{unknown:.0f} s", (
                unknown is not None and UNKNOWN_SECONDS[0] <= unknown <= UNKNOWN_SECONDS[1])
            evicted = until(is_evicted, toleration + 60, every=0.2)
            yield "then its pods evicted after", f"{toleration} s", evicted and f"{evicted:.0f} s", evicted is not None and abs(evicted - toleration) <= 10
            time.sleep(max(0.0, cut_for - (time.monotonic() - start)))
            replaced = (api.pod(victim) or {"metadata": {}})["metadata"].get("uid") != pods[0]["metadata"]["uid"]
            yield f"cut off for {cut_for} s: the StatefulSet's pod is replaced meanwhile", "no", "yes" if replaced else "no", not replaced
        finally:
            subprocess.run(["ip", "link", "set", cable, "up"], check=True)
        back = until(lambda: ready() == "True", 120)
        yield "healed: node Ready after", "60 s", back and f"{back:.1f} s", back is not None and back <= 60

        def is_renewed():
            found = api.pods("app%3Donce")
            return settled(found, 2) and pods[0]["metadata"]["uid"] not in {pod["metadata"]["uid"] for pod in found}
        renewed = until(is_renewed, 180)
        yield "healed: both pods Ready, with no manual step, after", "120 s", renewed and f"{renewed:.1f} s", renewed is not None and renewed <= 120
        time.sleep(2)
        beats = read_beats(pathlib.Path(folder, "beats").read_text())
        twice = overlaps(beats)
        yield f"moments at which a pod ran twice, of {len(beats)} signs of life", 0, len(twice), not twice and len(beats) > cut_for
