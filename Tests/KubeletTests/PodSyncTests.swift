import ContainerRuntime
import KubeAPI
import Testing

@testable import Kubelet

/// Builders of what plans are made from.
enum Given {
    static let now = Timestamp(seconds: 1_800_000_000)

    static func pod(_ spec: String, status: String = "{}", deleted: Bool = false) throws -> Pod {
        let deletion = deleted ? ",\"deletionTimestamp\":\"2027-01-15T08:00:00Z\",\"deletionGracePeriodSeconds\":5" : ""
        return Pod(
            try Object(
                json: """
                    {"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"default","uid":"u1","generation":2\(deletion)},
                     "spec":\(spec),"status":\(status)}
                    """))
    }

    static func sandbox(ready: Bool = true, attempt: UInt32 = 0, ips: [String] = ["10.0.0.5"], created: Int64 = 1) -> PodSandbox {
        PodSandbox(
            id: "s\(attempt)", metadata: PodSandboxMetadata(name: "web", namespace: "default", uid: "u1", attempt: attempt), isReady: ready,
            createdAt: created, ips: ips)
    }

    /// `ago` is seconds since the end.
    static func container(
        _ name: String, _ state: ContainerState, code: Int32 = 0, attempt: UInt32 = 0, ago: Double = 0, hash: String? = nil, reason: String = ""
    ) -> RuntimeContainerStatus {
        var status = RuntimeContainerStatus(id: "\(name)-\(attempt)", name: name, attempt: attempt, state: state)
        status.createdAt = 1000 + Int64(attempt)
        status.startedAt = now.microseconds * 1000 - 100_000_000_000
        status.finishedAt = state == .exited ? now.microseconds * 1000 - Int64(ago * 1e9) : 0
        status.exitCode = code
        status.reason = reason
        status.image = "docker.io/library/i:1"
        status.imageRef = "sha256:abc"
        status.annotations = [ContainerLabels.restartCount: String(attempt)]
        if let hash { status.annotations[ContainerLabels.hash] = hash }
        return status
    }

    static func status(_ sandboxes: [PodSandbox], _ containers: [RuntimeContainerStatus]) -> PodRuntimeStatus {
        PodRuntimeStatus(sandboxes: sandboxes, containers: containers.sorted { $0.createdAt > $1.createdAt })
    }

    static let backOff = BackOff(initial: 10, limit: 300)
}

struct PodSyncTests {
    @Test("an ephemeral container is started once beside the others, is told of in a list of its own, and is never started again")
    func ephemeral() throws {
        let spec = #"{"containers":[{"name":"a","image":"i"}],"ephemeralContainers":[{"name":"debug","image":"busybox","targetContainerName":"a"}]}"#
        let pod = try Given.pod(spec)
        let running = Given.container("a", .running)
        #expect(plan(pod, [Given.sandbox()], [running]).startEphemeral == ["debug"])
        let started = Given.container("debug", .running)
        #expect(plan(pod, [Given.sandbox()], [running, started]).isIdle)
        let ended = Given.container("debug", .exited, code: 1)
        #expect(plan(pod, [Given.sandbox()], [running, ended]).isIdle, "not even when it has failed")
        #expect(plan(try Given.pod(spec, deleted: true), [Given.sandbox()], [running]).startEphemeral.isEmpty)
        #expect(Given.status([Given.sandbox()], [running, ended]).runningIDs == ["a": running.id])
        let status = PodStatusComputation(
            pod: pod, runtime: Given.status([Given.sandbox()], [running, started]), hostIPs: ["10.0.0.1"], now: Given.now
        ).compute()
        let list = status.value["ephemeralContainerStatuses"]?.array
        #expect(list?.first?["name"] == "debug" && list?.first?[path: "state", "running"] != nil && list?.first?["ready"] == false)
        #expect(status.value["containerStatuses"]?.array?.count == 1 && status.phase == .running)
        #expect(pod.container(named: "debug")?.fieldPath == "spec.ephemeralContainers{debug}")
    }

