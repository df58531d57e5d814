import KubeAPI
import Testing

@testable import KubeControllers

private func job(status: Value = ["startTime": .string(epoch.rfc3339)], spec change: (inout Value) -> Void = { _ in }) throws -> JobState {
    var spec: Value = [
        "parallelism": 2, "completions": 3, "backoffLimit": 2,
        "template": [
            "metadata": ["labels": ["job-name": "work"]], "spec": ["restartPolicy": "Never", "containers": [["name": "c", "image": "work"]]],
        ],
    ]
    change(&spec)
    return JobState(
        try object([
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": ["name": "work", "namespace": "default", "uid": "job", "creationTimestamp": .string(epoch.rfc3339)], "spec": spec,
            "status": status,
        ]))
}

private func worker(_ name: String, _ phase: String, tracked: Bool = true, index: Int? = nil, deleting: Bool = false, ended: Timestamp = epoch) throws
    -> Object
{
    var value = try pod(name, phase: phase, ready: phase == "Running", deleting: deleting).value
    if tracked { value[path: "metadata", "finalizers"] = [.string(JobTracking.finalizer)] }
    if let index { value[path: "metadata", "annotations", JobTracking.indexKey] = .string(String(index)) }
    if phase == "Failed" || phase == "Succeeded" {
        value[path: "status", "containerStatuses"] = [["name": "c", "state": ["terminated": ["finishedAt": .string(ended.rfc3339)]]]]
    }
    return try object(value)
}

private func plan(_ job: JobState, _ pods: [Object], after seconds: Int64 = 0, released: Set<String> = []) -> JobPlan {
    JobPlanner(job: job, pods: pods, now: epoch.adding(seconds: seconds), released: released).plan()
}

@Suite("Job")
struct JobTests {
    @Test("a new Job starts as many pods as may run at once, each with the tracking finalizer")
    func start() throws {
        let state = try job(status: [:])
        let plan = plan(state, [])
        #expect(plan.creates.count == 2)
        #expect(plan.counted.startTime == epoch.rfc3339)
        let pod = try object(state.pod(index: nil))
        #expect(JobTracking.isTracked(pod))
        #expect(pod["metadata"]["generateName"].string == "work-")
    }

    @Test("a pod that ended is written down, then released, then counted")
    func counting() throws {
        let plan = plan(try job(), [try worker("a", "Succeeded"), try worker("b", "Running")])
        #expect(plan.counting?.uncountedSucceeded == ["uid-a"])
        #expect(plan.counting?.succeeded == 0)
        #expect(plan.release.map(\.metadata.name) == ["a"])
        #expect(plan.counted.succeeded == 1)
        #expect(plan.counted.uncountedSucceeded.isEmpty)
        #expect(plan.counted.active == 1)
        #expect(plan.creates.count == 1)
    }

    @Test("what is in the uncounted list after a crash is counted once")
    func crash() throws {
        let state = try job(status: ["startTime": .string(epoch.rfc3339), "succeeded": 1, "uncountedTerminatedPods": ["succeeded": ["uid-a"]]])
        #expect(plan(state, [try worker("a", "Succeeded")]).counted.succeeded == 2)
        #expect(plan(state, [try worker("a", "Succeeded", tracked: false)]).counted.succeeded == 2)
        #expect(plan(state, []).counted.succeeded == 2)
    }

    @Test("enough successes complete the Job, once its pods are gone")
    func complete() throws {
        let state = try job(status: ["startTime": .string(epoch.rfc3339), "succeeded": 2])
        let last = plan(state, [try worker("c", "Succeeded"), try worker("d", "Running")])
        #expect(last.counted.conditions.condition("SuccessCriteriaMet")?.status == "True")
        #expect(last.counted.conditions.condition("Complete") == nil)
        #expect(last.deletes.map(\.metadata.name) == ["d"] && last.deletesAreUncounted)
        let done = plan(try job(status: last.counted.value), [], after: 5)
        #expect(done.counted.conditions.condition("Complete")?.status == "True")
        #expect(done.counted.completionTime == epoch.adding(seconds: 5).rfc3339)
        #expect(done.events == [JobEvent(reason: "Completed", message: "Job completed")])
        #expect(done.creates.isEmpty)
    }

