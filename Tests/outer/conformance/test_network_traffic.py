"""Services, names and ports as pods use them. Upstream: test/e2e/network/{service,dns,dns_common,endpointslice,endpointslicemirroring,hostport,proxy,service_latency}.go and
test/e2e/common/network/networking.go."""
import base64
import concurrent.futures
import json
import re
import subprocess
import time

from conftest import wait_for

from .pods import STARTS, Pods, is_ready, shell
from .together import outcomes, together  # noqa: F401

# Each has up to four pods, and the nodes have room for 34.
AT_ONCE = 6
PORT = 9376
# Tells its name to who asks, by HTTP and by datagram.
SERVE = f"hostname >/www/index.html; peer serve {PORT} & exec httpd -f -p {PORT} -h /www"
SERVICE_NAME = "kubernetes.io/service-name"


def server(name, labels=None, script=SERVE, port=PORT, **spec):
    """A pod that is ready when it answers."""
    probe = {"readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1, "timeoutSeconds": 5}}
    return shell(script, name, container={**probe, **spec.pop("container", {})}, metadata={"labels": labels or {"app": "server"}}, restartPolicy="Always", **spec)


class Network(Pods):
    """A namespace with a pod to ask from."""

    def __init__(self, cluster, namespace, *documents):
        super().__init__(cluster, namespace)
        self.services = cluster.core("services", namespace)
        documents = [shell("sleep 100000", "client"), *documents]
        for document in documents:
            self.create(document)
        for document in documents:
            self.wait(document["metadata"]["name"], is_ready, "is ready", STARTS)

    def service(self, name, ports=None, labels=None, **spec):
        spec = {"selector": labels or {"app": "server"}, "ports": ports or [{"port": 80, "targetPort": PORT}], **spec}
        return self.services.create({"metadata": {"name": name}, "spec": {key: value for key, value in spec.items() if value}})

    def ask(self, host, port=80, times=1, client="client"):
        """What is answered at http://HOST:PORT/ to each of several requests; an empty text for none."""
        return (self.exec(client, f"for i in $(seq {times}); do timeout 3 wget -qO- http://{host}:{port}/; done", check=False) or "").split()

    def send(self, host, port=PORT, client="client"):
        """What is answered to a datagram."""
        return (self.exec(client, f"peer ask {host} {port} hostname", check=False) or "").strip()

    def answers(self, host, port, names, client="client"):
        """Waits until all of the pods have answered there, and nobody else."""
        seen = set()

        def all_of_them():
            seen.update(self.ask(host, port, 4, client))
            return seen == set(names)
        wait_for(all_of_them, f"{host}:{port} is answered by {names}", timeout=STARTS, every=0.3)

    def is_silent(self, host, port):
        wait_for(lambda: self.ask(host, port) == [], f"nobody answers at {host}:{port}", every=0.3)

    def address(self, name):
        return self.get(name)["status"]["podIP"]

    def nodes(self):
        """The addresses of the nodes."""
        return [a["address"] for node in self.cluster.core("nodes").list()["items"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]

    def resolves(self, name, address, client="client"):
        """Waits until the C library finds that address, by names of its own search path, too."""
        wait_for(lambda: f"({address})" in (self.exec(client, f"timeout 5 ping -c 1 -W 1 {name}; true") or ""), f"{name} is {address}", timeout=STARTS, every=0.5)

    def record(self, kind, name):
        return self.exec("client", f"timeout 5 nslookup -type={kind} {name} 2>&1; true")

    def endpoints(self, service):
        """The names of pods behind a service, with their ports."""
        slices = self.cluster.resource("discovery.k8s.io/v1", "endpointslices", self.namespace).list(labelSelector=f"{SERVICE_NAME}={service}")["items"]
        found = {}
        for one in slices:
            for endpoint in one.get("endpoints") or []:
                if endpoint["conditions"]["ready"]:
                    found.setdefault(endpoint["targetRef"]["name"], set()).update(port["port"] for port in one.get("ports") or [])
        return found


@together
def test_endpoints_come_soon(cluster, namespace):
    """[sig-network] Service endpoints latency should not be very high [Conformance]"""
    network = Network(cluster, namespace, server("server"))
    slices = cluster.resource("discovery.k8s.io/v1", "endpointslices", namespace)

    def latency(number):
        began = time.monotonic()
        network.service(f"latency-{number}")
        wait_for(lambda: any(one.get("endpoints") for one in slices.list(labelSelector=f"{SERVICE_NAME}=latency-{number}")["items"]), "has endpoints", every=0.02)
        return time.monotonic() - began
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = sorted(pool.map(latency, range(200)))
    # Upstream's limits.
    assert found[100] < 20 and found[198] < 50, found


@together
def test_affinity(cluster, namespace, name):
    """All requests of a client go to one pod, while that is wished.

    [sig-network] Services should have session affinity work for service with type clusterIP [LinuxOnly] [Conformance]
    [sig-network] Services should have session affinity work for NodePort service [LinuxOnly] [Conformance]
    [sig-network] Services should be able to switch session affinity for service with type clusterIP [LinuxOnly] [Conformance]
    [sig-network] Services should be able to switch session affinity for NodePort service [LinuxOnly] [Conformance]"""
    names = [f"server-{number}" for number in range(3)]
    network = Network(cluster, namespace, *(server(one) for one in names))
    switches = "switch" in name
    made = network.service("affinity", type="NodePort" if "NodePort" in name else None, sessionAffinity=None if switches else "ClientIP")
    host, port = (network.nodes()[0], made["spec"]["ports"][0]["nodePort"]) if "NodePort" in name else (made["spec"]["clusterIP"], 80)

    def sticks():
        wait_for(lambda: len(network.ask(host, port, 15)) == 15, "it answers", timeout=STARTS)
        wait_for(lambda: len(set(network.ask(host, port, 15))) == 1, "one pod answers", timeout=STARTS)
    if switches:
        network.answers(host, port, names)
        network.services.patch("affinity", {"spec": {"sessionAffinity": "ClientIP"}})
        sticks()
        network.services.patch("affinity", {"spec": {"sessionAffinity": "None"}})
        network.answers(host, port, names)
    else:
        sticks()


@together
def test_types_change(cluster, namespace, name):
    """A service becomes another name, and a name a service.

    [sig-network] Services should be able to change the type from ExternalName to ClusterIP [Conformance]
    [sig-network] Services should be able to change the type from ExternalName to NodePort [Conformance]
    [sig-network] Services should be able to change the type from ClusterIP to ExternalName [Conformance]
    [sig-network] Services should be able to change the type from NodePort to ExternalName [Conformance]"""
    before, after = re.search(r"from (\w+) to (\w+)", name).groups()
    network = Network(cluster, namespace, server("server"))
    other = f"other.{namespace}.svc.cluster.local"
    network.service("other")
    spec = {"type": after, "externalName": None, "selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": PORT}]}
    if before == "ExternalName":
        network.services.create({"metadata": {"name": "changing"}, "spec": {"type": before, "externalName": other}})
        changed = network.services.patch("changing", {"spec": spec})
        network.answers("changing", 80, ["server"])
        network.answers(changed["spec"]["clusterIP"], 80, ["server"])
        if after == "NodePort":
            for node in network.nodes():
                network.answers(node, changed["spec"]["ports"][0]["nodePort"], ["server"])
    else:
        made = network.service("changing", type=before)
        network.answers(made["spec"]["clusterIP"], 80, ["server"])
        changed = network.services.patch("changing", {"spec": {"type": after, "externalName": other, "clusterIP": None, "clusterIPs": None}})
        assert "clusterIP" not in changed["spec"]
        wait_for(lambda: f"canonical name = {other}" in network.record("cname", f"changing.{namespace}.svc.cluster.local"), "the name is another", timeout=STARTS)
        network.is_silent(made["spec"]["clusterIP"], 80)


