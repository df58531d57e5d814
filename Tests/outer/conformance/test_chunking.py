"""test/e2e/apimachinery/chunking.go and table_conversion.go"""
import json

import pytest
import urllib3
from conftest import wait_for
from kubernetes.client.rest import ApiException

from .cluster import refused

COUNT = 40
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.fixture
def templates(cluster, namespace):
    resource = cluster.core("podtemplates", namespace)
    for number in range(COUNT):
        resource.create({"metadata": {"name": f"template-{number:04}"}, "template": {"spec": {"containers": [{"name": "test", "image": "test2"}]}}})
    return resource


def test_lists_come_in_chunks_of_one_revision(templates):
    """[sig-api-machinery] Servers with support for API chunking should return chunks of results for list calls [Conformance]"""
    found, token, revision = [], "", None
    for _ in range(COUNT):
        page = templates.list(limit=7, **{"continue": token})
        found += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
        revision = revision or page["metadata"]["resourceVersion"]
        assert page["metadata"]["resourceVersion"] == revision
        assert len(page["items"]) == (7 if token else COUNT % 7)
        # The rest is counted where nothing is selected.
        assert page["metadata"].get("remainingItemCount", 0) == COUNT - len(found)
        if not token:
            break
    assert found == [f"template-{number:04}" for number in range(COUNT)]
    full = templates.list(limit=0, resourceVersion=revision, resourceVersionMatch="NotOlderThan")
    assert len(full["items"]) == COUNT and not full["metadata"].get("continue")


def ready(cluster):
    try:
        return cluster.request("GET", "/readyz").body == b"ok"
    except (ApiException, urllib3.exceptions.HTTPError):
        return False


def test_a_list_goes_on_after_compaction(cluster, conformance_service, templates):
    """[sig-api-machinery] Servers with support for API chunking should support continue listing from the last key if the original version has been compacted away, though the list is inconsistent [Slow] [Conformance]"""
    chunk = COUNT // 4
    first = templates.list(limit=chunk)
    templates.patch(f"template-{COUNT - 1:04}", {"metadata": {"labels": {"changed": "yes"}}})
    # Five minutes make the first page's revision as old as this does: a server that starts holds only the newest state.
    conformance_service.stop()
    conformance_service.start()
    wait_for(lambda: ready(cluster), "the cluster is back", timeout=30)
    with refused(410, "The provided continue parameter is too old to display a consistent list result") as error:
        templates.list(limit=chunk, **{"continue": first["metadata"]["continue"]})
    second = templates.list(limit=chunk, **{"continue": json.loads(error.value.body)["metadata"]["continue"]})
    assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    assert len(second["items"]) == chunk and second["metadata"]["remainingItemCount"] == COUNT - 2 * chunk
    # From here on the list is one of the newer revision.
    templates.patch(f"template-{COUNT - 1:04}", {"metadata": {"labels": {"changed": "again"}}})
    rest = templates.list(limit=COUNT, **{"continue": second["metadata"]["continue"]})
    assert rest["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert rest["items"][-1]["metadata"]["labels"] == {"changed": "yes"}
    names = [item["metadata"]["name"] for page in (first, second, rest) for item in page["items"]]
    assert names == [f"template-{number:04}" for number in range(COUNT)]


def test_a_review_is_no_table(cluster):
    """[sig-api-machinery] Servers with support for Table transformation should return a 406 for a backend which does not implement metadata [Conformance]"""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": {
        "namespace": "default", "resource": "tests", "verb": "get"}}}
    with refused(406):
        cluster.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, Accept=TABLE)
