"""What needs only the API and the controllers of test/e2e/apps, and few pods: status end points, collections, life cycles, adoption."""
from conftest import wait_for

from .cluster import refused
from .operations import check_discovery, check_operations, contains, remaining
from .workloads import IMAGE, deployment, pod, replication_controller, template

APPS, BATCH, POLICY = "apps/v1", "batch/v1", "policy/v1"


def replica_set(name, replicas, labels):
    return {"apiVersion": APPS, "kind": "ReplicaSet", "metadata": {"name": name, "labels": labels}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels}, "template": template(labels)}}


def stateful_set(name, replicas, labels):
    return {"apiVersion": APPS, "kind": "StatefulSet", "metadata": {"name": name, "labels": labels}, "spec": {
        "replicas": replicas, "serviceName": "test", "selector": {"matchLabels": labels}, "template": template(labels)}}


def daemon_set(name, labels):
    return {"apiVersion": APPS, "kind": "DaemonSet", "metadata": {"name": name, "labels": labels}, "spec": {
        "selector": {"matchLabels": labels}, "template": template(labels)}}


def job(name, labels=None, command=("sh", "-c", "exit 0"), **spec):
    return {"apiVersion": BATCH, "kind": "Job", "metadata": {"name": name, "labels": labels or {}}, "spec": {**spec, "template": {
        "metadata": {"labels": labels or {}}, "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [
            {"name": "c", "image": IMAGE, "command": list(command)}]}}}}


def check_conditions(resource, name):
    """Conditions of the status are replaced and patched there, and watched; what the controller writes stays its own."""
    condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
    with resource.watch(fieldSelector=f"metadata.name={name}") as watch:
        resource.get(name, "status")
        updated = resource.update(name, lambda object: object["status"].setdefault("conditions", []).append(condition), sub="status")
        assert contains(updated["status"]["conditions"], [condition])
        watch.next("MODIFIED", lambda object: contains(object["status"].get("conditions", []), [condition]))
        patch = {"status": {"conditions": [{"type": "StatusPatched", "status": "True"}]}}
        patched = resource.patch(name, patch, sub="status")
        assert contains(patched["status"]["conditions"], patch["status"]["conditions"])
        watch.next("MODIFIED", lambda object: contains(object["status"].get("conditions", []), patch["status"]["conditions"]))


def check_collection(cluster, resource, make, label):
    """Three are listed in all namespaces, and deleted as a collection."""
    selector = f"{label}=yes"
    for number in range(3):
        resource.create(make(f"test-{number}"))
    found = cluster.resource(resource.api_version, resource.plural).list(labelSelector=selector)["items"]
    assert len(found) == 3
    resource.delete_collection(labelSelector=selector)
    wait_for(lambda: resource.names(labelSelector=selector) == [], "all are gone", every=0.05)


def test_the_status_of_a_deployment(cluster, namespace):
    """[sig-apps] Deployment should validate Deployment Status endpoints [Conformance]"""
    deployments = cluster.resource(APPS, "deployments", namespace)
    deployments.create(deployment("test-deployment", 1))
    deployments.wait("test-deployment", lambda object: object["status"].get("observedGeneration"), "is observed")
    check_conditions(deployments, "test-deployment")


def test_a_deployment_lives(node_cluster, node_namespace):
    """[sig-apps] Deployment should run the lifecycle of a Deployment [Conformance]"""
    deployments, selector = node_cluster.resource(APPS, "deployments", node_namespace), "test-deployment-static=true"
    labels = {"test-deployment-static": "true"}

    def ready(count):
        return lambda object: object["status"].get("readyReplicas", 0) == count and object["status"].get("observedGeneration") == object["metadata"]["generation"]
    with deployments.watch(labelSelector=selector) as watch:
        deployments.create(deployment("test-deployment", 1, labels, {"labels": labels}))
        watch.next("ADDED")
        watch.next("MODIFIED", ready(1))
        deployments.patch("test-deployment", {"metadata": {"labels": {"test-deployment": "patched"}}, "spec": {"replicas": 2, "template": {"spec": {
            "containers": [{"name": "nginx", "image": "nginx:1.16"}]}}}}, kind="strategic")
        watch.next("MODIFIED", lambda object: object["metadata"]["labels"].get("test-deployment") == "patched")
        watch.next("MODIFIED", lambda object: ready(2)(object) and object["status"].get("updatedReplicas") == 2)
        found = node_cluster.resource(APPS, "deployments").list(labelSelector=selector)["items"]
        assert [(item["metadata"]["namespace"], item["spec"]["template"]["spec"]["containers"][0]["image"]) for item in found] == [(node_namespace, "nginx:1.16")]
        deployments.patch("test-deployment", {"status": {"conditions": [{"type": "Patched", "status": "True", "reason": "E2E"}]}}, kind="strategic", sub="status")
        watch.next("MODIFIED", lambda object: "Patched" in [c["type"] for c in object["status"]["conditions"]])
        deployments.delete_collection(labelSelector=selector)
        watch.next("DELETED")


