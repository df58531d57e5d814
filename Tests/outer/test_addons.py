"""Add-ons as boto3 and kubectl see them: the catalogue, their life, their conflicts, and what they are in the cluster."""
import json

import pytest
from aws_setup import client, cluster, fast, role, trust
from botocore.exceptions import ClientError
from conftest import wait_for


@pytest.fixture(scope="module")
def demo(service):
    cluster(service, "demo", "10.92")
    return service


@pytest.fixture
def eks(demo):
    return client(demo, "eks")


def refused(call, code, text=""):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == code and text in error["Message"], error


def install(eks, name, **settings):
    made = eks.create_addon(clusterName="demo", addonName=name, **settings)["addon"]
    assert made["status"] == "CREATING"
    fast(eks.get_waiter("addon_active")).wait(clusterName="demo", addonName=name)
    return eks.describe_addon(clusterName="demo", addonName=name)["addon"]


def uninstall(eks, name, **settings):
    assert eks.delete_addon(clusterName="demo", addonName=name, **settings)["addon"]["status"] == "DELETING"
    fast(eks.get_waiter("addon_deleted")).wait(clusterName="demo", addonName=name)


def account(demo, name):
    result = demo.kubectl("get", "serviceaccounts", name, "-n", "kube-system", "-o", "json", "--ignore-not-found")
    return json.loads(result) if result.strip() else None


def test_the_catalogue(eks):
    addons = {addon["addonName"]: addon for addon in eks.describe_addon_versions()["addons"]}
    assert {"vpc-cni", "kube-proxy", "coredns", "metrics-server", "eks-pod-identity-agent", "aws-ebs-csi-driver"} <= set(addons)
    [proxy] = eks.describe_addon_versions(addonName="kube-proxy", kubernetesVersion="1.34")["addons"]
    assert all(version["addonVersion"].startswith("v1.34.") for version in proxy["addonVersions"])
    [compatibility] = proxy["addonVersions"][0]["compatibilities"]
    assert compatibility == {"clusterVersion": "1.34", "platformVersions": ["*"], "defaultVersion": True}
    assert {addon["addonName"] for addon in eks.describe_addon_versions(types=["networking"])["addons"]} == {"vpc-cni", "kube-proxy", "coredns"}
    assert [addon["addonName"] for addon in eks.describe_addon_versions(owners=["community"])["addons"]] == ["metrics-server"]
    assert eks.describe_addon_versions(addonName="none")["addons"] == []
    pages = eks.get_paginator("describe_addon_versions").paginate(PaginationConfig={"PageSize": 2})
    assert [addon["addonName"] for page in pages for addon in page["addons"]] == sorted(addons)
    refused(lambda: eks.describe_addon_versions(kubernetesVersion="1.2"), "InvalidParameterException")


def test_configuration_schemas(eks):
    version = eks.describe_addon_versions(addonName="vpc-cni")["addons"][0]["addonVersions"][0]["addonVersion"]
    answer = eks.describe_addon_configuration(addonName="vpc-cni", addonVersion=version)
    assert json.loads(answer["configurationSchema"])["type"] == "object"
    assert answer["podIdentityConfiguration"] == [
        {"serviceAccount": "aws-node", "recommendedManagedPolicies": ["arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"]}]
    refused(lambda: eks.describe_addon_configuration(addonName="vpc-cni", addonVersion="v0"), "ResourceNotFoundException")
    refused(lambda: eks.describe_addon_configuration(addonName="none", addonVersion="v0"), "ResourceNotFoundException")


