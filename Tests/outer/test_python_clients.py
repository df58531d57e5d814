"""Python's clients, which share no code with kubectl: the official one (typed, dynamic, watch, exec), lightkube, and an operator made with kopf."""
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import kubernetes
import kubernetes.stream
import lightkube
import pytest
from conftest import ROOT, wait_for
from kubernetes.client.rest import ApiException

OPERATOR = ROOT / "Tests/fixtures/widget_operator.py"

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: bakeries.tests.eyrie.dev}
spec:
  group: tests.eyrie.dev
  scope: Namespaced
  names: {plural: bakeries, singular: bakery, kind: Bakery}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {loaves: {type: integer}}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""


@pytest.fixture(scope="module")
def cluster(service):
    service.run(service.binary, "up", "python", "--data-dir", service.data, "--nodes", "1", timeout=120)
    # The kubeconfig's exec plug-in reads the environment.
    os.environ.update({name: value for name, value in service.env.items() if name.startswith("AWS_")})
    return service


@pytest.fixture(scope="module")
def api(cluster):
    return kubernetes.config.new_client_from_config(str(cluster.kubeconfig))


def test_the_typed_client_creates_patches_and_deletes(api):
    core = kubernetes.client.CoreV1Api(api)
    made = core.create_namespaced_config_map("default", {"metadata": {"generateName": "typed-"}, "data": {"a": "1"}})
    name = made.metadata.name
    assert core.patch_namespaced_config_map(name, "default", {"data": {"b": "2"}}).data == {"a": "1", "b": "2"}
    made.data = {"c": "3"}
    with pytest.raises(ApiException) as stale:
        core.replace_namespaced_config_map(name, "default", made)
    assert stale.value.status == 409
    assert json.loads(stale.value.body)["reason"] == "Conflict"
    assert core.delete_namespaced_config_map(name, "default").status == "Success"
    with pytest.raises(ApiException) as missing:
        core.read_namespaced_config_map(name, "default")
    assert missing.value.status == 404


def test_the_typed_client_watches(api):
    core = kubernetes.client.CoreV1Api(api)
    seen = []

    def follow():
        for event in kubernetes.watch.Watch().stream(core.list_namespaced_secret, "default", label_selector="watch=this", timeout_seconds=20):
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                return
    thread = threading.Thread(target=follow)
    thread.start()
    core.create_namespaced_secret("default", {"metadata": {"name": "watched", "labels": {"watch": "this"}}, "stringData": {"k": "v"}})
    core.patch_namespaced_secret("watched", "default", {"stringData": {"k": "w"}})
    # An object that no longer matches is deleted as far as the watcher is concerned.
    core.patch_namespaced_secret("watched", "default", {"metadata": {"labels": {"watch": "other"}}})
    thread.join(30)
    assert [kind for kind, _ in seen] == ["ADDED", "MODIFIED", "DELETED"], seen
    core.delete_namespaced_secret("watched", "default")


def test_the_typed_client_pages(api):
    core = kubernetes.client.CoreV1Api(api)
    for index in range(7):
        core.create_namespaced_config_map("default", {"metadata": {"name": f"page-{index}", "labels": {"page": "yes"}}})
    found, token = [], None
    while True:
        page = core.list_namespaced_config_map("default", label_selector="page=yes", limit=3, _continue=token)
        found += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert found == [f"page-{index}" for index in range(7)]
    core.delete_collection_namespaced_config_map("default", label_selector="page=yes")
    assert not core.list_namespaced_config_map("default", label_selector="page=yes").items


