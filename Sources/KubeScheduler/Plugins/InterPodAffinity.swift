import KubeAPI

/// Puts pods near those they want near, and away from those that they, or who, want distance. Upstream: plugins/interpodaffinity.
///
/// All counts come from the cache's tables, which are kept as pods come and go: of bound pods' terms by place, and of pods by selector and place. So
/// the work grows with the number of terms, not with pods, and a node costs an array's element for each term.
struct InterPodAffinity: FilterPlugin, ScorePlugin {
    let name = "InterPodAffinity"
    let looksAtOtherPods = true
    let looksOnlyAtNode = false
    private let arguments: InterPodAffinityArguments

    init(_ arguments: InterPodAffinityArguments = .standard) { self.arguments = arguments }

    private struct Filter: NodeFilter {
        /// Pods that want this one away.
        var forbidden: [PlaceCounts]
        /// By the pod's own terms of anti-affinity: pods it wants to be away from.
        var avoided: [PlaceCounts]
        /// By the pod's own terms of affinity: pods that match all of them.
        var wanted: [PlaceCounts]
        /// The pod matches its own terms, and nobody else does: it is the first of its group and may go anywhere.
        var isFirst: Bool

        func filter(_ node: NodeInfo) -> Rejection? {
            var near = true
            for places in wanted {
                guard let count = places.count(node) else { return Self.affinityRejection }
                if count <= 0 { near = false }
            }
            if !near, !isFirst { return Self.affinityRejection }
            if avoided.contains(where: { $0.count(node) ?? 0 > 0 }) { return Rejection("node(s) didn't match pod anti-affinity rules") }
            if forbidden.contains(where: { $0.count(node) ?? 0 > 0 }) { return Rejection("node(s) didn't satisfy existing pods anti-affinity rules") }
            return nil
        }

        private static let affinityRejection = Rejection("node(s) didn't match pod affinity rules", unresolvable: true)
    }

    private struct Scorer: NodeScorer {
        /// Pods by place, with what each is worth.
        var tables: [(places: PlaceCounts, weight: Int64)]

        func score(_ node: NodeInfo) -> Int64 { tables.reduce(0) { $0 + $1.weight * Int64($1.places.count(node) ?? 0) } }

        func normalize(_ scores: inout [Int64], _ places: [Int]) {
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
        let forbidden = cache.requiredAntiAffinity.filter { $0.key.matches(pod, namespaceLabels: labels) }.map { cache.places(of: $0.value) }
        if forbidden.isEmpty, pod.requiredAffinity.isEmpty, pod.requiredAntiAffinity.isEmpty { return nil }
        let avoided = pod.requiredAntiAffinity.flatMap { places(of: [$0], &cache) }
        let wanted = places(of: pod.requiredAffinity, &cache)
        let isFirst = wanted.allSatisfy(\.isEmpty) && pod.requiredAffinity.allSatisfy { $0.matches(pod, namespaceLabels: labels) }
        return Filter(forbidden: forbidden, avoided: avoided, wanted: wanted, isFirst: isFirst)
    }

    /// The pods that match all of `terms`, by the places that each term's key makes.
    private func places(of terms: [AffinityTerm], _ cache: inout SchedulerCache) -> [PlaceCounts] {
        guard let first = terms.first else { return [] }
        let selector = terms.count == 1 ? first.selector : LabelSelector(terms.flatMap(\.selector.requirements))
        var namespaces = terms.contains(where: \.selector.isNothing) ? [] : cache.namespaces(of: first)
        for term in terms.dropFirst() { namespaces.formIntersection(cache.namespaces(of: term)) }
        return terms.map { cache.matching(selector, namespaces: namespaces, skipTerminating: false, by: $0.topologyKey) }
    }

    func prepareScore(_ input: CycleInput, _ places: [Int], _ cache: inout SchedulerCache) -> (any NodeScorer)? {
        let pod = input.pod
        if pod.preferredAffinity.isEmpty {
            if arguments.ignoresPreferencesOfOthers { return nil }
            if cache.scoredAffinity.isEmpty, cache.requiredAffinity.isEmpty || arguments.hardPodAffinityWeight == 0 { return nil }
        }
        let labels = cache.namespaces[pod.namespace] ?? [:]
        var tables: [(places: PlaceCounts, weight: Int64)] = []
        for (weighted, places) in cache.scoredAffinity where weighted.term.matches(pod, namespaceLabels: labels) {
            tables.append((cache.places(of: places), weighted.weight))
        }
        if arguments.hardPodAffinityWeight > 0 {
            for (term, places) in cache.requiredAffinity where term.matches(pod, namespaceLabels: labels) {
                tables.append((cache.places(of: places), arguments.hardPodAffinityWeight))
            }
        }
        for weighted in pod.preferredAffinity {
            let term = weighted.term
            let counts = cache.matching(term.selector, namespaces: cache.namespaces(of: term), skipTerminating: false, by: term.topologyKey)
            tables.append((counts, weighted.weight))
        }
        return tables.allSatisfy(\.places.isEmpty) ? nil : Scorer(tables: tables)
    }
}
