"""The walk-through of the README, step by step with the real tools. The steps build on each other: the first failure ends the run (pytest -x)."""
import json
import re
import subprocess
import threading
import time
import urllib.request

import pytest
from conftest import REGION, leftovers, wait_for

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: nginx
spec:
  replicas: 3
  selector:
    matchLabels: {app: nginx}
  template:
    metadata:
      labels: {app: nginx}
    spec:
      containers:
      - name: nginx-container
        image: nginx:1.15
        ports:
        - containerPort: 80
"""


class State:
    """What later steps need of earlier ones."""
    subnets = []
    vpc = None
    roles = {}


state = State()


def pods(service, phase="Running"):
    items = service.get("pods", "-l", "app=nginx")["items"]
    return [p for p in items if p["status"].get("phase") == phase and "deletionTimestamp" not in p["metadata"]]


def ready_pods(service, count, image=None):
    def check():
        found = [p for p in pods(service) if all(c["ready"] for c in p["status"].get("containerStatuses", [{"ready": False}]))]
        if image:
            found = [p for p in found if p["spec"]["containers"][0]["image"] == image]
        return found if len(found) == count else None
    return wait_for(check, f"{count} pods ready", timeout=90)


def test_unsigned_and_badly_signed_requests_are_refused(service):
    result = service.run("curl", "-sk", "-w", "%{http_code}", f"https://127.0.0.1:{service.port}/clusters")
    assert result.stdout.endswith("403"), result.stdout
    assert "MissingAuthenticationToken" in result.stdout
    env = dict(service.env, AWS_SECRET_ACCESS_KEY="x" * 40)
    result = subprocess.run([service.aws_binary, "eks", "list-clusters"], env=env, capture_output=True, text=True)
    assert result.returncode != 0 and "signature" in result.stderr.lower()


def test_caller_identity(service):
    identity = service.aws("sts", "get-caller-identity")
    assert re.fullmatch(r"arn:aws:iam::\d{12}:user/.+", identity["Arn"])


def test_network_and_roles(service):
    state.vpc = service.aws("ec2", "create-vpc", "--cidr-block", "10.88.0.0/16")["Vpc"]["VpcId"]
    service.aws("ec2", "modify-vpc-attribute", "--vpc-id", state.vpc, "--enable-dns-hostnames")
    for index, zone in enumerate("ab"):
        subnet = service.aws(
            "ec2", "create-subnet", "--vpc-id", state.vpc, "--cidr-block", f"10.88.{index}.0/24", "--availability-zone", f"{REGION}{zone}")
        state.subnets.append(subnet["Subnet"]["SubnetId"])
    for name, principal, policies in (
        ("cluster", "eks", ["AmazonEKSClusterPolicy"]),
        ("node", "ec2", ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"]),
    ):
        trust = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": f"{principal}.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        role = service.aws("iam", "create-role", "--role-name", f"eyrie-{name}", "--assume-role-policy-document", json.dumps(trust))
        state.roles[name] = role["Role"]["Arn"]
        for policy in policies:
            service.aws("iam", "attach-role-policy", "--role-name", f"eyrie-{name}", "--policy-arn", f"arn:aws:iam::aws:policy/{policy}")


def test_bad_cluster_requests_are_refused_in_awss_words(service):
    result = service.aws("eks", "describe-cluster", "--name", "nobody", check=False)
    assert "ResourceNotFoundException" in result.stdout and "No cluster found for name: nobody." in result.stdout
    result = service.aws(
        "eks", "create-cluster", "--name", "bad", "--role-arn", state.roles["cluster"], "--resources-vpc-config", f"subnetIds={state.subnets[0]}", check=False)
    assert "InvalidParameterException" in result.stdout and "two different AZs" in result.stdout
    result = service.aws(
        "eks", "create-cluster", "--name", "bad", "--role-arn", state.roles["node"], "--resources-vpc-config", f"subnetIds={','.join(state.subnets)}", check=False)
    assert "trusted entity is not correct" in result.stdout
    tiny = service.aws("ec2", "create-subnet", "--vpc-id", state.vpc, "--cidr-block", "10.88.9.0/28", "--availability-zone", f"{REGION}a")["Subnet"]
    assert tiny["AvailableIpAddressCount"] == 11
    service.aws("ec2", "delete-subnet", "--subnet-id", tiny["SubnetId"])


def test_create_cluster(service):
    answer = service.aws(
        "eks", "create-cluster", "--name", "demo", "--role-arn", state.roles["cluster"], "--resources-vpc-config", f"subnetIds={','.join(state.subnets)}")
    assert answer["cluster"]["status"] == "CREATING"
    assert "endpoint" not in answer["cluster"]
    at_once = service.aws("eks", "update-kubeconfig", "--name", "demo", check=False)
    if at_once.returncode == 0:
        # The CLI takes longer to start than the cluster takes to come up on a fast machine; then it must already be ACTIVE.
        assert service.aws("eks", "describe-cluster", "--name", "demo")["cluster"]["status"] == "ACTIVE"
    else:
        assert "Cluster status is CREATING" in at_once.stdout
    service.aws("eks", "wait", "cluster-active", "--name", "demo")
    cluster = service.aws("eks", "describe-cluster", "--name", "demo")["cluster"]
    assert cluster["status"] == "ACTIVE" and cluster["endpoint"].startswith("https://")
    assert service.aws("eks", "list-clusters")["clusters"] == ["demo"]
    group = service.aws("ec2", "describe-security-groups", "--group-ids", cluster["resourcesVpcConfig"]["clusterSecurityGroupId"])["SecurityGroups"][0]
    assert group["GroupName"].startswith("eks-cluster-sg-demo-")
    service.aws("eks", "update-kubeconfig", "--name", "demo")


def test_the_creator_is_administrator_and_others_are_refused(service):
    assert "No resources found" in service.kubectl("get", "nodes")
    assert service.kubectl("auth", "can-i", "*", "*").strip() == "yes"
    service.aws("iam", "create-user", "--user-name", "stranger")
    service.aws("iam", "attach-user-policy", "--user-name", "stranger", "--policy-arn", "arn:aws:iam::aws:policy/AdministratorAccess")
    key = service.aws("iam", "create-access-key", "--user-name", "stranger")["AccessKey"]
    env = dict(service.env, AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"])
    result = subprocess.run([service.kubectl_binary, "get", "pods"], env=env, capture_output=True, text=True)
    assert result.returncode != 0 and ("Unauthorized" in result.stderr or "must be logged in" in result.stderr), result.stderr
    cluster = service.aws("eks", "describe-cluster", "--name", "demo")["cluster"]
    result = service.run("curl", "-sk", cluster["endpoint"] + "/api/v1/pods")
    assert json.loads(result.stdout)["code"] in (401, 403)


def test_create_nodegroup(service):
    service.aws(
        "eks", "create-nodegroup", "--cluster-name", "demo", "--nodegroup-name", "ng", "--scaling-config", "minSize=1,maxSize=4,desiredSize=2",
        "--subnets", *state.subnets, "--node-role", state.roles["node"])
    service.aws("eks", "wait", "nodegroup-active", "--cluster-name", "demo", "--nodegroup-name", "ng")
    nodes = service.get("nodes")["items"]
    assert len(nodes) == 2
    for node in nodes:
        assert re.fullmatch(rf"ip-\d+-\d+-\d+-\d+\.({REGION}\.compute|ec2)\.internal", node["metadata"]["name"])
        assert any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])
        assert node["metadata"]["labels"]["eks.amazonaws.com/nodegroup"] == "ng"
        assert node["spec"]["providerID"].startswith("aws:///us-west-2")
    assert " Ready " in service.kubectl("get", "nodes", "-o", "wide")


def test_three_nginx_pods_run(service):
    start = time.monotonic()
    assert "deployment.apps/nginx created" in service.kubectl("apply", "-f", "-", input=DEPLOYMENT)
    found = ready_pods(service, 3)
    print(f"three pods Running after {time.monotonic() - start:.1f} s, images pulled")
    for pod in found:
        assert re.fullmatch(r"nginx-[0-9a-z]{6,10}-[0-9a-z]{5}", pod["metadata"]["name"])
    table = service.kubectl("get", "pod")
    assert len(re.findall(r"1/1\s+Running\s+0", table)) == 3, table
    assert "unchanged" in service.kubectl("apply", "-f", "-", input=DEPLOYMENT)


def test_reading(service):
    pod = pods(service)[0]
    name = pod["metadata"]["name"]
    assert "Normal" in (text := service.kubectl("describe", "pod", name)) and "Started" in text and "Scheduled" in text
    assert pod["status"]["podIP"] in service.kubectl("get", "pods", "-o", "wide")
    assert "kind: Pod" in service.kubectl("get", "pod", name, "-o", "yaml")
    assert "READY" in service.kubectl("get", "deployments,replicasets,pods")
    assert "replicas" in (text := service.kubectl("explain", "deployment.spec")) and "<integer>" in text
    assert "deployments" in service.kubectl("api-resources")
    assert "Server Version" in service.kubectl("version")


def test_watch(service):
    watch = subprocess.Popen([service.kubectl_binary, "get", "configmaps", "-w", "-o", "name"], env=service.env, stdout=subprocess.PIPE, text=True)
    seen = []
    reader = threading.Thread(target=lambda: [seen.append(line.strip()) for line in watch.stdout], daemon=True)
    reader.start()
    wait_for(lambda: seen, "the watch's first line")
    service.kubectl("create", "configmap", "watched", "--from-literal=a=b")
    wait_for(lambda: "configmap/watched" in seen, "the new ConfigMap in the watch")
    watch.kill()
    watch.wait()
    service.kubectl("delete", "configmap", "watched")


def test_logs_exec_and_port_forward(service):
    pod = pods(service)[0]
    name = pod["metadata"]["name"]
    assert service.kubectl("exec", name, "--", "hostname").strip() == name
    assert service.kubectl("exec", "-i", name, "--", "cat", input="through the wire\n") == "through the wire\n"
    failed = service.kubectl("exec", name, "--", "sh", "-c", "exit 3", check=False)
    assert failed.returncode == 3
    body = urllib.request.urlopen(f"http://{pod['status']['podIP']}/", timeout=10).read()
    assert b"Welcome to nginx" in body
    wait_for(lambda: "GET / HTTP" in service.kubectl("logs", name), "the request in the pod's log")
    forward = subprocess.Popen(
        [service.kubectl_binary, "port-forward", f"pod/{name}", ":80"], env=service.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        line = forward.stdout.readline()
        port = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert port, line
        assert b"Welcome to nginx" in urllib.request.urlopen(f"http://127.0.0.1:{port.group(1)}/", timeout=10).read()
    finally:
        forward.kill()
        forward.wait()


def test_pods_reach_pods_of_other_nodes(service):
    by_node = {}
    for pod in pods(service):
        by_node.setdefault(pod["spec"]["nodeName"], pod)
    assert len(by_node) == 2, "three replicas should be spread over two nodes"
    one, other = by_node.values()
    text = service.kubectl("exec", one["metadata"]["name"], "--", "wget", "-qO-", f"http://{other['status']['podIP']}/")
    assert "Welcome to nginx" in text


def test_a_deleted_pod_is_replaced(service):
    name = pods(service)[0]["metadata"]["name"]
    service.kubectl("delete", "pod", name)
    assert name not in [p["metadata"]["name"] for p in ready_pods(service, 3)]


def test_a_killed_container_is_restarted(service):
    name = pods(service)[0]["metadata"]["name"]
    service.kubectl("exec", name, "--", "kill", "-9", "1", check=False)  # PID 1 of a PID namespace ignores its own signals...
    service.kubectl("exec", name, "--", "kill", "-QUIT", "1", check=False)  # ...but nginx handles this one.

    def restarted():
        status = service.get("pod", name)["status"]["containerStatuses"][0]
        return status["restartCount"] == 1 and status["ready"]
    wait_for(restarted, "RESTARTS 1", timeout=60)


def test_scale_and_rollout(service):
    service.kubectl("scale", "deployment", "nginx", "--replicas", "5")
    ready_pods(service, 5)
    service.kubectl("scale", "deployment", "nginx", "--replicas", "3")
    ready_pods(service, 3)
    service.kubectl("set", "image", "deployment/nginx", "nginx-container=nginx:1.16")
    assert "successfully rolled out" in service.kubectl("rollout", "status", "deployment/nginx", "--timeout=90s")
    ready_pods(service, 3, image="nginx:1.16")
    history = service.kubectl("rollout", "history", "deployment/nginx")
    assert re.search(r"^1\s", history, re.M) and re.search(r"^2\s", history, re.M), history
    service.kubectl("rollout", "undo", "deployment/nginx")
    assert "successfully rolled out" in service.kubectl("rollout", "status", "deployment/nginx", "--timeout=90s")
    ready_pods(service, 3, image="nginx:1.15")


def test_an_image_that_does_not_exist(service):
    service.kubectl("run", "broken", "--image=nginx:no-such-tag")

    def reason():
        for status in service.get("pod", "broken")["status"].get("containerStatuses", []):
            return status["state"].get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff")
    wait_for(reason, "ErrImagePull", timeout=60)
    assert "Failed to pull image" in service.kubectl("describe", "pod", "broken")
    service.kubectl("delete", "pod", "broken")


def test_bad_fields_are_refused(service):
    result = service.kubectl("apply", "-f", "-", input=DEPLOYMENT.replace("replicas: 3", "replicsa: 3"), check=False)
    assert result.returncode != 0 and 'unknown field "spec.replicsa"' in result.stdout
    result = service.kubectl("apply", "-f", "-", input=DEPLOYMENT.replace("name: nginx\n", "name: Nginx_\n", 1), check=False)
    assert result.returncode != 0 and "a lowercase RFC 1123 subdomain must consist of" in result.stdout


def test_the_service_survives_kill_9(service):
    def running():
        return {p["metadata"]["name"]: (p["status"]["containerStatuses"][0]["containerID"], p["status"]["containerStatuses"][0]["restartCount"])
                for p in ready_pods(service, 3)}
    before = running()
    service.kill()
    service.start()
    wait_for(lambda: service.aws("eks", "describe-cluster", "--name", "demo")["cluster"]["status"] == "ACTIVE", "ACTIVE after the restart")
    wait_for(lambda: service.kubectl("get", "--raw", "/readyz", check=False).stdout == "ok", "the API server is back")
    assert running() == before, "the same containers, not restarted"
    service.kubectl("delete", "pod", next(iter(before)))
    ready_pods(service, 3)


def test_a_half_made_cluster_is_finished_after_kill_9(service):
    service.aws(
        "eks", "create-cluster", "--name", "second", "--role-arn", state.roles["cluster"], "--resources-vpc-config", f"subnetIds={','.join(state.subnets)}")
    service.kill()
    service.start()
    service.aws("eks", "wait", "cluster-active", "--name", "second")
    service.aws("eks", "delete-cluster", "--name", "second")
    service.aws("eks", "wait", "cluster-deleted", "--name", "second")


def test_deleting_everything_leaves_nothing(service):
    result = service.aws("eks", "delete-cluster", "--name", "demo", check=False)
    assert "ResourceInUseException" in result.stdout
    service.kubectl("delete", "deployment", "nginx")
    wait_for(lambda: not service.get("pods")["items"], "all pods gone", timeout=60)
    service.aws("eks", "delete-nodegroup", "--cluster-name", "demo", "--nodegroup-name", "ng")
    service.aws("eks", "wait", "nodegroup-deleted", "--cluster-name", "demo", "--nodegroup-name", "ng")
    service.aws("eks", "delete-cluster", "--name", "demo")
    service.aws("eks", "wait", "cluster-deleted", "--name", "demo")
    assert service.aws("eks", "list-clusters")["clusters"] == []
    wait_for(lambda: not leftovers() or print(leftovers()), "nothing left on the host (see the output)", timeout=20, every=1)
    for subnet in state.subnets:
        service.aws("ec2", "delete-subnet", "--subnet-id", subnet)
    service.aws("ec2", "delete-vpc", "--vpc-id", state.vpc)
