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
    /// Nodes on which it would help nothing if other pods went. Upstream: those of NodeToStatus with UnschedulableAndUnresolvable.
    var unresolvable = 0
    /// What is said of the pod's ResourceClaims when no room was made; nil: nothing. Upstream: PostFilter of plugins/dynamicresources.
    var devices: String?
    /// Why making room would not help either; nil: it was not thought about, or does help.
    var preemption: String?

    mutating func add(_ plugin: String, _ rejection: Rejection, times: Int = 1) {
        if rejection.isUnresolvable { unresolvable += times }
        for reason in rejection.reasons { reasons[reason, default: 0] += times }
        plugins.insert(plugin)
    }

    /// Upstream: FitError.Error.
    var message: String {
        var text = "0/\(nodeCount) nodes are available:"
        if let refusal { text += " \(refusal)." }
        if !reasons.isEmpty { text += " " + reasons.map { "\($0.value) \($0.key)" }.sorted().joined(separator: ", ") + "." }
        let afterwards = [devices, preemption.map { "preemption: \($0)" }].compactMap(\.self)
        if !afterwards.isEmpty { text += " " + afterwards.joined(separator: ", ") }
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

    /// What looking for nodes came to, before they are compared.
    enum Search: Sendable {
        case ended(Outcome)
        /// Places in the cache of more than one node, and where answers about the pod's kind are kept, if they are; with what was said against others.
        case found([Int], table: Int?, FitError)
    }

    let profile: Profile
    /// Where the next search begins, so that all nodes get their turn when not all are looked at.
    private var nextStart = 0
    /// Of the cache that the cycle works on, always the same one.
    private var verdicts = NodeVerdicts()

    init(profile: Profile = .standard) { self.profile = profile }

    /// How many fitting nodes are enough to choose from; `percentage` 0: the more there are, the smaller a part. Upstream: numFeasibleNodesToFind.
    static func enough(of count: Int, percentage: Int = 0) -> Int {
        guard count >= minFeasibleNodes else { return count }
        let part = percentage == 0 ? max(minPercentage, 50 - count / 125) : percentage
        return max(minFeasibleNodes, count * part / 100)
    }

    /// - Parameter random: picks one of so many equals.
    mutating func schedule(_ input: CycleInput, _ cache: inout SchedulerCache, random: (Int) -> Int = { Int.random(in: 0..<$0) }) -> Outcome {
        switch search(input, &cache) {
        case .ended(let outcome): outcome
        case .found(let places, let table, _): .node(cache.nodes[best(of: places, input, table, &cache, random)].name)
        }
    }

    /// The best of some nodes by name, with what others say they are worth; nil when they are all gone meanwhile. Upstream: prioritizeNodes.
    mutating func choose(
        among names: [String], _ input: CycleInput, _ cache: inout SchedulerCache, worth: [String: Int64],
        random: (Int) -> Int = { Int.random(in: 0..<$0) }
    ) -> String? {
        let places = names.compactMap { cache.node($0)?.place }
        guard places.count > 1 else { return places.first.map { cache.nodes[$0].name } }
        return cache.nodes[best(of: places, input, nil, &cache, random, worth: worth)].name
    }

    /// Whether the node on which room was made for the pod would have it now. Upstream: evaluateNominatedNode.
    func nominatedNode(_ input: CycleInput, _ cache: inout SchedulerCache) -> String? {
        guard let name = cache.nominator.node(of: input.pod.uid), let node = cache.node(name) else { return nil }
        guard !profile.preFilters.contains(where: { $0.refusal(input) != nil || !($0.candidates(input)?.contains(name) ?? true) }) else { return nil }
        return NodeFilters(profile.filters, input, &cache).rejection(node, cache) == nil ? name : nil
    }

    /// Looks for nodes that would have the pod. Upstream: findNodesThatFitPod.
    /// - Parameter isAdvised: others have a say in which it will be: also one alone is only found, and of none it is not said that it is the pod's already.
    mutating func search(_ input: CycleInput, _ cache: inout SchedulerCache, isAdvised: Bool = false) -> Search {
        guard cache.nodeCount > 0 else { return .ended(.noNodes) }
        for plugin in profile.preFilters {
            guard let why = plugin.refusal(input) else { continue }
            return .ended(.unfit(FitError(nodeCount: cache.nodeCount, reasons: [:], plugins: [plugin.name], refusal: why)))
        }
        let filters = NodeFilters(profile.filters, input, &cache)
        var only: Set<String>?
        var narrowing: [String] = []
        for plugin in profile.preFilters {
            guard let names = plugin.candidates(input) else { continue }
            only = only.map { $0.intersection(names) } ?? names
            narrowing.append(plugin.name)
        }
        // Where room was made for the pod, it goes if it fits. Upstream: evaluateNominatedNode.
        if !isAdvised, let name = cache.nominator.node(of: input.pod.uid), only?.contains(name) ?? true, let node = cache.node(name),
            filters.rejection(node, cache) == nil
        {
            return .ended(.node(name))
        }
        var error = FitError(nodeCount: cache.nodeCount, reasons: [:], plugins: [])
        let table = verdicts.table(input.pod, nodes: cache.nodes.count, scorers: profile.scores.count)
        let feasible = only.map { search(filters, among: $0, cache, &error) } ?? search(filters, table, cache, &error, isAdvised)
        if let only {
            let known = only.count { cache.node($0) != nil }
            let outside = cache.nodeCount - known
            error.unresolvable += outside
            if feasible.isEmpty, outside > 0 {
                error.reasons["node(s) didn't satisfy plugin(s) [\(narrowing.sorted().joined(separator: " "))]", default: 0] += outside
                error.plugins.formUnion(narrowing)
            }
        }
        switch feasible.count {
        case 0: return .ended(.unfit(error))
        case 1 where !isAdvised: return .ended(.node(cache.nodes[feasible[0]].name))
        default: return .found(feasible, table: only == nil ? table : nil, error)
        }
    }

    /// Looks at the nodes that the pod names, all of them.
    private func search(_ filters: NodeFilters, among names: Set<String>, _ cache: SchedulerCache, _ error: inout FitError) -> [Int] {
        var feasible: [Int] = []
        for name in names.sorted() {
            guard let node = cache.node(name) else { continue }
            if let (plugin, rejection) = filters.rejection(node, cache) { error.add(plugin, rejection) } else { feasible.append(node.place) }
        }
        return feasible
    }

    /// Looks at nodes in turn until enough are found.
    private mutating func search(
        _ filters: NodeFilters, _ table: Int, _ cache: SchedulerCache, _ error: inout FitError, _ isAdvised: Bool
    ) -> [Int] {
        var feasible: [Int] = []
        let count = cache.nodes.count
        // Where nobody compares nodes, the first will do.
        let enough = profile.scores.isEmpty && !isAdvised ? 1 : Self.enough(of: cache.nodeCount, percentage: profile.percentageOfNodes)
        let start = count == 0 ? 0 : nextStart % count
        let hasOthers = filters.hasOthers
        // Few nodes have pods to come before which this one stands back: only there the verdicts that are kept say too little.
        let promised = cache.nominator.isEmpty ? [] : Set(cache.nominator.nodes(before: filters.pod).compactMap { cache.node($0)?.place })
        var looked = 0
        var refused: [Int] = []
        while looked < count {
            let place = start + looked < count ? start + looked : start + looked - count
            looked += 1
            let verdict = verdicts[table].verdict(place, cache.versions[place]) { place in
                (cache.nodes[place].isPresent, filters.leadingRejection(cache.nodes[place]).map { ($0.plugin, $0.rejection) })
            }
            if verdict == .absent { continue }
            if !promised.isEmpty, promised.contains(place) {
                if let (plugin, rejection) = filters.rejection(cache.nodes[place], cache) {
                    error.add(plugin, rejection)
                } else {
                    feasible.append(place)
                }
            } else if let rejection = verdict.rejection {
                while refused.count <= rejection { refused.append(0) }
                refused[rejection] += 1
            } else if hasOthers, let (plugin, rejection) = filters.otherRejection(cache.nodes[place]) {
                error.add(plugin, rejection)
            } else {
                feasible.append(place)
            }
            if feasible.count >= enough { break }
        }
        for (place, times) in refused.enumerated() where times > 0 {
            let (plugin, rejection) = verdicts[table].rejections[place]
            error.add(plugin, rejection, times: times)
        }
        nextStart = start + looked
        return feasible
    }

    /// The highest sum of weighted scores; among equals, one at random. Upstream: prioritizeNodes and selectHost.
    private mutating func best(
        of places: [Int], _ input: CycleInput, _ table: Int?, _ cache: inout SchedulerCache, _ random: (Int) -> Int, worth: [String: Int64] = [:]
    ) -> Int {
        var totals = totals(of: places, input, table, &cache)
        if !worth.isEmpty {
            for index in totals.indices { totals[index] = ExtenderMessages.sum(totals[index], worth[cache.nodes[places[index]].name] ?? 0) }
        }
        let most = totals.max() ?? 0
        let equals = totals.indices.filter { totals[$0] == most }
        let choice = equals.isEmpty ? 0 : equals[min(equals.count - 1, max(0, random(equals.count)))]
        return places[choice]
    }

    /// - Parameter table: where scores are kept that follow from the node alone; nil: nowhere.
    mutating func totals(of places: [Int], _ input: CycleInput, _ table: Int? = nil, _ cache: inout SchedulerCache) -> [Int64] {
        var totals = [Int64](repeating: 0, count: places.count)
        var scores = totals
        for (number, weighted) in profile.scores.enumerated() {
            let plugin = weighted.plugin
            guard let scorer = plugin.prepareScore(input, places, &cache) else { continue }
            if let table, plugin.looksOnlyAtNode {
                for index in places.indices {
                    scores[index] = verdicts[table].score(number, places[index]) { scorer.score(cache.nodes[$0]) }
                }
            } else {
                for index in places.indices { scores[index] = scorer.score(cache.nodes[places[index]]) }
            }
            scorer.normalize(&scores, places)
            for index in totals.indices { totals[index] += min(maxNodeScore, max(0, scores[index])) * weighted.weight }
        }
        return totals
    }
}
