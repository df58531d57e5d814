"""Services and names as pods and the host see them: real pods on two nodes, kubectl, the resolver and wget of busybox."""
import urllib.error
import urllib.request

import pytest
from aws_setup import cluster
from conftest import wait_for

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
        command: [sh, -c, 'hostname >/www/index.html; exec nginx -g "daemon off;"']
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
metadata: {name: sticky}
spec: {selector: {app: web}, sessionAffinity: ClientIP, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: heads}
spec: {selector: {app: web}, clusterIP: None, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: open}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: local}
spec: {type: NodePort, externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: ported}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: nginx
    image: nginx:1.15
    command: [sh, -c, 'hostname >/www/index.html; exec nginx -g "daemon off;"']
    ports: [{containerPort: 80, hostPort: 8088}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: client, image: "nginx:1.15", command: [sleep, "100000"]}]
"""


@pytest.fixture(scope="module")
def demo(service):
    cluster(service, "demo", "10.92", nodes=2)
    service.kubectl("apply", "-f", "-", input=WEB)
    service.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    service.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=90s")
    return service


def shell(service, script, check=True):
    result = service.kubectl("exec", "client", "--", "sh", "-c", script, check=False)
    assert not check or result.returncode == 0, result.stdout
    return result.stdout.strip()


def fetch(service, host, count=1):
    """What a pod reads at http://HOST/, COUNT times."""
    return shell(service, f"for i in $(/bin/busybox seq {count}); do wget -qO- http://{host}/ || exit 1; done").split()


def lookup(service, name):
    """The addresses and names that busybox's nslookup prints behind the server's own."""
    lines = shell(service, f"/bin/busybox nslookup {name} 2>&1", check=False).splitlines()
    return "\n".join(lines[2:])


def names(service):
    return {p["metadata"]["name"] for p in service.get("pods", "-l", "app=web")["items"] if "deletionTimestamp" not in p["metadata"]}


def node_addresses(service):
    return [a["address"] for n in service.get("nodes")["items"] for a in n["status"]["addresses"] if a["type"] == "InternalIP"]


def from_host(address, port):
    """Nil when nobody answers."""
    try:
        return urllib.request.urlopen(f"http://{address}:{port}/", timeout=2).read().decode().strip()
    except (urllib.error.URLError, OSError):
        return None


def test_a_pod_reaches_services_by_name(demo):
    wait_for(lambda: set(fetch(demo, "web", 20)) == names(demo), "both pods answer", timeout=30)
    for host in ("web.default", "web.default.svc.cluster.local", "outside"):
        assert set(fetch(demo, host)) <= names(demo)
    resolver = shell(demo, "cat /etc/resolv.conf")
    server = demo.get("service", "kube-dns", "-n", "kube-system")["spec"]["clusterIP"]
    assert f"nameserver {server}" in resolver and "search default.svc.cluster.local svc.cluster.local cluster.local" in resolver
    assert "ndots:5" in resolver


def test_names_of_services_pods_and_addresses(demo):
    address = demo.get("service", "web")["spec"]["clusterIP"]
    assert address in lookup(demo, "web.default.svc.cluster.local")
    assert "web.default.svc.cluster.local" in lookup(demo, address)
    pods = [p["status"]["podIP"] for p in demo.get("pods", "-l", "app=web")["items"]]
    heads = lookup(demo, "heads.default.svc.cluster.local")
    assert all(pod in heads for pod in pods)
    dashed = pods[0].replace(".", "-")
    assert pods[0] in lookup(demo, f"{dashed}.default.pod.cluster.local")
    assert pods[0] in lookup(demo, f"{dashed}.heads.default.svc.cluster.local")
    assert "NXDOMAIN" in lookup(demo, "nothing.default.svc.cluster.local")


def test_the_api_server_from_a_pod(demo):
    script = """
        token=$(cat /var/run/secrets/kubernetes.io/serviceaccount/token)
        printf 'x' | nc -w 2 kubernetes.default 443 >/dev/null && echo connected"""
    assert "connected" in shell(demo, script)
    assert demo.get("service", "kubernetes")["spec"]["clusterIP"] in lookup(demo, "kubernetes.default.svc.cluster.local")


def test_session_affinity_keeps_a_pod_at_its_endpoint(demo):
    assert len(set(fetch(demo, "sticky", 20))) == 1


def test_a_service_without_endpoints_is_refused_at_once(demo):
    answer = wait_for(lambda: shell(demo, "wget -qO- http://nobody/ 2>&1; true"), "an answer")
    assert "refused" in answer.lower() or "unreachable" in answer.lower(), answer


def test_node_ports_answer_the_host(demo):
    port = demo.get("service", "open")["spec"]["ports"][0]["nodePort"]
    for address in node_addresses(demo):
        seen = wait_for(lambda: {from_host(address, port) for _ in range(20)} == names(demo), f"both pods answer at {address}", timeout=20)
        assert seen


