"""The programs that users bring, unmodified, against one cluster with real containers: three versions of kubectl, helm 3 and 4."""
import base64
import json
import os
import pathlib
import re
import subprocess
import urllib.request

import pytest
from conftest import ROOT, wait_for

CLIENTS = pathlib.Path(os.environ.get("CLIENTS", ROOT / ".build/clients"))
CHART = ROOT / "Tests/fixtures/chart"
KUBECTLS = ["1.32", "1.35", "1.37"]
HELMS = ["3", "4"]

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: "nginx:1.15", ports: [{containerPort: 80}]}]
"""

CRONTAB = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.labelSelector}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [cronSpec]
            properties:
              cronSpec: {type: string, pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$', description: When it runs.}
              image: {type: string}
              replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
            x-kubernetes-validations:
            - {rule: "!has(self.image) || self.image != 'forbidden'", message: this image is forbidden}
          status:
            type: object
            properties:
              replicas: {type: integer}
              labelSelector: {type: string}
"""


class Client:
    """One version of kubectl in a namespace of its own."""

    def __init__(self, service, version):
        self.service = service
        self.binary = CLIENTS / f"kubectl-{version}"
        self.namespace = f"kubectl-{version.replace('.', '-')}"

    def __call__(self, *arguments, check=True, timeout=120, input=None):
        result = self.service.run(self.binary, "-n", self.namespace, *arguments, check=False, timeout=timeout, input=input)
        if check and result.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: {result.stdout}")
        return result.stdout if check else result

    def refused(self, *arguments, input=None):
        """The text of a call that must fail."""
        result = self(*arguments, check=False, input=input)
        assert result.returncode != 0, f"kubectl {' '.join(map(str, arguments))} was to be refused: {result.stdout}"
        return result.stdout

    def get(self, *arguments):
        return json.loads(self("get", *arguments, "-o", "json"))


@pytest.fixture(scope="module")
def cluster(service):
    service.run(service.binary, "up", "clients", "--data-dir", service.data, "--nodes", "1", timeout=120)
    return service


@pytest.fixture(scope="module", params=KUBECTLS)
def kubectl(request, cluster):
    client = Client(cluster, request.param)
    client("create", "namespace", client.namespace)
    yield client
    client("delete", "namespace", client.namespace, "--wait=true", timeout=90)


def test_kubectl_finds_out_what_is_served(kubectl):
    assert "Server Version: v1." in kubectl("version")
    assert "Kubernetes control plane" in kubectl("cluster-info")
    resources = kubectl("api-resources", "-o", "wide")
    assert re.search(r"^deployments\s+deploy\s+apps/v1\s+true\s+Deployment", resources, re.M)
    assert "apiextensions.k8s.io/v1" in kubectl("api-versions").split()
    assert kubectl("get", "--raw", "/readyz") == "ok"
    assert "FIELDS:" in kubectl("explain", "deployments.spec.strategy")
    assert "ImagePullPolicy is Always, Never or IfNotPresent." in kubectl("explain", "pods.spec.containers")
    assert "topologySpreadConstraints" in kubectl("explain", "pods", "--recursive")


def test_kubectl_applies_from_the_client_side(kubectl):
    assert "created" in kubectl("apply", "-f", "-", input=DEPLOYMENT)
    assert "unchanged" in kubectl("apply", "-f", "-", input=DEPLOYMENT)
    changed = DEPLOYMENT.replace("replicas: 1", "replicas: 2")
    difference = kubectl("diff", "-f", "-", input=changed, check=False)
    assert difference.returncode == 1 and "+  replicas: 2" in difference.stdout, difference.stdout
    assert "configured" in kubectl("apply", "-f", "-", input=changed)
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert kubectl.get("deployment", "web")["status"]["readyReplicas"] == 2
    refusal = kubectl.refused("apply", "-f", "-", input=DEPLOYMENT.replace("replicas: 1", "replicsa: 1"))
    assert 'unknown field "spec.replicsa"' in refusal, refusal


