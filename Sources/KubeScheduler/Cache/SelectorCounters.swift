import KubeAPI

/// Numbers of pods that match a selector, by node and by place, kept up as pods come and go.
struct SelectorCounters: Sendable {
    struct Key: Sendable, Hashable {
        var namespace: String
        var selector: LabelSelector
        var skipTerminating: Bool

        func matches(_ pod: PodInfo) -> Bool {
            pod.namespace == namespace && !(skipTerminating && pod.isTerminating) && selector.matches(pod.labels)
        }
    }

    private struct Counter: Sendable {
        var byNode: [Int32]
        /// By topology, for those that were asked for: by the number of the value.
        var byValue: [(topology: Int, counts: [Int32])] = []
    }

    /// Selectors kept at most: each costs a match for every pod that comes or goes in its namespace.
    static let limit = 1024

    private var places: [Key: Int] = [:]
    private var keys: [String: [(key: Key, place: Int)]] = [:]
    private var counters: [Counter] = []

    func contains(_ key: Key) -> Bool { places[key] != nil }

    mutating func insert(_ key: Key, byNode: [Int32]) {
        if counters.count >= Self.limit {
            // All are made anew when asked for again: simpler than remembering which was used last, and as rare as it is cheap.
            self = SelectorCounters()
        }
        places[key] = counters.count
        keys[key.namespace, default: []].append((key, counters.count))
        counters.append(Counter(byNode: byNode))
    }

    /// By node; what is behind the end counts as 0.
    func byNode(_ key: Key) -> [Int32] { places[key].map { counters[$0].byNode } ?? [] }

    /// By the number of the nodes' value of a label. Counted once, then kept.
    mutating func byValue(_ key: Key, _ number: Int, _ topology: Topology) -> [Int32] {
        guard let place = places[key] else { return [] }
        if let known = counters[place].byValue.first(where: { $0.topology == number }) { return known.counts }
        var counts = [Int32](repeating: 0, count: topology.size)
        for (node, count) in counters[place].byNode.enumerated() where count != 0 {
            let value = topology.values[node]
            if value != Topology.none { counts[Int(value)] += count }
        }
        counters[place].byValue.append((number, counts))
        return counts
    }

    mutating func change(_ pod: PodInfo, _ node: Int, _ change: Int, _ topologies: [Topology]) {
        guard let keys = keys[pod.namespace] else { return }
        for (key, place) in keys where key.matches(pod) {
            PlaceCounts.add(change, at: Int32(truncatingIfNeeded: node), to: &counters[place].byNode)
            for index in counters[place].byValue.indices {
                let value = topologies[counters[place].byValue[index].topology].values[node]
                if value != Topology.none { PlaceCounts.add(change, at: value, to: &counters[place].byValue[index].counts) }
            }
        }
    }

    /// A node with pods has other labels, or none any more: what was counted by value is counted anew when asked for.
    mutating func forgetValues() { for place in counters.indices { counters[place].byValue = [] } }

    /// See `Topology.moveLast`; `last` is the place it had.
    mutating func moveLast(_ last: Int, to place: Int) {
        for index in counters.indices where last < counters[index].byNode.count {
            let count = counters[index].byNode[last]
            counters[index].byNode.removeSubrange(last...)
            if place < last { counters[index].byNode[place] = count }
        }
    }
}
