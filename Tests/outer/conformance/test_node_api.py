"""What needs only the API of test/e2e/node, test/e2e/common/node and test/e2e/dra."""
import base64

from conftest import wait_for
from kubernetes.client.rest import ApiException

from .cluster import refused
from .operations import check_discovery, check_operations, contains
from .workloads import IMAGE, pod


def test_a_config_map_lives(cluster, namespace):
    """[sig-node] ConfigMap should run through a ConfigMap lifecycle [Conformance]"""
    maps, selector = cluster.core("configmaps", namespace), "test-configmap-static=true"
    with maps.watch(labelSelector=selector) as watch:
        maps.create({"metadata": {"name": "test-configmap", "labels": {"test-configmap-static": "true"}}, "data": {"valueName": "value"}})
        watch.next("ADDED")
        patched = maps.patch("test-configmap", {"metadata": {"labels": {"test-configmap": "patched"}}, "data": {"valueName": "value1"}}, kind="strategic")
        assert patched["data"] == {"valueName": "value1"}
        watch.next("MODIFIED", lambda object: object["metadata"]["labels"].get("test-configmap") == "patched")
        found = cluster.core("configmaps").list(labelSelector=selector)["items"]
        assert [(item["metadata"]["namespace"], item["data"]["valueName"]) for item in found] == [(namespace, "value1")]
        maps.delete_collection(labelSelector=selector)
        watch.next("DELETED")


def test_a_config_map_without_a_key(cluster, namespace):
    """[sig-node] ConfigMap should fail to create ConfigMap with empty key [Conformance]"""
    with refused(422, 'data[]: Invalid value: ""'):
        cluster.core("configmaps", namespace).create({"metadata": {"name": "empty"}, "data": {"": "value-1"}})


def test_a_secret_without_a_key(cluster, namespace):
    """[sig-node] Secrets should fail to create secret due to empty secret key [Conformance]"""
    with refused(422, 'data[]: Invalid value: ""'):
        cluster.core("secrets", namespace).create({"metadata": {"name": "empty"}, "data": {"": base64.b64encode(b"value-1").decode()}})


def test_a_secret_is_patched(cluster, namespace):
    """[sig-node] Secrets should patch a secret [Conformance]"""
    secrets = cluster.core("secrets", namespace)
    secrets.create({"metadata": {"name": "test-secret", "labels": {"testsecret-constant": "true"}}, "data": {"key": "dmFsdWU="}, "type": "Opaque"})
    found = cluster.core("secrets").list(labelSelector="testsecret-constant=true")["items"]
    assert ("test-secret", namespace) in [(item["metadata"]["name"], item["metadata"]["namespace"]) for item in found]
    data = {"key": base64.b64encode(b"value1").decode()}
    secrets.patch("test-secret", {"metadata": {"labels": {"testsecret": "true"}}, "data": data}, kind="strategic")
    assert secrets.get("test-secret")["data"] == data
    secrets.delete_collection(labelSelector="testsecret=true")
    assert cluster.core("secrets").list(labelSelector="testsecret-constant=true")["items"] == []


def test_leases(cluster, namespace):
    """[sig-node] Lease lease API should be available [Conformance]"""
    leases = cluster.resource("coordination.k8s.io/v1", "leases", namespace)
    spec = {"holderIdentity": "holder", "leaseDurationSeconds": 30, "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:05.000001Z",
            "leaseTransitions": 0}
    leases.create({"metadata": {"name": "lease"}, "spec": spec})
    assert leases.get("lease")["spec"] == spec
    other = {**spec, "holderIdentity": "holder2", "renewTime": "2026-01-01T00:00:10.000000Z", "leaseTransitions": 1}
    leases.update("lease", lambda object: object.update(spec=other))
    assert leases.get("lease")["spec"] == other
    assert leases.patch("lease", {"spec": {"leaseDurationSeconds": 60}}, kind="strategic")["spec"] == {**other, "leaseDurationSeconds": 60}
    leases.create({"metadata": {"name": "lease2", "labels": {"deletecollection": "true"}}, "spec": spec})
    assert leases.names(labelSelector="deletecollection=true") == ["lease2"]
    leases.delete_collection(labelSelector="deletecollection=true")
    assert leases.names() == ["lease"]
    leases.delete("lease")
    assert leases.gone("lease")


