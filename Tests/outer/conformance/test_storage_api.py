"""What needs only the API of test/e2e/storage: csi_inline.go, csi_node.go, csistoragecapacity.go, persistent_volumes.go, storage classes, attachments and attributes classes."""
import pytest

from .cluster import refused
from .operations import check_discovery, check_operations, contains
from .workloads import pod

VERSION = "storage.k8s.io/v1"
DRIVER = "csi.e2e.example.com"


def check_lifecycle(resource, name, **spec):
    """Create, get, patch, update, list by label, delete, and delete as a collection."""
    label = {f"e2e-{resource.plural}": "testing"}
    made = resource.create({"metadata": {"name": name, "labels": label}, **spec})
    assert resource.get(name)["metadata"]["uid"] == made["metadata"]["uid"]
    assert contains(made, spec)
    assert resource.patch(name, {"metadata": {"labels": {name: "patched"}}})["metadata"]["labels"][name] == "patched"
    assert resource.update(name, lambda object: object["metadata"]["labels"].update({name: "updated"}))["metadata"]["labels"][name] == "updated"
    assert resource.names(labelSelector=f"{name}=updated") == [name]
    resource.delete(name)
    resource.wait_gone(name)
    resource.create({"metadata": {"name": name, "labels": label}, **spec})
    resource.delete_collection(labelSelector=f"e2e-{resource.plural}=testing")
    resource.wait_gone(name)


def test_drivers(cluster):
    """[sig-storage] CSIInlineVolumes should run through the lifecycle of a CSIDriver [Conformance]"""
    check_lifecycle(cluster.resource(VERSION, "csidrivers"), "inline-driver", spec={
        "attachRequired": False, "podInfoOnMount": True, "volumeLifecycleModes": ["Ephemeral"]})


def test_inline_volumes_of_pods(cluster, namespace):
    """[sig-storage] CSIInlineVolumes should support CSIVolumeSource in Pod API [Conformance]"""
    pods = cluster.core("pods", namespace)
    volume = {"name": "pod-csi", "csi": {"driver": "e2e.example.com", "readOnly": True, "volumeAttributes": {"a": "b"}}}
    pods.create(pod("inline", metadata={"labels": {"inline": "yes"}}, volumes=[volume], container={
        "volumeMounts": [{"name": "pod-csi", "mountPath": "/csi", "readOnly": True}]}))
    assert contains(pods.get("inline")["spec"]["volumes"], [volume])
    assert pods.patch("inline", {"metadata": {"labels": {"patched": "yes"}}})["metadata"]["labels"]["patched"] == "yes"
    pods.delete_collection({"gracePeriodSeconds": 0}, labelSelector="inline=yes")
    pods.wait_gone("inline")


def test_nodes_of_drivers(cluster):
    """[sig-storage] CSINodes CSI Conformance should run through the lifecycle of a csinode [Conformance]"""
    check_lifecycle(cluster.resource(VERSION, "csinodes"), "csinode-e2e", spec={"drivers": [{"name": DRIVER, "nodeID": "node-1", "topologyKeys": ["zone"]}]})


def test_capacities(cluster, namespace):
    """[sig-storage] CSIStorageCapacity should support CSIStorageCapacities API operations [Conformance]"""
    check_discovery(cluster, VERSION, "csistoragecapacities")
    check_operations(cluster.resource(VERSION, "csistoragecapacities", namespace), {"storageClassName": "example", "capacity": "100Gi", "nodeTopology": {
        "matchLabels": {"zone": "a"}}})
    assert cluster.resource(VERSION, "csistoragecapacities").list()["kind"] == "CSIStorageCapacityList"


def test_storage_classes(cluster):
    """[sig-storage] StorageClasses CSI Conformance should run through the lifecycle of a StorageClass [Conformance]"""
    check_lifecycle(cluster.resource(VERSION, "storageclasses"), "e2e-class", provisioner="e2e-fake-provisioner", reclaimPolicy="Delete",
                    volumeBindingMode="WaitForFirstConsumer")


def test_attributes_classes(cluster):
    """[sig-storage] VolumeAttributesClass [FeatureGate:VolumeAttributesClass] should run through the lifecycle of a VolumeAttributesClass [Conformance]"""
    check_lifecycle(cluster.resource(VERSION, "volumeattributesclasses"), "e2e-attributes", driverName="e2e-fake-csi-driver", parameters={"iops": "100"})


ATTACHMENT = {"attacher": "e2e.example.com", "nodeName": "e2e-node", "source": {"persistentVolumeName": "e2e-volume"}}


def test_attachments(cluster):
    """[sig-storage] VolumeAttachment Conformance should run through the lifecycle of a VolumeAttachment [Conformance]"""
    check_lifecycle(cluster.resource(VERSION, "volumeattachments"), "attachment-e2e", spec=ATTACHMENT)


