"""Drives the AWS endpoint with boto3, over simulated control planes and machines. Called by EKSAPITests; the endpoint and the administrator's
keys come in the environment as AWS's own variables. Ends with code 0 when everything is as AWS would have it.

botocore parses every answer by its service models: a wrong element name, list or timestamp shows here.
"""
import datetime
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "eu-central-1"
config = Config(retries={"max_attempts": 0}, region_name=REGION)
eks, ec2, iam, sts = (boto3.client(name, config=config) for name in ("eks", "ec2", "iam", "sts"))
ACCOUNT = "000000000000"
POLICY = "arn:aws:iam::aws:policy/"


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, (code, error.response)
        assert error.response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
        return error.response
    raise AssertionError(f"{call} was not refused with {code}")


def trust(service):
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def check_iam():
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/admin"
    role = iam.create_role(RoleName="cluster", AssumeRolePolicyDocument=trust("eks.amazonaws.com"), Tags=[{"Key": "a", "Value": "b"}])["Role"]
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/cluster" and role["MaxSessionDuration"] == 3600 and role["Tags"] == [{"Key": "a", "Value": "b"}]
    assert isinstance(role["CreateDate"], datetime.datetime)
    # botocore decodes the document: it is JSON again.
    assert iam.get_role(RoleName="cluster")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"] == "eks.amazonaws.com"
    iam.attach_role_policy(RoleName="cluster", PolicyArn=POLICY + "AmazonEKSClusterPolicy")
    attached = iam.list_attached_role_policies(RoleName="cluster")
    assert attached["AttachedPolicies"] == [{"PolicyName": "AmazonEKSClusterPolicy", "PolicyArn": POLICY + "AmazonEKSClusterPolicy"}]
    assert iam.get_policy(PolicyArn=POLICY + "AmazonEKSClusterPolicy")["Policy"]["AttachmentCount"] == 1
    iam.create_role(RoleName="node", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    for name in ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"):
        iam.attach_role_policy(RoleName="node", PolicyArn=POLICY + name)
    iam.put_role_policy(RoleName="node", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}))
    assert iam.get_role_policy(RoleName="node", PolicyName="p")["PolicyDocument"]["Statement"][0]["Action"] == "s3:*"
    assert iam.list_role_policies(RoleName="node")["PolicyNames"] == ["p"]
    assert {role["RoleName"] for page in iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 1}) for role in page["Roles"]} == {"cluster", "node"}
    iam.create_instance_profile(InstanceProfileName="ip")
    iam.add_role_to_instance_profile(InstanceProfileName="ip", RoleName="node")
    assert iam.get_instance_profile(InstanceProfileName="ip")["InstanceProfile"]["Roles"][0]["RoleName"] == "node"
    iam.remove_role_from_instance_profile(InstanceProfileName="ip", RoleName="node")
    iam.delete_instance_profile(InstanceProfileName="ip")
    refused("NoSuchEntity", iam.get_role, RoleName="none")
    refused("MalformedPolicyDocument", iam.create_role, RoleName="x", AssumeRolePolicyDocument="{")
    refused("InvalidAction", iam.create_saml_provider, Name="saml", SAMLMetadataDocument="x" * 1000)


