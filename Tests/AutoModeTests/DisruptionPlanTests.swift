import KubeAPI
import KubeScheduler
import Testing

@testable import AutoMode

@Suite("Which nodes are taken away") struct DisruptionPlanTests {
    private func plan(
        _ pools: [NodePool], _ nodes: [NodeState], pending: [SimulatedPod] = [], budgets: [Object] = [], disrupted: Set<String> = []
    ) throws -> DisruptionPlan {
        try DisruptionPlan.plan(
            Fixtures.snapshot(pools: pools, pending: pending, nodes: nodes), classes: [:], budgets: budgets, imageID: "ami-1", disrupted: disrupted,
            now: Fixtures.now)
    }

    @Test("an empty node goes when it has been quiet for as long as its pool wants, not before")
    func emptiness() throws {
        let pool = try Fixtures.pool()
        #expect(try plan([pool], [try Fixtures.node("n", of: pool)]).command?.claims == ["claim-n"])
        let recent = try plan([pool], [try Fixtures.node("n", of: pool, lastPodSeconds: 20)])
        #expect(recent.command == nil && recent.next == Fixtures.now.adding(seconds: 10))
        let never = try Fixtures.pool { $0[path: "spec", "disruption", "consolidateAfter"] = "Never" }
        #expect(try plan([never], [try Fixtures.node("n", of: never)]).command == nil)
    }

    @Test("a node that pods are on their way to is not empty")
    func nominated() throws {
        let pool = try Fixtures.pool()
        #expect(try plan([pool], [try Fixtures.node("n", of: pool)], pending: [try Fixtures.pod("p")]).command == nil)
        let quick = try Fixtures.pool { $0[path: "spec", "disruption", "consolidateAfter"] = "0s" }
        #expect(try plan([quick], [try Fixtures.node("n", of: quick, readySeconds: 2)]).command == nil)
    }

    @Test(
        "budgets say how many go at once",
        arguments: [("0", 0), ("2", 2), ("50%", 2), ("34%", 2), ("10%", 1), ("100%", 4)])
    func budgets(_ nodes: String, _ count: Int) throws {
        let pool = try Fixtures.pool { $0[path: "spec", "disruption", "budgets"] = [["nodes": .string(nodes)]] }
        let states = try (1...4).map { try Fixtures.node("n\($0)", of: pool) }
        #expect(try plan([pool], states).command?.claims.count ?? 0 == count)
    }

    @Test("nodes on their way out count against the budget, and budgets of other reasons do not")
    func counting() throws {
        let one = try Fixtures.pool { $0[path: "spec", "disruption", "budgets"] = [["nodes": "1"]] }
        let states = try (1...2).map { try Fixtures.node("n\($0)", of: one) }
        #expect(try plan([one], states, disrupted: ["claim-n1"]).command == nil)
        let other = try Fixtures.pool { $0[path: "spec", "disruption", "budgets"] = [["nodes": "0", "reasons": ["Drifted"]]] }
        #expect(try plan([other], [try Fixtures.node("n", of: other)]).command?.reason == .empty)
    }

    @Test("a budget with a schedule holds after its times only")
    func schedules() throws {
        // Fixtures.now is 08:00 UTC on a Friday.
        for (schedule, isHeld) in [("0 7 * * *", true), ("30 8 * * *", false), ("0 5 * * *", false)] {
            let pool = try Fixtures.pool {
                $0[path: "spec", "disruption", "budgets"] = [["nodes": "0", "schedule": .string(schedule), "duration": "2h"]]
            }
            #expect((try plan([pool], [try Fixtures.node("n", of: pool)]).command == nil) == isHeld, "\(schedule)")
        }
    }

    @Test("a node whose pods fit elsewhere goes; where pods may not be moved it stays")
    func underutilized() throws {
        let pool = try Fixtures.pool()
        let large = try Fixtures.node("n1", of: pool, type: "c6a.2xlarge", pods: try (1...4).map { try Fixtures.pod("big\($0)", cpu: "1") })
        func small(_ change: (inout Value) -> Void = { _ in }) throws -> NodeState {
            try Fixtures.node("n2", of: pool, pods: [try Fixtures.pod("small", change)])
        }
        let command = try #require(try plan([pool], [large, try small()]).command)
        #expect(command.reason == .underutilized && command.claims == ["claim-n2"] && command.replacements.isEmpty)
        let kept = try small { $0[path: "metadata", "annotations"] = ["karpenter.sh/do-not-disrupt": "true"] }
        #expect(try plan([pool], [large, kept]).command?.claims != ["claim-n2"])
        let budget = try Object([
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": ["name": "b", "namespace": "default"],
            "spec": ["selector": ["matchLabels": ["app": "web"]]], "status": ["disruptionsAllowed": 0],
        ])
        #expect(try plan([pool], [large, try small()], budgets: [budget]).command == nil)
        let emptyOnly = try Fixtures.pool { $0[path: "spec", "disruption", "consolidationPolicy"] = "WhenEmpty" }
        #expect(try plan([emptyOnly], [large, try small()]).command == nil)
    }

