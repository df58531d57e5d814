"""test/e2e/auth/certificates.go, service_accounts.go and subjectreviews.go"""
import base64
import json
import subprocess

import pytest
from conftest import wait_for

from .cluster import refused
from .operations import check_discovery, check_operations, contains
from .workloads import SLEEP, pod

CERTIFICATES = "certificates.k8s.io/v1"
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module")
def signing_request(tmp_path_factory):
    key = tmp_path_factory.mktemp("csr") / "key.pem"
    request = subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj", "/CN=e2e-example/O=tests"],
        check=True, capture_output=True).stdout
    return base64.b64encode(request).decode()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=custom", "-keyout",
         directory / "key.pem", "-out", directory / "cert.pem"], check=True, capture_output=True)
    return base64.b64encode((directory / "cert.pem").read_bytes()).decode()


def test_certificate_signing_requests(cluster, signing_request, certificate):
    """[sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations [Conformance]"""
    check_discovery(
        cluster, CERTIFICATES, "certificatesigningrequests", "certificatesigningrequests/approval", "certificatesigningrequests/status")
    requests = cluster.resource(CERTIFICATES, "certificatesigningrequests")
    template = {"spec": {"request": signing_request, "signerName": "example.com/e2e-signer", "expirationSeconds": 3600,
                         "usages": ["digital signature", "key encipherment", "server auth"]}}
    check_operations(requests, template)

    name = requests.create({"metadata": {"generateName": "e2e-example-csr-"}, **template})["metadata"]["name"]
    user = requests.get(name)["spec"]["username"]
    assert user == json.loads(cluster.kubectl("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]

    def condition(kind):
        return {"type": kind, "status": "True", "reason": "E2E", "message": "Set from an e2e test"}

    def types(object):
        return [condition["type"] for condition in object["status"]["conditions"]]
    assert requests.get(name, "approval")["metadata"]["name"] == name
    patched = requests.patch(
        name, {"metadata": {"annotations": {"patchedapproval": "true"}}, "status": {"conditions": [condition("ApprovalPatch")]}}, sub="approval")
    assert types(patched) == ["ApprovalPatch"] and patched["metadata"]["annotations"]["patchedapproval"] == "true"
    updated = requests.update(name, lambda object: object["status"]["conditions"].append(condition("Approved")), sub="approval")
    assert types(updated) == ["ApprovalPatch", "Approved"]

    assert requests.get(name, "status")["metadata"]["name"] == name
    patched = requests.patch(name, {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"certificate": certificate}}, sub="status")
    assert patched["status"]["certificate"] == certificate and patched["metadata"]["annotations"]["patchedstatus"] == "true"
    updated = requests.update(name, lambda object: object["status"]["conditions"].append(condition("StatusUpdate")), sub="status")
    assert types(updated) == ["ApprovalPatch", "Approved", "StatusUpdate"]
    requests.delete(name)


def review(cluster, token, **spec):
    return cluster.resource("authentication.k8s.io/v1", "tokenreviews").create({"spec": {"token": token, **spec}})["status"]


def check_identity(cluster, namespace, account, token):
    status = review(cluster, token)
    assert status["authenticated"] is True and not status.get("error")
    assert status["user"]["username"] == f"system:serviceaccount:{namespace}:{account}"
    assert {"system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{namespace}"} <= set(status["user"]["groups"])


def test_a_token_is_requested_and_reviewed(cluster, namespace):
    """[sig-auth] ServiceAccounts should create a serviceAccountToken and ensure a successful TokenReview [Conformance]"""
    accounts = cluster.core("serviceaccounts", namespace)
    accounts.create({"metadata": {"name": "e2e-sa"}})
    request = accounts.create({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}, "e2e-sa", "token")
    check_identity(cluster, namespace, "e2e-sa", request["status"]["token"])
    accounts.delete("e2e-sa")
    wait_for(lambda: not review(cluster, request["status"]["token"]).get("authenticated"), "the token ends with its account", timeout=20)


def test_every_namespace_has_the_root_ca(cluster, namespace):
    """[sig-auth] ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace [Conformance]"""
    maps, name = cluster.core("configmaps", namespace), "kube-root-ca.crt"
    published = wait_for(lambda: not maps.gone(name) and maps.get(name)["data"]["ca.crt"], "the root CA is published", timeout=20)
    maps.delete(name, {"gracePeriodSeconds": 0})
    wait_for(lambda: not maps.gone(name), "it is published again", timeout=20, every=0.05)
    maps.replace({"metadata": {"name": name}, "data": {"ca.crt": ""}})
    maps.wait(name, lambda object: object["data"].get("ca.crt") == published, "is put right", timeout=20)


def test_a_service_account_lives(cluster, namespace):
    """[sig-auth] ServiceAccounts should run through the lifecycle of a ServiceAccount [Conformance]"""
    accounts, selector = cluster.core("serviceaccounts", namespace), "test-serviceaccount-static=true"
    made = accounts.create({"metadata": {"name": "testserviceaccount", "labels": {"test-serviceaccount-static": "true"}}})
    assert accounts.get("testserviceaccount")["metadata"]["uid"] == made["metadata"]["uid"]
    with accounts.watch(labelSelector=selector) as watch:
        watch.next("ADDED")
        accounts.patch("testserviceaccount", {"automountServiceAccountToken": False}, kind="strategic")
        assert watch.next("MODIFIED")["automountServiceAccountToken"] is False
        found = cluster.core("serviceaccounts").list(labelSelector=selector)["items"]
        assert [(item["metadata"]["namespace"], item["automountServiceAccountToken"]) for item in found] == [(namespace, False)]
        accounts.delete_collection(labelSelector=selector)
        watch.next("DELETED")


def test_a_service_account_is_updated(cluster, namespace):
    """[sig-auth] ServiceAccounts should update a ServiceAccount [Conformance]"""
    accounts = cluster.core("serviceaccounts", namespace)
    assert accounts.create({"metadata": {"name": "e2e-sa"}, "automountServiceAccountToken": False})["automountServiceAccountToken"] is False
    assert accounts.update("e2e-sa", lambda object: object.update(automountServiceAccountToken=True))["automountServiceAccountToken"] is True


def test_automounting_is_opted_out_of(cluster, namespace):
    """[sig-auth] ServiceAccounts should allow opting out of API token automount [Conformance]"""
    accounts, pods = cluster.core("serviceaccounts", namespace), cluster.core("pods", namespace)
    accounts.create({"metadata": {"name": "mount"}, "automountServiceAccountToken": True})
    accounts.create({"metadata": {"name": "nomount"}, "automountServiceAccountToken": False})
    for account, by_itself in (("default", True), ("mount", True), ("nomount", False)):
        # What the pod says counts for more than what its account says.
        for of_pod in (None, True, False):
            spec = {"serviceAccountName": account, **({} if of_pod is None else {"automountServiceAccountToken": of_pod})}
            made = pods.create(pod(f"pod-{account}-{str(of_pod).lower()}", **spec))
            mounts = [mount["mountPath"] for mount in made["spec"]["containers"][0].get("volumeMounts", [])]
            assert (MOUNT in mounts) == (by_itself if of_pod is None else of_pod), (account, of_pod)


def test_a_token_is_mounted(node_cluster, node_namespace):
    """[sig-auth] ServiceAccounts should mount an API token into pods [Conformance]"""
    node_cluster.core("serviceaccounts", node_namespace).create({"metadata": {"name": "mount-test"}})
    pods = node_cluster.core("pods", node_namespace)
    pods.create(pod("pod-service-account", container={"name": "test", "command": SLEEP}, serviceAccountName="mount-test", restartPolicy="Never"))
    pods.wait("pod-service-account", lambda object: object["status"]["phase"] == "Running", "runs")

    def mounted(file):
        return node_cluster.kubectl("exec", "-n", node_namespace, "pod-service-account", "-c", "test", "--", "cat", f"{MOUNT}/{file}")
    assert mounted("ca.crt") == node_cluster.core("configmaps", node_namespace).get("kube-root-ca.crt")["data"]["ca.crt"]
    assert mounted("namespace") == node_namespace
    check_identity(node_cluster, node_namespace, "mount-test", mounted("token"))


def printed_token(cluster, namespace, **projection):
    """The token that a pod found in a projected volume and printed."""
    pods = cluster.core("pods", namespace)
    pods.create(pod(
        "test-pod", container={"command": ["cat", "/test-volume/token"], "volumeMounts": [{"name": "test-volume", "mountPath": "/test-volume", "readOnly": True}]},
        restartPolicy="Never", volumes=[{"name": "test-volume", "projected": {"sources": [{"serviceAccountToken": {"path": "token", **projection}}]}}]))
    pods.wait("test-pod", lambda object: object["status"]["phase"] == "Succeeded", "succeeds")
    return cluster.kubectl("logs", "-n", namespace, "test-pod").strip()


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_a_projected_token_is_mounted(node_cluster, node_namespace):
    """[sig-auth] ServiceAccounts should mount projected service account token [Conformance]"""
    token = printed_token(node_cluster, node_namespace, expirationSeconds=3600)
    claims = json.loads(decoded(token.split(".")[1]))
    assert claims["kubernetes.io"]["pod"]["name"] == "test-pod" and claims["exp"] - claims["iat"] == 3600
    check_identity(node_cluster, node_namespace, "default", token)


def check_signature(token, key, directory):
    """By openssl, which takes the key and the signature in their ASN.1 forms. https://www.rfc-editor.org/rfc/rfc7518#section-3.4"""
    assert (key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ES256")
    head, body, signature = token.split(".")
    point = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\x04" + decoded(key["x"]) + decoded(key["y"])
    numbers = b""
    for half in (decoded(signature)[:32], decoded(signature)[32:]):
        number = half.lstrip(b"\0")
        number = (b"\0" if number[0] >= 128 else b"") + number
        numbers += bytes([2, len(number)]) + number
    (directory / "key.der").write_bytes(point)
    (directory / "signature").write_bytes(bytes([48, len(numbers)]) + numbers)
    (directory / "signed").write_text(f"{head}.{body}")
    subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", directory / "key.der", "-keyform", "DER", "-signature", directory / "signature", directory / "signed"],
        check=True, capture_output=True)


def test_the_issuer_is_discovered(node_cluster, node_namespace, tmp_path):
    """[sig-auth] ServiceAccounts ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer [Conformance]"""
    token = printed_token(node_cluster, node_namespace, expirationSeconds=600, audience="oidc-discovery-test")
    own = node_cluster.core("serviceaccounts", node_namespace).create(
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}, "default", "token")["status"]["token"]
    bindings = node_cluster.resource("rbac.authorization.k8s.io/v1", "clusterrolebindings")
    role = "system:service-account-issuer-discovery"
    bindings.create({
        "metadata": {"name": f"{node_namespace}-discovery"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": node_namespace}]})
    try:
        # As the account itself, by the rights of the role.
        configuration = node_cluster.get("/.well-known/openid-configuration", Authorization=f"Bearer {own}")
        keys = node_cluster.get("/openid/v1/jwks", Authorization=f"Bearer {own}")["keys"]
    finally:
        bindings.delete(f"{node_namespace}-discovery")
    assert configuration["jwks_uri"].startswith("https://")
    assert "id_token" in configuration["response_types_supported"] and "public" in configuration["subject_types_supported"]
    header, claims = (json.loads(decoded(part)) for part in token.split(".")[:2])
    assert header["alg"] in configuration["id_token_signing_alg_values_supported"]
    assert claims["iss"] == configuration["issuer"] and claims["aud"] == ["oidc-discovery-test"]
    assert claims["sub"] == f"system:serviceaccount:{node_namespace}:default"
    check_signature(token, next(key for key in keys if key["kid"] == header["kid"]), tmp_path)
    status = review(node_cluster, token, audiences=["oidc-discovery-test"])
    assert status["authenticated"] is True and status["audiences"] == ["oidc-discovery-test"]


def test_subject_reviews(cluster, namespace):
    """[sig-auth] SubjectReview should support SubjectReview API operations [Conformance]"""
    check_discovery(cluster, "authorization.k8s.io/v1", "subjectaccessreviews", "localsubjectaccessreviews")
    cluster.core("serviceaccounts", namespace).create({"metadata": {"name": "e2e"}})
    user = f"system:serviceaccount:{namespace}:e2e"
    maps = cluster.core("configmaps", namespace)
    spec = {"user": user, "resourceAttributes": {"verb": "list", "resource": "configmaps", "namespace": namespace, "version": "v1"}}

    def allowed():
        """What both reviews say, which must be what happens."""
        anywhere = cluster.resource("authorization.k8s.io/v1", "subjectaccessreviews").create({"spec": spec})
        assert contains(anywhere["spec"], spec)
        local = cluster.resource("authorization.k8s.io/v1", "localsubjectaccessreviews", namespace).create({
            "metadata": {"namespace": namespace}, "spec": spec})
        assert local["status"]["allowed"] == anywhere["status"]["allowed"]
        return anywhere["status"]["allowed"]
    assert not allowed()
    with refused(403, f'configmaps is forbidden: User "{user}" cannot list resource "configmaps" in API group "" in the namespace "{namespace}"'):
        cluster.get(maps.base, **{"Impersonate-User": user})
    cluster.resource("rbac.authorization.k8s.io/v1", "rolebindings", namespace).create({
        "metadata": {"name": "view"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "e2e", "namespace": namespace}]})
    wait_for(allowed, "the binding holds", timeout=10, every=0.05)
    assert "items" in cluster.get(maps.base, **{"Impersonate-User": user})
