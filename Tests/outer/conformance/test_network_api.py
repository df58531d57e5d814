"""What needs only the API and its controllers of test/e2e/network: ingress.go, ingressclass.go, endpointslice.go, endpoints.go, service_cidrs.go and service.go."""
import ipaddress

from conftest import wait_for

from .operations import annotation, check_discovery, check_operations, contains
from .workloads import pod

SERVICE_NAME = "kubernetes.io/service-name"


def test_ingresses(cluster, namespace):
    """[sig-network] Ingress API should support creating Ingress API operations [Conformance]"""
    version = "networking.k8s.io/v1"
    check_discovery(cluster, version, "ingresses", "ingresses/status")
    ingresses = cluster.resource(version, "ingresses", namespace)
    spec = {"defaultBackend": {"service": {"name": "default-backend", "port": {"number": 80}}}, "rules": [{"host": "foo.bar.com", "http": {"paths": [
        {"path": "/", "pathType": "ImplementationSpecific", "backend": {"service": {"name": "test-backend", "port": {"number": 8080}}}}]}}]}
    check_operations(ingresses, {"spec": spec})
    name = ingresses.create({"metadata": {"generateName": "e2e-", "labels": {"special": namespace}}, "spec": spec})["metadata"]["name"]
    assert len(cluster.resource(version, "ingresses").list(labelSelector=f"special={namespace}")["items"]) == 1
    balancer = {"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}}
    patched = ingresses.patch(name, {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": balancer}, sub="status")
    assert contains(patched["status"], balancer) and annotation(patched, "patchedstatus") == "true"
    other = {"ingress": [{"ip": "169.1.1.2"}]}
    updated = ingresses.update(name, lambda object: object["status"].update(loadBalancer=other), sub="status")
    assert contains(updated["status"]["loadBalancer"], other)
    assert contains(ingresses.get(name, "status")["status"]["loadBalancer"], other)


def test_ingress_classes(cluster):
    """[sig-network] IngressClass API should support creating IngressClass API operations [Conformance]"""
    check_discovery(cluster, "networking.k8s.io/v1", "ingressclasses")
    check_operations(cluster.resource("networking.k8s.io/v1", "ingressclasses"), {"spec": {"controller": "example.com/controller"}})


def test_endpoint_slices(cluster, namespace):
    """[sig-network] EndpointSlice should support creating EndpointSlice API operations [Conformance]"""
    check_discovery(cluster, "discovery.k8s.io/v1", "endpointslices")
    check_operations(cluster.resource("discovery.k8s.io/v1", "endpointslices", namespace), {
        "addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4", "5.6.7.8"]}]})
    assert cluster.resource("discovery.k8s.io/v1", "endpointslices").list()["kind"] == "EndpointSliceList"


def test_a_service_without_pods(cluster, namespace):
    """[sig-network] EndpointSlice should create and delete EndpointSlices for a Service with a selector that matches no pods [Conformance]"""
    services, endpoints = cluster.core("services", namespace), cluster.core("endpoints", namespace)
    slices = cluster.resource("discovery.k8s.io/v1", "endpointslices", namespace)
    services.create({"metadata": {"name": "empty"}, "spec": {"selector": {"does-not-match-anything": "endpoints-and-endpoint-slices"}, "ports": [
        {"name": "http", "port": 80}]}})
    wait_for(lambda: not endpoints.gone("empty"), "the Endpoints are made", timeout=30, every=0.05)
    found = wait_for(lambda: slices.list(labelSelector=f"{SERVICE_NAME}=empty")["items"], "the slice is made", timeout=30, every=0.05)
    assert len(found) == 1 and not found[0].get("endpoints")
    services.delete("empty")
    wait_for(lambda: endpoints.gone("empty") and slices.names(labelSelector=f"{SERVICE_NAME}=empty") == [], "both are gone", timeout=30, every=0.05)


def test_endpoints_without_pods(cluster, namespace):
    """[sig-network] EndpointsController should create and delete Endpoints for a Service with a selector that matches no pods [Conformance]"""
    services, endpoints = cluster.core("services", namespace), cluster.core("endpoints", namespace)
    services.create({"metadata": {"name": "empty"}, "spec": {"selector": {"does-not-match-anything": "yes"}, "ports": [{"name": "http", "port": 80}]}})
    wait_for(lambda: not endpoints.gone("empty"), "the Endpoints are made", timeout=30, every=0.05)
    assert not endpoints.get("empty").get("subsets")
    services.delete("empty")
    endpoints.wait_gone("empty")


