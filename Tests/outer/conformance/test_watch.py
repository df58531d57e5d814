"""test/e2e/apimachinery/watch.go"""
import threading

KEY = "watch-this-configmap"


def config_map(name, label, **data):
    return {"metadata": {"name": name, "labels": {KEY: label}}, "data": data}


def mutation(number):
    return lambda object: object.setdefault("data", {}).update(mutation=str(number))


def test_watches_see_what_they_select(cluster, namespace):
    """[sig-api-machinery] Watchers should observe add, update, and delete watch notifications on configmaps [Conformance]"""
    maps = cluster.core("configmaps", namespace)
    with maps.watch(labelSelector=f"{KEY}=a") as a, maps.watch(labelSelector=f"{KEY}=b") as b, maps.watch(labelSelector=f"{KEY} in (a,b)") as both:
        maps.create(config_map("a", "a"))
        maps.update("a", mutation(1))
        maps.update("a", mutation(2))
        maps.delete("a")
        maps.create(config_map("b", "b"))
        maps.delete("b")
        # The other's events would come in between: each watch sees its own, in order, and nothing else.
        expected = [("ADDED", None), ("MODIFIED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]
        for watch in (a, both):
            events = [watch.event() for _ in expected]
            assert [(kind, object.get("data", {}).get("mutation")) for kind, object in events] == expected
            assert {object["metadata"]["name"] for _, object in events} == {"a"}
        for watch in (b, both):
            assert [(kind, object["metadata"]["name"]) for kind, object in (watch.event(), watch.event())] == [("ADDED", "b"), ("DELETED", "b")]


def test_a_watch_starts_at_a_revision(cluster, namespace):
    """[sig-api-machinery] Watchers should be able to start watching from a specific resource version [Conformance]"""
    maps = cluster.core("configmaps", namespace)
    maps.create(config_map("version", "from-resource-version"))
    first = maps.update("version", mutation(1))
    maps.update("version", mutation(2))
    maps.delete("version")
    with maps.watch(labelSelector=f"{KEY}=from-resource-version", resourceVersion=first["metadata"]["resourceVersion"]) as watch:
        events = [watch.event(), watch.event()]
    assert [(kind, object["data"]["mutation"]) for kind, object in events] == [("MODIFIED", "2"), ("DELETED", "2")]


def test_a_watch_goes_on_where_another_ended(cluster, namespace):
    """[sig-api-machinery] Watchers should be able to restart watching from the last resource version observed by the previous watch [Conformance]"""
    maps = cluster.core("configmaps", namespace)
    selector = f"{KEY}=watch-closed-and-restarted"
    with maps.watch(labelSelector=selector) as watch:
        maps.create(config_map("closed", "watch-closed-and-restarted"))
        maps.update("closed", mutation(1))
        watch.next("ADDED")
        last = watch.next("MODIFIED", lambda object: object["data"]["mutation"] == "1")
    maps.update("closed", mutation(2))
    with maps.watch(labelSelector=selector, resourceVersion=last["metadata"]["resourceVersion"]) as watch:
        maps.delete("closed")
        events = [watch.event(), watch.event()]
    assert [(kind, object["data"]["mutation"]) for kind, object in events] == [("MODIFIED", "2"), ("DELETED", "2")]


def test_an_object_leaves_and_enters_a_selection(cluster, namespace):
    """[sig-api-machinery] Watchers should observe an object deletion if it stops meeting the requirements of the selector [Conformance]"""
    maps = cluster.core("configmaps", namespace)

    def label(value):
        return lambda object: object["metadata"]["labels"].update({KEY: value})
    with maps.watch(labelSelector=f"{KEY}=label-changed-and-restored") as watch:
        maps.create(config_map("changed", "label-changed-and-restored"))
        maps.update("changed", mutation(1))
        maps.update("changed", label("wrong-value"))
        assert [watch.event()[0] for _ in range(3)] == ["ADDED", "MODIFIED", "DELETED"]
        maps.update("changed", mutation(2))
        maps.update("changed", label("label-changed-and-restored"))
        maps.update("changed", mutation(3))
        maps.delete("changed")
        events = [watch.event() for _ in range(3)]
    # What happened while it was not selected is seen when it comes back.
    assert [(kind, object["data"]["mutation"]) for kind, object in events] == [("ADDED", "2"), ("MODIFIED", "3"), ("DELETED", "3")]


def test_all_watches_see_one_order(cluster, namespace):
    """[sig-api-machinery] Watchers should receive events on concurrent watches in same order [Conformance]"""
    maps = cluster.core("configmaps", namespace)
    start = maps.list()["metadata"]["resourceVersion"]

    def churn():
        for number in range(20):
            name = f"order-{number % 5}"
            if maps.gone(name):
                maps.create({"metadata": {"name": name}})
            elif number % 7 == 3:
                maps.delete(name)
            else:
                maps.update(name, mutation(number))
        maps.create({"metadata": {"name": "last"}})
    writer = threading.Thread(target=churn)
    writer.start()
    seen = []
    # Each watch begins where the event before left off, while the writer goes on.
    while not seen or seen[-1][1] != "last":
        with maps.watch(resourceVersion=seen[-1][0] if seen else start) as watch:
            kind, object = watch.event()
        seen.append((object["metadata"]["resourceVersion"], object["metadata"]["name"]))
    writer.join()
    for index in range(0, len(seen), 5):
        with maps.watch(resourceVersion=seen[index][0]) as watch:
            objects = [watch.event()[1]["metadata"] for _ in seen[index + 1:]]
        assert [(object["resourceVersion"], object["name"]) for object in objects] == seen[index + 1:]
