"""Pods of shell scripts, and what comes of them."""
import collections
import contextlib
import json
import time

import kubernetes.client
import kubernetes.stream
import websocket
from kubernetes.client.rest import ApiException

from .cluster import Resource
from .workloads import pod

# For a pod to start while others do.
STARTS = 120


def shell(script, name="pod", container=None, metadata=None, **spec):
    """A pod whose container runs a script once."""
    return pod(name, metadata, {"command": ["sh", "-c", script], **(container or {})}, **{"restartPolicy": "Never", **spec})


def status_of(object, container="c", kind="containerStatuses"):
    """A container's status, empty when there is none yet."""
    return next((s for s in object["status"].get(kind) or [] if s["name"] == container), {})


def is_ready(object):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in object["status"].get("conditions") or [])


def read_channels(socket):
    """All that comes by a connection of channel.k8s.io until its end: channel → bytes. The client's own loop waits for the socket, and misses frames that are
    decrypted already."""
    socket.settimeout(30)
    channels = collections.defaultdict(bytes)
    while True:
        opcode, frame = socket.recv_data_frame(True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return channels
        if frame.data:
            channels[frame.data[0]] += frame.data[1:]


class Pods(Resource):
    """The pods of a namespace."""

    def __init__(self, cluster, namespace):
        super().__init__(cluster, "v1", "pods", namespace)
        self.namespace = namespace

    def run(self, document, until=is_ready, what="is ready"):
        """Creates a pod and waits until it is ready, or as said."""
        name = self.create(document)["metadata"]["name"]
        return self.wait(name, until, what, timeout=STARTS)

    def finished(self, document, phase="Succeeded"):
        """Creates a pod and waits for its end, which must be as said."""
        done = self.run(document, lambda object: object["status"].get("phase") in ("Succeeded", "Failed"), "has ended")
        assert done["status"]["phase"] == phase, (done["status"], self.log(done["metadata"]["name"]))
        return done

    def output(self, document):
        """What a pod writes that ends well."""
        return self.log(self.finished(document)["metadata"]["name"])

    def log(self, name, **query):
        """Refused while the container has not started: empty then."""
        with contextlib.suppress(ApiException):
            return self.cluster.request("GET", self.path(name, "log"), query=query).body.decode()
        return ""

    def exec(self, name, script, check=True, container="c"):
        """What a script writes in a container. With check it must end well; without, None stands for one that does not."""
        # The client changes itself while it opens a stream: each gets a client of its own.
        core = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(self.cluster.client.configuration))
        stream = kubernetes.stream.stream(
            core.connect_get_namespaced_pod_exec, name, self.namespace, container=container, command=["sh", "-c", script], stdout=True, stderr=True,
            _preload_content=False)
        channels = read_channels(stream.sock)
        end = json.loads(channels.pop(3))
        output = channels.get(1, b"").decode()
        if end["status"] != "Success":
            assert not check, f"{script}: {end}: {output}{channels.get(2)}"
            return None
        return output

    def stays(self, name, condition, seconds):
        """The condition holds the whole time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            object = self.get(name)
            assert condition(object), object["status"]
            time.sleep(0.5)