    private let two = #"{"restartPolicy":"Always","containers":[{"name":"a","image":"i"},{"name":"b","image":"i"}]}"#

    private func plan(
        _ pod: Pod, _ sandboxes: [PodSandbox], _ containers: [RuntimeContainerStatus], verdicts: ProbeVerdicts = ProbeVerdicts(),
        backOff: BackOff = Given.backOff
    ) -> PodActions {
        PodSync.plan(pod: pod, status: Given.status(sandboxes, containers), verdicts: verdicts, backOff: backOff, now: Given.now)
    }

    @Test("a pod with nothing yet gets a sandbox and all its containers")
    func fresh() throws {
        let actions = plan(try Given.pod(two), [], [])
        #expect(actions.createSandbox && actions.attempt == 0 && actions.start == ["a", "b"])
    }

    @Test("a pod whose containers run is left alone")
    func steady() throws {
        let actions = plan(try Given.pod(two), [Given.sandbox()], [Given.container("a", .running), Given.container("b", .running)])
        #expect(actions.isIdle && actions.sandboxID == "s0")
    }

    @Test(
        "an exited container starts again as the restart policy says",
        arguments: [
            ("Always", 0, true), ("Always", 1, true), ("OnFailure", 0, false), ("OnFailure", 1, true), ("Never", 0, false), ("Never", 1, false),
        ] as [(String, Int32, Bool)])
    func restartPolicies(policy: String, code: Int32, restarts: Bool) throws {
        let pod = try Given.pod(#"{"restartPolicy":"\#(policy)","containers":[{"name":"a","image":"i"},{"name":"b","image":"i"}]}"#)
        let actions = plan(pod, [Given.sandbox()], [Given.container("a", .exited, code: code), Given.container("b", .running)])
        #expect(actions.start == (restarts ? ["a"] : []))
        #expect(!actions.killPod)
    }

    @Test("when nothing runs and nothing is to start, the pod's sandbox is stopped")
    func allDone() throws {
        let pod = try Given.pod(#"{"restartPolicy":"Never","containers":[{"name":"a","image":"i"}]}"#)
        #expect(plan(pod, [Given.sandbox()], [Given.container("a", .exited)]).killPod)
    }

    @Test("a sandbox that is not ready, or without an address, is replaced with the next attempt")
    func sandboxChanged() throws {
        let pod = try Given.pod(two)
        for bad in [Given.sandbox(ready: false, attempt: 3), Given.sandbox(attempt: 3, ips: [])] {
            let actions = plan(pod, [bad], [Given.container("a", .exited)])
            #expect(actions.killPod && actions.createSandbox && actions.attempt == 4 && actions.start == ["a", "b"])
        }
    }

    @Test("a lost sandbox is not replaced when the pod never restarts")
    func sandboxLostNever() throws {
        let pod = try Given.pod(#"{"restartPolicy":"Never","containers":[{"name":"a","image":"i"}]}"#)
        let actions = plan(pod, [Given.sandbox(ready: false)], [Given.container("a", .exited, code: 137)])
        #expect(actions.killPod && !actions.createSandbox)
    }

    @Test("init containers run one after the other before the others")
    func initOrder() throws {
        let pod = try Given.pod(
            #"{"initContainers":[{"name":"i1","image":"i"},{"name":"i2","image":"i"}],"containers":[{"name":"a","image":"i"}]}"#)
        #expect(plan(pod, [], []).startInit == ["i1"])
        let sandbox = [Given.sandbox()]
        #expect(plan(pod, sandbox, [Given.container("i1", .running)]).isIdle)
        #expect(plan(pod, sandbox, [Given.container("i1", .exited)]).startInit == ["i2"])
        let done = plan(pod, sandbox, [Given.container("i1", .exited), Given.container("i2", .exited)])
        #expect(done.startInit.isEmpty && done.start == ["a"])
        // Removed records of finished init containers do not bring them back.
        #expect(plan(pod, sandbox, [Given.container("a", .running)]).isIdle)
    }

    @Test("in a new sandbox the init containers run again, all of them, before what has exited in the old one")
    func initAgain() throws {
        let pod = try Given.pod(
            #"{"initContainers":[{"name":"i1","image":"i"},{"name":"i2","image":"i"}],"containers":[{"name":"a","image":"i"}]}"#)
        let sandbox = [Given.sandbox(attempt: 1), Given.sandbox(ready: false)]
        let old = Given.container("a", .exited, code: 137, ago: 1000)
        let fresh = plan(pod, [Given.sandbox(ready: false)], [Given.container("i1", .exited), Given.container("i2", .exited), old])
        #expect(fresh.createSandbox && fresh.startInit == ["i1"] && fresh.start.isEmpty)
        #expect(plan(pod, sandbox, [old]).startInit == ["i1"] && plan(pod, sandbox, [old]).start.isEmpty)
        #expect(plan(pod, sandbox, [Given.container("i1", .running, attempt: 1), old]).isIdle)
        let one = Given.container("i1", .exited, attempt: 1)
        #expect(plan(pod, sandbox, [one, old]).startInit == ["i2"] && plan(pod, sandbox, [one, old]).start.isEmpty)
        let both = plan(pod, sandbox, [one, Given.container("i2", .exited, attempt: 1), old])
        #expect(both.startInit.isEmpty && both.start == ["a"])
        #expect(plan(pod, sandbox, [one, Given.container("a", .created, attempt: 1)]).startInit.isEmpty, "one that is made is of this sandbox")
    }

    @Test("an init container that was made and never started is started anew")
    func initCreated() throws {
        let pod = try Given.pod(
            #"{"initContainers":[{"name":"i1","image":"i"},{"name":"s","image":"i","restartPolicy":"Always"}],"containers":[{"name":"a","image":"i"}]}"#
        )
        #expect(plan(pod, [Given.sandbox()], [Given.container("i1", .created)]).startInit == ["i1"])
        let sidecar = plan(pod, [Given.sandbox()], [Given.container("i1", .exited), Given.container("s", .created)])
        #expect(sidecar.startInit == ["s"] && sidecar.start.isEmpty)
        let beside = plan(pod, [Given.sandbox()], [Given.container("s", .created), Given.container("a", .running)])
        #expect(beside.startInit == ["s"] && beside.kill.isEmpty)
    }

    @Test("a failed init container is tried again, or ends the pod when it never restarts")
    func initFails() throws {
        let spec = #""initContainers":[{"name":"i1","image":"i"}],"containers":[{"name":"a","image":"i"}]}"#
        let failed = [Given.container("i1", .exited, code: 1)]
        #expect(plan(try Given.pod(#"{"restartPolicy":"OnFailure","# + spec), [Given.sandbox()], failed).startInit == ["i1"])
        #expect(plan(try Given.pod(#"{"restartPolicy":"Never","# + spec), [Given.sandbox()], failed).killPod)
    }

    @Test("a sidecar starts in its turn, is waited for until started, and is brought back whenever it ends")
    func sidecars() throws {
        let pod = try Given.pod(
            #"""
            {"restartPolicy":"Never","initContainers":[{"name":"s","image":"i","restartPolicy":"Always","startupProbe":{"exec":{"command":["true"]}}},
              {"name":"i2","image":"i"}],"containers":[{"name":"a","image":"i"}]}
            """#)
        let sandbox = [Given.sandbox()]
        #expect(plan(pod, sandbox, [Given.container("s", .running)]).isIdle)
        var verdicts = ProbeVerdicts()
        verdicts.startupSucceeded = ["s-0"]
        #expect(plan(pod, sandbox, [Given.container("s", .running)], verdicts: verdicts).startInit == ["i2"])
        let running = [Given.container("s", .exited, code: 1), Given.container("i2", .exited), Given.container("a", .running)]
        #expect(plan(pod, sandbox, running).startInit == ["s"])
        // With the main container over, the sidecar is not brought back.
        let over = plan(pod, sandbox, [Given.container("s", .exited, code: 1), Given.container("i2", .exited), Given.container("a", .exited)])
        #expect(over.killPod && over.startInit.isEmpty)
    }

    @Test("failed probes and changed definitions end a container, which then starts again")
    func kills() throws {
        let pod = try Given.pod(two)
        var verdicts = ProbeVerdicts()
        verdicts.livenessFailed = ["a-0"]
        let probed = plan(pod, [Given.sandbox()], [Given.container("a", .running), Given.container("b", .running)], verdicts: verdicts)
        #expect(probed.kill.map(\.message) == ["Container a failed liveness probe, will be restarted"] && probed.start == ["a"])
        let changed = plan(pod, [Given.sandbox()], [Given.container("a", .running, hash: "other"), Given.container("b", .running)])
        #expect(changed.kill.map(\.message) == ["Container a definition changed, will be restarted"] && changed.start == ["a"])
    }

    @Test("a container that ended a moment ago waits out its back-off, which doubles up to its limit")
    func backOff() throws {
        let pod = try Given.pod(two)
        let key = PodSync.backOffKey(pod, pod.containers[0])
        var backOff = Given.backOff
        let exited = [Given.container("a", .exited, code: 1, attempt: 1, ago: 4), Given.container("b", .running)]
        #expect(plan(pod, [Given.sandbox()], exited, backOff: backOff).start == ["a"])
        backOff.next(key, event: Given.now, now: Given.now)
        let held = plan(pod, [Given.sandbox()], exited, backOff: backOff)
        #expect(held.start.isEmpty && held.backingOff.map(\.delay) == [10] && abs(held.backingOff[0].left - 6) < 0.01)
        for _ in 0..<10 { backOff.next(key, event: Given.now, now: Given.now) }
        #expect(plan(pod, [Given.sandbox()], exited, backOff: backOff).backingOff.map(\.delay) == [300])
        // Long after, it begins anew.
        #expect(backOff.remaining(key, since: Given.now.adding(seconds: 601), now: Given.now.adding(seconds: 601)) == nil)
    }

    @Test("durations are written as Go writes them")
    func durations() {
        #expect([10, 20, 160, 300, 3605].map { goDuration($0) } == ["10s", "20s", "2m40s", "5m0s", "1h0m5s"])
    }
}

struct PodStatusTests {
    private func compute(
        _ pod: Pod, _ runtime: PodRuntimeStatus, failures: [String: StartFailure] = [:], ready: Set<String> = [], terminated: Bool = false
    ) -> PodStatusComputation.Outcome {
        var probes = ProbeStanding()
        probes.ready = ready
        return PodStatusComputation(
            pod: pod, runtime: runtime, failures: failures, probes: probes, hostIPs: ["10.1.0.1"], now: Given.now, isTerminated: terminated
        ).compute()
    }

    private func condition(_ outcome: PodStatusComputation.Outcome, _ type: String) -> Value? {
        outcome.value["conditions"]?.array?.first { $0["type"]?.string == type }
    }

    @Test("a pod that is being made is Pending with ContainerCreating")
    func creating() throws {
        let outcome = compute(try Given.pod(#"{"containers":[{"name":"a","image":"nginx:1"}]}"#), PodRuntimeStatus())
        #expect(outcome.phase == .pending)
        #expect(outcome.value["containerStatuses"]?.array?[0][path: "state", "waiting", "reason"] == "ContainerCreating")
        #expect(condition(outcome, "Ready")?["message"] == "containers with unready status: [a]")
        #expect(condition(outcome, "PodReadyToStartContainers")?["status"] == "False")
        #expect(outcome.value["qosClass"] == "BestEffort")
    }

    @Test("a running pod is Ready, with its addresses and the runtime's ID of the container")
    func running() throws {
        let outcome = compute(
            try Given.pod(#"{"containers":[{"name":"a","image":"nginx:1"}]}"#),
            Given.status([Given.sandbox()], [Given.container("a", .running, attempt: 2)]))
        #expect(outcome.phase == .running)
        #expect(condition(outcome, "Ready")?["status"] == "True")
        #expect(outcome.value["podIP"] == "10.0.0.5" && outcome.value["hostIP"] == "10.1.0.1")
        let status = outcome.value["containerStatuses"]?.array?[0]
        #expect(status?["containerID"] == "containerd://a-2" && status?["restartCount"] == 2 && status?["started"] == true)
    }

    @Test("a container with a readiness probe is ready only when it has succeeded")
    func readiness() throws {
        let pod = try Given.pod(#"{"containers":[{"name":"a","image":"i","readinessProbe":{"exec":{"command":["x"]}}}]}"#)
        let runtime = Given.status([Given.sandbox()], [Given.container("a", .running)])
        #expect(condition(compute(pod, runtime), "Ready")?["status"] == "False")
        #expect(condition(compute(pod, runtime, ready: ["a-0"]), "Ready")?["status"] == "True")
    }

    @Test("a crashing container waits with CrashLoopBackOff and tells of its last end")
    func crashLoop() throws {
        let outcome = compute(
            try Given.pod(#"{"containers":[{"name":"a","image":"i"}]}"#), Given.status([Given.sandbox()], [Given.container("a", .exited, code: 3)]),
            failures: ["a": StartFailure(reason: "CrashLoopBackOff", message: "back-off 10s restarting failed container=a pod=web_default(u1)")])
        let status = outcome.value["containerStatuses"]?.array?[0]
        #expect(outcome.phase == .running)
        #expect(status?[path: "state", "waiting", "reason"] == "CrashLoopBackOff")
        #expect(status?[path: "lastState", "terminated", "exitCode"] == 3 && status?[path: "lastState", "terminated", "reason"] == "Error")
    }

    @Test(
        "phases of pods that have ended",
        arguments: [
            ("Never", 0, "Succeeded"), ("Never", 1, "Failed"), ("OnFailure", 0, "Succeeded"), ("OnFailure", 1, "Running"), ("Always", 0, "Running"),
        ] as [(String, Int32, String)])
    func ended(policy: String, code: Int32, phase: String) throws {
        let pod = try Given.pod(#"{"restartPolicy":"\#(policy)","containers":[{"name":"a","image":"i"}]}"#)
        let outcome = compute(pod, Given.status([Given.sandbox()], [Given.container("a", .exited, code: code)]))
        #expect(outcome.phase.rawValue == phase)
        if phase == "Succeeded" { #expect(condition(outcome, "Ready")?["reason"] == "PodCompleted") }
    }

    @Test("a failed init container keeps the pod Pending, or Failed when it never restarts")
    func initFailed() throws {
        for (policy, phase) in [("Always", PodPhase.pending), ("Never", .failed)] {
            let pod = try Given.pod(
                #"{"restartPolicy":"\#(policy)","initContainers":[{"name":"i","image":"i"}],"containers":[{"name":"a","image":"i"}]}"#)
            let outcome = compute(pod, Given.status([Given.sandbox()], [Given.container("i", .exited, code: 1)]))
            #expect(outcome.phase == phase)
            #expect(outcome.value["containerStatuses"]?.array?[0][path: "state", "waiting", "reason"] == "PodInitializing")
        }
    }

    @Test("a sidecar that is not started yet keeps the pod Pending until the containers have begun, and never again")
    func sidecarPhase() throws {
        let pod = try Given.pod(
            #"""
            {"restartPolicy":"Never","initContainers":[{"name":"s","image":"i","restartPolicy":"Always","startupProbe":{"exec":{"command":["x"]}}}],
              "containers":[{"name":"a","image":"i"}]}
            """#)
        let sandbox = [Given.sandbox()]
        let (again, first) = (Given.container("s", .running, attempt: 1), Given.container("s", .running))
        #expect(compute(pod, Given.status(sandbox, [first])).phase == .pending)
        #expect(compute(pod, Given.status(sandbox, [again, Given.container("a", .running)])).phase == .running)
        let old = Given.status(
            [Given.sandbox(attempt: 1, created: 5000), Given.sandbox(ready: false)], [again, Given.container("a", .exited, code: 1)])
        #expect(compute(pod, old).phase == .pending, "what ran in another sandbox has not begun in this one")
    }

    @Test("a pod whose containers have ended is not over while a sidecar still runs")
    func sidecarOutlives() throws {
        let pod = try Given.pod(
            #"{"restartPolicy":"Never","initContainers":[{"name":"s","image":"i","restartPolicy":"Always"}],"containers":[{"name":"a","image":"i"}]}"#
        )
        let ended = Given.container("a", .exited)
        #expect(compute(pod, Given.status([Given.sandbox()], [Given.container("s", .running), ended])).phase == .running)
        #expect(compute(pod, Given.status([Given.sandbox()], [Given.container("s", .exited, code: 143), ended])).phase == .succeeded)
    }

    @Test("a deleted pod whose containers have ended is final, and its killed container tells how it ended")
    func terminated() throws {
        let pod = try Given.pod(#"{"containers":[{"name":"a","image":"i"}]}"#, status: #"{"phase":"Running"}"#, deleted: true)
        let outcome = compute(
            pod, Given.status([Given.sandbox(ready: false)], [Given.container("a", .exited, code: 137, reason: "OOMKilled")]), terminated: true)
        #expect(outcome.phase == .failed)
        #expect(outcome.value["containerStatuses"]?.array?[0][path: "state", "terminated", "reason"] == "OOMKilled")
    }

    private func ends(_ outcome: PodStatusComputation.Outcome, _ list: String) -> [String] {
        (outcome.value[list]?.array ?? []).map { status in
            guard let end = status[path: "state", "terminated"] else { return "waiting" }
            return "\(end["exitCode"]?.int ?? 0) \(end["reason"]?.string ?? "")"
        }
    }

    @Test("containers that never ran are told of as failed when their pod is over, but not those whose turn had not come")
    func neverRan() throws {
        let lost = "137 ContainerStatusUnknown"
        let plain = compute(
            try Given.pod(#"{"containers":[{"name":"a","image":"i"},{"name":"b","image":"i"}]}"#), PodRuntimeStatus(), terminated: true)
        #expect(ends(plain, "containerStatuses") == [lost, lost] && plain.phase == .failed)
        #expect(
            plain.value["containerStatuses"]?.array?.first?[path: "state", "terminated", "message"]
                == "The container could not be located when the pod was terminated")
        let spec = #"{"initContainers":[{"name":"i1","image":"i"},{"name":"i2","image":"i"}],"containers":[{"name":"a","image":"i"}]}"#
        let none = compute(try Given.pod(spec), PodRuntimeStatus(), terminated: true)
        #expect(ends(none, "initContainerStatuses") == [lost, "waiting"] && ends(none, "containerStatuses") == ["waiting"])
        let sandbox = [Given.sandbox(ready: false)]
        let second = compute(try Given.pod(spec), Given.status(sandbox, [Given.container("i2", .exited, code: 2)]), terminated: true)
        #expect(ends(second, "initContainerStatuses") == [lost, "2 Error"] && ends(second, "containerStatuses") == ["waiting"])
        let done = [Given.container("i1", .exited), Given.container("i2", .exited)]
        let ready = compute(try Given.pod(spec), Given.status(sandbox, done), terminated: true)
        #expect(ends(ready, "initContainerStatuses") == ["0 Completed", "0 Completed"] && ends(ready, "containerStatuses") == [lost])
        #expect(ready.phase == .failed)
    }

    @Test("a container that waited for its image beside a started sidecar is told of as failed when the pod is over")
    func neverRanBesideSidecar() throws {
        let spec = #"{"initContainers":[{"name":"s","image":"i","restartPolicy":"Always"}],"containers":[{"name":"a","image":"i"}]}"#
        let runtime = Given.status([Given.sandbox(ready: false)], [Given.container("s", .exited, code: 143)])
        for (started, told) in [(true, "137 ContainerStatusUnknown"), (false, "waiting")] {
            let status = #"{"initContainerStatuses":[{"name":"s","started":\#(started),"state":{"running":{"startedAt":"2027-01-15T08:00:00Z"}}}]}"#
            let outcome = compute(try Given.pod(spec, status: status), runtime, terminated: true)
            #expect(ends(outcome, "containerStatuses") == [told])
        }
    }

    @Test("unchanged conditions keep their transition time")
    func transitions() throws {
        let old =
            #"{"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2020-01-01T00:00:00Z"},{"type":"ContainersReady","status":"False","lastTransitionTime":"2020-01-01T00:00:00Z"}]}"#
        let outcome = compute(
            try Given.pod(#"{"containers":[{"name":"a","image":"i"}]}"#, status: old),
            Given.status([Given.sandbox()], [Given.container("a", .running)]))
        #expect(condition(outcome, "Ready")?["lastTransitionTime"] == "2020-01-01T00:00:00Z")
        #expect(condition(outcome, "ContainersReady")?["lastTransitionTime"]?.string == Given.now.rfc3339)
    }

    @Test("a patch holds what has changed, leaves other writers' conditions alone, and is nil when nothing has")
    func patch() throws {
        let outcome = compute(try Given.pod(#"{"containers":[{"name":"a","image":"i"}]}"#), PodRuntimeStatus())
        var current = outcome.value
        current["conditions"] = .array((current["conditions"]?.array ?? []) + [["type": "Mine", "status": "True"]])
        #expect(PodStatusPatch.patch(uid: "u1", from: current, to: outcome.value) == nil)
        current["phase"] = "Running"
        current["reason"] = "Old"
        let patch = PodStatusPatch.patch(uid: "u1", from: current, to: outcome.value)
        #expect(patch == ["metadata": ["uid": "u1"], "status": ["phase": "Pending", "reason": nil]])
    }

    @Test("quality of service and OOM score follow requests and limits")
    func qualityOfService() throws {
        let guaranteed = try Given.pod(
            #"{"containers":[{"name":"a","image":"i","resources":{"requests":{"cpu":"1","memory":"1Gi"},"limits":{"cpu":"1","memory":"1Gi"}}}]}"#)
        let burstable = try Given.pod(#"{"containers":[{"name":"a","image":"i","resources":{"requests":{"cpu":"250m","memory":"1Gi"}}}]}"#)
        #expect(guaranteed.qosClass == .guaranteed && burstable.qosClass == .burstable)
        let four: Int64 = 4 << 30
        #expect(guaranteed.containers[0].oomScoreAdj(pod: guaranteed, nodeMemory: four) == -997)
        #expect(burstable.containers[0].oomScoreAdj(pod: burstable, nodeMemory: four) == 750)
        let resources = guaranteed.containers[0].linuxResources(pod: guaranteed, nodeMemory: four)
        #expect(resources.cpuShares == 1024 && resources.cpuQuota == 100_000 && resources.memoryLimit == 1 << 30)
        #expect(burstable.containers[0].linuxResources(pod: burstable, nodeMemory: four).cpuShares == 256)
    }
}