def test_external_traffic_policy_local_stays_on_the_node(demo):
    port = demo.get("service", "local")["spec"]["ports"][0]["nodePort"]
    by_node = {p["spec"]["nodeName"]: p["metadata"]["name"] for p in demo.get("pods", "-l", "app=web")["items"]}
    for node in demo.get("nodes")["items"]:
        address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        assert {from_host(address, port) for _ in range(5)} == {by_node[node["metadata"]["name"]]}


def test_a_load_balancer_answers_the_host_and_pods(demo):
    def address():
        ingress = demo.get("service", "balanced")["status"]["loadBalancer"].get("ingress", [])
        return ingress and ingress[0]["ip"]
    found = wait_for(address, "the balancer has an address")
    assert found.startswith("10.92.")
    wait_for(lambda: {from_host(found, 80) for _ in range(20)} == names(demo), "both pods answer the host", timeout=20)
    assert set(fetch(demo, found, 10)) <= names(demo)
    assert from_host(found, 81) is None
    demo.kubectl("delete", "service", "balanced")
    assert from_host(found, 80) is None


def test_a_host_port_leads_to_its_pod(demo):
    demo.kubectl("wait", "--for=condition=Ready", "pod/ported", "--timeout=60s")
    node = demo.get("pod", "ported")["status"]["hostIP"]
    wait_for(lambda: from_host(node, 8088) == "ported", "the pod answers at its node's port", timeout=20)
    assert shell(demo, f"wget -qO- http://{node}:8088/") == "ported"
    demo.kubectl("delete", "pod", "ported")
    wait_for(lambda: from_host(node, 8088) is None, "the port is closed", timeout=30)


POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {friend: "yes"}}}], ports: [{port: http}]}]
"""


def test_a_network_policy_shuts_out_whom_it_does_not_name(demo):
    def reaches():
        return demo.kubectl("exec", "client", "--", "/bin/busybox", "timeout", "3", "wget", "-qO-", "http://web/", check=False).returncode == 0
    assert reaches()
    demo.kubectl("apply", "-f", "-", input=POLICY)
    wait_for(lambda: not reaches(), "strangers are shut out")
    demo.kubectl("label", "pod", "client", "friend=yes")
    wait_for(lambda: all(reaches() for _ in range(4)), "a friend is let in")
    demo.kubectl("label", "pod", "client", "friend-")
    wait_for(lambda: not reaches(), "no friend any more")
    demo.kubectl("delete", "networkpolicy", "web")
    wait_for(lambda: all(reaches() for _ in range(4)), "open again")


SHUT_IN = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shut-in}
spec: {podSelector: {matchLabels: {shut: in}}, policyTypes: [Egress], egress: []}
"""


def test_an_egress_policy_covers_what_answers_on_the_node(demo):
    def answers(address):
        """Whoever shows no token is refused: an answer too."""
        return "401" in shell(demo, f"/bin/busybox timeout 3 wget -qO- http://{address}/latest/ 2>&1", check=False)
    assert answers("169.254.169.254")
    demo.kubectl("label", "pod", "client", "shut=in")
    demo.kubectl("apply", "-f", "-", input=SHUT_IN)
    wait_for(lambda: not answers("169.254.169.254"), "instance metadata is shut off")
    assert lookup(demo, "web.default.svc.cluster.local"), "names are still answered"
    demo.kubectl("delete", "networkpolicy", "shut-in")
    demo.kubectl("label", "pod", "client", "shut-")
    wait_for(lambda: answers("169.254.169.254"), "open again")


def test_services_follow_their_pods(demo):
    demo.kubectl("scale", "deployment/web", "--replicas=1")
    wait_for(lambda: len(names(demo)) == 1 and set(fetch(demo, "web", 10)) == names(demo), "only the pod that is left answers", timeout=60)
    demo.kubectl("scale", "deployment/web", "--replicas=2")
    demo.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    wait_for(lambda: set(fetch(demo, "web", 20)) == names(demo), "both answer again", timeout=60)


def test_the_proxy_goes_and_comes_with_its_object(demo):
    saved = demo.kubectl("get", "configmap", "kube-proxy-config", "-n", "kube-system", "-o", "yaml")
    port = demo.get("service", "open")["spec"]["ports"][0]["nodePort"]
    address = node_addresses(demo)[0]
    demo.kubectl("delete", "configmap", "kube-proxy-config", "-n", "kube-system")
    wait_for(lambda: from_host(address, port) is None, "node ports are gone")
    assert "web.default.svc.cluster.local" in lookup(demo, "web.default.svc.cluster.local"), "names are still answered"
    demo.kubectl("create", "-f", "-", input="\n".join(l for l in saved.splitlines() if "resourceVersion" not in l and "uid:" not in l))
    wait_for(lambda: from_host(address, port) is not None, "node ports are back")
