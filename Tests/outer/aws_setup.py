"""What tests of EKS need before they begin: a network, roles, a cluster with nodes, and boto3's clients for them."""
import base64
import json

import boto3
from conftest import REGION


def client(service, name, credentials=None):
    """boto3's client of a service as the administrator, or with (key, secret, token)."""
    key, secret, token = credentials or (service.env["AWS_ACCESS_KEY_ID"], service.env["AWS_SECRET_ACCESS_KEY"], None)
    return boto3.client(
        name, region_name=REGION, endpoint_url=service.env["AWS_ENDPOINT_URL"], verify=service.env["AWS_CA_BUNDLE"], aws_access_key_id=key,
        aws_secret_access_key=secret, aws_session_token=token)


def trust(principal, actions=("sts:AssumeRole",), condition=None):
    statement = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": list(actions)}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def role(service, name, document, policies=()):
    iam = client(service, "iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    for policy in policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    return arn


def network(service, prefix):
    """A VPC PREFIX.0.0/16 with a subnet in each of two zones: their ids."""
    ec2 = client(service, "ec2")
    vpc = ec2.create_vpc(CidrBlock=f"{prefix}.0.0/16")["Vpc"]["VpcId"]
    return [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"{prefix}.{index}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"]["SubnetId"]
        for index, zone in enumerate("ab")]


def user_data(node_config):
    """User data of a launch template, with the document by which nodes of Amazon Linux 2023 are set up."""
    text = f"Content-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: application/node.eks.aws\n\n{node_config}\n--B--\n"
    return base64.b64encode(text.encode()).decode()


def kubelet_user_data(**config):
    """User data that sets members of the kubelet's file."""
    return user_data(json.dumps({"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": {"kubelet": {"config": config}}}))


def fast(waiter):
    """AWS's waiters look every ten to thirty seconds: what takes minutes there takes a second here."""
    waiter.config.delay = 0.2
    waiter.config.max_attempts = 600
    return waiter


def cluster(service, name, prefix, nodes=0, instance_type="t3.medium", kubelet=None, subnets=None, **settings):
    """An ACTIVE cluster with a node group of `nodes`, and the service's kubeconfig set to it; `kubelet` are members of its
    nodes' kubelet file; `subnets` those of a network that is there. Returns its subnets."""
    eks = client(service, "eks")
    subnets = subnets or network(service, prefix)
    arn = role(service, f"{name}-cluster", trust("eks.amazonaws.com"), ["AmazonEKSClusterPolicy"])
    eks.create_cluster(name=name, roleArn=arn, resourcesVpcConfig={"subnetIds": subnets}, **settings)
    fast(eks.get_waiter("cluster_active")).wait(name=name)
    service.aws("eks", "update-kubeconfig", "--name", name)
    if nodes:
        policies = ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"]
        arn = role(service, f"{name}-node", trust("ec2.amazonaws.com"), policies)
        extra = {}
        if kubelet:
            client(service, "ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"UserData": kubelet_user_data(**kubelet)})
            extra["launchTemplate"] = {"name": name}
        eks.create_nodegroup(
            clusterName=name, nodegroupName="ng", scalingConfig={"minSize": 1, "maxSize": 4, "desiredSize": nodes}, subnets=subnets, nodeRole=arn,
            instanceTypes=[instance_type], **extra)
        fast(eks.get_waiter("nodegroup_active")).wait(clusterName=name, nodegroupName="ng")
    return subnets
