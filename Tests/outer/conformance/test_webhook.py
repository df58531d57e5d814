"""test/e2e/apimachinery/webhook.go"""
import base64
import contextlib
import itertools
import json
import time

import pytest
from conftest import wait_for
from kubernetes.client.rest import ApiException
from secure_server import JSONHandler, SecureServer

from .cluster import refused
from .definitions import definition, manifest
from .operations import check_discovery
from .workloads import SLEEP, pod

VERSION = "admissionregistration.k8s.io/v1"
KINDS = {"validating": "ValidatingWebhookConfiguration", "mutating": "MutatingWebhookConfiguration"}
PORT = 8443
# Of a slow webhook, in seconds: more than the shortest timeout.
LATENCY = 2


def patched(uid, *operations):
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"uid": uid, "allowed": True, "patchType": "JSONPatch", "patch": patch}


def denied(uid, message):
    return {"uid": uid, "allowed": False, "status": {"message": message}}


class Reviewer(JSONHandler):
    """The admission webhooks of upstream's test image, by path."""

    def do_POST(self):
        request = self.body()["request"]
        path = self.path.split("?")[0].strip("/")
        response = getattr(self, path.replace("-", "_"))(request, request["uid"], request.get("object") or {})
        self.answer(200, {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})

    def always_allow(self, request, uid, object):
        return {"uid": uid, "allowed": True}

    def always_allow_late(self, request, uid, object):
        time.sleep(LATENCY)
        return {"uid": uid, "allowed": True}

    def always_deny(self, request, uid, object):
        return denied(uid, "this webhook denies all requests")

    def add_label(self, request, uid, object):
        return patched(uid, {"op": "add", "path": "/metadata/labels", "value": {"added-label": "yes"}})

    def pods(self, request, uid, object):
        reasons = []
        if object["metadata"].get("labels", {}).get("webhook-e2e-test") == "wait-forever":
            time.sleep(20)
        if object["metadata"].get("labels", {}).get("webhook-e2e-test") == "webhook-disallow":
            reasons.append("the pod contains unwanted label")
        if "webhook-disallow" in [container["name"] for container in object["spec"]["containers"]]:
            reasons.append("the pod contains unwanted container name")
        return denied(uid, "; ".join(reasons)) if reasons else {"uid": uid, "allowed": True}

    def pods_attach(self, request, uid, object):
        assert request["operation"] == "CONNECT" and object["kind"] == "PodAttachOptions" and object["stdin"], request
        return denied(uid, f"attaching to pod '{request['name']}' is not allowed")

    def mutating_pods(self, request, uid, object):
        return patched(uid, {"op": "add", "path": "/spec/initContainers", "value": [
            {"name": "webhook-added-init-container", "image": "webhook-added-image", "resources": {}}]})

    def data(self, request, uid, object):
        if object.get("data", {}).get("webhook-e2e-test") == "webhook-disallow":
            return denied(uid, "the object contains unwanted key and value")
        old = request.get("oldObject") or {}
        if request["operation"] == "DELETE" and old.get("data", {}).get("webhook-e2e-test") == "webhook-nondeletable":
            return denied(uid, "the object cannot be deleted because it contains unwanted key and value")
        return {"uid": uid, "allowed": True}

    def mutating_data(self, request, uid, object):
        data = object.get("data", {})
        operations = []
        if data.get("mutation-start") == "yes":
            operations.append({"op": "add", "path": "/data/mutation-stage-1", "value": "yes"})
        if data.get("mutation-stage-1") == "yes":
            operations.append({"op": "add", "path": "/data/mutation-stage-2", "value": "yes"})
        return patched(uid, *operations)

    def crd(self, request, uid, object):
        if object["metadata"].get("labels", {}).get("webhook-e2e-test") == "webhook-disallow":
            return denied(uid, "the crd contains unwanted label")
        return {"uid": uid, "allowed": True}


