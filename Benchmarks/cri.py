"""containerd spoken to by the CRI (runtime.v1), as its kubelet does it: what a machine's containerd has, and what it takes without an agent. Needs grpcio."""
import concurrent.futures
import shutil
import time

import grpc
from wire import field, fields, number, text

#: NamespaceMode: a container's own process ids, as pods have them.
CONTAINER = 1


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

    def start(self, name, cgroup, logs, image, command):
        """A sandbox with a container that runs; the sandbox's id."""
        namespaces = field(2, CONTAINER)
        sandbox = b"".join([
            field(1, field(1, name) + field(2, name) + field(3, "bench")), field(2, name), field(3, logs),
            field(8, field(1, cgroup) + field(2, field(1, namespaces)))])
        sandbox_id = text(self.call("RunPodSandbox", field(1, sandbox)), 1)
        container = b"".join([
            field(1, field(1, "main")), field(2, field(1, image)), *(field(3, word) for word in command), field(11, "main.log"),
            field(15, field(2, field(3, namespaces)))])
        created = self.call("CreateContainer", field(1, sandbox_id) + field(2, container) + field(3, sandbox))
        self.call("StartContainer", field(1, text(created, 1)))
        return sandbox_id

    def remove(self, sandbox):
        self.call("StopPodSandbox", field(1, sandbox))
        self.call("RemovePodSandbox", field(1, sandbox))


def start_many(socket, machine, count, at_once):
    """Seconds until so many sandboxes with a container each run, begun so many at once; they are removed again."""
    runtime, made = CRI(socket), []
    logs = [machine.directory / f"pods/bench_bench-{index}_bench-{index}" for index in range(count)]

    def one(index):
        name = f"bench-{index}"
        cgroup = f"/eyrie/{machine.id}/kubepods/besteffort/pod{name}"
        made.append(runtime.start(name, cgroup, str(logs[index]), "docker.io/library/nginx:1.15", ["sleep", "100000"]))

    for folder in logs:
        folder.mkdir()
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
