"""Jobs. Upstream: test/e2e/apps/job.go."""
from conftest import wait_for

from .kube import condition, job, names

INDEX = 'i=$JOB_COMPLETION_INDEX; '


def finished(kube, name, type, reason, timeout=60):
    done = kube.wait("job", name, lambda j: condition(j, type).get("status") == "True", f"is {type}", timeout)
    assert condition(done, type)["reason"] == reason, done["status"]
    return done["status"]


def test_indexed(kube):
    """[sig-apps] Job should create pods for an Indexed job with completion indexes and specified hostname [Conformance]"""
    kube.create(job("indexed", f"{INDEX} [ $(hostname) = indexed-$i ]", completionMode="Indexed"))
    assert finished(kube, "indexed", "Complete", "CompletionsReached")["completedIndexes"] == "0-3"
    pods = [p for p in kube.list("pods", "job=indexed") if p["status"]["phase"] == "Succeeded"]
    assert sorted(p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for p in pods) == list("0123")
    assert sorted(p["spec"]["hostname"] for p in pods) == [f"indexed-{i}" for i in range(4)]


def test_locally_restarted(kube):
    """[sig-apps] Job should run a job to completion when tasks sometimes fail and are locally restarted [Conformance]"""
    script = "[ -e /data/foo ] && exit 0; echo > /data/foo; exit 1"
    object = job("local", script, pod={"restartPolicy": "OnFailure", "volumes": [{"name": "data", "emptyDir": {}}]})
    object["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    kube.create(object)
    finished(kube, "local", "Complete", "CompletionsReached", timeout=90)
    for pod in kube.list("pods", "job=local"):
        assert pod["status"]["containerStatuses"][0]["restartCount"] >= 1


def test_failure_policy_exit_code(kube):
    """[sig-apps] Job should allow to use the pod failure policy on exit code to fail the job early [Conformance]"""
    kube.create(job("early", "exit 3", backoffLimit=6, podFailurePolicy={
        "rules": [{"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [1]}}]}))
    status = finished(kube, "early", "Failed", "PodFailurePolicy")
    assert status["failed"] <= 2


def test_failure_policy_disruption(kube):
    """[sig-apps] Job should allow to use a pod failure policy to ignore failure matching on DisruptionTarget condition [Conformance]"""
    kube.create(job("ignored", "trap 'exit 1' TERM; [ -e /host/done ] && exit 0; sleep 1000 & wait", parallelism=1, completions=1, backoffLimit=0,
                    podFailurePolicy={"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}))
    first = kube.wait_pods("job=ignored", lambda pods: len(pods) == 1 and pods[0]["status"]["phase"] == "Running", "runs")[0]["metadata"]["name"]
    kube.kubectl("create", "--raw", f"/api/v1/namespaces/{kube.namespace}/pods/{first}/eviction", "-f", "-", input=(
        '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"%s","namespace":"%s"}}' % (first, kube.namespace)))
    second = kube.wait_pods("job=ignored", lambda pods: [p for p in pods if p["metadata"]["name"] != first], "is replaced")
    assert second
    status = kube.get("job", "ignored")["status"]
    assert status.get("failed", 0) == 0 and not condition({"status": status}, "Failed")


def test_backoff_per_index(kube):
    """[sig-apps] Job should execute all indexes despite some failing when using backoffLimitPerIndex [Conformance]"""
    kube.create(job("each", f"{INDEX} exit $((i % 2))", completionMode="Indexed", backoffLimitPerIndex=1))
    status = finished(kube, "each", "Failed", "FailedIndexes", timeout=90)
    assert (status["failedIndexes"], status["completedIndexes"]) == ("1,3", "0,2")
    assert (status["failed"], status["succeeded"]) == (4, 2)


def test_max_failed_indexes(kube):
    """[sig-apps] Job should terminate job execution when the number of failed indexes exceeds maxFailedIndexes [Conformance]"""
    kube.create(job("most", "exit 1", completions=10, parallelism=1, completionMode="Indexed", backoffLimitPerIndex=0, maxFailedIndexes=4))
    status = finished(kube, "most", "Failed", "MaxFailedIndexesExceeded", timeout=90)
    assert status["failedIndexes"] == "0-4" and status["failed"] == 5 and status.get("succeeded", 0) == 0


def test_fail_index(kube):
    """[sig-apps] Job should mark indexes as failed when the FailIndex action is matched in podFailurePolicy [Conformance]"""
    kube.create(job("failindex", f"{INDEX} [ $i = 0 ] && exit 42; exit 0", completions=2, completionMode="Indexed", backoffLimitPerIndex=1, podFailurePolicy={
        "rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [42]}}]}))
    status = finished(kube, "failindex", "Failed", "FailedIndexes")
    assert (status["failedIndexes"], status["completedIndexes"], status["failed"], status["succeeded"]) == ("0", "1", 1, 1)


def test_success_policy_all(kube):
    """[sig-apps] Job with successPolicy should succeeded when all indexes succeeded [Conformance]"""
    kube.create(job("all", "exit 0", completions=2, completionMode="Indexed", successPolicy={"rules": [{"succeededCount": 2}]}))
    status = finished(kube, "all", "Complete", "SuccessPolicy")
    assert status["completedIndexes"] == "0,1"
    assert condition({"status": status}, "SuccessCriteriaMet")["reason"] == "SuccessPolicy"


def some_pending(kube, name, rule):
    kube.create(job(name, f"{INDEX} [ $i = 0 ] && exit 0; sleep 1000", completions=5, parallelism=2, completionMode="Indexed", successPolicy={"rules": [rule]}))
    status = finished(kube, name, "Complete", "SuccessPolicy")
    assert status["completedIndexes"] == "0" and status["succeeded"] == 1
    assert condition({"status": status}, "SuccessCriteriaMet")["message"] == "Matched rules at index 0"


def test_success_policy_indexes(kube):
    """[sig-apps] Job with successPolicy succeededIndexes rule should succeeded even when some indexes remain pending [Conformance]"""
    some_pending(kube, "indexes", {"succeededIndexes": "0"})


def test_success_policy_count(kube):
    """[sig-apps] Job with successPolicy succeededCount rule should succeeded even when some indexes remain pending [Conformance]"""
    some_pending(kube, "count", {"succeededCount": 1})
