"""Deployments, daemon sets, stateful sets and replicas. Upstream: test/e2e/apps."""
import json

from conftest import wait_for

from .kube import IMAGE, OTHER_IMAGE, condition, names, pod, ready, workload

BAD_IMAGE = "webserver:404"


def set_image(kube, kind, name, image):
    kube.kubectl("set", "image", f"{kind}/{name}", f"c={image}")


def images(pods):
    return {p["spec"]["containers"][0]["image"] for p in pods}


def rolled_out(kube, kind, name, timeout=90):
    kube.kubectl("rollout", "status", f"{kind}/{name}", f"--timeout={timeout}s", timeout=timeout + 10)


def serve(kube, kind):
    object = workload(kind, "web", 2)
    if kind == "ReplicationController":
        object["apiVersion"] = "v1"
        object["spec"]["selector"] = {"app": "web"}
    kube.create(object)
    for pod in kube.wait_running("app=web", 2):
        assert "Welcome" in kube.kubectl("get", "--raw", f"/api/v1/namespaces/{kube.namespace}/pods/{pod['metadata']['name']}:80/proxy/")


def test_replica_set_serves(kube):
    """[sig-apps] ReplicaSet should serve a basic image on each replica with a public image [Conformance]"""
    serve(kube, "ReplicaSet")


def test_replication_controller_serves(kube):
    """[sig-apps] ReplicationController should serve a basic image on each replica with a public image [Conformance]"""
    serve(kube, "ReplicationController")


def test_rolling_update(kube):
    """[sig-apps] Deployment RollingUpdateDeployment should delete old pods and create new ones [Conformance]"""
    kube.create({**workload("ReplicaSet", "web", 1)})
    old = names(kube.wait_running("app=web", 1))
    kube.create(workload("Deployment", "web", 1, image=OTHER_IMAGE))
    rolled_out(kube, "deployment", "web")
    new = kube.wait_running("app=web", 1)
    assert names(new) != old and images(new) == {OTHER_IMAGE}
    # The set that was there before was adopted, and is empty.
    sets = {s["metadata"]["name"]: s for s in kube.list("replicasets", "app=web")}
    assert sets["web"]["metadata"]["ownerReferences"][0]["kind"] == "Deployment" and sets["web"]["spec"]["replicas"] == 0


def test_recreate(kube):
    """[sig-apps] Deployment RecreateDeployment should delete old pods and create new ones [Conformance]"""
    kube.create(workload("Deployment", "web", 2, strategy={"type": "Recreate"}))
    old = set(names(kube.wait_running("app=web", 2)))
    set_image(kube, "deployment", "web", OTHER_IMAGE)
    def check():
        pods = kube.list("pods", "app=web")
        running = {image for image in images([p for p in pods if p["status"]["phase"] == "Running"])}
        assert running != {IMAGE, OTHER_IMAGE}, "old and new pods ran side by side"
        return len(pods) == 2 and all(map(ready, pods)) and not old & set(names(pods))
    wait_for(check, "new pods", every=0.1)


def test_old_replica_sets(kube):
    """[sig-apps] Deployment deployment should delete old replica sets [Conformance]"""
    kube.create(workload("Deployment", "web", 1, revisionHistoryLimit=0))
    rolled_out(kube, "deployment", "web")
    set_image(kube, "deployment", "web", OTHER_IMAGE)
    wait_for(lambda: len(kube.list("replicasets", "app=web")) == 1 and images(kube.list("pods", "app=web")) == {OTHER_IMAGE}, "one set is left")


def test_rollover(kube):
    """[sig-apps] Deployment deployment should support rollover [Conformance]"""
    kube.create(workload("Deployment", "web", 2, image=BAD_IMAGE, minReadySeconds=2, strategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}))
    kube.wait("deployment", "web", lambda d: d["status"].get("updatedReplicas") == 2, "begins")
    set_image(kube, "deployment", "web", OTHER_IMAGE)
    rolled_out(kube, "deployment", "web")
    sizes = {s["spec"]["template"]["spec"]["containers"][0]["image"]: s["spec"]["replicas"] for s in kube.list("replicasets", "app=web")}
    assert sizes == {BAD_IMAGE: 0, OTHER_IMAGE: 2}


