import Glibc
import KubeAPI

/// Spreads the pods of a group evenly over zones, nodes, or whatever label is named. Upstream: plugins/podtopologyspread.
struct PodTopologySpread: FilterPlugin, ScorePlugin {
    let name = "PodTopologySpread"
    let looksAtOtherPods = true
    let looksOnlyAtNode = false
    private let arguments: PodTopologySpreadArguments

    init(_ arguments: PodTopologySpreadArguments = .standard) { self.arguments = arguments }

    static let hostname = "kubernetes.io/hostname"
    static let zone = "topology.kubernetes.io/zone"

    private struct Filter: NodeFilter {
        struct Constraint {
            var maxSkew: Int64
            /// Matching pods by place.
            var pods: PlaceCounts
            /// The fewest in any place; 0 while there are fewer places than asked for.
            var least: Int
            /// 1 when the pod itself is of the group.
            var own: Int
        }
        var constraints: [Constraint]

        func filter(_ node: NodeInfo) -> Rejection? {
            for constraint in constraints {
                guard let count = constraint.pods.count(node) else {
                    return Rejection("node(s) didn't match pod topology spread constraints (missing required label)", unresolvable: true)
                }
                if Int64(count + constraint.own - constraint.least) > constraint.maxSkew {
                    return Rejection("node(s) didn't match pod topology spread constraints")
                }
            }
            return nil
        }
    }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? {
        let pod = input.pod
        let hard = constraints(input, doNotSchedule: true)
        guard !hard.isEmpty else { return nil }
        let topologies = hard.map { cache.places(by: $0.topologyKey) }
        // Only nodes that have all the labels are places at all: mostly all nodes are.
        let areComplete = topologies.allSatisfy { $0.unlabelled == 0 }
        return Filter(
            constraints: hard.indices.map { index in
                let (constraint, topology) = (hard[index], topologies[index])
                let own = constraint.selector.matches(pod.labels) ? 1 : 0
                guard areComplete, Self.countsAllNodes(constraint, pod) else {
                    let (counts, isPlace) = Self.walk(index, hard, topology, pod, &cache)
                    let least = Self.least(of: counts, where: { isPlace[$0] }, constraint)
                    return .init(maxSkew: constraint.maxSkew, pods: PlaceCounts(values: topology.values, counts: counts), least: least, own: own)
                }
                let pods = cache.matching(constraint.selector, namespaces: [pod.namespace], skipTerminating: true, by: constraint.topologyKey)
                let least = Self.least(of: pods.counts, size: topology.size, where: { topology.nodes[$0] > 0 }, constraint)
                return .init(maxSkew: constraint.maxSkew, pods: pods, least: least, own: own)
            })
    }

    /// The fewest pods in any place. What is behind the end of `counts` is 0.
    private static func least(
        of counts: [Int32], size: Int? = nil, where isPlace: (Int) -> Bool, _ constraint: TopologySpreadConstraint
    ) -> Int {
        var least = Int32.max
        var places: Int64 = 0
        for number in 0..<(size ?? counts.count) where isPlace(number) {
            places += 1
            least = min(least, number < counts.count ? counts[number] : 0)
        }
        return places < constraint.minDomains || places == 0 ? 0 : Int(least)
    }

    /// Counts over all nodes, for constraints that leave some out: matching pods by the number of the label's value, and which numbers are places.
    private static func walk(
        _ index: Int, _ hard: [TopologySpreadConstraint], _ topology: Topology, _ pod: PodInfo, _ cache: inout SchedulerCache
    ) -> (counts: [Int32], isPlace: [Bool]) {
        let byNode = cache.matching(hard[index].selector, namespace: pod.namespace, skipTerminating: true)
        var counts = [Int32](repeating: 0, count: topology.size)
        var isPlace = [Bool](repeating: false, count: topology.size)
        for node in cache.nodes where node.isPresent {
            guard hard.allSatisfy({ node.labels[$0.topologyKey] != nil }), Self.counts(node, for: hard[index], pod) else { continue }
            let number = Int(topology.values[node.place])
            isPlace[number] = true
            if node.place < byNode.count { counts[number] += byNode[node.place] }
        }
        return (counts, isPlace)
    }

    private static func countsAllNodes(_ constraint: TopologySpreadConstraint, _ pod: PodInfo) -> Bool {
        !constraint.honorsNodeTaints && (!constraint.honorsNodeAffinity || pod.nodeAffinity.isEmpty)
    }

    private static func counts(_ node: NodeInfo, for constraint: TopologySpreadConstraint, _ pod: PodInfo) -> Bool {
        if constraint.honorsNodeAffinity, !pod.nodeAffinity.matches(node) { return false }
        if constraint.honorsNodeTaints, node.taints.contains(where: { $0.forbids && !pod.tolerates($0) }) { return false }
        return true
    }

