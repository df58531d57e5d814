"""Managed node groups on real machines: launch templates and their updates, remote access, repair of unhealthy nodes."""
import datetime
import json
import os
import signal

import pytest
from aws_setup import client, cluster, fast, role, trust, user_data
from botocore.exceptions import ClientError
from conftest import wait_for
from test_faults import processes
from test_workload_identity import metadata, run_pod

CONFIG = """apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  kubelet:
    config:
      maxPods: {pods}
      registerWithTaints: [{{key: kind, value: special, effect: PreferNoSchedule}}]
    flags:
    - --node-labels=team=a
"""
KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChAXiNDZ7bhlTvl9YYzIvP8WJjRP0S6WTY8bKX0C test"


class Demo:
    """The cluster, and what node groups are made of."""

    def __init__(self, service):
        self.service = service
        self.subnets = cluster(service, "demo", "10.97")
        self.eks, self.ec2 = client(service, "eks"), client(service, "ec2")
        policies = ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"]
        self.role = role(service, "demo-node", trust("ec2.amazonaws.com"), policies)
        self.hang()

    def hang(self):
        """A node whose agent hangs from now on: the last test sees it repaired, which takes two minutes."""
        self.create("hanging", taints=[{"key": "hanging", "value": "", "effect": "NO_SCHEDULE"}], nodeRepairConfig={
            "enabled": True, "nodeRepairConfigOverrides": [
                {"nodeMonitoringCondition": "Ready", "nodeUnhealthyReason": "NodeStatusUnknown", "minRepairWaitTimeMins": 1, "repairAction": "Reboot"}]})
        [self.hung] = self.nodes("hanging")
        instance = self.hung["spec"]["providerID"].split("/")[-1]
        [self.agent] = processes(f" node --directory {self.service.data}/machines/{instance}")
        os.kill(self.agent, signal.SIGSTOP)

    def create(self, name, size=1, **settings):
        self.eks.create_nodegroup(
            clusterName="demo", nodegroupName=name, scalingConfig={"minSize": 0, "maxSize": 3, "desiredSize": size}, subnets=self.subnets,
            nodeRole=self.role, **settings)
        fast(self.eks.get_waiter("nodegroup_active")).wait(clusterName="demo", nodegroupName=name)
        return self.group(name)

    def group(self, name):
        return self.eks.describe_nodegroup(clusterName="demo", nodegroupName=name)["nodegroup"]

    def delete(self, name):
        self.eks.delete_nodegroup(clusterName="demo", nodegroupName=name)
        fast(self.eks.get_waiter("nodegroup_deleted")).wait(clusterName="demo", nodegroupName=name)

    def nodes(self, name):
        return self.service.get("nodes", "-l", f"eks.amazonaws.com/nodegroup={name}")["items"]

    def updated(self, update, name):
        def status():
            found = self.eks.describe_update(name="demo", nodegroupName=name, updateId=update["id"])["update"]
            assert found["status"] in ("InProgress", "Successful"), found
            return found["status"] == "Successful"
        wait_for(status, "the update")


@pytest.fixture(scope="module")
def demo(service):
    return Demo(service)


def refusal(call, **settings):
    with pytest.raises(ClientError) as caught:
        call(**settings)
    return caught.value.response["Error"]["Message"]


def test_a_launch_template_makes_nodes_as_it_says(demo):
    network = demo.eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]
    group = demo.ec2.create_security_group(GroupName="own", Description="own", VpcId=network["vpcId"])["GroupId"]
    # Without the cluster's group the nodes are cut off, unless that lets theirs in.
    demo.ec2.authorize_security_group_ingress(
        GroupId=network["clusterSecurityGroupId"],
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": group}]}])
    template = demo.ec2.create_launch_template(LaunchTemplateName="nodes", LaunchTemplateData={
        "InstanceType": "t3.small", "SecurityGroupIds": [group], "UserData": user_data(CONFIG.format(pods=8)), "MetadataOptions": {"HttpPutResponseHopLimit": 1},
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "special"}]}]})["LaunchTemplate"]
    wanted = dict(clusterName="demo", nodegroupName="x", subnets=demo.subnets, nodeRole=demo.role, launchTemplate={"name": "nodes"})
    assert refusal(demo.eks.create_nodegroup, **wanted, diskSize=20) == "Disk size must be specified within the launch template."
    assert refusal(demo.eks.create_nodegroup, **wanted, instanceTypes=["t3.large"]) == (
        "Cannot specify instance types in launch template and API request")
    made = demo.create("lt", launchTemplate={"name": "nodes", "version": "$Latest"})
    assert made["launchTemplate"] == {"id": template["LaunchTemplateId"], "name": "nodes", "version": "1"}
    assert "instanceTypes" not in made and "diskSize" not in made
    [node] = demo.nodes("lt")
    assert node["status"]["capacity"]["pods"] == "8" and node["metadata"]["labels"]["team"] == "a"
    assert node["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "t3.small"
    assert {"key": "kind", "value": "special", "effect": "PreferNoSchedule"} in node["spec"]["taints"]
    [found] = demo.ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["special"]}])["Reservations"]
    [instance] = found["Instances"]
    assert node["spec"]["providerID"].endswith(instance["InstanceId"])
    assert [g["GroupId"] for g in instance["SecurityGroups"]] == [group] and instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 1


