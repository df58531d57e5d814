"""AWS identities decide what kubectl may do: modes, access entries, access policies, aws-auth, identity providers, and Eyrie's own `access` commands.
The steps build on each other: the first failure ends the run (pytest -x). No nodes are needed."""
import base64
import http.server
import json
import os
import ssl
import subprocess
import threading
import time

import pytest
from conftest import Service, clean_up, wait_for

ACCOUNT = "000000000000"
POLICY = "arn:aws:eks::aws:cluster-access-policy/"
VERBS = ("get", "list", "create", "delete")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """An OIDC provider on loopback: a CA of its own, discovery, a key, tokens."""

    def __init__(self, directory):
        self.directory = directory
        run = lambda *a: subprocess.run(["openssl", *a], cwd=directory, check=True, capture_output=True)
        run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=127.0.0.1")
        (directory / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
        run("x509", "-req", "-in", "tls.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "tls.pem", "-days", "2", "-extfile", "ext")
        run("genrsa", "-out", "sign.key", "2048")
        modulus = subprocess.run(
            ["openssl", "rsa", "-in", "sign.key", "-noout", "-modulus"], cwd=directory, check=True, capture_output=True, text=True).stdout
        self.jwk = {
            "kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256", "n": b64(bytes.fromhex(modulus.strip().split("=")[1])), "e": b64(b"\x01\x00\x01")}
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "tls.pem", directory / "tls.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.issuer = f"https://127.0.0.1:{self.server.server_port}/realm"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def handler(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                documents = {
                    "/realm/.well-known/openid-configuration": {"issuer": provider.issuer, "jwks_uri": provider.issuer + "/keys"},
                    "/realm/keys": {"keys": [provider.jwk]},
                }
                body = json.dumps(documents.get(self.path, {})).encode()
                self.send_response(200 if self.path in documents else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        return Handler

    def token(self, **claims):
        claims = {"iss": self.issuer, "aud": "kubernetes", "sub": "ana", "groups": ["devs"], "exp": int(time.time()) + 600, **claims}
        signed = b64(json.dumps({"alg": "RS256", "kid": "k1"}).encode()) + "." + b64(json.dumps(claims).encode())
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", "sign.key"], cwd=self.directory, input=signed.encode(), check=True, capture_output=True).stdout
        return f"{signed}.{b64(signature)}"


class Access:
    """One service with one cluster, and principals that call it by real tokens."""

    def __init__(self, service, provider):
        self.service = service
        self.provider = provider
        self.envs = {}

    def user(self, name, policies=("AdministratorAccess",)):
        """An IAM user with a key; AWS's tools and kubectl as that user."""
        self.service.aws("iam", "create-user", "--user-name", name)
        for policy in policies:
            self.service.aws("iam", "attach-user-policy", "--user-name", name, "--policy-arn", f"arn:aws:iam::aws:policy/{policy}")
        key = self.service.aws("iam", "create-access-key", "--user-name", name)["AccessKey"]
        self.envs[name] = dict(self.service.env, AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"])
        return f"arn:aws:iam::{ACCOUNT}:user/{name}"

    def forget_user(self, name):
        for key in self.service.aws("iam", "list-access-keys", "--user-name", name)["AccessKeyMetadata"]:
            self.service.aws("iam", "delete-access-key", "--user-name", name, "--access-key-id", key["AccessKeyId"])
        for policy in self.service.aws("iam", "list-attached-user-policies", "--user-name", name)["AttachedPolicies"]:
            self.service.aws("iam", "detach-user-policy", "--user-name", name, "--policy-arn", policy["PolicyArn"])
        self.service.aws("iam", "delete-user", "--user-name", name)

    def kubectl(self, who, *arguments, role=None):
        """kubectl as a user, or as a role that the user assumes, by a kubeconfig of `aws eks update-kubeconfig`."""
        env = dict(self.envs.get(who, self.service.env))
        config = self.service.directory / f"kubeconfig-{who}-{(role or '').split('/')[-1]}"
        env["KUBECONFIG"] = str(config)
        if not config.exists():
            extra = ["--role-arn", role] if role else []
            subprocess.run(
                [self.service.aws_binary, "eks", "update-kubeconfig", "--name", "demo", *extra], env=env, check=True, capture_output=True)
        return subprocess.run([self.service.kubectl_binary, *arguments], env=env, capture_output=True, text=True, timeout=60)

    def whoami(self, who, **options):
        result = self.kubectl(who, "auth", "whoami", "-o", "json", **options)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)["status"]["userInfo"]

    def is_refused(self, who, **options):
        result = self.kubectl(who, "get", "pods", **options)
        return result.returncode != 0 and ("Unauthorized" in result.stderr or "must be logged in" in result.stderr)

    def can(self, who, verb, resource, namespace=None, role=None, more=()):
        arguments = ["auth", "can-i", verb, resource, *more] + (["-n", namespace] if namespace else ["-A"])
        return self.kubectl(who, *arguments, role=role).stdout.strip() == "yes"

    def with_token(self, token, *arguments):
        cluster = self.service.aws("eks", "describe-cluster", "--name", "demo")["cluster"]
        authority = self.service.directory / "cluster-ca.pem"
        authority.write_bytes(base64.b64decode(cluster["certificateAuthority"]["data"]))
        return subprocess.run(
            [self.service.kubectl_binary, "--kubeconfig", "/dev/null", "--server", cluster["endpoint"], "--certificate-authority", str(authority),
             "--token", token, *arguments], env=self.service.env, capture_output=True, text=True, timeout=60)

    def updated(self, update):
        def check():
            seen = self.service.aws("eks", "describe-update", "--name", "demo", "--update-id", update["id"])["update"]
            assert seen["status"] != "Failed", seen
            return seen["status"] == "Successful" and seen
        return wait_for(check, f"{update['type']} {update['id']}", timeout=30)

    def change_mode(self, mode):
        update = self.service.aws(
            "eks", "update-cluster-config", "--name", "demo", "--access-config", f"authenticationMode={mode}")["update"]
        assert update["type"] == "AccessConfigUpdate" and update["params"] == [{"type": "AuthenticationMode", "value": f'"{mode}"'}]
        self.updated(update)
        assert self.service.aws("eks", "describe-cluster", "--name", "demo")["cluster"]["accessConfig"]["authenticationMode"] == mode

    def refuses(self, words, *arguments):
        result = self.service.aws("eks", *arguments, check=False)
        assert result.returncode != 0 and words in result.stdout, result.stdout

    def eyrie(self, *arguments, check=True):
        return self.service.run(self.service.binary, *arguments, "--data-dir", self.service.data, check=check)


@pytest.fixture(scope="module")
def access(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.fail("the service runs as root")
    directory = tmp_path_factory.mktemp("access")
    (directory / "provider").mkdir()
    provider = Provider(directory / "provider")
    service = Service(directory, {})
    service.arguments = ["--identity-provider-ca", str(directory / "provider/ca.pem")]
    service.start()
    try:
        yield Access(service, provider)
    finally:
        provider.server.shutdown()
        service.stop()
        clean_up(service)


def test_the_creator_is_master_and_nobody_else_gets_in(access):
    service = access.service
    subnets = []
    vpc = service.aws("ec2", "create-vpc", "--cidr-block", "10.89.0.0/16")["Vpc"]["VpcId"]
    for index, zone in enumerate("ab"):
        subnet = service.aws(
            "ec2", "create-subnet", "--vpc-id", vpc, "--cidr-block", f"10.89.{index}.0/24", "--availability-zone", f"us-west-2{zone}")
        subnets.append(subnet["Subnet"]["SubnetId"])
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = service.aws("iam", "create-role", "--role-name", "cluster", "--assume-role-policy-document", json.dumps(trust))["Role"]["Arn"]
    service.aws("iam", "attach-role-policy", "--role-name", "cluster", "--policy-arn", "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")
    access.refuses(
        "bootstrapClusterCreatorAdminPermissions must be true", "create-cluster", "--name", "demo", "--role-arn", role, "--resources-vpc-config",
        f"subnetIds={','.join(subnets)}", "--access-config", "bootstrapClusterCreatorAdminPermissions=false")
    service.aws("eks", "create-cluster", "--name", "demo", "--role-arn", role, "--resources-vpc-config", f"subnetIds={','.join(subnets)}")
    service.aws("eks", "wait", "cluster-active", "--name", "demo")
    user = access.whoami("admin")
    assert user["username"] == "kubernetes-admin" and "system:masters" in user["groups"]
    assert user["extra"]["arn"] == [f"arn:aws:iam::{ACCOUNT}:user/admin"] and user["uid"].startswith(f"aws-iam-authenticator:{ACCOUNT}:AIDA")
    access.user("ana")
    access.user("bob")
    principal = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}, "Action": "sts:AssumeRole"}]}
    service.aws("iam", "create-role", "--path", "/team/", "--role-name", "dev", "--assume-role-policy-document", json.dumps(principal))
    assert access.is_refused("ana") and access.is_refused("bob")
    assert access.is_refused("bob", role=f"arn:aws:iam::{ACCOUNT}:role/team/dev")
    access.refuses("authentication mode must be set to one of [API, API_AND_CONFIG_MAP]", "list-access-entries", "--cluster-name", "demo")