def test_the_typed_client_runs_commands_in_a_pod(api):
    core = kubernetes.client.CoreV1Api(api)
    core.create_namespaced_pod("default", {"metadata": {"name": "shell"}, "spec": {
        "terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "nginx:1.15"}]}})
    wait_for(lambda: core.read_namespaced_pod("shell", "default").status.phase == "Running", "the pod runs")
    answer = kubernetes.stream.stream(core.connect_get_namespaced_pod_exec, "shell", "default", command=["echo", "hello"], stdout=True, stderr=True)
    assert answer.strip() == "hello"
    assert isinstance(core.read_namespaced_pod_log("shell", "default"), str)
    core.delete_namespaced_pod("shell", "default")


def test_the_dynamic_client_finds_custom_resources(api, cluster):
    cluster.kubectl("apply", "-f", "-", input=DEFINITION)
    cluster.kubectl("wait", "--for=condition=Established", "crd/bakeries.tests.eyrie.dev", "--timeout=10s")
    dynamic = kubernetes.dynamic.DynamicClient(api)
    bakeries = dynamic.resources.get(api_version="tests.eyrie.dev/v1", kind="Bakery")
    bakeries.create(namespace="default", body={"apiVersion": "tests.eyrie.dev/v1", "kind": "Bakery", "metadata": {"name": "one"}, "spec": {"loaves": 3}})
    assert bakeries.get(name="one", namespace="default").spec.loaves == 3
    applied = bakeries.server_side_apply(
        namespace="default", field_manager="tests", force_conflicts=True,
        body={"apiVersion": "tests.eyrie.dev/v1", "kind": "Bakery", "metadata": {"name": "one"}, "spec": {"loaves": 4}})
    assert applied.spec.loaves == 4
    bakeries.delete(name="one", namespace="default")


def test_lightkube_applies_and_watches(cluster):
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.core_v1 import ConfigMap
    client = lightkube.Client(lightkube.KubeConfig.from_file(str(cluster.kubeconfig)), field_manager="lightkube")
    client.apply(ConfigMap(metadata=ObjectMeta(name="light", namespace="default"), data={"a": "1"}))
    client.apply(ConfigMap(metadata=ObjectMeta(name="light", namespace="default"), data={"b": "2"}))
    assert client.get(ConfigMap, "light", namespace="default").data == {"b": "2"}
    assert "light" in [item.metadata.name for item in client.list(ConfigMap, namespace="default")]
    client.delete(ConfigMap, "light", namespace="default")
    with pytest.raises(lightkube.ApiError) as missing:
        client.get(ConfigMap, "light", namespace="default")
    assert missing.value.status.code == 404


@pytest.fixture(scope="module")
def operator(cluster, tmp_path_factory):
    directory = tmp_path_factory.mktemp("operator")
    cluster.kubectl("apply", "-f", "-", input=DEFINITION)
    log = open(directory / "log", "w")
    # A certificate for the operator's webhook server, which it registers as its own authority.
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=operator",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", directory / "key.pem", "-out", directory / "cert.pem"], check=True, capture_output=True)
    environment = dict(cluster.env, OPERATOR_CERTIFICATES=str(directory))
    process = subprocess.Popen(
        [sys.executable, "-m", "kopf", "run", "--namespace=default", "--standalone", str(OPERATOR)], env=environment, stdout=log, stderr=log)
    yield directory / "log"
    process.terminate()
    process.wait(20)


def test_an_operator_makes_follows_and_cleans_up(cluster, operator):
    def bakery():
        return cluster.get("bakery", "two")
    cluster.kubectl("apply", "-f", "-", input="apiVersion: tests.eyrie.dev/v1\nkind: Bakery\nmetadata: {name: two, namespace: default}\nspec: {loaves: 2}\n")
    try:
        wait_for(lambda: bakery().get("status", {}).get("baked") == 2, "the operator has written the status", timeout=30)
        assert bakery()["metadata"]["finalizers"], "the operator guards its object by a finalizer"
        assert cluster.get("configmap", "two-loaves")["data"] == {"loaves": "2"}
        cluster.kubectl("patch", "bakery", "two", "--type=merge", "-p", '{"spec":{"loaves":5}}')
        wait_for(lambda: bakery().get("status", {}).get("baked") == 5, "the operator has seen the change", timeout=30)
        cluster.kubectl("delete", "bakery", "two", "--timeout=30s")
        wait_for(lambda: cluster.kubectl("get", "configmap", "two-closed", check=False).returncode == 0, "the delete handler ran", timeout=10)
        # Its child goes with it.
        wait_for(lambda: cluster.kubectl("get", "configmap", "two-loaves", check=False).returncode != 0, "the garbage collector took the child", timeout=30)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{operator.read_text()[-3000:]}") from error


def test_an_operators_admission_webhooks_are_asked(cluster, operator):
    """kopf serves webhooks itself and registers them by URL."""
    wait_for(lambda: "bakeries" in cluster.kubectl("get", "validatingwebhookconfigurations", "-o", "yaml"), "the webhooks are registered", timeout=30)

    def refused():
        result = cluster.kubectl("apply", "-f", "-", check=False, input=(
            "apiVersion: tests.eyrie.dev/v1\nkind: Bakery\nmetadata: {name: bad, namespace: default}\nspec: {loaves: -1}\n"))
        return "nobody bakes less than nothing" in result.stdout and "denied the request" in result.stdout
    wait_for(refused, "the validating webhook refuses", timeout=20)
    cluster.kubectl("apply", "-f", "-", input="apiVersion: tests.eyrie.dev/v1\nkind: Bakery\nmetadata: {name: good, namespace: default}\nspec: {}\n")
    assert cluster.get("bakery", "good")["spec"]["loaves"] == 1, "the mutating webhook sets a default"
    cluster.kubectl("delete", "bakery", "good", "--timeout=30s")