    @Test("without a number of completions the first success ends it, the others may finish")
    func workQueue() throws {
        let state = try job { $0["completions"] = nil }
        let running = plan(state, [try worker("a", "Succeeded"), try worker("b", "Running")])
        #expect(running.creates.isEmpty && running.deletes.isEmpty)
        #expect(running.counted.conditions.isEmpty)
        let done = plan(state, [try worker("a", "Succeeded"), try worker("b", "Succeeded")])
        #expect(done.counted.conditions.condition("Complete")?.status == "True")
        #expect(done.counted.succeeded == 2)
    }

    @Test("failures are retried after a pause that doubles, until the limit ends the Job")
    func failures() throws {
        let state = try job()
        let early = plan(state, [try worker("a", "Failed")], after: 4)
        #expect(early.creates.isEmpty)
        #expect(early.requeueAfter == 6)
        #expect(early.counted.failed == 1)
        #expect(plan(state, [try worker("a", "Failed")], after: 11).creates.count == 2)
        let failed = try job(status: ["startTime": .string(epoch.rfc3339), "failed": 2])
        let last = plan(failed, [try worker("c", "Failed"), try worker("d", "Running")])
        #expect(last.counted.conditions.condition("FailureTarget")?.reason == "BackoffLimitExceeded")
        #expect(last.deletes.map(\.metadata.name) == ["d"])
        #expect(!last.deletesAreUncounted, "of a Job that failed, what was stopped has failed, too")
        let over = plan(try job(status: last.counted.value), [])
        #expect(over.counted.conditions.condition("Failed")?.message == "Job has reached the specified backoff limit")
    }

    @Test("a deadline ends the Job, and is waited for")
    func deadline() throws {
        let state = try job { $0["activeDeadlineSeconds"] = 30 }
        #expect(plan(state, [try worker("a", "Running"), try worker("b", "Running")], after: 10).requeueAfter == 20)
        let late = plan(state, [try worker("a", "Running")], after: 31)
        #expect(late.counted.conditions.condition("FailureTarget")?.reason == "DeadlineExceeded")
        #expect(late.deletes.count == 1)
    }

    @Test("a suspended Job has no pods and they are no failures; resumed, its time begins anew")
    func suspend() throws {
        let state = try job { $0["suspend"] = true }
        let plan1 = plan(state, [try worker("a", "Running")])
        #expect(plan1.deletes.count == 1 && plan1.deletesAreUncounted)
        #expect(plan1.counted.conditions.condition("Suspended")?.status == "True")
        #expect(plan1.counted.startTime == nil)
        let resumed = plan(try job(status: plan1.counted.value), [], after: 60)
        #expect(resumed.counted.conditions.condition("Suspended")?.reason == "JobResumed")
        #expect(resumed.counted.startTime == epoch.adding(seconds: 60).rfc3339)
        #expect(resumed.creates.count == 2)
    }

    @Test("an indexed Job has one pod for each index that is not done")
    func indexed() throws {
        let state = try job(status: ["startTime": .string(epoch.rfc3339), "completedIndexes": "0"]) {
            $0["completionMode"] = "Indexed"
            $0["completions"] = 5
            $0["parallelism"] = 3
        }
        let plan = plan(state, [try worker("a", "Succeeded", index: 1), try worker("b", "Running", index: 2), try worker("c", "Running", index: 2)])
        #expect(plan.counted.completedIndexes.text == "0,1")
        #expect(plan.counted.succeeded == 2)
        #expect(plan.creates == [3, 4])
        #expect(plan.deletes.map(\.metadata.name) == ["c"])
        let pod = try object(state.pod(index: 3))
        #expect(pod["metadata"]["generateName"].string == "work-3-")
        #expect(pod["spec"]["hostname"].string == "work-3")
        #expect(pod["spec"]["containers"].elements.first?["env"].elements.first?["name"].string == "JOB_COMPLETION_INDEX")
    }

