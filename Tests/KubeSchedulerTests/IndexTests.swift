import KubeAPI
import Testing

@testable import KubeScheduler

/// A long life of a small cluster at random, with one cache and one cycle that keep their tables all the while.
private struct RandomCluster {
    private static let zone = "topology.kubernetes.io/zone"
    private static let hostname = "kubernetes.io/hostname"

    private(set) var cache = SchedulerCache()
    var cycle = SchedulingCycle()
    private var generator: SplitMix
    private(set) var bound: [(pod: PodInfo, node: String)] = []
    private let namespaces = ["default": ["team": "a"], "other": ["team": "b"]]
    private var made = 0

    init(seed: UInt64) {
        generator = SplitMix(state: seed)
        for (name, labels) in namespaces { cache.setNamespace(name, labels: labels) }
    }

    mutating func pick(_ count: Int) -> Int { Int(generator.next() % UInt64(count)) }

    var plain: PlainScheduling { PlainScheduling(nodes: cache.nodes.filter(\.isPresent), pods: bound, namespaces: namespaces) }

    /// A node comes, changes or goes.
    mutating func changeNode() throws {
        let name = "n\(pick(12))"
        if pick(4) == 0 { return cache.removeNode(name) }
        var labels: [String: String] = [:]
        if pick(6) > 0 { labels[Self.zone] = "z\(pick(3))" }
        if pick(2) == 0 { labels["disk"] = "ssd" }
        let effects = ["NoSchedule", "PreferNoSchedule"]
        let taints: [Value] = pick(5) == 0 ? [["key": "k", "value": "v", "effect": .string(effects[pick(2)])]] : []
        cache.setNode(try node(name, cpu: "\(pick(3) + 1)", pods: "\(pick(6) + 2)", labels: labels, taints: taints, unschedulable: pick(12) == 0))
    }

    mutating func removePod() {
        guard !bound.isEmpty else { return }
        let index = pick(bound.count)
        cache.remove(bound.remove(at: index).pod.uid)
    }

    mutating func assume(_ pod: PodInfo, on node: String) {
        cache.assume(pod, on: node)
        bound.append((pod, node))
    }

    mutating func decide(_ pod: PodInfo) -> SchedulingCycle.Outcome { cycle.schedule(CycleInput(pod: pod), &cache, random: { _ in 0 }) }

    /// What the plugins that look at other pods say, and all together by a cycle that has kept nothing.
    mutating func scores(_ pod: PodInfo, _ nodes: [NodeInfo]) -> (affinity: [Int64], spread: [Int64]?, totals: [Int64]) {
        let (input, places) = (CycleInput(pod: pod), nodes.map(\.place))
        func scores(_ scorer: (any NodeScorer)?) -> [Int64]? {
            guard let scorer else { return nil }
            var scores = nodes.map { scorer.score($0) }
            scorer.normalize(&scores, places)
            return scores
        }
        var fresh = SchedulingCycle()
        return (
            scores(InterPodAffinity().prepareScore(input, places, &cache)) ?? nodes.map { _ in 0 },
            scores(PodTopologySpread().prepareScore(input, places, &cache)), fresh.totals(of: places, input, nil, &cache)
        )
    }