    private struct Scorer: NodeScorer {
        struct Constraint {
            var maxSkew: Int64
            /// By place; for the hostname by node.
            var pods: PlaceCounts
            var isHostname: Bool
            /// Places are fewer the coarser they are: the logarithm evens that out. Upstream: topologyNormalizingWeight.
            var weight: Double
        }
        var constraints: [Constraint]
        /// Places in the cache of nodes that lack a label.
        var ignored: Set<Int>

        func score(_ node: NodeInfo) -> Int64 {
            if !ignored.isEmpty, ignored.contains(node.place) { return 0 }
            var sum = 0.0
            for constraint in constraints {
                guard var count = constraint.pods.count(node) else { continue }
                if constraint.isHostname { count = node.place < constraint.pods.counts.count ? Int(constraint.pods.counts[node.place]) : 0 }
                sum += Double(count) * constraint.weight + Double(constraint.maxSkew - 1)
            }
            return Int64(sum.rounded(.toNearestOrAwayFromZero))
        }

        func normalize(_ scores: inout [Int64], _ places: [Int]) {
            let counted = ignored.isEmpty ? Array(scores.indices) : scores.indices.filter { !ignored.contains(places[$0]) }
            let least = counted.map { scores[$0] }.min() ?? 0
            let most = counted.map { scores[$0] }.max() ?? 0
            for index in scores.indices {
                if !ignored.isEmpty, ignored.contains(places[index]) {
                    scores[index] = 0
                } else {
                    scores[index] = most == 0 ? maxNodeScore : maxNodeScore * (most + least - scores[index]) / most
                }
            }
        }
    }

    /// The pod's own constraints of a kind; for pods of Services and workloads that say nothing themselves, the profile's.
    /// Upstream: filterTopologySpreadConstraints, buildDefaultConstraints.
    private func constraints(_ input: CycleInput, doNotSchedule: Bool) -> [TopologySpreadConstraint] {
        if !input.pod.spreadConstraints.isEmpty { return input.pod.spreadConstraints.filter { $0.doNotSchedule == doNotSchedule } }
        guard let selector = input.workloadSelector else { return [] }
        return (doNotSchedule ? arguments.hard : arguments.soft).map { constraint in
            var constraint = constraint
            constraint.selector = selector
            return constraint
        }
    }

    func prepareScore(_ input: CycleInput, _ places: [Int], _ cache: inout SchedulerCache) -> (any NodeScorer)? {
        let pod = input.pod
        let soft = constraints(input, doNotSchedule: false)
        // By default, nodes that lack a zone are not left out.
        let requireAll = !pod.spreadConstraints.isEmpty || !arguments.isSystem
        guard !soft.isEmpty else { return nil }
        let topologies = soft.map { cache.places(by: $0.topologyKey) }
        var ignored: Set<Int> = []
        if requireAll, topologies.contains(where: { $0.unlabelled > 0 }) {
            ignored = Set(places.filter { place in topologies.contains { $0.values[place] == Topology.none } })
        }
        let counted = ignored.isEmpty ? places : places.filter { !ignored.contains($0) }
        let constraints = soft.indices.map { index -> Scorer.Constraint in
            let (constraint, topology) = (soft[index], topologies[index])
            let isHostname = constraint.topologyKey == Self.hostname
            let size = isHostname ? counted.count : Self.distinct(counted, topology)
            let pods: PlaceCounts
            if isHostname {
                let byNode = cache.matching(constraint.selector, namespace: pod.namespace, skipTerminating: true)
                pods = PlaceCounts(values: topology.values, counts: byNode)
            } else if Self.countsAllNodes(constraint, pod) {
                pods = cache.matching(constraint.selector, namespaces: [pod.namespace], skipTerminating: true, by: constraint.topologyKey)
            } else {
                pods = PlaceCounts(values: topology.values, counts: Self.walk(0, [constraint], topology, pod, &cache).counts)
            }
            return .init(maxSkew: constraint.maxSkew, pods: pods, isHostname: isHostname, weight: log(Double(size + 2)))
        }
        return Scorer(constraints: constraints, ignored: ignored)
    }

    /// How many places the nodes are in.
    private static func distinct(_ nodes: [Int], _ topology: Topology) -> Int {
        var isSeen = [Bool](repeating: false, count: topology.size)
        var count = 0
        for node in nodes {
            let number = topology.values[node]
            guard number != Topology.none, !isSeen[Int(number)] else { continue }
            isSeen[Int(number)] = true
            count += 1
        }
        return count
    }
}
