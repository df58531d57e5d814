"""Every operation of EKS by boto3, judged by botocore's own model: routed, checked, answered with documented errors; then each noun's life, its waiters,
paginators and tags; versions, endpoints and node groups against real control planes and machines."""
import base64
import json
import subprocess

import boto3
import botocore.session
import pytest
from aws_setup import client, cluster, fast, role, trust
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import REGION, wait_for

MODEL = botocore.session.get_session().get_service_model("eks")
OPERATIONS = MODEL.operation_names
# Those that end as they should though nothing of what they name is there.
ANSWERS_WITHOUT_RESOURCES = {
    "ListClusters", "DescribeClusterVersions", "DescribeAddonVersions", "ListAccessPolicies", "ListEksAnywhereSubscriptions",
    "CreateEksAnywhereSubscription",
}


class State:
    """What later tests need of earlier ones."""
    subnets = []
    roles = {}


state = State()


def sample(shape, name="x"):
    """The smallest value of a shape that its model allows."""
    if shape.type_name == "structure":
        return {k: sample(s, k) for k, s in shape.members.items() if k in shape.required_members}
    if shape.type_name == "list":
        return [sample(shape.member, name)]
    if shape.type_name == "map":
        return {"k": "v"}
    if shape.type_name == "boolean":
        return False
    if shape.type_name in ("integer", "long"):
        return shape.metadata.get("min", 1)
    if shape.type_name == "timestamp":
        return 0
    if getattr(shape, "enum", None):
        return shape.enum[0]
    if name.lower().endswith("arn"):
        return "arn:aws:iam::000000000000:role/nobody" if "role" in name.lower() or "principal" in name.lower() else "arn:aws:eks:us-west-2:000000000000:cluster/nobody"
    return "nobody"


