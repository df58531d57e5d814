"""containerd spoken to by the CRI (runtime.v1), as its kubelet does it: what a machine's containerd has, and what it takes without an agent. Needs grpcio."""
import concurrent.futures
import shutil
import time

import grpc
from wire import field, fields, number, text

#: NamespaceMode: a container's own process ids, as pods have them.
CONTAINER = 1
#: SecurityProfile, as a kubelet gives them where a pod says nothing: the runtime's own for the sandbox, none for the container.
RUNTIME_DEFAULT, UNCONFINED = b"", b"\x08\x01"

#: What a kubelet hides of a container's /proc and /sys.
MASKED = [
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
    "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
#: Where every pod's container has a file or a folder of its own.
MOUNTS = {"/var/run/secrets/kubernetes.io/serviceaccount": "token", "/etc/hosts": "hosts", "/dev/termination-log": "end"}


class CRI:
    def __init__(self, socket):
        # The channel's name would be the socket's path, which Go's servers refuse as an authority.
        self.channel = grpc.insecure_channel(f"unix:{socket}", options=[("grpc.default_authority", "localhost")])

    def close(self):
        self.channel.close()

    def call(self, method, message=b"", timeout=300):
        return self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")(message, timeout=timeout, wait_for_ready=True)

    def sandboxes(self):
        """The ids of all sandboxes that are there, also of ended ones."""
        return {text(item, 1) for item in fields(self.call("ListPodSandbox")).get(1, [])}

    def containers(self, running=True):
        """The ids of the running containers, or of all."""
        found = fields(self.call("ListContainers")).get(1, [])
        return {text(item, 1) for item in found if not running or number(item, 6) == 1}

    def started(self, container):
        """Nanoseconds since 1970 at which the container's process was started."""
        status = fields(self.call("ContainerStatus", field(1, container)))[1][0]
        return number(status, 5)

    def start(self, name, cgroup, folder, image, command):
        """A sandbox with a container that runs, given what a kubelet gives the container of a simple pod; the sandbox's id. `folder` is made by `prepare`."""
        namespaces = field(2, CONTAINER)
        dns = field(1, "10.100.0.10") + b"".join(field(2, f"{zone}svc.cluster.local") for zone in ("bench.", "")) + field(3, "ndots:5")
        sandbox = b"".join([
            field(1, field(1, name) + field(2, name) + field(3, "bench")), field(2, name), field(3, str(folder)), field(4, dns),
            field(8, field(1, cgroup) + field(2, field(1, namespaces) + field(9, RUNTIME_DEFAULT)))])
        sandbox_id = text(self.call("RunPodSandbox", field(1, sandbox)), 1)
        security = b"".join([
            field(3, namespaces), *(field(13, path) for path in MASKED), *(field(14, path) for path in READ_ONLY), field(15, UNCONFINED)])
        container = b"".join([
            field(1, field(1, "main")), field(2, field(1, image)), *(field(3, word) for word in command),
            *(field(7, field(1, path) + field(2, str(folder / source))) for path, source in MOUNTS.items()), field(11, "main.log"),
            field(15, field(1, field(3, 2) + field(5, 1000)) + field(2, security))])
        created = self.call("CreateContainer", field(1, sandbox_id) + field(2, container) + field(3, sandbox))
        self.call("StartContainer", field(1, text(created, 1)))
        return sandbox_id

    def remove(self, sandbox):
        self.call("StopPodSandbox", field(1, sandbox))
        self.call("RemovePodSandbox", field(1, sandbox))


def prepare(folder):
    """The files of `CRI.start`'s container."""
    (folder / "token").mkdir(parents=True)
    for name in ("token/token", "token/ca.crt", "token/namespace", "hosts", "end"):
        (folder / name).touch()


def start_many(socket, machine, count, at_once):
    """Seconds until so many sandboxes with a container each run, begun so many at once; they are removed again."""
    runtime, made = CRI(socket), []
    logs = [machine.directory / f"pods/bench_bench-{index}_bench-{index}" for index in range(count)]

    def one(index):
        name = f"bench-{index}"
        cgroup = f"/eyrie/{machine.id}/kubepods/besteffort/pod{name}"
        made.append(runtime.start(name, cgroup, logs[index], "docker.io/library/nginx:1.15", ["sleep", "100000"]))

    for folder in logs:
        prepare(folder)
    try:
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            start = time.monotonic()
            for done in [pool.submit(one, index) for index in range(count)]:
                done.result()
            seconds = time.monotonic() - start
        assert len(runtime.containers()) >= count
        return seconds
    finally:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(runtime.remove, list(made)))
        for folder in logs:
            shutil.rmtree(folder, ignore_errors=True)
        runtime.close()