def test_proportional_scaling(kube):
    """[sig-apps] Deployment deployment should support proportional scaling [Conformance]"""
    kube.create(workload("Deployment", "web", 10, strategy={"rollingUpdate": {"maxUnavailable": 2, "maxSurge": 3}}))
    kube.wait("deployment", "web", lambda d: d["status"].get("availableReplicas") == 10, "is there", timeout=90)
    set_image(kube, "deployment", "web", BAD_IMAGE)
    def sizes():
        return {s["spec"]["template"]["spec"]["containers"][0]["image"]: s["spec"]["replicas"] for s in kube.list("replicasets", "app=web")}
    wait_for(lambda: sizes() == {IMAGE: 8, BAD_IMAGE: 5}, "the roll-out hangs")
    kube.wait("deployment", "web", lambda d: d["status"].get("availableReplicas") == 8 and d["status"]["observedGeneration"] == d["metadata"]["generation"], "is seen")
    kube.kubectl("scale", "deployment/web", "--replicas=30")
    wait_for(lambda: sizes() == {IMAGE: 20, BAD_IMAGE: 13}, "both sets grow in proportion")


def daemons(kube, count, image=None):
    return kube.wait_pods("app=agent", lambda pods: len(pods) == count and all(map(ready, pods)) and (image is None or images(pods) == {image}), f"{count} daemons", timeout=90)


def test_simple_daemon(kube):
    """[sig-apps] Daemon set [Serial] should run and stop simple daemon [Conformance]"""
    kube.create(workload("DaemonSet", "agent"))
    gone = daemons(kube, 2)[0]["metadata"]["name"]
    kube.delete("pod", gone)
    kube.wait_pods("app=agent", lambda pods: gone not in names(pods) and len(pods) == 2 and all(map(ready, pods)), "is revived")


def test_complex_daemon(kube):
    """[sig-apps] Daemon set [Serial] should run and stop complex daemon [Conformance]"""
    node = names(kube.get("nodes")["items"])[0]
    kube.create(workload("DaemonSet", "agent", pod={"nodeSelector": {"color": "blue"}}))
    kube.wait("daemonset", "agent", lambda d: d["status"].get("observedGeneration") == 1, "is seen")
    assert kube.list("pods", "app=agent") == []
    try:
        kube.kubectl("label", "node", node, "color=blue")
        assert daemons(kube, 1)[0]["spec"]["nodeName"] == node
        kube.kubectl("label", "--overwrite", "node", node, "color=green")
        kube.wait_pods("app=agent", lambda pods: pods == [], "are gone")
        kube.patch("daemonset", "agent", {"spec": {"updateStrategy": {"type": "RollingUpdate"}, "template": {"spec": {"nodeSelector": {"color": "green"}}}}})
        assert daemons(kube, 1)[0]["spec"]["nodeName"] == node
    finally:
        kube.kubectl("label", "node", node, "color-")


def test_failed_daemon(kube):
    """[sig-apps] Daemon set [Serial] should retry creating failed daemon pods [Conformance]"""
    kube.create(workload("DaemonSet", "agent"))
    failed = daemons(kube, 2)[0]["metadata"]["name"]
    kube.patch("pod", failed, {"status": {"phase": "Failed"}}, sub="status")
    kube.wait_pods("app=agent", lambda pods: failed not in names(pods) and len(pods) == 2 and all(map(ready, pods)), "is replaced")


def test_daemon_rolling_update(kube):
    """[sig-apps] Daemon set [Serial] should update pod when spec was updated and update strategy is RollingUpdate [Conformance]"""
    kube.create(workload("DaemonSet", "agent"))
    before = {p["metadata"]["labels"]["controller-revision-hash"] for p in daemons(kube, 2)}
    set_image(kube, "daemonset", "agent", OTHER_IMAGE)
    after = {p["metadata"]["labels"]["controller-revision-hash"] for p in daemons(kube, 2, OTHER_IMAGE)}
    assert len(before) == len(after) == 1 and before != after
    assert len(kube.list("controllerrevisions", "app=agent")) == 2


def test_daemon_rollback(kube):
    """[sig-apps] Daemon set [Serial] should rollback without unnecessary restarts [Conformance]"""
    kube.create(workload("DaemonSet", "agent"))
    daemons(kube, 2)
    set_image(kube, "daemonset", "agent", "foo:non-existent")
    kube.wait_pods("app=agent", lambda pods: len(images(pods)) == 2, "the update hangs at the first")
    kept = {p["metadata"]["name"] for p in kube.list("pods", "app=agent") if p["spec"]["containers"][0]["image"] == IMAGE}
    kube.kubectl("rollout", "undo", "daemonset/agent")
    assert kept <= set(names(daemons(kube, 2, IMAGE))) and kept


