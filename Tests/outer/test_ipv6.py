"""IPv6: ranges and addresses in EC2, and a cluster whose pods and Services have IPv6 addresses only, with real pods on two nodes."""
import ipaddress
import os
import urllib.error
import urllib.request

import pytest
from aws_setup import client, cluster, role, trust
from botocore.exceptions import ClientError
from conftest import REGION, wait_for

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/net/if_inet6"), reason="the kernel has no IPv6")

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}]
      containers:
      - name: nginx
        image: nginx:1.15
        command: [sh, -c, 'hostname >/www/index.html; sed -i "s/listen 80;/listen [::]:80;/" /etc/nginx/nginx.conf; exec nginx -g "daemon off;"']
        ports: [{name: http, containerPort: 80}]
        readinessProbe: {httpGet: {port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: heads}
spec: {selector: {app: web}, clusterIP: None, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: client
    image: nginx:1.15
    command: [sleep, "100000"]
    env: [{name: IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: ported}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: nginx
    image: nginx:1.15
    command: [sh, -c, 'hostname >/www/index.html; sed -i "s/listen 80;/listen [::]:80;/" /etc/nginx/nginx.conf; exec nginx -g "daemon off;"']
    ports: [{containerPort: 80, hostPort: 8089}]
"""

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {friend: "yes"}}}], ports: [{port: http}]}]
"""


def parts(cidr, length=64):
    """The first two ranges of this length."""
    subnets = ipaddress.ip_network(cidr).subnets(new_prefix=length)
    return [str(next(subnets)), str(next(subnets))]


def dual_stack(service, prefix):
    """A VPC of both families with a subnet in each of two zones, whose interfaces have IPv6 addresses: the subnets' ids and ranges."""
    ec2 = client(service, "ec2")
    vpc = ec2.create_vpc(CidrBlock=f"{prefix}.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
    ids, ranges = [], parts(vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"])
    for index, zone in enumerate("ab"):
        subnet = ec2.create_subnet(
            VpcId=vpc["VpcId"], CidrBlock=f"{prefix}.{index}.0/24", Ipv6CidrBlock=ranges[index], AvailabilityZone=f"{REGION}{zone}")["Subnet"]
        ec2.modify_subnet_attribute(SubnetId=subnet["SubnetId"], AssignIpv6AddressOnCreation={"Value": True})
        ids.append(subnet["SubnetId"])
    return ids, [ipaddress.ip_network(r) for r in ranges]


def code(error):
    return error.value.response["Error"]["Code"]


def test_ec2_gives_vpcs_subnets_and_interfaces_ipv6(service):
    ec2 = client(service, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]
    assert vpc["Ipv6CidrBlockAssociationSet"] == []
    added = ec2.associate_vpc_cidr_block(VpcId=vpc["VpcId"], AmazonProvidedIpv6CidrBlock=True)["Ipv6CidrBlockAssociation"]
    assert added["Ipv6CidrBlock"].endswith("/56") and added["Ipv6Pool"] == "Amazon"
    described = ec2.describe_vpcs(Filters=[{"Name": "ipv6-cidr-block-association.ipv6-cidr-block", "Values": [added["Ipv6CidrBlock"]]}])["Vpcs"]
    assert [v["VpcId"] for v in described] == [vpc["VpcId"]]
    assert described[0]["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlockState"]["State"] == "associated"
    first, second = parts(added["Ipv6CidrBlock"])
    subnet = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.60.0.0/24", Ipv6CidrBlock=first)["Subnet"]
    assert subnet["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"] == first and not subnet["AssignIpv6AddressOnCreation"]
    with pytest.raises(ClientError) as error:
        ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.60.1.0/24", Ipv6CidrBlock=first)
    assert code(error) == "InvalidSubnet.Conflict"
    other = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.60.1.0/24")["Subnet"]["SubnetId"]
    assert ec2.associate_subnet_cidr_block(SubnetId=other, Ipv6CidrBlock=second)["Ipv6CidrBlockAssociation"]["Ipv6CidrBlock"] == second
    ec2.modify_subnet_attribute(SubnetId=other, AssignIpv6AddressOnCreation={"Value": True})
    interface = ec2.create_network_interface(SubnetId=other)["NetworkInterface"]
    address = interface["Ipv6Addresses"][0]["Ipv6Address"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(second)
    given = ec2.assign_ipv6_addresses(NetworkInterfaceId=interface["NetworkInterfaceId"], Ipv6PrefixCount=1)["AssignedIpv6Prefixes"]
    assert ipaddress.ip_network(given[0]).prefixlen == 80
    found = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface["NetworkInterfaceId"]])["NetworkInterfaces"][0]
    assert found["Ipv6Prefixes"] == [{"Ipv6Prefix": given[0]}] and found["Ipv6Addresses"][0]["Ipv6Address"] == address
    ec2.unassign_ipv6_addresses(NetworkInterfaceId=interface["NetworkInterfaceId"], Ipv6Prefixes=given, Ipv6Addresses=[address])
    ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    routes = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["RouteTables"][0]["Routes"]
    assert any(r.get("DestinationIpv6CidrBlock") == added["Ipv6CidrBlock"] and r["GatewayId"] == "local" for r in routes)
    for id in (subnet["SubnetId"], other):
        ec2.delete_subnet(SubnetId=id)
    gone = ec2.disassociate_vpc_cidr_block(AssociationId=added["AssociationId"])
    assert gone["Ipv6CidrBlockAssociation"]["Ipv6CidrBlock"] == added["Ipv6CidrBlock"]
    ec2.delete_vpc(VpcId=vpc["VpcId"])


def test_a_cluster_needs_a_network_with_ipv6(service):
    ec2, eks = client(service, "ec2"), client(service, "eks")
    arn = role(service, "refused-cluster", trust("eks.amazonaws.com"), ["AmazonEKSClusterPolicy"])
    vpc = ec2.create_vpc(CidrBlock="10.61.0.0/16")["Vpc"]["VpcId"]
    plain = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.61.{i}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"]["SubnetId"]
        for i, zone in enumerate("ab")]
    dual, _ = dual_stack(service, "10.62")
    for subnets, network, words in [
        (plain, {"ipFamily": "ipv6"}, "IPv6 CIDR block"),
        (dual, {"ipFamily": "ipv6", "serviceIpv4Cidr": "10.100.0.0/16"}, "serviceIpv4Cidr"),
    ]:
        with pytest.raises(eks.exceptions.InvalidParameterException, match=words):
            eks.create_cluster(name="refused", roleArn=arn, resourcesVpcConfig={"subnetIds": subnets}, kubernetesNetworkConfig=network)


@pytest.fixture(scope="module")
def six(service):
    service.subnets, service.ranges = dual_stack(service, "10.63")
    cluster(service, "six", "10.63", nodes=2, subnets=service.subnets, kubernetesNetworkConfig={"ipFamily": "ipv6"})
    service.kubectl("apply", "-f", "-", input=WEB)
    service.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    service.kubectl("wait", "--for=condition=Ready", "pod/client", "pod/ported", "--timeout=90s")
    return service


def shell(service, script, check=True):
    result = service.kubectl("exec", "client", "--", "sh", "-c", script, check=False)
    assert not check or result.returncode == 0, result.stdout
    return result.stdout.strip()


def fetch(service, host, count=1):
    return shell(service, f"for i in $(/bin/busybox seq {count}); do wget -qO- 'http://{host}/' || exit 1; done").split()


def from_host(address, port):
    """Nil when nobody answers."""
    try:
        return urllib.request.urlopen(f"http://[{address}]:{port}/", timeout=2).read().decode().strip()
    except (urllib.error.URLError, OSError):
        return None


def names(service):
    return {p["metadata"]["name"] for p in service.get("pods", "-l", "app=web")["items"] if "deletionTimestamp" not in p["metadata"]}


def is_within(address, ranges):
    return any(ipaddress.ip_address(address) in r for r in ranges)


def test_the_cluster_shows_its_family(six):
    network = client(six, "eks").describe_cluster(name="six")["cluster"]["kubernetesNetworkConfig"]
    assert network["ipFamily"] == "ipv6" and "serviceIpv4Cidr" not in network
    services = ipaddress.ip_network(network["serviceIpv6Cidr"])
    assert services.prefixlen == 108 and services.subnet_of(ipaddress.ip_network("fc00::/7"))
    for name in ("kubernetes", "web"):
        spec = six.get("service", name)["spec"]
        assert ipaddress.ip_address(spec["clusterIP"]) in services and spec["ipFamilies"] == ["IPv6"]
    slices = six.get("endpointslices")["items"]
    assert slices and {s["addressType"] for s in slices} == {"IPv6"}


def test_nodes_and_pods_have_ipv6_addresses_of_their_subnets(six):
    instances = {
        i["PrivateDnsName"]: i["NetworkInterfaces"][0]
        for r in client(six, "ec2").describe_instances(Filters=[{"Name": "tag:eks:cluster-name", "Values": ["six"]}])["Reservations"]
        for i in r["Instances"]}
    prefixes = {}
    for node in six.get("nodes")["items"]:
        interface = instances[node["metadata"]["name"]]
        own = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
        assert own == [interface["Ipv6Addresses"][0]["Ipv6Address"]] and is_within(own[0], six.ranges)
        prefixes[node["metadata"]["name"]] = ipaddress.ip_network(interface["Ipv6Prefixes"][0]["Ipv6Prefix"])
    pods = six.get("pods")["items"]
    assert len(pods) == 4
    for pod in pods:
        assert pod["status"]["podIPs"] == [{"ip": pod["status"]["podIP"]}]
        assert ipaddress.ip_address(pod["status"]["podIP"]) in prefixes[pod["spec"]["nodeName"]]
        assert is_within(pod["status"]["hostIP"], six.ranges)
    assert shell(six, "echo $IPS") == six.get("pod", "client")["status"]["podIP"]


def test_pods_reach_each_other_services_and_names(six):
    for pod in six.get("pods", "-l", "app=web")["items"]:
        assert fetch(six, f"[{pod['status']['podIP']}]") == [pod["metadata"]["name"]], "from the node of the client, and from the other"
    address = six.get("service", "web")["spec"]["clusterIP"]
    wait_for(lambda: set(fetch(six, f"[{address}]", 20)) == names(six), "both pods answer at the Service's address", timeout=30)
    assert set(fetch(six, "web.default.svc.cluster.local", 10)) <= names(six)
    resolver = shell(six, "cat /etc/resolv.conf")
    assert f"nameserver {six.get('service', 'kube-dns', '-n', 'kube-system')['spec']['clusterIP']}" in resolver
    heads = shell(six, "/bin/busybox nslookup heads.default.svc.cluster.local 2>&1", check=False)
    assert all(p["status"]["podIP"] in heads for p in six.get("pods", "-l", "app=web")["items"]), heads
    assert "web.default.svc.cluster.local" in shell(six, f"/bin/busybox nslookup {address} 2>&1", check=False)


def test_pods_reach_the_api_server_and_ipv4_outside(six):
    assert "connected" in shell(six, "printf x | nc -w 2 kubernetes.default 443 >/dev/null && echo connected")
    interfaces = client(six, "ec2").describe_network_interfaces(Filters=[{"Name": "description", "Values": ["Amazon EKS six"]}])
    outside = interfaces["NetworkInterfaces"][0]["PrivateIpAddress"]
    assert "connected" in shell(six, f"printf x | nc -w 2 {outside} 443 >/dev/null && echo connected"), "an address of IPv4, beyond the node"


def test_node_ports_host_ports_and_balancers_answer_the_host(six):
    port = six.get("service", "balanced")["spec"]["ports"][0]["nodePort"]
    for node in six.get("nodes")["items"]:
        address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        wait_for(lambda: {from_host(address, port) for _ in range(20)} == names(six), f"both pods answer at {address}", timeout=20)
    ported = six.get("pod", "ported")["status"]["hostIP"]
    wait_for(lambda: from_host(ported, 8089) == "ported", "the pod answers at its node's port", timeout=20)

    def balancer():
        ingress = six.get("service", "balanced")["status"]["loadBalancer"].get("ingress", [])
        return ingress and ingress[0]["ip"]
    found = wait_for(balancer, "the balancer has an address")
    assert is_within(found, six.ranges)
    wait_for(lambda: {from_host(found, 80) for _ in range(20)} == names(six), "both pods answer the host", timeout=20)
    assert set(fetch(six, f"[{found}]", 5)) <= names(six)


def test_kubelets_are_reached_by_ipv6(six):
    pod = sorted(names(six))[0]
    assert six.kubectl("exec", pod, "--", "hostname").strip() == pod
    six.kubectl("logs", pod)
    node = six.get("nodes")["items"][0]["metadata"]["name"]
    assert six.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/healthz").strip() == "ok"
    assert pod in six.kubectl("get", "--raw", f"/api/v1/namespaces/default/pods/{pod}/proxy/")


def test_a_network_policy_shuts_out_whom_it_does_not_name(six):
    def reaches():
        return six.kubectl("exec", "client", "--", "/bin/busybox", "timeout", "3", "wget", "-qO-", "http://web/", check=False).returncode == 0
    assert reaches()
    six.kubectl("apply", "-f", "-", input=POLICY)
    wait_for(lambda: not reaches(), "strangers are shut out")
    six.kubectl("label", "pod", "client", "friend=yes")
    wait_for(lambda: all(reaches() for _ in range(4)), "a friend is let in")
    six.kubectl("delete", "networkpolicy", "web")