def error(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def eks(service):
    return client(service, "eks")


@pytest.fixture(scope="module")
def loose(service):
    """A client that sends what its model forbids."""
    return boto3.client(
        "eks", region_name=REGION, endpoint_url=service.env["AWS_ENDPOINT_URL"], verify=service.env["AWS_CA_BUNDLE"],
        aws_access_key_id=service.env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=service.env["AWS_SECRET_ACCESS_KEY"],
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_is_routed_and_answers_documented_errors(eks, name):
    operation = MODEL.operation_model(name)
    parameters = sample(operation.input_shape) if operation.input_shape else {}
    # A cluster that is not there is told by its own error even where the model lists it not; clients rely on that.
    documented = {shape.name for shape in operation.error_shapes} | {"ResourceNotFoundException"}
    try:
        getattr(eks, botocore.xform_name(name))(**parameters)
        assert name in ANSWERS_WITHOUT_RESOURCES
    except ClientError as caught:
        code = caught.response["Error"]["Code"]
        assert code in documented, f"{code}: {caught.response['Error']['Message']}"
        assert caught.response["ResponseMetadata"]["HTTPStatusCode"] < 500


BODIES = [name for name in OPERATIONS if (shape := MODEL.operation_model(name).input_shape) and any(
    "location" not in shape.members[member].serialization for member in shape.required_members)]


@pytest.mark.parametrize("name", BODIES)
def test_input_is_checked_against_the_model(loose, name):
    shape = MODEL.operation_model(name).input_shape
    in_path = {k: "nobody" for k, s in shape.members.items() if s.serialization.get("location") == "uri"}
    code, message = error(lambda: getattr(loose, botocore.xform_name(name))(**in_path))
    assert code in ("InvalidParameterException", "BadRequestException"), f"{code}: {message}"
    assert "Member must not be null" in message


def test_cluster(service, eks):
    state.subnets = cluster(service, "ops", "10.61", version="1.34", tags={"team": "a"})
    made = eks.describe_cluster(name="ops")["cluster"]
    assert made["version"] == "1.34" and made["tags"] == {"team": "a"}
    assert json.loads(service.kubectl("get", "--raw", "/version"))["minor"] == "34"


def updated(eks, update, target="Successful", **where):
    def look():
        found = eks.describe_update(name="ops", updateId=update["id"], **where)["update"]
        assert found["status"] in ("InProgress", target), found
        return found if found["status"] == target else None
    return wait_for(look, f"update {update['type']} {target}", timeout=120)


def test_one_update_at_a_time_and_its_token(eks):
    config = dict(name="ops", zonalShiftConfig={"enabled": True}, clientRequestToken="zonal-1")
    first = eks.update_cluster_config(**config)["update"]
    assert eks.update_cluster_config(**config)["update"]["id"] == first["id"]
    updated(eks, first)
    code, message = error(lambda: eks.update_cluster_config(name="ops", zonalShiftConfig={"enabled": False}, deletionProtection=True))
    assert (code, message) == ("InvalidParameterException", "Only one type of update can be allowed.")


def test_version(service, eks):
    assert error(lambda: eks.update_cluster_version(name="ops", version="1.36")) == (
        "InvalidParameterException", "Unsupported Kubernetes minor version update from 1.34 to 1.36")
    service.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    update = eks.update_cluster_version(name="ops", version="1.35")["update"]
    assert update["type"] == "VersionUpdate" and {p["type"] for p in update["params"]} == {"Version", "PlatformVersion"}
    updated(eks, update)
    fast(eks.get_waiter("cluster_active")).wait(name="ops")
    assert eks.describe_cluster(name="ops")["cluster"]["version"] == "1.35"
    assert json.loads(service.kubectl("get", "--raw", "/version"))["gitVersion"].startswith("v1.35.")
    assert service.get("configmap", "kept")["data"] == {"a": "b"}
    back = eks.update_cluster_version(name="ops", version="1.34", rollbackConfig={"timeoutMinutes": 120})["update"]
    assert back["type"] == "VersionRollback"
    updated(eks, back)
    assert json.loads(service.kubectl("get", "--raw", "/version"))["minor"] == "34"
    assert error(lambda: eks.cancel_update(name="ops", updateId=back["id"]))[0] == "InvalidStateException"
    updated(eks, eks.update_cluster_version(name="ops", version="1.35")["update"])


def answers(service, endpoint, source):
    """The status of a request to an API server from an address of the loopback; nothing when it is cut off."""
    result = subprocess.run(
        ["curl", "-sk", "-m", "5", "--interface", source, "-o", "/dev/null", "-w", "%{http_code}", f"{endpoint}/healthz"], capture_output=True, text=True)
    return result.stdout if result.returncode == 0 else None


def test_public_access_is_limited_to_its_ranges(service, eks):
    endpoint = eks.describe_cluster(name="ops")["cluster"]["endpoint"]
    assert answers(service, endpoint, "127.0.0.1") == "200"
    updated(eks, eks.update_cluster_config(name="ops", resourcesVpcConfig={"publicAccessCidrs": ["127.0.0.2/32"]})["update"])
    assert answers(service, endpoint, "127.0.0.1") is None
    assert answers(service, endpoint, "127.0.0.2") == "200"
    code, message = error(lambda: eks.update_cluster_config(name="ops", resourcesVpcConfig={"endpointPublicAccess": False}))
    assert code == "InvalidParameterException" and "cannot be false" in message
    vpc = eks.describe_cluster(name="ops")["cluster"]["resourcesVpcConfig"]["vpcId"]
    client(service, "ec2").modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    update = eks.update_cluster_config(name="ops", resourcesVpcConfig={"endpointPublicAccess": False, "endpointPrivateAccess": True})["update"]
    assert update["type"] == "EndpointAccessUpdate"
    updated(eks, update)
    private = eks.describe_cluster(name="ops")["cluster"]["endpoint"]
    assert private.startswith("https://10.61.") and private != endpoint
    assert answers(service, endpoint, "127.0.0.2") is None
    service.aws("eks", "update-kubeconfig", "--name", "ops")
    assert service.get("configmap", "kept")["data"] == {"a": "b"}
    open_again = {"endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}
    updated(eks, eks.update_cluster_config(name="ops", resourcesVpcConfig=open_again)["update"])
    assert answers(service, endpoint, "127.0.0.1") == "200"
    service.aws("eks", "update-kubeconfig", "--name", "ops")


def test_other_settings(eks):
    logging = {"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]}
    updated(eks, eks.update_cluster_config(name="ops", logging=logging)["update"])
    shown = eks.describe_cluster(name="ops")["cluster"]["logging"]["clusterLogging"]
    assert {"types": ["api", "audit"], "enabled": True} in shown
    assert error(lambda: eks.update_cluster_config(name="ops", logging=logging)) == (
        "InvalidParameterException", "No changes needed for the logging config provided")
    updated(eks, eks.update_cluster_config(name="ops", upgradePolicy={"supportType": "STANDARD"})["update"])
    updated(eks, eks.update_cluster_config(name="ops", deletionProtection=True)["update"])
    assert error(lambda: eks.delete_cluster(name="ops"))[0] == "InvalidRequestException"
    updated(eks, eks.update_cluster_config(name="ops", deletionProtection=False)["update"])
    networks = {"remoteNodeNetworks": [{"cidrs": ["8.8.8.0/24"]}]}
    assert error(lambda: eks.update_cluster_config(name="ops", remoteNetworkConfig=networks))[0] == "InvalidParameterException"
    code, message = error(lambda: eks.update_cluster_config(name="ops", computeConfig={"enabled": True}))
    assert code == "InvalidParameterException" and "all either fully enabled or fully disabled" in message


def test_a_tier_gives_the_control_plane_more_seats(service, eks):
    def seats():
        lines = service.kubectl("get", "--raw", "/metrics").splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("apiserver_flowcontrol_nominal_limit_seats{"))
    before = seats()
    update = eks.update_cluster_config(name="ops", controlPlaneScalingConfig={"tier": "tier-xl"})["update"]
    assert update["type"] == "ControlPlaneScalingConfigUpdate" and {p["type"]: p["value"] for p in update["params"]} == {
        "UpdatedTier": "tier-xl", "PreviousTier": "standard"}
    updated(eks, update)
    assert eks.describe_cluster(name="ops")["cluster"]["controlPlaneScalingConfig"] == {"tier": "tier-xl"}
    assert seats() > 2 * before
    updated(eks, eks.update_cluster_config(name="ops", controlPlaneScalingConfig={"tier": "standard"})["update"])
    assert seats() == before


def test_updates_are_listed_in_pages(eks):
    pages = list(eks.get_paginator("list_updates").paginate(name="ops", PaginationConfig={"PageSize": 2}))
    ids = [i for page in pages for i in page["updateIds"]]
    assert len(pages) > 2 and len(ids) == len(set(ids)) >= 8
    for update in ids:
        assert eks.describe_update(name="ops", updateId=update)["update"]["type"] in MODEL.shape_for("UpdateType").enum


def test_versions_by_the_support_calendar(eks):
    versions = eks.describe_cluster_versions()["clusterVersions"]
    assert [v["clusterVersion"] for v in versions if v["defaultVersion"]] == ["1.36"]
    for version in versions:
        assert version["releaseDate"] < version["endOfStandardSupportDate"] < version["endOfExtendedSupportDate"]
        assert version["versionStatus"] in MODEL.shape_for("VersionStatus").enum
    standard = eks.describe_cluster_versions(versionStatus="STANDARD_SUPPORT")["clusterVersions"]
    assert standard and all(v["status"] == "standard-support" for v in standard)


def test_insights_are_of_what_the_server_saw(service, eks):
    service.kubectl("get", "endpoints")
    assert 'apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints"' in service.kubectl("get", "--raw", "/metrics")
    assert eks.start_insights_refresh(clusterName="ops")["status"] in ("IN_PROGRESS", "COMPLETED")
    wait_for(lambda: eks.describe_insights_refresh(clusterName="ops")["status"] == "COMPLETED", "the refresh")
    pages = list(eks.get_paginator("list_insights").paginate(clusterName="ops", PaginationConfig={"PageSize": 1}))
    insights = [i for page in pages for i in page["insights"]]
    assert {i["name"] for i in insights if i["category"] == "UPGRADE_READINESS"} == {
        "Kubelet version skew", "kube-proxy version skew", "Deprecated APIs in use", "Cluster health issues", "EKS add-on version compatibility"}
    deprecated = next(i for i in insights if i["name"] == "Deprecated APIs in use")
    detail = eks.describe_insight(clusterName="ops", id=deprecated["id"])["insight"]
    assert detail["insightStatus"]["status"] == "WARNING"
    usage = next(d for d in detail["categorySpecificSummary"]["deprecationDetails"] if d["usage"] == "/api/v1/endpoints")
    assert any("kubectl" in c["userAgent"] and c["numberOfRequestsLast30Days"] >= 1 for c in usage["clientStats"])


def test_secrets_leave_the_disk_in_plain_when_a_key_is_associated(service, eks):
    service.kubectl("create", "secret", "generic", "quiet", "--from-literal=word=unlikely-to-stand-here-otherwise")
    store = service.data / "clusters" / "ops" / "store.db"
    word = base64.b64encode(b"unlikely-to-stand-here-otherwise")

    def on_disk():
        return any(word in path.read_bytes() for path in store.parent.glob("store.db*"))
    assert on_disk()
    kms = client(service, "kms")
    key = kms.create_key(Description="secrets of ops")["KeyMetadata"]["Arn"]
    config = [{"resources": ["secrets"], "provider": {"keyArn": key}}]
    missing = [{"resources": ["secrets"], "provider": {"keyArn": key[:-1] + "x"}}]
    assert error(lambda: eks.associate_encryption_config(clusterName="ops", encryptionConfig=missing))[0] == "InvalidParameterException"
    update = eks.associate_encryption_config(clusterName="ops", encryptionConfig=config)["update"]
    assert update["type"] == "AssociateEncryptionConfig"
    updated(eks, update)
    assert eks.describe_cluster(name="ops")["cluster"]["encryptionConfig"] == config
    assert not on_disk() and base64.b64decode(service.get("secret", "quiet")["data"]["word"]) == b"unlikely-to-stand-here-otherwise"
    assert error(lambda: eks.associate_encryption_config(clusterName="ops", encryptionConfig=config))[0] == "InvalidParameterException"
    service.kill()
    service.start()
    wait_for(lambda: "quiet" in service.kubectl("get", "secrets", check=False).stdout, "the secret after a restart")
    [grant] = kms.list_grants(KeyId=key)["Grants"]
    assert grant["GranteePrincipal"].endswith(":role/ops-cluster") and set(grant["Operations"]) == {"Encrypt", "Decrypt", "DescribeKey"}

    def health():
        return [issue["code"] for issue in eks.describe_cluster(name="ops")["cluster"]["health"]["issues"]]
    kms.disable_key(KeyId=key)
    wait_for(lambda: health() == ["KmsKeyDisabled"], "the key's state in the cluster's health")
    assert service.kubectl("get", "secret", "quiet", check=False).returncode == 0, "a cluster that serves goes on"
    service.kill()
    service.start()
    wait_for(lambda: health() == ["KmsKeyDisabled"], "without its key the cluster does not start")
    assert service.kubectl("get", "secret", "quiet", check=False).returncode != 0
    kms.enable_key(KeyId=key)
    wait_for(lambda: health() == [] and service.kubectl("get", "secret", "quiet", check=False).returncode == 0, "the cluster is back with its key")


def test_keys_encrypt_and_decrypt(service):
    kms = client(service, "kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/words", TargetKeyId=key)
    sealed = kms.encrypt(KeyId="alias/words", Plaintext=b"word", EncryptionContext={"for": "test"})["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"for": "test"})["Plaintext"] == b"word"
    assert error(lambda: kms.decrypt(CiphertextBlob=sealed))[0] == "InvalidCiphertextException"
    data = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    assert len(data["Plaintext"]) == 32 and kms.decrypt(CiphertextBlob=data["CiphertextBlob"])["Plaintext"] == data["Plaintext"]
    assert len(kms.generate_random(NumberOfBytes=12)["Plaintext"]) == 12
    service.kill()
    service.start()
    assert kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"for": "test"})["Plaintext"] == b"word", "keys outlive the service"
    assert (service.data / "kms.key").stat().st_mode & 0o777 == 0o600
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert error(lambda: kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"for": "test"}))[0] == "KMSInvalidStateException"