def test_aws_auth_lets_users_and_roles_in_and_survives_mistakes(access):
    service = access.service
    config = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: aws-auth, namespace: kube-system}}
data:
  mapRoles: |
    - rolearn: arn:aws:iam::{ACCOUNT}:role/dev
      username: dev:{{{{SessionName}}}}
      groups: [devs]
    - username: nobody
  mapUsers: |
    - userarn: arn:aws:iam::{ACCOUNT}:user/ana
      username: ana
      groups: ["system:masters"]
    - userarn: arn:aws:iam::{ACCOUNT}:user/bob
      groups: "not a list"
"""
    path = service.directory / "aws-auth.yaml"
    path.write_text(config)
    for namespace in ("team-a", "team-b", "other"):
        assert access.kubectl("admin", "create", "namespace", namespace).returncode == 0
    assert access.kubectl("admin", "create", "rolebinding", "devs", "--clusterrole=view", "--group=devs", "-n", "team-a").returncode == 0
    assert access.kubectl("admin", "apply", "-f", str(path)).returncode == 0
    wait_for(lambda: not access.is_refused("ana"), "aws-auth is believed", timeout=20)
    assert access.whoami("ana")["username"] == "ana" and access.can("ana", "*", "*")
    assert access.is_refused("bob"), "a malformed entry lets nobody in"
    role = f"arn:aws:iam::{ACCOUNT}:role/team/dev"
    user = access.whoami("bob", role=role)
    assert user["username"].startswith("dev:") and "devs" in user["groups"], user
    assert access.can("bob", "list", "pods", "team-a", role=role) and not access.can("bob", "list", "pods", "team-b", role=role)
    assert not access.can("bob", "create", "pods", "team-a", role=role)


def test_a_mode_with_entries_gives_the_creator_one_and_there_is_no_way_back(access):
    access.refuses(
        "Unsupported authentication mode update from CONFIG_MAP to API", "update-cluster-config", "--name", "demo", "--access-config",
        "authenticationMode=API")
    access.change_mode("API_AND_CONFIG_MAP")
    access.refuses(
        "Unsupported authentication mode update from API_AND_CONFIG_MAP to CONFIG_MAP", "update-cluster-config", "--name", "demo", "--access-config",
        "authenticationMode=CONFIG_MAP")
    admin = f"arn:aws:iam::{ACCOUNT}:user/admin"
    assert access.service.aws("eks", "list-access-entries", "--cluster-name", "demo")["accessEntries"] == [admin]
    policies = access.service.aws("eks", "list-associated-access-policies", "--cluster-name", "demo", "--principal-arn", admin)
    assert [p["policyArn"] for p in policies["associatedAccessPolicies"]] == [POLICY + "AmazonEKSClusterAdminPolicy"]
    user = access.whoami("admin")
    assert user["username"] == admin and "system:masters" not in user["groups"]
    assert access.can("admin", "*", "*") and access.whoami("ana")["username"] == "ana"
    why = access.eyrie("access", "can-i", "delete", "nodes", "-n", "", "--as", "user/ana").stdout
    assert why.startswith("yes") and "by aws-auth: user ana, groups system:masters" in why and "by membership in system:masters" in why, why
    assert "aws-auth" in access.eyrie("access", "list").stdout
    unknown = access.eyrie("access", "can-i", "get", "pods", "--as", "user/bob", check=False).stdout
    assert "does not get into cluster" in unknown and "eyrie access grant user/bob" in unknown, unknown


def test_an_entry_goes_before_aws_auth_and_its_policies_add_to_rbac(access):
    service = access.service
    ana = f"arn:aws:iam::{ACCOUNT}:user/ana"
    entry = service.aws("eks", "create-access-entry", "--cluster-name", "demo", "--principal-arn", ana, "--kubernetes-groups", "devs")["accessEntry"]
    assert entry["username"] == ana and entry["type"] == "STANDARD" and entry["kubernetesGroups"] == ["devs"]
    assert access.whoami("ana")["username"] == ana and not access.can("ana", "*", "*")
    assert access.can("ana", "list", "pods", "team-a") and not access.can("ana", "list", "pods", "team-b")
    service.aws(
        "eks", "associate-access-policy", "--cluster-name", "demo", "--principal-arn", ana, "--policy-arn", POLICY + "AmazonEKSEditPolicy",
        "--access-scope", "type=namespace,namespaces=team-*")
    for namespace in ("team-a", "team-b", "other"):
        for verb in VERBS:
            allowed = namespace.startswith("team-")
            assert access.can("ana", verb, "deployments", namespace) == allowed, (verb, namespace)
            assert not access.can("ana", verb, "clusterroles"), verb
    assert access.kubectl("ana", "create", "configmap", "c", "-n", "team-b").returncode == 0
    assert "is forbidden" in access.kubectl("ana", "create", "configmap", "c", "-n", "other").stderr
    listed = access.kubectl("ana", "auth", "can-i", "--list", "-n", "team-b").stdout
    assert "deployments" not in listed, listed
    # Who acts as ana has what RBAC gives her name, and nothing of her policies.
    assert not access.can("admin", "create", "deployments", "team-b", more=("--as", ana))
    assert access.can("admin", "list", "pods", "team-a", more=("--as", ana, "--as-group", "devs"))


def test_changed_scopes_and_entries_count_at_once(access):
    service = access.service
    ana = f"arn:aws:iam::{ACCOUNT}:user/ana"
    edit = ("--cluster-name", "demo", "--principal-arn", ana, "--policy-arn", POLICY + "AmazonEKSEditPolicy")
    service.aws("eks", "associate-access-policy", *edit, "--access-scope", "type=cluster")
    assert access.can("ana", "create", "deployments", "other")
    service.aws("eks", "disassociate-access-policy", *edit)
    assert not access.can("ana", "create", "deployments", "other") and access.can("ana", "list", "pods", "team-a")
    service.aws("eks", "update-access-entry", "--cluster-name", "demo", "--principal-arn", ana, "--username", "ana@demo")
    assert access.whoami("ana")["username"] == "ana@demo"
    service.aws("eks", "delete-access-entry", "--cluster-name", "demo", "--principal-arn", ana)
    assert access.whoami("ana")["username"] == "ana", "the ConfigMap counts again"


def test_a_role_with_a_path_gets_in_by_its_entry(access):
    role = f"arn:aws:iam::{ACCOUNT}:role/team/dev"
    entry = access.service.aws("eks", "create-access-entry", "--cluster-name", "demo", "--principal-arn", role)["accessEntry"]
    assert entry["username"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/{{{{SessionName}}}}"
    user = access.whoami("bob", role=role)
    assert user["username"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/") and "devs" not in user["groups"]
    assert access.is_refused("bob"), "the entry is the role's, not that of who assumes it"


def test_mode_api_forgets_aws_auth(access):
    access.change_mode("API")
    assert access.is_refused("ana") and access.can("admin", "*", "*")


def test_a_user_made_again_under_the_name_of_another_does_not_get_in(access):
    cleo = access.user("cleo")
    access.eyrie("access", "grant", "user/cleo", "--policy", "View", "--cluster", "demo")
    assert access.can("cleo", "list", "pods", "other")
    access.forget_user("cleo")
    assert access.user("cleo") == cleo
    assert access.is_refused("cleo")
    access.eyrie("access", "revoke", "user/cleo", "--cluster", "demo")
    access.eyrie("access", "grant", "user/cleo", "--policy", "View")
    assert access.can("cleo", "list", "pods", "other")


def test_eyrie_access_explains_its_decisions(access):
    grant = access.eyrie("access", "grant", "user/ana", "--policy", "AmazonEKSEditPolicy", "--namespace", "team-*", "--group", "devs").stdout
    assert f"arn:aws:iam::{ACCOUNT}:user/ana has an access entry" in grant and "AmazonEKSEditPolicy in team-*" in grant
    listed = access.eyrie("access", "list").stdout
    assert "AmazonEKSClusterAdminPolicy" in listed and "AmazonEKSEditPolicy in team-*" in listed
    entries = json.loads(access.eyrie("access", "list", "-o", "json").stdout)
    assert {e["principalArn"].split("/")[-1] for e in entries} == {"admin", "ana", "cleo", "dev"}
    assert "AmazonEKSViewPolicy" in access.eyrie("access", "policies").stdout
    who = access.eyrie("access", "whoami").stdout
    assert "access entry" in who and "AmazonEKSClusterAdminPolicy" in who
    yes = access.eyrie("access", "can-i", "create", "deploy", "-n", "team-a", "--as", "user/ana")
    assert yes.stdout.startswith("yes") and f"user/ana+{POLICY}AmazonEKSEditPolicy" in yes.stdout, yes.stdout
    bound = access.eyrie("access", "can-i", "get", "pods/log", "-n", "team-a", "--as", "user/ana").stdout
    assert bound.startswith("yes")
    no = access.eyrie("access", "can-i", "create", "deploy", "-n", "other", "--as", "user/ana", check=False)
    assert no.returncode == 1 and no.stdout.startswith("no"), no.stdout
    access.eyrie("access", "revoke", "user/ana", "--policy", "Edit")
    by_role = access.eyrie("access", "can-i", "list", "pods", "-n", "team-a", "--as", "user/ana").stdout
    assert 'RBAC: allowed by RoleBinding "devs/team-a" of ClusterRole "view" to Group "devs"' in by_role, by_role
    assert "no access policy" in access.eyrie("access", "grant", "user/ana", "--policy", "Nonsense", check=False).stdout


def test_users_of_an_identity_provider_sign_in(access):
    service, provider = access.service, access.provider
    assert access.with_token(provider.token(), "auth", "whoami").returncode != 0
    oidc = {
        "identityProviderConfigName": "local", "issuerUrl": provider.issuer, "clientId": "kubernetes", "usernamePrefix": "oidc:",
        "groupsClaim": "groups", "groupsPrefix": "oidc:", "requiredClaims": {"org": "x"}}
    access.refuses(
        "IssuerURL must use https:// scheme.", "associate-identity-provider-config", "--cluster-name", "demo", "--oidc",
        json.dumps(dict(oidc, issuerUrl="http://x")))
    answer = service.aws("eks", "associate-identity-provider-config", "--cluster-name", "demo", "--oidc", json.dumps(oidc), "--tags", "a=b")
    assert answer["update"]["type"] == "AssociateIdentityProviderConfig" and answer["tags"] == {"a": "b"}
    access.updated(answer["update"])
    assert service.aws("eks", "list-identity-provider-configs", "--cluster-name", "demo")["identityProviderConfigs"] == [{"type": "oidc", "name": "local"}]
    config = service.aws(
        "eks", "describe-identity-provider-config", "--cluster-name", "demo", "--identity-provider-config", "type=oidc,name=local")
    assert config["identityProviderConfig"]["oidc"]["status"] == "ACTIVE"
    user = access.with_token(provider.token(org="x"), "auth", "whoami", "-o", "json")
    assert user.returncode == 0, user.stderr
    info = json.loads(user.stdout)["status"]["userInfo"]
    assert info["username"] == "oidc:ana" and "oidc:devs" in info["groups"]
    for bad in (provider.token(), provider.token(org="x", aud="other"), provider.token(org="x", exp=1), provider.token(org="x") + "x"):
        assert access.with_token(bad, "auth", "whoami").returncode != 0
    service.stop()
    service.start()
    wait_for(lambda: access.with_token(provider.token(org="x"), "auth", "whoami").returncode == 0, "the provider is believed after a restart")
    update = service.aws(
        "eks", "disassociate-identity-provider-config", "--cluster-name", "demo", "--identity-provider-config", "type=oidc,name=local")["update"]
    access.updated(update)
    assert access.with_token(provider.token(org="x"), "auth", "whoami").returncode != 0


def test_entries_are_there_after_a_kill(access):
    access.service.kill()
    access.service.start()
    wait_for(lambda: access.can("admin", "*", "*"), "the administrator gets in after the restart", timeout=30)
    assert access.is_refused("bob") and access.can("cleo", "list", "pods", "other")
    access.service.aws("eks", "delete-cluster", "--name", "demo")
    access.service.aws("eks", "wait", "cluster-deleted", "--name", "demo")