def test_the_status_of_a_replica_set(cluster, namespace):
    """[sig-apps] ReplicaSet should validate Replicaset Status endpoints [Conformance]"""
    sets = cluster.resource(APPS, "replicasets", namespace)
    sets.create(replica_set("test-rs", 1, {"app": "sample"}))
    sets.wait("test-rs", lambda object: object["status"].get("observedGeneration"), "is observed")
    check_conditions(sets, "test-rs")


def test_replica_sets_are_a_collection(cluster, namespace):
    """[sig-apps] ReplicaSet should list and delete a collection of ReplicaSets [Conformance]"""
    sets = cluster.resource(APPS, "replicasets", namespace)
    check_collection(cluster, sets, lambda name: replica_set(name, 1, {f"e2e-{namespace}": "yes", "own": name}), f"e2e-{namespace}")


def test_a_replica_set_is_replaced_and_patched(node_cluster, node_namespace):
    """[sig-apps] ReplicaSet Replace and Patch tests [Conformance]"""
    sets = node_cluster.resource(APPS, "replicasets", node_namespace)
    sets.create(replica_set("test-rs", 1, {"app": "test-rs"}))
    sets.wait("test-rs", lambda object: object["status"].get("readyReplicas") == 1, "has one ready pod")
    scale = sets.get("test-rs", "scale")
    assert scale["spec"]["replicas"] == 1
    assert sets.replace({**scale, "spec": {"replicas": 2}}, "scale")["spec"]["replicas"] == 2
    sets.wait("test-rs", lambda object: object["status"].get("readyReplicas") == 2, "has two ready pods")
    patched = sets.patch("test-rs", {"metadata": {"labels": {"test-rs": "patched"}}, "spec": {"replicas": 3, "template": {"spec": {
        "terminationGracePeriodSeconds": 0, "containers": [{"name": "nginx", "image": "nginx:1.16"}]}}}}, kind="strategic")
    assert patched["metadata"]["labels"]["test-rs"] == "patched"
    sets.wait("test-rs", lambda object: object["status"].get("readyReplicas") == 3, "has three ready pods")


def owner(object):
    return [reference["name"] for reference in object["metadata"].get("ownerReferences", []) if reference.get("controller")]


def test_a_replica_set_adopts_and_releases(cluster, namespace):
    """[sig-apps] ReplicaSet should adopt matching pods on creation and release no longer matching pods [Conformance]"""
    pods, sets = cluster.core("pods", namespace), cluster.resource(APPS, "replicasets", namespace)
    pods.create(pod("pod-adoption-release", metadata={"labels": {"name": "pod-adoption-release"}}))
    sets.create(replica_set("pod-adoption-release", 1, {"name": "pod-adoption-release"}))
    pods.wait("pod-adoption-release", lambda object: owner(object) == ["pod-adoption-release"], "is adopted")
    pods.patch("pod-adoption-release", {"metadata": {"labels": {"name": "not-matching-label"}}})
    pods.wait("pod-adoption-release", lambda object: owner(object) == [], "is released")
    wait_for(lambda: len(pods.names(labelSelector="name=pod-adoption-release")) == 1, "another pod takes its place")