def test_the_life_of_an_add_on(demo, eks):
    addon = install(eks, "vpc-cni", tags={"team": "a"}, clientRequestToken="one")
    assert addon["status"] == "ACTIVE" and addon["health"]["issues"] == [] and addon["tags"] == {"team": "a"}
    assert eks.create_addon(clusterName="demo", addonName="vpc-cni", tags={"team": "a"}, clientRequestToken="one")["addon"]["addonArn"] == addon["addonArn"]
    refused(lambda: eks.create_addon(clusterName="demo", addonName="vpc-cni"), "ResourceInUseException", "Addon already exists.")
    assert account(demo, "aws-node")["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "EKS"
    arn = role(demo, "cni", trust("pods.eks.amazonaws.com"))
    update = eks.update_addon(
        clusterName="demo", addonName="vpc-cni", addonVersion=addon["addonVersion"], serviceAccountRoleArn=arn, resolveConflicts="OVERWRITE")["update"]
    assert update["type"] == "AddonUpdate" and update["status"] == "InProgress"
    wait_for(lambda: eks.describe_update(name="demo", addonName="vpc-cni", updateId=update["id"])["update"]["status"] == "Successful", "the update is done")
    assert eks.list_updates(name="demo", addonName="vpc-cni")["updateIds"] == [update["id"]]
    assert account(demo, "aws-node")["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] == arn
    assert eks.describe_addon(clusterName="demo", addonName="vpc-cni")["addon"]["serviceAccountRoleArn"] == arn
    eks.tag_resource(resourceArn=addon["addonArn"], tags={"more": "b"})
    eks.untag_resource(resourceArn=addon["addonArn"], tagKeys=["team"])
    assert eks.list_tags_for_resource(resourceArn=addon["addonArn"])["tags"] == {"more": "b"}
    uninstall(eks, "vpc-cni", preserve=True)
    assert account(demo, "aws-node"), "preserved"
    install(eks, "vpc-cni")
    uninstall(eks, "vpc-cni")
    assert account(demo, "aws-node") is None
    refused(lambda: eks.describe_addon(clusterName="demo", addonName="vpc-cni"), "ResourceNotFoundException", "No addon: vpc-cni found in cluster: demo")
    refused(lambda: eks.delete_addon(clusterName="demo", addonName="vpc-cni"), "ResourceNotFoundException")
    refused(lambda: eks.update_addon(clusterName="demo", addonName="vpc-cni"), "ResourceNotFoundException")


def test_lists_are_paged(eks):
    names = ["eks-pod-identity-agent", "kube-proxy", "vpc-cni"]
    for name in names:
        install(eks, name)
    pages = eks.get_paginator("list_addons").paginate(clusterName="demo", PaginationConfig={"PageSize": 2})
    assert [name for page in pages for name in page["addons"]] == names
    refused(lambda: eks.list_addons(clusterName="none"), "ResourceNotFoundException", "No cluster found for name: none.")
    for name in names:
        uninstall(eks, name)


def test_conflicts_are_resolved_as_asked(demo, eks):
    arn = role(demo, "other", trust("pods.eks.amazonaws.com"))
    demo.kubectl("create", "serviceaccount", "aws-node", "-n", "kube-system")
    demo.kubectl("annotate", "serviceaccount", "aws-node", "-n", "kube-system", "eks.amazonaws.com/role-arn=mine")
    eks.create_addon(clusterName="demo", addonName="vpc-cni", serviceAccountRoleArn=arn)
    failed = wait_for(lambda: next((a for a in [eks.describe_addon(clusterName="demo", addonName="vpc-cni")["addon"]] if a["status"] == "CREATE_FAILED"), None),
                      "the add-on meets the annotation")
    [issue] = failed["health"]["issues"]
    assert issue["code"] == "ConfigurationConflict" and "role-arn" in issue["message"], issue
    role_of = lambda: account(demo, "aws-node")["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
    eks.update_addon(clusterName="demo", addonName="vpc-cni", resolveConflicts="PRESERVE")
    fast(eks.get_waiter("addon_active")).wait(clusterName="demo", addonName="vpc-cni")
    assert role_of() == "mine"
    eks.update_addon(clusterName="demo", addonName="vpc-cni", resolveConflicts="OVERWRITE")
    fast(eks.get_waiter("addon_active")).wait(clusterName="demo", addonName="vpc-cni")
    assert role_of() == arn
    uninstall(eks, "vpc-cni")


def test_pod_identity_associations_of_an_add_on(demo, eks):
    arn = role(demo, "pods", trust("pods.eks.amazonaws.com", ("sts:AssumeRole", "sts:TagSession")))
    addon = install(eks, "vpc-cni", podIdentityAssociations=[{"serviceAccount": "aws-node", "roleArn": arn}])
    [association] = eks.list_pod_identity_associations(clusterName="demo")["associations"]
    assert addon["podIdentityAssociations"] == [association["associationArn"]] and association["ownerArn"] == addon["addonArn"]
    wrong = [{"serviceAccount": "nobody", "roleArn": arn}]
    refused(lambda: eks.update_addon(clusterName="demo", addonName="vpc-cni", podIdentityAssociations=wrong), "InvalidParameterException", "is not supported for addon vpc-cni")
    uninstall(eks, "vpc-cni")
    assert eks.list_pod_identity_associations(clusterName="demo")["associations"] == []


def test_what_is_refused(eks):
    create = lambda name, **settings: lambda: eks.create_addon(clusterName="demo", addonName=name, **settings)
    refused(create("none"), "InvalidParameterException", "Addon none specified is not supported")
    refused(create("coredns", addonVersion="v0"), "InvalidParameterException", "Addon version specified is not supported")
    refused(create("coredns", configurationValues='{"replicaCount": 3}'), "InvalidParameterException", "Json schema validation failed")
    refused(create("aws-ebs-csi-driver"), "InvalidParameterException", "not implemented")
    refused(lambda: eks.create_addon(clusterName="none", addonName="coredns"), "ResourceNotFoundException")


def test_an_add_on_without_nodes_says_what_it_lacks(eks):
    eks.create_addon(clusterName="demo", addonName="coredns")
    addon = wait_for(lambda: next((a for a in [eks.describe_addon(clusterName="demo", addonName="coredns")["addon"]] if a["health"]["issues"]), None), "its health")
    assert addon["status"] == "CREATING" and addon["health"]["issues"][0]["code"] == "InsufficientNumberOfReplicas"


def test_add_ons_go_with_their_cluster(demo, eks):
    eks.delete_cluster(name="demo")
    fast(eks.get_waiter("cluster_deleted")).wait(name="demo")
    refused(lambda: eks.describe_addon(clusterName="demo", addonName="coredns"), "ResourceNotFoundException", "No cluster found")
