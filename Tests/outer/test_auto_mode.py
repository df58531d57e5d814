"""EKS Auto Mode through boto3 and kubectl, with real machines: nodes come for pods and go without them."""
import json

import pytest
from aws_setup import client, fast, network, role, trust
from botocore.exceptions import ClientError
from conftest import wait_for

CLUSTER_POLICIES = ["AmazonEKSClusterPolicy", "AmazonEKSComputePolicy", "AmazonEKSBlockStoragePolicy", "AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy"]

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: %(name)s}
spec:
  replicas: %(replicas)d
  selector: {matchLabels: {app: %(name)s}}
  template:
    metadata: {labels: {app: %(name)s}}
    spec:
      terminationGracePeriodSeconds: 0
      %(more)s
      containers:
      - {name: nginx, image: "nginx:1.15", resources: {requests: {cpu: 800m, memory: 64Mi}}}
"""

POOL = """
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: team-a}
spec:
  disruption: {consolidationPolicy: WhenEmpty, consolidateAfter: 1s, budgets: [{nodes: 100%}]}
  limits: {cpu: 8}
  template:
    metadata: {labels: {team: a}}
    spec:
      nodeClassRef: {group: eks.amazonaws.com, kind: NodeClass, name: default}
      requirements:
      - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
      - {key: eks.amazonaws.com/instance-family, operator: In, values: [m5]}
      - {key: eks.amazonaws.com/instance-cpu, operator: Lt, values: ["8"]}
      - {key: topology.kubernetes.io/zone, operator: In, values: [us-west-2b]}
      taints: [{key: team, value: a, effect: NoSchedule}]