    @Test(
        "indexes read and write as upstream does",
        arguments: [("", ""), ("0", "0"), ("0,1", "0,1"), ("0-2,5", "0-2,5"), ("3,1,2", "1-3"), ("x,4", "4")])
    func indexes(text: String, canonical: String) {
        #expect(IndexSet(text: text).text == canonical)
    }

    @Test("a pod being deleted counts as failed and is replaced, unless only failed ones are")
    func terminating() throws {
        let pods = [try worker("a", "Running", deleting: true)]
        let replaced = plan(try job(), pods, after: 60)
        #expect(replaced.counted.failed == 1)
        #expect(replaced.release.count == 1)
        let patient = plan(try job { $0["podReplacementPolicy"] = "Failed" }, pods, after: 60)
        #expect(patient.counted.failed == 0)
        #expect(patient.release.isEmpty)
        #expect(patient.creates.count == 1)
        #expect(patient.counted.terminating == 1)
    }

    @Test("a failure policy fails the Job by an exit code, ignores disruptions and counts the rest")
    func failurePolicy() throws {
        let state = try job {
            $0["podFailurePolicy"] = [
                "rules": [
                    ["action": "FailJob", "onExitCodes": ["containerName": "c", "operator": "In", "values": [42]]],
                    ["action": "Ignore", "onPodConditions": [["type": "DisruptionTarget", "status": "True"]]],
                ]
            ]
        }
        var pod = try worker("a", "Failed").value
        pod[path: "status", "containerStatuses"] = [
            ["name": "c", "state": ["terminated": ["exitCode": 42, "finishedAt": .string(epoch.rfc3339)]]]
        ]
        let failed = plan(state, [try object(pod)])
        let target = failed.counted.conditions.condition("FailureTarget")
        #expect(target?.reason == "PodFailurePolicy")
        #expect(target?.message == "Container c for pod default/a failed with exit code 42 matching FailJob rule at index 0")
        #expect(failed.counted.failed == 1)

        var evicted = try worker("b", "Failed").value
        evicted[path: "status", "conditions"] = [["type": "DisruptionTarget", "status": "True"]]
        let ignored = plan(state, [try object(evicted)], after: 60)
        #expect(ignored.counted.failed == 0)
        #expect(ignored.release.map(\.metadata.name) == ["b"])
        #expect(ignored.creates.count == 2)
        #expect(plan(state, [try worker("c", "Failed")]).counted.failed == 1)
    }

    @Test("failures are counted by index: the failed pod stays until its index has another")
    func backoffPerIndex() throws {
        let state = try job(status: ["startTime": .string(epoch.rfc3339)]) {
            $0["completionMode"] = "Indexed"
            $0["completions"] = 3
            $0["parallelism"] = 3
            $0["backoffLimitPerIndex"] = 1
            $0["backoffLimit"] = .int(Int64(Int32.max))
        }
        let first = plan(state, [try worker("a", "Failed", index: 0), try worker("b", "Succeeded", index: 1), try worker("c", "Running", index: 2)])
        #expect(first.creates.isEmpty)
        #expect(first.requeueAfter == 10)
        #expect(first.release.map(\.metadata.name) == ["b"])
        #expect(first.counted.failed == 0)
        let later = plan(state, [try worker("a", "Failed", index: 0), try worker("c", "Running", index: 2)], after: 11)
        #expect(later.creates == [0, 1])
        let replacement = try object(state.pod(index: 0, replacing: later.replaced[0]))
        #expect(replacement.metadata.annotations[IndexFailures.countKey] == "1")
        // The replacement fails, too: that is one more than the limit.
        var again = try worker("d", "Failed", index: 0).value
        again[path: "metadata", "annotations", IndexFailures.countKey] = "1"
        let over = plan(state, [try object(again), try worker("c", "Running", index: 2)])
        #expect(over.counted.failedIndexes?.text == "0")
        #expect(over.counted.failed == 1)
        #expect(over.counted.conditions.isEmpty)
        let done = plan(
            try job(status: ["startTime": .string(epoch.rfc3339), "failedIndexes": "0", "completedIndexes": "1"]) {
                $0 = state.object["spec"].value ?? [:]
            }, [try worker("c", "Succeeded", index: 2)])
        #expect(done.counted.conditions.condition("Failed")?.reason == "FailedIndexes")
    }