def test_fargate_profile(service, eks):
    arn = role(service, "fargate", trust("eks-fargate-pods.amazonaws.com"), ["AmazonEKSFargatePodExecutionRolePolicy"])
    for name in ("one", "two"):
        profile = eks.create_fargate_profile(
            fargateProfileName=name, clusterName="ops", podExecutionRoleArn=arn, subnets=state.subnets, selectors=[{"namespace": "default", "labels": {"a": "b"}}],
            tags={"x": "y"}, clientRequestToken=f"token-{name}")["fargateProfile"]
        assert profile["status"] == "CREATING"
        fast(eks.get_waiter("fargate_profile_active")).wait(clusterName="ops", fargateProfileName=name)
    pages = list(eks.get_paginator("list_fargate_profiles").paginate(clusterName="ops", PaginationConfig={"PageSize": 1}))
    assert [p["fargateProfileNames"] for p in pages] == [["one"], ["two"]]
    tagged(eks, profile["fargateProfileArn"], {"x": "y"})
    assert error(lambda: eks.delete_cluster(name="ops"))[0] == "ResourceInUseException"
    for name in ("one", "two"):
        eks.delete_fargate_profile(clusterName="ops", fargateProfileName=name)
        fast(eks.get_waiter("fargate_profile_deleted")).wait(clusterName="ops", fargateProfileName=name)


