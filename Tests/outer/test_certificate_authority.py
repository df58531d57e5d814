"""The rotation of a cluster's certificate authority through boto3, kubectl and openssl: what trusts what at each step, on nodes that go on running."""
import base64
import json
import subprocess

import pytest
from aws_setup import client, cluster, fast
from botocore.exceptions import ClientError
from conftest import wait_for

POD = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "steady"},
    "spec": {"containers": [{"name": "c", "image": "nginx:1.15", "command": ["sleep", "100000"]}]},
}


class State:
    """What later tests need of earlier ones."""
    old = new = None
    pod = None
    kubeconfigs = {}
    client = {}


state = State()


@pytest.fixture(scope="module")
def demo(service):
    cluster(service, "demo", "10.93", nodes=1)
    service.kubectl("create", "-f", "-", input=json.dumps(POD))
    service.kubectl("wait", "--for=condition=Ready", "pod/steady", "--timeout=60s")
    state.pod = container(service)
    return service


@pytest.fixture
def eks(demo):
    return client(demo, "eks")


def container(service):
    """What a restart would change."""
    [status] = service.get("pod", "steady")["status"]["containerStatuses"]
    return status["containerID"], status["restartCount"]


def refused(call, code):
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code, caught.value.response


def done(eks, answer):
    update = answer["update"]
    assert update["type"] == "CertificateAuthorityUpdate" and update["status"] == "InProgress"
    fast(eks.get_waiter("certificate_authority_update_complete")).wait(name="demo", updateId=update["id"])


def bundle(eks):
    text = base64.b64decode(eks.describe_cluster(name="demo")["cluster"]["certificateAuthority"]["data"]).decode()
    return [part + "-----END CERTIFICATE-----\n" for part in text.split("-----END CERTIFICATE-----\n") if part.strip()]


def kubeconfig(service, name, roots, user=None):
    """A kubeconfig of its own, by the roots it is to trust."""
    path = service.directory / f"kubeconfig-{name}"
    config = json.loads(service.kubectl("config", "view", "--raw", "-o", "json"))
    config["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode("".join(roots).encode()).decode()
    if user:
        config["users"][0]["user"] = user
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def get_nodes(service, path):
    result = service.kubectl("--kubeconfig", path, "get", "nodes", "-o", "name", check=False)
    return result.returncode, result.stdout


def certificate(service, name):
    """A client's key and certificate by the authority that signs now, through a CertificateSigningRequest."""
    folder = service.directory
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr", "-subj", f"/CN={name}"],
        check=True, capture_output=True)
    request = base64.b64encode((folder / f"{name}.csr").read_bytes()).decode()
    service.kubectl("create", "-f", "-", input=json.dumps({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
        "spec": {"request": request, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}}))
    service.kubectl("certificate", "approve", name)
    signed = wait_for(lambda: service.get("csr", name)["status"].get("certificate"), f"{name}'s certificate")
    service.kubectl("create", "clusterrolebinding", name, "--clusterrole=cluster-admin", f"--user={name}")
    return {"client-certificate-data": signed, "client-key-data": base64.b64encode((folder / f"{name}.key").read_bytes()).decode()}


def issuer(address):
    """Who has signed the certificate that a server shows."""
    shown = subprocess.run(["openssl", "s_client", "-connect", address], input="", capture_output=True, text=True).stdout
    return subprocess.run(["openssl", "x509", "-noout", "-issuer"], input=shown, capture_output=True, text=True).stdout.strip()


def kubelet(service):
    [node] = service.get("nodes")["items"]
    [address] = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    return f"{address}:10250"


def steady(service, reports=False):
    """The node is Ready, and goes on reporting; its pod's container is the same, and is reached through the kubelet."""
    [node] = service.get("nodes")["items"]
    [ready] = [c for c in node["status"]["conditions"] if c["type"] == "Ready"]
    assert ready["status"] == "True", ready
    assert container(service) == state.pod
    assert service.kubectl("exec", "steady", "--", "/bin/busybox", "echo", "here").strip() == "here"
    if not reports:
        return
    lease = ("lease", node["metadata"]["name"], "-n", "kube-node-lease")
    before = service.get(*lease)["spec"]["renewTime"]
    wait_for(lambda: service.get(*lease)["spec"]["renewTime"] != before, "the node renews its lease", timeout=30, every=1)


