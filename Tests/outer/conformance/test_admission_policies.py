"""test/e2e/apimachinery/validatingadmissionpolicy.go and mutatingadmissionpolicy.go"""
import itertools

import pytest
from conftest import wait_for
from kubernetes.client.rest import ApiException

from .cluster import refused
from .operations import check_discovery, check_operations
from .workloads import deployment

VERSION = "admissionregistration.k8s.io/v1"
LABEL = "admission-policy-test"
DEPLOYMENTS = [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}]
MARKERS = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]
BINDING_RESOURCES = {"namespaceSelector": {"matchLabels": {LABEL: "true"}}}


@pytest.fixture
def selected(cluster):
    """A namespace that policies' bindings select."""
    with cluster.namespace(**{LABEL: "true"}) as name:
        yield name


class Policies:
    """Makes policies of one kind with their bindings, and takes them away."""

    def __init__(self, cluster, plural, binding_spec):
        self.policies = cluster.resource(VERSION, f"{plural}policies")
        self.bindings = cluster.resource(VERSION, f"{plural}policybindings")
        self.binding_spec = binding_spec
        self.names = []

    def bind(self, name, spec):
        self.policies.create({"metadata": {"name": name}, "spec": spec})
        self.names.append(name)
        self.bindings.create({"metadata": {"name": name}, "spec": {"policyName": name, "matchResources": BINDING_RESOURCES, **self.binding_spec}})

    def remove(self):
        for name in self.names:
            self.bindings.delete(name)
            self.policies.delete(name)


@pytest.fixture
def validating(cluster, selected):
    """Policies that are known to hold: one that refuses every marker is made with them."""
    policies = Policies(cluster, "validatingadmission", {"validationActions": ["Deny"]})
    maps = cluster.core("configmaps", selected)

    def bind(spec):
        policies.bind("validated.example.com", spec)
        policies.bind("marker.example.com", {
            "matchConstraints": {"resourceRules": MARKERS}, "validations": [{"expression": "!has(object.metadata.labels)"}]})

        def holds():
            try:
                maps.create({"metadata": {"generateName": "marker-", "labels": {"marker": "yes"}}})
            except ApiException as error:
                return error.status == 422
        wait_for(holds, "the policies take effect", timeout=20, every=0.05)
    yield bind
    policies.remove()


def test_a_deployment_is_validated(cluster, selected, validating):
    """[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should validate against a Deployment [Conformance]"""
    validating({"matchConstraints": {"resourceRules": DEPLOYMENTS}, "validations": [
        {"expression": "object.spec.replicas > 1", "messageExpression": "'wants replicas > 1, got ' + string(object.spec.replicas)"},
        {"expression": "namespaceObject.metadata.name == request.namespace", "message": "Internal error! Other namespaces should not be allowed."}]})
    deployments = cluster.resource("apps/v1", "deployments", selected)
    with refused(422, "denied request: wants replicas > 1, got 1"):
        deployments.create(deployment("replicated", 1))
    deployments.create(deployment("replicated", 2))
    with refused(422, "wants replicas > 1, got 1"):
        deployments.patch("replicated", {"spec": {"replicas": 1}})


