"""Admission policies by the examples of Kubernetes' documentation, and an extension API server, through kubectl; one cluster without nodes."""
import json
import os
import pathlib

import pytest
from conftest import ROOT, wait_for
from wardle import API_SERVICE, GROUP_VERSION, WardleServer

CLIENTS = pathlib.Path(os.environ.get("CLIENTS", ROOT / ".build/clients"))
NEWEST = CLIENTS / "kubectl-1.37"


@pytest.fixture(scope="module")
def cluster(service):
    service.run(service.binary, "up", "admission", "--data-dir", service.data, "--nodes", "0", timeout=120)
    service.kubectl_binary = str(NEWEST)
    wait_for(lambda: service.kubectl("get", "serviceaccount", "default", check=False).returncode == 0, "the default service account exists", timeout=20)
    return service


def apply(cluster, *documents, check=True):
    text = "\n---\n".join(document if isinstance(document, str) else json.dumps(document) for document in documents)
    return cluster.kubectl("apply", "-f", "-", input=text, check=check)


def deployment(name, replicas, namespace="default", image="nginx:1.15"):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}}}


def namespace(name, **labels):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


DEPLOYMENTS = """
  matchConstraints:
    resourceRules:
    - {apiGroups: ["apps"], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["deployments"]}
"""


def refused(cluster, object, *messages):
    """Waits until the object is refused with the messages: a policy takes effect shortly after it was made."""
    def condition():
        result = apply(cluster, object, check=False)
        return result.returncode != 0 and all(message in result.stdout for message in messages)
    try:
        wait_for(condition, f"{messages} is what the client reads", timeout=10, every=0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{apply(cluster, object, check=False).stdout}") from error


def test_a_validating_policy_limits_replicas(cluster):
    apply(cluster, namespace("limited", environment="test"), f"""
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: demo-policy.example.com}}
spec:
  failurePolicy: Fail
{DEPLOYMENTS}
  validations:
  - expression: "object.spec.replicas <= 5"
""", """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: demo-binding-test.example.com}
spec:
  policyName: demo-policy.example.com
  validationActions: [Deny]
  matchResources:
    namespaceSelector: {matchLabels: {environment: test}}
""")
    refused(cluster, deployment("six", 6, "limited"), (
        "ValidatingAdmissionPolicy 'demo-policy.example.com' with binding 'demo-binding-test.example.com' denied request: "
        "failed expression: object.spec.replicas <= 5"))
    apply(cluster, deployment("six", 5, "limited"))
    apply(cluster, deployment("elsewhere", 6, "default"))
    scaled = cluster.kubectl("scale", "deployment", "six", "--replicas=6", "-n", "limited", check=False)
    assert scaled.returncode == 0, "deployments/scale is another resource, which the policy does not name"


def test_a_validating_policy_takes_parameters(cluster):
    apply(cluster, """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: replicalimits.rules.example.com}
spec:
  group: rules.example.com
  scope: Namespaced
  names: {plural: replicalimits, singular: replicalimit, kind: ReplicaLimit}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {maxReplicas: {type: integer}}}}}
""")
    cluster.kubectl("wait", "--for=condition=Established", "crd/replicalimits.rules.example.com", "--timeout=10s")
    apply(cluster, namespace("params-test", environment="params"), f"""
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: replicalimit-policy.example.com}}
spec:
  failurePolicy: Fail
  paramKind: {{apiVersion: rules.example.com/v1, kind: ReplicaLimit}}
{DEPLOYMENTS}
  validations:
  - expression: "object.spec.replicas <= params.maxReplicas"
    reason: Invalid
    messageExpression: "'object.spec.replicas must be no greater than ' + string(params.maxReplicas)"
""", """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: replicalimit-binding-test.example.com}
spec:
  policyName: replicalimit-policy.example.com
  validationActions: [Deny]
  paramRef: {name: replica-limit-test.example.com, namespace: default, parameterNotFoundAction: Deny}
  matchResources:
    namespaceSelector: {matchLabels: {environment: params}}
""")
    refused(cluster, deployment("web", 1, "params-test"), "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction")
    apply(cluster, {"apiVersion": "rules.example.com/v1", "kind": "ReplicaLimit", "maxReplicas": 3, "metadata": {
        "name": "replica-limit-test.example.com", "namespace": "default"}})
    refused(cluster, deployment("web", 4, "params-test"), "denied request: object.spec.replicas must be no greater than 3")
    apply(cluster, deployment("web", 3, "params-test"))
    cluster.kubectl("patch", "replicalimit", "replica-limit-test.example.com", "--type=merge", "-p", '{"maxReplicas":7}')
    wait_for(lambda: apply(cluster, deployment("web", 7, "params-test"), check=False).returncode == 0, "the changed parameter holds", timeout=10)


def test_a_validating_policy_uses_variables_and_the_namespace(cluster):
    apply(cluster, namespace("images", environment="dev", images="checked"), f"""
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: image-matches-namespace-environment.policy.example.com}}
spec:
  failurePolicy: Fail
{DEPLOYMENTS}
  variables:
  - name: environment
    expression: "'environment' in namespaceObject.metadata.labels ? namespaceObject.metadata.labels['environment'] : 'prod'"
  - name: exempt
    expression: "has(object.metadata.labels) && 'exempt' in object.metadata.labels && object.metadata.labels['exempt'] == 'true'"
  - name: containers
    expression: "object.spec.template.spec.containers"
  - name: containersToCheck
    expression: "variables.containers.filter(c, c.image.contains('example.com/'))"
  validations:
  - expression: "variables.exempt || variables.containersToCheck.all(c, c.image.startsWith(variables.environment + '.'))"
    messageExpression: "'only ' + variables.environment + ' images are allowed in namespace ' + namespaceObject.metadata.name"
""", """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: images}
spec:
  policyName: image-matches-namespace-environment.policy.example.com
  validationActions: [Deny]
  matchResources:
    namespaceSelector: {matchLabels: {images: checked}}
""")
    refused(cluster, deployment("app", 1, "images", "prod.example.com/nginx"), "denied request: only dev images are allowed in namespace images")
    apply(cluster, deployment("app", 1, "images", "dev.example.com/nginx"))
    exempt = deployment("exempt", 1, "images", "prod.example.com/nginx")
    exempt["metadata"]["labels"] = {"exempt": "true"}
    apply(cluster, exempt)


def test_a_validating_policy_warns_and_annotates(cluster):
    apply(cluster, namespace("warned", warned="yes"), f"""
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: demo-warn.example.com}}
spec:
  failurePolicy: Ignore
{DEPLOYMENTS}
  matchConditions:
  - {{name: is-large, expression: "object.spec.replicas > 50"}}
  validations:
  - {{expression: "object.spec.replicas <= 100", message: "a hundred are enough"}}
  auditAnnotations:
  - key: high-replica-count
    valueExpression: "'Deployment spec.replicas set to ' + string(object.spec.replicas)"
""", """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: warn}
spec:
  policyName: demo-warn.example.com
  validationActions: [Warn, Audit]
  matchResources:
    namespaceSelector: {matchLabels: {warned: "yes"}}
""")
    expected = "Warning: Validation failed for ValidatingAdmissionPolicy 'demo-warn.example.com' with binding 'warn': a hundred are enough"
    wait_for(lambda: expected in apply(cluster, deployment("many", 101, "warned")) or cluster.kubectl("delete", "deployment", "many", "-n", "warned") and None,
             "the client prints the warning", timeout=10, every=0.1)
    assert "Warning" not in apply(cluster, deployment("few", 100, "warned"))


def test_a_policy_is_checked_against_the_types_it_matches(cluster):
    apply(cluster, f"""
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: deploy-replica-policy.example.com}}
spec:
{DEPLOYMENTS}
  validations:
  - expression: "object.replicas > 1"
    message: "must be replicated"
    reason: Invalid
""")
    status = wait_for(lambda: cluster.get("validatingadmissionpolicy", "deploy-replica-policy.example.com").get("status"), "the status is there", timeout=10)
    assert status["typeChecking"] == {"expressionWarnings": [{
        "fieldRef": "spec.validations[0].expression",
        "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^\n"}]}
    wrong = apply(cluster, """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: wrong.example.com}
spec:
  validations: [{expression: "object.spec.replicas >"}]
""", check=False)
    assert wrong.returncode != 0
    assert "spec.matchConstraints: Required value" in wrong.stdout
    assert 'spec.validations[0].expression: Invalid value: "object.spec.replicas >": compilation failed: ERROR: <input>:1:23: Syntax error' in wrong.stdout


SIDECAR = 'name: "mesh-proxy", image: "mesh/proxy:v1.0.0", restartPolicy: "Always"'
ARGUMENTS = 'args: ["proxy", "sidecar"], '
MUTATIONS = {
    "ApplyConfiguration": {
        "patchType": "ApplyConfiguration",
        "applyConfiguration": {"expression": "Object{spec: Object.spec{initContainers: [Object.spec.initContainers{" + SIDECAR + "}]}}"}},
    "JSONPatch": {
        "patchType": "JSONPatch",
        "jsonPatch": {"expression": '[JSONPatch{op: "add", path: "/spec/initContainers/-", value: Object.spec.initContainers{' + ARGUMENTS + SIDECAR + "}}]"}},
}


@pytest.mark.parametrize("kind", MUTATIONS)
def test_a_mutating_policy_adds_a_sidecar(cluster, kind):
    name = kind.lower()
    apply(cluster, namespace(name, sidecar=name), {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": f"{name}.example.com"},
        "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]},
            "matchConditions": [{
                "name": "does-not-already-have-sidecar", "expression": '!object.spec.initContainers.exists(ic, ic.name == "mesh-proxy")'}],
            "failurePolicy": "Fail", "reinvocationPolicy": "IfNeeded", "mutations": [MUTATIONS[kind]]},
    }, {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": f"{name}.example.com"},
        "spec": {"policyName": f"{name}.example.com", "matchResources": {"namespaceSelector": {"matchLabels": {"sidecar": name}}}}})

    def pod(number, *containers):
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"myapp-{number}", "namespace": name}, "spec": {
            "initContainers": [{"name": container, "image": "own/init:v1"} for container in containers],
            "containers": [{"name": "c", "image": "nginx:1.15"}]}}

    numbers = iter(range(1000))

    def mutated():
        number = next(numbers)
        apply(cluster, pod(number, "first"))
        containers = cluster.get("pod", f"myapp-{number}", "-n", name)["spec"]["initContainers"]
        return containers if len(containers) == 2 else None
    # A mutation of a list with keys merges by them and puts what is new at the end, as a JSON patch to "-" does.
    first, second = wait_for(mutated, "the policy takes effect", timeout=10, every=0.1)
    assert first["name"] == "first" and second["name"] == "mesh-proxy"
    assert second.get("args") == (["proxy", "sidecar"] if kind == "JSONPatch" else None) and second["restartPolicy"] == "Always"
    assert second["imagePullPolicy"] == "IfNotPresent", "what a mutation adds gets its defaults"
    apply(cluster, pod("has", "mesh-proxy"))
    assert [c["image"] for c in cluster.get("pod", "myapp-has", "-n", name)["spec"]["initContainers"]] == ["own/init:v1"]


