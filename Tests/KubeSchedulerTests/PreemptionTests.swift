import KubeAPI
import Testing

@testable import KubeScheduler

private func preempt(_ pod: PodInfo, _ cache: inout SchedulerCache, budgets: [Object] = []) -> DefaultPreemption.Outcome {
    let preemption = DefaultPreemption(.standard, budgets: budgets.compactMap(DisruptionBudget.init))
    return preemption?.find(CycleInput(pod: pod, workloadSelector: nil), &cache, random: { _ in 0 }) ?? .unhelpful("")
}

private func budget(_ labels: [String: String], allowed: Int64) throws -> Object {
    try object([
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": ["name": "b", "namespace": "default"],
        "spec": ["selector": ["matchLabels": Value(labels)]], "status": ["disruptionsAllowed": .int(allowed)],
    ])
}

private func victims(_ outcome: DefaultPreemption.Outcome) -> [String]? {
    if case .nominate(let node, let victims) = outcome { return [node] + victims.map(\.name) }
    return nil
}

@Suite("Scheduler: preemption")
struct PreemptionTests {
    @Test("the fewest pods of lower priority go, the most important stay")
    func victimsAreFew() throws {
        var all = cache(
            [try node("a", cpu: "4")],
            [
                try pod("low", cpu: "2", node: "a", priority: 1), try pod("mid", cpu: "1", node: "a", priority: 5),
                try pod("high", cpu: "1", node: "a", priority: 100),
            ])
        let podCount = all.podCount
        #expect(victims(preempt(try pod("p", cpu: "2", priority: 50), &all)) == ["a", "low"])
        #expect(victims(preempt(try pod("p", cpu: "3", priority: 50), &all)) == ["a", "mid", "low"])
        #expect(all.podCount == podCount && all.node("a")?.requested.milliCPU == 4000)
    }

    @Test("the node with the less important victims is taken, and one where no budget breaks before that")
    func bestNode() throws {
        let pods = [
            try pod("x", cpu: "4", node: "a", labels: ["app": "x"], priority: 1),
            try pod("y", cpu: "4", node: "b", labels: ["app": "y"], priority: 5),
        ]
        var all = cache([try node("a"), try node("b")], pods)
        #expect(victims(preempt(try pod("p", cpu: "4", priority: 50), &all)) == ["a", "x"])
        #expect(victims(preempt(try pod("p", cpu: "4", priority: 50), &all, budgets: [try budget(["app": "x"], allowed: 0)])) == ["b", "y"])
        #expect(victims(preempt(try pod("p", cpu: "4", priority: 50), &all, budgets: [try budget(["app": "x"], allowed: 1)])) == ["a", "x"])
    }

    @Test("the same pods go whether the node alone is looked at or all pods are counted; the cache is afterwards as it was")
    func bothWays() throws {
        var numbers = SystemRandomNumberGenerator()
        for _ in 0..<50 {
            var pods: [PodInfo] = []
            for node in ["a", "b", "c"] {
                for number in 0..<Int.random(in: 1...4, using: &numbers) {
                    pods.append(
                        try pod(
                            "\(node)\(number)", cpu: "1", node: node, labels: ["app": Bool.random(using: &numbers) ? "x" : "y"],
                            priority: Int64.random(in: 1...60, using: &numbers)))
                }
            }
            var all = cache([try node("a"), try node("b"), try node("c")], pods)
            let cpu = "\(Int.random(in: 1...4, using: &numbers))"
            let budgets = [try budget(["app": "x"], allowed: Int64.random(in: 0...2, using: &numbers))]
            let plain = preempt(try pod("p", cpu: cpu, priority: 50), &all, budgets: budgets)
            // Nothing has its label: it refuses no node, but has to be asked of all pods.
            let term: Value = ["labelSelector": ["matchLabels": ["app": "none"]], "topologyKey": "kubernetes.io/hostname"]
            let counting = try pod("p", cpu: cpu, priority: 50) {
                $0[path: "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"] = [term]
            }
            #expect(preempt(counting, &all, budgets: budgets) == plain)
            #expect(all.podCount == pods.count)
            for node in ["a", "b", "c"] {
                #expect(all.node(node)?.requested.milliCPU == Int64(pods.count { $0.nodeName == node }) * 1000)
            }
        }
    }

    @Test("what cannot help is said in upstream's words")
    func unhelpful() throws {
        var all = cache(
            [try node("a"), try node("b", taints: [["key": "k", "effect": "NoSchedule"]]), try node("c")],
            [try pod("x", cpu: "4", node: "a", priority: 60), try pod("y", cpu: "1", node: "c", priority: 10)])
        #expect(
            preempt(try pod("p", cpu: "4", priority: 5), &all)
                == .noCandidates("0/3 nodes are available: 3 No preemption victims found for incoming pod."))
        #expect(
            preempt(try pod("p", cpu: "8", priority: 50), &all)
                == .noCandidates("0/3 nodes are available: 3 Preemption is not helpful for scheduling."))
        // What the search has counted is not looked for again.
        let preemption = try #require(DefaultPreemption(.standard, budgets: []))
        #expect(
            preemption.find(CycleInput(pod: try pod("p", cpu: "4", priority: 5)), &all, beyondHelp: 1)
                == .noCandidates(
                    "0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod."))
        let polite = try pod("p", cpu: "4", priority: 50) { $0["preemptionPolicy"] = "Never" }
        #expect(preempt(polite, &all) == .unhelpful("not eligible due to preemptionPolicy=Never."))
    }

    @Test("pods that keep others away by anti-affinity can be preempted for it")
    func antiAffinity() throws {
        let term: Value = ["labelSelector": ["matchLabels": ["app": "p"]], "topologyKey": "kubernetes.io/hostname"]
        let lonely = try pod("lonely", node: "a") {
            $0[path: "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"] = [term]
        }
        var all = cache([try node("a")], [lonely, try pod("other", node: "a")])
        #expect(victims(preempt(try pod("p", labels: ["app": "p"], priority: 1), &all)) == ["a", "lonely"])
    }

    @Test("the room made for a pod is not given to one of no higher priority, and is the pod's own")
    func nominated() throws {
        var all = cache([try node("a", cpu: "4")])
        let waiting = try pod("waiting", cpu: "4", priority: 10)
        all.nominator.nominate(waiting, for: "a")
        #expect(message(schedule(try pod("late", cpu: "1", priority: 10), all))?.contains("Insufficient cpu") ?? false)
        #expect(schedule(try pod("urgent", cpu: "1", priority: 11), all) == .node("a"))
        #expect(schedule(waiting, all) == .node("a"))
    }

    @Test("a pod whose victims are still ending makes no more room")
    func patience() throws {
        var victim = try podObject("x", cpu: "4", node: "a").value
        victim[path: "metadata", "deletionTimestamp"] = .string(epoch.rfc3339)
        victim[path: "status", "conditions"] = [["type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"]]
        var all = cache([try node("a")], [PodInfo(try object(victim)), try pod("y", cpu: "1", priority: 0)])
        let waiting = try pod("waiting", cpu: "4", priority: 10)
        all.nominator.nominate(waiting, for: "a")
        #expect(preempt(waiting, &all) == .unhelpful("not eligible due to a terminating pod on the nominated node."))
    }
}
