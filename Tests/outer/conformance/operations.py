"""What every "should support … API operations" test asks of a resource."""


def check_discovery(cluster, api_version, *resources):
    """The group is in /apis, the version in the group's document, the resources in the version's."""
    if "/" in api_version:
        group, version = api_version.split("/")
        listed = {g["name"]: g for g in cluster.get("/apis")["groups"]}
        assert version in [v["version"] for v in listed[group]["versions"]]
        document = cluster.get(f"/apis/{group}")
        assert document["name"] == group and version in [v["version"] for v in document["versions"]]
    served = cluster.get(f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}")
    assert served["groupVersion"] == api_version
    names = [resource["name"] for resource in served["resources"]]
    assert set(resources) <= set(names), names


def annotation(object, name):
    return object["metadata"].get("annotations", {}).get(name)


def check_operations(resource, template, status=None):
    """Create, get, list, watch, patch, update, delete and delete collection; and get, patch and update of the status, if there is one to patch in."""
    key = f"conformance-{resource.plural}"
    selector = f"{key}=yes"
    template = {**template, "metadata": {"generateName": "conformance-", "labels": {key: "yes"}, **template.get("metadata", {})}}
    made = [resource.create(template) for _ in range(3)]
    name = made[-1]["metadata"]["name"]
    assert resource.get(name)["metadata"]["uid"] == made[-1]["metadata"]["uid"]
    listed = resource.list(labelSelector=selector)
    assert len(listed["items"]) == 3
    with resource.watch(resourceVersion=listed["metadata"]["resourceVersion"], labelSelector=selector) as watch:
        patched = resource.patch(name, {"metadata": {"annotations": {"patched": "true"}}})
        assert patched["metadata"]["annotations"]["patched"] == "true"
        updated = resource.update(name, lambda object: object["metadata"]["annotations"].update(updated="true"))
        assert updated["metadata"]["annotations"]["updated"] == "true"
        watch.next("MODIFIED", lambda object: annotation(object, "patched") == "true")
        watch.next("MODIFIED", lambda object: annotation(object, "updated") == "true")
    if status:
        check_status(resource, name, status)
    resource.delete(name)
    remaining(resource, selector, 2)
    resource.delete_collection(labelSelector=selector)
    remaining(resource, selector, 0)


def check_status(resource, name, status):
    """The status is read, patched and replaced on its own, and only there."""
    assert resource.get(name, "status")["metadata"]["name"] == name
    patched = resource.patch(name, {"status": status}, sub="status")
    assert contains(patched["status"], status), patched["status"]

    def change(object):
        conditions = object["status"].setdefault("conditions", [])
        conditions.append({"type": "StatusUpdated", "status": "False", "reason": "Tested", "message": "replaced", "lastTransitionTime": "2026-01-01T00:00:00Z"})
    replaced = resource.update(name, change, sub="status")
    assert "StatusUpdated" in [condition["type"] for condition in replaced["status"]["conditions"]]


def contains(whole, part):
    """True when all of part is in whole: members in objects, elements in arrays."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return all(any(contains(candidate, element) for candidate in whole) for element in part)
    return whole == part


def remaining(resource, selector, count):
    """Objects that wait for their finalizers count as deleted."""
    left = [item for item in resource.list(labelSelector=selector)["items"] if "deletionTimestamp" not in item["metadata"]]
    assert len(left) == count, [item["metadata"]["name"] for item in left]