def check_endpoints_of_pods(cluster, namespace, found):
    """Two services select one pod each, a third both; found(service) gives (name of pod, port) of what it leads to."""
    pods, services = cluster.core("pods", namespace), cluster.core("services", namespace)
    for name in ("pod1", "pod2"):
        pods.create(pod(name, metadata={"labels": {"foo": "bar", "own": name}}, container={"ports": [{"name": "example-name", "containerPort": 80}]}))
    for name, selector in (("example-int-port", {"own": "pod1"}), ("example-named-port", {"foo": "bar"}), ("example-no-match", {"foo": "none"})):
        target = "example-name" if name == "example-named-port" else 80
        services.create({"metadata": {"name": name}, "spec": {"selector": selector, "ports": [{"name": "example", "port": 80, "targetPort": target}]}})
    for service, expected in (("example-int-port", {("pod1", 80)}), ("example-named-port", {("pod1", 80), ("pod2", 80)}), ("example-no-match", set())):
        wait_for(lambda service=service, expected=expected: found(service) == expected, f"{service} leads to {expected}", timeout=30, every=0.05)
    # Pods that go leave the endpoints.
    pods.delete("pod1", {"gracePeriodSeconds": 0})
    wait_for(lambda: found("example-named-port") == {("pod2", 80)} and found("example-int-port") == set(), "pod1 has left", timeout=30, every=0.05)


def test_slices_of_pods(node_cluster, node_namespace):
    """[sig-network] EndpointSlice should create Endpoints and EndpointSlices for Pods matching a Service [Conformance]"""
    slices, endpoints = node_cluster.resource("discovery.k8s.io/v1", "endpointslices", node_namespace), node_cluster.core("endpoints", node_namespace)

    def found(service):
        of_slices = {(endpoint["targetRef"]["name"], port["port"]) for item in slices.list(labelSelector=f"{SERVICE_NAME}={service}")["items"]
                     for endpoint in item.get("endpoints") or [] if endpoint["conditions"]["ready"] for port in item["ports"]}
        return of_slices if of_slices == addresses(endpoints, service) else None
    check_endpoints_of_pods(node_cluster, node_namespace, found)


def addresses(endpoints, service):
    subsets = [] if endpoints.gone(service) else endpoints.get(service).get("subsets") or []
    return {(address["targetRef"]["name"], port["port"]) for subset in subsets for address in subset.get("addresses", []) for port in subset["ports"]}


def test_endpoints_of_pods(node_cluster, node_namespace):
    """[sig-network] EndpointsController should create Endpoints for Pods matching a Service [Conformance]"""
    endpoints = node_cluster.core("endpoints", node_namespace)
    check_endpoints_of_pods(node_cluster, node_namespace, lambda service: addresses(endpoints, service))


def test_services_of_all_namespaces(cluster):
    """[sig-network] Services should find a service from listing all namespaces [Conformance]"""
    found = cluster.core("services").list()["items"]
    assert ("default", "kubernetes") in [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in found]


def test_the_api_server_is_a_service(cluster):
    """[sig-network] API Server should provide secure master service [Conformance]"""
    ports = cluster.core("services", "default").get("kubernetes")["spec"]["ports"]
    assert ("https", 443) in [(port["name"], port["port"]) for port in ports]


def test_endpoints_lead_to_the_api_server(cluster):
    """[sig-network] API Server should have Endpoints and EndpointSlices pointing to API Server [Conformance]"""
    subsets = cluster.core("endpoints", "default").get("kubernetes")["subsets"]
    assert len(subsets) == 1
    slices = cluster.resource("discovery.k8s.io/v1", "endpointslices", "default")
    found = slices.list(labelSelector=f"{SERVICE_NAME}=kubernetes")["items"]
    assert len(found) == 1 and found[0]["addressType"] == "IPv4"
    addresses = {address["ip"] for address in subsets[0]["addresses"]}
    assert addresses and addresses == {address for endpoint in found[0]["endpoints"] for address in endpoint["addresses"]}
    assert {(port["name"], port["port"]) for port in subsets[0]["ports"]} == {(port["name"], port["port"]) for port in found[0]["ports"]}
    for address in addresses:
        assert ipaddress.ip_address(address).version == 4


def test_endpoints_live(cluster, namespace):
    """[sig-network] Endpoints should test the lifecycle of an Endpoint [Conformance]"""
    endpoints, selector = cluster.core("endpoints", namespace), "test-endpoint-static=true"
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    with endpoints.watch(labelSelector=selector) as watch:
        endpoints.create({"metadata": {"name": "testservice", "labels": {"test-endpoint-static": "true"}}, "subsets": [
            {"addresses": [{"ip": "10.0.0.24"}], "ports": ports}]})
        watch.next("ADDED")
        found = cluster.core("endpoints").list(labelSelector=selector)["items"]
        assert [item["metadata"]["namespace"] for item in found] == [namespace]
        endpoints.update("testservice", lambda object: object["metadata"]["labels"].update({"test-service": "updated"}))
        watch.next("MODIFIED", lambda object: object["metadata"]["labels"].get("test-service") == "updated")
        assert endpoints.get("testservice")["metadata"]["labels"]["test-service"] == "updated"
        endpoints.patch("testservice", {"metadata": {"labels": {"test-service": "patched"}}, "subsets": [
            {"addresses": [{"ip": "10.0.0.25"}], "ports": [{"name": "http-test", "port": 8080, "protocol": "TCP"}]}]}, kind="strategic")
        watch.next("MODIFIED", lambda object: object["metadata"]["labels"].get("test-service") == "patched")
        [subset] = endpoints.get("testservice")["subsets"]
        assert (subset["addresses"], subset["ports"]) == ([{"ip": "10.0.0.25"}], [{"name": "http-test", "port": 8080, "protocol": "TCP"}])
        endpoints.delete_collection(labelSelector=selector)
        watch.next("DELETED")