class Webhooks:
    """Registers webhooks for namespaces with the test's own label, and waits until they are asked."""
    unique = itertools.count(1)

    def __init__(self, cluster, directory):
        self.cluster = cluster
        self.server = SecureServer(Reviewer, directory, "default", "e2e-test-webhook")
        service, endpoints = self.server.objects(port=PORT)
        cluster.core("services", "default").create(service)
        cluster.resource("discovery.k8s.io/v1", "endpointslices", "default").create(endpoints)
        self.label = None
        self.made = []

    def configurations(self, kind):
        return self.cluster.resource(VERSION, KINDS[kind].lower() + "s")

    def hook(self, name, path, group, resources, operations=("CREATE",), versions=("v1",), bundle=True, scoped=True, **fields):
        hook = {
            "name": f"{name}.k8s.io", "sideEffects": "None", "admissionReviewVersions": ["v1", "v1beta1"],
            "clientConfig": self.server.client_config(f"/{path}", port=PORT, bundle=bundle),
            "rules": [{"apiGroups": [group], "apiVersions": list(versions), "operations": list(operations), "resources": list(resources)}], **fields}
        if scoped:
            hook.setdefault("namespaceSelector", {"matchLabels": {self.label: "true"}})
        return hook

    def create(self, kind, *hooks, name=None, labels=None):
        name = name or f"{self.label}-{len(self.made)}"
        made = self.configurations(kind).create({"metadata": {"name": name, "labels": labels or {}}, "webhooks": list(hooks)})
        self.made.append((kind, name))
        return made

    def register(self, kind, *hooks, **fields):
        """Makes the configuration with one webhook more, which refuses or changes markers: when it does, the others are in use, too."""
        marker = self.hook("ready", "always-deny" if kind == "validating" else "add-label", "", ["configmaps"],
                           objectSelector={"matchLabels": {"marker": "yes"}})
        made = self.create(kind, *hooks, marker, **fields)
        maps = self.cluster.core("configmaps", self.namespace)

        def asked():
            try:
                created = maps.create({"metadata": {"name": "marker", "labels": {"marker": "yes"}}}, dryRun="All")
                return "added-label" in created["metadata"]["labels"]
            except ApiException as error:
                return "denies all requests" in str(error.body)
        wait_for(asked, "the webhooks are in use", timeout=20, every=0.02)
        return made

    @contextlib.contextmanager
    def test(self, cluster=None):
        self.label, self.made = f"webhooks-{next(self.unique)}", []
        with (cluster or self.cluster).namespace(**{self.label: "true"}) as self.namespace:
            try:
                yield self
            finally:
                for kind, name in self.made:
                    if not self.configurations(kind).gone(name):
                        self.configurations(kind).delete(name)

    @property
    def maps(self):
        return self.cluster.core("configmaps", self.namespace)


@pytest.fixture(scope="module")
def started(cluster, tmp_path_factory):
    webhooks = Webhooks(cluster, tmp_path_factory.mktemp("webhooks"))
    yield webhooks
    webhooks.server.stop()
    cluster.core("services", "default").delete(webhooks.server.name)


@pytest.fixture
def webhooks(started):
    with started.test():
        yield started


def config_map(name=None, **data):
    return {"metadata": {"name": name} if name else {"generateName": "map-"}, "data": {key.replace("_", "-"): value for key, value in data.items()}}


DISALLOWED = {"webhook_e2e_test": "webhook-disallow"}
UNWANTED = "the object contains unwanted key and value"


def admitted(webhooks, **data):
    """Whether a config map is let in."""
    try:
        webhooks.maps.create(config_map(**data))
        return True
    except ApiException as error:
        assert "denied the request" in str(error.body), error.body
        return False


def deny_maps(webhooks, **fields):
    return webhooks.hook("deny-unwanted-configmap-data", "data", "", ["configmaps"], **fields)


def mutate_maps(webhooks, stage):
    return webhooks.hook(f"adding-configmap-data-stage-{stage}", "mutating-data", "", ["configmaps"])