def test_a_replication_controller_adopts(cluster, namespace):
    """[sig-apps] ReplicationController should adopt matching pods on creation [Conformance]"""
    pods, controllers = cluster.core("pods", namespace), cluster.core("replicationcontrollers", namespace)
    pods.create(pod("pod-adoption", metadata={"labels": {"name": "pod-adoption"}}))
    controllers.create(replication_controller("pod-adoption", 1, {"name": "pod-adoption"}))
    pods.wait("pod-adoption", lambda object: owner(object) == ["pod-adoption"], "is adopted")
    controllers.wait("pod-adoption", lambda object: object["status"].get("replicas") == 1, "counts it")
    assert pods.names() == ["pod-adoption"]


def test_a_replication_controller_releases(cluster, namespace):
    """[sig-apps] ReplicationController should release no longer matching pods [Conformance]"""
    pods, controllers = cluster.core("pods", namespace), cluster.core("replicationcontrollers", namespace)
    controllers.create(replication_controller("pod-release", 1, {"name": "pod-release"}))
    name = wait_for(lambda: pods.names(), "the pod is made", every=0.05)[0]
    pods.patch(name, {"metadata": {"labels": {"name": "not-matching-label"}}})
    pods.wait(name, lambda object: owner(object) == [], "is released")


def test_a_replication_controller_tells_of_an_exceeded_quota(cluster, namespace):
    """[sig-apps] ReplicationController should surface a failure condition on a common issue like exceeded quota [Conformance]"""
    quotas, controllers = cluster.core("resourcequotas", namespace), cluster.core("replicationcontrollers", namespace)
    quotas.create({"metadata": {"name": "condition-test"}, "spec": {"hard": {"pods": "2"}}})
    quotas.wait("condition-test", lambda object: object.get("status", {}).get("used", {}).get("pods") == "0", "is computed")
    controllers.create(replication_controller("condition-test", 3, {"name": "condition-test"}))

    def failed(object):
        return [c["status"] for c in object["status"].get("conditions", []) if c["type"] == "ReplicaFailure"]
    controllers.wait("condition-test", lambda object: failed(object) == ["True"], "says that it failed")
    controllers.update("condition-test", lambda object: object["spec"].update(replicas=2))
    controllers.wait("condition-test", lambda object: failed(object) == [], "does not say so any more")


def test_a_replication_controller_lives(node_cluster, node_namespace):
    """[sig-apps] ReplicationController should test the lifecycle of a ReplicationController [Conformance]"""
    controllers, selector = node_cluster.core("replicationcontrollers", node_namespace), "test-rc-static=true"
    labels = {"test-rc-static": "true"}

    def ready(count):
        return lambda object: object["status"].get("readyReplicas", 0) == count
    with controllers.watch(labelSelector=selector) as watch:
        made = replication_controller("rc-test", 1, labels)
        made["metadata"]["labels"] = labels
        controllers.create(made)
        watch.next("ADDED")
        watch.next("MODIFIED", ready(1))
        controllers.patch("rc-test", {"metadata": {"labels": {"test-rc": "patched"}}}, kind="strategic")
        watch.next("MODIFIED", lambda object: object["metadata"]["labels"].get("test-rc") == "patched")
        controllers.patch("rc-test", {"status": {"readyReplicas": 0, "availableReplicas": 0}}, kind="strategic", sub="status")
        assert controllers.get("rc-test", "status")["kind"] == "ReplicationController"
        watch.next("MODIFIED", ready(1))
        controllers.patch("rc-test", {"spec": {"replicas": 2}}, kind="strategic", sub="scale")
        watch.next("MODIFIED", ready(2))
        found = node_cluster.core("replicationcontrollers").list(labelSelector=selector)["items"]
        assert [item["metadata"]["namespace"] for item in found] == [node_namespace]
        controllers.delete_collection(labelSelector=selector)
        watch.next("DELETED")