@together
def test_a_node_port(cluster, namespace):
    """[sig-network] Services should be able to create a functioning NodePort service [Conformance]"""
    names = ["server-1", "server-2"]
    network = Network(cluster, namespace, *(server(name) for name in names))
    spec = network.service("open", type="NodePort")["spec"]
    network.answers("open", 80, names)
    network.answers(spec["clusterIP"], 80, names)
    for node in network.nodes():
        network.answers(node, spec["ports"][0]["nodePort"], names)


@together
def test_endpoints_follow_pods(cluster, namespace, name):
    """Pods come to a service and go, with one port or several.

    [sig-network] Services should serve a basic endpoint from pods [Conformance]
    [sig-network] Services should serve multiport endpoints from pods [Conformance]"""
    network = Network(cluster, namespace)
    several = "multiport" in name
    ports = [{"name": "portname1", "port": 80, "targetPort": "portname1"}, {"name": "portname2", "port": 81, "targetPort": "portname2"}] if several else None
    address = network.service("service", ports)["spec"]["clusterIP"]
    assert network.endpoints("service") == {}
    numbers = {"server-1": 100, "server-2": 101} if several else {"server-1": PORT, "server-2": PORT}

    def add(name):
        own = {"name": f"portname{name[-1]}", "containerPort": numbers[name]}
        network.run(server(name, container={"ports": [own]}, port=numbers[name], script=SERVE.replace(str(PORT), str(numbers[name]))))

    def check(names):
        wait_for(lambda: network.endpoints("service") == {one: {numbers[one]} for one in names}, f"{names} are behind it", timeout=STARTS)
        for one in numbers:
            port = 80 + numbers[one] - 100 if several else 80
            expected = [one] if several else names
            if one in names:
                network.answers(address, port, expected)
            elif several or not names:
                network.is_silent(address, port)
    add("server-1")
    check(["server-1"])
    add("server-2")
    check(["server-1", "server-2"])
    for gone, left in (("server-1", ["server-2"]), ("server-2", [])):
        network.delete(gone)
        network.wait_gone(gone)
        check(left)