def test_the_status_of_an_attachment(cluster):
    """[sig-storage] VolumeAttachment Conformance should apply changes to a volumeattachment status [Conformance]"""
    attachments, name = cluster.resource(VERSION, "volumeattachments"), "attachment-status-e2e"
    attachments.create({"metadata": {"name": name}, "spec": ATTACHMENT})
    assert attachments.get(name, "status")["status"]["attached"] is False
    assert attachments.patch(name, {"status": {"attached": True}}, sub="status")["status"]["attached"] is True
    assert attachments.update(name, lambda object: object["status"].update(attached=False), sub="status")["status"]["attached"] is False
    attachments.delete(name)
    attachments.wait_gone(name)


@pytest.fixture
def volume(cluster, namespace):
    """A volume and a claim on it, that no driver serves."""
    volumes, claims = cluster.core("persistentvolumes"), cluster.core("persistentvolumeclaims", namespace)
    name, label = f"pv-{namespace}", {"e2e-pv-pool": namespace}
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": f"class-{namespace}"}
    volumes.create({"metadata": {"name": name, "labels": label}, "spec": {
        **common, "capacity": {"storage": "1Gi"}, "persistentVolumeReclaimPolicy": "Retain", "csi": {"driver": DRIVER, "volumeHandle": "e2e-conformance"}}})
    claims.create({"metadata": {"name": "claim", "labels": label}, "spec": {
        **common, "resources": {"requests": {"storage": "1Gi"}}, "selector": {"matchLabels": label}}})
    yield volumes, name, claims
    for resource, own in ((claims, "claim"), (volumes, name)):
        if not resource.gone(own):
            resource.delete(own)
            resource.wait_gone(own)


def test_volumes_and_claims(cluster, namespace, volume):
    """[sig-storage] PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC [Conformance]"""
    volumes, name, claims = volume
    selector = f"e2e-pv-pool={namespace}"
    assert volumes.names(labelSelector=selector) == [name] and claims.names(labelSelector=selector) == ["claim"]
    for resource, own in ((volumes, name), (claims, "claim")):
        assert resource.patch(own, {"metadata": {"labels": {own: "patched"}}})["metadata"]["labels"][own] == "patched"
        assert resource.update(own, lambda object, own=own: object["metadata"]["labels"].update({own: "updated"}))["metadata"]["labels"][own] == "updated"
    everywhere = cluster.core("persistentvolumeclaims").list(labelSelector="claim=updated")["items"]
    assert [item["metadata"]["name"] for item in everywhere] == ["claim"]
    claims.delete_collection(labelSelector="claim=updated")
    claims.wait_gone("claim")
    volumes.delete_collection(labelSelector=f"{name}=updated")
    volumes.wait_gone(name)


def test_the_status_of_volumes_and_claims(volume):
    """[sig-storage] PersistentVolumes CSI Conformance should apply changes to a pv/pvc status [Conformance]"""
    volumes, name, claims = volume
    assert volumes.get(name, "status")["kind"] == "PersistentVolume" and claims.get("claim", "status")["kind"] == "PersistentVolumeClaim"
    condition = {"type": "StatusPatched", "status": "True", "reason": "E2E patchedStatus", "message": "Set from e2e test"}
    patched = claims.patch("claim", {"status": {"conditions": [condition]}}, sub="status")
    assert contains(patched["status"]["conditions"], [condition])
    updated = claims.update("claim", lambda object: object["status"]["conditions"].append({**condition, "type": "StatusUpdated"}), sub="status")
    assert [c["type"] for c in updated["status"]["conditions"]] == ["StatusPatched", "StatusUpdated"]
    patched = volumes.patch(name, {"status": {"message": "StatusPatched", "reason": "E2E patchStatus"}}, sub="status")
    assert (patched["status"]["message"], patched["status"]["reason"]) == ("StatusPatched", "E2E patchStatus")
    updated = volumes.update(name, lambda object: object["status"].update(message="StatusUpdated", reason="E2E updateStatus"), sub="status")
    assert updated["status"]["reason"] == "E2E updateStatus"
    # The other part is not written there.
    with refused(422):
        claims.patch("claim", {"spec": {"storageClassName": "other"}})


def check_immutable(resource, data, other):
    """Data changes until the object is immutable, which cannot be taken back."""
    resource.create({"metadata": {"name": "immutable"}, "data": data})
    resource.update("immutable", lambda object: object["data"].update(other))
    resource.update("immutable", lambda object: object.update(immutable=True))
    for change in (lambda object: object.pop("immutable"), lambda object: object["data"].update(data)):
        with refused(422, "field is immutable when `immutable` is set"):
            resource.update("immutable", change)
    assert resource.update("immutable", lambda object: object["metadata"].update(labels={"changed": "yes"}))["metadata"]["labels"] == {"changed": "yes"}
    resource.delete("immutable")


def test_config_maps_are_made_immutable(cluster, namespace):
    """[sig-storage] ConfigMap should be immutable if `immutable` field is set [Conformance]"""
    check_immutable(cluster.core("configmaps", namespace), {"data-1": "value-1"}, {"data-1": "value-4"})


def test_secrets_are_made_immutable(cluster, namespace):
    """[sig-storage] Secrets should be immutable if `immutable` field is set [Conformance]"""
    check_immutable(cluster.core("secrets", namespace), {"data-1": "dmFsdWUtMQ=="}, {"data-1": "dmFsdWUtNA=="})
