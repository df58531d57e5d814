"""Add-ons as boto3 and kubectl see them: the catalogue, their life, their conflicts, and what they are in the cluster."""
import json
import socket
import threading

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
    assert [version["addonVersion"][:6] for version in proxy["addonVersions"]] == ["v1.34.", "v1.33."], "its own, and older ones within the skew"
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
    schema = json.loads(answer["configurationSchema"])
    assert schema["type"] == "object" and schema["properties"]["enableNetworkPolicy"]["type"] == "string"
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
    words = "ConfigurationValue provided in request is not supported: Json schema validation failed with error: [$.replicaCount: string found, integer expected]"
    refused(create("coredns", configurationValues='{"replicaCount": "3"}'), "InvalidParameterException", words)
    refused(create("kube-proxy", configurationValues="mode: ipvs"), "InvalidParameterException", "does not have a value in the enumeration [nftables]")
    refused(create("coredns", configurationValues=json.dumps({"corefile": ". {\n whoami\n}"})), "InvalidParameterException", "Corefile:2 - Error during parsing: Unknown directive 'whoami'")
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


CLIENTS = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: nginx, image: "nginx:1.15", command: [sh, -c, 'hostname >/www/index.html; exec nginx -g "daemon off;"'], readinessProbe: {httpGet: {port: 80}, periodSeconds: 1}}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: client, image: "nginx:1.15", command: [sleep, "100000"]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody}
spec: {podSelector: {matchLabels: {app: web}}, ingress: []}
"""
COREFILE = """
.:53 {{
    errors
    log
    hosts {{
        10.9.9.9 db.internal
        fallthrough
    }}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }}
    forward . /etc/resolv.conf
    cache 30
    reload
}}
corp.example:53 {{
    forward . {server}
}}
"""


@pytest.fixture(scope="module")
def noded(service):
    """A second cluster, with a node and two pods."""
    cluster(service, "noded", "10.94", nodes=1)
    service.kubectl("apply", "-f", "-", input=CLIENTS)
    service.kubectl("wait", "--for=condition=Ready", "pod/client", "pod/web", "--timeout=90s")
    return service


@pytest.fixture(scope="module")
def other_dns():
    """A DNS server of somebody else's on the host: 10.7.7.7 for every name."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", 0))

    def answer():
        while True:
            question, address = server.recvfrom(4096)
            if not question:
                return
            end = question.index(0, 12) + 5
            record = b"\xc0\x0c" + question[end - 4:end] + b"\0\0\0\x05"
            head = question[:2] + b"\x81\x80\0\1" + (b"\0\1" if question[end - 3] == 1 else b"\0\0") + b"\0\0\0\0"
            server.sendto(head + question[12:end] + (record + b"\0\4\x0a\7\7\7" if question[end - 3] == 1 else b""), address)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.sendto(b"", ("127.0.0.1", server.getsockname()[1]))
    thread.join(timeout=10)
    server.close()


def lookup(service, name):
    return service.kubectl("exec", "client", "--", "/bin/busybox", "nslookup", name, check=False).stdout


def test_a_corefile_acts_on_the_nodes_at_once(noded, other_dns):
    eks = client(noded, "eks")
    assert "10.9.9.9" not in lookup(noded, "db.internal")
    # The host as the node sees it: its subnet's router.
    node = noded.get("nodes")["items"][0]["status"]["addresses"][0]["address"]
    values = json.dumps({"corefile": COREFILE.format(server=f"{node.rsplit('.', 1)[0]}.1:{other_dns}"), "replicaCount": 3})
    eks.create_addon(clusterName="noded", addonName="coredns", configurationValues=values)
    fast(eks.get_waiter("addon_active")).wait(clusterName="noded", addonName="coredns")
    assert eks.describe_addon(clusterName="noded", addonName="coredns")["addon"]["configurationValues"] == values
    wait_for(lambda: "10.9.9.9" in lookup(noded, "db.internal"), "a name of the hosts' block")
    assert "10.7.7.7" in lookup(noded, "anything.corp.example"), "the stub domain's server is asked"
    assert noded.get("service", "kubernetes")["spec"]["clusterIP"] in lookup(noded, "kubernetes.default.svc.cluster.local")
    noded.kubectl("patch", "configmap", "coredns", "-n", "kube-system", "--type=merge", "-p", json.dumps({"data": {"Corefile": ". {\n nonsense\n}"}}))
    # The same Corefile goes on; the update meets the foreign field.
    assert "10.9.9.9" in lookup(noded, "db.internal")
    update = eks.update_addon(clusterName="noded", addonName="coredns", configurationValues="replicaCount: 2")["update"]
    wait_for(lambda: eks.describe_update(name="noded", addonName="coredns", updateId=update["id"])["update"]["status"] == "Failed", "the conflict")
    [issue] = eks.describe_addon(clusterName="noded", addonName="coredns")["addon"]["health"]["issues"]
    assert issue["code"] == "ConfigurationConflict" and "ConfigMap coredns - .data.Corefile" in issue["message"]
    eks.update_addon(clusterName="noded", addonName="coredns", configurationValues="replicaCount: 2", resolveConflicts="OVERWRITE")
    fast(eks.get_waiter("addon_active")).wait(clusterName="noded", addonName="coredns")
    wait_for(lambda: "10.9.9.9" not in lookup(noded, "db.internal"), "the standard Corefile")


def test_network_policies_go_and_come_with_the_add_ons_setting(noded):
    eks = client(noded, "eks")
    address = noded.get("pod", "web")["status"]["podIP"]

    def reaches():
        return noded.kubectl("exec", "client", "--", "/bin/busybox", "timeout", "3", "wget", "-qO-", f"http://{address}/", check=False).returncode == 0
    wait_for(lambda: not reaches(), "policies act by default")
    eks.create_addon(clusterName="noded", addonName="vpc-cni", configurationValues=json.dumps({"enableNetworkPolicy": "false", "env": {"WARM_IP_TARGET": "2"}}))
    fast(eks.get_waiter("addon_active")).wait(clusterName="noded", addonName="vpc-cni")
    wait_for(reaches, "policies are off")
    eks.update_addon(clusterName="noded", addonName="vpc-cni", configurationValues="enableNetworkPolicy: 'true'")
    fast(eks.get_waiter("addon_active")).wait(clusterName="noded", addonName="vpc-cni")
    wait_for(lambda: not reaches(), "policies are on again")