def test_kubectl_applies_from_the_server_side(kubectl):
    mine = DEPLOYMENT.replace("name: web}", "name: owned}", 1).replace("app: web", "app: owned")
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", input=mine)
    kubectl("scale", "deployment/owned", "--replicas=3")
    refusal = kubectl.refused("apply", "--server-side", "-f", "-", input=mine)
    assert "conflict" in refusal and ".spec.replicas" in refusal, refusal
    assert "serverside-applied" in kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=mine)
    fields = json.loads(kubectl("get", "deployment", "owned", "-o", "json", "--show-managed-fields"))["metadata"]["managedFields"]
    assert any(entry["manager"] == "kubectl" and entry["operation"] == "Apply" for entry in fields), fields
    # An object of client-side apply can go over.
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", input=DEPLOYMENT.replace("replicas: 1", "replicas: 2"))
    kubectl("delete", "deployment", "owned")


def test_kubectl_shows(kubectl):
    table = kubectl("get", "pods", "-o", "wide")
    assert table.split("\n")[0].split()[:6] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP"]
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "2"
    assert kubectl("get", "deployment", "-o", "custom-columns=N:.metadata.name", "--no-headers").split() == ["web"]
    assert "kind: Deployment" in kubectl("get", "deployment", "web", "-o", "yaml")
    assert len(kubectl("get", "pods", "-l", "app=web", "--chunk-size=1", "--sort-by=.metadata.name", "-o", "name").split()) == 2
    assert kubectl("get", "pods", "-l", "app in (web),nope!=x", "--field-selector", "status.phase=Running", "-o", "name").count("pod/") == 2
    assert "Annotations:" in kubectl("describe", "deployment", "web")
    assert "ScalingReplicaSet" in kubectl("events", "--for", "deployment/web")
    assert "deployment.apps/web" in kubectl("get", "all")


def test_kubectl_sees_who_leads(kubectl):
    uid = kubectl.get("namespace", "kube-system")["metadata"]["uid"]
    for name in ("kube-controller-manager", "kube-scheduler"):
        lease = kubectl.get("lease", name, "-n", "kube-system")["spec"]
        assert lease["leaseDurationSeconds"] == 15 and lease["holderIdentity"].endswith(f"_{uid}")
        events = kubectl("events", "-n", "kube-system", "--for", f"lease/{name}")
        assert f"{lease['holderIdentity']} became leader" in events, events


def test_kubectl_prefers_endpoints_of_the_node(kubectl):
    override = '{"apiVersion": "v1", "kind": "Service", "spec": {"trafficDistribution": "PreferSameNode"}}'
    kubectl("expose", "deployment", "web", "--port=80", "--overrides", override)

    def hinted():
        slices = kubectl.get("endpointslices", "-l", "kubernetes.io/service-name=web")["items"]
        endpoints = [endpoint for item in slices for endpoint in item["endpoints"] or []]
        return len(endpoints) == 2 and all(
            endpoint.get("hints") == {"forZones": [{"name": endpoint.get("zone")}], "forNodes": [{"name": endpoint["nodeName"]}]}
            for endpoint in endpoints)
    wait_for(hinted, "the endpoints have hints", timeout=30)
    kubectl("delete", "service", "web")


