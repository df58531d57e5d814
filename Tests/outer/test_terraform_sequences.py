"""The calls that Terraform's AWS provider makes for the modules vpc and eks (terraform-aws-modules), and eksctl's reads, replayed with boto3 against
`eyrie serve`: everything is made, read back (what was set must come back, or Terraform sees drift), changed, and destroyed in Terraform's order."""
import base64
import hashlib
import json
import os
import time

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import REGION, Service, clean_up, wait_for

NAME = "tf-demo"
TAGS = {"Terraform": "true", "Environment": "dev"}
OIDC_PRINT = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.fail("the service needs root")
    service = Service(tmp_path_factory.mktemp("terraform"), {})
    service.start()
    session = boto3.Session(
        aws_access_key_id=service.env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=service.env["AWS_SECRET_ACCESS_KEY"], region_name=REGION)

    def client(name, **arguments):
        return session.client(
            name, endpoint_url=service.env["AWS_ENDPOINT_URL"], verify=service.env["AWS_CA_BUNDLE"],
            config=Config(retries={"max_attempts": 0}, **arguments))

    client.service = service
    yield client
    service.stop()
    clean_up(service)


def pairs(tags):
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def specification(kind, **tags):
    return [{"ResourceType": kind, "Tags": pairs({**TAGS, **tags})}]


def as_map(tags):
    return {tag["Key"]: tag["Value"] for tag in tags}


