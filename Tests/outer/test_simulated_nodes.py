"""Node groups whose nodes are records, as boto3 and kubectl see them: two hundred nodes, a Deployment of a thousand, Jobs, and the way down again."""
import json

import pytest
from aws_setup import client, cluster, fast, role, trust
from conftest import running_service, wait_for

NODES = 200
PODS = 1000


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with running_service(tmp_path_factory.mktemp("eyrie"), {}) as service:
        service.subnets = cluster(service, "demo", "10.97")
        service.role = role(service, "demo-node", trust("ec2.amazonaws.com"), ["AmazonEKSWorkerNodePolicy"])
        yield service


@pytest.fixture
def eks(demo):
    return client(demo, "eks")


def scaled(eks, size):
    update = eks.update_nodegroup_config(clusterName="demo", nodegroupName="sim", scalingConfig={"desiredSize": size})["update"]["id"]
    wait_for(
        lambda: eks.describe_update(name="demo", nodegroupName="sim", updateId=update)["update"]["status"] == "Successful", f"{size} nodes",
        timeout=180)


def nodes(demo):
    return demo.get("nodes", "-l", "eyrie.dev/runtime=simulated")["items"]


def deployment(replicas):
    return json.dumps({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"automountServiceAccountToken": False, "containers": [{"name": "web", "image": "nginx:1.15"}]}}}})


def test_two_hundred_nodes_in_a_subnet_of_256(demo, eks):
    arguments = ["--cluster-name", "demo", "--nodegroup-name", "sim", "--node-role", demo.role, "--subnets", *demo.subnets]
    demo.aws(
        "eks", "create-nodegroup", *arguments, "--instance-types", "m5.large", "--scaling-config", f"minSize=0,maxSize=5000,desiredSize={NODES}",
        "--tags", "eyrie.dev/runtime=simulated")
    fast(eks.get_waiter("nodegroup_active")).wait(clusterName="demo", nodegroupName="sim")
    found = nodes(demo)
    assert len(found) == NODES
    assert {node["metadata"]["labels"]["topology.kubernetes.io/zone"][-1] for node in found} == {"a", "b"}
    assert all(node["status"]["capacity"]["pods"] == "29" for node in found)
    # They take nothing of the subnets.
    free = client(demo, "ec2").describe_subnets(SubnetIds=demo.subnets)["Subnets"]
    assert all(subnet["AvailableIpAddressCount"] > 245 for subnet in free)


def test_a_deployment_of_a_thousand(demo):
    demo.kubectl("apply", "-f", "-", input=deployment(PODS))
    demo.kubectl("rollout", "status", "deployment/web", "--timeout=240s", timeout=260)
    pods = demo.get("pods", "-l", "app=web")["items"]
    assert len({pod["status"]["podIP"] for pod in pods}) == PODS
    assert len({pod["spec"]["nodeName"] for pod in pods}) == NODES


def test_no_logs_and_no_exec(demo):
    pod = demo.get("pods", "-l", "app=web")["items"][0]["metadata"]["name"]
    for arguments in (["logs", pod], ["exec", pod, "--", "true"]):
        result = demo.kubectl(*arguments, check=False)
        assert result.returncode != 0 and "is simulated: it runs no processes" in result.stdout, result.stdout


def test_jobs_end_as_their_pods_are_annotated(demo):
    for name, code in (("good", "0"), ("bad", "3")):
        demo.kubectl("apply", "-f", "-", input=json.dumps({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {
                "backoffLimit": 0,
                "template": {
                    "metadata": {"annotations": {"eyrie.dev/simulated-run-seconds": "1", "eyrie.dev/simulated-exit-code": code}},
                    "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]}}}}))
    demo.kubectl("wait", "job/good", "--for=condition=Complete", "--timeout=60s")
    demo.kubectl("wait", "job/bad", "--for=condition=Failed", "--timeout=60s")
    [pod] = demo.get("pods", "-l", "job-name=bad")["items"]
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


def test_nodes_go_and_their_pods_move(demo, eks):
    scaled(eks, NODES - 20)
    assert len(nodes(demo)) == NODES - 20
    demo.kubectl("rollout", "status", "deployment/web", "--timeout=120s", timeout=140)


def test_the_service_starts_again(demo):
    demo.kill()
    demo.start()
    wait_for(lambda: len([n for n in nodes(demo) if any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"]["conditions"])]) == 180,
             "the nodes after a restart", timeout=60)
    demo.kubectl("rollout", "restart", "deployment/web")
    demo.kubectl("rollout", "status", "deployment/web", "--timeout=240s", timeout=260)


def test_the_way_down(demo, eks):
    demo.kubectl("delete", "deployment", "web", "--wait", timeout=120)
    wait_for(lambda: not demo.get("pods", "-l", "app=web")["items"], "no pods", timeout=120)
    eks.delete_nodegroup(clusterName="demo", nodegroupName="sim")
    fast(eks.get_waiter("nodegroup_deleted")).wait(clusterName="demo", nodegroupName="sim")
    assert not nodes(demo)
    eks.delete_cluster(name="demo")
    fast(eks.get_waiter("cluster_deleted")).wait(name="demo")