def test_the_status_of_a_stateful_set(cluster, namespace):
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should validate Statefulset Status endpoints [Conformance]"""
    sets = cluster.resource(APPS, "statefulsets", namespace)
    sets.create(stateful_set("ss", 1, {"app": "sample"}))
    sets.wait("ss", lambda object: object["status"].get("observedGeneration"), "is observed")
    check_conditions(sets, "ss")


def test_stateful_sets_are_a_collection(node_cluster, node_namespace):
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should list, patch and delete a collection of StatefulSets [Conformance]"""
    sets = node_cluster.resource(APPS, "statefulsets", node_namespace)
    sets.create(stateful_set("test-ss", 1, {"test-ss": "1"}))
    sets.wait("test-ss", lambda object: object["status"].get("readyReplicas") == 1, "has one ready pod")
    patched = sets.patch("test-ss", {"metadata": {"labels": {"test-ss": "patched"}}, "spec": {"replicas": 2, "template": {"spec": {
        "containers": [{"name": "nginx", "image": "nginx:1.16"}]}}}}, kind="strategic")
    assert patched["metadata"]["labels"]["test-ss"] == "patched" and patched["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.16"
    sets.wait("test-ss", lambda object: object["status"].get("readyReplicas") == 2 and object["status"].get("updatedReplicas") == 2, "has two ready pods")
    found = node_cluster.resource(APPS, "statefulsets").list(labelSelector="test-ss=patched")["items"]
    assert [item["metadata"]["namespace"] for item in found] == [node_namespace]
    sets.delete_collection({"gracePeriodSeconds": 0}, labelSelector="test-ss=patched")
    wait_for(lambda: sets.names() == [], "it is gone")


def test_the_status_of_a_daemon_set(node_cluster, node_namespace):
    """[sig-apps] Daemon set [Serial] should verify changes to a daemon set status [Conformance]"""
    sets = node_cluster.resource(APPS, "daemonsets", node_namespace)
    sets.create(daemon_set("daemon-set", {"daemonset-name": "daemon-set"}))
    sets.wait("daemon-set", lambda object: object["status"].get("numberReady") == 2, "runs on both nodes")
    check_conditions(sets, "daemon-set")


def test_daemon_sets_are_a_collection(node_cluster, node_namespace):
    """[sig-apps] Daemon set [Serial] should list and delete a collection of DaemonSets [Conformance]"""
    sets, label = node_cluster.resource(APPS, "daemonsets", node_namespace), {"daemonset-collection": "yes"}
    sets.create(daemon_set("daemon-set", label))
    sets.wait("daemon-set", lambda object: object["status"].get("numberReady") == 2, "runs on both nodes")
    assert len(node_cluster.resource(APPS, "daemonsets").list(labelSelector="daemonset-collection=yes")["items"]) == 1
    sets.delete_collection(labelSelector="daemonset-collection=yes")
    wait_for(lambda: sets.names() == [] and node_cluster.core("pods", node_namespace).names() == [], "it is gone with its pods")


def test_a_controller_revision_lives(node_cluster, node_namespace):
    """[sig-apps] ControllerRevision [Serial] should manage the lifecycle of a ControllerRevision [Conformance]"""
    sets, revisions = (node_cluster.resource(APPS, plural, node_namespace) for plural in ("daemonsets", "controllerrevisions"))
    sets.create(daemon_set("e2e-set", {"daemonset-name": "e2e-set"}))
    sets.wait("e2e-set", lambda object: object["status"].get("numberReady") == 2, "runs on both nodes")
    selector = "daemonset-name=e2e-set"
    [first] = node_cluster.resource(APPS, "controllerrevisions").list(labelSelector=selector)["items"]
    name = first["metadata"]["name"]
    assert revisions.patch(name, {"metadata": {"labels": {name: "patched"}}})["metadata"]["labels"][name] == "patched"
    second = {**first, "metadata": {"name": "e2e-second", "labels": first["metadata"]["labels"], "ownerReferences": first["metadata"]["ownerReferences"]},
              "revision": first["revision"] + 1}
    revisions.create(second)
    assert len(revisions.names(labelSelector=selector)) >= 2
    revisions.delete("e2e-second")
    assert revisions.gone("e2e-second")
    updated = revisions.update(name, lambda object: object["metadata"]["labels"].update({name: "updated"}))
    assert updated["metadata"]["labels"][name] == "updated"
    # A change of the template makes another one.
    sets.patch("e2e-set", {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}})
    wait_for(lambda: len(revisions.names(labelSelector=selector)) == 2, "there are two revisions", every=0.05)
    revisions.delete_collection(labelSelector=f"{name}=updated")
    wait_for(lambda: revisions.gone(name), "the first is gone")