READY_FILE = {"readinessProbe": {"exec": {"command": ["busybox", "test", "-e", "/www/ready"]}, "periodSeconds": 1}}


def stateful(kube, name="ss", replicas=3, container=None, **spec):
    kube.create(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "test"}, "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": [{"port": 80}]}},
        workload("StatefulSet", name, replicas, container=container, serviceName="test", **spec))


def by_name(kube):
    return {p["metadata"]["name"]: p for p in kube.list("pods", "app=ss")}


def test_stateful_rolling_update(kube):
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should perform rolling updates and roll backs of template modifications [Conformance]"""
    stateful(kube)
    rolled_out(kube, "statefulset", "ss")
    first = kube.get("statefulset", "ss")["status"]
    assert first["currentRevision"] == first["updateRevision"]
    for image in (OTHER_IMAGE, IMAGE):
        set_image(kube, "statefulset", "ss", image)
        rolled_out(kube, "statefulset", "ss")
        status = kube.wait("statefulset", "ss", lambda s: s["status"]["currentRevision"] == s["status"]["updateRevision"], "is done")["status"]
        assert (status["currentRevision"] == first["currentRevision"]) == (image == IMAGE)
        assert images(by_name(kube).values()) == {image}


def test_stateful_canary(kube):
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should perform canary updates and phased rolling updates of template modifications [Conformance]"""
    stateful(kube, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 3}})
    rolled_out(kube, "statefulset", "ss")
    set_image(kube, "statefulset", "ss", OTHER_IMAGE)
    kube.wait("statefulset", "ss", lambda s: s["status"]["observedGeneration"] == s["metadata"]["generation"], "is seen")
    assert images(by_name(kube).values()) == {IMAGE}
    for partition in (2, 1, 0):
        kube.patch("statefulset", "ss", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": partition}}}})
        def updated():
            pods = by_name(kube)
            return len(pods) == 3 and all(map(ready, pods.values())) and [images([pods[f"ss-{i}"]]) == {OTHER_IMAGE} for i in range(3)] == [i >= partition for i in range(3)]
        wait_for(updated, f"ordinals from {partition} on are new", timeout=60)
    # A pod below the partition comes back as it was; above it, as it is to be.
    kube.wait("statefulset", "ss", lambda s: s["status"]["currentRevision"] == s["status"]["updateRevision"], "is done")


def test_stateful_order(kube):
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] Scaling should happen in predictable order and halt if any stateful pod is unhealthy [Slow] [Conformance]"""
    stateful(kube, replicas=1, container=READY_FILE)
    kube.wait_pods("app=ss", lambda pods: [p for p in pods if p["status"].get("phase") == "Running"], "the first runs")
    kube.kubectl("scale", "statefulset/ss", "--replicas=3")
    kube.wait("statefulset", "ss", lambda s: s["status"]["observedGeneration"] == s["metadata"]["generation"], "is seen")
    assert list(by_name(kube)) == ["ss-0"], "the second waits for the first"
    for ordinal in range(3):
        wait_for(lambda: by_name(kube).get(f"ss-{ordinal}", {}).get("status", {}).get("phase") == "Running", f"ss-{ordinal} runs")
        kube.kubectl("exec", f"ss-{ordinal}", "--", "busybox", "touch", "/www/ready")
    kube.wait_running("app=ss", 3)
    for ordinal in range(3):
        kube.kubectl("exec", f"ss-{ordinal}", "--", "busybox", "rm", "/www/ready")
    kube.wait_pods("app=ss", lambda pods: len(pods) == 3 and not any(map(ready, pods)), "all are unhealthy")
    kube.kubectl("scale", "statefulset/ss", "--replicas=0")
    kube.wait("statefulset", "ss", lambda s: s["status"]["observedGeneration"] == s["metadata"]["generation"], "is seen")
    assert len(by_name(kube)) == 3, "scaling down halts, too"
    for ordinal in range(3):
        kube.kubectl("exec", f"ss-{ordinal}", "--", "busybox", "touch", "/www/ready")
    kube.wait_pods("app=ss", lambda pods: pods == [], "are gone", timeout=120)


def test_stateful_burst(kube):
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] Burst scaling should run to completion even with unhealthy pods [Slow] [Conformance]"""
    stateful(kube, replicas=1, container=READY_FILE, podManagementPolicy="Parallel")
    kube.kubectl("scale", "statefulset/ss", "--replicas=3")
    kube.wait_pods("app=ss", lambda pods: len([p for p in pods if p["status"].get("phase") == "Running"]) == 3, "all run though none is ready")
    kube.kubectl("scale", "statefulset/ss", "--replicas=0")
    kube.wait_pods("app=ss", lambda pods: pods == [], "are gone", timeout=60)


