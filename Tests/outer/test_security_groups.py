"""Security groups filter: pods of nodes with groups of their own, nodes that are cut off, clusters in VPCs of their own."""
import time

import pytest
from aws_setup import client, cluster, fast, role, trust
from conftest import wait_for
from test_network import from_host

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  nodeSelector: {{eks.amazonaws.com/nodegroup: {group}}}
  containers:
  - name: main
    image: nginx:1.15
    command: [sh, -c, 'hostname >/www/index.html; exec nginx -g "daemon off;"']
    readinessProbe: {{httpGet: {{port: 80}}, periodSeconds: 1}}
"""


class Walls:
    """A cluster with two node groups, `alpha` and `beta`, whose nodes have a security group of that name and no other."""

    def __init__(self, service):
        self.service = service
        self.subnets = cluster(service, "walls", "10.74")
        self.eks, self.ec2 = client(service, "eks"), client(service, "ec2")
        network = self.eks.describe_cluster(name="walls")["cluster"]["resourcesVpcConfig"]
        self.vpc, self.own = network["vpcId"], network["clusterSecurityGroupId"]
        policies = ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"]
        node = role(service, "walls-node", trust("ec2.amazonaws.com"), policies)
        self.groups = {}
        for name in ("alpha", "beta"):
            self.groups[name] = self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"]
            self.ec2.create_launch_template(
                LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "t3.small", "SecurityGroupIds": [self.groups[name]]})
            self.eks.create_nodegroup(
                clusterName="walls", nodegroupName=name, scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1}, subnets=self.subnets,
                nodeRole=node, launchTemplate={"name": name})

    def allow(self, group, **permission):
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])

    def revoke(self, group, **permission):
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[permission])

    def run(self, name, group):
        self.service.kubectl("apply", "-f", "-", input=POD.format(name=name, group=group))

    def address(self, name):
        self.service.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")
        return self.service.get("pod", name)["status"]["podIP"]

    def reaches(self, pod, address, port=80):
        """Whether something answers the pod; what is refused gets no answer at all, as on AWS."""
        script = f"wget -qO- http://{address}/" if port == 80 else f"printf x | nc -w 2 {address} {port} && echo reached"
        result = self.service.kubectl("exec", pod, "--", "/bin/busybox", "timeout", "2", "sh", "-c", f"({script}) >/dev/null 2>&1", check=False)
        return result.returncode == 0


@pytest.fixture(scope="module")
def walls(service):
    return Walls(service)


def test_nodes_whose_groups_the_cluster_does_not_let_in_do_not_join(walls):
    def running():
        found = walls.ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running", "pending"]}])["Reservations"]
        return len([i for r in found for i in r["Instances"]]) == 2
    wait_for(running, "both instances")
    time.sleep(3)
    assert walls.service.get("nodes")["items"] == []
    for group in walls.groups.values():
        walls.allow(walls.own, IpProtocol="tcp", FromPort=443, ToPort=443, UserIdGroupPairs=[{"GroupId": group}])
    for name in walls.groups:
        fast(walls.eks.get_waiter("nodegroup_active")).wait(clusterName="walls", nodegroupName=name)
    assert len(walls.service.get("nodes")["items"]) == 2


def test_a_port_is_open_while_a_rule_says_so(walls):
    for name, group in (("client", "alpha"), ("web", "beta"), ("near", "beta")):
        walls.run(name, group)
    walls.address("client"), walls.address("near")
    web = walls.address("web")
    assert walls.reaches("near", web), "within a node nothing is filtered"
    assert from_host(web, 80) == "web", "nor what the host sends"
    assert not walls.reaches("client", web)
    group = walls.groups["beta"]
    for peer in ({"UserIdGroupPairs": [{"GroupId": walls.groups["alpha"]}]}, {"IpRanges": [{"CidrIp": walls.address("client") + "/32"}]}):
        rule = dict(IpProtocol="tcp", FromPort=80, ToPort=80, **peer)
        walls.allow(group, **rule)
        wait_for(lambda: walls.reaches("client", web), "the rule acts", timeout=10)
        walls.revoke(group, **rule)
        wait_for(lambda: not walls.reaches("client", web), "its removal, too", timeout=10)


def test_a_restart_changes_nothing_and_outbound_rules_act(walls):
    web = walls.service.get("pod", "web")["status"]["podIP"]
    walls.allow(walls.groups["beta"], IpProtocol="tcp", FromPort=80, ToPort=80, UserIdGroupPairs=[{"GroupId": walls.groups["alpha"]}])
    wait_for(lambda: walls.reaches("client", web), "the rule acts", timeout=10)
    walls.service.kill()
    walls.service.start()
    wait_for(lambda: walls.service.kubectl("get", "--raw", "/readyz", check=False).stdout == "ok", "the API server is back")
    wait_for(lambda: walls.reaches("client", web), "the same rules", timeout=10)
    back = walls.service.get("pod", "client")["status"]["podIP"]
    assert not walls.reaches("web", back), "the other way is closed"
    out = dict(GroupId=walls.groups["alpha"], IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    walls.ec2.revoke_security_group_egress(**out)
    wait_for(lambda: not walls.reaches("client", web), "nothing leaves", timeout=10)
    walls.ec2.authorize_security_group_egress(**out)
    wait_for(lambda: walls.reaches("client", web), "it does again", timeout=10)


def test_clusters_in_two_vpcs_do_not_reach_each_other(walls):
    service = walls.service
    cluster(service, "apart", "10.75", nodes=1, instance_type="t3.small")
    own = walls.eks.describe_cluster(name="apart")["cluster"]["resourcesVpcConfig"]["clusterSecurityGroupId"]
    # Were it for the groups, all might come in.
    walls.allow(own, IpProtocol="-1", IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    walls.run("other", "ng")
    other = walls.address("other")
    assert from_host(other, 80) == "other"
    found = walls.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["Amazon EKS apart", "Amazon EKS walls"]}])
    planes = {i["Description"].split()[-1]: i["PrivateIpAddress"] for i in found["NetworkInterfaces"]}
    service.aws("eks", "update-kubeconfig", "--name", "walls")
    assert walls.reaches("client", planes["walls"], 443)
    assert not walls.reaches("client", other) and not walls.reaches("client", planes["apart"], 443)
