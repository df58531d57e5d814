"""Pods on Fargate: a machine for each, what it is like inside, what is refused, and that nothing is left when profile and pods are gone."""
import json
import re

import pytest
from aws_setup import client, cluster, fast, role, trust
from conftest import REGION, leftovers, wait_for

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: serverless}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: irsa
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: "nginx:1.15", command: ["sh", "-c", "echo hello; exec sleep 100000"]}]
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: c, image: "nginx:1.15", command: ["sleep", "100000"], securityContext: {{privileged: {privileged}}}, resources: {{requests: {requests}}}}}]
"""
EVERYWHERE = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: everywhere, namespace: serverless}
spec:
  selector: {matchLabels: {app: everywhere}}
  template:
    metadata: {labels: {app: everywhere}}
    spec:
      containers: [{name: c, image: "nginx:1.15"}]
"""
NODE = re.compile(rf"fargate-ip-10-92-[01]-\d+\.{REGION}\.compute\.internal")


def arn(name):
    return f"arn:aws:iam::000000000000:role/{name}"


@pytest.fixture(scope="module")
def demo(service):
    """A cluster without nodes, with two profiles of one role."""
    subnets = cluster(service, "demo", "10.92", accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"})
    role(service, "pods", trust("eks-fargate-pods.amazonaws.com"), ["AmazonEKSFargatePodExecutionRolePolicy"])
    eks = client(service, "eks")
    for name, selector in (("serverless", {"namespace": "serverless"}), ("labelled", {"namespace": "team-*", "labels": {"compute": "far?ate"}})):
        eks.create_fargate_profile(
            fargateProfileName=name, clusterName="demo", podExecutionRoleArn=arn("pods"), subnets=subnets, selectors=[selector])
        fast(eks.get_waiter("fargate_profile_active")).wait(clusterName="demo", fargateProfileName=name)
    for namespace in ("serverless", "team-a"):
        service.kubectl("create", "namespace", namespace)
    service.kubectl("create", "serviceaccount", "irsa", "-n", "serverless")
    issuer = eks.describe_cluster(name="demo")["cluster"]["identity"]["oidc"]["issuer"]
    provider = client(service, "iam").create_open_id_connect_provider(Url=issuer, ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40])
    role(service, "irsa", json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": provider["OpenIDConnectProviderArn"]}, "Action": "sts:AssumeRoleWithWebIdentity"}]}))
    service.kubectl("annotate", "serviceaccount", "irsa", "-n", "serverless", f"eks.amazonaws.com/role-arn={arn('irsa')}")
    return service


def run_pod(service, name, namespace="serverless", labels=None, privileged=False, requests=None):
    service.kubectl("apply", "-f", "-", input=POD.format(
        name=name, namespace=namespace, labels=json.dumps(labels or {}), privileged=str(privileged).lower(), requests=json.dumps(requests or {})))


def machines(service):
    return sorted(path.name for path in (service.data / "machines").glob("i-*"))


def nodes(service):
    return {node["metadata"]["name"]: node for node in service.get("nodes")["items"]}


def web(service):
    """The two pods of the deployment, once they are Ready."""
    pods = service.get("pods", "-n", "serverless", "-l", "app=web")["items"]
    ready = [p for p in pods if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))]
    return ready if len(ready) == len(pods) == 2 else None


def events(service, name, namespace="serverless"):
    found = service.get("events", "-n", namespace, "--field-selector", f"involvedObject.name={name}")["items"]
    return {event["message"]: event for event in found}


def shell(service, pod, script):
    return service.kubectl("exec", "-n", "serverless", pod, "--", "sh", "-c", script)