def refused(code, call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == code, caught.value.response
    return caught.value.response["Error"]["Message"]


def trust(service):
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Network:
    """terraform-aws-modules/vpc with NAT gateways and endpoints."""

    def __init__(self, ec2):
        self.ec2 = ec2
        self.zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones(Filters=[{"Name": "opt-in-status", "Values": ["opt-in-not-required"]}])["AvailabilityZones"]]

    def create(self):
        ec2 = self.ec2
        vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16", InstanceTenancy="default", TagSpecifications=specification("vpc", Name="vpc"))["Vpc"]
        self.vpc = vpc["VpcId"]
        ec2.get_waiter("vpc_available").wait(VpcIds=[self.vpc])
        ec2.modify_vpc_attribute(VpcId=self.vpc, EnableDnsHostnames={"Value": True})
        self.internet = ec2.create_internet_gateway(TagSpecifications=specification("internet-gateway"))["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=self.internet, VpcId=self.vpc)
        self.egress = ec2.create_egress_only_internet_gateway(VpcId=self.vpc, TagSpecifications=specification("egress-only-internet-gateway"))["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"]
        self.public, self.private = [], []
        for index, zone in enumerate(self.zones[:2]):
            subnet = ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.40.{index}.0/24", AvailabilityZone=zone, TagSpecifications=specification("subnet", **{"kubernetes.io/role/elb": "1"}))["Subnet"]["SubnetId"]
            ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
            self.public.append(subnet)
            self.private.append(ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.40.{10 + index}.0/24", AvailabilityZone=zone, TagSpecifications=specification("subnet", **{"kubernetes.io/role/internal-elb": "1"}))["Subnet"]["SubnetId"])
        self.tables = [ec2.create_route_table(VpcId=self.vpc, TagSpecifications=specification("route-table", Name=kind))["RouteTable"]["RouteTableId"] for kind in ("public", "private")]
        ec2.create_route(RouteTableId=self.tables[0], DestinationCidrBlock="0.0.0.0/0", GatewayId=self.internet)
        address = ec2.allocate_address(Domain="vpc", TagSpecifications=specification("elastic-ip"))
        self.allocation = address["AllocationId"]
        nat = ec2.create_nat_gateway(SubnetId=self.public[0], AllocationId=self.allocation, ClientToken="terraform-1", TagSpecifications=specification("natgateway"))["NatGateway"]
        assert nat["State"] == "pending"
        self.nat = nat["NatGatewayId"]
        ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[self.nat], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        ec2.create_route(RouteTableId=self.tables[1], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=self.nat)
        ec2.create_route(RouteTableId=self.tables[1], DestinationIpv6CidrBlock="::/0", EgressOnlyInternetGatewayId=self.egress)
        self.associations = [ec2.associate_route_table(RouteTableId=self.tables[0], SubnetId=subnet)["AssociationId"] for subnet in self.public]
        self.associations += [ec2.associate_route_table(RouteTableId=self.tables[1], SubnetId=subnet)["AssociationId"] for subnet in self.private]
        self.dhcp = ec2.create_dhcp_options(
            DhcpConfigurations=[{"Key": "domain-name", "Values": ["example.internal"]}, {"Key": "domain-name-servers", "Values": ["AmazonProvidedDNS"]}],
            TagSpecifications=specification("dhcp-options"))["DhcpOptions"]["DhcpOptionsId"]
        ec2.associate_dhcp_options(DhcpOptionsId=self.dhcp, VpcId=self.vpc)
        self.s3 = ec2.create_vpc_endpoint(VpcId=self.vpc, ServiceName=f"com.amazonaws.{REGION}.s3", RouteTableIds=[self.tables[1]], TagSpecifications=specification("vpc-endpoint"))["VpcEndpoint"]["VpcEndpointId"]
        self.acl = ec2.create_network_acl(VpcId=self.vpc, TagSpecifications=specification("network-acl"))["NetworkAcl"]["NetworkAclId"]
        entry = {"NetworkAclId": self.acl, "Protocol": "6", "PortRange": {"From": 443, "To": 443}, "RuleAction": "allow", "Egress": False, "CidrBlock": "10.0.0.0/8"}
        ec2.create_network_acl_entry(RuleNumber=100, **entry)
        default = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [self.private[0]]}])["NetworkAcls"][0]
        assert default["IsDefault"] and default["VpcId"] == self.vpc
        held = [a for a in default["Associations"] if a["SubnetId"] == self.private[0]][0]
        ec2.replace_network_acl_association(AssociationId=held["NetworkAclAssociationId"], NetworkAclId=self.acl)
        self.list = ec2.create_managed_prefix_list(PrefixListName="office", AddressFamily="IPv4", MaxEntries=5, Entries=[{"Cidr": "192.0.2.0/24", "Description": "a"}], TagSpecifications=specification("prefix-list"))["PrefixList"]["PrefixListId"]

    def read(self):
        ec2 = self.ec2
        vpc = ec2.describe_vpcs(VpcIds=[self.vpc])["Vpcs"][0]
        assert vpc["DhcpOptionsId"] == self.dhcp and as_map(vpc["Tags"])["Name"] == "vpc" and vpc["InstanceTenancy"] == "default"
        for attribute, key in (("enableDnsHostnames", "EnableDnsHostnames"), ("enableDnsSupport", "EnableDnsSupport")):
            assert ec2.describe_vpc_attribute(VpcId=self.vpc, Attribute=attribute)[key]["Value"]
        assert not ec2.describe_vpc_attribute(VpcId=self.vpc, Attribute="enableNetworkAddressUsageMetrics")["EnableNetworkAddressUsageMetrics"]["Value"]
        for name, kind in (("default-security-group", ec2.describe_security_groups), ("main-route-table", ec2.describe_route_tables)):
            filters = [{"Name": "vpc-id", "Values": [self.vpc]}] + ([{"Name": "group-name", "Values": ["default"]}] if "group" in name else [{"Name": "association.main", "Values": ["true"]}])
            assert len(next(iter(kind(Filters=filters).values()))) == 1, name
        assert all(subnet["MapPublicIpOnLaunch"] for subnet in ec2.describe_subnets(SubnetIds=self.public)["Subnets"])
        private = ec2.describe_route_tables(RouteTableIds=[self.tables[1]])["RouteTables"][0]
        routes = {route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock") or route["DestinationPrefixListId"]: route for route in private["Routes"]}
        assert routes["0.0.0.0/0"]["NatGatewayId"] == self.nat and routes["0.0.0.0/0"]["State"] == "active"
        assert routes["::/0"]["EgressOnlyInternetGatewayId"] == self.egress
        lists = ec2.describe_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": [f"com.amazonaws.{REGION}.s3"]}])["PrefixLists"]
        assert routes[lists[0]["PrefixListId"]]["GatewayId"] == self.s3 and lists[0]["Cidrs"]
        assert {association["SubnetId"] for association in private["Associations"]} == set(self.private)
        nat = ec2.describe_nat_gateways(NatGatewayIds=[self.nat])["NatGateways"][0]
        address = ec2.describe_addresses(AllocationIds=[self.allocation])["Addresses"][0]
        assert nat["NatGatewayAddresses"][0]["PublicIp"] == address["PublicIp"] and address["Domain"] == "vpc" and nat["ConnectivityType"] == "public"
        assert address["AssociationId"] == nat["NatGatewayAddresses"][0]["AssociationId"]
        interface = ec2.describe_network_interfaces(NetworkInterfaceIds=[address["NetworkInterfaceId"]])["NetworkInterfaces"][0]
        assert interface["InterfaceType"] == "nat_gateway" and interface["RequesterManaged"]
        options = ec2.describe_dhcp_options(DhcpOptionsIds=[self.dhcp])["DhcpOptions"][0]
        assert {c["Key"]: c["Values"][0]["Value"] for c in options["DhcpConfigurations"]} == {"domain-name": "example.internal", "domain-name-servers": "AmazonProvidedDNS"}
        endpoint = ec2.describe_vpc_endpoints(VpcEndpointIds=[self.s3])["VpcEndpoints"][0]
        assert endpoint["State"] == "available" and endpoint["RouteTableIds"] == [self.tables[1]] and endpoint["VpcEndpointType"] == "Gateway"
        acl = ec2.describe_network_acls(NetworkAclIds=[self.acl])["NetworkAcls"][0]
        assert [a["SubnetId"] for a in acl["Associations"]] == [self.private[0]] and acl["Entries"][0]["PortRange"] == {"From": 443, "To": 443}
        entries = ec2.get_managed_prefix_list_entries(PrefixListId=self.list)["Entries"]
        assert entries == [{"Cidr": "192.0.2.0/24", "Description": "a"}]
        assert ec2.describe_managed_prefix_lists(PrefixListIds=[self.list])["PrefixLists"][0]["State"] == "create-complete"
        gateway = ec2.describe_egress_only_internet_gateways(EgressOnlyInternetGatewayIds=[self.egress])["EgressOnlyInternetGateways"][0]
        assert gateway["Attachments"] == [{"State": "attached", "VpcId": self.vpc}]

    def change(self):
        ec2 = self.ec2
        changed = ec2.modify_managed_prefix_list(PrefixListId=self.list, CurrentVersion=1, AddEntries=[{"Cidr": "198.51.100.0/24"}], RemoveEntries=[{"Cidr": "192.0.2.0/24"}])["PrefixList"]
        assert changed["Version"] == 2
        refused("PrefixListVersionMismatch", ec2.modify_managed_prefix_list, PrefixListId=self.list, CurrentVersion=1, AddEntries=[{"Cidr": "10.0.0.0/8"}])
        ec2.replace_route(RouteTableId=self.tables[1], DestinationCidrBlock="0.0.0.0/0", GatewayId=self.internet)
        ec2.replace_route(RouteTableId=self.tables[1], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=self.nat)
        new = ec2.replace_route_table_association(AssociationId=self.associations[-1], RouteTableId=self.tables[0])["NewAssociationId"]
        self.associations[-1] = new
        ec2.modify_vpc_endpoint(VpcEndpointId=self.s3, AddRouteTableIds=[self.tables[0]])
        assert len(ec2.describe_vpc_endpoints(VpcEndpointIds=[self.s3])["VpcEndpoints"][0]["RouteTableIds"]) == 2

    def destroy(self):
        ec2 = self.ec2
        refused("DependencyViolation", ec2.delete_vpc, VpcId=self.vpc)
        ec2.delete_vpc_endpoints(VpcEndpointIds=[self.s3])
        held = [a for a in ec2.describe_network_acls(NetworkAclIds=[self.acl])["NetworkAcls"][0]["Associations"]][0]
        default = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}, {"Name": "default", "Values": ["true"]}])["NetworkAcls"][0]
        ec2.replace_network_acl_association(AssociationId=held["NetworkAclAssociationId"], NetworkAclId=default["NetworkAclId"])
        ec2.delete_network_acl(NetworkAclId=self.acl)
        for association in self.associations:
            ec2.disassociate_route_table(AssociationId=association)
        ec2.delete_route(RouteTableId=self.tables[1], DestinationIpv6CidrBlock="::/0")
        for table in self.tables:
            ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
            ec2.delete_route_table(RouteTableId=table)
        ec2.delete_nat_gateway(NatGatewayId=self.nat)
        wait_for(lambda: ec2.describe_nat_gateways(NatGatewayIds=[self.nat])["NatGateways"][0]["State"] == "deleted", "the NAT gateway is deleted")
        ec2.release_address(AllocationId=self.allocation)
        ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=self.egress)
        ec2.detach_internet_gateway(InternetGatewayId=self.internet, VpcId=self.vpc)
        ec2.delete_internet_gateway(InternetGatewayId=self.internet)
        for subnet in self.public + self.private:
            ec2.delete_subnet(SubnetId=subnet)
        ec2.delete_managed_prefix_list(PrefixListId=self.list)
        ec2.associate_dhcp_options(DhcpOptionsId="default", VpcId=self.vpc)
        ec2.delete_dhcp_options(DhcpOptionsId=self.dhcp)
        ec2.delete_vpc(VpcId=self.vpc)
        refused("InvalidVpcID.NotFound", ec2.describe_vpcs, VpcIds=[self.vpc])
        refused("InvalidAllocationID.NotFound", ec2.describe_addresses, AllocationIds=[self.allocation])