def template(name, image=IMAGE, **labels):
    return {"metadata": {"name": name, "labels": labels}, "template": {"spec": {"containers": [{"name": "nginx", "image": image}]}}}


def test_a_pod_template_lives(cluster, namespace):
    """[sig-node] PodTemplates should run the lifecycle of PodTemplates [Conformance]"""
    templates = cluster.core("podtemplates", namespace)
    templates.create(template("nginx-pod-template", **{"podtemplate-static": "true"}))
    found = cluster.core("podtemplates").list(labelSelector="podtemplate-static=true")["items"]
    assert [item["metadata"]["namespace"] for item in found] == [namespace]
    templates.patch("nginx-pod-template", {"metadata": {"labels": {"podtemplate": "patched"}}}, kind="strategic")
    assert templates.get("nginx-pod-template")["metadata"]["labels"]["podtemplate"] == "patched"
    templates.delete("nginx-pod-template")
    assert cluster.core("podtemplates").list(labelSelector="podtemplate=patched")["items"] == []


def test_pod_templates_are_a_collection(cluster, namespace):
    """[sig-node] PodTemplates should delete a collection of pod templates [Conformance]"""
    templates = cluster.core("podtemplates", namespace)
    for number in range(3):
        templates.create(template(f"test-podtemplate-{number}", **{"podtemplate-set": "true"}))
    assert len(templates.names(labelSelector="podtemplate-set=true")) == 3
    templates.delete_collection(labelSelector="podtemplate-set=true")
    assert templates.names(labelSelector="podtemplate-set=true") == []


def test_a_pod_template_is_replaced(cluster, namespace):
    """[sig-node] PodTemplates should replace a pod template [Conformance]"""
    templates = cluster.core("podtemplates", namespace)
    templates.create(template("nginx-podtemplate", **{"podtemplate": "pod-template"}))
    replaced = templates.update("nginx-podtemplate", lambda object: object["metadata"].setdefault("annotations", {}).update(updated="true"))
    assert replaced["metadata"]["annotations"]["updated"] == "true"


def test_runtime_classes(cluster):
    """[sig-node] RuntimeClass should support RuntimeClasses API operations [Conformance]"""
    check_discovery(cluster, "node.k8s.io/v1", "runtimeclasses")
    check_operations(cluster.resource("node.k8s.io/v1", "runtimeclasses"), {"handler": "conformance"})


def test_a_runtime_class_that_is_not_there(cluster, namespace):
    """[sig-node] RuntimeClass should reject a Pod requesting a non-existent RuntimeClass [NodeConformance] [Conformance]"""
    with refused(403, 'pod rejected: RuntimeClass "nonexistent" not found'):
        cluster.core("pods", namespace).create(pod("test", runtimeClassName="nonexistent"))


def test_a_runtime_class_that_is_deleted(cluster, namespace):
    """[sig-node] RuntimeClass should reject a Pod requesting a deleted RuntimeClass [NodeConformance] [Conformance]"""
    classes, name = cluster.resource("node.k8s.io/v1", "runtimeclasses"), f"deleted-{namespace}"
    classes.create({"metadata": {"name": name}, "handler": "runc"})
    cluster.core("pods", namespace).create(pod("before", runtimeClassName=name))
    classes.delete(name)
    classes.wait_gone(name)

    def rejected():
        try:
            cluster.core("pods", namespace).create(pod("after", runtimeClassName=name), dryRun="All")
        except ApiException as error:
            return error.status == 403
    wait_for(rejected, "pods are rejected", timeout=20, every=0.05)