def test_each_pod_of_a_deployment_has_a_node_of_its_own(demo):
    demo.kubectl("apply", "-f", "-", input=DEPLOYMENT)
    pods = wait_for(lambda: web(demo), "two pods are Ready", timeout=90)
    found = nodes(demo)
    assert {pod["spec"]["nodeName"] for pod in pods} == set(found) and len(found) == 2
    zones = set()
    for name, node in found.items():
        assert NODE.fullmatch(name)
        labels = node["metadata"]["labels"]
        assert labels["eks.amazonaws.com/compute-type"] == "fargate" and "node.kubernetes.io/instance-type" not in labels
        zones.add(labels["topology.kubernetes.io/zone"])
        assert {"key": "eks.amazonaws.com/compute-type", "value": "fargate", "effect": "NoSchedule"} in node["spec"]["taints"]
        assert node["status"]["capacity"]["pods"] == "1" and node["status"]["allocatable"]["memory"] == "256Mi"
    assert zones == {f"{REGION}a", f"{REGION}b"}
    for pod in pods:
        meta, spec = pod["metadata"], pod["spec"]
        assert meta["labels"]["eks.amazonaws.com/fargate-profile"] == "serverless"
        assert meta["annotations"]["CapacityProvisioned"] == "0.25vCPU 0.5GB"
        assert meta["annotations"]["Logging"] == "LoggingDisabled: LOGGING_CONFIGMAP_NOT_FOUND"
        assert spec["schedulerName"] == "fargate-scheduler" and spec["priorityClassName"] == "system-node-critical" and spec["priority"] == 2000001000
    name = pods[0]["metadata"]["name"]
    said = wait_for(lambda: len(found := events(demo, name)) > 1 and found, "events")
    assert said[f"Successfully assigned serverless/{name} to {pods[0]['spec']['nodeName']}"]["source"]["component"] == "fargate-scheduler"
    assert demo.kubectl("logs", "-n", "serverless", name) == "hello\n"
    assert shell(demo, name, "hostname").strip() == name
    demo.kubectl("wait", "--for=condition=Ready", "node", *found, "--timeout=30s")


def test_the_machines_are_not_the_accounts_instances_and_their_role_is_known(demo):
    ec2, eks = client(demo, "ec2"), client(demo, "eks")
    assert ec2.describe_instances()["Reservations"] == []
    entry = eks.describe_access_entry(clusterName="demo", principalArn=arn("pods"))["accessEntry"]
    assert entry["type"] == "FARGATE_LINUX" and entry["username"] == "system:node:{{SessionName}}"