def test_the_hop_limit_keeps_pods_from_the_metadata_of_the_node(demo):
    ttl = ["X-aws-ec2-metadata-token-ttl-seconds: 60"]
    run_pod(demo.service, "far")
    assert metadata(demo.service, "far", "/latest/api/token", "PUT", ttl)[0] == 403
    run_pod(demo.service, "near", host=True)
    status, token = metadata(demo.service, "near", "/latest/api/token", "PUT", ttl)
    assert status == 200
    status, text = metadata(demo.service, "near", "/latest/user-data", fields=[f"X-aws-ec2-metadata-token: {token.strip()}"])
    assert status == 200 and "maxPods: 8" in text
    demo.service.kubectl("delete", "pod", "far", "near", "--wait=false")


def test_an_update_to_another_version_of_the_template_replaces_the_nodes(demo):
    [old] = demo.nodes("lt")
    demo.ec2.create_launch_template_version(
        LaunchTemplateName="nodes", SourceVersion="1", LaunchTemplateData={"UserData": user_data(CONFIG.format(pods=9)), "MetadataOptions": {"HttpPutResponseHopLimit": 2}})
    update = demo.eks.update_nodegroup_version(
        clusterName="demo", nodegroupName="lt", launchTemplate={"name": "nodes", "version": "2"})["update"]
    assert update["type"] == "VersionUpdate" and {"type": "LaunchTemplateVersion", "value": "2"} in update["params"]
    assert "currently not in Active State" in refusal(
        demo.eks.update_nodegroup_version, clusterName="demo", nodegroupName="lt", launchTemplate={"name": "nodes", "version": "1"})
    demo.updated(update, "lt")
    [new] = demo.nodes("lt")
    assert new["metadata"]["name"] != old["metadata"]["name"] and new["status"]["capacity"]["pods"] == "9"
    assert demo.group("lt")["launchTemplate"]["version"] == "2"


def test_remote_access_opens_the_port_in_a_group_of_its_own(demo):
    wanted = dict(clusterName="demo", nodegroupName="x", subnets=demo.subnets, nodeRole=demo.role)
    assert refusal(demo.eks.create_nodegroup, **wanted, remoteAccess={"ec2SshKey": "mine"}) == "The key pair 'mine' does not exist"
    demo.ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=KEY)
    assert refusal(demo.eks.create_nodegroup, **wanted, remoteAccess={"ec2SshKey": "mine"}, launchTemplate={"name": "nodes"}) == (
        "Remote access configuration cannot be specified with a launch template.")
    made = demo.create("ssh", size=0, remoteAccess={"ec2SshKey": "mine"})
    assert made["remoteAccess"] == {"ec2SshKey": "mine"}
    group = made["resources"]["remoteAccessSecurityGroup"]
    [found] = demo.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    [rule] = found["IpPermissions"]
    assert found["GroupName"].startswith("eks-remoteAccess-") and (rule["FromPort"], rule["ToPort"]) == (22, 22)
    assert [r["CidrIp"] for r in rule["IpRanges"]] == ["0.0.0.0/0"]
    demo.delete("ssh")
    assert "does not exist" in refusal(demo.ec2.describe_security_groups, GroupIds=[group])