def budget(name, label, minimum=1):
    return {"apiVersion": POLICY, "kind": "PodDisruptionBudget", "metadata": {"name": name, "labels": {label: "yes"}}, "spec": {
        "minAvailable": minimum, "selector": {"matchLabels": {"foo": "bar"}}}}


def test_budgets_are_a_collection(cluster, namespace):
    """[sig-apps] DisruptionController Listing PodDisruptionBudgets for all namespaces should list and delete a collection of PodDisruptionBudgets [Conformance]"""
    budgets, label = cluster.resource(POLICY, "poddisruptionbudgets", namespace), f"e2e-{namespace}"
    check_collection(cluster, budgets, lambda name: budget(name, label), label)


def test_a_budget_is_made_changed_and_deleted(cluster, namespace):
    """[sig-apps] DisruptionController should create a PodDisruptionBudget [Conformance]"""
    budgets = cluster.resource(POLICY, "poddisruptionbudgets", namespace)
    budgets.create(budget("foo", "e2e"))
    assert budgets.get("foo")["spec"]["minAvailable"] == 1
    assert budgets.update("foo", lambda object: object["spec"].update(minAvailable="2%"))["spec"]["minAvailable"] == "2%"
    assert budgets.patch("foo", {"spec": {"minAvailable": "3%"}}, kind="strategic")["spec"]["minAvailable"] == "3%"
    budgets.delete("foo")
    assert budgets.gone("foo")


def test_the_status_of_a_budget_is_observed(node_cluster, node_namespace):
    """[sig-apps] DisruptionController should observe PodDisruptionBudget status updated [Conformance]"""
    budgets, pods = node_cluster.resource(POLICY, "poddisruptionbudgets", node_namespace), node_cluster.core("pods", node_namespace)
    budgets.create(budget("foo", "e2e"))
    for number in range(3):
        pods.create(pod(f"pod-{number}", metadata={"labels": {"foo": "bar"}}))
    observed = budgets.wait("foo", lambda object: object["status"].get("currentHealthy") == 3, "counts its pods")
    assert observed["status"]["disruptionsAllowed"] == 2 and observed["status"]["desiredHealthy"] == 1


def test_the_status_of_a_budget_is_written(cluster, namespace):
    """[sig-apps] DisruptionController should update/patch PodDisruptionBudget status [Conformance]"""
    budgets = cluster.resource(POLICY, "poddisruptionbudgets", namespace)
    budgets.create(budget("foo", "e2e"))
    budgets.wait("foo", lambda object: object.get("status", {}).get("observedGeneration"), "is observed")
    disrupted = {"disruptedPods": {"pod": "2026-01-01T00:00:00Z"}}
    updated = budgets.update("foo", lambda object: object["status"].update(disrupted), sub="status")
    assert updated["status"]["disruptedPods"] == disrupted["disruptedPods"]
    patched = budgets.patch("foo", {"status": {"disruptedPods": None}}, sub="status")
    assert "disruptedPods" not in patched["status"]


def test_cron_jobs(cluster, namespace):
    """[sig-apps] CronJob should support CronJob API operations [Conformance]"""
    check_discovery(cluster, BATCH, "cronjobs", "cronjobs/status")
    jobs = cluster.resource(BATCH, "cronjobs", namespace)
    spec = {"schedule": "0 0 1 1 *", "concurrencyPolicy": "Allow", "jobTemplate": {"spec": job("x")["spec"]}}
    check_operations(jobs, {"spec": spec})
    name = jobs.create({"metadata": {"generateName": "e2e-", "labels": {"special": namespace}}, "spec": spec})["metadata"]["name"]
    assert len(cluster.resource(BATCH, "cronjobs").list(labelSelector=f"special={namespace}")["items"]) == 1
    assert jobs.get(name, "status")["metadata"]["name"] == name
    patched = jobs.patch(name, {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"lastScheduleTime": "2026-01-01T00:00:00Z"}}, sub="status")
    assert patched["status"]["lastScheduleTime"] == "2026-01-01T00:00:00Z" and patched["metadata"]["annotations"]["patchedstatus"] == "true"
    updated = jobs.update(name, lambda object: object["status"].update(lastScheduleTime="2026-01-02T00:00:00Z"), sub="status")
    assert updated["status"]["lastScheduleTime"] == "2026-01-02T00:00:00Z"
    jobs.delete_collection(labelSelector=f"special={namespace}")
    remaining(jobs, f"special={namespace}", 0)


