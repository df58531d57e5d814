"""A CSI driver on a node: registration, a volume that is provisioned, attached, mounted and given up, a pod's own volume. The driver's node service is
real (csi_driver.py); what external-provisioner and external-attacher do by the API is done here in their place."""
import hashlib
import json
import os
import signal

import pytest
from aws_setup import cluster
from conftest import wait_for
from csi_driver import Driver
from machines import agents
from wire import mapping, text

NAME = "toy.example.com"
UNIQUE = f"kubernetes.io/csi/{NAME}^vol-1"


def agent(service):
    """The pid of the one machine's agent."""
    return next(iter(agents(service)), None)


@pytest.fixture(scope="module")
def demo(service):
    cluster(service, "csi", "10.73", nodes=1, instance_type="t3.small")
    return service


@pytest.fixture(scope="module")
def driver(demo, tmp_path_factory):
    [kubelet] = demo.data.glob("machines/*/kubelet")
    wait_for(lambda: (kubelet / "plugins_registry").is_dir(), "the kubelet has a folder for registrations")
    driver = Driver(NAME, kubelet, lambda: agent(demo), tmp_path_factory.mktemp("volumes"))
    driver.start()
    yield driver
    driver.stop()


def apply(service, *objects):
    service.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def pod(name, volume):
    container = {
        "name": "main", "image": "nginx:1.15", "command": ["sh", "-c", "echo hello > /data/word; sleep 100000"],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": [{"name": "data", **volume}]}}


def node(service):
    [found] = service.get("nodes")["items"]
    return found


def events(service, name):
    return {(e["reason"], e["message"]) for e in service.get("events", "--field-selector", f"involvedObject.name={name}")["items"]}


def test_a_driver_registers(demo, driver):
    """The registrar hears that all is well; CSINode and Node say what the driver said."""
    assert driver.registered.wait(30)
    [csi_node] = demo.get("csinodes")["items"]
    assert csi_node["spec"]["drivers"] == [
        {"name": NAME, "nodeID": "toy-node", "topologyKeys": ["topology.toy/rack"], "allocatable": {"count": 5}}]
    metadata = node(demo)["metadata"]
    assert metadata["labels"]["topology.toy/rack"] == "r1"
    assert csi_node["metadata"]["ownerReferences"][0]["uid"] == metadata["uid"]


def test_a_volume_from_claim_to_detach(demo, driver):
    """The claim is the provisioner's, the attachment the attacher's, the mounts the kubelet's; an agent killed meanwhile loses nothing."""
    apply(
        demo,
        {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": NAME},
         "spec": {"attachRequired": True, "podInfoOnMount": True, "volumeLifecycleModes": ["Persistent", "Ephemeral"]}},
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "toy"}, "provisioner": NAME,
         "volumeBindingMode": "WaitForFirstConsumer"},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
         "spec": {"storageClassName": "toy", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
        pod("first", {"persistentVolumeClaim": {"claimName": "data"}}))
    node_name = node(demo)["metadata"]["name"]

    def ordered():
        claim = demo.get("pvc", "data")
        return claim["metadata"].get("annotations", {}).get("volume.kubernetes.io/storage-provisioner") == NAME and claim
    claim = wait_for(ordered, "the claim is the provisioner's")
    assert claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == node_name
    assert claim["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-provisioner"] == NAME
    wait_for(lambda: any(r == "ExternalProvisioning" for r, _ in events(demo, "data")), "the claim's events name the provisioner")

    # external-provisioner
    apply(demo, {
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": "pv-1", "annotations": {"pv.kubernetes.io/provisioned-by": NAME}},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "toy",
            "csi": {"driver": NAME, "volumeHandle": "vol-1", "volumeAttributes": {"tier": "fast"}},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "default", "name": "data", "uid": claim["metadata"]["uid"]}}})
    attachment = "csi-" + hashlib.sha256(f"vol-1{NAME}{node_name}".encode()).hexdigest()
    [found] = wait_for(lambda: demo.get("volumeattachments")["items"], "an attachment is asked for")
    assert found["metadata"]["name"] == attachment
    assert found["spec"] == {"attacher": NAME, "nodeName": node_name, "source": {"persistentVolumeName": "pv-1"}}
    wait_for(lambda: UNIQUE in node(demo)["status"].get("volumesInUse", []), "the node says that it uses the volume")
    assert not driver.calls, "nothing is mounted before it is attached"

    # external-attacher
    patch = {"status": {"attached": True, "attachmentMetadata": {"device": "/dev/toy0"}}}
    demo.kubectl("patch", "volumeattachment", attachment, "--subresource", "status", "--type", "merge", "--patch", json.dumps(patch))
    demo.kubectl("wait", "--for=condition=Ready", "pod/first", "--timeout=60s")
    assert [call[0] for call in driver.calls] == ["NodeStageVolume", "NodePublishVolume"]
    assert mapping(driver.messages["NodePublishVolume"], 2) == {"device": "/dev/toy0"}
    context = mapping(driver.messages["NodePublishVolume"], 8)
    assert (context["tier"], context["csi.storage.k8s.io/pod.name"], context["csi.storage.k8s.io/ephemeral"]) == ("fast", "first", "false")
    wait_for(lambda: (driver.volumes / "vol-1/word").exists(), "the pod writes into the volume")
    wait_for(
        lambda: ("SuccessfulAttachVolume", 'AttachVolume.Attach succeeded for volume "pv-1" ') in events(demo, "first"), "the pod's events tell of it")
    assert node(demo)["status"]["volumesAttached"] == [{"name": UNIQUE, "devicePath": ""}]

    before = agent(demo)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: agent(demo) not in (None, before), "the agent is started again")
    wait_for(lambda: demo.kubectl("exec", "first", "--", "cat", "/data/word", check=False).stdout.strip() == "hello", "the new agent has the pod")
    assert UNIQUE in node(demo)["status"]["volumesInUse"]

    demo.kubectl("delete", "pod", "first", "--wait=true", "--timeout=60s")
    wait_for(lambda: [call[0] for call in driver.calls[-2:]] == ["NodeUnpublishVolume", "NodeUnstageVolume"], "the volume leaves the node")
    wait_for(lambda: not demo.get("volumeattachments")["items"], "the volume is detached")
    wait_for(lambda: not node(demo)["status"].get("volumesInUse") and not node(demo)["status"].get("volumesAttached"), "the node is free of it")
    assert (driver.volumes / "vol-1/word").read_text() == "hello\n", "the data stays"