    @Test("too many failed indexes end the Job")
    func maxFailedIndexes() throws {
        let state = try job(status: ["startTime": .string(epoch.rfc3339), "failedIndexes": "0-2"]) {
            $0["completionMode"] = "Indexed"
            $0["completions"] = 10
            $0["backoffLimitPerIndex"] = 0
            $0["maxFailedIndexes"] = 2
        }
        #expect(plan(state, []).counted.conditions.condition("FailureTarget")?.reason == "MaxFailedIndexesExceeded")
    }

    @Test("a success policy ends the Job by indexes or their number, and the others stop", arguments: ["indexes", "count"])
    func successPolicy(by kind: String) throws {
        let state = try job {
            $0["completionMode"] = "Indexed"
            $0["completions"] = 5
            $0["parallelism"] = 5
            $0["successPolicy"] = ["rules": [kind == "indexes" ? ["succeededIndexes": "0"] : ["succeededCount": 1]]]
        }
        let plan = plan(state, [try worker("a", "Succeeded", index: 0), try worker("b", "Running", index: 1)])
        let met = plan.counted.conditions.condition("SuccessCriteriaMet")
        #expect(met?.reason == "SuccessPolicy" && met?.message == "Matched rules at index 0")
        #expect(plan.deletes.map(\.metadata.name) == ["b"] && plan.deletesAreUncounted)
        let done = KubeControllersTests.plan(try job(status: plan.counted.value) { $0 = state.object["spec"].value ?? [:] }, [])
        #expect(done.counted.conditions.condition("Complete")?.reason == "SuccessPolicy")
        #expect(done.counted.succeeded == 1)
    }
    @Test("a pod that was released is not counted again while the cache still shows it as it was")
    func released() throws {
        let counted = try job(status: ["startTime": .string(epoch.rfc3339), "failed": 1, "succeeded": 1])
        let pods = [try worker("a", "Failed"), try worker("b", "Succeeded")]
        #expect(plan(counted, pods, released: ["uid-a", "uid-b"]).counted.failed == 1)
        #expect(plan(counted, pods, released: ["uid-a", "uid-b"]).counted.succeeded == 1)
        #expect(plan(counted, pods, released: ["uid-a", "uid-b"]).release.isEmpty)
        #expect(plan(counted, pods).counted.failed == 2)
        // Released, and the count was not written any more.
        let noted = try job(status: ["startTime": .string(epoch.rfc3339), "uncountedTerminatedPods": ["failed": ["uid-a"]]])
        #expect(plan(noted, [try worker("a", "Failed")], released: ["uid-a"]).counted.failed == 1)
    }

    @Test("what was released is remembered until the cache shows it, or the pod is gone")
    func remembering() throws {
        let released = ReleasedPods()
        released.insert("uid-a")
        released.insert("uid-b")
        released.observe(try worker("a", "Failed"))
        #expect(released.all == ["uid-a", "uid-b"], "still shown as tracked")
        released.observe(try worker("a", "Failed", tracked: false))
        #expect(released.all == ["uid-b"])
        released.remove("uid-b")
        #expect(!released.contains("uid-b"))
    }