def test_the_status_of_a_job(cluster, namespace):
    """[sig-apps] Job should apply changes to a job status [Conformance]"""
    jobs = cluster.resource(BATCH, "jobs", namespace)
    jobs.create(job("suspended", parallelism=2, completions=4, suspend=True))
    jobs.wait("suspended", lambda object: "Suspended" in [c["type"] for c in object["status"].get("conditions", [])], "is suspended")
    condition = {"type": "CustomConditionType", "status": "True"}
    patched = jobs.patch("suspended", {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"conditions": [condition]}}, kind="strategic", sub="status")
    assert contains(patched["status"]["conditions"], [condition]) and patched["metadata"]["annotations"]["patchedstatus"] == "true"
    other = {"type": "OtherConditionType", "status": "True"}
    updated = jobs.update("suspended", lambda object: object["status"]["conditions"].append(other), sub="status")
    assert contains(updated["status"]["conditions"], [other])
    assert contains(jobs.get("suspended", "status")["status"]["conditions"], [other])


def test_a_job_lives(node_cluster, node_namespace):
    """[sig-apps] Job should manage the lifecycle of a job [Conformance]"""
    jobs = node_cluster.resource(BATCH, "jobs", node_namespace)
    jobs.create(job("e2e-job", {"e2e-job-label": "e2e-job"}, parallelism=1, completions=1, suspend=True, backoffLimit=6))
    assert jobs.patch("e2e-job", {"metadata": {"labels": {"e2e-job": "patched"}}})["metadata"]["labels"]["e2e-job"] == "patched"
    updated = jobs.update("e2e-job", lambda object: (object["spec"].update(suspend=False), object["metadata"].setdefault("annotations", {}).update(updated="true")))
    assert updated["metadata"]["annotations"]["updated"] == "true"
    finished = jobs.wait("e2e-job", lambda object: object["status"].get("succeeded") == 1, "succeeds")
    assert "Complete" in [c["type"] for c in jobs.wait("e2e-job", lambda object: object["status"].get("completionTime"), "is complete")["status"]["conditions"]]
    assert finished["status"]["succeeded"] == 1
    assert len(node_cluster.resource(BATCH, "jobs").list(labelSelector="e2e-job=patched")["items"]) == 1
    jobs.delete_collection({"propagationPolicy": "Background"}, labelSelector="e2e-job=patched")
    wait_for(lambda: jobs.names() == [], "the job is gone")


def test_a_job_adopts_and_releases(node_cluster, node_namespace):
    """[sig-apps] Job should adopt matching orphans and release non-matching pods [Conformance]"""
    jobs, pods = node_cluster.resource(BATCH, "jobs", node_namespace), node_cluster.core("pods", node_namespace)
    jobs.create(job("adopt-release", command=("sleep", "100000"), parallelism=2, completions=2))
    selector = "batch.kubernetes.io/job-name=adopt-release"
    name = wait_for(lambda: len(pods.names(labelSelector=selector)) == 2 and pods.names(labelSelector=selector), "two pods are made")[0]
    pods.patch(name, {"metadata": {"ownerReferences": None}})
    pods.wait(name, lambda object: owner(object) == ["adopt-release"], "is adopted again")
    pods.patch(name, {"metadata": {"labels": None}})
    pods.wait(name, lambda object: owner(object) == [], "is released")
    jobs.delete("adopt-release", {"propagationPolicy": "Background"})


def check_scale(resource, name, ready):
    """The number of replicas is read, replaced and patched in the scale, and what the object says follows."""
    resource.wait(name, lambda object: object["status"].get(ready, 0) == 1, "has one replica")
    scale = resource.get(name, "scale")
    assert scale["kind"] == "Scale" and scale["spec"]["replicas"] == 1 and scale["status"]["replicas"] == 1
    assert resource.replace({**scale, "spec": {"replicas": 2}}, "scale")["spec"]["replicas"] == 2
    assert resource.get(name)["spec"]["replicas"] == 2
    assert resource.patch(name, {"spec": {"replicas": 4}}, kind="strategic", sub="scale")["spec"]["replicas"] == 4
    assert resource.get(name)["spec"]["replicas"] == 4


