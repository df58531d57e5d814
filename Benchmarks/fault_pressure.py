"""R13: a node's disk is full (of containers' files, inodes, logs, and from without while an image is pulled) and its memory is used up, with 109 other pods. The agent lives on, the
right pod is evicted, the others are not touched, and the node recovers."""
import contextlib
import os
import pathlib
import subprocess
import time

from bed import bed, until
from cluster_api import DEPLOYMENTS, PODS, condition, containers, deployment, disturbed, pod, settled

STEADY = 108
MAX_PODS = 110
DISK_BYTES, DISK_INODES = 4 << 30, 65536
#: The kubelet keeps a condition for five minutes after its cause; then it is gone at the next look.
RECOVERY_SECONDS = 300 + 60
#: Of 32 GiB: what remains for pods is soon used up.
RESERVED = "30Gi"
MEBIBYTE = 1 << 20


@contextlib.contextmanager
def disk(folder):
    """A small filesystem at a folder: ext4 in a file; a tmpfs of that size where there are no loop devices."""
    folder.mkdir(parents=True)
    os.chmod(folder.parent, 0o700)
    image = folder.parent.parent / "disk.img"
    with open(image, "wb") as file:
        file.truncate(DISK_BYTES)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-N", str(DISK_INODES), image], check=True)
        subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    except (OSError, subprocess.CalledProcessError):
        print("R13: no loop device, the disk is a tmpfs")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},nr_inodes={DISK_INODES}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def mebibytes(quantity):
    """Whole MiB of a quantity of memory as nodes have it."""
    units = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
    return int(quantity[:-2]) * units[quantity[-2:]] // MEBIBYTE if quantity[-2:] in units else int(quantity) // MEBIBYTE


def working_set(text, usage):
    """Bytes of a control group that the kernel cannot take back at once: `memory.stat` and its usage."""
    values = dict(line.split() for line in text.splitlines())
    return usage - int(values.get("total_inactive_file", values.get("inactive_file", 0)))


def pods_memory(node):
    """MiB that all pods of a node use."""
    for base, usage in ((f"/sys/fs/cgroup/memory/eyrie/{node.id}", "memory.usage_in_bytes"), (f"/sys/fs/cgroup/eyrie/{node.id}", "memory.current")):
        group = pathlib.Path(base, "kubepods")
        if (group / usage).exists():
            return working_set((group / "memory.stat").read_text(), int((group / usage).read_text())) // MEBIBYTE
    raise AssertionError("no control group of pods")


class Watchman:
    """What must hold in every case: the agent's process, the steady pods' containers."""

    def __init__(self, api, node):
        self.api, self.node = api, node
        self.agent, self.before = node.agent, containers(api.pods("app%3Dsteady"))

    def rows(self, case, touches_others=False):
        alive = self.node.agent == self.agent
        yield f"{case}: the agent lives on", "yes", "yes" if alive else "no", alive
        if not touches_others:
            hurt = disturbed(self.before, containers(self.api.pods("app%3Dsteady")))
            yield f"{case}: other containers restarted or gone", 0, len(hurt), not hurt

    def alive(self):
        """Evicted pods stay as Failed beside those that their Deployment made in their place."""
        return [pod for pod in self.api.pods("app%3Dsteady") if pod["status"].get("phase") != "Failed"]

    def recovery(self, case, kind):
        gone = until(lambda: condition(self.api.nodes()[0], kind) == "False", RECOVERY_SECONDS, every=1)
        yield f"{case}: {kind} over after", f"{RECOVERY_SECONDS} s", gone and f"{gone:.0f} s", gone is not None
        well = until(lambda: settled(self.alive(), STEADY), 120, every=0.5)
        yield f"{case}: all {STEADY} pods Ready after", "120 s", well and f"{well:.1f} s", well is not None


def reason(api, name):
    return (api.pod(name) or {"status": {}})["status"].get("reason")


def filler(api, name, script, **spec):
    """A pod that uses something up. It has a request, and tolerates what an earlier case may have left."""
    own = {"volumes": [{"name": "cache", "emptyDir": spec.pop("volume", {})}], "tolerations": [{"operator": "Exists"}]}
    return api.create(PODS, pod(
        name, spec=own | spec, command=["sh", "-c", f"{script}; sleep 100000"], volumeMounts=[{"name": "cache", "mountPath": "/cache"}],
        resources={"requests": {"memory": "8Mi"}}))