def check_ec2():
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
    assert zones == [REGION + letter for letter in "abc"]
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "v"}]}])["Vpc"]
    assert vpc["State"] == "available" and vpc["Tags"] == [{"Key": "Name", "Value": "v"}] and not vpc["IsDefault"]
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc["VpcId"]])
    ec2.modify_vpc_attribute(VpcId=vpc["VpcId"], EnableDnsHostnames={"Value": True})
    assert ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute="enableDnsHostnames")["EnableDnsHostnames"]["Value"]
    subnets = []
    for index, zone in enumerate(zones[:2]):
        subnet = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=zone)["Subnet"]
        assert subnet["AvailableIpAddressCount"] == 251 and subnet["AvailabilityZone"] == zone
        subnets.append(subnet["SubnetId"])
    ec2.modify_subnet_attribute(SubnetId=subnets[0], MapPublicIpOnLaunch={"Value": True})
    ec2.modify_subnet_attribute(SubnetId=subnets[0], EnableDns64={"Value": True})
    ec2.modify_subnet_attribute(SubnetId=subnets[0], EnableResourceNameDnsAAAARecordOnLaunch={"Value": True})
    shown = ec2.describe_subnets(SubnetIds=subnets[:1])["Subnets"][0]
    assert shown["EnableDns64"] and shown["PrivateDnsNameOptionsOnLaunch"] == {
        "HostnameType": "ip-name", "EnableResourceNameDnsARecord": False, "EnableResourceNameDnsAAAARecord": True}
    ec2.modify_vpc_attribute(VpcId=vpc["VpcId"], EnableNetworkAddressUsageMetrics={"Value": True})
    metrics = ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute="enableNetworkAddressUsageMetrics")
    assert metrics["EnableNetworkAddressUsageMetrics"]["Value"]
    assert ec2.describe_subnets(SubnetIds=subnets[:1])["Subnets"][0]["MapPublicIpOnLaunch"]
    found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}, {"Name": "availability-zone", "Values": zones[:2]}])["Subnets"]
    assert sorted(subnet["SubnetId"] for subnet in found) == sorted(subnets)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc["VpcId"])
    table = ec2.create_route_table(VpcId=vpc["VpcId"])["RouteTable"]
    assert table["Routes"][0]["GatewayId"] == "local"
    assert ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)["Return"]
    ec2.associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=subnets[0])
    assert len(ec2.describe_route_tables(RouteTableIds=[table["RouteTableId"]])["RouteTables"][0]["Associations"]) == 1
    group = ec2.create_security_group(GroupName="web", Description="d", VpcId=vpc["VpcId"])["GroupId"]
    permission = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all"}],
                  "UserIdGroupPairs": [{"GroupId": group}]}
    rules = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])["SecurityGroupRules"]
    assert len(rules) == 2 and rules[0]["CidrIpv4"] == "0.0.0.0/0" and not rules[0]["IsEgress"]
    described = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert described["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == group and described["IpPermissionsEgress"][0]["IpProtocol"] == "-1"
    assert len(ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]) == 3
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rules[0]["SecurityGroupRuleId"]])
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[dict(permission, IpRanges=[])])
    types = ec2.describe_instance_types(InstanceTypes=["t3.medium"])["InstanceTypes"][0]
    assert types["VCpuInfo"]["DefaultVCpus"] == 2 and types["MemoryInfo"]["SizeInMiB"] == 4096 and types["NetworkInfo"]["Ipv4AddressesPerInterface"] == 6
    assert [region["RegionName"] for region in ec2.describe_regions()["Regions"]] == [REGION]
    ec2.create_tags(Resources=[group], Tags=[{"Key": "k", "Value": "v"}])
    assert ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [group]}])["Tags"][0]["ResourceType"] == "security-group"
    response = refused("InvalidVpcID.NotFound", ec2.describe_vpcs, VpcIds=["vpc-1"])
    assert response["Error"]["Message"] == "The vpc ID 'vpc-1' does not exist"
    refused("DependencyViolation", ec2.delete_vpc, VpcId=vpc["VpcId"])
    refused("InvalidAction", ec2.run_instances, MinCount=1, MaxCount=1)
    refused("DryRunOperation", ec2.create_vpc, CidrBlock="10.0.0.0/16", DryRun=True)
    return subnets, group