def test_the_scale_of_a_deployment(cluster, namespace):
    """[sig-apps] Deployment Deployment should have a working scale subresource [Conformance]"""
    deployments = cluster.resource(APPS, "deployments", namespace)
    deployments.create(deployment("test-new-deployment", 1))
    check_scale(deployments, "test-new-deployment", "replicas")


def test_the_scale_of_a_replica_set(cluster, namespace):
    """[sig-apps] ReplicaSet Replicaset should have a working scale subresource [Conformance]"""
    sets = cluster.resource(APPS, "replicasets", namespace)
    sets.create(replica_set("test-rs", 1, {"app": "test-rs"}))
    check_scale(sets, "test-rs", "replicas")


def test_the_scale_of_a_replication_controller(cluster, namespace):
    """[sig-apps] ReplicationController should get and update a ReplicationController scale [Conformance]"""
    controllers = cluster.core("replicationcontrollers", namespace)
    controllers.create(replication_controller("e2e-rc", 1, {"name": "e2e-rc"}))
    check_scale(controllers, "e2e-rc", "replicas")
    controllers.wait("e2e-rc", lambda object: object["status"]["replicas"] == 4, "has four pods")


def test_the_scale_of_a_stateful_set(node_cluster, node_namespace):
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should have a working scale subresource [Conformance]"""
    sets = node_cluster.resource(APPS, "statefulsets", node_namespace)
    sets.create(stateful_set("ss", 1, {"app": "ss"}))
    check_scale(sets, "ss", "readyReplicas")


def test_a_job_is_deleted(node_cluster, node_namespace):
    """[sig-apps] Job should delete a job [Conformance]"""
    jobs, pods = node_cluster.resource(BATCH, "jobs", node_namespace), node_cluster.core("pods", node_namespace)
    jobs.create(job("foo", command=("sleep", "100000"), parallelism=2, completions=4))
    jobs.wait("foo", lambda object: object["status"].get("active") == 2, "has two pods")
    jobs.delete("foo", {"propagationPolicy": "Foreground"})
    jobs.wait_gone("foo")
    assert pods.names() == []


def test_evictions_wait_for_their_budget(node_cluster, node_namespace):
    """[sig-apps] DisruptionController should block an eviction until the PDB is updated to allow it [Conformance]"""
    pods, budgets = node_cluster.core("pods", node_namespace), node_cluster.resource(POLICY, "poddisruptionbudgets", node_namespace)

    def evict():
        return pods.create({"apiVersion": POLICY, "kind": "Eviction", "metadata": {"name": "pod-0", "namespace": node_namespace}}, "pod-0", "eviction")
    for number in range(3):
        pods.create(pod(f"pod-{number}", metadata={"labels": {"foo": "bar"}}))
    budgets.create(budget("foo", "e2e", minimum=3))
    budgets.wait("foo", lambda object: object["status"].get("currentHealthy") == 3, "counts its pods")
    with refused(429, "Cannot evict pod as it would violate the pod's disruption budget."):
        evict()
    budgets.update("foo", lambda object: object["spec"].update(minAvailable=2))
    budgets.wait("foo", lambda object: object["status"].get("disruptionsAllowed") == 1, "allows one")
    evict()
    pods.wait_gone("pod-0")
    # One more at a time: the next waits for another change.
    budgets.patch("foo", {"spec": {"minAvailable": 3}})
    budgets.wait("foo", lambda object: object["status"].get("disruptionsAllowed") == 0 and object["status"]["currentHealthy"] == 2, "allows none")
    with refused(429):
        pods.create({"apiVersion": POLICY, "kind": "Eviction", "metadata": {"name": "pod-1", "namespace": node_namespace}}, "pod-1", "eviction")
    budgets.delete_collection()
    budgets.wait_gone("foo")
    pods.create({"apiVersion": POLICY, "kind": "Eviction", "metadata": {"name": "pod-1", "namespace": node_namespace}}, "pod-1", "eviction")
    pods.wait_gone("pod-1")