def test_discovery_has_webhooks(cluster):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should include webhook resources in discovery documents [Conformance]"""
    check_discovery(cluster, VERSION, "mutatingwebhookconfigurations", "validatingwebhookconfigurations")


def test_pods_and_config_maps_are_denied(cluster, webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny pod and configmap creation [Conformance]"""
    skip = {"namespaceSelector": {"matchLabels": {webhooks.label: "true"}, "matchExpressions": [
        {"key": "skip-webhook-admission", "operator": "NotIn", "values": ["yes"]}]}}
    webhooks.register(
        "validating", webhooks.hook("deny-unwanted-pods", "pods", "", ["pods"], timeoutSeconds=1),
        deny_maps(webhooks, operations=["CREATE", "UPDATE", "DELETE"], **skip))
    pods = cluster.core("pods", webhooks.namespace)
    with refused(400, 'admission webhook "deny-unwanted-pods.k8s.io" denied the request', "unwanted container name", "unwanted label"):
        pods.create(pod("disallowed", {"labels": {"webhook-e2e-test": "webhook-disallow"}}, {"name": "webhook-disallow"}))
    with refused(500, 'failed calling webhook "deny-unwanted-pods.k8s.io"', "deadline"):
        pods.create(pod("hanging", {"labels": {"webhook-e2e-test": "wait-forever"}}))
    assert pods.names() == []
    maps = webhooks.maps
    with refused(400, UNWANTED):
        maps.create(config_map("disallowed", **DISALLOWED))
    maps.create(config_map("allowed", admit="this"))
    with refused(400, UNWANTED):
        maps.update("allowed", lambda object: object["data"].update({"webhook-e2e-test": "webhook-disallow"}))
    with refused(400, UNWANTED):
        maps.patch("allowed", {"data": {"webhook-e2e-test": "webhook-disallow"}}, kind="strategic")
    with cluster.namespace(**{webhooks.label: "true", "skip-webhook-admission": "yes"}) as skipped:
        cluster.core("configmaps", skipped).create(config_map("disallowed", **DISALLOWED))


