import ContainerRuntime
import KubeAPI
import Testing

@testable import Kubelet

/// Admission to a node and in-place resize: the decisions.
struct ResizeTests {
    private static let allocatable: ResourceList = ["cpu": Quantity(2), "memory": Quantity(2 << 30), "pods": Quantity(3)]

    private func pod(
        _ uid: String, cpu: String, memory: String = "100Mi", started: Bool = false, priority: Int = 0, given: String? = nil, policy: String = "[]"
    ) throws -> Pod {
        let resources = #"{"requests":{"cpu":"\#(cpu)","memory":"\#(memory)"},"limits":{"cpu":"\#(cpu)","memory":"\#(memory)"}}"#
        let told = given.map {
            #","containerStatuses":[{"name":"a","allocatedResources":{"cpu":"\#($0)","memory":"\#(memory)"},"resources":{"limits":{"cpu":"\#($0)","memory":"\#(memory)"}}}]"#
        }
        let status = started || given != nil ? #"{"startTime":"2027-01-15T08:00:00Z"\#(told ?? "")}"# : "{}"
        return Pod(
            try Object(
                json: """
                    {"apiVersion":"v1","kind":"Pod","metadata":{"name":"\(uid)","namespace":"default","uid":"\(uid)","generation":2},
                     "spec":{"priority":\(priority),"containers":[{"name":"a","image":"i","resources":\(resources),"resizePolicy":\(policy)}]},"status":\(status)}
                    """))
    }