def tagged(eks, arn, tags):
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == tags
    eks.tag_resource(resourceArn=arn, tags={"added": "1"})
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == dict(tags, added="1")
    eks.untag_resource(resourceArn=arn, tagKeys=["added"])
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == tags


def test_capability(service, eks):
    arn = role(service, "capability", trust("capabilities.eks.amazonaws.com"))
    made = eks.create_capability(capabilityName="kro", clusterName="ops", type="KRO", roleArn=arn, deletePropagationPolicy="RETAIN", tags={"a": "b"})["capability"]
    wait_for(lambda: eks.describe_capability(clusterName="ops", capabilityName="kro")["capability"]["status"] == "ACTIVE", "the capability")
    assert [c["capabilityName"] for c in eks.list_capabilities(clusterName="ops")["capabilities"]] == ["kro"]
    tagged(eks, made["arn"], {"a": "b"})
    ack = eks.create_capability(
        capabilityName="ack", clusterName="ops", type="ACK", roleArn=arn, deletePropagationPolicy="RETAIN", configuration={"ack": {"disabledServices": ["s3"]}})
    assert ack["capability"]["configuration"] == {"ack": {"disabledServices": ["s3"]}}
    wait_for(lambda: eks.describe_capability(clusterName="ops", capabilityName="ack")["capability"]["status"] == "ACTIVE", "the capability")
    update = eks.update_capability(clusterName="ops", capabilityName="ack", configuration={"ack": {"enableCrossNamespace": True}})["update"]
    updated(eks, update, capabilityName="ack")
    assert eks.list_updates(name="ops", capabilityName="ack")["updateIds"] == [update["id"]]
    for name in ("kro", "ack"):
        eks.delete_capability(clusterName="ops", capabilityName=name)
    wait_for(lambda: not eks.list_capabilities(clusterName="ops")["capabilities"], "the capabilities' end")