    mutating func pod() throws -> PodInfo {
        made += 1
        let app = "app\(pick(3))"
        let (key, spreadKey) = (pick(2) == 0 ? Self.zone : Self.hostname, pick(2) == 0 ? Self.zone : Self.hostname)
        let selector: Value = ["matchLabels": ["app": .string("app\(pick(3))")]]
        var term: Value = ["labelSelector": selector, "topologyKey": .string(key)]
        if pick(4) == 0 { term["namespaceSelector"] = ["matchLabels": ["team": .string(["a", "b"][pick(2)])]] }
        let weighted: Value = ["weight": .int(Int64(pick(100) + 1)), "podAffinityTerm": term]
        let (what, spread, tolerates, likes) = (pick(7), pick(5), pick(3) == 0, pick(4))
        let constraint: Value = [
            "maxSkew": .int(Int64(pick(2) + 1)), "topologyKey": .string(spreadKey), "labelSelector": selector,
            "whenUnsatisfiable": .string(spread < 2 ? "DoNotSchedule" : "ScheduleAnyway"),
            "nodeTaintsPolicy": .string(["Ignore", "Honor"][pick(2)]), "nodeAffinityPolicy": .string(["Ignore", "Honor"][pick(2)]),
        ]
        let second: Value = ["maxSkew": 2, "topologyKey": .string(Self.zone), "labelSelector": selector, "whenUnsatisfiable": "DoNotSchedule"]
        let (required, preferred) = ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution")
        return try KubeSchedulerTests.pod(
            "p\(made)", namespace: pick(4) == 0 ? "other" : "default", cpu: "\(pick(3) * 200)m", labels: ["app": app]
        ) { spec in
            switch what {
            case 0: spec[path: "affinity", "podAffinity", required] = [term]
            case 1: spec[path: "affinity", "podAntiAffinity", required] = [term]
            case 2: spec[path: "affinity", "podAffinity", preferred] = [weighted]
            case 3: spec[path: "affinity", "podAntiAffinity", preferred] = [weighted]
            default: break
            }
            if spread < 4 { spec["topologySpreadConstraints"] = spread == 1 ? [constraint, second] : [constraint] }
            if tolerates { spec["tolerations"] = [["key": "k", "operator": "Exists"]] }
            if likes == 0 { spec["nodeSelector"] = ["disk": "ssd"] }
            if likes == 1 {
                spec[path: "affinity", "nodeAffinity", preferred] = [
                    ["weight": 30, "preference": ["matchExpressions": [["key": "disk", "operator": "In", "values": ["ssd"]]]]]
                ]
            }
        }
    }
}

@Suite("Scheduler: tables that are kept")
struct IndexTests {
    @Test("whatever comes and goes, decisions are those of a computation from nodes and pods alone", arguments: 1...12 as ClosedRange<UInt64>)
    func equality(seed: UInt64) throws {
        var cluster = RandomCluster(seed: seed)
        for _ in 0..<10 { try cluster.changeNode() }
        var (placed, unfit) = (0, 0)
        for _ in 0..<250 {
            switch cluster.pick(8) {
            case 0: try cluster.changeNode()
            case 1, 2: cluster.removePod()
            default:
                let pod = try cluster.pod()
                if let node = try decide(&cluster, pod) {
                    cluster.assume(pod, on: node)
                    placed += 1
                } else {
                    unfit += 1
                }
            }
        }
        #expect(placed > 40)
        #expect(unfit > 5)
    }

    /// Decides about one pod both ways, and expects them to agree.
    private func decide(_ cluster: inout RandomCluster, _ pod: PodInfo) throws -> String? {
        let plain = cluster.plain
        let rejecters = plain.nodes.map { plain.rejecter(of: pod, on: $0) }
        let feasible = zip(plain.nodes, rejecters).filter { $0.1 == nil }.map(\.0)
        switch cluster.decide(pod) {
        case .noNodes:
            #expect(plain.nodes.isEmpty)
            return nil
        case .unfit(let error):
            #expect(feasible.isEmpty)
            #expect(error.plugins == Set(rejecters.compactMap(\.self)))
            return nil
        case .node(let name):
            #expect(feasible.contains { $0.name == name })
            let scores = cluster.scores(pod, feasible)
            #expect(scores.affinity == plain.affinityScores(pod, feasible))
            #expect(scores.spread == plain.spreadScores(pod, feasible))
            // The best by totals computed anew is what the kept ones chose.
            let best = scores.totals.max() ?? 0
            #expect(zip(feasible, scores.totals).contains { $0.0.name == name && $0.1 == best })
            return name
        }
    }
}
