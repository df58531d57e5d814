import KubeAPI

/// Why no node can take a pod, in upstream's words. Upstream: framework.FitError.
struct FitError: Error, Sendable, Equatable {
    var nodeCount: Int
    /// How many nodes gave each reason.
    var reasons: [String: Int]
    /// Plugins that rejected a node: what their events concern is worth trying again for.
    var plugins: Set<String>
    /// Why no node was looked at; nil: they were.
    var refusal: String?
    /// Why making room would not help either; nil: it was not thought about, or does help.
    var preemption: String?

    /// Upstream: FitError.Error.
    var message: String {
        var text = "0/\(nodeCount) nodes are available:"
        if let refusal { text += " \(refusal)." }
        if !reasons.isEmpty { text += " " + reasons.map { "\($0.value) \($0.key)" }.sorted().joined(separator: ", ") + "." }
        if let preemption { text += " preemption: \(preemption)" }
        return text
    }
}

/// Finds the best node for one pod, from the cache as it stands: no waiting, no side effects on it but memoised counts.
/// Upstream: schedulePod in pkg/scheduler/schedule_one.go.
struct SchedulingCycle: Sendable {
    enum Outcome: Sendable, Equatable {
        case node(String)
        case unfit(FitError)
        /// Upstream: ErrNoNodesAvailable.
        case noNodes
    }

    static let noNodesMessage = "no nodes available to schedule pods"
    /// Up to this many nodes, all are looked at. Upstream: minFeasibleNodesToFind.
    static let minFeasibleNodes = 100
    /// Upstream: minFeasibleNodesPercentageToFind.
    static let minPercentage = 5

    var profile = Profile.standard
    /// Where the next search begins, so that all nodes get their turn when not all are looked at.
    private var nextStart = 0

    init(profile: Profile = .standard) { self.profile = profile }

    /// How many fitting nodes are enough to choose from. Upstream: numFeasibleNodesToFind.
    static func enough(of count: Int) -> Int {
        guard count >= minFeasibleNodes else { return count }
        let percentage = max(minPercentage, 50 - count / 125)
        return max(minFeasibleNodes, count * percentage / 100)
    }

    /// - Parameter random: picks one of so many equals.
    mutating func schedule(_ input: CycleInput, _ cache: inout SchedulerCache, random: (Int) -> Int = { Int.random(in: 0..<$0) }) -> Outcome {
        guard cache.nodeCount > 0 else { return .noNodes }
        for plugin in profile.filters {
            guard let why = plugin.refusal(input) else { continue }
            return .unfit(FitError(nodeCount: cache.nodeCount, reasons: [:], plugins: [plugin.name], refusal: why))
        }
        let filters = NodeFilters(profile.filters, input, &cache)
        var only: Set<String>?
        var narrowing: [String] = []
        for plugin in profile.filters {
            guard let names = plugin.candidates(input) else { continue }
            only = only.map { $0.intersection(names) } ?? names
            narrowing.append(plugin.name)
        }
        // Where room was made for the pod, it goes if it fits. Upstream: evaluateNominatedNode.
        if let name = cache.nominator.node(of: input.pod.uid), only?.contains(name) ?? true, let node = cache.node(name),
            filters.rejection(node, cache) == nil
        {
            return .node(name)
        }
        var error = FitError(nodeCount: cache.nodeCount, reasons: [:], plugins: [])
        let feasible = search(filters, only, cache, &error)
        if let only {
            let known = only.count { cache.node($0) != nil }
            let outside = cache.nodeCount - known
            if feasible.isEmpty, outside > 0 {
                error.reasons["node(s) didn't satisfy plugin(s) [\(narrowing.sorted().joined(separator: " "))]", default: 0] += outside
                error.plugins.formUnion(narrowing)
            }
        }
        switch feasible.count {
        case 0: return .unfit(error)
        case 1: return .node(feasible[0].name)
        default: return .node(best(of: feasible, input, &cache, random).name)
        }
    }

    private mutating func search(
        _ filters: NodeFilters, _ only: Set<String>?, _ cache: SchedulerCache, _ error: inout FitError
    ) -> [NodeInfo] {
        var feasible: [NodeInfo] = []
        func check(_ node: NodeInfo) {
            guard let (name, rejection) = filters.rejection(node, cache) else { return feasible.append(node) }
            for reason in rejection.reasons { error.reasons[reason, default: 0] += 1 }
            error.plugins.insert(name)
        }
        if let only {
            for name in only.sorted() { if let node = cache.node(name) { check(node) } }
            return feasible
        }
        let nodes = cache.nodes
        let enough = Self.enough(of: cache.nodeCount)
        let start = nodes.isEmpty ? 0 : nextStart % nodes.count
        var looked = 0
        for offset in 0..<nodes.count {
            let node = nodes[(start + offset) % nodes.count]
            looked += 1
            guard node.isPresent else { continue }
            check(node)
            if feasible.count >= enough { break }
        }
        nextStart = start + looked
        return feasible
    }

    /// The highest sum of weighted scores; among equals, one at random. Upstream: prioritizeNodes and selectHost.
    private func best(of nodes: [NodeInfo], _ input: CycleInput, _ cache: inout SchedulerCache, _ random: (Int) -> Int) -> NodeInfo {
        let totals = totals(of: nodes, input, &cache)
        let most = totals.max() ?? 0
        let equals = totals.indices.filter { totals[$0] == most }
        let choice = equals.isEmpty ? 0 : equals[min(equals.count - 1, max(0, random(equals.count)))]
        return nodes[choice]
    }

    func totals(of nodes: [NodeInfo], _ input: CycleInput, _ cache: inout SchedulerCache) -> [Int64] {
        var totals = [Int64](repeating: 0, count: nodes.count)
        for plugin in profile.scores {
            guard let scorer = plugin.prepareScore(input, nodes, &cache) else { continue }
            var scores = nodes.map { scorer.score($0) }
            scorer.normalize(&scores, nodes)
            for index in totals.indices { totals[index] += min(maxNodeScore, max(0, scores[index])) * plugin.weight }
        }
        return totals
    }
}