def test_a_pod_has_no_instance_metadata_and_no_agent_but_roles_for_service_accounts(demo):
    name = web(demo)[0]["metadata"]["name"]
    for address in ("169.254.169.254", "169.254.170.23"):
        assert "refused" in shell(demo, name, f"wget -qO- http://{address}/ 2>&1 || true")
    assume = (
        'wget -O- --post-data "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=$AWS_ROLE_ARN&RoleSessionName=pod&'
        'WebIdentityToken=$(cat $AWS_WEB_IDENTITY_TOKEN_FILE)" $AWS_ENDPOINT_URL/ 2>&1 || true')
    answer = shell(demo, name, assume)
    keys = [re.search(f"<{part}>([^<]+)</{part}>", answer).group(1) for part in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    assert client(demo, "sts", keys).get_caller_identity()["Arn"] == "arn:aws:sts::000000000000:assumed-role/irsa/pod"


def test_what_fargate_cannot_run_waits_and_says_why(demo):
    run_pod(demo, "privileged", privileged=True)
    message = "Pod not supported on Fargate: invalid SecurityContext fields: Privileged"
    event = wait_for(lambda: events(demo, "privileged").get(message), "the event")
    assert event["reason"] == "FailedScheduling" and event["type"] == "Warning" and event["source"]["component"] == "fargate-scheduler"
    status = demo.get("pod", "privileged", "-n", "serverless")["status"]
    assert status["phase"] == "Pending" and [c["message"] for c in status["conditions"] if c["type"] == "PodScheduled"] == [message]
    assert len(machines(demo)) == 2
    demo.kubectl("delete", "pod", "privileged", "-n", "serverless")


def test_daemon_sets_and_pods_without_a_profile_get_no_machine(demo):
    demo.kubectl("apply", "-f", "-", input=EVERYWHERE)
    run_pod(demo, "plain", "team-a")
    run_pod(demo, "matching", "team-a", {"compute": "fargate"}, requests={"cpu": "500m", "memory": "1Gi"})
    demo.kubectl("wait", "--for=condition=Ready", "pod/matching", "-n", "team-a", "--timeout=90s")
    pod = demo.get("pod", "matching", "-n", "team-a")
    assert pod["metadata"]["labels"]["eks.amazonaws.com/fargate-profile"] == "labelled"
    assert pod["metadata"]["annotations"]["CapacityProvisioned"] == "0.5vCPU 2GB"
    assert pod["spec"]["nodeName"] in nodes(demo) and len(machines(demo)) == 3
    plain = wait_for(
        lambda: (c := demo.get("pod", "plain", "-n", "team-a")["status"].get("conditions")) and c[0]["reason"] == "Unschedulable" and c[0],
        "the default scheduler's word")
    assert "untolerated taint" in plain["message"]
    status = wait_for(
        lambda: (s := demo.get("daemonset", "everywhere", "-n", "serverless")["status"]).get("observedGeneration") and s, "the DaemonSet's status")
    assert status["desiredNumberScheduled"] == 0
    demo.kubectl("delete", "daemonset", "everywhere", "-n", "serverless")
    demo.kubectl("delete", "pod", "plain", "-n", "team-a")


def test_a_killed_service_leaves_no_machine_and_no_pod_behind(demo):
    demo.kubectl("scale", "deployment", "web", "-n", "serverless", "--replicas=0")
    run_pod(demo, "late")
    demo.kill()
    demo.start()
    demo.kubectl("wait", "--for=condition=Ready", "pod/late", "-n", "serverless", "--timeout=90s")
    kept = {demo.get("pod", name, "-n", namespace)["spec"]["nodeName"] for name, namespace in (("late", "serverless"), ("matching", "team-a"))}
    wait_for(lambda: set(nodes(demo)) == kept and len(machines(demo)) == 2, "the machines of the pods that went are gone")


def test_a_profile_takes_its_pods_with_it(demo):
    eks = client(demo, "eks")
    eks.delete_fargate_profile(clusterName="demo", fargateProfileName="serverless")
    fast(eks.get_waiter("fargate_profile_deleted")).wait(clusterName="demo", fargateProfileName="serverless")
    assert demo.get("pods", "-n", "serverless")["items"] == []
    assert len(machines(demo)) == 1 and len(nodes(demo)) == 1, "the other profile's pod stays"
    # What matches nothing is nobody's.
    run_pod(demo, "unmatched")
    assert demo.get("pod", "unmatched", "-n", "serverless")["spec"]["schedulerName"] == "default-scheduler"
    assert eks.describe_access_entry(clusterName="demo", principalArn=arn("pods"))["accessEntry"]["type"] == "FARGATE_LINUX"


def test_nothing_is_left(demo):
    eks = client(demo, "eks")
    eks.delete_fargate_profile(clusterName="demo", fargateProfileName="labelled")
    fast(eks.get_waiter("fargate_profile_deleted")).wait(clusterName="demo", fargateProfileName="labelled")
    with pytest.raises(eks.exceptions.ResourceNotFoundException):
        eks.describe_access_entry(clusterName="demo", principalArn=arn("pods"))
    wait_for(lambda: nodes(demo) == {}, "no nodes")
    assert machines(demo) == []
    eks.delete_cluster(name="demo")
    fast(eks.get_waiter("cluster_deleted")).wait(name="demo")
    assert client(demo, "ec2").describe_network_interfaces()["NetworkInterfaces"] == []
    wait_for(lambda: not leftovers(), "nothing of it on the host")