def test_a_node_with_a_lasting_problem_is_replaced(demo):
    [old] = demo.nodes("lt")
    update = demo.eks.update_nodegroup_config(
        clusterName="demo", nodegroupName="lt", nodeRepairConfig={"enabled": True, "maxParallelNodesRepairedCount": 1})
    demo.updated(update["update"], "lt")
    assert demo.group("lt")["nodeRepairConfig"] == {"enabled": True, "maxParallelNodesRepairedCount": 1}
    # As a monitoring agent reports it, for an hour.
    since = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": "NetworkingReady", "status": "False", "reason": "IPAMDNotRunning", "message": "", "lastTransitionTime": since}
    demo.service.kubectl(
        "patch", "node", old["metadata"]["name"], "--subresource=status", "--type=strategic", "-p", json.dumps({"status": {"conditions": [condition]}}))

    def replaced():
        nodes = demo.nodes("lt")
        return len(nodes) == 1 and nodes[0]["metadata"]["name"] != old["metadata"]["name"] and ready(nodes[0])
    wait_for(replaced, "the replacement")


def test_a_spot_instance_is_taken_back_and_another_launched(demo):
    demo.create("spot", capacityType="SPOT")
    [old] = demo.nodes("spot")
    name = old["metadata"]["name"]
    service = demo.service
    told = service.run(service.binary, "interrupt", name, "--data-dir", service.data).stdout
    assert "is taken in two minutes" in told

    def replaced():
        nodes = demo.nodes("spot")
        return len(nodes) == 1 and nodes[0]["metadata"]["name"] != name and ready(nodes[0])
    wait_for(replaced, "the replacement")
    refused = service.run(service.binary, "interrupt", demo.nodes("lt")[0]["metadata"]["name"], "--data-dir", service.data, check=False)
    assert refused.returncode != 0 and "is not a Spot Instance" in refused.stdout
    demo.delete("spot")


def test_a_group_grows_by_its_warm_pool(demo):
    def pool():
        [tag] = [{"Name": "tag:eks:nodegroup-name", "Values": ["warm"]}]
        found = demo.ec2.describe_instances(Filters=[tag, {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}])
        return {i["InstanceId"]: i["State"]["Name"] for r in found["Reservations"] for i in r["Instances"]}

    def resized(size):
        update = demo.eks.update_nodegroup_config(clusterName="demo", nodegroupName="warm", scalingConfig={"desiredSize": size})
        demo.updated(update["update"], "warm")
    wanted = dict(clusterName="demo", nodegroupName="x", subnets=demo.subnets, nodeRole=demo.role, capacityType="SPOT")
    assert "capacity type SPOT" in refusal(demo.eks.create_nodegroup, **wanted, warmPoolConfig={"enabled": True})
    config = {"enabled": True, "minSize": 0, "maxGroupPreparedCapacity": 1, "poolState": "STOPPED", "reuseOnScaleIn": True}
    made = demo.create("warm", size=0, warmPoolConfig=config)
    assert made["warmPoolConfig"] == config
    wait_for(lambda: list(pool().values()) == ["stopped"], "the pool")
    [instance] = pool()
    assert demo.nodes("warm") == [] and processes(f"machines/{instance}") == []
    resized(1)
    assert pool() == {instance: "running"}
    [node] = demo.nodes("warm")
    assert ready(node) and node["spec"]["providerID"].endswith(instance)
    resized(0)
    wait_for(lambda: pool() == {instance: "stopped"} and not demo.nodes("warm"), "the instance is back in the pool")
    update = demo.eks.update_nodegroup_config(clusterName="demo", nodegroupName="warm", warmPoolConfig={"poolState": "RUNNING"})
    demo.updated(update["update"], "warm")
    wait_for(lambda: pool() == {instance: "running"} and processes(f" node --directory {demo.service.data}/machines/{instance}"), "it runs")
    # Its agent waits: what it knows of the cluster it does not use yet.
    assert demo.nodes("warm") == []
    resized(1)
    assert pool() == {instance: "running"} and ready(demo.nodes("warm")[0])
    demo.delete("warm")
    assert pool() == {} and demo.nodes("warm") == [] and not os.path.exists(f"{demo.service.data}/machines/{instance}")


def ready(node):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"]) and not node["spec"].get("unschedulable")


def test_a_node_whose_agent_hangs_is_rebooted(demo):
    wait_for(lambda: not os.path.exists(f"/proc/{demo.agent}"), "the machine's end", timeout=200)
    wait_for(lambda: ready(demo.nodes("hanging")[0]), "the node is back")
    [back] = demo.nodes("hanging")
    assert back["spec"]["providerID"] == demo.hung["spec"]["providerID"] and back["metadata"]["uid"] == demo.hung["metadata"]["uid"]
    assert demo.group("hanging")["status"] == "ACTIVE"
