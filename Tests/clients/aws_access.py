"""Drives access entries, access policies and identity providers with boto3, over simulated control planes. Called by EKSAPITests as aws_services.py is.
Each operation: the happy path, each error the model names that a caller can bring about, pagination. botocore parses every answer by its model."""
import datetime
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "eu-central-1"
ACCOUNT = "000000000000"
ADMIN = f"arn:aws:iam::{ACCOUNT}:user/admin"
POLICY = "arn:aws:eks::aws:cluster-access-policy/"
config = Config(retries={"max_attempts": 0}, region_name=REGION)
eks, ec2, iam = (boto3.client(name, config=config) for name in ("eks", "ec2", "iam"))
FAST = {"Delay": 1, "MaxAttempts": 30}


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, (code, error.response)
        return error.response["Error"]["Message"]
    raise AssertionError(f"{call} was not refused with {code}")


def trust(principal):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]})


def waited(update):
    for _ in range(200):
        seen = eks.describe_update(name="demo", updateId=update["id"])["update"]
        if seen["status"] != "InProgress":
            assert seen["status"] == "Successful", seen
            return seen
    raise AssertionError(f"still in progress: {update}")


def prepare():
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=REGION + zone)["Subnet"]["SubnetId"] for i, zone in enumerate("ab")]
    role = iam.create_role(RoleName="cluster", AssumeRolePolicyDocument=trust({"Service": "eks.amazonaws.com"}))["Role"]["Arn"]
    iam.attach_role_policy(RoleName="cluster", PolicyArn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")
    network = {"subnetIds": subnets}
    eks.create_cluster(name="old", roleArn=role, resourcesVpcConfig=network)
    eks.create_cluster(
        name="demo", roleArn=role, resourcesVpcConfig=network,
        accessConfig={"authenticationMode": "API_AND_CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": False})
    refused("InvalidParameterException", eks.create_cluster, name="x", roleArn=role, resourcesVpcConfig=network,
            accessConfig={"bootstrapClusterCreatorAdminPermissions": False})
    for name in ("old", "demo"):
        eks.get_waiter("cluster_active").wait(name=name, WaiterConfig=FAST)
    return [iam.create_role(RoleName=f"dev{i}", Path="/team/", AssumeRolePolicyDocument=trust({"AWS": ADMIN}))["Role"]["Arn"] for i in range(5)]


def check_entries(roles):
    entry = eks.create_access_entry(
        clusterName="demo", principalArn=roles[0], kubernetesGroups=["devs"], tags={"a": "b"}, clientRequestToken="t")["accessEntry"]
    assert entry["accessEntryArn"].startswith(f"arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/demo/role/{ACCOUNT}/dev0/")
    assert entry["username"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/dev0/{{{{SessionName}}}}" and entry["type"] == "STANDARD"
    assert isinstance(entry["createdAt"], datetime.datetime) and entry["kubernetesGroups"] == ["devs"] and entry["tags"] == {"a": "b"}
    again = eks.create_access_entry(clusterName="demo", principalArn=roles[0], kubernetesGroups=["devs"], tags={"a": "b"}, clientRequestToken="t")
    assert again["accessEntry"]["accessEntryArn"] == entry["accessEntryArn"]
    refused("InvalidParameterException", eks.create_access_entry, clusterName="demo", principalArn=roles[1], clientRequestToken="t")
    assert "already in use" in refused("ResourceInUseException", eks.create_access_entry, clusterName="demo", principalArn=roles[0])
    refused("ResourceNotFoundException", eks.create_access_entry, clusterName="none", principalArn=roles[0])
    assert "authentication mode must be set" in refused("InvalidRequestException", eks.create_access_entry, clusterName="old", principalArn=roles[0])
    refused("InvalidParameterException", eks.create_access_entry, clusterName="demo", principalArn=roles[1], kubernetesGroups=["system:masters"])
    refused("InvalidParameterException", eks.create_access_entry, clusterName="demo", principalArn=roles[1], type="NONE")
    assert eks.describe_access_entry(clusterName="demo", principalArn=roles[0])["accessEntry"] == entry

    changed = eks.update_access_entry(clusterName="demo", principalArn=roles[0], kubernetesGroups=[], username="jo:{{SessionName}}")["accessEntry"]
    assert changed["kubernetesGroups"] == [] and changed["username"] == "jo:{{SessionName}}" and changed["modifiedAt"] >= entry["modifiedAt"]
    refused("InvalidParameterException", eks.update_access_entry, clusterName="demo", principalArn=roles[0], username="iam:x")

    for role in roles[1:]:
        eks.create_access_entry(clusterName="demo", principalArn=role)
    eks.create_access_entry(clusterName="demo", principalArn=ADMIN)
    pages = list(eks.get_paginator("list_access_entries").paginate(clusterName="demo", PaginationConfig={"PageSize": 2}))
    assert [len(page["accessEntries"]) for page in pages] == [2, 2, 2]
    assert [arn for page in pages for arn in page["accessEntries"]] == sorted([*roles, ADMIN])
    refused("InvalidParameterException", eks.list_access_entries, clusterName="demo", nextToken="x")
    refused("InvalidParameterException", eks.list_access_entries, clusterName="demo", maxResults=101)

    arn = entry["accessEntryArn"]
    eks.tag_resource(resourceArn=arn, tags={"c": "d"})
    eks.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"c": "d"}
    refused("NotFoundException", eks.list_tags_for_resource, resourceArn=arn + "0")

    eks.delete_access_entry(clusterName="demo", principalArn=roles[4])
    for call in (eks.describe_access_entry, eks.delete_access_entry, eks.update_access_entry, eks.list_associated_access_policies):
        assert "list-access-entries" in refused("ResourceNotFoundException", call, clusterName="demo", principalArn=roles[4])
        refused("ResourceNotFoundException", call, clusterName="none", principalArn=roles[0])
        refused("InvalidRequestException", call, clusterName="old", principalArn=roles[0])
    refused("ResourceNotFoundException", eks.list_access_entries, clusterName="none")
    refused("InvalidRequestException", eks.list_access_entries, clusterName="old")


def check_policies(roles):
    pages = list(eks.get_paginator("list_access_policies").paginate(PaginationConfig={"PageSize": 5}))
    policies = [policy for page in pages for policy in page["accessPolicies"]]
    assert len(pages) > 1 and {"name": "AmazonEKSViewPolicy", "arn": POLICY + "AmazonEKSViewPolicy"} in policies
    who = {"clusterName": "demo", "principalArn": roles[0]}
    view = dict(who, policyArn=POLICY + "AmazonEKSViewPolicy")
    answer = eks.associate_access_policy(**view, accessScope={"type": "namespace", "namespaces": ["dev-*", "test"]})
    assert answer["clusterName"] == "demo" and answer["principalArn"] == roles[0]
    assert answer["associatedAccessPolicy"]["accessScope"] == {"type": "namespace", "namespaces": ["dev-*", "test"]}
    answer = eks.associate_access_policy(**view, accessScope={"type": "cluster"})["associatedAccessPolicy"]
    assert answer["accessScope"] == {"type": "cluster", "namespaces": []} and answer["modifiedAt"] >= answer["associatedAt"]
    for name in ("Edit", "Admin"):
        eks.associate_access_policy(**who, policyArn=f"{POLICY}AmazonEKS{name}Policy", accessScope={"type": "cluster"})
    pages = list(eks.get_paginator("list_associated_access_policies").paginate(**who, PaginationConfig={"PageSize": 2}))
    assert [len(page["associatedAccessPolicies"]) for page in pages] == [2, 1] and pages[0]["principalArn"] == roles[0]
    assert eks.list_access_entries(clusterName="demo", associatedPolicyArn=view["policyArn"])["accessEntries"] == [roles[0]]
    refused("InvalidParameterException", eks.list_access_entries, clusterName="demo", associatedPolicyArn="x")

    scope = {"type": "cluster"}
    refused("ResourceNotFoundException", eks.associate_access_policy, **who, policyArn=POLICY + "None", accessScope=scope)
    refused("ResourceNotFoundException", eks.associate_access_policy, **dict(view, clusterName="none"), accessScope=scope)
    refused("ResourceNotFoundException", eks.associate_access_policy, **dict(view, principalArn=roles[4]), accessScope=scope)
    refused("InvalidRequestException", eks.associate_access_policy, **dict(view, clusterName="old"), accessScope=scope)
    refused("InvalidParameterException", eks.associate_access_policy, **view, accessScope={"type": "namespace"})
    refused("InvalidParameterException", eks.associate_access_policy, **view, accessScope={"type": "cluster", "namespaces": ["a"]})
    refused("InvalidParameterException", eks.associate_access_policy, **view, accessScope={"type": "none"})
    refused("InvalidParameterException", eks.associate_access_policy, **who, policyArn="arn:aws:iam::aws:policy/AmazonEKSViewPolicy", accessScope=scope)
    eks.disassociate_access_policy(**view)
    refused("ResourceNotFoundException", eks.disassociate_access_policy, **view)
    refused("InvalidRequestException", eks.disassociate_access_policy, **dict(view, clusterName="old"))


def check_mode():
    def change(name, mode, **more):
        return eks.update_cluster_config(name=name, accessConfig={"authenticationMode": mode}, **more)["update"]
    refused("ResourceNotFoundException", change, name="none", mode="API")
    assert refused("InvalidParameterException", change, name="old", mode="API") == "Unsupported authentication mode update from CONFIG_MAP to API"
    refused("InvalidParameterException", eks.update_cluster_config, name="demo")
    refused("InvalidParameterException", change, name="demo", mode="API", logging={"clusterLogging": [{"types": ["api"], "enabled": True}]})
    update = change("demo", "API", clientRequestToken="m")
    assert update["type"] == "AccessConfigUpdate" and update["params"] == [{"type": "AuthenticationMode", "value": '"API"'}]
    assert change("demo", "API", clientRequestToken="m")["id"] == update["id"]
    assert waited(update)["errors"] == [] and update["id"] in eks.list_updates(name="demo")["updateIds"]
    assert eks.describe_cluster(name="demo")["cluster"]["accessConfig"] == {"authenticationMode": "API"}


def check_providers():
    def oidc(number):
        return {"identityProviderConfigName": f"p{number}", "issuerUrl": f"https://id{number}.example.com", "clientId": "kubernetes"}
    for number in range(3):
        answer = eks.associate_identity_provider_config(clusterName="demo", oidc=oidc(number), tags={"n": str(number)})
        assert answer["update"]["type"] == "AssociateIdentityProviderConfig" and answer["tags"] == {"n": str(number)}
        assert json.loads(answer["update"]["params"][0]["value"]) == [{"type": "oidc", "name": f"p{number}"}]
        waited(answer["update"])
    refused("ResourceInUseException", eks.associate_identity_provider_config, clusterName="demo", oidc=oidc(0))
    refused("InvalidParameterException", eks.associate_identity_provider_config, clusterName="demo", oidc=dict(oidc(9), issuerUrl="http://x"))
    refused("ResourceNotFoundException", eks.associate_identity_provider_config, clusterName="none", oidc=oidc(9))
    pages = list(eks.get_paginator("list_identity_provider_configs").paginate(clusterName="demo", PaginationConfig={"PageSize": 2}))
    assert [config["name"] for page in pages for config in page["identityProviderConfigs"]] == ["p0", "p1", "p2"] and len(pages) == 2
    wanted = {"type": "oidc", "name": "p1"}
    found = eks.describe_identity_provider_config(clusterName="demo", identityProviderConfig=wanted)["identityProviderConfig"]["oidc"]
    assert found["status"] == "ACTIVE" and found["issuerUrl"] == "https://id1.example.com" and found["tags"] == {"n": "1"}
    assert eks.list_tags_for_resource(resourceArn=found["identityProviderConfigArn"])["tags"] == {"n": "1"}
    waited(eks.disassociate_identity_provider_config(clusterName="demo", identityProviderConfig=wanted)["update"])
    for call in (eks.describe_identity_provider_config, eks.disassociate_identity_provider_config):
        assert "No config found for cluster: demo" in refused("ResourceNotFoundException", call, clusterName="demo", identityProviderConfig=wanted)
        refused("InvalidParameterException", call, clusterName="demo", identityProviderConfig={"type": "saml", "name": "p0"})
        refused("ResourceNotFoundException", call, clusterName="none", identityProviderConfig=wanted)
    refused("ResourceNotFoundException", eks.list_identity_provider_configs, clusterName="none")


def check_strangers(roles):
    """Without the permission, no entry is seen or made: the resource is the entry's ARN."""
    iam.create_user(UserName="dev")
    key = iam.create_access_key(UserName="dev")["AccessKey"]
    dev = boto3.client("eks", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"], config=config)
    message = refused("AccessDeniedException", dev.describe_access_entry, clusterName="demo", principalArn=roles[0])
    assert f"eks:DescribeAccessEntry on resource: arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/demo/role/{ACCOUNT}/dev0/*" in message, message
    statement = {"Effect": "Allow", "Action": "eks:*", "Resource": "*"}
    iam.put_user_policy(UserName="dev", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    message = refused("AccessDeniedException", dev.create_access_entry, clusterName="demo", principalArn=roles[4], type="EC2_LINUX")
    assert "iam:PassRole" in message, message
    entry = dev.create_access_entry(clusterName="demo", principalArn=roles[4], type="HYBRID_LINUX")["accessEntry"]
    assert entry["username"] == "system:node:{{SessionName}}" and entry["kubernetesGroups"] == ["system:nodes"]
    # Conditions on EKS's own keys.
    statements = [
        {"Effect": "Allow", "Action": "eks:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "eks:AssociateAccessPolicy", "Resource": "*",
         "Condition": {"StringNotEquals": {"eks:policyArn": POLICY + "AmazonEKSViewPolicy"}}},
        {"Effect": "Deny", "Action": "eks:AssociateAccessPolicy", "Resource": "*", "Condition": {"StringEquals": {"eks:accessScope": "cluster"}}},
        {"Effect": "Deny", "Action": "eks:AssociateIdentityProviderConfig", "Resource": "*",
         "Condition": {"StringNotLike": {"eks:issuerUrl": "https://good.example.com/*"}}},
        {"Effect": "Deny", "Action": ["eks:CreateAccessEntry", "eks:UpdateAccessEntry"], "Resource": "*",
         "Condition": {"ForAnyValue:StringEquals": {"eks:kubernetesGroups": ["admins"]}}},
        {"Effect": "Deny", "Action": "eks:CreateAccessEntry", "Resource": "*", "Condition": {"StringNotEquals": {"eks:accessEntryType": "STANDARD"}}},
    ]
    iam.put_user_policy(UserName="dev", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    eks.delete_access_entry(clusterName="demo", principalArn=roles[4])
    refused("AccessDeniedException", dev.create_access_entry, clusterName="demo", principalArn=roles[4], type="HYBRID_LINUX")
    refused("AccessDeniedException", dev.create_access_entry, clusterName="demo", principalArn=roles[4], kubernetesGroups=["x", "admins"])
    dev.create_access_entry(clusterName="demo", principalArn=roles[4], kubernetesGroups=["x"])
    refused("AccessDeniedException", dev.update_access_entry, clusterName="demo", principalArn=roles[4], kubernetesGroups=["admins"])
    who = {"clusterName": "demo", "principalArn": roles[4], "policyArn": POLICY + "AmazonEKSViewPolicy"}
    scope = {"type": "namespace", "namespaces": ["a"]}
    refused("AccessDeniedException", dev.associate_access_policy, **dict(who, policyArn=POLICY + "AmazonEKSEditPolicy"), accessScope=scope)
    refused("AccessDeniedException", dev.associate_access_policy, **who, accessScope={"type": "cluster"})
    dev.associate_access_policy(**who, accessScope=scope)
    provider = {"identityProviderConfigName": "bad", "issuerUrl": "https://bad.example.com/a", "clientId": "kubernetes"}
    refused("AccessDeniedException", dev.associate_identity_provider_config, clusterName="demo", oidc=provider)
    waited(dev.associate_identity_provider_config(clusterName="demo", oidc=dict(provider, issuerUrl="https://good.example.com/a"))["update"])


if __name__ == "__main__":
    roles = prepare()
    check_entries(roles)
    check_policies(roles)
    check_mode()
    check_providers()
    check_strangers(roles)
    print("as AWS has it")