    @Test("a pod that finds no room is refused in upstream's words; one that was started before is taken as it was")
    func admission() throws {
        let allocations = PodAllocations(allocatable: Self.allocatable)
        #expect(allocations.admit(try pod("one", cpu: "1500m")) == nil)
        #expect(
            allocations.admit(try pod("two", cpu: "600m"))
                == PodRejection(reason: "OutOfcpu", message: "Node didn't have enough resource: cpu, requested: 600, used: 1500, capacity: 2000"))
        #expect(allocations.admit(try pod("three", cpu: "1m", memory: "3Gi"))?.reason == "OutOfmemory")
        #expect(allocations.admit(try pod("two", cpu: "600m", started: true)) == nil, "the agent was started again")
        #expect(allocations.admit(try pod("four", cpu: "0")) == nil)
        #expect(
            allocations.admit(try pod("five", cpu: "0"))
                == PodRejection(reason: "OutOfpods", message: "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"))
        allocations.release(uid: "four")
        #expect(allocations.admit(try pod("five", cpu: "0")) == nil)
    }

    @Test("extended resources are counted where the node has them, and others are left to their owners")
    func extended() {
        let node: ResourceList = ["example.com/gpu": Quantity(1)]
        let short = NodeRoom.shortfall(
            of: ["example.com/gpu": Quantity(1)], beside: [["example.com/gpu": Quantity(1)]], allocatable: node, countsPod: false)
        #expect(short?.rejection.reason == "OutOfexample.com/gpu")
        #expect(NodeRoom.shortfall(of: ["example.com/fpga": Quantity(1)], beside: [], allocatable: node, countsPod: false) == nil)
    }

    @Test("a resize is granted, deferred until another pod makes room, or called infeasible; the pod keeps what it had meanwhile")
    func grants() throws {
        let allocations = PodAllocations(allocatable: Self.allocatable)
        for (name, cpu) in [("one", "500m"), ("two", "1")] { #expect(allocations.admit(try pod(name, cpu: cpu)) == nil) }
        let grown = allocations.update(try pod("one", cpu: "900m"))
        #expect(grown.outcome == .granted && grown.pod.containers.first?.requests["cpu"] == Quantity(milli: 900))

        let deferred = allocations.update(try pod("one", cpu: "1500m"))
        let message = "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000"
        let pending = PendingResize(reason: .deferred, message: message, generation: 2)
        #expect(deferred.outcome == .pending(pending, isNews: true) && deferred.pod.containers.first?.limits["cpu"] == Quantity(milli: 900))
        #expect(allocations.update(try pod("one", cpu: "1500m")).outcome == .pending(pending, isNews: false))
        #expect(allocations.grantPending().isEmpty)
        allocations.release(uid: "two")
        #expect(allocations.grantPending() == ["one"] && allocations.pending("one") == nil)

        let never = allocations.update(try pod("one", cpu: "3"))
        #expect(
            never.outcome
                == .pending(
                    PendingResize(
                        reason: .infeasible, message: "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000", generation: 2),
                    isNews: true))
        #expect(allocations.update(try pod("one", cpu: "1500m")).outcome == .unchanged)
        #expect(allocations.pending("one") == nil)
    }

    @Test("of those that wait, the pod of higher priority comes first, then the one that waits longest")
    func order() throws {
        let allocations = PodAllocations(allocatable: ["cpu": Quantity(3), "memory": Quantity(2 << 30), "pods": Quantity(9)])
        for name in ["low", "first", "high"] { #expect(allocations.admit(try pod(name, cpu: "500m", priority: name == "high" ? 5 : 0)) == nil) }
        #expect(allocations.admit(try pod("big", cpu: "1500m")) == nil)
        for name in ["first", "low", "high"] {
            guard case .pending = allocations.update(try pod(name, cpu: "1", priority: name == "high" ? 5 : 0)).outcome else {
                Issue.record("\(name) does not wait")
                continue
            }
        }
        allocations.release(uid: "big")
        #expect(allocations.grantPending() == ["high", "first", "low"])
    }

    @Test("an agent that starts again reads what was granted from the pod's status, not from its wishes")
    func recovery() throws {
        let allocations = PodAllocations(allocatable: Self.allocatable)
        let pod = try pod("one", cpu: "1", given: "250m")
        #expect(allocations.admit(pod) == nil)
        let given = allocations.given(pod)
        #expect(given.containers.first?.requests["cpu"] == Quantity(milli: 250) && given.containers.first?.limits["cpu"] == Quantity(milli: 250))
        #expect(given.containers.first?.limits["memory"] == Quantity(100 << 20))
    }

    private func running(_ pod: Pod, cpu: Int64, memory: Int64) -> RuntimeContainerStatus {
        var status = Given.container("a", .running, hash: pod.containers.first?.hash)
        status.resources = LinuxResources(
            cpuPeriod: 100_000, cpuQuota: CPUArithmetic.quota(milli: cpu), cpuShares: CPUArithmetic.shares(milli: cpu), memoryLimit: memory << 20)
        return status
    }

    @Test("a changed amount changes the container's cgroup, and restarts the container where its policy for that resource says so")
    func plan() throws {
        func plan(_ pod: Pod, _ status: RuntimeContainerStatus) -> PodActions {
            PodSync.plan(pod: pod, status: Given.status([Given.sandbox()], [status]), backOff: Given.backOff, now: Given.now)
        }
        let plain = try pod("u1", cpu: "500m")
        #expect(plan(plain, running(plain, cpu: 500, memory: 100)).isIdle)
        let changed = plan(plain, running(plain, cpu: 250, memory: 100))
        #expect(changed.resize == ["a"] && changed.kill.isEmpty && changed.start.isEmpty && !changed.isIdle)
        let strict = try pod("u1", cpu: "500m", policy: #"[{"resourceName":"memory","restartPolicy":"RestartContainer"}]"#)
        #expect(plan(strict, running(strict, cpu: 250, memory: 100)).resize == ["a"], "only memory needs a restart")
        let restart = plan(strict, running(strict, cpu: 500, memory: 50))
        #expect(restart.resize.isEmpty && restart.start == ["a"] && restart.kill.map(\.message) == ["Container a resize requires restart"])
        var silent = running(plain, cpu: 250, memory: 100)
        silent.resources = nil
        #expect(plan(plain, silent).isIdle, "a runtime that does not tell is left alone")
    }

    @Test("the status tells what is in force until the change is done, and both conditions, which go again")
    func status() throws {
        let pod = try pod("u1", cpu: "500m")
        func compute(_ status: RuntimeContainerStatus, _ resize: ResizeStanding) -> Value {
            PodStatusComputation(
                pod: pod, runtime: Given.status([Given.sandbox()], [status]), hostIPs: ["10.0.0.1"], now: Given.now, resize: resize
            ).compute().value
        }
        let during = compute(
            running(pod, cpu: 250, memory: 50),
            ResizeStanding(
                pending: PendingResize(reason: .deferred, message: "later", generation: 7), progress: .init(generation: 2, error: "no luck")))
        let container = during["containerStatuses"]?.array?.first
        #expect(container?["allocatedResources"] == ["cpu": "500m", "memory": "100Mi"])
        #expect(container?["resources"] == ["requests": ["cpu": "250m", "memory": "100Mi"], "limits": ["cpu": "250m", "memory": "50Mi"]])
        func condition(_ type: String) -> Value? { during["conditions"]?.array?.first { $0["type"]?.string == type } }
        let pending = condition("PodResizePending")
        #expect(pending?["reason"] == "Deferred" && pending?["message"] == "later" && pending?["observedGeneration"] == 7)
        #expect(condition("PodResizeInProgress")?["reason"] == "Error" && condition("PodResizeInProgress")?["message"] == "no luck")

        let after = compute(running(pod, cpu: 500, memory: 100), ResizeStanding())
        #expect(
            after["containerStatuses"]?.array?.first?["resources"]
                == ["requests": ["cpu": "500m", "memory": "100Mi"], "limits": ["cpu": "500m", "memory": "100Mi"]])
        let patch = PodStatusPatch.patch(uid: "u1", from: during, to: after)
        let gone = (patch?[path: "status", "conditions"]?.array ?? []).filter { $0["$patch"]?.string == "delete" }.compactMap { $0["type"]?.string }
        #expect(gone == ["PodResizePending", "PodResizeInProgress"])
    }

    @Test("a wish that no node will grant does not count for the scheduler; one that waits does")
    func accounting() throws {
        func requests(_ reason: String) throws -> Quantity? {
            let pod = try Given.pod(
                #"{"containers":[{"name":"a","image":"i","resources":{"requests":{"cpu":"100"}}}]}"#,
                status:
                    #"{"conditions":[{"type":"PodResizePending","status":"True","reason":"\#(reason)"}],"containerStatuses":[{"name":"a","allocatedResources":{"cpu":"200m"},"resources":{"requests":{"cpu":"250m"}}}]}"#
            )
            return PodResources.requests(pod.object)["cpu"]
        }
        #expect(try requests("Infeasible") == Quantity(milli: 250))
        #expect(try requests("Deferred") == Quantity(100))
    }

    @Test("a granted resize is completed once, and an error is told once")
    func progress() {
        var progress = ResizeProgress()
        #expect(progress.settle(isOpen: false, generation: 1) == nil)
        progress.granted(generation: 2)
        #expect(progress.failed("no", generation: 3) && !progress.failed("no", generation: 3) && progress.error == "no")
        #expect(progress.settle(isOpen: true, generation: 3) == nil)
        #expect(progress.settle(isOpen: false, generation: 3) == 2 && progress.settle(isOpen: false, generation: 3) == nil)
        #expect(progress.settle(isOpen: true, generation: 4) == nil && progress.generation == 4, "found by an agent that was started again")
    }

    @Test("a pod's cgroup has the sum of its containers' limits, when all have one, or the pod's own")
    func cgroup() throws {
        let partly = try Given.pod(
            #"{"containers":[{"name":"a","image":"i","resources":{"requests":{"cpu":"250m"},"limits":{"cpu":"500m","memory":"64Mi"}}},{"name":"b","image":"i","resources":{"limits":{"cpu":"1"}}}]}"#
        )
        let limits = PodCgroupLimits(partly)
        #expect(limits.cpuQuota == 150_000 && limits.memory == 0 && limits.cpuShares == 256)
        let whole = try Given.pod(
            #"{"resources":{"requests":{"cpu":"1"},"limits":{"cpu":"2","memory":"1Gi"}},"containers":[{"name":"a","image":"i"},{"name":"b","image":"i","resources":{"limits":{"memory":"64Mi"}}}]}"#
        )
        #expect(PodCgroupLimits(whole).cpuQuota == 200_000 && PodCgroupLimits(whole).memory == 1 << 30 && PodCgroupLimits(whole).cpuShares == 1024)
        #expect(PodCgroupLimits(try Given.pod(#"{"containers":[{"name":"a","image":"i"}]}"#)).cpuShares == 2)
    }
}
