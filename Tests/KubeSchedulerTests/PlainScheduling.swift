import Glibc
import KubeAPI

@testable import KubeScheduler

/// The decisions of the scheduler computed the long way, from nodes and pods alone, without tables that are kept: what the indexed ones must equal.
struct PlainScheduling {
    var nodes: [NodeInfo]
    /// Bound pods with their nodes.
    var pods: [(pod: PodInfo, node: String)]
    var namespaces: [String: [String: String]]

    private func pods(on node: NodeInfo) -> [PodInfo] { pods.filter { $0.node == node.name }.map(\.pod) }
    private func node(_ name: String) -> NodeInfo? { nodes.first { $0.name == name } }

    /// The first plugin that rejects a node, and nil for one that will do.
    func rejecter(of pod: PodInfo, on node: NodeInfo) -> String? {
        if node.unschedulable, !pod.tolerates(NodeUnschedulable.taint) { return "NodeUnschedulable" }
        if node.taints.contains(where: { $0.forbids && !pod.tolerates($0) }) { return "TaintToleration" }
        if !pod.nodeAffinity.matches(node) { return "NodeAffinity" }
        let here = pods(on: node)
        let cpu = here.reduce(0) { $0 + $1.requests.milliCPU }
        if Int64(here.count) + 1 > node.allowedPods { return "NodeResourcesFit" }
        if pod.requests.milliCPU > 0, cpu + pod.requests.milliCPU > node.allocatable.milliCPU { return "NodeResourcesFit" }
        if !spreads(pod, on: node) { return "PodTopologySpread" }
        return isNearEnough(pod, to: node) ? nil : "InterPodAffinity"
    }

    private func matches(_ term: AffinityTerm, _ pod: PodInfo) -> Bool { term.matches(pod, namespaceLabels: namespaces[pod.namespace] ?? [:]) }

    private func isNearEnough(_ pod: PodInfo, to node: NodeInfo) -> Bool {
        let value = { (key: String, name: String) in self.node(name)?.labels[key] }
        // A pod that matches all terms, in the node's place by each term's key.
        let terms = pod.requiredAffinity
        let near = pods.filter { other in terms.allSatisfy { matches($0, other.pod) } }
        if !terms.isEmpty {
            guard terms.allSatisfy({ node.labels[$0.topologyKey] != nil }) else { return false }
            let isNear = terms.allSatisfy { term in near.contains { value(term.topologyKey, $0.node) == node.labels[term.topologyKey] } }
            let somewhere = near.contains { other in terms.contains { value($0.topologyKey, other.node) != nil } }
            if !isNear, somewhere || !terms.allSatisfy({ matches($0, pod) }) { return false }
        }
        func isSame(_ key: String, _ name: String) -> Bool { node.labels[key].map { value(key, name) == $0 } ?? false }
        for term in pod.requiredAntiAffinity where pods.contains(where: { matches(term, $0.pod) && isSame(term.topologyKey, $0.node) }) {
            return false
        }
        for other in pods {
            for term in other.pod.requiredAntiAffinity where matches(term, pod) && isSame(term.topologyKey, other.node) { return false }
        }
        return true
    }

    private func isCounted(_ node: NodeInfo, _ constraint: TopologySpreadConstraint, _ pod: PodInfo) -> Bool {
        if constraint.honorsNodeAffinity, !pod.nodeAffinity.matches(node) { return false }
        return !constraint.honorsNodeTaints || !node.taints.contains { $0.forbids && !pod.tolerates($0) }
    }

    private func matching(_ constraint: TopologySpreadConstraint, _ pod: PodInfo, on node: NodeInfo) -> Int {
        pods(on: node).count { $0.namespace == pod.namespace && !$0.isTerminating && constraint.selector.matches($0.labels) }
    }

    private func spreads(_ pod: PodInfo, on node: NodeInfo) -> Bool {
        let hard = pod.spreadConstraints.filter(\.doNotSchedule)
        let places = nodes.filter { node in hard.allSatisfy { node.labels[$0.topologyKey] != nil } }
        for constraint in hard {
            guard let value = node.labels[constraint.topologyKey] else { return false }
            var counts: [String: Int] = [:]
            for place in places where isCounted(place, constraint, pod) {
                counts[place.labels[constraint.topologyKey] ?? "", default: 0] += matching(constraint, pod, on: place)
            }
            let least = Int64(counts.count) < constraint.minDomains ? 0 : counts.values.min() ?? 0
            let own = constraint.selector.matches(pod.labels) ? 1 : 0
            if Int64((counts[value] ?? 0) + own - least) > constraint.maxSkew { return false }
        }
        return true
    }

    /// InterPodAffinity's scores of nodes, on the scale.
    func affinityScores(_ pod: PodInfo, _ feasible: [NodeInfo]) -> [Int64] {
        var raw = [Int64](repeating: 0, count: feasible.count)
        for other in pods {
            var worth: [(key: String, weight: Int64)] = []
            for term in other.pod.requiredAffinity where matches(term, pod) { worth.append((term.topologyKey, 1)) }
            for weighted in other.pod.preferredAffinity where matches(weighted.term, pod) {
                worth.append((weighted.term.topologyKey, weighted.weight))
            }
            for weighted in pod.preferredAffinity where matches(weighted.term, other.pod) {
                worth.append((weighted.term.topologyKey, weighted.weight))
            }
            for (key, weight) in worth {
                guard let value = node(other.node)?.labels[key] else { continue }
                for (index, node) in feasible.enumerated() where node.labels[key] == value { raw[index] += weight }
            }
        }
        let (least, most) = (raw.min() ?? 0, raw.max() ?? 0)
        return raw.map { most > least ? Int64(Double(maxNodeScore) * (Double($0 - least) / Double(most - least))) : 0 }
    }

    /// PodTopologySpread's scores of nodes, on the scale; nil: it has nothing to say.
    func spreadScores(_ pod: PodInfo, _ feasible: [NodeInfo]) -> [Int64]? {
        let soft = pod.spreadConstraints.filter { !$0.doNotSchedule }
        if soft.isEmpty { return nil }
        let isCounted = feasible.map { node in soft.allSatisfy { node.labels[$0.topologyKey] != nil } }
        let counted = zip(feasible, isCounted).filter(\.1).map(\.0)
        let raw = zip(feasible, isCounted).map { node, isCounted -> Int64 in
            guard isCounted else { return 0 }
            var sum = 0.0
            for constraint in soft {
                let isHostname = constraint.topologyKey == PodTopologySpread.hostname
                let size = isHostname ? counted.count : Set(counted.compactMap { $0.labels[constraint.topologyKey] }).count
                let near = isHostname ? [node] : nodes.filter { $0.labels[constraint.topologyKey] == node.labels[constraint.topologyKey] }
                let count = near.filter { isHostname || self.isCounted($0, constraint, pod) }.reduce(0) { $0 + matching(constraint, pod, on: $1) }
                sum += Double(count) * log(Double(size + 2)) + Double(constraint.maxSkew - 1)
            }
            return Int64(sum.rounded(.toNearestOrAwayFromZero))
        }
        let among = zip(raw, isCounted).filter(\.1).map(\.0)
        let (least, most) = (among.min() ?? 0, among.max() ?? 0)
        return zip(raw, isCounted).map { score, isCounted in
            isCounted ? (most == 0 ? maxNodeScore : maxNodeScore * (most + least - score) / most) : 0
        }
    }
}