def test_custom_resources_are_denied(cluster, webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny custom resource creation, update and deletion [Conformance]"""
    with definition(cluster, webhooks.namespace) as custom:
        webhooks.register("validating", webhooks.hook(
            "deny-unwanted-custom-resource-data", "data", custom.group, [custom.plural], operations=["CREATE", "UPDATE", "DELETE"]))
        objects = custom.objects()
        with refused(400, UNWANTED):
            objects.create(custom.object("cr", data={"webhook-e2e-test": "webhook-disallow"}))
        objects.create(custom.object("cr", data={"webhook-e2e-test": "webhook-nondeletable"}))
        with refused(400, UNWANTED):
            objects.update("cr", lambda object: object["data"].update({"webhook-e2e-test": "webhook-disallow"}))
        with refused(400, "the object cannot be deleted because it contains unwanted key and value"):
            objects.delete("cr")
        objects.update("cr", lambda object: object["data"].update({"webhook-e2e-test": "webhook-allow"}))
        objects.delete("cr")
        assert objects.gone("cr")


def test_a_webhook_that_fails_closes(cluster, webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should unconditionally reject operations on fail closed webhook [Conformance]"""
    selector = {"matchLabels": {webhooks.label: "true"}, "matchExpressions": [
        {"key": "fail-closed-webhook", "operator": "In", "values": ["yes"]}]}
    # Without an authority the webhook's certificate is not believed.
    webhooks.register("validating", webhooks.hook(
        "fail-closed", "data", "", ["configmaps"], bundle=False, failurePolicy="Fail", namespaceSelector=selector))
    with cluster.namespace(**{webhooks.label: "true"}) as other:
        cluster.core("namespaces").patch(other, {"metadata": {"labels": {"fail-closed-webhook": "yes"}}})
        maps = cluster.core("configmaps", other)
        with refused(500, 'failed calling webhook "fail-closed.k8s.io"') as error:
            maps.create(config_map("foo"))
        assert json.loads(error.value.body)["reason"] == "InternalError"


def test_config_maps_are_mutated_in_order(webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate configmap [Conformance]"""
    webhooks.register("mutating", mutate_maps(webhooks, 1), mutate_maps(webhooks, 2))
    made = webhooks.maps.create(config_map("to-be-mutated", mutation_start="yes"))
    assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


def test_what_is_not_matched_is_not_mutated(webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate everything except 'skip-me' configmaps [Conformance]"""
    hook = mutate_maps(webhooks, 1)
    hook["matchConditions"] = [{"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}]
    webhooks.register("mutating", hook)
    assert webhooks.maps.create(config_map("skip-me", mutation_start="yes"))["data"] == {"mutation-start": "yes"}
    assert webhooks.maps.create(config_map("other", mutation_start="yes"))["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes"}


def test_pods_are_mutated_and_get_defaults(cluster, webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate pod and apply defaults after mutation [Conformance]"""
    webhooks.register("mutating", webhooks.hook("adding-init-container", "mutating-pods", "", ["pods"]))
    made = cluster.core("pods", webhooks.namespace).create(pod("to-be-mutated"))
    [container] = made["spec"]["initContainers"]
    assert container["name"] == "webhook-added-init-container" and container["terminationMessagePolicy"] == "File"


def test_webhook_configurations_are_left_alone(webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should not be able to mutate or prevent deletion of webhook configuration objects [Conformance]"""
    resources = ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"]
    group = "admissionregistration.k8s.io"
    # These would concern all objects of the cluster: they have no namespace.
    webhooks.register("validating", webhooks.hook(
        "deny-deletions", "always-deny", group, resources, operations=["DELETE"], versions=["*"], failurePolicy="Fail", scoped=False))
    webhooks.register("mutating", webhooks.hook(
        "add-label", "add-label", group, resources, operations=["CREATE"], versions=["*"], failurePolicy="Fail", scoped=False))
    for kind in KINDS:
        dummy = webhooks.hook("dummy", "", "", ["invalid"], bundle=False, failurePolicy="Ignore")
        made = webhooks.create(kind, dummy)
        assert "added-label" not in made["metadata"].get("labels", {})
        webhooks.configurations(kind).delete(made["metadata"]["name"])
        assert webhooks.configurations(kind).gone(made["metadata"]["name"])


def mutate_custom(webhooks, custom):
    webhooks.register("mutating", *(
        webhooks.hook(f"mutate-custom-resource-data-stage-{stage}", "mutating-data", custom.group, [custom.plural], operations=["CREATE", "UPDATE"],
                      versions=["v1", "v2"]) for stage in (1, 2)))


def test_custom_resources_are_mutated(cluster, webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource [Conformance]"""
    with definition(cluster, webhooks.namespace) as custom:
        mutate_custom(webhooks, custom)
        made = custom.objects().create(custom.object("cr", data={"mutation-start": "yes"}))
        assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


def versions(schema):
    return [{"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}} for name in ("v1", "v2")]


def test_custom_resources_of_another_stored_version_are_mutated(cluster, webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource with different stored version [Conformance]"""
    with definition(cluster, webhooks.namespace, versions=versions({"type": "object", "x-kubernetes-preserve-unknown-fields": True})) as custom:
        mutate_custom(webhooks, custom)
        custom.objects("v1").create(custom.object("cr", data={"mutation-start": "yes"}))
        custom.definitions.patch(custom.name, [
            {"op": "replace", "path": "/spec/versions/0/storage", "value": False},
            {"op": "replace", "path": "/spec/versions/1/storage", "value": True}], kind="json")
        custom.definitions.wait(custom.name, lambda object: "v2" in object["status"]["storedVersions"], "stores v2")
        changed = custom.objects("v1").patch("cr", {"data": {"dummy": "test"}})
        assert changed["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes", "dummy": "test"}
        assert custom.objects("v2").get("cr")["data"] == changed["data"]


def test_mutated_custom_resources_are_pruned(cluster, webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource with pruning [Conformance]"""
    schema = {"type": "object", "properties": {"data": {"type": "object", "properties": {
        "mutation-start": {"type": "string"}, "mutation-stage-1": {"type": "string"}}}}}
    with definition(cluster, webhooks.namespace, versions=versions(schema)) as custom:
        mutate_custom(webhooks, custom)
        made = custom.objects().create(custom.object("cr", data={"mutation-start": "yes"}))
        assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes"}


def test_definitions_are_denied(cluster, webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should deny crd creation [Conformance]"""
    webhooks.register("validating", webhooks.hook(
        "deny-crd-with-unwanted-label", "crd", "apiextensions.k8s.io", ["customresourcedefinitions"], versions=["*"], scoped=False,
        objectSelector={"matchLabels": {"webhook-e2e-test": "webhook-disallow"}}))
    definitions = cluster.resource("apiextensions.k8s.io/v1", "customresourcedefinitions")
    document = manifest(labels={"webhook-e2e-test": "webhook-disallow"})
    with refused(400, "the crd contains unwanted label"):
        definitions.create(document)
    assert definitions.gone(document["metadata"]["name"])


def test_webhooks_have_a_time(webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should honor timeout [Conformance]"""
    def slow(**fields):
        kind, name = "validating", f"{webhooks.label}-slow-{len(webhooks.made)}"
        hook = webhooks.hook("allow-configmap-with-delay", "always-allow-late", "", ["configmaps"], **fields)
        hook["objectSelector"] = {"matchExpressions": [{"key": "marker", "operator": "DoesNotExist"}]}
        return webhooks.register(kind, hook, name=name)["webhooks"][0]
    assert slow(failurePolicy="Fail", timeoutSeconds=1)["timeoutSeconds"] == 1
    with refused(500, "deadline exceeded"):
        webhooks.maps.create(config_map())
    webhooks.configurations("validating").delete(webhooks.made[-1][1])
    slow(failurePolicy="Ignore", timeoutSeconds=1)
    start = time.monotonic()
    webhooks.maps.create(config_map())
    assert time.monotonic() - start < LATENCY
    webhooks.configurations("validating").delete(webhooks.made[-1][1])
    slow(failurePolicy="Fail", timeoutSeconds=10)
    webhooks.maps.create(config_map())
    webhooks.configurations("validating").delete(webhooks.made[-1][1])
    assert slow(failurePolicy="Fail")["timeoutSeconds"] == 10, "the default"
    webhooks.maps.create(config_map())


def test_validating_webhooks_change(webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] patching/updating a validating webhook should work [Conformance]"""
    name = webhooks.register("validating", deny_maps(webhooks))["metadata"]["name"]
    configurations = webhooks.configurations("validating")
    assert not admitted(webhooks, **DISALLOWED)
    configurations.update(name, lambda object: object["webhooks"][0]["rules"][0].update(operations=["UPDATE"]))
    wait_for(lambda: admitted(webhooks, **DISALLOWED), "creation is not validated any more", timeout=20, every=0.02)
    configurations.patch(name, [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}], kind="json")
    wait_for(lambda: not admitted(webhooks, **DISALLOWED), "creation is validated again", timeout=20, every=0.02)


def mutated(webhooks):
    return "mutation-stage-1" in webhooks.maps.create(config_map(mutation_start="yes"))["data"]


def test_mutating_webhooks_change(webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] patching/updating a mutating webhook should work [Conformance]"""
    name = webhooks.register("mutating", mutate_maps(webhooks, 1))["metadata"]["name"]
    configurations = webhooks.configurations("mutating")
    assert mutated(webhooks)
    configurations.update(name, lambda object: object["webhooks"][0]["rules"][0].update(operations=["UPDATE"]))
    wait_for(lambda: not mutated(webhooks), "creation is not mutated any more", timeout=20, every=0.02)
    configurations.patch(name, [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}], kind="json")
    wait_for(lambda: mutated(webhooks), "creation is mutated again", timeout=20, every=0.02)


def check_listing(webhooks, kind, hook, in_force):
    selector = f"e2e-list-test={webhooks.label}"
    for number in range(10):
        webhooks.create(kind, hook, name=f"{webhooks.label}-{number}", labels={"e2e-list-test": webhooks.label})
    configurations = webhooks.configurations(kind)
    assert len(configurations.names(labelSelector=selector)) == 10
    wait_for(lambda: in_force(webhooks), "the webhooks are in use", timeout=20, every=0.02)
    configurations.delete_collection(labelSelector=selector)
    assert configurations.names(labelSelector=selector) == []
    wait_for(lambda: not in_force(webhooks), "no webhook is in use any more", timeout=20, every=0.02)


def test_validating_webhooks_are_listed(webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] listing validating webhooks should work [Conformance]"""
    check_listing(webhooks, "validating", deny_maps(webhooks), lambda webhooks: not admitted(webhooks, **DISALLOWED))


def test_mutating_webhooks_are_listed(webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] listing mutating webhooks should work [Conformance]"""
    check_listing(webhooks, "mutating", mutate_maps(webhooks, 1), mutated)


def check_conditions(webhooks, kind):
    def conditions(*namespaces):
        return [{"name": f"expression-{number}", "expression": f"object.metadata.namespace == '{name}'"} for number, name in enumerate(namespaces, 1)]
    configurations = webhooks.configurations(kind)
    name = webhooks.create(kind, webhooks.hook("conditions", "always-deny", "", ["configmaps"], matchConditions=conditions("production")))["metadata"]["name"]
    assert configurations.get(name)["webhooks"][0]["matchConditions"] == conditions("production")
    configurations.update(name, lambda object: object["webhooks"][0].update(matchConditions=conditions("production", "staging")))
    assert configurations.get(name)["webhooks"][0]["matchConditions"] == conditions("production", "staging")
    # They decide: what is in another namespace is not sent to the webhook.
    webhooks.maps.create(config_map("somewhere-else"))


def check_invalid_condition(webhooks, kind):
    hook = webhooks.hook("conditions", "always-deny", "", ["configmaps"], matchConditions=[
        {"name": "invalid-expression-1", "expression": "... [] bad expression"}])
    with refused(422, "compilation failed"):
        webhooks.create(kind, hook)


def test_match_conditions_of_validating_webhooks(webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to create and update validating webhook configurations with match conditions [Conformance]"""
    check_conditions(webhooks, "validating")


def test_match_conditions_of_mutating_webhooks(webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to create and update mutating webhook configurations with match conditions [Conformance]"""
    check_conditions(webhooks, "mutating")


def test_invalid_match_conditions_of_validating_webhooks(webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should reject validating webhook configurations with invalid match conditions [Conformance]"""
    check_invalid_condition(webhooks, "validating")


def test_invalid_match_conditions_of_mutating_webhooks(webhooks):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should reject mutating webhook configurations with invalid match conditions [Conformance]"""
    check_invalid_condition(webhooks, "mutating")


def test_attaching_is_denied(node_cluster, node_namespace, tmp_path):
    """[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny attaching pod [Conformance]"""
    webhooks = Webhooks(node_cluster, tmp_path)
    try:
        with webhooks.test():
            webhooks.register("validating", webhooks.hook("deny-attaching-pod", "pods-attach", "", ["pods/attach"], operations=["CONNECT"]))
            pods = node_cluster.core("pods", webhooks.namespace)
            pods.create(pod("to-be-attached-pod", container={"name": "container1", "command": SLEEP}))
            pods.wait("to-be-attached-pod", lambda object: object["status"]["phase"] == "Running", "runs")
            result = node_cluster.kubectl("attach", "-n", webhooks.namespace, "to-be-attached-pod", "-i", "-c=container1", check=False)
            assert result.returncode != 0 and "attaching to pod 'to-be-attached-pod' is not allowed" in result.stdout, result.stdout
    finally:
        webhooks.server.stop()
        node_cluster.core("services", "default").delete(webhooks.server.name)
