import Glibc
import KubeAPI

/// Spreads the pods of a group evenly over zones, nodes, or whatever label is named. Upstream: plugins/podtopologyspread.
struct PodTopologySpread: FilterPlugin, ScorePlugin {
    let name = "PodTopologySpread"
    let weight: Int64 = 2
    let looksAtOtherPods = true

    static let hostname = "kubernetes.io/hostname"
    static let zone = "topology.kubernetes.io/zone"

    private struct Filter: NodeFilter {
        struct Constraint {
            var spread: TopologySpreadConstraint
            /// Matching pods by value of the label.
            var counts: [String: Int]
            /// The fewest in any place; 0 while there are fewer places than asked for.
            var least: Int
            /// 1 when the pod itself is of the group.
            var own: Int
        }
        var constraints: [Constraint]

        func filter(_ node: NodeInfo) -> Rejection? {
            for constraint in constraints {
                guard let value = node.labels[constraint.spread.topologyKey] else {
                    return Rejection("node(s) didn't match pod topology spread constraints (missing required label)", unresolvable: true)
                }
                let skew = (constraint.counts[value] ?? 0) + constraint.own - constraint.least
                if Int64(skew) > constraint.spread.maxSkew { return Rejection("node(s) didn't match pod topology spread constraints") }
            }
            return nil
        }
    }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? {
        let pod = input.pod
        let hard = pod.spreadConstraints.filter(\.doNotSchedule)
        guard !hard.isEmpty else { return nil }
        let tables = hard.map { cache.matching($0.selector, namespace: pod.namespace, skipTerminating: true) }
        var counts = [[String: Int]](repeating: [:], count: hard.count)
        for node in cache.nodes where node.isPresent {
            // Only nodes that have all the labels are places at all.
            guard hard.allSatisfy({ node.labels[$0.topologyKey] != nil }) else { continue }
            for (index, constraint) in hard.enumerated() where Self.counts(node, for: constraint, pod) {
                guard let value = node.labels[constraint.topologyKey] else { continue }
                counts[index][value, default: 0] += tables[index][node.name] ?? 0
            }
        }
        return Filter(
            constraints: hard.enumerated().map { index, constraint in
                let places = counts[index]
                let least = Int64(places.count) < constraint.minDomains ? 0 : places.values.min() ?? 0
                return .init(spread: constraint, counts: places, least: least, own: constraint.selector.matches(pod.labels) ? 1 : 0)
            })
    }

    private static func counts(_ node: NodeInfo, for constraint: TopologySpreadConstraint, _ pod: PodInfo) -> Bool {
        if constraint.honorsNodeAffinity, !pod.nodeAffinity.matches(node) { return false }
        if constraint.honorsNodeTaints, node.taints.contains(where: { $0.forbids && !pod.tolerates($0) }) { return false }
        return true
    }

    private struct Scorer: NodeScorer {
        struct Constraint {
            var spread: TopologySpreadConstraint
            /// By value of the label; by node name for the hostname.
            var counts: [String: Int]
            /// Places are fewer the coarser they are: the logarithm evens that out. Upstream: topologyNormalizingWeight.
            var weight: Double
        }
        var constraints: [Constraint]
        var ignored: Set<String>

        func score(_ node: NodeInfo) -> Int64 {
            if ignored.contains(node.name) { return 0 }
            var sum = 0.0
            for constraint in constraints {
                guard let value = node.labels[constraint.spread.topologyKey] else { continue }
                let place = constraint.spread.topologyKey == PodTopologySpread.hostname ? node.name : value
                sum += Double(constraint.counts[place] ?? 0) * constraint.weight + Double(constraint.spread.maxSkew - 1)
            }
            return Int64(sum.rounded(.toNearestOrAwayFromZero))
        }

        func normalize(_ scores: inout [Int64], _ nodes: [NodeInfo]) {
            let counted = scores.indices.filter { !ignored.contains(nodes[$0].name) }
            let least = counted.map { scores[$0] }.min() ?? 0
            let most = counted.map { scores[$0] }.max() ?? 0
            for index in scores.indices {
                if ignored.contains(nodes[index].name) {
                    scores[index] = 0
                } else {
                    scores[index] = most == 0 ? maxNodeScore : maxNodeScore * (most + least - scores[index]) / most
                }
            }
        }
    }

    /// Over nodes and zones alike, for pods of Services and workloads that say nothing themselves. Upstream: systemDefaultConstraints.
    private static func defaults(_ selector: LabelSelector) -> [TopologySpreadConstraint] {
        [
            TopologySpreadConstraint(maxSkew: 3, topologyKey: hostname, doNotSchedule: false, selector: selector),
            TopologySpreadConstraint(maxSkew: 5, topologyKey: zone, doNotSchedule: false, selector: selector),
        ]
    }

    func prepareScore(_ input: CycleInput, _ nodes: [NodeInfo], _ cache: inout SchedulerCache) -> (any NodeScorer)? {
        let pod = input.pod
        var soft = pod.spreadConstraints.filter { !$0.doNotSchedule }
        // By default, nodes that lack a zone are not left out.
        let requireAll = !pod.spreadConstraints.isEmpty
        if pod.spreadConstraints.isEmpty { soft = input.workloadSelector.map(Self.defaults) ?? [] }
        guard !soft.isEmpty else { return nil }
        var ignored: Set<String> = []
        var places = [Set<String>](repeating: [], count: soft.count)
        for node in nodes {
            if requireAll, !soft.allSatisfy({ node.labels[$0.topologyKey] != nil }) {
                ignored.insert(node.name)
                continue
            }
            for (index, constraint) in soft.enumerated() {
                if let value = node.labels[constraint.topologyKey] { places[index].insert(value) }
            }
        }
        let constraints = soft.enumerated().map { index, constraint -> Scorer.Constraint in
            let table = cache.matching(constraint.selector, namespace: pod.namespace, skipTerminating: true)
            let isHostname = constraint.topologyKey == Self.hostname
            let size = isHostname ? nodes.count - ignored.count : places[index].count
            var counts: [String: Int] = [:]
            for (name, count) in table {
                if isHostname {
                    counts[name] = count
                } else if let node = cache.node(name), let value = node.labels[constraint.topologyKey], places[index].contains(value),
                    Self.counts(node, for: constraint, pod)
                {
                    counts[value, default: 0] += count
                }
            }
            return .init(spread: constraint, counts: counts, weight: log(Double(size + 2)))
        }
        return Scorer(constraints: constraints, ignored: ignored)
    }
}
