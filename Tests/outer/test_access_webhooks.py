"""A service whose clusters ask others whose a token is and what a user may do (`eyrie serve --authentication-token-webhook-config-file`,
`--authorization-webhook-config-file`), and proxies in front that name users in headers. No nodes are needed."""
import base64
import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request

import aws_setup
import pytest
from conftest import Service, clean_up
from secure_server import JSONHandler, SecureServer

TOKENS = {"alice-token": {"username": "alice", "groups": ["engineers"], "extra": {"acme.io/floor": ["3"]}}}
QUESTIONS = []


class Authority(JSONHandler):
    """Knows one token, and lets engineers read ConfigMaps of the namespace default."""

    def do_POST(self):
        review = self.body()
        QUESTIONS.append(review)
        if review["kind"] == "TokenReview":
            user = TOKENS.get(review["spec"]["token"])
            status = {"authenticated": True, "user": user} if user else {"authenticated": False}
        else:
            spec = review["spec"]
            resource = spec.get("resourceAttributes", {})
            may = resource.get("resource") == "configmaps" and resource.get("namespace") == "default" and resource.get("verb") in ("get", "list")
            status = {"allowed": may and "engineers" in spec.get("groups", []), "reason": "the authority says so"}
        self.answer(200, {"apiVersion": review["apiVersion"], "kind": review["kind"], "status": status})


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.fail("the service makes networks: run it as root")
    directory = tmp_path_factory.mktemp("webhooks")
    server = SecureServer(Authority, directory, "default", "authority")
    for name in ("tokens", "rights"):
        (directory / name).write_text(f"""\
apiVersion: v1
kind: Config
clusters:
- name: authority
  cluster: {{server: "https://{server.address}:{server.port}/{name}", certificate-authority-data: {server.bundle}}}
users:
- name: eyrie
  user: {{}}
contexts:
- name: it
  context: {{cluster: authority, user: eyrie}}
current-context: it
""")
    service = Service(directory, {})
    service.arguments = [
        "--authentication-token-webhook-config-file", directory / "tokens", "--authorization-webhook-config-file", directory / "rights"]
    service.start()
    try:
        aws_setup.cluster(service, "asks", "10.98")
        yield service
    finally:
        service.stop()
        server.stop()
        clean_up(service)


def as_token(service, token, *arguments):
    """kubectl with a bearer token instead of the kubeconfig's user."""
    cluster = json.loads(service.kubectl("config", "view", "--raw", "-o", "json"))["clusters"][0]["cluster"]
    authority = service.directory / "ca.pem"
    authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    return service.run(
        service.kubectl_binary, "--kubeconfig", "/dev/null", "--server", cluster["server"], "--certificate-authority", authority, "--token", token, *arguments,
        check=False)


def test_a_token_that_nobody_knows_is_asked_about(service):
    me = json.loads(as_token(service, "alice-token", "auth", "whoami", "-o", "json").stdout)["status"]["userInfo"]
    assert me["username"] == "alice" and set(me["groups"]) == {"engineers", "system:authenticated"}
    assert me["extra"]["acme.io/floor"] == ["3"]
    refused = as_token(service, "mallory-token", "get", "configmaps")
    assert refused.returncode != 0 and "the server has asked for the client to provide credentials" in refused.stdout
    # Tokens of others are not told to it.
    assert not [q for q in QUESTIONS if q["kind"] == "TokenReview" and q["spec"]["token"].startswith("k8s-aws-v1.")]


def test_rights_that_nobody_gives_are_asked_for(service):
    assert "kube-root-ca.crt" in as_token(service, "alice-token", "get", "configmaps").stdout
    refused = as_token(service, "alice-token", "get", "secrets").stdout
    assert 'User "alice" cannot list resource "secrets" in API group "" in the namespace "default": the authority says so' in refused
    assert as_token(service, "alice-token", "auth", "can-i", "list", "configmaps").stdout.strip() == "yes"
    assert as_token(service, "alice-token", "auth", "can-i", "list", "secrets").stdout.startswith("no")
    # What RBAC allows is not asked.
    service.kubectl("get", "secrets")
    assert not [q for q in QUESTIONS if q["kind"] == "SubjectAccessReview" and "system:masters" in q["spec"].get("groups", [])]


def test_a_proxy_in_front_names_users_when_its_certificate_says_that_it_may(service):
    directory, pki = service.directory, service.data / "clusters" / "asks"
    cluster = json.loads(service.kubectl("config", "view", "--raw", "-o", "json"))["clusters"][0]["cluster"]

    def leaf(name, authority):
        run = lambda *a: subprocess.run(["openssl", *map(str, a)], check=True, capture_output=True)  # noqa: E731
        key, request, certificate, extension = (directory / f"{name}-{authority}.{x}" for x in ("key", "csr", "pem", "ext"))
        extension.write_text("extendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\n")
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        run("x509", "-req", "-in", request, "-CA", pki / f"{authority}.pem", "-CAkey", pki / f"{authority}.key", "-out", certificate, "-days", "1",
            "-extfile", extension, "-CAcreateserial", "-CAserial", directory / "serial")
        return certificate, key

    def whoami(certificate, key, **fields):
        context = ssl._create_unverified_context()
        context.load_cert_chain(certificate, key)
        body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).encode()
        request = urllib.request.Request(
            cluster["server"] + "/apis/authentication.k8s.io/v1/selfsubjectreviews", body,
            {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in fields.items()}, method="POST")
        try:
            with urllib.request.urlopen(request, context=context) as answer:
                return answer.status, json.load(answer)["status"]["userInfo"]
        except urllib.error.HTTPError as error:
            return error.code, None

    status, user = whoami(*leaf("front-proxy-client", "front-proxy-ca"), X_Remote_User="bob", X_Remote_Group="builders")
    assert status == 201 and user["username"] == "bob" and "builders" in user["groups"]
    # Another name of the same CA, and the right name of the CA of the cluster's users: both are nobody's proxy.
    assert whoami(*leaf("somebody", "front-proxy-ca"), X_Remote_User="bob")[0] == 401
    status, user = whoami(*leaf("front-proxy-client", "ca"), X_Remote_User="bob")
    assert status == 201 and user["username"] == "front-proxy-client"
    # A certificate of the proxies' CA is no user of its own.
    assert whoami(*leaf("system:admin", "front-proxy-ca"))[0] in (401, 403)


def test_a_file_that_names_no_service_ends_the_start(service, tmp_path):
    (tmp_path / "bad").write_text("current-context: nowhere\n")
    result = service.run(
        service.binary, "serve", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0", "--authorization-webhook-config-file", tmp_path / "bad", check=False,
        timeout=20)
    assert result.returncode != 0 and "current-context names no context" in result.stdout