def test_a_mutating_policy_must_not_apply_an_atomic_list(cluster):
    """Arguments are one: an apply configuration would replace those that are there."""
    expression = MUTATIONS["ApplyConfiguration"]["applyConfiguration"]["expression"].replace("{name", "{" + ARGUMENTS + "name")
    apply(cluster, namespace("atomic", sidecar="atomic"), {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": "atomic.example.com"},
        "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]},
            "reinvocationPolicy": "Never", "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]},
    }, {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": "atomic.example.com"},
        "spec": {"policyName": "atomic.example.com", "matchResources": {"namespaceSelector": {"matchLabels": {"sidecar": "atomic"}}}}})
    refused(cluster, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "atomic"}, "spec": {"containers": [
        {"name": "c", "image": "nginx:1.15"}]}}, (
        "policy 'atomic.example.com' with binding 'atomic.example.com' denied request: error applying patch: invalid ApplyConfiguration: "
        "may not mutate atomic arrays, maps or structs: .spec.initContainers[0].args"))


@pytest.fixture
def wardle(cluster, tmp_path):
    """The extension server with its APIService."""
    clients = cluster.get("configmap", "extension-apiserver-authentication", "-n", "kube-system")["data"]
    server = WardleServer(tmp_path, "default", clients)
    apply(cluster, *server.objects())
    apply(cluster, server.api_service())
    yield server
    server.stop()
    cluster.kubectl("delete", "apiservice", API_SERVICE)


