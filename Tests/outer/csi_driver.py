"""A CSI driver for one node, with its registrar, played from the host: volumes are folders, mounted into the machine by nsenter. Needs grpcio and root.

Its sockets stand in the machine's kubelet folder, which is /var/lib/kubelet within the machine. The messages are few and are read and written here by
their field numbers (csi.proto, pluginregistration's api.proto)."""
import concurrent.futures
import pathlib
import shutil
import subprocess
import tempfile
import threading

import grpc
from wire import field, fields, text

STAGE_UNSTAGE = 1


class Driver(grpc.GenericRpcHandler):
    """`agent()` is the pid of the machine's agent, in whose mount namespace volumes are mounted."""

    def __init__(self, name, kubelet, agent, directory):
        self.name = name
        self.agent = agent
        self.volumes = pathlib.Path(directory)
        #: (method, volume, target) in order.
        self.calls = []
        #: The last message of each method.
        self.messages = {}
        self.registered = threading.Event()
        # Paths of sockets have 107 bytes at most.
        self.short = pathlib.Path(tempfile.mkdtemp(prefix="csi-", dir="/tmp"))
        (self.short / "k").symlink_to(kubelet)
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=[self])
        (self.short / "k/plugins" / name).mkdir(parents=True, exist_ok=True)
        self.sockets = [self.short / f"k/plugins/{name}/csi.sock", self.short / f"k/plugins_registry/{name}-reg.sock"]

    def start(self):
        for socket in self.sockets:
            self.server.add_insecure_port(f"unix:{socket}")
        self.server.start()

    def stop(self):
        self.server.stop(0).wait()
        for socket in self.sockets:
            socket.unlink(missing_ok=True)
        shutil.rmtree(self.short)

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda message, context: self.answer(details.method.split("/")[-1], message))

    def mount(self, *arguments):
        subprocess.run(["nsenter", "-t", str(self.agent()), "-m", "--", *map(str, arguments)], check=True)

    def answer(self, method, message):
        self.messages[method] = message
        if method == "GetInfo":
            return field(1, "CSIPlugin") + field(2, self.name) + field(3, f"/var/lib/kubelet/plugins/{self.name}/csi.sock") + field(4, "1.0.0")
        if method == "NotifyRegistrationStatus":
            if fields(message).get(1) == [1]:
                self.registered.set()
            return b""
        if method == "NodeGetInfo":
            return field(1, "toy-node") + field(2, 5) + field(3, field(1, field(1, "topology.toy/rack") + field(2, "r1")))
        if method == "NodeGetCapabilities":
            return field(1, field(1, field(1, STAGE_UNSTAGE)))
        volume = text(message, 1)
        target = {"NodeStageVolume": 3, "NodeUnstageVolume": 2, "NodePublishVolume": 4, "NodeUnpublishVolume": 2}[method]
        path = text(message, target)
        self.calls.append((method, volume, path))
        folder = self.volumes / volume
        if method == "NodePublishVolume":
            folder.mkdir(parents=True, exist_ok=True)
            self.mount("mkdir", "-p", path)
            self.mount("mount", "--bind", folder, path)
        elif method == "NodeUnpublishVolume":
            self.mount("umount", path)
            self.mount("rmdir", path)
        return b""
