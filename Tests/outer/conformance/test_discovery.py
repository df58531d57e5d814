"""test/e2e/apimachinery/discovery.go, aggregated_discovery.go and server_version.go"""
import json
import re

import pytest

from .definitions import definition

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
EXPECTED = {
    ("", "v1"): "namespaces", ("admissionregistration.k8s.io", "v1"): "validatingwebhookconfigurations",
    ("apiextensions.k8s.io", "v1"): "customresourcedefinitions", ("apiregistration.k8s.io", "v1"): "apiservices", ("apps", "v1"): "deployments",
    ("authentication.k8s.io", "v1"): "tokenreviews", ("authorization.k8s.io", "v1"): "selfsubjectaccessreviews",
    ("autoscaling", "v1"): "horizontalpodautoscalers", ("autoscaling", "v2"): "horizontalpodautoscalers", ("batch", "v1"): "jobs",
    ("certificates.k8s.io", "v1"): "certificatesigningrequests", ("coordination.k8s.io", "v1"): "leases", ("discovery.k8s.io", "v1"): "endpointslices",
    ("events.k8s.io", "v1"): "events", ("networking.k8s.io", "v1"): "ingresses", ("node.k8s.io", "v1"): "runtimeclasses",
    ("policy", "v1"): "poddisruptionbudgets", ("scheduling.k8s.io", "v1"): "priorityclasses", ("storage.k8s.io", "v1"): "csinodes",
}


def aggregated(cluster):
    """(group, version) → names of resources, by the two aggregated documents."""
    found = {}
    for path in ("/api", "/apis"):
        answer = cluster.request("GET", path, Accept=AGGREGATED)
        assert answer.headers["Content-Type"].replace(" ", "") == AGGREGATED, answer.headers
        assert answer.json["kind"] == "APIGroupDiscoveryList"
        for group in answer.json["items"]:
            for version in group["versions"]:
                key = (group["metadata"].get("name", ""), version["version"])
                found[key] = [resource["resource"] for resource in version["resources"]]
    return found


def test_every_group_has_a_preferred_version(cluster):
    """[sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup [Conformance]"""
    groups = cluster.get("/apis/")["groups"]
    assert groups
    for listed in groups:
        group = cluster.get(f"/apis/{listed['name']}/")
        assert group["versions"] and group["preferredVersion"]["groupVersion"] in [v["groupVersion"] for v in group["versions"]]


def test_every_version_lists_its_resources(cluster):
    """[sig-api-machinery] Discovery should locate the groupVersion and a resource within each APIGroup [Conformance]"""
    for (group, version), resource in EXPECTED.items():
        served = cluster.get(f"/apis/{group}/{version}" if group else f"/api/{version}")
        assert served["groupVersion"] == (f"{group}/{version}" if group else version)
        assert resource in [r["name"] for r in served["resources"]]


def test_aggregated_discovery_has_every_group(cluster):
    """[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers [Conformance]"""
    found = aggregated(cluster)
    for key, resource in EXPECTED.items():
        assert resource in found[key]


def test_aggregated_discovery_has_custom_resources(cluster):
    """[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery request for CRDs [Conformance]"""
    with definition(cluster) as custom:
        assert custom.plural in aggregated(cluster)[(custom.group, "v1")]
    assert (custom.group, "v1") not in aggregated(cluster)


@pytest.fixture
def requested(cluster, tmp_path):
    """Runs kubectl with an empty cache of discovery; gives its output and the paths that it asked for."""
    def run(*arguments):
        output = cluster.kubectl(*arguments, "--cache-dir", tmp_path / "cache", "-v=6")
        paths = re.findall(r'"?GET"? (?:url=)?"?https://[^/]+(/[^ "?]*)', output)
        return output, [path for path in paths if path.startswith("/api")]
    return run


def test_client_go_takes_aggregated_discovery(cluster, requested):
    """[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface [Conformance]"""
    output, paths = requested("api-resources", "--no-headers")
    found = {(line.split("/")[0], line.split()[0]) for line in output.splitlines()}
    assert found
    for (group, version), resource in EXPECTED.items():
        api_version = f"{group}/{version}" if group else version
        assert re.search(rf"^{resource}\s.*{re.escape(group or api_version)}", output, re.M), (resource, api_version)
    # The aggregated documents say all: the client has no reason to ask for a group.
    assert sorted(set(paths)) == ["/api", "/apis"], paths


def test_client_go_finds_custom_resources(cluster, requested):
    """[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface for CRDs [Conformance]"""
    with definition(cluster) as custom:
        output, paths = requested("api-resources", "--no-headers", "--api-group", custom.group)
        assert re.search(rf"^{custom.plural}\s.*{custom.group}/v1\s+true\s+{custom.kind}", output, re.M), output
        assert sorted(set(paths)) == ["/api", "/apis"], paths


def test_the_server_says_its_version(cluster):
    """[sig-api-machinery] server version should find the server version [Conformance]"""
    version = cluster.get("/version")
    assert re.fullmatch(r"1", version["major"]) and re.fullmatch(r"\d+\+?", version["minor"]), version
    assert json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"] == version