def available(cluster, reason):
    def condition():
        conditions = cluster.get("apiservice", "v1alpha1.wardle.example.com").get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["reason"] == reason), None)
    return wait_for(condition, f"the condition Available says {reason}", timeout=20)


def test_an_extension_server_serves_its_kinds(cluster, wardle):
    cluster.kubectl("wait", "--for=condition=Available", "apiservice/v1alpha1.wardle.example.com", "--timeout=20s")
    assert available(cluster, "Passed")["message"] == "all checks passed"
    assert "default/wardle" in cluster.kubectl("get", "apiservice", "v1alpha1.wardle.example.com")
    resources = cluster.kubectl("api-resources", "--api-group=wardle.example.com", "--no-headers").split()
    assert resources == ["flunders", "fl", GROUP_VERSION, "true", "Flunder"]
    # The server has no OpenAPI, so kubectl looks for the kind in the second version's document, which it reads in protobuf only.
    made = cluster.kubectl("create", "-f", "-", input=json.dumps({"apiVersion": GROUP_VERSION, "kind": "Flunder", "metadata": {"name": "one"}}))
    assert made.strip() == "flunder.wardle.example.com/one created"
    assert "one" in cluster.kubectl("get", "flunders")
    assert cluster.get("fl", "one")["metadata"]["resourceVersion"] == "1"
    missing = cluster.kubectl("get", "flunders", "two", check=False)
    assert missing.stdout.strip() == 'Error from server (NotFound): flunders.wardle.example.com "two" not found'
    user, groups = wardle.users[-1]
    assert user == json.loads(cluster.kubectl("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]
    assert "system:authenticated" in groups

    wardle.stop()
    gone = cluster.kubectl("get", "--raw", f"/apis/{GROUP_VERSION}/namespaces/default/flunders", check=False)
    assert gone.returncode != 0 and "the server is currently unable to handle the request" in gone.stdout, gone.stdout
    failed = available(cluster, "FailedDiscoveryCheck")
    assert failed["status"] == "False"
    assert failed["message"].startswith("failing or missing response from https://") and "connection refused" in failed["message"]
    assert "False (FailedDiscoveryCheck)" in cluster.kubectl("get", "apiservice", "v1alpha1.wardle.example.com")
    after = cluster.kubectl("get", "flunders", check=False)
    assert after.returncode != 0 and "Error from server (ServiceUnavailable): the server is currently unable to handle the request" in after.stdout, after.stdout
    # The rest of the cluster is none the worse for it.
    cluster.kubectl("get", "configmaps")


def test_discovery_is_whole_again_without_the_extension_server(cluster):
    assert "wardle" not in cluster.kubectl("api-resources")
    assert cluster.kubectl("get", "flunders", check=False).stdout.strip() == 'error: the server doesn\'t have a resource type "flunders"'