def test_kubectl_changes(kubectl):
    kubectl("label", "deployment", "web", "tier=front")
    kubectl("annotate", "deployment", "web", "note=one")
    kubectl("patch", "deployment", "web", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"1"}]}]}}}}')
    kubectl("patch", "deployment", "web", "--type=merge", "-p", '{"metadata":{"labels":{"tier":null}}}')
    kubectl("patch", "deployment", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":1}]')
    kubectl("set", "env", "deployment/web", "B=2")
    kubectl("set", "resources", "deployment/web", "--requests=cpu=10m")
    deployment = kubectl.get("deployment", "web")
    assert "tier" not in deployment["metadata"].get("labels", {})
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert {e["name"] for e in container["env"]} == {"A", "B"} and container["image"] == "nginx:1.15"
    assert deployment["spec"]["replicas"] == 1
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl("set", "image", "deployment/web", "web=nginx:1.16")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert "REVISION" in kubectl("rollout", "history", "deployment/web")
    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert kubectl.get("deployment", "web")["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.15"
    kubectl("autoscale", "deployment", "web", "--min=1", "--max=3")
    kubectl("expose", "deployment", "web", "--port=80")
    assert kubectl.get("service", "web")["spec"]["clusterIP"]


def test_kubectl_creates_of_every_sort(kubectl):
    for arguments in (
        ["configmap", "c", "--from-literal=a=b"], ["secret", "generic", "s", "--from-literal=a=b"], ["serviceaccount", "sa"],
        ["role", "r", "--verb=get", "--resource=pods"], ["rolebinding", "rb", "--role=r", "--serviceaccount=default:default"],
        ["quota", "q", "--hard=pods=10"], ["poddisruptionbudget", "pdb", "--selector=app=none", "--min-available=1"],
        ["job", "j", "--image=nginx:1.15", "--", "echo", "done"],
        ["cronjob", "cj", "--image=nginx:1.15", "--schedule=0 0 * * *", "--", "echo", "done"],
        ["ingress", "i", "--rule=a.example/=web:80"],
    ):
        assert "created" in kubectl("create", *arguments), arguments
    kubectl("create", "configmap", "dry", "--dry-run=server", "--from-literal=a=b")
    assert "not found" in kubectl.refused("get", "configmap", "dry")
    assert "already exists" in kubectl.refused("create", "configmap", "c")
    assert kubectl("create", "token", "sa").count(".") == 2
    kubectl("wait", "--for=condition=complete", "job/j", "--timeout=60s")
    kubectl("delete", "quota/q", "cronjob/cj", "ingress/i", "job/j", "pdb/pdb")


def test_kubectl_asks_for_rights(kubectl):
    assert kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    account = f"system:serviceaccount:{kubectl.namespace}:sa"
    assert kubectl("auth", "can-i", "create", "pods", "--as", account, check=False).stdout.strip().startswith("no")
    refusal = kubectl.refused("get", "secrets", "--as", account)
    assert f'User "{account}" cannot list resource "secrets" in API group "" in the namespace "{kubectl.namespace}"' in refusal, refusal
    kubectl("create", "rolebinding", "view", "--clusterrole=view", f"--serviceaccount={kubectl.namespace}:sa")
    assert kubectl("auth", "can-i", "list", "pods", "--as", account).strip() == "yes"
    assert "selfsubjectaccessreviews" in kubectl("auth", "can-i", "--list")
    assert "Username" in kubectl("auth", "whoami")


def test_kubectl_in_a_pod(kubectl):
    pod = kubectl("get", "pods", "-l", "app=web", "--field-selector", "status.phase=Running", "-o", "name").split()[0]
    assert kubectl("exec", pod, "--", "echo", "hello").strip() == "hello"
    assert kubectl("exec", "-i", pod, "--", "cat", input="through").strip().endswith("through")
    assert kubectl("exec", pod, "--", "sh", "-c", "exit 7", check=False).returncode == 7
    # By WebSocket, without falling back to SPDY: input that ends, an exit code, and what the kubelet refuses.
    command = ("exec", "-v=4", "-i", pod, "--", "sh", "-c", "wc -c; echo done >&2; exit 5")
    result = kubectl(*command, input="x" * 100_000, check=False)
    assert result.returncode == 5 and "100000" in result.stdout and "fallback" not in result.stdout, result.stdout[-2000:]
    assert "start worker process" in kubectl("logs", pod, "--tail=50")
    result = kubectl("run", "once", "--image=nginx:1.15", "--restart=Never", "--rm", "-i", "--", "echo", "from once", timeout=90)
    assert "from once" in result, result
    address = kubectl("get", "--raw", f"/api/v1/namespaces/{kubectl.namespace}/pods/{pod.split('/')[1]}:80/proxy/")
    assert "Welcome to nginx" in address


def test_kubectl_forwards_a_port(kubectl):
    pod = kubectl("get", "pods", "-l", "app=web", "--field-selector", "status.phase=Running", "-o", "name").split()[0]
    # At this level kubectl tells when it gives up WebSocket for SPDY.
    command = [kubectl.binary, "-n", kubectl.namespace, "port-forward", "-v=4", pod, ":80"]
    forward = subprocess.Popen(command, env=kubectl.service.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = ""
        while not (port := re.search(r"127\.0\.0\.1:(\d+)", said)):
            line = forward.stdout.readline()
            assert line, said
            said += line
        for _ in range(3):
            assert b"Welcome to nginx" in urllib.request.urlopen(f"http://127.0.0.1:{port.group(1)}/", timeout=10).read()
    finally:
        forward.kill()
        said += forward.communicate()[0]
    assert "fallback" not in said, said


def test_kubectl_debugs_with_an_ephemeral_container(kubectl):
    pod = kubectl("get", "pods", "-l", "app=web", "-o", "name").split()[0].split("/")[1]
    kubectl("debug", pod, "--image=nginx:1.15", "--container=look", "--profile=general", "--", "sleep", "60")

    def runs():
        statuses = kubectl.get("pod", pod)["status"].get("ephemeralContainerStatuses", [])
        return statuses and "running" in statuses[0]["state"]
    wait_for(runs, "the ephemeral container runs")


def test_kubectl_with_custom_resources(kubectl):
    name = f"crontabs.{kubectl.namespace}.example.com"
    definition = CRONTAB.replace("stable.example.com", f"{kubectl.namespace}.example.com")
    kubectl("apply", "-f", "-", input=definition)
    kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=10s")
    resource = f"apiVersion: {kubectl.namespace}.example.com/v1\nkind: CronTab\nmetadata: {{name: mine}}\nspec: {{cronSpec: '* * * * */5', image: awesome}}\n"
    assert "created" in kubectl("apply", "-f", "-", input=resource)
    assert "unchanged" in kubectl("apply", "-f", "-", input=resource)
    plural = f"ct.{kubectl.namespace}.example.com"
    assert kubectl("get", "crontabs." + plural.split(".", 1)[1], "--no-headers").split()[:3] == ["mine", "*", "*"]
    assert kubectl.get(name, "mine")["spec"]["replicas"] == 1
    kubectl("scale", name + "/mine", "--replicas=3")
    assert kubectl.get(name, "mine")["spec"]["replicas"] == 3
    kubectl("patch", name, "mine", "--subresource=status", "--type=merge", "-p", '{"status":{"replicas":3}}')
    assert kubectl.get(name, "mine")["status"]["replicas"] == 3
    assert "When it runs." in kubectl("explain", "crontabs.spec.cronSpec", "--api-version", f"{kubectl.namespace}.example.com/v1")
    assert "should match" in kubectl.refused("apply", "-f", "-", input=resource.replace("* * * * */5", "now"))
    assert "should be less than or equal to 10" in kubectl.refused("patch", name, "mine", "--type=merge", "-p", '{"spec":{"replicas":11}}')
    assert "this image is forbidden" in kubectl.refused("patch", name, "mine", "--type=merge", "-p", '{"spec":{"image":"forbidden"}}')
    assert 'unknown field "spec.imagee"' in kubectl.refused("apply", "-f", "-", "--validate=strict", input=resource.replace("image:", "imagee:"))
    assert "serverside-applied" in kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=resource)
    kubectl("delete", "crd", name)
    assert "the server doesn't have a resource type" in kubectl.refused("get", name)


def test_kubectl_waits_and_deletes(kubectl):
    kubectl("create", "deployment", "gone", "--image=nginx:1.15", "--replicas=2")
    kubectl("wait", "--for=condition=Available", "deployment/gone", "--timeout=60s")
    kubectl("wait", "--for=jsonpath={.status.readyReplicas}=2", "deployment/gone", "--timeout=60s")
    kubectl("delete", "deployment", "gone", "--cascade=orphan")
    assert len(kubectl.get("pods", "-l", "app=gone")["items"]) == 2
    kubectl("delete", "replicasets", "-l", "app=gone", "--cascade=foreground", "--wait=true", timeout=90)
    wait_for(lambda: not kubectl.get("pods", "-l", "app=gone")["items"], "the pods are gone", timeout=90)
    kubectl("replace", "--force", "-f", "-", input="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: c}\n")
    assert kubectl.get("configmap", "c")["data"] == {"a": "c"}


def test_kubectl_approves_a_certificate(kubectl, tmp_path):
    key = tmp_path / "key.pem"
    request = subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj", "/CN=jane/O=readers"],
        check=True, capture_output=True).stdout
    name = f"jane-{kubectl.namespace}"
    kubectl("apply", "-f", "-", input=json.dumps({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
        "spec": {"request": base64.b64encode(request).decode(), "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}}))
    kubectl("certificate", "approve", name)
    certificate = wait_for(lambda: kubectl.get("csr", name)["status"].get("certificate"), "the certificate is signed", timeout=20)
    (tmp_path / "cert.pem").write_bytes(base64.b64decode(certificate))
    config = tmp_path / "kubeconfig"
    config.write_text(kubectl("config", "view", "--raw", "--minify"))
    for change in (
        ["set-credentials", "jane", "--client-certificate", tmp_path / "cert.pem", "--client-key", key], ["set-context", "--current", "--user=jane"],
    ):
        kubectl.service.run(kubectl.binary, "config", "--kubeconfig", config, *change)
    who = kubectl("--kubeconfig", config, "auth", "whoami", check=False).stdout
    assert "jane" in who and "readers" in who, who
    kubectl("delete", "csr", name)


class Helm:
    def __init__(self, service, version):
        self.service = service
        self.binary = CLIENTS / f"helm-{version}"
        self.version = version
        self.namespace = f"helm-{version}"
        self.release = f"web{version}"

    def __call__(self, *arguments, check=True, timeout=180):
        result = self.service.run(self.binary, "-n", self.namespace, *arguments, check=False, timeout=timeout)
        if check and result.returncode != 0:
            raise AssertionError(f"helm {' '.join(map(str, arguments))}: {result.stdout}")
        return result.stdout if check else result


@pytest.fixture(scope="module", params=HELMS)
def helm(request, cluster):
    helm = Helm(cluster, request.param)
    yield helm
    cluster.kubectl("delete", "crd", "greetings.tests.eyrie.dev", "--ignore-not-found")


def test_helm_installs_with_hooks_and_definitions(helm):
    helm("install", helm.release, CHART, "--create-namespace", "--wait", "--timeout", "90s")
    kubectl = lambda *a: helm.service.kubectl("-n", helm.namespace, *a)
    assert "deployed" in helm("status", helm.release)
    assert kubectl("get", "greetings", helm.release, "-o", "jsonpath={.spec.text}/{.spec.times}") == "hello/1"
    assert kubectl("get", "job", f"{helm.release}-pre-install", "-o", "jsonpath={.status.succeeded}") == "1"
    assert kubectl("get", "deployment", helm.release, "-o", "jsonpath={.status.readyReplicas}") == "2"
    assert helm("list", "-q").split() == [helm.release]


def test_helm_upgrades_tests_and_rolls_back(helm):
    kubectl = lambda *a: helm.service.kubectl("-n", helm.namespace, *a)
    helm("upgrade", helm.release, CHART, "--set", "greeting=servus,replicas=1", "--wait", "--timeout", "90s")
    assert kubectl("get", "configmap", helm.release, "-o", "jsonpath={.data.greeting}") == "servus"
    assert kubectl("get", "job", f"{helm.release}-post-upgrade", "-o", "jsonpath={.status.succeeded}") == "1"
    helm("test", helm.release, "--timeout", "60s")
    helm("rollback", helm.release, "1", "--wait", "--timeout", "90s")
    assert kubectl("get", "configmap", helm.release, "-o", "jsonpath={.data.greeting}") == "hello"
    assert len(json.loads(helm("history", helm.release, "-o", "json"))) == 3
    assert "servus" not in helm("get", "manifest", helm.release)


def test_helm_takes_a_failed_upgrade_back(helm):
    option = "--atomic" if helm.version == "3" else "--rollback-on-failure"
    failed = helm("upgrade", helm.release, CHART, "--set", "tag=none", option, "--timeout", "8s", check=False)
    assert failed.returncode != 0
    refused = helm("upgrade", helm.release, CHART, "--set", "greeting=x", "--timeout", "20s", check=False)
    assert refused.returncode != 0 and "at least 2 chars long" in refused.stdout, refused.stdout
    image = helm.service.kubectl("-n", helm.namespace, "get", "deployment", helm.release, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
    assert image == "nginx:1.15"


def test_helm_uninstalls(helm):
    helm("uninstall", helm.release, "--wait", "--timeout", "60s")
    assert helm("list", "-q").strip() == ""
    left = helm.service.kubectl("-n", helm.namespace, "get", "deployments,services,greetings", "-o", "name")
    assert helm.release not in left
    helm.service.kubectl("delete", "namespace", helm.namespace, timeout=90)