"""


def switches(on, pools=None, node_role=None):
    compute = {"enabled": on}
    if pools is not None:
        compute |= {"nodePools": pools, "nodeRoleArn": node_role}
    return {
        "computeConfig": compute, "storageConfig": {"blockStorage": {"enabled": on}},
        "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": on}},
    }


@pytest.fixture(scope="module")
def eks(service):
    return client(service, "eks")


@pytest.fixture(scope="module")
def node_role(service):
    return role(service, "auto-node", trust("ec2.amazonaws.com"), ["AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly"])


@pytest.fixture(scope="module")
def cluster(service, eks, node_role):
    arn = role(service, "auto-cluster", trust("eks.amazonaws.com", ["sts:AssumeRole", "sts:TagSession"]), CLUSTER_POLICIES)
    eks.create_cluster(
        name="auto", roleArn=arn, resourcesVpcConfig={"subnetIds": network(service, "10.66")}, accessConfig={"authenticationMode": "API"},
        **switches(True, ["general-purpose", "system"], node_role))
    fast(eks.get_waiter("cluster_active")).wait(name="auto")
    service.aws("eks", "update-kubeconfig", "--name", "auto")
    return "auto"


def deploy(service, name, replicas, more=""):
    service.kubectl("apply", "-f", "-", input=DEPLOYMENT % {"name": name, "replicas": replicas, "more": more})


def running(service, name):
    pods = service.get("pods", "-l", f"app={name}")["items"]
    return [p for p in pods if p["status"]["phase"] == "Running" and "deletionTimestamp" not in p["metadata"]]


def nodes(service, selector="eks.amazonaws.com/compute-type=auto"):
    return service.get("nodes", "-l", selector)["items"]


def update(eks, **settings):
    started = eks.update_cluster_config(name="auto", **settings)["update"]
    assert started["type"] == "AutoModeUpdate"
    wait_for(lambda: eks.describe_update(name="auto", updateId=started["id"])["update"]["status"] == "Successful", "the update")
    fast(eks.get_waiter("cluster_active")).wait(name="auto")


def test_the_cluster_says_that_it_is_on(service, eks, cluster, node_role):
    shown = eks.describe_cluster(name="auto")["cluster"]
    assert shown["computeConfig"] == {"enabled": True, "nodePools": ["general-purpose", "system"], "nodeRoleArn": node_role}
    assert shown["storageConfig"]["blockStorage"]["enabled"] and shown["kubernetesNetworkConfig"]["elasticLoadBalancing"]["enabled"]
    entry = eks.describe_access_entry(clusterName="auto", principalArn=node_role)["accessEntry"]
    assert entry["type"] == "EC2"
    policies = eks.list_associated_access_policies(clusterName="auto", principalArn=node_role)["associatedAccessPolicies"]
    assert [p["policyArn"].rsplit("/")[-1] for p in policies] == ["AmazonEKSAutoNodePolicy"]
    with pytest.raises(ClientError) as half:
        eks.update_cluster_config(name="auto", computeConfig={"enabled": True, "nodePools": ["system"]}, storageConfig={"blockStorage": {"enabled": False}})
    assert "all either fully enabled or fully disabled" in str(half.value)
    service.kubectl("wait", "nodepool/general-purpose", "nodepool/system", "nodeclass/default", "--for=condition=Ready", "--timeout=60s")
    columns = service.kubectl("get", "nodepools").splitlines()
    assert columns[0].split() == ["NAME", "NODECLASS", "NODES", "READY", "AGE"] and len(columns) == 3
    assert service.kubectl("explain", "nodepool.spec.disruption.budgets").count("nodes") >= 1


def test_nodes_come_for_pods_and_go_without_them(service, cluster):
    # Soon, so that the test need not wait for half a minute: a pool of one's own in place of EKS's.
    service.kubectl("apply", "-f", "-", input=POOL)
    service.kubectl("wait", "nodepool/team-a", "--for=condition=Ready", "--timeout=60s")
    more = "nodeSelector: {team: a}\n      tolerations: [{key: team, operator: Exists}]"
    deploy(service, "mine", 2, more)
    wait_for(lambda: len(running(service, "mine")) == 2, "two pods on nodes of their own", timeout=120)
    mine = nodes(service, "team=a")
    labels = mine[0]["metadata"]["labels"]
    assert labels["karpenter.sh/nodepool"] == "team-a" and labels["eks.amazonaws.com/nodeclass"] == "default"
    assert labels["eks.amazonaws.com/instance-family"] == "m5" and labels["topology.kubernetes.io/zone"] == "us-west-2b"
    assert labels["karpenter.sh/capacity-type"] == "on-demand" and mine[0]["metadata"]["name"].startswith("i-")
    assert {"key": "team", "value": "a", "effect": "NoSchedule"} in mine[0]["spec"]["taints"]
    def told(claim):
        conditions = {c["type"]: c["status"] for c in claim["status"].get("conditions", [])}
        return all(conditions.get(t) == "True" for t in ["Launched", "Registered", "Initialized", "Ready"])
    claims = wait_for(lambda: [c for c in service.get("nodeclaims")["items"] if told(c)], "the claim is ready")
    assert len(claims) == len(mine) == 1
    instance = claims[0]["status"]["providerID"].rsplit("/")[-1]
    described = client(service, "ec2").describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert described["InstanceType"] == labels["node.kubernetes.io/instance-type"] and described["State"]["Name"] == "running"
    assert {"Key": "eks:kubernetes-node-pool-name", "Value": "team-a"} in described["Tags"]
    service.kubectl("scale", "deployment/mine", "--replicas=0")
    wait_for(lambda: not nodes(service, "team=a") and not service.get("nodeclaims")["items"], "its node goes", timeout=90)
    state = client(service, "ec2").describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"]
    assert state == "terminated"


def test_three_pods_run_with_names_and_services(service, cluster):
    deploy(service, "web", 3)
    wait_for(lambda: len(running(service, "web")) == 3, "three pods on nodes of EKS's pool", timeout=120)
    assert {n["metadata"]["labels"]["karpenter.sh/nodepool"] for n in nodes(service)} == {"general-purpose"}
    service.kubectl("expose", "deployment/web", "--port=80")
    pod = running(service, "web")[0]["metadata"]["name"]
    answer = wait_for(lambda: service.kubectl("exec", pod, "--", "/bin/busybox", "wget", "-qO-", "http://web.default.svc", check=False).stdout, "an answer")
    assert "Welcome to nginx" in answer


def test_a_deleted_node_is_replaced_and_a_dead_machine_too(service, cluster):
    before = {n["metadata"]["name"] for n in nodes(service)}
    service.kubectl("delete", "node", sorted(before)[0], "--wait=false")
    wait_for(lambda: sorted(before)[0] not in {n["metadata"]["name"] for n in nodes(service)}, "the node goes", timeout=90)
    wait_for(lambda: len(running(service, "web")) == 3, "its pods run elsewhere", timeout=120)


def test_a_pool_that_is_taken_out_goes_with_its_nodes(service, eks, cluster, node_role):
    service.kubectl("scale", "deployment/web", "--replicas=1")
    update(eks, **switches(True, ["system"], node_role))
    assert eks.describe_cluster(name="auto")["cluster"]["computeConfig"]["nodePools"] == ["system"]
    wait_for(lambda: not nodes(service, "karpenter.sh/nodepool=general-purpose"), "its nodes go", timeout=120)
    assert {p["metadata"]["name"] for p in service.get("nodepools")["items"]} == {"system", "team-a"}


def test_nothing_is_left_when_it_is_switched_off_and_the_cluster_deleted(service, eks, cluster, node_role):
    service.kubectl("patch", "nodepool/team-a", "--type=json", "-p", json.dumps([{"op": "remove", "path": "/spec/template/spec/taints"}]))
    service.kubectl("scale", "deployment/web", "--replicas=2")
    wait_for(lambda: len(running(service, "web")) == 2, "pods on one's own pool", timeout=120)
    ec2 = client(service, "ec2")
    live = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    update(eks, **switches(False))
    assert not eks.describe_cluster(name="auto")["cluster"]["computeConfig"]["enabled"]
    wait_for(lambda: not ec2.describe_instances(Filters=live)["Reservations"], "the instances end", timeout=90)
    wait_for(lambda: not service.get("nodes")["items"] and not service.get("nodeclaims")["items"], "nodes and claims go", timeout=60)
    update(eks, **switches(True, ["general-purpose"], node_role))
    wait_for(lambda: len(running(service, "web")) == 2, "pods run again", timeout=120)
    eks.delete_cluster(name="auto")
    fast(eks.get_waiter("cluster_deleted")).wait(name="auto")
    assert not ec2.describe_instances(Filters=live)["Reservations"]