def rules_of(ec2, group):
    return ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]


def make_security_group(ec2, vpc, name):
    """As aws_security_group: it revokes the rule that lets all out, then the rules are resources of their own."""
    group = ec2.create_security_group(GroupName=name, Description="EKS " + name, VpcId=vpc, TagSpecifications=specification("security-group", Name=name))["GroupId"]
    egress = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=egress)
    assert rules_of(ec2, group) == []
    return group


def check_irsa(aws, iam, eks, sts, provider, issuer):
    """The module's access entry, then a role for a service account: its token becomes the role's session."""
    service = aws.service
    me = sts.get_caller_identity()["Arn"]
    eks.create_access_entry(clusterName=NAME, principalArn=me, type="STANDARD")
    eks.associate_access_policy(
        clusterName=NAME, principalArn=me, policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", accessScope={"type": "cluster"})
    host = issuer.removeprefix("https://")
    condition = {"StringEquals": {host + ":aud": "sts.amazonaws.com"}, "StringLike": {host + ":sub": "system:serviceaccount:default:app*"}}
    statement = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition}
    role = iam.create_role(RoleName=f"{NAME}-irsa", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))["Role"]["Arn"]
    read = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "eks:ListClusters", "Resource": "*"}]})
    iam.put_role_policy(RoleName=f"{NAME}-irsa", PolicyName="read", PolicyDocument=read)
    service.aws("eks", "update-kubeconfig", "--name", NAME)
    for account in ("app-1", "other"):
        service.kubectl("create", "serviceaccount", account)
    anybody = aws("sts", signature_version=UNSIGNED)

    def assume(account, audience="sts.amazonaws.com"):
        token = service.kubectl("create", "token", account, "--audience", audience).strip()
        return anybody.assume_role_with_web_identity(RoleArn=role, RoleSessionName="pod", WebIdentityToken=token)

    answer = assume("app-1")
    assert answer["SubjectFromWebIdentityToken"] == "system:serviceaccount:default:app-1" and answer["Provider"] == provider
    keys = answer["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=REGION)
    arguments = {"endpoint_url": service.env["AWS_ENDPOINT_URL"], "verify": service.env["AWS_CA_BUNDLE"]}
    assert session.client("sts", **arguments).get_caller_identity()["Arn"].endswith(f"assumed-role/{NAME}-irsa/pod")
    pod = session.client("eks", **arguments)
    assert NAME in pod.list_clusters()["clusters"]
    refused("AccessDeniedException", pod.describe_cluster, name=NAME)
    refused("AccessDenied", assume, account="other")
    refused("InvalidIdentityToken", assume, account="app-1", audience="elsewhere")
    refused("MissingAuthenticationToken", anybody.get_caller_identity)
    iam.delete_role_policy(RoleName=f"{NAME}-irsa", PolicyName="read")
    iam.delete_role(RoleName=f"{NAME}-irsa")


def test_the_network_is_made_read_changed_and_destroyed(aws):
    network = Network(aws("ec2"))
    network.create()
    network.read()
    network.change()
    network.destroy()


def test_the_module_eks_is_made_read_changed_and_destroyed(aws):
    ec2, iam, kms, logs, eks, ssm, sts = (aws(name) for name in ("ec2", "iam", "kms", "logs", "eks", "ssm", "sts"))
    account = sts.get_caller_identity()["Account"]
    network = Network(ec2)
    network.create()

    # Module kms and the log group.
    key = kms.create_key(Description=f"{NAME} cluster encryption key", Tags=[{"TagKey": k, "TagValue": v} for k, v in TAGS.items()])["KeyMetadata"]
    kms.enable_key_rotation(KeyId=key["KeyId"])
    kms.create_alias(AliasName=f"alias/eks/{NAME}", TargetKeyId=key["KeyId"])
    described = kms.describe_key(KeyId=f"alias/eks/{NAME}")["KeyMetadata"]
    assert described["Arn"] == key["Arn"] and described["KeyState"] == "Enabled" and described["KeySpec"] == "SYMMETRIC_DEFAULT"
    assert json.loads(kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"])["Statement"][0]["Action"] == "kms:*"
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
    assert {t["TagKey"]: t["TagValue"] for t in kms.list_resource_tags(KeyId=key["KeyId"])["Tags"]} == TAGS
    assert [a["AliasName"] for a in kms.list_aliases(KeyId=key["KeyId"])["Aliases"]] == [f"alias/eks/{NAME}"]
    group_name = f"/aws/eks/{NAME}/cluster"
    logs.create_log_group(logGroupName=group_name, tags=TAGS)
    logs.put_retention_policy(logGroupName=group_name, retentionInDays=90)
    group = logs.describe_log_groups(logGroupNamePrefix=group_name)["logGroups"][0]
    assert group["retentionInDays"] == 90 and logs.list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"] == TAGS

    # Roles and policies.
    cluster_role = iam.create_role(RoleName=f"{NAME}-cluster", AssumeRolePolicyDocument=trust("eks.amazonaws.com"), Path="/", Tags=pairs(TAGS), MaxSessionDuration=3600)["Role"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"], "Resource": key["Arn"]}]})
    encryption = iam.create_policy(PolicyName=f"{NAME}-encryption", Path="/", PolicyDocument=policy, Tags=pairs(TAGS))["Policy"]["Arn"]
    for arn in ("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy", "arn:aws:iam::aws:policy/AmazonEKSVPCResourceController", encryption):
        iam.attach_role_policy(RoleName=f"{NAME}-cluster", PolicyArn=arn)
    assert len(iam.list_attached_role_policies(RoleName=f"{NAME}-cluster")["AttachedPolicies"]) == 3
    read = iam.get_policy(PolicyArn=encryption)["Policy"]
    assert read["DefaultVersionId"] == "v1" and as_map(read["Tags"]) == TAGS and read["AttachmentCount"] == 1
    assert iam.get_policy_version(PolicyArn=encryption, VersionId="v1")["PolicyVersion"]["Document"] == json.loads(policy)
    role = iam.get_role(RoleName=f"{NAME}-cluster")["Role"]
    assert role["AssumeRolePolicyDocument"] == json.loads(trust("eks.amazonaws.com")) and as_map(role["Tags"]) == TAGS
    node_role = iam.create_role(RoleName=f"{NAME}-node", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"), Tags=pairs(TAGS))["Role"]["Arn"]
    for name in ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryReadOnly", "AmazonEKS_CNI_Policy"):
        iam.attach_role_policy(RoleName=f"{NAME}-node", PolicyArn="arn:aws:iam::aws:policy/" + name)

    # Security groups with rules that are resources of their own.
    cluster_group, node_group = (make_security_group(ec2, network.vpc, f"{NAME}-{kind}") for kind in ("cluster", "node"))
    ingress = ec2.authorize_security_group_ingress(
        GroupId=cluster_group, TagSpecifications=specification("security-group-rule", Name="api"),
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": node_group, "Description": "Node groups to cluster API"}]}])["SecurityGroupRules"][0]
    ec2.authorize_security_group_egress(GroupId=node_group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "Allow all egress"}]}])
    ec2.authorize_security_group_ingress(GroupId=node_group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 53, "ToPort": 53, "PrefixListIds": [{"PrefixListId": network.list}]}])
    rule = ec2.describe_security_group_rules(SecurityGroupRuleIds=[ingress["SecurityGroupRuleId"]])["SecurityGroupRules"][0]
    assert rule["ReferencedGroupInfo"]["GroupId"] == node_group and rule["Description"] == "Node groups to cluster API" and as_map(rule["Tags"])["Name"] == "api"
    assert rule["SecurityGroupRuleArn"].endswith("security-group-rule/" + rule["SecurityGroupRuleId"])
    refused("InvalidPermission.Duplicate", ec2.authorize_security_group_ingress, GroupId=cluster_group,
            IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": node_group}]}])

    # The cluster.
    cluster = eks.create_cluster(
        name=NAME, roleArn=cluster_role["Arn"], tags=TAGS, resourcesVpcConfig={"subnetIds": network.private, "securityGroupIds": [cluster_group], "endpointPublicAccess": True, "endpointPrivateAccess": True},
        accessConfig={"authenticationMode": "API_AND_CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": False})["cluster"]
    assert cluster["status"] == "CREATING"
    eks.get_waiter("cluster_active").wait(name=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    cluster = eks.describe_cluster(name=NAME)["cluster"]
    own_group = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
    ec2.create_tags(Resources=[own_group], Tags=pairs(TAGS))
    assert set(TAGS) < set(as_map(ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [own_group]}])["Tags"]))

    # The OIDC provider, and a role for a service account.
    issuer = cluster["identity"]["oidc"]["issuer"]
    provider = iam.create_open_id_connect_provider(Url=issuer, ClientIDList=["sts.amazonaws.com"], ThumbprintList=[OIDC_PRINT], Tags=pairs(TAGS))["OpenIDConnectProviderArn"]
    read = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider)
    # AWS leaves the scheme out; with the port that this issuer has, clients would take it for another URL.
    assert read["Url"] == issuer and read["ClientIDList"] == ["sts.amazonaws.com"] and read["ThumbprintList"] == [OIDC_PRINT]
    assert as_map(read["Tags"]) == TAGS and {"Arn": provider} in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]

    check_irsa(aws, iam, eks, sts, provider, issuer)

    # What a managed node group of the module reads and makes beside the group itself.
    version = cluster["version"]
    base = f"/aws/service/eks/optimized-ami/{version}/amazon-linux-2023/x86_64/standard/recommended"
    image = ssm.get_parameter(Name=base + "/image_id")["Parameter"]
    assert image["DataType"] == "aws:ec2:image" and ec2.describe_images(ImageIds=[image["Value"]])["Images"][0]["Architecture"] == "x86_64"
    assert ssm.get_parameter(Name=base + "/release_version")["Parameter"]["Value"].startswith(version + ".")
    refused("ParameterNotFound", ssm.get_parameter, Name=base + "/none")
    user_data = base64.b64encode(b"MIME-Version: 1.0").decode()
    data = {
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 50, "VolumeType": "gp3", "DeleteOnTermination": True}}],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled"}, "Monitoring": {"Enabled": True},
        "SecurityGroupIds": [node_group], "UserData": user_data, "TagSpecifications": [{"ResourceType": "instance", "Tags": pairs({"Name": "node"})}],
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": [node_group], "DeleteOnTermination": True}]}
    template = ec2.create_launch_template(LaunchTemplateName=f"{NAME}-ng", VersionDescription="v", LaunchTemplateData=data, ClientToken="t-1", TagSpecifications=specification("launch-template"))["LaunchTemplate"]
    assert template["DefaultVersionNumber"] == template["LatestVersionNumber"] == 1 and as_map(template["Tags"]) == TAGS
    lt = template["LaunchTemplateId"]
    assert ec2.describe_launch_template_versions(LaunchTemplateId=lt, Versions=["$Latest"])["LaunchTemplateVersions"][0]["LaunchTemplateData"] == data
    assert ec2.create_launch_template(LaunchTemplateName=f"{NAME}-ng", LaunchTemplateData=data, ClientToken="t-1")["LaunchTemplate"]["LaunchTemplateId"] == lt
    ec2.create_placement_group(GroupName=NAME, Strategy="cluster")
    assert ec2.describe_placement_groups(GroupNames=[NAME])["PlacementGroups"][0]["State"] == "available"

    # Changes.
    second = ec2.create_launch_template_version(LaunchTemplateId=lt, SourceVersion="1", LaunchTemplateData={"InstanceType": "m5.large"})["LaunchTemplateVersion"]
    assert second["VersionNumber"] == 2 and second["LaunchTemplateData"]["UserData"] == user_data and not second["DefaultVersion"]
    assert ec2.modify_launch_template(LaunchTemplateId=lt, DefaultVersion="2")["LaunchTemplate"]["DefaultVersionNumber"] == 2
    assert ec2.delete_launch_template_versions(LaunchTemplateId=lt, Versions=["1", "2"])["UnsuccessfullyDeletedLaunchTemplateVersions"][0]["VersionNumber"] == 2
    ec2.modify_security_group_rules(GroupId=cluster_group, SecurityGroupRules=[{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": {
        "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "ReferencedGroupId": node_group, "Description": "changed"}}])
    assert rules_of(ec2, cluster_group)[0]["Description"] == "changed"
    iam.create_policy_version(PolicyArn=encryption, PolicyDocument=policy.replace("kms:ListGrants", "kms:CreateGrant"), SetAsDefault=True)
    assert [v["VersionId"] for v in iam.list_policy_versions(PolicyArn=encryption)["Versions"] if v["IsDefaultVersion"]] == ["v2"]
    iam.tag_role(RoleName=f"{NAME}-cluster", Tags=pairs({"Owner": "team"}))
    logs.put_retention_policy(logGroupName=group_name, retentionInDays=30)
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=provider, ThumbprintList=[OIDC_PRINT, hashlib.sha1(b"x").hexdigest()])

    # In the reverse order.
    ec2.delete_placement_group(GroupName=NAME)
    ec2.delete_launch_template(LaunchTemplateId=lt)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider)
    eks.delete_cluster(name=NAME)
    eks.get_waiter("cluster_deleted").wait(name=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    refused("DependencyViolation", ec2.delete_security_group, GroupId=node_group)
    refused("DependencyViolation", ec2.delete_managed_prefix_list, PrefixListId=network.list)
    for group in (cluster_group, node_group):
        for found in rules_of(ec2, group):
            revoke = ec2.revoke_security_group_egress if found["IsEgress"] else ec2.revoke_security_group_ingress
            revoke(GroupId=group, SecurityGroupRuleIds=[found["SecurityGroupRuleId"]])
    for group in (cluster_group, node_group):
        ec2.delete_security_group(GroupId=group)
    for role_name in (f"{NAME}-cluster", f"{NAME}-node"):
        refused("DeleteConflict", iam.delete_role, RoleName=role_name)
        for attached in iam.list_attached_role_policies(RoleName=role_name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=role_name, PolicyArn=attached["PolicyArn"])
        assert iam.list_role_policies(RoleName=role_name)["PolicyNames"] == [] and iam.list_instance_profiles_for_role(RoleName=role_name)["InstanceProfiles"] == []
        iam.delete_role(RoleName=role_name)
    iam.delete_policy_version(PolicyArn=encryption, VersionId="v1")
    iam.delete_policy(PolicyArn=encryption)
    logs.delete_log_group(logGroupName=group_name)
    kms.delete_alias(AliasName=f"alias/eks/{NAME}")
    assert kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)["KeyState"] == "PendingDeletion"
    refused("KMSInvalidStateException", kms.enable_key_rotation, KeyId=key["KeyId"])
    network.destroy()
    assert account == "000000000000" and node_role


def test_what_eksctl_reads_without_cloudformation(aws):
    ec2, iam, ssm, eks = (aws(name) for name in ("ec2", "iam", "ssm", "eks"))
    offerings = ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["m5.large"]}])["InstanceTypeOfferings"]
    assert {o["Location"] for o in offerings} == {zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
    assert ec2.describe_instance_types(InstanceTypes=["m5.large"])["InstanceTypes"][0]["VCpuInfo"]["DefaultVCpus"] == 2
    assert {a["AttributeName"] for a in ec2.describe_account_attributes()["AccountAttributes"]} >= {"supported-platforms", "default-vpc"}
    assert f"com.amazonaws.{REGION}.ecr.api" in ec2.describe_vpc_endpoint_services()["ServiceNames"]
    version = eks.describe_cluster_versions(defaultOnly=True)["clusterVersions"][0]["clusterVersion"]
    for arch in ("x86_64", "arm64"):
        image = ssm.get_parameter(Name=f"/aws/service/eks/optimized-ami/{version}/amazon-linux-2023/{arch}/standard/recommended/image_id")["Parameter"]["Value"]
        assert ec2.describe_images(ImageIds=[image], Owners=["amazon"])["Images"][0]["RootDeviceName"] == "/dev/xvda"
    public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS eksctl"
    imported = ec2.import_key_pair(KeyName="eksctl-key", PublicKeyMaterial=public.encode())
    assert ec2.describe_key_pairs(KeyNames=["eksctl-key"])["KeyPairs"][0]["KeyFingerprint"] == imported["KeyFingerprint"]
    assert imported["KeyFingerprint"] == base64.b64encode(hashlib.sha256(base64.b64decode(public.split()[1])).digest()).decode()
    ec2.delete_key_pair(KeyName="eksctl-key")
    refused("InvalidKeyPair.NotFound", ec2.describe_key_pairs, KeyNames=["eksctl-key"])
    refused("NoSuchEntity", iam.get_instance_profile, InstanceProfileName="none")
    assert iam.get_user()["User"]["UserName"] == "admin"
    refused("InvalidAction", ec2.run_instances, MinCount=1, MaxCount=1)
    refused("DryRunOperation", ec2.allocate_address, DryRun=True)


def test_log_events_are_written_searched_and_tailed(aws):
    logs = aws("logs")
    service = aws.service
    logs.create_log_group(logGroupName="/app")
    logs.create_log_stream(logGroupName="/app", logStreamName="one")
    now = int(time.time() * 1000)
    events = [{"timestamp": now - 1000 + i, "message": json.dumps({"level": "error" if i % 10 == 0 else "info", "n": i})} for i in range(100)]
    assert "rejectedLogEventsInfo" not in logs.put_log_events(logGroupName="/app", logStreamName="one", logEvents=events)
    found = [event for page in logs.get_paginator("filter_log_events").paginate(logGroupName="/app", filterPattern='{ $.level = "error" && $.n >= 50 }', PaginationConfig={"PageSize": 3}) for event in page["events"]]
    assert [json.loads(event["message"])["n"] for event in found] == [50, 60, 70, 80, 90]
    first = logs.get_log_events(logGroupName="/app", logStreamName="one", startFromHead=True, limit=60)
    rest = logs.get_log_events(logGroupName="/app", logStreamName="one", startFromHead=True, nextToken=first["nextForwardToken"])
    assert len(first["events"]) == 60 and len(rest["events"]) == 40
    # As `aws logs tail --follow` of the AWS CLI 2 does (FollowLogEventsGenerator): again from the last event's time, without those it has shown.
    shown, since = {}, now - 3_600_000

    def follow():
        nonlocal since
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName="/app", startTime=since, interleaved=True):
            for event in page["events"]:
                shown.setdefault(event["eventId"], event["message"])
                since = max(since, event["timestamp"])
        return list(shown.values())

    assert len(follow()) == 100
    logs.put_log_events(logGroupName="/app", logStreamName="one", logEvents=[{"timestamp": now, "message": "a new one"}])
    wait_for(lambda: "a new one" in follow(), "the new event is seen", timeout=10)
    assert len(shown) == 101
    service.kill()
    service.start()
    again = logs.get_log_events(logGroupName="/app", logStreamName="one", startFromHead=True)["events"]
    assert len(again) == 101 and again[-1]["message"] == "a new one"
    logs.delete_log_group(logGroupName="/app")
