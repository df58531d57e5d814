"""A host outside the VPC joins as a node: `eyrie node join` in a network namespace that stands for that host, with a route to this one. Real containers.
The steps build on each other: the first failure ends the run (pytest -x)."""
import json
import pathlib
import signal
import subprocess
import urllib.request

import pytest
from aws_setup import client, cluster, role, trust
from conftest import running_service, wait_for

ACCOUNT = "000000000000"
#: The host's end of the cable to the other, the other's end, and the range of its pods.
HERE, THERE, PODS = "10.250.0.1", "10.250.0.2", "10.251.0.0/24"
NAMESPACE = "outsider"
NAME = "lab-1"
OWN = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]})


class Outsider:
    """The other host: a network namespace, in which Eyrie's commands are run as its root would."""

    def __init__(self, service, directory):
        self.service = service
        self.data = directory / "node"
        self.directory = self.data / NAME

    def eyrie(self, *arguments, check=True):
        result = self.service.run(
            "nsenter", f"--net=/run/netns/{NAMESPACE}", self.service.binary, "node", *arguments, "--data-dir", self.data, check=False, timeout=180)
        assert not check or result.returncode == 0, result.stdout + self.log()
        return result

    def join(self, role, *arguments, check=True):
        return self.eyrie(
            "join", "--cluster", "demo", "--role-arn", role, "--node-name", NAME, "--pod-cidr", PODS, "--labels", "place=lab",
            "--registry-mirror", "docker.io=http://169.254.171.1:5000", *arguments, check=check)

    def log(self):
        log = self.directory / "machine.log"
        return log.read_text()[-3000:] if log.exists() else ""

    def agents(self):
        """The process ids of its agent."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"--directory" in words and bytes(self.directory) in words:
                found.append(int(entry.name))
        return found


def ip(*arguments, check=True):
    subprocess.run(["ip", *arguments], check=check, capture_output=True)


@pytest.fixture(scope="module")
def cable():
    ip("netns", "del", NAMESPACE, check=False)
    ip("netns", "add", NAMESPACE)
    try:
        ip("link", "add", "outsider0", "type", "veth", "peer", "name", "uplink", "netns", NAMESPACE)
        ip("address", "add", f"{HERE}/24", "dev", "outsider0")
        ip("link", "set", "outsider0", "up")
        ip("-netns", NAMESPACE, "link", "set", "lo", "up")
        ip("-netns", NAMESPACE, "address", "add", f"{THERE}/24", "dev", "uplink")
        ip("-netns", NAMESPACE, "link", "set", "uplink", "up")
        ip("-netns", NAMESPACE, "route", "add", "default", "via", HERE)
        # What a router between the two would know.
        ip("route", "add", PODS, "via", THERE)
        yield
    finally:
        ip("netns", "del", NAMESPACE, check=False)
        ip("link", "del", "outsider0", check=False)


@pytest.fixture(scope="module")
def outsider(cable, tmp_path_factory, registry):
    directory = tmp_path_factory.mktemp("outsider")
    with running_service(tmp_path_factory.mktemp("eyrie"), {"docker.io": registry}, host=HERE) as service:
        cluster(
            service, "demo", "10.83", nodes=1, accessConfig={"authenticationMode": "API"},
            remoteNetworkConfig={"remoteNodeNetworks": [{"cidrs": ["10.250.0.0/24"]}], "remotePodNetworks": [{"cidrs": ["10.251.0.0/16"]}]})
        own = client(service, "eks").describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]["clusterSecurityGroupId"]
        client(service, "ec2").authorize_security_group_ingress(
            GroupId=own, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": f"{THERE}/32"}]}])
        there = Outsider(service, directory)
        try:
            yield there
        finally:
            there.eyrie("leave", "--force", check=False)


def pod(service, name, place=True):
    spec = {"terminationGracePeriodSeconds": 0, "containers": [{
        "name": "main", "image": "nginx:1.15", "command": ["sh", "-c", "hostname >/www/index.html; exec nginx -g 'daemon off;'"],
        "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1}}]}
    spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "place", "operator": "In" if place else "NotIn", "values": ["lab"]}]}]}}}
    service.kubectl("apply", "-f", "-", input=json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}))


def within(service, name, *command):
    """What a command in a pod says, or what is said instead."""
    return service.kubectl("exec", name, "--", *command, check=False).stdout.strip()


def test_what_keeps_a_node_out_is_said(outsider):
    service = outsider.service
    bare = role(service, "bare", OWN)
    refused = outsider.join(bare, check=False)
    assert refused.returncode != 0 and "may not be described" in refused.stdout and "eks:DescribeCluster" in refused.stdout
    unmapped = role(service, "lab", OWN, ["AmazonEKSWorkerNodePolicy"])
    refused = outsider.join(unmapped, check=False)
    assert refused.returncode != 0 and "does not let this node in" in refused.stdout, refused.stdout
    assert f"assumed-role/lab/{NAME}" in refused.stdout and "HYBRID_LINUX" in refused.stdout
    # Mapped, but as somebody else.
    client(service, "eks").create_access_entry(clusterName="demo", principalArn=bare)
    client(service, "iam").attach_role_policy(RoleName="bare", PolicyArn="arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy")
    refused = outsider.join(bare, check=False)
    assert refused.returncode != 0 and "not as a node's" in refused.stdout, refused.stdout
    # Addresses that the cluster does not expect.
    refused = outsider.join(unmapped, "--node-ip", "10.9.0.1", check=False)
    assert refused.returncode != 0 and "10.250.0.0/24" in refused.stdout
    missing = outsider.eyrie("join", "--cluster", "none", "--role-arn", unmapped, "--node-name", NAME, "--pod-cidr", PODS, check=False)
    assert missing.returncode != 0 and 'no cluster "none"' in missing.stdout, missing.stdout
    assert not outsider.data.exists()


def test_a_host_joins(outsider):
    service = outsider.service
    client(service, "eks").create_access_entry(clusterName="demo", principalArn=f"arn:aws:iam::{ACCOUNT}:role/lab", type="HYBRID_LINUX")
    said = outsider.join(f"arn:aws:iam::{ACCOUNT}:role/lab", "--taints", "place=lab:PreferNoSchedule").stdout
    for step in ("Role assumed", "Cluster found", "Known to the cluster", "Certificates issued", "Machine started", "Node Ready"):
        assert step in said, said
    node = service.get("node", NAME)
    assert node["spec"]["providerID"] == f"eks-hybrid:///us-west-2/demo/{NAME}"
    assert {"key": "place", "value": "lab", "effect": "PreferNoSchedule"} in node["spec"]["taints"]
    assert node["metadata"]["labels"]["place"] == "lab" and node["metadata"]["labels"]["eks.amazonaws.com/compute-type"] == "hybrid"
    assert {"type": "InternalIP", "address": THERE} in node["status"]["addresses"]


def test_its_pods_run_and_are_reached(outsider):
    service = outsider.service
    pod(service, "inside", place=False)
    pod(service, "outside")
    service.kubectl("expose", "pod", "outside", "--port=80")
    service.kubectl("expose", "pod", "inside", "--port=80")
    service.kubectl("wait", "--for=condition=Ready", "pod/inside", "pod/outside", "--timeout=90s")
    found = service.get("pod", "outside")
    assert found["spec"]["nodeName"] == NAME and found["status"]["podIP"].startswith("10.251.0.")
    # By exec and logs the API server reaches the kubelet, whose certificate it believes; by wget pods reach each other over Services and names.
    assert service.kubectl("exec", "outside", "--", "hostname").strip() == "outside"
    for one, other in (("outside", "inside"), ("inside", "outside"), ("outside", "outside")):
        wait_for(lambda: within(service, one, "/bin/busybox", "timeout", "5", "wget", "-qO-", f"http://{other}/") == other, f"{one} reaches {other}", timeout=30)
    with urllib.request.urlopen(f"http://{found['status']['podIP']}/", timeout=10) as answer:
        assert answer.read().strip() == b"outside"


def test_the_agent_finds_its_pods_again(outsider):
    service = outsider.service
    before = service.get("pod", "outside")["status"]["containerStatuses"][0]["containerID"]
    for process in outsider.agents():
        subprocess.run(["kill", f"-{signal.SIGKILL.value}", str(process)], check=False)
    assert "runs already" in outsider.join(f"arn:aws:iam::{ACCOUNT}:role/lab").stdout
    wait_for(lambda: outsider.agents(), "the agent runs again", timeout=30)
    wait_for(lambda: within(service, "outside", "hostname") == "outside", "its kubelet serves again", timeout=60)
    assert service.get("pod", "outside")["status"]["containerStatuses"][0]["containerID"] == before


def test_the_node_leaves(outsider):
    service = outsider.service
    said = outsider.eyrie("leave").stdout
    assert "Pods ended" in said and "Node deleted" in said, said
    assert service.kubectl("get", "node", NAME, check=False).returncode != 0
    assert service.kubectl("get", "pod", "outside", check=False).returncode != 0
    assert not outsider.directory.exists() and not outsider.agents()
    tables = subprocess.run(["ip", "netns", "exec", NAMESPACE, "nft", "list", "tables"], capture_output=True, text=True).stdout
    assert not tables.strip(), tables
    assert not list(pathlib.Path("/sys/fs/cgroup").glob(f"**/eyrie/{NAME}"))
    assert "nothing to leave" in outsider.eyrie("leave").stdout