def test_a_runtime_class_has_an_overhead(cluster, namespace):
    """[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass and initialize its Overhead [NodeConformance] [Conformance]"""
    classes, name = cluster.resource("node.k8s.io/v1", "runtimeclasses"), f"overhead-{namespace}"
    overhead = {"cpu": "10m", "memory": "1Mi"}
    classes.create({"metadata": {"name": name}, "handler": "runc", "overhead": {"podFixed": overhead}})
    made = cluster.core("pods", namespace).create(pod("test", runtimeClassName=name))
    assert made["spec"]["overhead"] == overhead
    classes.delete(name)


def test_sysctls_have_rules(cluster, namespace):
    """[sig-node] Sysctls [LinuxOnly] [NodeConformance] should reject invalid sysctls [Conformance]"""
    names = ["foo-", "kernel.shmmax", "safe-and-unsafe", "bar.."]
    with refused(422, *(f'Invalid value: "{name}"' for name in ("foo-", "bar.."))) as error:
        cluster.core("pods", namespace).create(pod("sysctls", securityContext={"sysctls": [{"name": name, "value": "100"} for name in names]}))
    assert '"kernel.shmmax"' not in error.value.body.decode() and '"safe-and-unsafe"' not in error.value.body.decode()


def test_generations_of_pods(node_cluster, node_namespace):
    """[sig-node] Pods Extended (pod generation) Pod Generation pod generation should start at 1 and increment per update [MinimumKubeletVersion:1.34] [Conformance]"""
    pods = node_cluster.core("pods", node_namespace)
    assert pods.create(pod("generation"))["metadata"]["generation"] == 1
    pods.wait("generation", lambda object: object["status"]["phase"] == "Running", "runs")
    # Metadata does not count.
    assert pods.patch("generation", {"metadata": {"annotations": {"key": "value"}}})["metadata"]["generation"] == 1
    tolerations = pods.get("generation")["spec"]["tolerations"] + [{"key": "foo", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}]
    assert pods.update("generation", lambda object: object["spec"].update(tolerations=tolerations))["metadata"]["generation"] == 2
    assert pods.update("generation", lambda object: object["spec"].update(activeDeadlineSeconds=5000))["metadata"]["generation"] == 3
    changed = pods.patch("generation", {"spec": {"containers": [{"name": "c", "image": "nginx:1.16"}]}}, kind="strategic")
    assert changed["metadata"]["generation"] == 4
    pods.wait("generation", lambda object: object["status"].get("observedGeneration") == 4, "is observed by the kubelet")


def test_generations_are_the_servers(node_cluster, node_namespace):
    """[sig-node] Pods Extended (pod generation) Pod Generation custom-set generation on new pods and graceful delete [Conformance]"""
    pods = node_cluster.core("pods", node_namespace)
    made = pods.create(pod("generation", metadata={"generation": 100, "finalizers": ["e2e.example.com/hold"]}, terminationGracePeriodSeconds=1))
    assert made["metadata"]["generation"] == 1
    pods.wait("generation", lambda object: object["status"]["phase"] == "Running", "runs")
    pods.delete("generation", {"gracePeriodSeconds": 1})
    # A deletion counts once.
    assert pods.get("generation")["metadata"]["generation"] == 2
    pods.patch("generation", {"metadata": {"finalizers": None}})
    pods.wait_gone("generation")


def test_an_ephemeral_container_starts(node_cluster, node_namespace):
    """[sig-node] Ephemeral Containers [NodeConformance] will start an ephemeral container in an existing pod [Conformance]"""
    pods = node_cluster.core("pods", node_namespace)
    pods.create(pod("ephemeral"))
    pods.wait("ephemeral", lambda object: object["status"]["phase"] == "Running", "runs")
    added = {"name": "debugger", "image": IMAGE, "command": ["sh", "-c", "while true; do echo polo; sleep 1; done"]}
    pods.patch("ephemeral", {"spec": {"ephemeralContainers": [added]}}, kind="strategic", sub="ephemeralcontainers")
    pods.wait("ephemeral", lambda object: "running" in object["status"].get("ephemeralContainerStatuses", [{}])[0].get("state", {}), "runs its ephemeral container")
    assert "polo" in node_cluster.kubectl("logs", "-n", node_namespace, "ephemeral", "-c", "debugger")