def test_subscription(eks):
    made = eks.create_eks_anywhere_subscription(name="anywhere", term={"duration": 12, "unit": "MONTHS"}, licenseQuantity=2, tags={"a": "b"})["subscription"]
    wait_for(lambda: eks.describe_eks_anywhere_subscription(id=made["id"])["subscription"]["status"] == "ACTIVE", "the subscription")
    assert (made["expirationDate"] - made["effectiveDate"]).days == 365
    assert eks.update_eks_anywhere_subscription(id=made["id"], autoRenew=True)["subscription"]["autoRenew"]
    listed = eks.get_paginator("list_eks_anywhere_subscriptions").paginate().build_full_result()["subscriptions"]
    assert made["id"] in [s["id"] for s in listed]
    tagged(eks, made["arn"], {"a": "b"})
    assert error(lambda: eks.delete_eks_anywhere_subscription(id=made["id"]))[0] == "InvalidRequestException"


def test_registered_cluster(service, eks):
    arn = role(service, "connector", trust("ssm.amazonaws.com"))
    made = eks.register_cluster(name="far", connectorConfig={"roleArn": arn, "provider": "GKE"}, tags={"a": "b"})["cluster"]
    assert made["status"] == "PENDING" and made["connectorConfig"]["activationCode"]
    assert eks.describe_cluster(name="far")["cluster"]["connectorConfig"]["provider"] == "GKE"
    assert eks.list_clusters(include=["all"])["clusters"] == ["far", "ops"] and eks.list_clusters()["clusters"] == ["ops"]
    tagged(eks, made["arn"], {"a": "b"})
    eks.deregister_cluster(name="far")
    assert error(lambda: eks.describe_cluster(name="far")) == ("ResourceNotFoundException", "No cluster found for name: far.")


