"""Ingresses of class alb as the host sees them: kubectl makes them, HTTP goes through the address in their status."""
import http.client
import socket
import ssl
import subprocess

import pytest
from aws_setup import cluster
from conftest import proxies, wait_for

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  replicas: 1
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: nginx
        image: nginx:1.15
        command: [sh, -c, 'mkdir -p /www/two; echo NAME >/www/index.html; echo NAME >/www/two/index.html; exec nginx -g "daemon off;"']
        readinessProbe: {httpGet: {port: 80}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec: {selector: {app: NAME}, ports: [{name: http, port: 80}]}
---
"""

CLASS = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: eks.amazonaws.com/alb}
"""

INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'
    alb.ingress.kubernetes.io/actions.moved: '{"type":"redirect","redirectConfig":{"protocol":"HTTPS","port":"443","host":"new.#{host}","statusCode":"HTTP_301"}}'
    alb.ingress.kubernetes.io/actions.teapot: '{"type":"fixed-response","fixedResponseConfig":{"contentType":"text/plain","statusCode":"418","messageBody":"short \\"and\\" $TOUT"}}'
spec:
  ingressClassName: alb
  tls: [{secretName: web-tls, hosts: [web.example.com]}]
  rules:
  - host: web.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: one, port: {number: 80}}}}
      - {path: /two, pathType: Prefix, backend: {service: {name: two, port: {name: http}}}}
      - {path: /moved, pathType: Exact, backend: {service: {name: moved, port: {name: use-annotation}}}}
      - {path: /teapot, pathType: Exact, backend: {service: {name: teapot, port: {name: use-annotation}}}}
  - host: "*.two.example.com"
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: two, port: {number: 80}}}}]}
"""


@pytest.fixture(scope="module")
def demo(service):
    cluster(service, "demo", "10.97", nodes=1)
    folder = service.directory
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=web.example.com", "-addext",
         "subjectAltName=DNS:web.example.com", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"], check=True, capture_output=True)
    assert not proxies(), "without an Ingress nothing runs"
    service.kubectl("create", "secret", "tls", "web-tls", f"--cert={folder / 'tls.crt'}", f"--key={folder / 'tls.key'}")
    service.kubectl("apply", "-f", "-", input=WEB.replace("NAME", "one") + WEB.replace("NAME", "two") + CLASS + "---" + INGRESS)
    for name in ("one", "two"):
        service.kubectl("rollout", "status", f"deployment/{name}", "--timeout=120s")
    return service


def address(service, name="web"):
    def found():
        balancers = service.get("ingress", name)["status"].get("loadBalancer", {}).get("ingress", [])
        return balancers and balancers[0]["ip"]
    try:
        return wait_for(found, "the Ingress has an address")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{service.kubectl('describe', 'ingress', name)}")


def get(place, host, path="/", authority=None):
    """Status, body and Location; None when nobody answers. With an authority's file by HTTPS."""
    if authority:
        context = ssl.create_default_context(cafile=str(authority))
        connection = http.client.HTTPSConnection(host, 443, timeout=3, context=context)
        # The name is what the certificate is checked against; the address is where it goes.
        connection._create_connection = lambda _, *rest: socket.create_connection((place, 443), *rest)
    else:
        connection = http.client.HTTPConnection(place, 80, timeout=3)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode().strip(), answer.getheader("Location")
    except OSError:
        return None
    finally:
        connection.close()


def events(service):
    return {e["reason"] for e in service.get("events", "--field-selector", "involvedObject.kind=Ingress")["items"]}


def test_hosts_and_paths_lead_to_their_services(demo):
    place = address(demo)
    assert place.startswith("10.97.")
    wait_for(lambda: get(place, "web.example.com") == (200, "one", None), "the first Service answers", timeout=30)
    wait_for(lambda: get(place, "web.example.com:80", "/two/") == (200, "two", None), "the second, by its path", timeout=30)
    assert get(place, "WEB.example.com", "/two/")[1] == "two"
    assert get(place, "a.two.example.com") == (200, "two", None)
    assert get(place, "other.example.com")[0] == 404
    assert get(place, "web.example.com", "/twofold")[0] == 404, "nginx's own: the prefix is of whole elements"
    assert demo.get("ingress", "web")["metadata"]["finalizers"] == ["ingress.k8s.aws/resources"]
    wait_for(lambda: "SuccessfullyReconciled" in events(demo), "the event is there")
    assert len(proxies()) == 1


def test_actions_answer_by_themselves(demo):
    place = address(demo)
    assert get(place, "web.example.com", "/teapot") == (418, 'short "and" $TOUT', None)
    assert get(place, "web.example.com", "/moved?a=1&b=%41")[::2] == (301, "https://new.web.example.com:443/moved?a=1&b=%41")
    assert get(place, "web.example.com", "/moved")[2] == "https://new.web.example.com:443/moved"


def test_https_by_a_secret(demo):
    assert get(address(demo), "web.example.com", authority=demo.directory / "tls.crt") == (200, "one", None)


def test_endpoints_are_followed(demo):
    place = address(demo)
    demo.kubectl("scale", "deployment/two", "--replicas=0")
    wait_for(lambda: (get(place, "a.two.example.com") or [0])[0] == 503, "nobody is left", timeout=30)
    assert get(place, "web.example.com") == (200, "one", None)
    demo.kubectl("scale", "deployment/two", "--replicas=1")
    wait_for(lambda: get(place, "a.two.example.com") == (200, "two", None), "the new pod answers", timeout=60)


def test_what_cannot_be_is_said_and_changes_nothing(demo):
    place = address(demo)
    demo.kubectl("annotate", "ingress", "web", "alb.ingress.kubernetes.io/scheme=public")
    wait_for(lambda: "FailedBuildModel" in events(demo), "the event says so")
    assert get(place, "web.example.com") == (200, "one", None)
    demo.kubectl("annotate", "ingress", "web", "alb.ingress.kubernetes.io/scheme-")


def test_the_proxy_outlives_the_service_and_is_found_again(demo):
    place, before = address(demo), proxies()
    demo.kill()
    assert get(place, "web.example.com") == (200, "one", None)
    demo.start()
    wait_for(lambda: demo.kubectl("get", "--raw", "/readyz", check=False).returncode == 0, "the API is back")
    demo.kubectl("annotate", "ingress", "web", "alb.ingress.kubernetes.io/actions.teapot-")
    wait_for(lambda: get(place, "web.example.com", "/teapot") == (503, "Backend action does not exist", None), "changes are deployed")
    assert proxies() == before


def test_a_deleted_ingress_leaves_nothing(demo):
    place = address(demo)
    demo.kubectl("delete", "ingress", "web", "--timeout=30s")
    # The address is the host's no more; what the network beyond answers there is no matter.
    assert f" {place}/" not in subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    assert not proxies()
    assert not list(demo.data.glob("clusters/demo/ingress"))