def test_stateful_evicted(kube):
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] Should recreate evicted statefulset [Conformance]"""
    node = names(kube.get("nodes")["items"])[0]
    port = {"ports": [{"containerPort": 21017, "hostPort": 21017}]}
    kube.create(pod("blocker", nodeName=node, container=port))
    stateful(kube, replicas=1, container=port, pod={"nodeName": node})
    # With its node given, the kubelet refuses or runs it; gone, it is made anew either way.
    uid = wait_for(lambda: by_name(kube).get("ss-0", {}).get("metadata", {}).get("uid"), "ss-0 is there")
    kube.delete("pod", "blocker", "--grace-period=0", "--force")
    kube.delete("pod", "ss-0")
    wait_for(lambda: by_name(kube).get("ss-0", {}).get("metadata", {}).get("uid", uid) != uid and ready(by_name(kube)["ss-0"]), "ss-0 is made anew and runs")


def test_volume_claims(kube):
    """A stateful set with claims runs on the default class, keeps its data over pods, and the volumes go with the claims."""
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    stateful(kube, replicas=2, container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]}, volumeClaimTemplates=[claim])
    kube.wait_running("app=ss", 2)
    kube.kubectl("exec", "ss-0", "--", "busybox", "sh", "-c", "echo kept > /data/file")
    kube.delete("pod", "ss-0")
    wait_for(lambda: ready(by_name(kube).get("ss-0", {"metadata": {"deletionTimestamp": ""}})), "ss-0 is back")
    assert kube.kubectl("exec", "ss-0", "--", "busybox", "cat", "/data/file") == "kept\n"
    claims = kube.get("pvc")["items"]
    assert names(claims) == ["data-ss-0", "data-ss-1"] and {c["status"]["phase"] for c in claims} == {"Bound"}
    kube.patch("pvc", "data-ss-0", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
    def has_grown(claim):
        return claim["status"]["capacity"]["storage"] == "2Gi"
    # The node's part is done while the pod runs only where the kernel lets root do it, else by the next pod.
    kube.wait("pvc", "data-ss-0", lambda c: has_grown(c) or any(
        condition["type"] == "FileSystemResizePending" for condition in c["status"].get("conditions", [])), "grows")
    kube.delete("pod", "ss-0")
    kube.wait("pvc", "data-ss-0", has_grown, "has grown")
    volumes = [c["spec"]["volumeName"] for c in claims]
    kube.delete("statefulset", "ss")
    kube.kubectl("delete", "pvc", "--all", "--wait=false")
    wait_for(lambda: not set(volumes) & set(names(json.loads(kube.kubectl("get", "pv", "-o", "json"))["items"])), "the volumes are gone")


def test_top(kube):
    """kubectl top tells what nodes and pods use, with nothing installed."""
    kube.create(pod("busy", command=["busybox", "sh", "-c", "while :; do :; done"]))
    kube.wait("pod", "busy", ready, "runs")
    def cpu():
        result = kube.kubectl("top", "pod", "busy", "--no-headers", check=False)
        return int(result.stdout.split()[1].rstrip("m")) if result.returncode == 0 else 0
    wait_for(lambda: cpu() > 100, "the pod's use of a core is seen", timeout=60)
    lines = kube.kubectl("top", "node", "--no-headers").splitlines()
    assert len(lines) == 2


def test_autoscaler(kube):
    """A horizontal autoscaler brings a busy deployment to more replicas."""
    kube.create(workload("Deployment", "busy", 1, command=["busybox", "sh", "-c", "while :; do :; done"], container={
        "resources": {"requests": {"cpu": "20m"}, "limits": {"cpu": "100m"}}}))
    kube.kubectl("autoscale", "deployment", "busy", "--cpu=50%", "--min=1", "--max=2")
    kube.wait("deployment", "busy", lambda d: d["spec"]["replicas"] == 2, "is scaled up", timeout=120)
    kube.wait("hpa", "busy", lambda h: condition(h, "ScalingActive").get("reason") == "ValidMetricFound" and condition(h, "AbleToScale").get("status") == "True", "says so")