def test_subnets_change_within_their_zones(service, eks):
    ec2 = client(service, "ec2")
    vpc = eks.describe_cluster(name="ops")["cluster"]["resourcesVpcConfig"]["vpcId"]
    zone = ec2.describe_subnets(SubnetIds=[state.subnets[1]])["Subnets"][0]["AvailabilityZone"]
    other = ec2.create_subnet(VpcId=vpc, CidrBlock="10.61.7.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
    third = ec2.create_subnet(VpcId=vpc, CidrBlock="10.61.8.0/24", AvailabilityZone=zone[:-1] + "c")["Subnet"]["SubnetId"]
    code, message = error(lambda: eks.update_cluster_config(name="ops", resourcesVpcConfig={"subnetIds": [state.subnets[0], third]}))
    assert code == "InvalidParameterException" and "exact set of AZs" in message
    update = eks.update_cluster_config(name="ops", resourcesVpcConfig={"subnetIds": [state.subnets[0], other]})["update"]
    updated(eks, update)
    interfaces = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["Amazon EKS ops"]}])["NetworkInterfaces"]
    assert sorted(i["SubnetId"] for i in interfaces) == sorted([state.subnets[0], other])
    assert service.get("configmap", "kept")["data"] == {"a": "b"}
    state.subnets = [state.subnets[0], other]


BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: web}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "nginx:1.15"}]
"""


def nodes(service):
    return {n["metadata"]["name"]: n for n in service.get("nodes")["items"]}


def test_nodes_get_labels_and_taints(service, eks):
    policies = ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"]
    arn = role(service, "ops-node", trust("ec2.amazonaws.com"), policies)
    eks.create_nodegroup(
        clusterName="ops", nodegroupName="ng", scalingConfig={"minSize": 1, "maxSize": 4, "desiredSize": 2}, subnets=state.subnets, nodeRole=arn,
        labels={"old": "1"})
    fast(eks.get_waiter("nodegroup_active")).wait(clusterName="ops", nodegroupName="ng")
    update = eks.update_nodegroup_config(
        clusterName="ops", nodegroupName="ng", labels={"addOrUpdateLabels": {"team": "a"}, "removeLabels": ["old"]},
        taints={"addOrUpdateTaints": [{"key": "soft", "value": "1", "effect": "PREFER_NO_SCHEDULE"}]})["update"]
    updated(eks, update, nodegroupName="ng")
    for node in nodes(service).values():
        assert node["metadata"]["labels"]["team"] == "a" and "old" not in node["metadata"]["labels"]
        assert {"key": "soft", "value": "1", "effect": "PreferNoSchedule"} in node["spec"]["taints"]


def test_nodes_are_replaced_by_the_next_version_one_by_one(service, eks):
    service.kubectl("apply", "-f", "-", input=BUDGET)
    service.kubectl("rollout", "status", "deployment/web", "--timeout=90s", timeout=120)
    before = nodes(service)
    assert all(n["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.35.") for n in before.values())
    updated(eks, eks.update_cluster_version(name="ops", version="1.36")["update"])
    update = eks.update_nodegroup_version(clusterName="ops", nodegroupName="ng")["update"]
    assert update["type"] == "VersionUpdate"

    def done():
        # The budget holds: one of the two is always there.
        ready = [p for p in service.get("pods", "-l", "app=web")["items"] if any(
            c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))]
        assert ready, "no pod of the budget is Ready"
        found = eks.describe_update(name="ops", updateId=update["id"], nodegroupName="ng")["update"]
        assert found["status"] in ("InProgress", "Successful"), found
        return found["status"] == "Successful"
    wait_for(done, "the rollout", timeout=180)
    fast(eks.get_waiter("nodegroup_active")).wait(clusterName="ops", nodegroupName="ng")
    after = nodes(service)
    assert len(after) == 2 and not set(after) & set(before)
    assert all(n["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.36.") for n in after.values())
    assert all(n["metadata"]["labels"]["team"] == "a" for n in after.values())
    assert eks.describe_nodegroup(clusterName="ops", nodegroupName="ng")["nodegroup"]["version"] == "1.36"


def on_node(service, node, *command):
    """What a command says and how it ends in the network namespace of a node."""
    instance = client(service, "ec2").describe_instances(Filters=[{"Name": "private-dns-name", "Values": [node]}])
    address = instance["Reservations"][0]["Instances"][0]["PrivateIpAddress"]
    for entry in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split("\n"):
        name = entry.split(" ")[0]
        if name and address + "/" in subprocess.run(
                ["ip", "netns", "exec", name, "ip", "-4", "-o", "addr"], capture_output=True, text=True).stdout:
            result = subprocess.run(["ip", "netns", "exec", name, *command], capture_output=True, text=True)
            return result.stdout if result.returncode == 0 else None
    raise AssertionError(f"no namespace has {address}")


def test_nodes_need_a_private_endpoint_or_a_public_one_that_lets_them_in(service, eks):
    interfaces = client(service, "ec2").describe_network_interfaces(Filters=[{"Name": "description", "Values": ["Amazon EKS ops"]}])
    url = f"https://{interfaces['NetworkInterfaces'][0]['PrivateIpAddress']}:443"
    node = sorted(nodes(service))[0]

    def reaches():
        return on_node(service, node, "curl", "-sk", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/healthz")
    assert reaches() == "200"
    limited = {"publicAccessCidrs": ["127.0.0.1/32"], "endpointPrivateAccess": False}
    updated(eks, eks.update_cluster_config(name="ops", resourcesVpcConfig=limited)["update"])
    try:
        assert reaches() is None, "the node leaves the VPC and comes to an endpoint that is closed to it"
        assert answers(service, eks.describe_cluster(name="ops")["cluster"]["endpoint"], "127.0.0.1") == "200"
    finally:
        updated(eks, eks.update_cluster_config(name="ops", resourcesVpcConfig={"endpointPrivateAccess": True})["update"])
    assert reaches() == "200"
    updated(eks, eks.update_cluster_config(name="ops", resourcesVpcConfig={"publicAccessCidrs": ["0.0.0.0/0"]})["update"])


def test_a_zonal_shift_takes_a_zone_out_of_service(service, eks):
    arc = client(service, "arc-zonal-shift")
    arn = eks.describe_cluster(name="ops")["cluster"]["arn"]
    assert [r["arn"] for r in arc.list_managed_resources()["items"]] == [arn], "zonalShiftConfig is enabled"
    zones = {s["AvailabilityZone"]: s["AvailabilityZoneId"] for s in client(service, "ec2").describe_subnets(SubnetIds=state.subnets)["Subnets"]}
    weights = arc.get_managed_resource(resourceIdentifier=arn)["appliedWeights"]
    assert set(weights) >= set(zones.values()) and set(weights.values()) == {1.0}
    service.kubectl("expose", "deployment", "web", "--port=80")
    of_zone = {name: n["metadata"]["labels"]["topology.kubernetes.io/zone"] for name, n in nodes(service).items()}
    zone = sorted(of_zone.values())[0]

    def endpoints():
        slices = service.get("endpointslices", "-l", "kubernetes.io/service-name=web")["items"]
        return {of_zone[e["nodeName"]] for s in slices for e in s.get("endpoints") or [] if e["conditions"].get("ready")}
    wait_for(lambda: endpoints() == set(of_zone.values()), "endpoints in both zones")
    shift = arc.start_zonal_shift(resourceIdentifier=arn, awayFrom=zones[zone], expiresIn="30m", comment="drill")
    assert shift["status"] == "ACTIVE" and shift["awayFrom"] == zones[zone]
    code, _ = error(lambda: arc.start_zonal_shift(resourceIdentifier=arn, awayFrom=zones[zone], expiresIn="30m", comment="again"))
    assert code == "ConflictException"

    def cordoned():
        return {of_zone[name] for name, n in nodes(service).items() if n["spec"].get("unschedulable")}
    wait_for(lambda: cordoned() == {zone}, "the zone's nodes cordoned")
    wait_for(lambda: endpoints() == set(of_zone.values()) - {zone}, "no endpoints in the zone")
    assert arc.get_managed_resource(resourceIdentifier=arn)["appliedWeights"][zones[zone]] == 0.0
    assert [s["zonalShiftId"] for s in arc.list_zonal_shifts(status="ACTIVE")["items"]] == [shift["zonalShiftId"]]
    assert arc.update_zonal_shift(zonalShiftId=shift["zonalShiftId"], expiresIn="2h")["expiryTime"] > shift["expiryTime"]
    assert arc.cancel_zonal_shift(zonalShiftId=shift["zonalShiftId"])["status"] == "CANCELED"
    wait_for(lambda: not cordoned() and endpoints() == set(of_zone.values()), "everything as before")
    code, _ = error(lambda: arc.cancel_zonal_shift(zonalShiftId=shift["zonalShiftId"]))
    assert code == "ConflictException"
    assert error(lambda: arc.start_zonal_shift(resourceIdentifier=arn, awayFrom="none", expiresIn="1h", comment=""))[0] == "ValidationException"
    assert error(lambda: arc.delete_practice_run_configuration(resourceIdentifier=arn))[0] == "NotImplementedException"


def test_an_update_goes_on_after_kill_9(service, eks):
    update = eks.update_cluster_config(name="ops", deletionProtection=True)["update"]
    service.kill()
    service.start()
    updated(eks, update)
    assert eks.describe_cluster(name="ops")["cluster"]["deletionProtection"] is True
    updated(eks, eks.update_cluster_config(name="ops", deletionProtection=False)["update"])


def test_deletion(service, eks):
    # Or the nodes would be drained for as long as the budget holds.
    service.kubectl("delete", "poddisruptionbudgets", "--all")
    eks.delete_nodegroup(clusterName="ops", nodegroupName="ng")
    fast(eks.get_waiter("nodegroup_deleted")).wait(clusterName="ops", nodegroupName="ng")
    eks.delete_cluster(name="ops")
    fast(eks.get_waiter("cluster_deleted")).wait(name="ops")