@together
def test_a_port_of_two_protocols(cluster, namespace):
    """[sig-network] Services should serve endpoints on same port and different protocols [Conformance]"""
    network = Network(cluster, namespace, server("server"))
    ports = [{"name": f"{protocol.lower()}-port", "port": PORT, "targetPort": PORT, "protocol": protocol} for protocol in ("TCP", "UDP")]
    address = network.service("multiprotocol", ports)["spec"]["clusterIP"]
    network.answers(address, PORT, ["server"])
    wait_for(lambda: network.send(address) == "server", "a datagram is answered", timeout=STARTS)
    network.services.update("multiprotocol", lambda object: object["spec"].update(ports=ports[:1]))
    wait_for(lambda: network.send(address) == "", "datagrams are not answered", timeout=STARTS)
    network.answers(address, PORT, ["server"])
    network.services.update("multiprotocol", lambda object: object["spec"].update(ports=ports[1:]))
    wait_for(lambda: network.send(address) == "server", "a datagram is answered", timeout=STARTS)
    network.is_silent(address, PORT)


def headless(name="heads", **spec):
    return dict(name=name, clusterIP="None", ports=[{"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}], **spec)


@together
def test_names_of_services(cluster, namespace, name):
    """With and without the parts that a pod's search path adds; ports and addresses, too.

    [sig-network] DNS should provide DNS for services [Conformance]
    [sig-network] DNS should resolve DNS of partial qualified names for services [LinuxOnly] [Conformance]"""
    network = Network(cluster, namespace, server("server"))
    network.service(**headless())
    address = network.service("plain", [{"name": "http", "port": 80, "targetPort": PORT}])["spec"]["clusterIP"]
    zone = f"{namespace}.svc.cluster.local"
    forms = ["", f".{namespace}", f".{namespace}.svc"] if "partial" in name else [f".{namespace}.svc", f".{zone}"]
    for form in forms:
        network.resolves(f"heads{form}", network.address("server"))
        network.resolves(f"plain{form}", address)
    for service in ("heads", "plain"):
        assert re.search(rf"service = \d+ \d+ {PORT if service == 'heads' else 80} \S*{service}.{zone}", network.record("srv", f"_http._tcp.{service}.{zone}"))
    assert f"name = plain.{zone}" in network.record("ptr", f"{'.'.join(reversed(address.split('.')))}.in-addr.arpa")


@together
def test_names_of_the_cluster(cluster, namespace):
    """[sig-network] DNS should provide DNS for the cluster [Conformance]"""
    address = cluster.core("services", "default").get("kubernetes")["spec"]["clusterIP"]
    Network(cluster, namespace).resolves("kubernetes.default.svc.cluster.local", address)


@together
def test_names_of_pods(cluster, namespace, name):
    """A pod with a host name in a service's domain, seen by itself and by others.

    [sig-network] DNS should provide /etc/hosts entries for the cluster [Conformance]
    [sig-network] DNS should provide DNS for pods for Hostname [Conformance]
    [sig-network] DNS should provide DNS for pods for Subdomain [Conformance]"""
    network = Network(cluster, namespace, server("server", hostname="dns-querier", subdomain="heads"))
    network.service(**headless())
    address, full = network.address("server"), f"dns-querier.heads.{namespace}.svc.cluster.local"
    if "/etc/hosts" in name:
        assert f"{address}\t{full}\tdns-querier" in network.exec("server", "cat /etc/hosts").splitlines()
        for one in (full, "dns-querier"):
            network.resolves(one, address, client="server")
    elif "Hostname" in name:
        network.resolves(full, address)
        network.resolves("dns-querier", address, client="server")
    else:
        network.resolves(full, address)
        network.resolves(f"heads.{namespace}.svc.cluster.local", address)


@together
def test_other_names(cluster, namespace):
    """[sig-network] DNS should provide DNS for ExternalName services [Conformance]"""
    network = Network(cluster, namespace)
    full = f"outside.{namespace}.svc.cluster.local"
    network.services.create({"metadata": {"name": "outside"}, "spec": {"type": "ExternalName", "externalName": "foo.example.com"}})
    for target in ("foo.example.com", "bar.example.com"):
        network.services.patch("outside", {"spec": {"externalName": target}})
        wait_for(lambda: f"canonical name = {target}" in network.record("cname", full), f"the name is {target}", timeout=STARTS)
    changed = network.services.patch("outside", {"spec": {"type": "ClusterIP", "externalName": None, "ports": [{"name": "http", "port": 80}]}})
    network.resolves(full, changed["spec"]["clusterIP"])


@together
def test_own_name_servers(cluster, namespace):
    """[sig-network] DNS should support configurable pod DNS nameservers [Conformance]"""
    output = Pods(cluster, namespace).output(shell(
        "cat /etc/resolv.conf", dnsPolicy="None", dnsConfig={"nameservers": ["1.1.1.1"], "searches": ["resolv.conf.local"]}))
    assert sorted(output.split("\n")) == ["", "nameserver 1.1.1.1", "search resolv.conf.local"]


def slice_of(name, addresses, *ports):
    return {"metadata": {"generateName": f"{name}-", "labels": {SERVICE_NAME: name}}, "addressType": "IPv4", "endpoints": [{"addresses": [a]} for a in addresses],
            "ports": [{"name": port_name, "port": port, "protocol": "TCP"} for port_name, port in ports]}


@together
def test_slices_written_by_hand(cluster, namespace, name):
    """Several slices are one service.

    [sig-network] EndpointSlice should support a Service with multiple ports specified in multiple EndpointSlices [Conformance]
    [sig-network] EndpointSlice should support a Service with multiple endpoint IPs specified in multiple EndpointSlices [Conformance]"""
    two_ports = f"hostname >/www/index.html; httpd -p 3000 -h /www; exec httpd -f -p {PORT} -h /www"
    network = Network(cluster, namespace, server("server-1", script=two_ports), server("server-2", script=two_ports))
    slices = cluster.resource("discovery.k8s.io/v1", "endpointslices", namespace)
    address = network.services.create({"metadata": {"name": "manual"}, "spec": {"ports": [
        {"name": "port80", "port": 80}, {"name": "port81", "port": 81}]}})["spec"]["clusterIP"]
    first, second = network.address("server-1"), network.address("server-2")
    if "multiple ports" in name:
        slices.create(slice_of("manual", [first], ("port80", 3000)))
        slices.create(slice_of("manual", [second], ("port81", PORT)))
        expected = {80: ["server-1"], 81: ["server-2"]}
    else:
        slices.create(slice_of("manual", [first], ("port80", 3000), ("port81", PORT)))
        slices.create(slice_of("manual", [second], ("port80", 3000), ("port81", PORT)))
        expected = {port: ["server-1", "server-2"] for port in (80, 81)}
    for port, names in expected.items():
        network.answers(address, port, names)


@together
def test_endpoints_are_mirrored(cluster, namespace):
    """[sig-network] EndpointSliceMirroring should mirror a custom Endpoints resource through create update and delete [Conformance]"""
    cluster.core("services", namespace).create({"metadata": {"name": "custom"}, "spec": {"ports": [{"name": "example", "port": 80}]}})
    endpoints, slices = cluster.core("endpoints", namespace), cluster.resource("discovery.k8s.io/v1", "endpointslices", namespace)

    def mirrored():
        return slices.list(labelSelector=f"{SERVICE_NAME}=custom")["items"]

    def is_one_with(address, port):
        return lambda: [
            ([e["addresses"] for e in one["endpoints"]], [p["port"] for p in one["ports"]]) for one in mirrored()] == [([[address]], [port])]
    endpoints.create({"metadata": {"name": "custom"}, "subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"name": "example", "port": 80}]}]})
    wait_for(is_one_with("10.1.2.3", 80), "they are mirrored")
    assert mirrored()[0]["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslicemirroring-controller.k8s.io"
    endpoints.update("custom", lambda object: object.update(subsets=[{"addresses": [{"ip": "10.2.3.4"}], "ports": [{"name": "example", "port": 9090}]}]))
    wait_for(is_one_with("10.2.3.4", 9090), "the change is mirrored")
    endpoints.delete("custom")
    wait_for(lambda: mirrored() == [], "the slices are gone")


@together
def test_host_ports(cluster, namespace):
    """[sig-network] HostPort validates that there is no conflict between pods with same hostPort but different hostIP and protocol [LinuxOnly] [Conformance]"""
    node = cluster.core("nodes").list()["items"][0]
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    place = {"nodeName": node["metadata"]["name"]}

    def on(name, ip, protocol):
        return server(name, container={"ports": [{"hostPort": 54323, "containerPort": PORT, "protocol": protocol, "hostIP": ip}]}, **place)
    network = Network(
        cluster, namespace, on("pod1", "127.0.0.1", "TCP"), on("pod2", address, "TCP"), on("pod3", address, "UDP"),
        shell("sleep 100000", "host", hostNetwork=True, **place))
    network.answers("127.0.0.1", 54323, ["pod1"], client="host")
    network.answers(address, 54323, ["pod2"], client="host")
    wait_for(lambda: network.send(address, 54323, client="host") == "pod3", "a datagram is answered", timeout=STARTS)


@together
def test_pods_reach_pods(cluster, namespace, name):
    """From a pod, or from a node, to pods of all nodes.

    [sig-network] Networking Granular Checks: Pods should function for intra-pod communication: http [NodeConformance] [Conformance]
    [sig-network] Networking Granular Checks: Pods should function for intra-pod communication: udp [NodeConformance] [Conformance]
    [sig-network] Networking Granular Checks: Pods should function for node-pod communication: http [LinuxOnly] [NodeConformance] [Conformance]
    [sig-network] Networking Granular Checks: Pods should function for node-pod communication: udp [LinuxOnly] [NodeConformance] [Conformance]"""
    nodes = cluster.core("nodes").names()
    servers = [server(f"server-{number}", nodeName=node) for number, node in enumerate(nodes)]
    network = Network(cluster, namespace, *servers, shell("sleep 100000", "host", hostNetwork=True))
    client = "host" if "node-pod" in name else "client"
    for number in range(len(nodes)):
        address = network.address(f"server-{number}")
        if "http" in name:
            network.answers(address, PORT, [f"server-{number}"], client)
        else:
            wait_for(lambda: network.send(address, client=client) == f"server-{number}", "a datagram is answered", timeout=STARTS)


PORTS = {80: '<a href="/rewriteme">test</a>', 1080: '<a href="/rewriteme">test</a>', 160: "foo", 162: "bar"}
SECURE = {443: '<a href="/tlsrewriteme">test</a>', 460: "tls baz", 462: "tls qux"}


@together
def test_proxies(cluster, namespace):
    """[sig-network] Proxy version v1 should proxy through a service and a pod [Conformance]"""
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", "/dev/stdout"], check=True, capture_output=True)
    cluster.core("secrets", namespace).create({"metadata": {"name": "tls"}, "data": {"pem": base64.b64encode(made.stdout).decode()}})

    def block(port, text, tls=""):
        kind = "text/html" if text.startswith("<") else "text/plain"
        return f"server {{ listen {port} {tls}; default_type {kind}; location / {{ return 200 '{text}'; }} }}"
    blocks = [block(*one) for one in PORTS.items()] + [block(*one, "ssl") for one in SECURE.items()]
    certificates = "ssl_certificate /tls/pem; ssl_certificate_key /tls/pem;"
    script = f"""cat >/tmp/nginx.conf <<'END'
user nobody nogroup; events {{}} http {{ {certificates} {' '.join(blocks)} }}
END
exec nginx -c /tmp/nginx.conf -g 'daemon off;'"""
    # The first is what the proxy of a pod leads to that is asked for no port.
    ports = [{"containerPort": 80}] + [{"name": name, "containerPort": port} for name, port in (("dest1", 160), ("dest2", 162), ("tlsdest1", 460), ("tlsdest2", 462))]
    container = {"ports": ports, "volumeMounts": [{"name": "tls", "mountPath": "/tls"}]}
    network = Network(cluster, namespace, server("server", script=script, port=80, container=container, volumes=[{"name": "tls", "secret": {"secretName": "tls"}}]))
    network.service("proxied", [
        {"name": name, "port": port, "targetPort": target} for name, port, target in (
            ("portname1", 80, "dest1"), ("portname2", 81, 162), ("tlsportname1", 443, "tlsdest1"), ("tlsportname2", 444, 462))])
    wait_for(lambda: network.endpoints("proxied"), "the service has endpoints")
    services, pods = f"/api/v1/namespaces/{namespace}/services", f"/api/v1/namespaces/{namespace}/pods"
    expected = {f"{services}/{scheme}proxied:portname{n}/proxy": text for scheme in ("", "http:") for n, text in ((1, "foo"), (2, "bar"))}
    expected.update({f"{services}/https:proxied:tlsportname{n}/proxy": text for n, text in ((1, "tls baz"), (2, "tls qux"))})
    expected.update({f"{pods}/{scheme}server:{port}/proxy": PORTS[port] for scheme in ("", "http:") for port in (1080, 160, 162)})
    expected.update({f"{pods}/https:server:{port}/proxy": text for port, text in SECURE.items()})
    expected[f"{pods}/server/proxy"] = PORTS[80]
    for _ in range(5):
        for path, text in expected.items():
            # Links lead through the proxy, too.
            assert cluster.request("GET", f"{path}/").body.decode() == text.replace('href="', f'href="{path}'), path


@together
def test_proxies_pass_all_methods(cluster, namespace, name):
    """To a pod and to a service, with and without a path.

    [sig-network] Proxy version v1 A set of valid responses are returned for both pod and service Proxy [Conformance]
    [sig-network] Proxy version v1 A set of valid responses are returned for both pod and service ProxyWithPath [Conformance]"""
    script = """cat >/tmp/nginx.conf <<'END'
user nobody nogroup; events {} http { default_type application/json; server { listen 80; location / { return 200 '{"Method":"$request_method","Body":"foo"}'; } } }
END
exec nginx -c /tmp/nginx.conf -g 'daemon off;'"""
    network = Network(cluster, namespace, server("agnhost", script=script, port=80))
    network.service("test-service", [{"port": 80, "targetPort": 80}])
    wait_for(lambda: network.endpoints("test-service"), "the service has endpoints")
    with_path = "WithPath" in name
    for target in ("pods/agnhost", "services/test-service"):
        base = f"/api/v1/namespaces/{namespace}/{target}/proxy"
        for method in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"):
            if method in ("GET", "HEAD") and not with_path:
                # Without a slash at the end relative links would lead nowhere.
                response = cluster.open(method, base, {"method": method})
                response.read()
                assert response.status == 301, (target, method, response.status)
                continue
            path = f"{base}/some/path/with/{method}" if with_path else base
            answer = cluster.request(method, path, query={} if with_path else {"method": method})
            assert answer.status == 200, (target, method)
            assert method == "HEAD" or json.loads(answer.body) == {"Method": method, "Body": "foo"}, (target, method)