    @Test("a node that a cheaper one would do for is replaced by it")
    func replacement() throws {
        let pool = try Fixtures.pool()
        let node = try Fixtures.node("n1", of: pool, type: "c6a.2xlarge", pods: [try Fixtures.pod("p")])
        let command = try #require(try plan([pool], [node]).command)
        #expect(command.claims == ["claim-n1"] && command.replacements.compactMap { $0.choice?.type.name } == ["c6a.large"])
        #expect(try plan([pool], [try Fixtures.node("n1", of: pool, pods: [try Fixtures.pod("p")])]).command == nil)
    }

    @Test("a node of an older template has drifted and is replaced, whatever its pods say; so is one that the requirements leave out")
    func drift() throws {
        let old = try Fixtures.pool()
        let new = try Fixtures.pool { $0[path: "spec", "template", "metadata"] = ["labels": ["a": "1"]] }
        let pod = try Fixtures.pod("p") { $0[path: "metadata", "annotations"] = ["karpenter.sh/do-not-disrupt": "true"] }
        let command = try #require(try plan([new], [try Fixtures.node("n", of: old, pods: [pod])]).command)
        #expect(command.reason == .drifted && command.explanation == "NodePoolDrifted" && command.replacements.count == 1)
        let outdated = try Fixtures.node("n", of: old, pods: [pod]) { $0[path: "status", "imageID"] = "ami-0" }
        #expect(try plan([old], [outdated]).command?.explanation == "AMIDrift")
        let narrow = try Fixtures.pool {
            $0[path: "spec", "template", "spec", "requirements"] = [
                ["key": "eks.amazonaws.com/instance-family", "operator": "In", "values": ["m5"]]
            ]
        }
        #expect(try plan([narrow], [try Fixtures.node("n", of: narrow, pods: [pod])]).command?.explanation == "RequirementsDrifted")
    }

    @Test("what becomes of a claim: launch, waiting, expiry, a node that is gone")
    func claims() throws {
        let pool = try Fixtures.pool()
        func next(_ change: (inout Value) -> Void, node: Bool = true) throws -> ClaimPlan.Step {
            let state = try Fixtures.node("n", of: pool, change)
            return ClaimPlan.next(try #require(state.claim), node: node ? state.object : nil, now: Fixtures.now)
        }
        #expect(try next { $0["status"] = [:] } == .launch)
        #expect(try next { _ in } == .wait(nil))
        #expect(try next({ _ in }, node: false) == .delete("its node is gone"))
        #expect(try next { $0[path: "spec", "expireAfter"] = "5m" } == .delete("it has expired"))
        #expect(try next { $0[path: "spec", "expireAfter"] = "20m" } == .wait(.milliseconds(600_001)))
        let late = try next({
            $0["status"] = [
                "conditions": [["type": "Launched", "status": "True", "lastTransitionTime": .string(Fixtures.now.adding(seconds: -901).rfc3339)]]
            ]
        })
        #expect(late == .delete("its instance has not joined the cluster"))
    }

    @Test("pods of a node that goes are evicted, and deleted when their time would outlast the node's")
    func drain() throws {
        let pod = try Fixtures.pod("p").object
        #expect(DrainPlan.action(pod, deadline: nil, now: Fixtures.now) == .evict)
        #expect(DrainPlan.action(pod, deadline: Fixtures.now.adding(seconds: 100), now: Fixtures.now) == .evict)
        #expect(DrainPlan.action(pod, deadline: Fixtures.now.adding(seconds: 20), now: Fixtures.now) == .delete(20))
        let kept = try Fixtures.pod("p") { $0[path: "metadata", "annotations"] = ["karpenter.sh/do-not-disrupt": "true"] }.object
        #expect(DrainPlan.action(kept, deadline: Fixtures.now.adding(seconds: 100), now: Fixtures.now) == .wait)
        #expect(DrainPlan.action(kept, deadline: Fixtures.now.adding(seconds: 5), now: Fixtures.now) == .delete(5))
    }
}