def test_services_are_a_collection(cluster, namespace):
    """[sig-network] Services should delete a collection of services [Conformance]"""
    services = cluster.core("services", namespace)
    for number in range(3):
        services.create({"metadata": {"name": f"e2e-svc-{number}", "labels": {"svc": "yes" if number else "no"}}, "spec": {"ports": [{"port": 80}]}})
    services.delete_collection(labelSelector="svc=yes")
    assert services.names() == ["e2e-svc-0"]


def test_the_status_of_a_service(cluster, namespace):
    """[sig-network] Services should complete a service status lifecycle [Conformance]"""
    services, selector = cluster.core("services", namespace), "test-service-static=true"
    with services.watch(labelSelector=selector) as watch:
        services.create({"metadata": {"name": "test-service", "labels": {"test-service-static": "true"}}, "spec": {
            "type": "LoadBalancer", "ports": [{"name": "http", "port": 80, "targetPort": 80}], "loadBalancerClass": "example.com/internal-vip"}})
        watch.next("ADDED")
        assert services.get("test-service", "status")["kind"] == "Service"
        balancer = {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}
        patched = services.patch("test-service", {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": balancer}, kind="strategic", sub="status")
        assert contains(patched["status"], balancer)
        watch.next("MODIFIED", lambda object: contains(object["status"], balancer) and annotation(object, "patchedstatus") == "true")
        condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        updated = services.update("test-service", lambda object: object["status"].update(conditions=[condition]), sub="status")
        assert contains(updated["status"], {"conditions": [condition]})
        watch.next("MODIFIED", lambda object: contains(object["status"], {"conditions": [condition]}))
        services.patch("test-service", {"metadata": {"labels": {"test-service": "patched"}}}, kind="strategic")
        watch.next("MODIFIED", lambda object: object["metadata"]["labels"].get("test-service") == "patched")
        services.delete("test-service")
        watch.next("DELETED")


CIDRS = "networking.k8s.io/v1"


def test_service_ranges(cluster):
    """[sig-network] ServiceCIDR and IPAddress API should support ServiceCIDR API operations [Conformance]"""
    check_discovery(cluster, CIDRS, "servicecidrs", "servicecidrs/status")
    ranges = cluster.resource(CIDRS, "servicecidrs")
    # The default one holds the address of every Service.
    [cidr] = ranges.get("kubernetes")["spec"]["cidrs"]
    assert ipaddress.ip_address(cluster.core("services", "default").get("kubernetes")["spec"]["clusterIP"]) in ipaddress.ip_network(cidr)
    with ranges.watch() as watch:
        watch.next("ADDED", lambda object: object["metadata"]["name"] == "kubernetes")
        assert annotation(ranges.patch("kubernetes", {"metadata": {"annotations": {"patched": "true"}}}), "patched") == "true"
        updated = ranges.update("kubernetes", lambda object: object["metadata"]["annotations"].update(updated="true"))
        assert annotation(updated, "updated") == "true"
        watch.next("MODIFIED", lambda object: annotation(object, "updated") == "true")
    assert "kubernetes" in ranges.names()


def test_addresses(cluster):
    """[sig-network] ServiceCIDR and IPAddress API should support IPAddress API operations [Conformance]"""
    check_discovery(cluster, CIDRS, "ipaddresses")
    addresses = cluster.resource(CIDRS, "ipaddresses")
    parent = {"group": "mygroup", "resource": "myresources", "namespace": "foo", "name": "bar"}
    for name, kind in (("255.255.255.255", "broadcast"), ("fe80::42:1dff:fe84:f9e2", "link-local")):
        addresses.create({"metadata": {"name": name, "labels": {"type": kind}}, "spec": {"parentRef": parent}})
    name = "255.255.255.255"
    with addresses.watch(labelSelector="type=broadcast") as watch:
        watch.next("ADDED")
        assert annotation(addresses.patch(name, {"metadata": {"annotations": {"patched": "true"}}}), "patched") == "true"
        assert annotation(addresses.update(name, lambda object: object["metadata"]["annotations"].update(updated="true")), "updated") == "true"
        watch.next("MODIFIED", lambda object: annotation(object, "updated") == "true")
        assert addresses.get(name)["spec"]["parentRef"] == parent and addresses.names(labelSelector="type=broadcast") == [name]
        addresses.delete(name)
        watch.next("DELETED")
    addresses.delete_collection(labelSelector="type=link-local")
    assert addresses.names(labelSelector="type=link-local") == []