def test_a_volume_of_a_pod_alone(demo, driver):
    """An inline volume needs no attachment, and ends with its pod."""
    apply(demo, pod("alone", {"csi": {"driver": NAME}}))
    demo.kubectl("wait", "--for=condition=Ready", "pod/alone", "--timeout=60s")
    uid = demo.get("pod", "alone")["metadata"]["uid"]
    handle = "csi-" + hashlib.sha256(f"{uid}data".encode()).hexdigest()
    assert driver.calls[-1] == ("NodePublishVolume", handle, f"/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~csi/data/mount")
    assert text(driver.messages["NodePublishVolume"], 1) == handle
    demo.kubectl("delete", "pod", "alone", "--wait=true", "--timeout=60s")
    wait_for(lambda: driver.calls[-1][:2] == ("NodeUnpublishVolume", handle), "the volume ends with its pod")


def test_a_driver_that_is_not_there(demo, driver):
    """The pod waits, and is told for what, in upstream's words."""
    apply(
        demo, {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "other"}, "spec": {"volumeLifecycleModes": ["Ephemeral"]}},
        pod("waits", {"csi": {"driver": "other"}}))
    message = 'MountVolume.SetUp failed for volume "data" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: '
    wait_for(
        lambda: ("FailedMount", message + "driver name other not found in the list of registered CSI drivers") in events(demo, "waits"),
        "the pod's events name the driver")
    demo.kubectl("delete", "pod", "waits", "--wait=true", "--timeout=60s")
