"""test/e2e/kubectl/kubectl.go and logs.go"""
import contextlib
import datetime
import http.client
import json
import re
import socket
import subprocess

import pytest
from conftest import wait_for

from .workloads import IMAGE, deployment, pod, replication_controller

OTHER_IMAGE = "nginx:1.16"


class Kubectl:
    """kubectl in a namespace."""

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace
        self.pods = cluster.core("pods", namespace)

    def __call__(self, *arguments, **options):
        return self.cluster.kubectl("-n", self.namespace, *arguments, **options)

    def create(self, object):
        self("create", "-f", "-", input=json.dumps(object))

    def run(self, name, *arguments, image=IMAGE):
        """`kubectl run`, until the pod runs."""
        self("run", name, f"--image={image}", *arguments)
        return self.running(name)

    def running(self, name):
        return self.pods.wait(name, lambda object: object["status"]["phase"] == "Running", "runs")

    def controlled(self, name, replicas):
        """The running pods of a replication controller with the label name=NAME."""
        def found():
            items = [item for item in self.pods.list(labelSelector=f"name={name}")["items"] if "deletionTimestamp" not in item["metadata"]]
            running = [item for item in items if item["status"]["phase"] == "Running"]
            return running if len(items) == replicas == len(running) else None
        return wait_for(found, f"{replicas} pods of {name} run", every=0.05)


@pytest.fixture
def kubectl(node_cluster, node_namespace):
    return Kubectl(node_cluster, node_namespace)


@pytest.fixture
def api_kubectl(cluster, namespace):
    """For what needs no pod to run."""
    return Kubectl(cluster, namespace)


def demo(replicas=2):
    return replication_controller("update-demo", replicas, {"name": "update-demo"})


def check_demo(kubectl, replicas):
    """That many pods run, and each serves its page."""
    for item in kubectl.controlled("update-demo", replicas):
        page = kubectl("get", "--raw", f"/api/v1/namespaces/{kubectl.namespace}/pods/{item['metadata']['name']}:80/proxy/")
        assert "Welcome to nginx" in page


def test_a_replication_controller_is_created_and_stopped(kubectl):
    """[sig-cli] Kubectl client Update Demo should create and stop a replication controller [Conformance]"""
    kubectl.create(demo())
    check_demo(kubectl, 2)
    kubectl("delete", "--grace-period=0", "--force", "-f", "-", input=json.dumps(demo()))
    assert kubectl("get", "rc,svc", "-l", "name=update-demo", "--no-headers").strip().startswith("No resources found")
    template = '{{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}}{{"\\n"}}{{end}}{{end}}'
    wait_for(lambda: kubectl("get", "pods", "-l", "name=update-demo", "-o", f"go-template={template}").strip() == "", "no pod is left")


def test_a_replication_controller_is_scaled(kubectl):
    """[sig-cli] Kubectl client Update Demo should scale a replication controller [Conformance]"""
    kubectl.create(demo())
    check_demo(kubectl, 2)
    kubectl("scale", "rc", "update-demo", "--replicas=1", "--timeout=1m")
    check_demo(kubectl, 1)
    kubectl("scale", "rc", "update-demo", "--replicas=2", "--timeout=1m")
    check_demo(kubectl, 2)


def test_api_versions(cluster):
    """[sig-cli] Kubectl client Kubectl api-versions should check if v1 is in available api versions [Conformance]"""
    assert "v1" in cluster.kubectl("api-versions").splitlines()


def test_cluster_info(cluster):
    """[sig-cli] Kubectl client Kubectl cluster-info should check if Kubernetes control plane services is included in cluster-info [Conformance]"""
    # In colours.
    plain = re.sub(r"\x1b\[[0-9;]*m", "", cluster.kubectl("cluster-info"))
    assert f"Kubernetes control plane is running at {cluster.client.configuration.host}" in plain


def test_version(cluster):
    """[sig-cli] Kubectl client Kubectl version should check is all data is printed [Conformance]"""
    printed = cluster.kubectl("version")
    assert re.search(r"Client Version: v1\.", printed) and re.search(r"Server Version: v1\.\d+\.\d+", printed), printed


def check_description(kubectl, arguments, *lines):
    """The lines stand in the description in this order; each begins so and has the rest."""
    output = kubectl("describe", *arguments)
    at = 0
    found = output.splitlines()
    for first, *rest in lines:
        at = next((index + 1 for index in range(at, len(found)) if found[index].strip().startswith(first) and all(text in found[index] for text in rest)), None)
        assert at, f"no line {first!r} with {rest} in its place:\n{output}"