def test_a_cluster_begins_with_one(demo, eks):
    [authority] = eks.list_certificate_authorities(clusterName="demo")["certificateAuthorities"]
    assert (authority["signingStatus"], authority["distributionStatus"], authority["createdBy"]) == ("IN_USE", "COMPLETE", "EKS")
    state.old = authority["id"]
    found = eks.describe_certificate_authority(clusterName="demo", certificateAuthorityId=state.old)["certificateAuthority"]
    assert found["data"] == eks.describe_cluster(name="demo")["cluster"]["certificateAuthority"]["data"]
    assert 9.9 < (found["validity"]["notAfter"] - found["validity"]["notBefore"]).days / 365 < 10.1 and not found["rollbackAvailable"]
    refused(lambda: eks.delete_certificate_authority(clusterName="demo", certificateAuthorityId=state.old), "ResourceInUseException")
    refused(lambda: eks.activate_certificate_authority(clusterName="demo", certificateAuthorityId=state.old), "InvalidParameterException")
    refused(lambda: eks.describe_certificate_authority(clusterName="demo", certificateAuthorityId="none"), "ResourceNotFoundException")
    state.kubeconfigs["old"] = kubeconfig(demo, "old", bundle(eks))
    state.client["old"] = certificate(demo, "olga")
    steady(demo)


def test_a_successor_is_trusted_beside_the_first(demo, eks):
    answer = eks.create_certificate_authority(clusterName="demo")
    state.new = answer["certificateAuthority"]["id"]
    assert answer["certificateAuthority"]["distributionStatus"] == "IN_PROGRESS" and answer["certificateAuthority"]["signingStatus"] == "NOT_USED"
    refused(lambda: eks.update_cluster_config(name="demo", zonalShiftConfig={"enabled": True}), "ResourceInUseException")
    # What was begun goes on after a crash, once and to its end.
    demo.kill()
    demo.start()
    eks = client(demo, "eks")
    fast(eks.get_waiter("certificate_authority_update_complete")).wait(name="demo", updateId=answer["update"]["id"])
    pages = eks.get_paginator("list_certificate_authorities").paginate(clusterName="demo", PaginationConfig={"PageSize": 1})
    shown = [authority for page in pages for authority in page["certificateAuthorities"]]
    assert [(a["id"], a["signingStatus"], a["distributionStatus"]) for a in shown] == [
        (state.old, "IN_USE", "COMPLETE"), (state.new, "NOT_USED", "COMPLETE")]
    refused(lambda: eks.create_certificate_authority(clusterName="demo"), "ResourceLimitExceededException")
    assert len(bundle(eks)) == 2
    keys = list((demo.data / "clusters" / "demo").glob("ca*.key"))
    assert len(keys) == 2 and all(key.stat().st_mode & 0o777 == 0o600 for key in keys)
    root = wait_for(lambda: (text := demo.get("configmap", "kube-root-ca.crt")["data"]["ca.crt"]).count("BEGIN") == 2 and text, "pods trust both")
    assert root == "".join(bundle(eks))
    assert get_nodes(demo, state.kubeconfigs["old"])[0] == 0
    state.kubeconfigs["both"] = kubeconfig(demo, "both", bundle(eks))
    assert get_nodes(demo, state.kubeconfigs["both"])[0] == 0
    steady(demo)


def test_the_successor_signs(demo, eks):
    server = kubelet(demo)
    before = issuer(server)
    answer = eks.activate_certificate_authority(clusterName="demo", certificateAuthorityId=state.new)
    assert answer["certificateAuthority"]["signingStatus"] == "ACTIVATING"
    done(eks, answer)
    shown = eks.list_certificate_authorities(clusterName="demo")["certificateAuthorities"]
    assert {a["id"]: a["signingStatus"] for a in shown} == {state.old: "NOT_USED", state.new: "IN_USE"}
    assert eks.describe_certificate_authority(clusterName="demo", certificateAuthorityId=state.old)["certificateAuthority"]["rollbackAvailable"]
    endpoint = eks.describe_cluster(name="demo")["cluster"]["endpoint"].removeprefix("https://")
    assert "kubernetes-ca-" in issuer(endpoint)
    after = issuer(server)
    assert "kubernetes-ca-" in after and after != before
    # Who trusts the first alone does not know the server any more; who trusts both goes on, and so does a certificate of the first.
    code, text = get_nodes(demo, state.kubeconfigs["old"])
    assert code != 0 and "certificate signed by unknown authority" in text
    assert get_nodes(demo, state.kubeconfigs["both"])[0] == 0
    demo.aws("eks", "update-kubeconfig", "--name", "demo")
    state.kubeconfigs["olga"] = kubeconfig(demo, "olga", bundle(eks), state.client["old"])
    assert get_nodes(demo, state.kubeconfigs["olga"])[0] == 0
    state.kubeconfigs["nina"] = kubeconfig(demo, "nina", bundle(eks), certificate(demo, "nina"))
    steady(demo)


