"""test/e2e/instrumentation/core_events.go and events.go"""
import datetime

from .operations import contains


def core_event(namespace, name, label, **fields):
    return {"metadata": {"name": name, "labels": {label: "true"}}, "message": f"This is {name}", "reason": "Test", "type": "Normal", "count": 1,
            "involvedObject": {"namespace": namespace}, **fields}


def new_event(namespace, name, label):
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"metadata": {"name": name, "labels": {label: "true"}}, "note": f"This is {name}", "reason": "Test", "type": "Normal", "eventTime": now,
            "action": "Do", "reportingController": "test-controller", "reportingInstance": "test-node", "regarding": {"namespace": namespace}}


def find(cluster, api_version, namespace, selector):
    everywhere = cluster.resource(api_version, "events").list(labelSelector=selector)["items"]
    return [item["metadata"]["name"] for item in everywhere if item["metadata"]["namespace"] == namespace]


def test_an_event_lives(cluster, namespace):
    """[sig-instrumentation] Events should manage the lifecycle of an event [Conformance]"""
    events = cluster.core("events", namespace)
    events.create(core_event(namespace, "event-test", "testevent-constant"))
    assert find(cluster, "v1", namespace, "testevent-constant=true") == ["event-test"]
    events.patch("event-test", {"message": "patched"}, kind="strategic")
    assert events.get("event-test")["message"] == "patched"
    series = {"count": 100, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}
    events.update("event-test", lambda event: event.update(series=series))
    updated = events.get("event-test")
    assert updated["series"] == series and updated["message"] == "patched"
    events.delete("event-test")
    assert find(cluster, "v1", namespace, "testevent-constant=true") == []


def test_a_collection_of_events_goes(cluster, namespace):
    """[sig-instrumentation] Events should delete a collection of events [Conformance]"""
    events = cluster.core("events", namespace)
    for number in range(3):
        events.create(core_event(namespace, f"test-event-{number}", "testevent-set"))
    events.create(core_event(namespace, "other", "testevent-other"))
    assert len(events.names(labelSelector="testevent-set=true")) == 3
    events.delete_collection(labelSelector="testevent-set=true")
    assert events.names(labelSelector="testevent-set=true") == [] and not events.gone("other")


def test_an_event_of_the_new_group_lives(cluster, namespace):
    """[sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed [Conformance]"""
    events = cluster.resource("events.k8s.io/v1", "events", namespace)
    test = new_event(namespace, "event-test", "testevent-constant")
    events.create(test)
    assert "event-test" in events.names()
    assert find(cluster, "events.k8s.io/v1", namespace, "testevent-constant=true") == ["event-test"]
    assert events.names(fieldSelector="reportingController=test-controller") == ["event-test"]
    assert events.names(fieldSelector="reportingController=other") == []
    assert contains(events.get("event-test"), test)
    series = {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}
    events.patch("event-test", {"series": series}, kind="strategic")
    assert events.get("event-test")["series"] == series
    changed = {"count": 100, "lastObservedTime": "2026-01-02T00:00:00.000000Z"}
    events.update("event-test", lambda event: event.update(series=changed))
    assert events.get("event-test")["series"] == changed
    # It is one object in both groups.
    assert cluster.core("events", namespace).get("event-test")["message"] == "This is event-test"
    events.delete("event-test")
    assert "event-test" not in events.names()
    assert find(cluster, "events.k8s.io/v1", namespace, "testevent-constant=true") == []


def test_a_collection_of_events_of_the_new_group_goes(cluster, namespace):
    """[sig-instrumentation] Events API should delete a collection of events [Conformance]"""
    events = cluster.resource("events.k8s.io/v1", "events", namespace)
    for number in range(3):
        events.create(new_event(namespace, f"test-event-{number}", "testevent-set"))
    assert len(events.names(labelSelector="testevent-set=true")) == 3
    events.delete_collection(labelSelector="testevent-set=true")
    assert events.names(labelSelector="testevent-set=true") == []
    assert cluster.core("events", namespace).names(labelSelector="testevent-set=true") == []