def check_eks(subnets, group):
    fast = {"Delay": 1, "MaxAttempts": 30}
    versions = eks.describe_cluster_versions()["clusterVersions"]
    default = [version for version in versions if version["defaultVersion"]]
    assert len(default) == 1 and isinstance(default[0]["releaseDate"], datetime.datetime)
    role = f"arn:aws:iam::{ACCOUNT}:role/cluster"
    network = {"subnetIds": subnets, "securityGroupIds": [group]}
    cluster = eks.create_cluster(name="demo", roleArn=role, resourcesVpcConfig=network, tags={"a": "b"}, clientRequestToken="t")["cluster"]
    assert cluster["status"] == "CREATING" and "endpoint" not in cluster and cluster["certificateAuthority"] == {}
    assert cluster["version"] == default[0]["clusterVersion"] and isinstance(cluster["createdAt"], datetime.datetime)
    again = eks.create_cluster(name="demo", roleArn=role, resourcesVpcConfig=network, tags={"a": "b"}, clientRequestToken="t")["cluster"]
    assert again["arn"] == cluster["arn"] == f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/demo"
    response = refused("ResourceInUseException", eks.create_cluster, name="demo", roleArn=role, resourcesVpcConfig=network)
    assert response["Error"]["Message"] == "Cluster already exists with name: demo" and response["clusterName"] == "demo"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 409
    eks.get_waiter("cluster_active").wait(name="demo", WaiterConfig=fast)
    cluster = eks.describe_cluster(name="demo")["cluster"]
    assert cluster["endpoint"].startswith("https://") and cluster["certificateAuthority"]["data"] and cluster["identity"]["oidc"]["issuer"]
    assert cluster["resourcesVpcConfig"]["clusterSecurityGroupId"].startswith("sg-") and cluster["logging"]["clusterLogging"][0]["enabled"] is False
    # Terraform's provider would see a change in what nobody has asked for.
    assert not {"computeConfig", "storageConfig", "zonalShiftConfig"} & cluster.keys()
    own = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]]}])
    assert sorted(rule["IsEgress"] for rule in own["SecurityGroupRules"] if "EFA" in rule.get("Description", "")) == [False, True]
    assert eks.list_clusters()["clusters"] == ["demo"]
    node_role = f"arn:aws:iam::{ACCOUNT}:role/node"
    nodegroup = eks.create_nodegroup(
        clusterName="demo", nodegroupName="ng", subnets=subnets, nodeRole=node_role, scalingConfig={"minSize": 1, "maxSize": 4, "desiredSize": 2},
        labels={"team": "a"}, taints=[{"key": "k", "effect": "NO_SCHEDULE"}])["nodegroup"]
    assert nodegroup["status"] == "CREATING" and nodegroup["instanceTypes"] == ["t3.medium"] and nodegroup["health"] == {"issues": []}
    assert nodegroup["updateConfig"]["maxUnavailable"] == 1 and nodegroup["nodeRepairConfig"] == {"enabled": False}
    eks.get_waiter("nodegroup_active").wait(clusterName="demo", nodegroupName="ng", WaiterConfig=fast)
    instances = [instance for reservation in ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
                 for instance in reservation["Instances"]]
    assert len(instances) == 2 and instances[0]["PrivateDnsName"].endswith(f".{REGION}.compute.internal")
    assert instances[0]["NetworkInterfaces"][0]["PrivateIpAddresses"][0]["Primary"]
    update = eks.update_nodegroup_config(clusterName="demo", nodegroupName="ng", scalingConfig={"desiredSize": 3})["update"]
    assert update["type"] == "ConfigUpdate" and {"type": "DesiredSize", "value": "3"} in update["params"]
    eks.get_waiter("nodegroup_active").wait(clusterName="demo", nodegroupName="ng", WaiterConfig=fast)
    assert eks.describe_update(name="demo", nodegroupName="ng", updateId=update["id"])["update"]["status"] == "Successful"
    assert eks.list_updates(name="demo", nodegroupName="ng")["updateIds"] == [update["id"]]
    arn = eks.describe_nodegroup(clusterName="demo", nodegroupName="ng")["nodegroup"]["nodegroupArn"]
    eks.tag_resource(resourceArn=arn, tags={"x": "y", "z": "1"})
    eks.untag_resource(resourceArn=arn, tagKeys=["z"])
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"x": "y"}
    refused("NotFoundException", eks.list_tags_for_resource, resourceArn=f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/none")
    assert eks.list_addons(clusterName="demo")["addons"] == []
    refused("InvalidParameterException", eks.create_cluster, name="a b", roleArn=role, resourcesVpcConfig=network)
    refused("InvalidParameterException", eks.create_cluster, name="x", roleArn=role, resourcesVpcConfig={"subnetIds": subnets[:1]})
    assert refused("ResourceNotFoundException", eks.describe_cluster, name="none")["Error"]["Message"] == "No cluster found for name: none."
    assert refused("ResourceInUseException", eks.delete_cluster, name="demo")["Error"]["Message"] == "Cluster has nodegroups attached"
    assert eks.delete_nodegroup(clusterName="demo", nodegroupName="ng")["nodegroup"]["status"] == "DELETING"
    eks.get_waiter("nodegroup_deleted").wait(clusterName="demo", nodegroupName="ng", WaiterConfig=fast)
    assert eks.delete_cluster(name="demo")["cluster"]["status"] == "DELETING"
    eks.get_waiter("cluster_deleted").wait(name="demo", WaiterConfig=fast)
    assert eks.list_clusters()["clusters"] == []


def check_strangers():
    keys = {"aws_access_key_id": "AKIAAAAAAAAAAAAAAAAA", "aws_secret_access_key": "x", "config": config}
    refused("UnrecognizedClientException", boto3.client("eks", **keys).list_clusters)
    refused("InvalidClientTokenId", boto3.client("sts", **keys).get_caller_identity)
    refused("AuthFailure", boto3.client("ec2", **keys).describe_vpcs)
    iam.create_user(UserName="dev")
    key = iam.create_access_key(UserName="dev")["AccessKey"]
    dev = boto3.client("eks", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"], config=config)
    response = refused("AccessDeniedException", dev.list_clusters)
    assert response["Error"]["Message"].startswith(f"User: arn:aws:iam::{ACCOUNT}:user/dev is not authorized to perform: eks:ListClusters on resource: *")
    iam.create_role(RoleName="ops", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/dev"}, "Action": "sts:AssumeRole"}]}))
    iam.attach_role_policy(RoleName="ops", PolicyArn=POLICY + "AdministratorAccess")
    dev_sts = boto3.client("sts", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"], config=config)
    session = dev_sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/ops", RoleSessionName="me")
    assert session["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/me"
    temporary = session["Credentials"]
    assert temporary["Expiration"] > datetime.datetime.now(datetime.timezone.utc)
    keys = {"aws_access_key_id": temporary["AccessKeyId"], "aws_secret_access_key": temporary["SecretAccessKey"], "config": config}
    assert boto3.client("eks", aws_session_token=temporary["SessionToken"], **keys).list_clusters()["clusters"] == []
    refused("UnrecognizedClientException", boto3.client("eks", **keys).list_clusters)


if __name__ == "__main__":
    check_iam()
    check_eks(*check_ec2())
    check_strangers()
    print("as AWS has it")