    @Test("an indexed Job that was made smaller does not count the failures of indexes that it has no more")
    func shrunk() throws {
        let state = try job {
            $0["completionMode"] = "Indexed"
            $0["completions"] = 2
        }
        let pods = [try worker("a", "Failed", index: 5), try worker("b", "Failed", index: 1), try worker("c", "Succeeded", index: 4)]
        let plan = plan(state, pods, after: 60)
        #expect(plan.counted.failed == 1)
        #expect(plan.counted.succeeded == 0)
        #expect(plan.release.map(\.metadata.name) == ["a", "b", "c"])
        let running = KubeControllersTests.plan(state, [try worker("d", "Running", index: 3), try worker("e", "Running", index: 0)])
        #expect(running.deletes.map(\.metadata.name) == ["d"] && running.deletesAreUncounted)
    }

    @Test("a tracked pod that no Job controls is an orphan, and is adopted by one that selects it and lives")
    func orphans() throws {
        func controlled(_ kind: String, tracked: Bool = true) throws -> Object {
            var value = try worker("a", "Running", tracked: tracked).value
            value[path: "metadata", "ownerReferences"] = [OwnerReference(apiVersion: "batch/v1", kind: kind, name: "work", uid: "job").value]
            return try object(value)
        }
        #expect(JobController.isOrphan(try worker("a", "Running")))
        #expect(!JobController.isOrphan(try worker("a", "Running", tracked: false)))
        #expect(JobController.isOrphan(try controlled("Job")))
        #expect(!JobController.isOrphan(try controlled("Other")))
        #expect(!JobController.isOrphan(try controlled("Job", tracked: false)))
        func adopts(_ change: (inout Value) -> Void = { _ in }) throws -> Bool {
            var value = try job { $0["selector"] = ["matchLabels": ["app": "web"]] }.object.value
            change(&value)
            return JobController.adopts(try object(value), try worker("a", "Running"))
        }
        #expect(try adopts())
        #expect(try !adopts { $0[path: "metadata", "deletionTimestamp"] = .string(epoch.rfc3339) })
        #expect(try !adopts { $0[path: "spec", "managedBy"] = "example.com/other" })
        #expect(try !adopts { $0[path: "status", "conditions"] = [["type": "Complete", "status": "True"]] })
        #expect(try !adopts { $0[path: "spec", "selector"] = ["matchLabels": ["app": "db"]] })
    }

    @Test("the finalizer is taken from the very pod, whatever else was written meanwhile")
    func releasePatch() {
        #expect(
            JobTracking.releasePatch(uid: "u") == [
                "metadata": ["uid": "u", "$deleteFromPrimitiveList/finalizers": ["batch.kubernetes.io/job-tracking"]]
            ])
    }

    @Test("a pod of an index is named by it, whatever host the template names")
    func hostname() throws {
        let state = try job {
            $0["completionMode"] = "Indexed"
            $0[path: "template", "spec", "hostname"] = "elsewhere"
        }
        #expect(state.pod(index: 3)[path: "spec", "hostname"]?.string == "work-3")
        #expect(state.pod(index: nil)[path: "spec", "hostname"]?.string == "elsewhere")
    }

    @Test("conditions tell when they were looked at, and keep it")
    func probeTime() throws {
        let value = plan(try job { $0["suspend"] = true }, []).counted.value
        let condition = try #require(value["conditions"]?.array?.first)
        #expect(condition["lastProbeTime"]?.string == epoch.rfc3339)
        #expect(JobStatus(try object(["status": value])["status"]).value == value)
    }

    @Test("a deadline in the far future is no trap, and is not reached")
    func farDeadline() throws {
        let plan = plan(try job { $0["activeDeadlineSeconds"] = 9_223_372_036_854 }, [try worker("a", "Running"), try worker("b", "Running")])
        #expect(plan.counted.conditions.condition("FailureTarget") == nil)
        #expect(try #require(plan.requeueAfter) > 1e9)
        #expect(Duration.fromSeconds(try #require(plan.requeueAfter)) > .seconds(1_000_000))
    }
}