def test_descriptions(kubectl):
    """[sig-cli] Kubectl client Kubectl describe should check if kubectl describe prints relevant information for rc and pods [Conformance]"""
    labels = {"app": "agnhost", "role": "primary", "name": "agnhost-primary"}
    kubectl.create(replication_controller("agnhost-primary", 1, labels))
    kubectl.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "agnhost-primary", "labels": {"app": "agnhost", "role": "primary"}}, "spec": {
        "ports": [{"port": 6379, "targetPort": 80}], "selector": {"app": "agnhost", "role": "primary"}}})
    [item] = kubectl.controlled("agnhost-primary", 1)
    check_description(
        kubectl, ["pod", item["metadata"]["name"]], ["Name:", "agnhost-primary-"], ["Namespace:", kubectl.namespace], ["Node:"], ["Labels:", "app=agnhost"],
        ["role=primary"], ["Annotations:"], ["Status:", "Running"], ["IP:"], ["Controlled By:", "ReplicationController/agnhost-primary"], ["Image:", IMAGE],
        ["State:", "Running"], ["QoS Class:", "BestEffort"])
    check_description(
        kubectl, ["rc", "agnhost-primary"], ["Name:", "agnhost-primary"], ["Namespace:", kubectl.namespace], ["Selector:", "app=agnhost,name=agnhost-primary,role=primary"],
        ["Labels:"], ["Annotations:"], ["Replicas:", "1 current", "1 desired"], ["Pods Status:", "1 Running", "0 Waiting", "0 Succeeded", "0 Failed"],
        ["Pod Template:"], ["Image:", IMAGE], ["Events:"], ["Normal", "SuccessfulCreate", "replication-controller"])
    endpoint = f"{item['status']['podIP']}:80"
    wait_for(lambda: endpoint in kubectl("describe", "service", "agnhost-primary"), "the service has its endpoint", timeout=20)
    check_description(
        kubectl, ["service", "agnhost-primary"], ["Name:", "agnhost-primary"], ["Namespace:", kubectl.namespace], ["Labels:", "app=agnhost"], ["role=primary"],
        ["Annotations:"], ["Selector:", "app=agnhost", "role=primary"], ["Type:", "ClusterIP"], ["IP:"], ["Port:", "<unset>", "6379/TCP"],
        ["Endpoints:", endpoint], ["Session Affinity:", "None"])
    node = item["spec"]["nodeName"]
    check_description(
        kubectl, ["node", node], ["Name:", node], ["Labels:"], ["Annotations:"], ["CreationTimestamp:"], ["Conditions:"],
        ["Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"], ["Addresses:"], ["Capacity:"], ["Kernel Version:"],
        ["Container Runtime Version:"], ["Kubelet Version:"], ["Non-terminated Pods:"])
    check_description(kubectl, ["namespace", kubectl.namespace], ["Name:", kubectl.namespace], ["Labels:"], ["Annotations:"], ["Status:", "Active"])


def test_differences(api_kubectl):
    """[sig-cli] Kubectl client Kubectl diff should check if kubectl diff finds a difference for Deployments [Conformance]"""
    api_kubectl.create(deployment("httpd-deployment", 1))
    changed = json.dumps(deployment("httpd-deployment", 1)).replace(IMAGE, OTHER_IMAGE)
    result = api_kubectl("diff", "-f", "-", input=changed, check=False)
    assert result.returncode == 1, result.stdout
    assert re.search(rf"^-\s+- image: {IMAGE}$", result.stdout, re.M) and re.search(rf"^\+\s+- image: {OTHER_IMAGE}$", result.stdout, re.M), result.stdout


def check_endpoints(kubectl, service, port):
    """The service leads to one pod, at that port."""
    endpoints = kubectl.cluster.core("endpoints", kubectl.namespace)

    def found():
        subsets = [] if endpoints.gone(service) else endpoints.get(service).get("subsets", [])
        return [(address["targetRef"]["name"], p["port"]) for subset in subsets for address in subset.get("addresses", []) for p in subset["ports"]]
    pairs = wait_for(found, f"{service} has endpoints", timeout=30, every=0.05)
    assert len(pairs) == 1 and pairs[0][0].startswith("agnhost-primary-") and pairs[0][1] == port


