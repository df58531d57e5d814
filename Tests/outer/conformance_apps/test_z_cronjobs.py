"""CronJobs, last because their minutes pass while the other tests run. Upstream: test/e2e/apps/cronjob.go."""
from conftest import wait_for

from .kube import names

# The schedule is every minute; a run may begin a little late.
TWO_RUNS = 150


def active(kube, name):
    return kube.get("cronjob", name)["status"].get("active", [])


def jobs_of(kube, name):
    return [j for j in kube.get("jobs")["items"] if j["metadata"]["ownerReferences"][0]["name"] == name]


def test_concurrent(started):
    """[sig-apps] CronJob should schedule multiple jobs concurrently [Conformance]"""
    wait_for(lambda: len(active(started, "concurrent")) >= 2, "two runs at once", timeout=TWO_RUNS)
    assert len([j for j in jobs_of(started, "concurrent") if j["status"].get("active")]) >= 2


def test_forbid(started):
    """[sig-apps] CronJob should not schedule new jobs when ForbidConcurrent [Slow] [Conformance]"""
    wait_for(lambda: len(active(started, "concurrent")) >= 2, "a minute has passed", timeout=TWO_RUNS)
    assert len(active(started, "forbid")) == 1 and len(jobs_of(started, "forbid")) == 1
    wait_for(lambda: [e for e in started.get("events")["items"] if e["reason"] == "JobAlreadyActive"], "the event says so", timeout=TWO_RUNS)


def test_replace(started):
    """[sig-apps] CronJob should replace jobs when ReplaceConcurrent [Conformance]"""
    first = wait_for(lambda: names(jobs_of(started, "replace")), "a run", timeout=TWO_RUNS)
    def replaced():
        jobs = names(jobs_of(started, "replace"))
        return len(jobs) == 1 and not set(jobs) & set(first) and len(active(started, "replace")) == 1
    wait_for(replaced, "another takes its place", timeout=TWO_RUNS)


def test_suspended(started):
    """[sig-apps] CronJob should not schedule jobs when suspended [Slow] [Conformance]"""
    wait_for(lambda: len(active(started, "concurrent")) >= 2, "a minute has passed", timeout=TWO_RUNS)
    assert active(started, "suspended") == [] and jobs_of(started, "suspended") == []
