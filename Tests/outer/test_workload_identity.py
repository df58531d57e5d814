"""Roles for pods: EKS Pod Identity, IAM roles for service accounts, and instance metadata, as containers see them."""
import json
import re

import pytest
from aws_setup import client, cluster, fast, role, trust
from botocore.exceptions import ClientError
from conftest import REGION, wait_for

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  annotations: {annotations}
spec:
  serviceAccountName: {account}
  hostNetwork: {host}
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: app, image: "nginx:1.15", command: ["sleep", "100000"]}}
  - {{name: sidecar, image: "nginx:1.15", command: ["sleep", "100000"]}}
"""
TRUST = ("pods.eks.amazonaws.com", ("sts:AssumeRole", "sts:TagSession"))


@pytest.fixture(scope="module")
def demo(service):
    cluster(service, "demo", "10.91", nodes=1)
    # Without the add-on nobody answers at the agent's address.
    client(service, "eks").create_addon(clusterName="demo", addonName="eks-pod-identity-agent")
    fast(client(service, "eks").get_waiter("addon_active")).wait(clusterName="demo", addonName="eks-pod-identity-agent")
    role(service, "app", trust(*TRUST), ["ReadOnlyAccess"])
    return service


def arn(name):
    return f"arn:aws:iam::000000000000:role/{name}"


def run_pod(service, name, account="default", annotations=None, host=False):
    service.kubectl("apply", "-f", "-", input=POD.format(
        name=name, account=account, annotations=json.dumps(annotations or {}), host=str(host).lower()))
    service.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")


def shell(service, pod, script, container="app"):
    return service.kubectl("exec", pod, "-c", container, "--", "sh", "-c", script)


def variables(service, pod, container="app"):
    return dict(line.split("=", 1) for line in shell(service, pod, "env", container).splitlines() if "=" in line)


def credentials_in(service, pod):
    """What an SDK in the pod would get from the agent."""
    answer = shell(service, pod, 'wget -qO- --header "Authorization: $(cat $AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE)" $AWS_CONTAINER_CREDENTIALS_FULL_URI')
    return json.loads(answer)


def error_of(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


def test_associations(demo):
    eks = client(demo, "eks")
    made = eks.create_pod_identity_association(
        clusterName="demo", namespace="default", serviceAccount="app", roleArn=arn("app"), tags={"team": "a"}, clientRequestToken="one")["association"]
    assert re.fullmatch(r"a-[a-z0-9]{17}", made["associationId"]) and made["tags"] == {"team": "a"} and made["disableSessionTags"] is False
    again = eks.create_pod_identity_association(
        clusterName="demo", namespace="default", serviceAccount="app", roleArn=arn("app"), tags={"team": "a"}, clientRequestToken="one")["association"]
    assert again == made
    with pytest.raises(eks.exceptions.ResourceInUseException, match=f"Association already exists: {made['associationId']}"):
        eks.create_pod_identity_association(clusterName="demo", namespace="default", serviceAccount="app", roleArn=arn("app"))
    for bad in (dict(roleArn=arn("none")), dict(roleArn=arn("demo-node")), dict(namespace="No"), dict(serviceAccount="a/b")):
        wanted = dict(clusterName="demo", namespace="default", serviceAccount="bad", roleArn=arn("app"))
        assert error_of(lambda: eks.create_pod_identity_association(**{**wanted, **bad})) == "InvalidParameterException", bad
    for index in range(4):
        eks.create_pod_identity_association(clusterName="demo", namespace="many", serviceAccount=f"s{index}", roleArn=arn("app"))
    pages = eks.get_paginator("list_pod_identity_associations").paginate(clusterName="demo", PaginationConfig={"PageSize": 2})
    listed = [association for page in pages for association in page["associations"]]
    assert len(listed) == 5 and all("roleArn" not in association for association in listed)
    found = eks.list_pod_identity_associations(clusterName="demo", namespace="many", serviceAccount="s1")["associations"]
    assert [association["serviceAccount"] for association in found] == ["s1"]
    for association in eks.list_pod_identity_associations(clusterName="demo", namespace="many")["associations"]:
        eks.delete_pod_identity_association(clusterName="demo", associationId=association["associationId"])
    changed = eks.update_pod_identity_association(clusterName="demo", associationId=made["associationId"], disableSessionTags=True)["association"]
    assert changed["disableSessionTags"] is True and changed["modifiedAt"] > made["createdAt"]
    eks.update_pod_identity_association(clusterName="demo", associationId=made["associationId"], disableSessionTags=False)
    eks.tag_resource(resourceArn=made["associationArn"], tags={"more": "b"})
    assert eks.list_tags_for_resource(resourceArn=made["associationArn"])["tags"] == {"team": "a", "more": "b"}
    assert error_of(lambda: eks.describe_pod_identity_association(clusterName="demo", associationId="a-none")) == "ResourceNotFoundException"
    assert error_of(lambda: eks.list_pod_identity_associations(clusterName="none")) == "ResourceNotFoundException"


def test_a_pod_gets_its_role(demo):
    demo.kubectl("create", "serviceaccount", "app")
    run_pod(demo, "app", "app")
    seen = variables(demo, "app")
    assert seen["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://169.254.170.23/v1/credentials"
    assert seen["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] == "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"
    assert seen["AWS_REGION"] == REGION and seen["AWS_STS_REGIONAL_ENDPOINTS"] == "regional"
    found = credentials_in(demo, "app")
    assert set(found) == {"AccessKeyId", "SecretAccessKey", "Token", "AccountId", "Expiration"}
    keys = (found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
    assert re.fullmatch(r"arn:aws:sts::000000000000:assumed-role/app/eks-demo-app-.+", client(demo, "sts", keys).get_caller_identity()["Arn"])
    assert client(demo, "eks", keys).list_clusters()["clusters"] == ["demo"]
    assert error_of(lambda: client(demo, "eks", keys).delete_cluster(name="demo")) == "AccessDeniedException"
    # The endpoint that pods are told is the service's, and asks for a signature.
    assert "403 Forbidden" in shell(demo, "app", "wget -O- $AWS_ENDPOINT_URL/clusters 2>&1 || true")


def test_what_the_agent_refuses(demo):
    agent = "wget -S -O- $AWS_CONTAINER_CREDENTIALS_FULL_URI 2>&1"
    assert "400 Bad Request" in shell(demo, "app", f"{agent} || true")
    wrong = 'wget -S -O- --header "Authorization: $(cat /var/run/secrets/kubernetes.io/serviceaccount/token)" $AWS_CONTAINER_CREDENTIALS_FULL_URI 2>&1 || true'
    assert "400 Bad Request" in shell(demo, "app", wrong), "a token for another audience"
    eks = client(demo, "eks")
    [association] = eks.list_pod_identity_associations(clusterName="demo", serviceAccount="app")["associations"]
    eks.delete_pod_identity_association(clusterName="demo", associationId=association["associationId"])
    with_token = 'wget -S -O- --header "Authorization: $(cat $AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE)" $AWS_CONTAINER_CREDENTIALS_FULL_URI 2>&1 || true'
    assert "404" in shell(demo, "app", with_token), "the association is gone"
    token = shell(demo, "app", "cat $AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    eks.create_pod_identity_association(clusterName="demo", namespace="default", serviceAccount="app", roleArn=arn("app"))
    assert client(demo, "eks-auth").assume_role_for_pod_identity(clusterName="demo", token=token)["subject"] == {"namespace": "default", "serviceAccount": "app"}
    demo.kubectl("delete", "pod", "app", "--wait", "--grace-period=0", "--force")
    assume = lambda: client(demo, "eks-auth").assume_role_for_pod_identity(clusterName="demo", token=token)
    assert error_of(assume) == "InvalidTokenException", "the pod is gone"
    assert error_of(lambda: client(demo, "eks-auth").assume_role_for_pod_identity(clusterName="none", token=token)) == "ResourceNotFoundException"


def test_conditions_on_session_tags_and_target_roles(demo):
    eks = client(demo, "eks")
    for name, namespace in (("ours", "default"), ("theirs", "other")):
        role(demo, name, trust(*TRUST, {"StringEquals": {"aws:RequestTag/kubernetes-namespace": namespace}}))
        demo.kubectl("create", "serviceaccount", name)
        eks.create_pod_identity_association(clusterName="demo", namespace="default", serviceAccount=name, roleArn=arn(name))
        run_pod(demo, name, name)
    assert "AccessKeyId" in credentials_in(demo, "ours")
    refused = shell(demo, "theirs", 'wget -S -O- --header "Authorization: $(cat $AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE)" $AWS_CONTAINER_CREDENTIALS_FULL_URI 2>&1 || true')
    assert "400" in refused
    document = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": arn("app")}, "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {"sts:ExternalId": f"{REGION}/000000000000/demo/default/far"}}}]}
    role(demo, "target", json.dumps(document))
    demo.kubectl("create", "serviceaccount", "far")
    made = eks.create_pod_identity_association(
        clusterName="demo", namespace="default", serviceAccount="far", roleArn=arn("app"), targetRoleArn=arn("target"))["association"]
    assert made["externalId"] == f"{REGION}/000000000000/demo/default/far"
    run_pod(demo, "far", "far")
    found = credentials_in(demo, "far")
    keys = (found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
    assert ":assumed-role/target/" in client(demo, "sts", keys).get_caller_identity()["Arn"]
    demo.kubectl("delete", "pod", "ours", "theirs", "far", "--wait", "--grace-period=0", "--force")


def test_a_policy_limits_the_pods_credentials(demo):
    eks = client(demo, "eks")
    role(demo, "wide", trust(*TRUST), ["AdministratorAccess"])
    demo.kubectl("create", "serviceaccount", "narrow")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": "*"}]})
    wanted = dict(clusterName="demo", namespace="default", serviceAccount="narrow", roleArn=arn("wide"), policy=policy)
    assert error_of(lambda: eks.create_pod_identity_association(**wanted)) == "InvalidParameterException", "session tags are in the way"
    made = eks.create_pod_identity_association(disableSessionTags=True, **wanted)["association"]
    assert made["policy"] == policy
    run_pod(demo, "narrow", "narrow")
    found = credentials_in(demo, "narrow")
    keys = (found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
    assert client(demo, "eks", keys).describe_cluster(name="demo")["cluster"]["name"] == "demo"
    assert error_of(lambda: client(demo, "eks", keys).list_clusters()) == "AccessDeniedException"
    demo.kubectl("delete", "pod", "narrow", "--wait", "--grace-period=0", "--force")


def test_the_agent_is_an_add_on(demo):
    run_pod(demo, "agent", "app")
    assert "AccessKeyId" in credentials_in(demo, "agent")
    eks = client(demo, "eks")
    eks.delete_addon(clusterName="demo", addonName="eks-pod-identity-agent")
    fast(eks.get_waiter("addon_deleted")).wait(clusterName="demo", addonName="eks-pod-identity-agent")
    ask = "/bin/busybox timeout 3 wget -O- $AWS_CONTAINER_CREDENTIALS_FULL_URI 2>&1 || true"
    wait_for(lambda: "HTTP/1.1" not in shell(demo, "agent", ask), "nobody answers at the agent's address")
    eks.create_addon(clusterName="demo", addonName="eks-pod-identity-agent")
    wait_for(lambda: "400" in shell(demo, "agent", ask), "the agent answers again")
    assert "AccessKeyId" in credentials_in(demo, "agent")
    demo.kubectl("delete", "pod", "agent", "--wait", "--grace-period=0", "--force")


def test_the_issuers_documents_are_public(demo):
    issuer = client(demo, "eks").describe_cluster(name="demo")["cluster"]["identity"]["oidc"]["issuer"]
    fetch = lambda path: demo.run("curl", "-s", "-w", "\n%{http_code}", "--cacert", demo.env["AWS_CA_BUNDLE"], issuer + path).stdout.rsplit("\n", 1)
    body, status = fetch("/.well-known/openid-configuration")
    assert status == "200" and json.loads(body)["issuer"] == issuer and json.loads(body)["jwks_uri"] == issuer + "/keys"
    body, status = fetch("/keys")
    assert status == "200" and [key["alg"] for key in json.loads(body)["keys"]] == ["ES256"]
    assert fetch("/openid/v1/jwks")[1] == "404" and fetch("/../none/keys")[1] in ("403", "404")


def test_roles_for_service_accounts(demo):
    issuer = client(demo, "eks").describe_cluster(name="demo")["cluster"]["identity"]["oidc"]["issuer"]
    host = issuer.removeprefix("https://")
    provider = client(demo, "iam").create_open_id_connect_provider(Url=issuer, ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40])
    document = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": provider["OpenIDConnectProviderArn"]}, "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{host}:sub": "system:serviceaccount:default:irsa", f"{host}:aud": "sts.amazonaws.com"}}}]}
    role(demo, "irsa", json.dumps(document))
    for name in ("irsa", "irsa-other"):
        demo.kubectl("create", "serviceaccount", name)
        demo.kubectl("annotate", "serviceaccount", name, f"eks.amazonaws.com/role-arn={arn('irsa')}", "eks.amazonaws.com/token-expiration=7200")
    run_pod(demo, "irsa", "irsa", {"eks.amazonaws.com/skip-containers": "sidecar"})
    run_pod(demo, "irsa-other", "irsa-other")
    seen = variables(demo, "irsa")
    assert seen["AWS_ROLE_ARN"] == arn("irsa") and seen["AWS_REGION"] == REGION
    assert seen["AWS_WEB_IDENTITY_TOKEN_FILE"] == "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"
    assert "AWS_ROLE_ARN" not in variables(demo, "irsa", "sidecar")
    volumes = demo.get("pod", "irsa")["spec"]["volumes"]
    [token] = [v["projected"]["sources"][0]["serviceAccountToken"] for v in volumes if v["name"] == "aws-iam-token"]
    assert token == {"audience": "sts.amazonaws.com", "expirationSeconds": 7200, "path": "token"}
    assume = (
        'wget -O- --post-data "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=$AWS_ROLE_ARN&RoleSessionName=pod&'
        'WebIdentityToken=$(cat $AWS_WEB_IDENTITY_TOKEN_FILE)" $AWS_ENDPOINT_URL/ 2>&1 || true')
    answer = shell(demo, "irsa", assume)
    part = lambda name: re.search(f"<{name}>([^<]+)</{name}>", answer).group(1)
    keys = (part("AccessKeyId"), part("SecretAccessKey"), part("SessionToken"))
    assert client(demo, "sts", keys).get_caller_identity()["Arn"] == "arn:aws:sts::000000000000:assumed-role/irsa/pod"
    assert "403" in shell(demo, "irsa-other", assume), "the trust policy names another service account"
    demo.kubectl("delete", "pod", "irsa", "irsa-other", "--wait", "--grace-period=0", "--force")


def metadata(service, pod, path, method="GET", fields=()):
    """An answer of the metadata service inside a pod: status, body. busybox's wget cannot PUT, and its nc hangs up when its input ends."""
    lines = "".join(f"{field}\\r\\n" for field in fields)
    script = f"(printf '{method} {path} HTTP/1.1\\r\\nHost: 169.254.169.254\\r\\nConnection: close\\r\\n{lines}\\r\\n'; sleep 2) | nc -w 5 169.254.169.254 80"
    head, _, body = shell(service, pod, script).replace("\r", "").partition("\n\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize("host", [False, True], ids=["pod", "node"])
def test_instance_metadata(demo, host):
    name = "host" if host else "plain"
    run_pod(demo, name, host=host)
    assert metadata(demo, name, "/latest/meta-data/instance-id")[0] == 401
    assert metadata(demo, name, "/latest/api/token", "PUT")[0] == 400
    status, token = metadata(demo, name, "/latest/api/token", "PUT", ["X-aws-ec2-metadata-token-ttl-seconds: 60"])
    assert status == 200

    def get(path):
        status, body = metadata(demo, name, path, fields=[f"X-aws-ec2-metadata-token: {token.strip()}"])
        assert status == 200, (path, status, body)
        return body.strip()

    node = demo.get("nodes")["items"][0]
    instance = node["spec"]["providerID"].split("/")[-1]
    assert get("/latest/meta-data/instance-id") == instance
    assert get("/latest/meta-data/placement/region") == REGION
    assert json.loads(get("/latest/dynamic/instance-identity/document"))["instanceId"] == instance
    assert get("/latest/meta-data/iam/security-credentials/") == "demo-node"
    found = json.loads(get("/latest/meta-data/iam/security-credentials/demo-node"))
    keys = (found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
    assert client(demo, "sts", keys).get_caller_identity()["Arn"] == f"arn:aws:sts::000000000000:assumed-role/demo-node/{instance}"
    demo.kubectl("delete", "pod", name, "--wait", "--grace-period=0", "--force")


def test_pods_keep_getting_credentials_after_the_service_was_killed(demo):
    run_pod(demo, "after", "app")
    assert "AccessKeyId" in credentials_in(demo, "after")
    demo.kill()
    demo.start()
    wait_for(lambda: "AccessKeyId" in shell(
        demo, "after", 'wget -qO- --header "Authorization: $(cat $AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE)" $AWS_CONTAINER_CREDENTIALS_FULL_URI || true'),
        "credentials after a restart", timeout=60)
