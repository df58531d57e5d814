"""What benchmarks and fault rounds of nodes are done on: a service with one cluster, by the release binary and real containers."""
import contextlib
import http.client
import os
import pathlib
import subprocess
import tempfile
import time
import typing

import grpc
from aws_setup import cluster
from cluster_api import API
from conftest import ROOT, Service, free_port, running_service
from machines import Machine, machines


class Bed(typing.NamedTuple):
    service: Service
    api: API
    machines: list[Machine]


@contextlib.contextmanager
def registry():
    """A registry on loopback with the fixture images: its URL."""
    with tempfile.TemporaryDirectory(prefix="eyrie-registry-") as directory:
        port, script = free_port(), ROOT / "Tests/fixtures/registry.sh"
        subprocess.run([script, "start", directory, str(port)], check=True)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            subprocess.run([script, "stop", directory], check=False)


@contextlib.contextmanager
def bed(binary, mirror, prefix, nodes=1, instance_type="m5.4xlarge", kubelet=None, disk=None):
    """A cluster `bench` in the VPC PREFIX.0.0/16. `disk(path)` is a context in which the machines' folder is on a filesystem of its own."""
    os.environ["EYRIE"] = binary
    with tempfile.TemporaryDirectory(prefix="eyrie-bench-") as directory:
        folder = pathlib.Path(directory) / "data/machines"
        with disk(folder) if disk else contextlib.nullcontext(), running_service(directory, {"docker.io": mirror}) as service:
            cluster(service, "bench", prefix, nodes=nodes, instance_type=instance_type, kubelet=kubelet)
            yield Bed(service, API(service, "bench"), machines(service))


def until(condition, seconds, every=0.05):
    """Seconds until the condition held; None when it did not. Calls that fail (the API or the node is away) count as not yet."""
    start = time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        try:
            if condition():
                return passed
        except (OSError, http.client.HTTPException, grpc.RpcError):
            pass
        time.sleep(every)
    return None
