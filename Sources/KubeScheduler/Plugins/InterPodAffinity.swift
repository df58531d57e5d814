import KubeAPI

/// Puts pods near those they want near, and away from those that they, or who, want distance. Upstream: plugins/interpodaffinity.
///
/// All counts come from the cache's tables: of bound pods' terms by place, which are asked as they are, and of pods by selector and node. So the work
/// grows with the number of terms and of nodes that hold matching pods, not with all pods, and not with nodes times places.
struct InterPodAffinity: FilterPlugin, ScorePlugin {
    let name = "InterPodAffinity"
    let weight: Int64 = 2
    let looksAtOtherPods = true

    /// A label and its value: nodes that share it are one place.
    struct Topology: Hashable {
        var key: String
        var value: String
    }

    private struct Filter: NodeFilter {
        /// By topology key, the places where a pod stands that wants this one away.
        var forbidden: [(key: String, places: [String: Int])]
        /// Places where a pod stands that this one wants to be away from.
        var avoided: Set<Topology>
        var antiAffinityKeys: [String]
        /// Places with a pod that matches all terms of affinity.
        var wanted: Set<Topology>
        var affinityKeys: [String]
        /// The pod matches its own terms, and nobody else does: it is the first of its group and may go anywhere.
        var isFirst: Bool

        func filter(_ node: NodeInfo) -> Rejection? {
            var near = true
            for key in affinityKeys {
                guard let value = node.labels[key] else { return Self.affinityRejection }
                if !wanted.contains(Topology(key: key, value: value)) { near = false }
            }
            if !near, !isFirst { return Self.affinityRejection }
            for key in antiAffinityKeys {
                if let value = node.labels[key], avoided.contains(Topology(key: key, value: value)) {
                    return Rejection("node(s) didn't match pod anti-affinity rules")
                }
            }
            for (key, places) in forbidden {
                if let value = node.labels[key], places[value] != nil { return Rejection("node(s) didn't satisfy existing pods anti-affinity rules") }
            }
            return nil
        }

        private static let affinityRejection = Rejection("node(s) didn't match pod affinity rules", unresolvable: true)
    }

    private struct Scorer: NodeScorer {
        var scores: [String: [String: Int64]]

        func score(_ node: NodeInfo) -> Int64 {
            var sum: Int64 = 0
            for (key, values) in scores {
                if let value = node.labels[key], let score = values[value] { sum += score }
            }
            return sum
        }

        func normalize(_ scores: inout [Int64], _ nodes: [NodeInfo]) {
            let least = scores.min() ?? 0
            let range = (scores.max() ?? 0) - least
            for index in scores.indices {
                scores[index] = range > 0 ? Int64(Double(maxNodeScore) * (Double(scores[index] - least) / Double(range))) : 0
            }
        }
    }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? {
        let pod = input.pod
        let labels = cache.namespaces[pod.namespace] ?? [:]
        let forbidden = cache.requiredAntiAffinity.filter { $0.key.matches(pod, namespaceLabels: labels) }.map {
            (key: $0.key.topologyKey, places: $0.value)
        }
        if forbidden.isEmpty, pod.requiredAffinity.isEmpty, pod.requiredAntiAffinity.isEmpty { return nil }
        var avoided: Set<Topology> = []
        for term in pod.requiredAntiAffinity { avoided.formUnion(places(of: [term], keys: [term.topologyKey], &cache)) }
        let keys = pod.requiredAffinity.map(\.topologyKey)
        let wanted = pod.requiredAffinity.isEmpty ? [] : places(of: pod.requiredAffinity, keys: keys, &cache)
        let isFirst = wanted.isEmpty && pod.requiredAffinity.allSatisfy { $0.matches(pod, namespaceLabels: labels) }
        return Filter(
            forbidden: forbidden, avoided: avoided, antiAffinityKeys: pod.requiredAntiAffinity.map(\.topologyKey), wanted: wanted, affinityKeys: keys,
            isFirst: isFirst)
    }

    /// The places, by each key, of the pods that match all of `terms`.
    private func places(of terms: [AffinityTerm], keys: [String], _ cache: inout SchedulerCache) -> Set<Topology> {
        guard let first = terms.first else { return [] }
        if terms.contains(where: \.selector.isNothing) { return [] }
        let selector = terms.count == 1 ? first.selector : LabelSelector(terms.flatMap(\.selector.requirements))
        var namespaces = cache.namespaces(of: first)
        for term in terms.dropFirst() { namespaces.formIntersection(cache.namespaces(of: term)) }
        var places: Set<Topology> = []
        for namespace in namespaces {
            for node in cache.matching(selector, namespace: namespace, skipTerminating: false).keys {
                for key in keys { if let value = cache.label(key, of: node) { places.insert(Topology(key: key, value: value)) } }
            }
        }
        return places
    }

    func prepareScore(_ input: CycleInput, _ nodes: [NodeInfo], _ cache: inout SchedulerCache) -> (any NodeScorer)? {
        let pod = input.pod
        if pod.preferredAffinity.isEmpty, cache.scoredAffinity.isEmpty { return nil }
        var scores: [String: [String: Int64]] = [:]
        func add(_ key: String, _ node: String, _ amount: Int64) {
            guard let value = cache.label(key, of: node) else { return }
            scores[key, default: [:]][value, default: 0] += amount
        }
        let labels = cache.namespaces[pod.namespace] ?? [:]
        for (weighted, counts) in cache.scoredAffinity where weighted.term.matches(pod, namespaceLabels: labels) {
            for (value, count) in counts where value != SchedulerCache.nowhere {
                scores[weighted.term.topologyKey, default: [:]][value, default: 0] += weighted.weight * Int64(count)
            }
        }
        for weighted in pod.preferredAffinity {
            for namespace in cache.namespaces(of: weighted.term) {
                let counts = cache.matching(weighted.term.selector, namespace: namespace, skipTerminating: false)
                for (node, count) in counts { add(weighted.term.topologyKey, node, weighted.weight * Int64(count)) }
            }
        }
        return scores.isEmpty ? nil : Scorer(scores: scores)
    }
}