def test_services_are_exposed(kubectl):
    """[sig-cli] Kubectl client Kubectl expose should create services for rc [Conformance]"""
    kubectl.create(replication_controller("agnhost-primary", 1, {"name": "agnhost-primary"}))
    kubectl.controlled("agnhost-primary", 1)
    services = kubectl.cluster.core("services", kubectl.namespace)
    for source, name, port in (("rc/agnhost-primary", "rm2", 1234), ("service/rm2", "rm3", 2345)):
        kubectl("expose", source, f"--name={name}", f"--port={port}", "--target-port=80")
        [exposed] = services.get(name)["spec"]["ports"]
        assert (exposed["port"], exposed["targetPort"]) == (port, 80)
        check_endpoints(kubectl, name, 80)


def test_labels(api_kubectl):
    """[sig-cli] Kubectl client Kubectl label should update the label on a resource [Conformance]"""
    api_kubectl.create(pod("pause", {"labels": {"name": "pause"}}))
    api_kubectl("label", "pods", "pause", "testing-label=testing-label-value")
    assert "testing-label-value" in api_kubectl("get", "pod", "pause", "-L", "testing-label")
    api_kubectl("label", "pods", "pause", "testing-label-")
    assert "testing-label-value" not in api_kubectl("get", "pod", "pause", "-L", "testing-label")


def test_pods_of_a_controller_are_patched(kubectl):
    """[sig-cli] Kubectl client Kubectl patch should add annotations for pods in rc [Conformance]"""
    kubectl.create(replication_controller("agnhost-primary", 1, {"name": "agnhost-primary"}))
    for item in kubectl.controlled("agnhost-primary", 1):
        kubectl("patch", "pod", item["metadata"]["name"], "-p", '{"metadata":{"annotations":{"x":"y"}}}')
        assert kubectl.pods.get(item["metadata"]["name"])["metadata"]["annotations"]["x"] == "y"


def test_the_image_of_a_pod_is_replaced(kubectl):
    """[sig-cli] Kubectl client Kubectl replace should update a single-container pod's image [Conformance]"""
    kubectl.run("e2e-test-httpd-pod", "--labels=run=e2e-test-httpd-pod")
    document = kubectl("get", "pod", "e2e-test-httpd-pod", "-o", "json")
    kubectl("replace", "-f", "-", input=document.replace(f'"image": "{IMAGE}"', f'"image": "{OTHER_IMAGE}"'))
    replaced = kubectl.pods.wait(
        "e2e-test-httpd-pod", lambda object: object["status"]["containerStatuses"][0]["image"].endswith(OTHER_IMAGE), "runs the other image")
    assert replaced["spec"]["containers"][0]["image"] == OTHER_IMAGE


def test_a_pod_is_run(api_kubectl):
    """[sig-cli] Kubectl client Kubectl run pod should create a pod from an image when restart is Never [Conformance]"""
    api_kubectl("run", "e2e-test-httpd-pod", "--restart=Never", f"--image={IMAGE}")
    made = api_kubectl.pods.get("e2e-test-httpd-pod")
    assert made["spec"]["containers"][0]["image"] == IMAGE and made["spec"]["restartPolicy"] == "Never"


def test_a_dry_run_changes_nothing(kubectl):
    """[sig-cli] Kubectl client Kubectl server-side dry-run should check if kubectl can dry-run update Pods [Conformance]"""
    kubectl.run("e2e-test-httpd-pod", "--labels=run=e2e-test-httpd-pod")
    image = json.dumps({"spec": {"containers": [{"name": "e2e-test-httpd-pod", "image": OTHER_IMAGE}]}})
    assert "patched" in kubectl("patch", "pod", "e2e-test-httpd-pod", "-p", image, "--dry-run=server")
    assert kubectl.pods.get("e2e-test-httpd-pod")["spec"]["containers"][0]["image"] == IMAGE