def evicted(api, name, case, kind, patience=120, may_stay=False):
    """`may_stay`: the pod may also be kept within what the node has."""
    took = until(lambda: reason(api, name) == "Evicted", patience, every=0.5)
    if took is None and may_stay:
        fits = condition(api.nodes()[0], kind) == "False"
        yield f"{case}: its pod stays, and there is no {kind}", "yes", "yes" if fits else "no", fits
        return
    yield f"{case}: its pod evicted after", f"{patience} s", took and f"{took:.0f} s", took is not None
    told = until(lambda: condition(api.nodes()[0], kind) == "True", 30, every=0.5)
    yield f"{case}: the node says {kind}", "yes", "no" if told is None else "yes", told is not None


def memory(api, node):
    """Two pods beyond their requests: the one of lower priority goes, though it has less."""
    for name, value in (("low", 1), ("high", 1000)):
        api.create("/apis/scheduling.k8s.io/v1/priorityclasses", {
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value})
    allocatable = mebibytes(api.nodes()[0]["status"]["allocatable"]["memory"])
    free = allocatable - pods_memory(node)
    first, second = free * 55 // 100, free * 45 // 100 - 150
    # The last part slowly: the node looks every ten seconds, and the kernel must not be quicker.
    slowly = "i=0; while [ $i -lt 100 ]; do head -c 4m /dev/zero >>/cache/more; i=$((i+1)); sleep 1; done"
    filler(api, "much", f"head -c {first}m /dev/zero >/cache/fill", volume={"medium": "Memory"}, priorityClassName="high")
    assert until(lambda: pods_memory(node) >= allocatable - free + first * 9 // 10, 120) is not None, "the first pod takes no memory"
    filler(api, "less", f"head -c {second}m /dev/zero >/cache/fill; {slowly}", volume={"medium": "Memory"}, priorityClassName="low")
    yield from evicted(api, "less", "memory", "MemoryPressure", patience=180)
    yield "memory: the pod of higher priority, which has more", "Running", reason(api, "much") or "Running", reason(api, "much") is None


DISK_CASES = {
    "containers' files": "head -c 20000m /dev/zero >/fill",
    "inodes": f"cd /cache; /bin/busybox seq 1 {DISK_INODES} | /bin/busybox xargs /bin/busybox touch",
    "logs": f"exec /bin/busybox yes {'x' * 1000}",
}


def full_from_without(api, node, watchman):
    """Something else takes the disk's last bytes while a pod needs an image: the pull fails, and succeeds once there is room."""
    case = "disk full from without"
    fill = node.directory.parent / "fill"
    try:
        with open(fill, "wb") as file:
            found = os.fstatvfs(file.fileno())
            # At once, so that the node has not noticed yet when the pod comes. The filesystem wants something for itself.
            size = found.f_bavail * found.f_frsize - 8 * MEBIBYTE
            assert size > 0, "the disk is still full of what an earlier case wrote"
            os.posix_fallocate(file.fileno(), 0, size)
        api.create(PODS, pod("late", spec={"tolerations": [{"operator": "Exists"}]}, image="nginx:1.16"))
        time.sleep(30)
        yield from watchman.rows(case, touches_others=True)
    finally:
        fill.unlink(missing_ok=True)
    yield from watchman.recovery(case, "DiskPressure")
    # Refused by a node under pressure it would not come again by itself: Pods do not.
    if reason(api, "late") == "Evicted":
        api.delete(f"{PODS}/late", grace=0)
        api.create(PODS, pod("late", image="nginx:1.16"))
    took = until(lambda: settled(api.pods("app%3Dlate"), 1), 330, every=0.5)
    yield f"{case}: the image is pulled and its pod Ready after", "330 s", took and f"{took:.0f} s", took is not None


def run(binary, mirror, quick):
    kubelet = {"maxPods": MAX_PODS, "kubeReserved": {"memory": RESERVED}}
    with bed(binary, mirror, "10.84", instance_type="c5.4xlarge", kubelet=kubelet, disk=disk) as (_, api, [node]):
        # They use less than they asked for: by upstream's order they are the last to go, whatever their priority.
        api.create(DEPLOYMENTS, deployment("steady", STEADY, resources={"requests": {"memory": "8Mi"}}))
        assert until(lambda: settled(api.pods("app%3Dsteady"), STEADY), 300) is not None, "the pods are not Ready"
        watchman = Watchman(api, node)
        yield from memory(api, node)
        yield from watchman.rows("memory")
        for name in ("much", "less"):
            api.delete(f"{PODS}/{name}", grace=0)
        for case, script in list(DISK_CASES.items())[:1 if quick else None]:
            name = case.split("'")[0]
            filler(api, name, script)
            # Logs are rotated: they may fit.
            yield from evicted(api, name, case, "DiskPressure", may_stay=case == "logs")
            yield from watchman.rows(case)
            api.delete(f"{PODS}/{name}", grace=0)
            yield from watchman.recovery(case, "DiskPressure")
        yield from watchman.recovery("memory", "MemoryPressure")
        if not quick:
            yield from full_from_without(api, node, watchman)
