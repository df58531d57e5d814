"""Volumes of the class gp3 on a node: block devices, sizes. Real loop devices, kubectl."""
import json
import pathlib
import subprocess

import pytest
from aws_setup import cluster
from conftest import wait_for

if not pathlib.Path("/dev/loop-control").exists():
    pytest.skip("the host has no loop devices", allow_module_level=True)


@pytest.fixture(scope="module")
def demo(service):
    cluster(service, "volumes", "10.77", nodes=1, instance_type="t3.small")
    return service


def apply(service, *objects):
    service.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def claim(name, size, mode):
    spec = {"accessModes": ["ReadWriteOnce"], "volumeMode": mode, "resources": {"requests": {"storage": size}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def pod(name, claim_name, **use):
    container = {"name": "main", "image": "nginx:1.15", "command": ["sleep", "100000"], **use}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}]
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": volumes}}


DEVICE = {"volumeDevices": [{"name": "data", "devicePath": "/dev/xvda"}]}
MOUNT = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}


def ready(service, name):
    service.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")


def shell(service, name, script):
    return service.kubectl("exec", name, "--", "sh", "-c", script).strip()


def disk(service, name):
    """The file of a claim's volume."""
    found = service.get("pv", service.get("pvc", name)["spec"]["volumeName"])
    return pathlib.Path(found["spec"]["local"]["path"])


def devices(file):
    return subprocess.run(["losetup", "--noheadings", "--output", "NAME", "--associated", str(file)], check=True, capture_output=True, text=True).stdout.split()


def test_a_block_volume(demo):
    """A container has the device at its path, with the volume's size; the next pod finds what was written; no device is left with the last one."""
    apply(demo, claim("block", "64Mi", "Block"), pod("first", "block", **DEVICE))
    ready(demo, "first")
    file = disk(demo, "block")
    [device] = devices(file)
    assert pathlib.Path(f"/sys/block/{pathlib.Path(device).name}/size").read_text().strip() == str((64 << 20) // 512)
    assert shell(demo, "first", "test -b /dev/xvda && echo hello >/dev/xvda && sync && head -c 5 /dev/xvda") == "hello"
    demo.kubectl("delete", "pod", "first")
    wait_for(lambda: not devices(file), "the device is detached")
    apply(demo, pod("second", "block", **DEVICE))
    ready(demo, "second")
    assert shell(demo, "second", "head -c 5 /dev/xvda") == "hello"
    demo.kubectl("delete", "pod", "second")
    demo.kubectl("delete", "pvc", "block")
    wait_for(lambda: not file.exists(), "the volume is removed")


def test_a_block_volume_is_not_mounted(demo):
    """A pod that wants files of a device is told so."""
    apply(demo, claim("raw", "8Mi", "Block"), pod("wrong", "raw", **MOUNT))
    message = 'MountVolume.SetUp failed for volume "data" : volume data has volumeMode Block, but is specified in volumeMounts'

    def look():
        found = demo.get("events", "--field-selector", "involvedObject.name=wrong")["items"]
        return ("FailedMount", message) in {(e["reason"], e["message"]) for e in found}
    wait_for(look, "the pod's events tell of it")
    demo.kubectl("delete", "pod", "wrong")
    demo.kubectl("delete", "pvc", "raw")


def test_a_volume_has_its_size(demo):
    """What is written beyond the volume's size is refused; a claim that asks for more has it when its pod has started anew, with all that was written."""
    apply(demo, claim("files", "32Mi", "Filesystem"), pod("writer", "files", **MOUNT))
    ready(demo, "writer")
    file = disk(demo, "files")
    assert shell(demo, "writer", "echo kept >/data/word; head -c 40m /dev/zero >/data/large 2>/dev/null || echo refused; rm /data/large") == "refused"
    demo.kubectl("patch", "pvc", "files", "--patch", json.dumps({"spec": {"resources": {"requests": {"storage": "96Mi"}}}}))
    wait_for(lambda: file.stat().st_size == 96 << 20, "the file grows")
    demo.kubectl("delete", "pod", "writer")
    wait_for(lambda: not devices(file), "the device goes with the mount")
    apply(demo, pod("again", "files", **MOUNT))
    ready(demo, "again")
    assert shell(demo, "again", "head -c 40m /dev/zero >/data/large && cat /data/word") == "kept"
    wait_for(lambda: demo.get("pvc", "files")["status"]["capacity"] == {"storage": "96Mi"}, "the claim has what it asked for")
    assert "FileSystemResizePending" not in {c["type"] for c in demo.get("pvc", "files")["status"].get("conditions", [])}
    [node] = demo.get("nodes")["items"]
    proxy = f"/api/v1/nodes/{node['metadata']['name']}/proxy"
    def same():
        """What the summary says of the volume, once the metrics say the same: both look at it once a minute."""
        summary = json.loads(demo.kubectl("get", "--raw", f"{proxy}/stats/summary"))
        [held] = [v for p in summary["pods"] if p["podRef"]["name"] == "again" for v in p["volume"] if "pvcRef" in v]
        line = f'kubelet_volume_stats_used_bytes{{namespace="default",persistentvolumeclaim="files"}} {held["usedBytes"]}'
        return held if line in demo.kubectl("get", "--raw", f"{proxy}/metrics").splitlines() else None
    held = wait_for(same, "summary and metrics agree", timeout=90)
    assert held["name"] == "data" and held["pvcRef"] == {"name": "files", "namespace": "default"}
    assert 40 << 20 <= held["usedBytes"] < held["capacityBytes"] <= 96 << 20
    demo.kubectl("delete", "pod", "again")
    demo.kubectl("delete", "pvc", "files")
    wait_for(lambda: not file.exists(), "the volume is removed")