def test_expressions_refer_to_variables(cluster, selected, validating):
    """[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should allow expressions to refer variables. [Conformance]"""
    validating({
        "matchConstraints": {"resourceRules": DEPLOYMENTS},
        "variables": [{"name": "replicas", "expression": "object.spec.replicas"}, {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"}],
        "validations": [
            {"expression": "variables.replicas > 1"},
            {"expression": "variables.oddReplicas", "messageExpression": "'replicas must be odd, got ' + string(variables.replicas)"}]})
    deployments = cluster.resource("apps/v1", "deployments", selected)
    with refused(422, "denied request: failed expression: variables.replicas > 1"):
        deployments.create(deployment("replicated", 1))
    with refused(422, "replicas must be odd, got 2"):
        deployments.create(deployment("replicated", 2))
    deployments.create(deployment("replicated", 3))


def test_validating_policies(cluster):
    """[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should support ValidatingAdmissionPolicy API operations [Conformance]"""
    check_discovery(cluster, VERSION, "validatingadmissionpolicies", "validatingadmissionpolicies/status")
    spec = {"failurePolicy": "Ignore", "matchConstraints": {"resourceRules": DEPLOYMENTS}, "validations": [{"expression": "object.spec.replicas <= 100"}]}
    status = {"conditions": [{"type": "PatchStatusFailed", "status": "False", "reason": "Tested", "message": "patch", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    policies = cluster.resource(VERSION, "validatingadmissionpolicies")
    check_operations(policies, {"spec": spec}, status=status)
    name = policies.create({"metadata": {"generateName": "conformance-"}, "spec": spec})["metadata"]["name"]
    assert policies.patch(name, {"spec": {"failurePolicy": "Fail"}})["spec"]["failurePolicy"] == "Fail"
    policies.delete(name)


def test_validating_bindings(cluster):
    """[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should support ValidatingAdmissionPolicyBinding API operations [Conformance]"""
    check_discovery(cluster, VERSION, "validatingadmissionpolicybindings")
    check_operations(cluster.resource(VERSION, "validatingadmissionpolicybindings"), {"spec": {
        "policyName": "replicalimit-policy.example.com", "validationActions": ["Deny"]}})


def annotate(**annotations):
    pairs = ", ".join(f'"{name}": "{value}"' for name, value in annotations.items())
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": f"Object{{metadata: Object.metadata{{annotations: {{{pairs}}}}}}}"}}


@pytest.fixture
def mutated(cluster, selected):
    """Makes a policy with the mutation, and gives a deployment that it has changed."""
    policies = Policies(cluster, "mutatingadmission", {})
    deployments = cluster.resource("apps/v1", "deployments", selected)
    numbers = itertools.count(1)

    def run(mutation, changed, **metadata):
        policies.bind("mutated.example.com", {
            "matchConstraints": {"resourceRules": DEPLOYMENTS}, "reinvocationPolicy": "Never", "mutations": [mutation]})

        def created():
            made = deployments.create(deployment(f"test-{next(numbers)}", 2, metadata=metadata))
            return made if changed(made) else None
        return wait_for(created, "the policy takes effect", timeout=20, every=0.05)
    yield run
    policies.remove()


def test_a_deployment_is_mutated(mutated):
    """[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should mutate a Deployment [Conformance]"""
    patch = {"patchType": "JSONPatch", "jsonPatch": {"expression": '[JSONPatch{op: "replace", path: "/spec/replicas", value: object.spec.replicas + 1}]'}}
    made = mutated(patch, lambda object: object["spec"]["replicas"] == 3)
    assert made["spec"]["template"]["spec"]["containers"][0]["name"] == "nginx"


def test_annotations_of_a_deployment_are_mutated(mutated):
    """[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should mutate a Deployment with annotations [Conformance]"""
    made = mutated(
        annotate(**{"mutated-by": "admission-policy"}), lambda object: "mutated-by" in object["metadata"]["annotations"], annotations={"own": "kept"})
    assert made["metadata"]["annotations"] == {"own": "kept", "mutated-by": "admission-policy"} and made["spec"]["replicas"] == 2


def test_mutating_policies(cluster):
    """[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should support MutatingAdmissionPolicy API operations [Conformance]"""
    check_discovery(cluster, VERSION, "mutatingadmissionpolicies")
    spec = {"reinvocationPolicy": "Never", "matchConstraints": {"resourceRules": DEPLOYMENTS}, "mutations": [annotate(mine="yes")]}
    policies = cluster.resource(VERSION, "mutatingadmissionpolicies")
    check_operations(policies, {"spec": spec})
    name = policies.create({"metadata": {"generateName": "conformance-"}, "spec": spec})["metadata"]["name"]
    assert policies.patch(name, {"spec": {"failurePolicy": "Ignore"}})["spec"]["failurePolicy"] == "Ignore"
    policies.delete(name)


def test_mutating_bindings(cluster):
    """[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin] should support MutatingAdmissionPolicyBinding API operations [Conformance]"""
    check_discovery(cluster, VERSION, "mutatingadmissionpolicybindings")
    check_operations(cluster.resource(VERSION, "mutatingadmissionpolicybindings"), {"spec": {"policyName": "none.example.com"}})
