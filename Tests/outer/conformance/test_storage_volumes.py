"""Volumes made of API objects and empty ones. Upstream: test/e2e/common/storage and test/e2e/storage/{subpath,empty_dir_wrapper}.go."""
import base64
import math
import re

import kubernetes.utils.quantity
from conftest import wait_for

from .pods import Pods, shell
from .together import outcomes, together  # noqa: F401

TEXT = {"data-1": "value-1", "data-2": "value-2", "data-3": "value-3"}
#: A user and a group that are not root's.
USER, GROUP = 1000, 1001
# The kubelet looks at the objects behind volumes once a minute.
REFLECTED = 150


def source(name, object, **fields):
    """The volume that a name is about: of a ConfigMap or a Secret, by itself or projected."""
    own = {"optional": fields.pop("optional")} if "optional" in fields else {}
    if "items" in fields:
        own["items"] = fields.pop("items")
    is_secret = "ecret" in name
    if "Projected" in name:
        return {"projected": {"sources": [{"secret" if is_secret else "configMap": {"name": object, **own}}], **fields}}
    return {"secret": {"secretName": object, **own, **fields}} if is_secret else {"configMap": {"name": object, **own, **fields}}


def keep(cluster, namespace, name, object, data):
    """Makes or changes the ConfigMap or Secret that a name is about."""
    if "ecret" in name:
        objects, data = cluster.core("secrets", namespace), {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    else:
        objects = cluster.core("configmaps", namespace)
    if objects.gone(object):
        objects.create({"metadata": {"name": object}, "data": data})
    else:
        objects.patch(object, {"data": data})
    return objects


def mounted(script, mounts, **pod):
    """A pod whose container runs a script with volumes: path → source."""
    volumes = [{"name": f"volume-{index}", **volume} for index, volume in enumerate(mounts.values())]
    places = [{"name": f"volume-{index}", "mountPath": path} for index, path in enumerate(mounts)]
    container = {**pod.pop("container", {}), "volumeMounts": places}
    return shell(script, container=container, volumes=volumes, **pod)


def reads(pods, pod, path, text):
    """Whether the file has that text now; None: is not there."""
    return pods.exec(pod, f"cat {path}", check=False) == text


@together
def test_changes_are_reflected(cluster, namespace, name):
    """A changed value is seen in the running container's file.

    [sig-storage] ConfigMap updates should be reflected in volume [NodeConformance] [Conformance]
    [sig-storage] Projected configMap updates should be reflected in volume [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    keep(cluster, namespace, name, "object", {"data-1": "value-1"})
    pods.run(mounted("sleep 100000", {"/etc/volume": source(name, "object")}))
    assert reads(pods, "pod", "/etc/volume/data-1", "value-1")
    keep(cluster, namespace, name, "object", {"data-1": "value-2"})
    wait_for(lambda: reads(pods, "pod", "/etc/volume/data-1", "value-2"), "the change is reflected", timeout=REFLECTED, every=1)


@together
def test_optional_objects_come_and_go(cluster, namespace, name):
    """Of three optional objects one is deleted, one changed and one made while the container runs.

    [sig-storage] ConfigMap optional updates should be reflected in volume [NodeConformance] [Conformance]
    [sig-storage] Projected configMap optional updates should be reflected in volume [NodeConformance] [Conformance]
    [sig-storage] Projected secret optional updates should be reflected in volume [NodeConformance] [Conformance]
    [sig-storage] Secrets optional updates should be reflected in volume [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    objects = keep(cluster, namespace, name, "deleted", {"data-1": "value-1"})
    keep(cluster, namespace, name, "updated", {"data-1": "value-1"})
    pods.run(mounted("sleep 100000", {f"/etc/{object}": source(name, object, optional=True) for object in ("deleted", "updated", "created")}))
    assert reads(pods, "pod", "/etc/deleted/data-1", "value-1") and reads(pods, "pod", "/etc/updated/data-1", "value-1")
    assert reads(pods, "pod", "/etc/created/data-1", None)
    objects.delete("deleted")
    keep(cluster, namespace, name, "updated", {"data-3": "value-3"})
    keep(cluster, namespace, name, "created", {"data-1": "value-1"})
    for path, text in (("created/data-1", "value-1"), ("updated/data-3", "value-3"), ("deleted/data-1", None)):
        wait_for(lambda: reads(pods, "pod", f"/etc/{path}", text), f"{path} is {text}", timeout=REFLECTED, every=1)


@together
def test_consumable(cluster, namespace, name):
    """All keys, or one at a path of its own, with a mode for all or for that one, for root or for somebody else.

    [sig-storage] ConfigMap should be consumable from pods in volume [NodeConformance] [Conformance]
    [sig-storage] ConfigMap should be consumable from pods in volume as non-root [NodeConformance] [Conformance]
    [sig-storage] ConfigMap should be consumable from pods in volume with defaultMode set [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] ConfigMap should be consumable from pods in volume with mappings [NodeConformance] [Conformance]
    [sig-storage] ConfigMap should be consumable from pods in volume with mappings and Item mode set [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] ConfigMap should be consumable from pods in volume with mappings as non-root [NodeConformance] [Conformance]
    [sig-storage] Projected configMap should be consumable from pods in volume [NodeConformance] [Conformance]
    [sig-storage] Projected configMap should be consumable from pods in volume as non-root [NodeConformance] [Conformance]
    [sig-storage] Projected configMap should be consumable from pods in volume with defaultMode set [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] Projected configMap should be consumable from pods in volume with mappings [NodeConformance] [Conformance]
    [sig-storage] Projected configMap should be consumable from pods in volume with mappings and Item mode set [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] Projected configMap should be consumable from pods in volume with mappings as non-root [NodeConformance] [Conformance]
    [sig-storage] Projected secret should be consumable from pods in volume [NodeConformance] [Conformance]
    [sig-storage] Projected secret should be consumable from pods in volume as non-root with defaultMode and fsGroup set [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] Projected secret should be consumable from pods in volume with defaultMode set [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] Projected secret should be consumable from pods in volume with mappings [NodeConformance] [Conformance]
    [sig-storage] Projected secret should be consumable from pods in volume with mappings and Item Mode set [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] Secrets should be consumable from pods in volume [NodeConformance] [Conformance]
    [sig-storage] Secrets should be consumable from pods in volume as non-root with defaultMode and fsGroup set [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] Secrets should be consumable from pods in volume with defaultMode set [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] Secrets should be consumable from pods in volume with mappings [NodeConformance] [Conformance]
    [sig-storage] Secrets should be consumable from pods in volume with mappings and Item Mode set [LinuxOnly] [NodeConformance] [Conformance]"""
    keep(cluster, namespace, name, "object", TEXT)
    fields, path, text, mode = {}, "data-1", "value-1", "644"
    if "mappings" in name:
        path, text = "path/to/data-2", "value-2"
        fields["items"] = [{"key": "data-2", "path": path}]
    if "tem mode" in name.replace("Mode", "mode"):
        fields["items"][0]["mode"], mode = 0o400, "400"
    if "defaultMode" in name:
        mode = "440" if "fsGroup" in name else "400"
        fields["defaultMode"] = int(mode, 8)
    security = {}
    if "non-root" in name:
        security["runAsUser"] = USER
    if "fsGroup" in name:
        security["fsGroup"] = GROUP
    output = Pods(cluster, namespace).output(mounted(
        f"cat /etc/volume/{path} && echo && stat -L -c '%a %g' /etc/volume/{path} && id -u", {"/etc/volume": source(name, "object", **fields)}, securityContext=security))
    assert output.split() == [text, mode, str(security.get("fsGroup", 0)), str(security.get("runAsUser", 0))]


@together
def test_in_two_volumes(cluster, namespace, name):
    """The same object at two places of one container.

    [sig-storage] ConfigMap should be consumable in multiple volumes in the same pod [NodeConformance] [Conformance]
    [sig-storage] Projected configMap should be consumable in multiple volumes in the same pod [NodeConformance] [Conformance]
    [sig-storage] Projected secret should be consumable in multiple volumes in a pod [NodeConformance] [Conformance]
    [sig-storage] Secrets should be consumable in multiple volumes in a pod [NodeConformance] [Conformance]"""
    keep(cluster, namespace, name, "object", TEXT)
    output = Pods(cluster, namespace).output(mounted(
        "cat /etc/volume-1/data-1 /etc/volume-2/data-1", {"/etc/volume-1": source(name, "object"), "/etc/volume-2": source(name, "object")}))
    assert output == "value-1value-1"


@together
def test_binary_data(cluster, namespace):
    """[sig-storage] ConfigMap binary data should be reflected in volume [NodeConformance] [Conformance]"""
    data = bytes((0xde, 0xca, 0xfe, 0xba, 0xd0, 0xfe, 0xff))
    cluster.core("configmaps", namespace).create({
        "metadata": {"name": "binary"}, "data": {"data-1": "value-1"}, "binaryData": {"dump.bin": base64.b64encode(data).decode()}})
    output = Pods(cluster, namespace).output(mounted("cat /etc/volume/data-1 && xxd -p /etc/volume/dump.bin", {"/etc/volume": {"configMap": {"name": "binary"}}}))
    assert output.strip() == "value-1" + data.hex()


@together
def test_secrets_of_other_namespaces(cluster, namespace):
    """[sig-storage] Secrets should be able to mount in a volume regardless of a different secret existing with same name in different namespace [NodeConformance] [Conformance]"""
    with cluster.namespace() as other:
        keep(cluster, other, "Secrets", "same", {"data-1": "of another"})
        keep(cluster, namespace, "Secrets", "same", TEXT)
        output = Pods(cluster, namespace).output(mounted("cat /etc/volume/data-1 && stat -L -c %a /etc/volume/data-1", {"/etc/volume": {"secret": {"secretName": "same"}}}))
        assert output.split() == ["value-1644"]


def downward(name, items, **fields):
    return {"projected": {"sources": [{"downwardAPI": {"items": items}}], **fields}} if "Projected" in name else {"downwardAPI": {"items": items, **fields}}


@together
def test_resources_in_files(cluster, namespace, name):
    """Requests and limits of a container; limits that are not set are what the node has.

    [sig-storage] Downward API volume should provide container's cpu limit [NodeConformance] [Conformance]
    [sig-storage] Downward API volume should provide container's cpu request [NodeConformance] [Conformance]
    [sig-storage] Downward API volume should provide container's memory limit [NodeConformance] [Conformance]
    [sig-storage] Downward API volume should provide container's memory request [NodeConformance] [Conformance]
    [sig-storage] Downward API volume should provide node allocatable (cpu) as default cpu limit if the limit is not set [NodeConformance] [Conformance]
    [sig-storage] Downward API volume should provide node allocatable (memory) as default memory limit if the limit is not set [NodeConformance] [Conformance]
    [sig-storage] Projected downwardAPI should provide container's cpu limit [NodeConformance] [Conformance]
    [sig-storage] Projected downwardAPI should provide container's cpu request [NodeConformance] [Conformance]
    [sig-storage] Projected downwardAPI should provide container's memory limit [NodeConformance] [Conformance]
    [sig-storage] Projected downwardAPI should provide container's memory request [NodeConformance] [Conformance]
    [sig-storage] Projected downwardAPI should provide node allocatable (cpu) as default cpu limit if the limit is not set [NodeConformance] [Conformance]
    [sig-storage] Projected downwardAPI should provide node allocatable (memory) as default memory limit if the limit is not set [NodeConformance] [Conformance]"""
    kind = "requests" if "request" in name else "limits"
    resource = re.search(r"cpu|memory", name).group()
    resources = {} if "default" in name else {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}
    item = {"path": "amount", "resourceFieldRef": {"containerName": "c", "resource": f"{kind}.{resource}"}}
    pods = Pods(cluster, namespace)
    amount = int(pods.output(mounted("cat /etc/podinfo/amount", {"/etc/podinfo": downward(name, [item])}, container={"resources": resources})))
    if resources:
        # Rounded up to whole processors.
        assert amount == {"limits.cpu": 2, "limits.memory": 64 << 20, "requests.cpu": 1, "requests.memory": 32 << 20}[f"{kind}.{resource}"]
    else:
        node = cluster.core("nodes").get(pods.get("pod")["spec"]["nodeName"])
        has = node["status"]["allocatable"][resource]
        exact = kubernetes.utils.quantity.parse_quantity(has)
        assert amount == math.ceil(exact) > 0, has


@together
def test_names_in_files(cluster, namespace, name):
    """The pod's name, in a file with a mode.

    [sig-storage] Downward API volume should provide podname only [NodeConformance] [Conformance]
    [sig-storage] Downward API volume should set DefaultMode on files [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] Downward API volume should set mode on item file [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] Projected downwardAPI should provide podname only [NodeConformance] [Conformance]
    [sig-storage] Projected downwardAPI should set DefaultMode on files [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] Projected downwardAPI should set mode on item file [LinuxOnly] [NodeConformance] [Conformance]"""
    item, fields = {"path": "podname", "fieldRef": {"fieldPath": "metadata.name"}}, {}
    if "DefaultMode" in name:
        fields["defaultMode"] = 0o400
    if "item file" in name:
        item["mode"] = 0o400
    output = Pods(cluster, namespace).output(mounted(
        "cat /etc/podinfo/podname && echo && stat -L -c %a /etc/podinfo/podname", {"/etc/podinfo": downward(name, [item], **fields)}))
    assert output.split() == ["pod", "644" if "only" in name else "400"]


@together
def test_metadata_is_followed(cluster, namespace, name):
    """Labels and annotations as they are now.

    [sig-storage] Downward API volume should update annotations on modification [NodeConformance] [Conformance]
    [sig-storage] Downward API volume should update labels on modification [NodeConformance] [Conformance]
    [sig-storage] Projected downwardAPI should update annotations on modification [NodeConformance] [Conformance]
    [sig-storage] Projected downwardAPI should update labels on modification [NodeConformance] [Conformance]"""
    kind = re.search(r"labels|annotations", name).group()
    pods = Pods(cluster, namespace)
    document = mounted("sleep 100000", {"/etc/podinfo": downward(name, [{"path": "all", "fieldRef": {"fieldPath": f"metadata.{kind}"}}])})
    document["metadata"][kind] = {"key1": "value1", "key2": "value2"}
    pods.run(document)
    assert 'key1="value1"\nkey2="value2"' in pods.exec("pod", "cat /etc/podinfo/all")
    pods.patch("pod", {"metadata": {kind: {"key2": "changed", "key3": "value3"}}})
    wait_for(
        lambda: 'key2="changed"\nkey3="value3"' in pods.exec("pod", "cat /etc/podinfo/all"), "the change is reflected", timeout=REFLECTED, every=0.5)


@together
def test_all_in_one_volume(cluster, namespace):
    """[sig-storage] Projected combined should project all components that make up the projection API [Projection] [NodeConformance] [Conformance]"""
    keep(cluster, namespace, "configMap", "map", {"configmap-data": "configmap-value-1"})
    keep(cluster, namespace, "secret", "secret", {"secret-data": "secret-value-1"})
    sources = [
        {"downwardAPI": {"items": [{"path": "podname", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"secret": {"name": "secret", "items": [{"key": "secret-data", "path": "secret-data"}]}},
        {"configMap": {"name": "map", "items": [{"key": "configmap-data", "path": "configmap-data"}]}}]
    output = Pods(cluster, namespace).output(mounted(
        "for f in podname secret-data configmap-data; do cat /all/$f; echo; done", {"/all": {"projected": {"sources": sources}}}))
    assert output.split() == ["pod", "secret-value-1", "configmap-value-1"]


@together
def test_empty_directories(cluster, namespace, name):
    """A file with a mode in a new volume, on disk or in memory, by root or by somebody else.

    [sig-storage] EmptyDir volumes should support (non-root,0644,default) [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] EmptyDir volumes should support (non-root,0644,tmpfs) [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] EmptyDir volumes should support (non-root,0666,default) [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] EmptyDir volumes should support (non-root,0666,tmpfs) [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] EmptyDir volumes should support (non-root,0777,default) [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] EmptyDir volumes should support (non-root,0777,tmpfs) [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] EmptyDir volumes should support (root,0644,default) [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] EmptyDir volumes should support (root,0644,tmpfs) [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] EmptyDir volumes should support (root,0666,default) [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] EmptyDir volumes should support (root,0666,tmpfs) [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] EmptyDir volumes should support (root,0777,default) [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] EmptyDir volumes should support (root,0777,tmpfs) [LinuxOnly] [NodeConformance] [Conformance]"""
    user, mode, medium = re.search(r"\((root|non-root),0(\d+),(default|tmpfs)\)", name).groups()
    script = f"umask 0; echo new file >/test/file && chmod {mode} /test/file && cat /test/file && stat -c '%a %u' /test/file; stat -f -c %T /test; stat -c %a /test"
    volume = {"emptyDir": {"medium": "Memory"} if medium == "tmpfs" else {}}
    output = Pods(cluster, namespace).output(mounted(script, {"/test": volume}, securityContext={"runAsUser": USER} if user == "non-root" else {}))
    content, stated, system, directory = output.splitlines()
    assert (content, stated, directory) == ("new file", f"{mode} {USER if user == 'non-root' else 0}", "777")
    assert medium != "tmpfs" or system == "tmpfs"


@together
def test_modes_of_empty_directories(cluster, namespace, name):
    """Anybody may write into a new volume.

    [sig-storage] EmptyDir volumes volume on default medium should have the correct mode [LinuxOnly] [NodeConformance] [Conformance]
    [sig-storage] EmptyDir volumes volume on tmpfs should have the correct mode [LinuxOnly] [NodeConformance] [Conformance]"""
    medium = "Memory" if "tmpfs" in name else ""
    output = Pods(cluster, namespace).output(mounted("stat -c %a /test; stat -f -c %T /test", {"/test": {"emptyDir": {"medium": medium}}}))
    assert output.split()[0] == "777" and (not medium or output.split()[1] == "tmpfs")


@together
def test_containers_share_a_volume(cluster, namespace):
    """[sig-storage] EmptyDir volumes pod should support shared volumes between containers [Conformance]"""
    pods = Pods(cluster, namespace)
    document = mounted("sleep 100000", {"/usr/share/volumeshare": {"emptyDir": {}}})
    reader = document["spec"]["containers"][0]
    script = "echo Hello from the sub-container >/pod-data/shareddata.txt; sleep 100000"
    document["spec"]["containers"].append({
        **reader, "name": "writer", "command": ["sh", "-c", script], "volumeMounts": [{"name": "volume-0", "mountPath": "/pod-data"}]})
    pods.run(document)
    wait_for(lambda: reads(pods, "pod", "/usr/share/volumeshare/shareddata.txt", "Hello from the sub-container\n"), "the other container's file is seen")


@together
def test_volumes_of_several_kinds(cluster, namespace):
    """[sig-storage] EmptyDir wrapper volumes should not conflict [Conformance]"""
    keep(cluster, namespace, "secret", "secret", {"data-1": "of a secret"})
    keep(cluster, namespace, "configMap", "map", {"data-1": "of a map"})
    output = Pods(cluster, namespace).output(mounted("cat /etc/secret-volume/data-1; echo; cat /etc/configmap-volume/data-1", {
        "/etc/secret-volume": {"secret": {"secretName": "secret"}}, "/etc/configmap-volume": {"configMap": {"name": "map"}}}))
    assert output.splitlines() == ["of a secret", "of a map"]


@together
def test_many_volumes_at_once(cluster, namespace):
    """[sig-storage] EmptyDir wrapper volumes should not cause race condition when used for configmaps [Serial] [Conformance]"""
    pods, controllers = Pods(cluster, namespace), cluster.core("replicationcontrollers", namespace)
    for number in range(50):
        keep(cluster, namespace, "configMap", f"racey-{number}", {"data-1": f"value-{number}"})
    document = mounted("sleep 100000", {f"/etc/config-{number}": {"configMap": {"name": f"racey-{number}"}} for number in range(50)})
    for round in range(3):
        labels = {"name": f"racey-{round}"}
        controllers.create({"metadata": {"name": f"racey-{round}"}, "spec": {
            "replicas": 5, "selector": labels, "template": {"metadata": {"labels": labels}, "spec": {**document["spec"], "restartPolicy": "Always"}}}})
        controllers.wait(f"racey-{round}", lambda object: object["status"].get("readyReplicas") == 5, "has five ready pods", timeout=120)
        controllers.delete(f"racey-{round}", {"propagationPolicy": "Background"})
        wait_for(lambda: pods.names(labelSelector=f"name=racey-{round}") == [], "its pods are gone")


@together
def test_parts_of_volumes(cluster, namespace, name):
    """One file of a volume, mounted by its path.

    [sig-storage] Subpath Atomic writer volumes should support subpaths with configmap pod [Conformance]
    [sig-storage] Subpath Atomic writer volumes should support subpaths with configmap pod with mountPath of existing file [Conformance]
    [sig-storage] Subpath Atomic writer volumes should support subpaths with downward pod [Conformance]
    [sig-storage] Subpath Atomic writer volumes should support subpaths with projected pod [Conformance]
    [sig-storage] Subpath Atomic writer volumes should support subpaths with secret pod [Conformance]"""
    keep(cluster, namespace, "secret", "my-secret", {"secret-key": "secret-value"})
    keep(cluster, namespace, "configMap", "my-configmap", {"configmap-key": "configmap-value"})
    kind = re.search(r"secret|configmap|downward|projected", name).group()
    path, text, volume = {
        "secret": ("secret-key", "secret-value", {"secret": {"secretName": "my-secret"}}),
        "configmap": ("configmap-key", "configmap-value", {"configMap": {"name": "my-configmap"}}),
        "downward": ("downward/podname", "pod", {"downwardAPI": {"items": [{"path": "downward/podname", "fieldRef": {"fieldPath": "metadata.name"}}]}}),
        "projected": ("projected/configmap-key", "configmap-value", {"projected": {"sources": [
            {"configMap": {"name": "my-configmap", "items": [{"key": "configmap-key", "path": "projected/configmap-key"}]}}]}})}[kind]
    place = "/etc/resolv.conf" if "existing file" in name else "/test-volume"
    document = mounted(f"cat {place}", {place: volume})
    document["spec"]["containers"][0]["volumeMounts"][0]["subPath"] = path
    assert Pods(cluster, namespace).output(document) == text