def test_ephemeral_containers_are_added(node_cluster, node_namespace):
    """[sig-node] Ephemeral Containers [NodeConformance] should update the ephemeral containers in an existing pod [Conformance]"""
    pods = node_cluster.core("pods", node_namespace)
    pods.create(pod("ephemeral"))
    pods.wait("ephemeral", lambda object: object["status"]["phase"] == "Running", "runs")
    first, second = ({"name": f"debugger{number}", "image": IMAGE, "command": ["sleep", "100000"], "terminationMessagePolicy": "File"} for number in (1, 2))
    patched = pods.patch("ephemeral", {"spec": {"ephemeralContainers": [first]}}, kind="strategic", sub="ephemeralcontainers")
    assert [container["name"] for container in patched["spec"]["ephemeralContainers"]] == ["debugger1"]
    replaced = pods.update("ephemeral", lambda object: object["spec"]["ephemeralContainers"].append(second), sub="ephemeralcontainers")
    assert [container["name"] for container in replaced["spec"]["ephemeralContainers"]] == ["debugger1", "debugger2"]


def test_a_node_lives(cluster):
    """[sig-node] Node Lifecycle should run through the lifecycle of a node [Conformance]"""
    nodes, name = cluster.core("nodes"), "e2e-fake-node"
    made = nodes.create({"metadata": {"name": name}, "status": {"phase": "Running", "conditions": [
        {"type": "Ready", "status": "False", "reason": "Tested", "message": "Set from e2e test"}]}})
    assert nodes.get(name)["metadata"]["uid"] == made["metadata"]["uid"]
    patched = nodes.patch(name, {"metadata": {"labels": {name: "patched"}}})
    assert patched["metadata"]["labels"][name] == "patched"
    updated = nodes.update(name, lambda object: object["metadata"]["labels"].update({name: "updated"}))
    assert updated["metadata"]["labels"][name] == "updated"
    assert nodes.names(labelSelector=f"{name}=updated") == [name]
    nodes.delete_collection({"gracePeriodSeconds": 0}, labelSelector=f"{name}=updated")
    nodes.wait_gone(name)


def test_pods_have_a_quality_of_service(cluster, namespace):
    """[sig-node] Pods Extended Pods Set QOS Class should be set on Pods with matching resource requests and limits for memory and cpu [Conformance]"""
    resources = {"cpu": "100m", "memory": "100Mi"}
    pods = cluster.core("pods", namespace)
    made = pods.create(pod("pod-qos-class", container={"resources": {"requests": resources, "limits": resources}}))
    assert made["status"]["qosClass"] == "Guaranteed" and pods.get("pod-qos-class")["status"]["qosClass"] == "Guaranteed"


def test_pods_are_a_collection(node_cluster, node_namespace):
    """[sig-node] Pods should delete a collection of pods [Conformance]"""
    pods = node_cluster.core("pods", node_namespace)
    for number in range(3):
        pods.create(pod(f"test-pod-{number}", metadata={"labels": {"type": "Testing"}}))
    assert len(pods.names(labelSelector="type=Testing")) == 3
    pods.delete_collection({"gracePeriodSeconds": 0}, labelSelector="type=Testing")
    wait_for(lambda: pods.names(labelSelector="type=Testing") == [], "the pods are gone")


