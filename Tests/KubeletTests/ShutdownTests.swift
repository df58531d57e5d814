import KubeAPI
import Testing

@testable import Kubelet

/// The order in which a node's pods end with it.
struct ShutdownTests {
    private func pod(_ priority: Int64?, grace: Int64 = 30) throws -> Pod {
        let text = priority.map { #""priority":\#($0),"# } ?? ""
        return try Given.pod(#"{\#(text)"terminationGracePeriodSeconds":\#(grace),"containers":[{"name":"a","image":"i"}]}"#)
    }

    private static let periods = [
        ShutdownPeriod(priority: 2000, seconds: 30), ShutdownPeriod(priority: 0, seconds: 10), ShutdownPeriod(priority: 1000, seconds: 20),
    ]

    @Test("the least important end first; a priority between two periods is of the lower, one outside of them of the nearest")
    func groups() throws {
        let pods = try [nil, 0, 999, 1000, 1001, 5000, -5].map { try pod($0) }
        let groups = ShutdownPlan.groups(Self.periods, pods)
        #expect(groups.map(\.seconds) == [10, 20, 30])
        #expect(groups.map { $0.pods.map { $0.spec["priority"].int } } == [[nil, 0, 999, -5], [1000, 1001], [5000]])
    }

    @Test("nobody waits for a period that has no pods, and without periods for nobody")
    func empty() throws {
        #expect(ShutdownPlan.groups(Self.periods, [try pod(3000)]).map(\.seconds) == [30])
        #expect(ShutdownPlan.groups([], [try pod(0)]).isEmpty)
    }

    @Test("a pod has its own grace, and no more than its group")
    func grace() throws {
        let group = ShutdownPlan.Group(seconds: 20)
        #expect(ShutdownPlan.ending(try pod(0, grace: 5), of: group).grace == 5)
        let ending = ShutdownPlan.ending(try pod(0, grace: 300), of: group)
        #expect(ending.grace == 20 && ending.reason == "Terminated" && ending.disruption == ending.message)
    }

    @Test("a node that shuts down is not Ready, and tells its other troubles beside")
    func condition() {
        var health = NodeHealth(runtimeProblem: nil, networkProblem: nil, isShuttingDown: true)
        func ready() -> Value? { NodeConditions.conditions(health, old: [], now: Given.now).last }
        #expect(ready()?["status"] == "False" && ready()?["reason"] == "KubeletNotReady" && ready()?["message"] == "node is shutting down")
        health.runtimeProblem = "gone"
        #expect(ready()?["message"] == "[container runtime is down: gone, node is shutting down]")
    }
}