@contextlib.contextmanager
def proxy(cluster, *arguments):
    """A running `kubectl proxy`; gives what it says when it listens."""
    process = subprocess.Popen([cluster.service.kubectl_binary, "proxy", *arguments], env=cluster.env, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline()
    finally:
        process.terminate()
        process.wait(20)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def api_versions(connection):
    connection.request("GET", "/api/")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer["versions"]


def test_a_proxy_at_any_port(cluster):
    """[sig-cli] Kubectl client Proxy server should support proxy with --port 0 [Conformance]"""
    with proxy(cluster, "-p", "0", "--disable-filter") as line:
        port = int(re.search(r"Starting to serve on 127\.0\.0\.1:(\d+)", line).group(1))
        assert api_versions(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) == ["v1"]


def test_a_proxy_at_a_socket(cluster, tmp_path):
    """[sig-cli] Kubectl client Proxy server should support --unix-socket=/path [Conformance]"""
    path = tmp_path / "test"
    with proxy(cluster, f"--unix-socket={path}") as line:
        assert f"Starting to serve on {path}" in line
        assert api_versions(UnixConnection(path)) == ["v1"]


def test_logs_are_read_and_filtered(kubectl):
    """[sig-cli] Kubectl logs logs should be able to retrieve and filter logs [Conformance]"""
    script = 'i=0; while [ $i -lt 40 ]; do echo "$i line $i of the log"; i=$((i+1)); sleep 0.05; done; sleep 100000'
    kubectl.create(pod("logs-generator", container={"name": "logs-generator", "command": ["sh", "-c", script]}))

    def logs(*arguments):
        return kubectl("logs", "logs-generator", "logs-generator", *arguments)
    kubectl.running("logs-generator")
    wait_for(lambda: "39 line 39" in logs(), "all lines are written", every=0.1)
    assert len(logs().splitlines()) == 40
    assert logs("--tail=1") == "39 line 39 of the log\n"
    assert logs("--limit-bytes=1") == "0"
    [stamped] = logs("--tail=1", "--timestamps").splitlines()
    stamp, line = stamped.split(" ", 1)
    written = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", stamp))
    assert line == "39 line 39 of the log" and abs(datetime.datetime.now(datetime.UTC) - written) < datetime.timedelta(minutes=2)
    # The lines took two seconds: one second ago some were written, and some were not.
    recent, older = logs("--since=1s").splitlines(), logs("--since=24h").splitlines()
    assert len(recent) < len(older) == 40


# One program in three roles: the primary keeps the messages, replicas read them of the primary, the front end writes to the one and reads from the others.
GUESTBOOK = """#!/bin/busybox sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
case "$ROLE-$QUERY_STRING" in
primary-cmd=set*) echo "${QUERY_STRING##*value=}" >/tmp/messages && echo Updated ;;
primary-*) cat /tmp/messages 2>/dev/null || echo nothing ;;
replica-* | frontend-cmd=set*) wget -qO- "http://agnhost-primary/cgi-bin/guestbook?$QUERY_STRING" ;;
frontend-*) wget -qO- "http://agnhost-replica/cgi-bin/guestbook?$QUERY_STRING" ;;
esac
"""


def guestbook_part(name, role, replicas):
    """The service and the deployment of one part."""
    labels = {"app": "guestbook", "part": name}
    made = deployment(name, replicas, labels)
    made["spec"]["template"]["spec"].update(
        volumes=[{"name": "program", "configMap": {"name": "guestbook", "defaultMode": 0o755}}],
        containers=[{
            "name": "server", "image": IMAGE, "command": ["busybox", "httpd", "-f", "-p", "80", "-h", "/srv"], "env": [{"name": "ROLE", "value": role}],
            "ports": [{"containerPort": 80}], "volumeMounts": [{"name": "program", "mountPath": "/srv/cgi-bin"}]}])
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}, "spec": {"ports": [{"port": 80}], "selector": labels}}
    return [service, made]


def test_a_guestbook(kubectl):
    """[sig-cli] Kubectl client Guestbook application should create and stop a working application [Conformance]"""
    parts = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "guestbook"}, "data": {"guestbook": GUESTBOOK}}]
    for name, role, replicas in (("agnhost-primary", "primary", 1), ("agnhost-replica", "replica", 2), ("frontend", "frontend", 3)):
        parts += guestbook_part(name, role, replicas)
    application = "\n---\n".join(map(json.dumps, parts))
    kubectl("create", "-f", "-", input=application)

    def ask(query):
        path = f"/api/v1/namespaces/{kubectl.namespace}/services/frontend/proxy/cgi-bin/guestbook?{query}"
        return kubectl("get", "--raw", path, check=False).stdout.strip()
    wait_for(lambda: ask("cmd=get&key=messages") == "nothing", "the front end reads from the replicas", timeout=60)
    assert ask("cmd=set&key=messages&value=TestEntry") == "Updated"
    # Whichever replica answers has it of the primary.
    for _ in range(6):
        assert ask("cmd=get&key=messages") == "TestEntry"
    kubectl("delete", "--grace-period=0", "--force", "-f", "-", input=application)
    wait_for(lambda: kubectl.pods.names(labelSelector="app=guestbook") == [], "all pods are gone")