def test_the_first_is_forgotten(demo, eks):
    answer = eks.delete_certificate_authority(clusterName="demo", certificateAuthorityId=state.old)
    assert answer["certificateAuthority"]["distributionStatus"] == "DELETING"
    done(eks, answer)
    [authority] = eks.list_certificate_authorities(clusterName="demo")["certificateAuthorities"]
    assert authority["id"] == state.new
    refused(lambda: eks.describe_certificate_authority(clusterName="demo", certificateAuthorityId=state.old), "ResourceNotFoundException")
    assert len(bundle(eks)) == 1
    [key] = (demo.data / "clusters" / "demo").glob("ca*.key")
    assert state.new in key.name
    code, text = get_nodes(demo, state.kubeconfigs["olga"])
    assert code != 0 and ("Unauthorized" in text or "provide credentials" in text or "logged in" in text), text
    assert get_nodes(demo, state.kubeconfigs["nina"])[0] == 0
    demo.aws("eks", "update-kubeconfig", "--name", "demo")
    wait_for(lambda: demo.get("configmap", "kube-root-ca.crt")["data"]["ca.crt"].count("BEGIN") == 1, "pods trust one")
    steady(demo, reports=True)


def test_a_node_of_now_renews_its_certificates(demo, eks):
    """It joins by the authority of now, with certificates that end in a minute: it asks for others in time, and goes on with them."""
    demo.stop()
    demo.arguments += ["--cluster-signing-duration", "60"]
    demo.start()
    eks = client(demo, "eks")
    [first] = [node["metadata"]["name"] for node in demo.get("nodes")["items"]]
    eks.update_nodegroup_config(clusterName="demo", nodegroupName="ng", scalingConfig={"desiredSize": 2})
    names = wait_for(lambda: [n for node in demo.get("nodes")["items"] if (n := node["metadata"]["name"]) != first], "a second node", timeout=90)
    demo.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s")
    [node] = [node for node in demo.get("nodes")["items"] if node["metadata"]["name"] == names[0]]
    [address] = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    pod = json.loads(json.dumps(POD).replace("steady", "young"))
    pod["spec"]["nodeName"] = names[0]
    demo.kubectl("create", "-f", "-", input=json.dumps(pod))
    demo.kubectl("wait", "--for=condition=Ready", "pod/young", "--timeout=60s")

    def serial():
        shown = subprocess.run(["openssl", "s_client", "-connect", f"{address}:10250"], input="", capture_output=True, text=True).stdout
        return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=shown, capture_output=True, text=True).stdout.strip()

    def issued():
        requests = demo.get("csr")["items"]
        return {(r["spec"]["signerName"], r["spec"]["username"]) for r in requests if r.get("status", {}).get("certificate")}

    user = f"system:node:{names[0]}"
    wanted = {
        ("kubernetes.io/kube-apiserver-client-kubelet", user), ("kubernetes.io/kubelet-serving", user),
        ("kubernetes.io/kube-apiserver-client", "system:kube-proxy")}
    wait_for(lambda: wanted <= issued(), "the node has its own certificates", timeout=60)
    before = serial()
    wait_for(lambda: serial() != before, "they are renewed", timeout=90, every=1)
    assert demo.kubectl("exec", "young", "--", "/bin/busybox", "echo", "here").strip() == "here"
    [status] = demo.get("pod", "young")["status"]["containerStatuses"]
    assert status["restartCount"] == 0 and container(demo) == state.pod
    demo.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=10s")