def test_the_status_of_a_pod_is_patched(node_cluster, node_namespace):
    """[sig-node] Pods should patch a pod status [Conformance]"""
    pods = node_cluster.core("pods", node_namespace)
    pods.create(pod("pod-status", metadata={"labels": {"name": "pod-status"}}))
    pods.wait("pod-status", lambda object: object["status"]["phase"] == "Running", "runs")
    assert pods.get("pod-status", "status")["kind"] == "Pod"
    message = {"message": "Patched by e2e test", "reason": "E2E"}
    patched = pods.patch("pod-status", {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": message}, sub="status")
    assert contains(patched["status"], message) and patched["metadata"]["annotations"]["patchedstatus"] == "true"


def test_a_pod_lives(node_cluster, node_namespace):
    """[sig-node] Pods should run through the lifecycle of Pods and PodStatus [Conformance]"""
    pods, selector = node_cluster.core("pods", node_namespace), "test-pod-static=true"
    other = "nginx:1.16"
    with pods.watch(labelSelector=selector) as watch:
        pods.create(pod("pod-test", metadata={"labels": {"test-pod-static": "true"}}))
        watch.next("ADDED")
        watch.next("MODIFIED", lambda object: object["status"].get("phase") == "Running")
        pods.patch("pod-test", {"metadata": {"labels": {"test-pod": "patched"}}, "spec": {"containers": [
            {"name": "c", "image": other}]}}, kind="strategic")
        watch.next("MODIFIED", lambda object: object["metadata"]["labels"].get("test-pod") == "patched")
        fetched = pods.get("pod-test")
        assert fetched["spec"]["containers"][0]["image"] == other
        ready = pods.update("pod-test", lambda object: [c.update(status="False") for c in object["status"]["conditions"] if c["type"] == "Ready"], sub="status")
        assert [c["status"] for c in ready["status"]["conditions"] if c["type"] == "Ready"] == ["False"]
        found = node_cluster.core("pods").list(labelSelector=selector)["items"]
        assert [item["metadata"]["namespace"] for item in found] == [node_namespace]
        pods.delete_collection(labelSelector=selector)
        watch.next("DELETED")


DRA = "resource.k8s.io/v1"
REQUESTS = {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "e2e-class", "allocationMode": "ExactCount", "count": 1}}]}


def test_device_classes(cluster):
    """[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 DeviceClass [Conformance]"""
    check_discovery(cluster, DRA, "deviceclasses")
    check_operations(cluster.resource(DRA, "deviceclasses"), {"spec": {"selectors": [{"cel": {"expression": 'device.driver == "e2e.example.com"'}}]}})


def test_resource_claims(cluster, namespace):
    """[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceClaim [Conformance]"""
    check_discovery(cluster, DRA, "resourceclaims", "resourceclaims/status")
    claims = cluster.resource(DRA, "resourceclaims", namespace)
    check_operations(claims, {"spec": {"devices": REQUESTS}})
    name = claims.create({"metadata": {"generateName": "claim-"}, "spec": {"devices": REQUESTS}})["metadata"]["name"]
    allocation = {"allocation": {"devices": {"results": [{"request": "gpu", "driver": "e2e.example.com", "pool": "pool", "device": "dev-1"}]}}}
    assert contains(claims.patch(name, {"status": allocation}, sub="status")["status"], allocation)
    cleared = claims.update(name, lambda object: object["status"].pop("allocation"), sub="status")
    assert "allocation" not in cleared.get("status", {})
    claims.delete(name)


def test_resource_claim_templates(cluster, namespace):
    """[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceClaimTemplate [Conformance]"""
    check_discovery(cluster, DRA, "resourceclaimtemplates")
    check_operations(cluster.resource(DRA, "resourceclaimtemplates", namespace), {"spec": {"spec": {"devices": REQUESTS}}})


def test_resource_slices(cluster):
    """[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceSlice [Conformance]"""
    check_discovery(cluster, DRA, "resourceslices")
    check_operations(cluster.resource(DRA, "resourceslices"), {"spec": {
        "driver": "e2e.example.com", "pool": {"name": "pool", "generation": 1, "resourceSliceCount": 1}, "allNodes": True, "devices": [{"name": "dev-1"}]}})
