import KubeAPI

/// Finds the node where a pod would fit if pods of lower priority went, and which of them must go. A decision: nothing is deleted here, and the
/// cache is afterwards as it was. Upstream: plugins/defaultpreemption, pkg/scheduler/framework/preemption.
struct DefaultPreemption {
    enum Outcome: Sendable, Equatable {
        case nominate(String, victims: [PodInfo])
        /// No node would have room whoever went: what the pod was promised is over. In upstream's words.
        case noCandidates(String)
        /// The pod may not make room, or not now. In upstream's words.
        case unhelpful(String)

        static func == (a: Outcome, b: Outcome) -> Bool {
            switch (a, b) {
            case (.nominate(let x, let one), .nominate(let y, let other)): x == y && one.map(\.uid) == other.map(\.uid)
            case (.unhelpful(let x), .unhelpful(let y)), (.noCandidates(let x), .noCandidates(let y)): x == y
            default: false
            }
        }
    }

    /// Nodes where it would help, or why there are none.
    enum Search: Sendable {
        case candidates([Candidate])
        /// As of an outcome.
        case noCandidates(String)
        case unhelpful(String)
    }

    /// A node with the pods that would have to go, the most important first.
    struct Candidate: Sendable {
        var node: String
        var victims: [PodInfo]
        /// Victims whose going breaks a disruption budget.
        var violations: Int
    }

    /// Those that may refuse the pod before any node is looked at.
    let preFilters: [any FilterPlugin]
    let plugins: [any FilterPlugin]
    let budgets: [DisruptionBudget]
    let arguments: DefaultPreemptionArguments

    /// Nil: in the profile no pod goes to make room for another.
    init?(_ profile: Profile, budgets: [DisruptionBudget]) {
        guard let arguments = profile.preemption else { return nil }
        preFilters = profile.preFilters
        plugins = profile.filters
        self.budgets = budgets
        self.arguments = arguments
    }

    /// - Parameters:
    ///   - beyondHelp: nodes on which it would help nothing if other pods went, as the search for nodes found; nil: it did not count them.
    ///   - random: picks where the search begins, of so many.
    func find(
        _ input: CycleInput, _ cache: inout SchedulerCache, beyondHelp: Int? = nil, random: (Int) -> Int = { Int.random(in: 0..<$0) }
    ) -> Outcome {
        switch search(input, &cache, beyondHelp: beyondHelp, random: random) {
        case .unhelpful(let message): .unhelpful(message)
        case .noCandidates(let message): .noCandidates(message)
        case .candidates(let candidates): choose(candidates)
        }
    }

    /// The best of candidates. Upstream: SelectCandidate.
    func choose(_ candidates: [Candidate]) -> Outcome {
        guard let best = best(of: candidates) else { return .unhelpful("no candidate node for preemption") }
        return .nominate(best.node, victims: best.victims)
    }

    /// - Parameter unresolvable: nodes that would not do whatever went, as those say who are no plugins.
    func search(
        _ input: CycleInput, _ cache: inout SchedulerCache, unresolvable: Set<String> = [], beyondHelp: Int? = nil,
        random: (Int) -> Int = { Int.random(in: 0..<$0) }
    ) -> Search {
        let pod = input.pod
        guard pod.mayPreempt else { return .unhelpful("not eligible due to preemptionPolicy=Never.") }
        if let name = cache.nominator.node(of: pod.uid), cache.pods(on: name).contains(where: { $0.priority < pod.priority && $0.isBeingPreempted }) {
            return .unhelpful("not eligible due to a terminating pod on the nominated node.")
        }
        var reasons: [String: Int] = [:]
        let count = cache.nodeCount
        guard !preFilters.contains(where: { $0.refusal(input) != nil }) else {
            return .noCandidates(FitError(nodeCount: count, reasons: [Self.notHelpful: count], plugins: []).message)
        }
        guard cache.hasPods(below: pod.priority) else {
            // Nodes need not be looked at again to tell which of two things is said of each.
            let helpless = min(count, max(0, beyondHelp ?? 0))
            let reasons = [Self.notHelpful: helpless, Self.noVictims: count - helpless].filter { $0.value > 0 }
            return .noCandidates(FitError(nodeCount: count, reasons: reasons, plugins: []).message)
        }
        let filters = NodeFilters(plugins, input, &cache)
        let places = cache.nodes.indices.filter { cache.nodes[$0].isPresent }
        let start = places.isEmpty ? 0 : random(places.count)
        var candidates: [Candidate] = []
        let wanted = arguments.candidates(of: count)
        for offset in places.indices {
            guard candidates.count < wanted else { break }
            let node = cache.nodes[places[(start + offset) % places.count]]
            if unresolvable.contains(node.name) || filters.rejection(node, cache)?.rejection.isUnresolvable ?? false {
                reasons[Self.notHelpful, default: 0] += 1
                continue
            }
            if let candidate = candidate(node.name, pod, filters, &cache, &reasons) { candidates.append(candidate) }
        }
        guard !candidates.isEmpty else { return .noCandidates(FitError(nodeCount: count, reasons: reasons, plugins: []).message) }
        return .candidates(candidates)
    }

    private static let noVictims = "No preemption victims found for incoming pod"
    private static let notHelpful = "Preemption is not helpful for scheduling"

    /// Takes all pods of lower priority off the node in thought, and puts back, the most important first, those that need not go.
    /// Upstream: SelectVictimsOnNode.
    private func candidate(
        _ name: String, _ pod: PodInfo, _ filters: NodeFilters, _ cache: inout SchedulerCache, _ reasons: inout [String: Int]
    ) -> Candidate? {
        let lower = cache.pods(on: name).filter { $0.priority < pod.priority }
        guard !lower.isEmpty else {
            reasons[Self.noVictims, default: 0] += 1
            return nil
        }
        guard filters.looksAtOtherPods else {
            // Nothing but the node counts: a copy of it will do, and what is kept of the others stays true.
            guard var node = cache.node(name) else { return nil }
            for pod in lower { node.remove(pod) }
            if let (_, rejection) = filters.rejection(node, cache) {
                for reason in rejection.reasons { reasons[reason, default: 0] += 1 }
                return nil
            }
            return candidate(name, lower) { potential in
                node.add(potential)
                if filters.rejection(node, cache) == nil { return true }
                node.remove(potential)
                return false
            }
        }
        var away = Dictionary(lower.compactMap { pod in cache.withdraw(pod.uid).map { (pod.uid, $0) } }, uniquingKeysWith: { $1 })
        defer { for pod in away.values { cache.restore(pod) } }
        func rejection() -> Rejection? {
            let filters = filters.renewed(&cache)
            guard let node = cache.node(name) else { return Rejection(Self.notHelpful) }
            return filters.rejection(node, cache)?.rejection
        }
        if let rejection = rejection() {
            for reason in rejection.reasons { reasons[reason, default: 0] += 1 }
            return nil
        }
        return candidate(name, lower) { potential in
            guard let bound = away[potential.uid] else { return true }
            cache.restore(bound)
            if rejection() == nil {
                away[potential.uid] = nil
                return true
            }
            _ = cache.withdraw(potential.uid)
            return false
        }
    }

    /// - Parameter mayStay: puts a pod back on the node if the other still fits.
    private func candidate(_ name: String, _ lower: [PodInfo], mayStay: (PodInfo) -> Bool) -> Candidate? {
        let (violating, others) = DisruptionBudget.split(lower.sorted { $0.isMoreImportant(than: $1) }, by: budgets)
        var victims: [PodInfo] = []
        var violations = 0
        for (group, breaks) in [(violating, true), (others, false)] {
            for potential in group where !mayStay(potential) {
                victims.append(potential)
                if breaks { violations += 1 }
            }
        }
        guard !victims.isEmpty else { return nil }
        return Candidate(node: name, victims: victims.sorted { $0.isMoreImportant(than: $1) }, violations: violations)
    }

    /// The fewest broken budgets, then the least important victims, the lowest sum of priorities, the fewest, the youngest.
    /// Upstream: pickOneNodeForPreemption.
    private func best(of candidates: [Candidate]) -> Candidate? {
        func rank(_ candidate: Candidate) -> [Double] {
            let highest = candidate.victims.first?.priority ?? 0
            let sum = candidate.victims.reduce(0.0) { $0 + Double($1.priority) + Double(Int32.max) + 1 }
            let earliest = candidate.victims.filter { $0.priority == highest }.map(\.started).min() ?? Timestamp(seconds: 0)
            return [
                Double(candidate.violations), Double(highest), sum, Double(candidate.victims.count), -Double(earliest.microseconds),
            ]
        }
        return candidates.map { (rank($0), $0) }.min { $0.0.lexicographicallyPrecedes($1.0) }?.1
    }
}

extension PodInfo {
    /// Upstream: MoreImportantPod.
    func isMoreImportant(than other: PodInfo) -> Bool { priority == other.priority ? started < other.started : priority > other.priority }
}

/// How many pods of a kind may go now. Upstream: policy/v1 PodDisruptionBudget.
struct DisruptionBudget: Sendable {
    var namespace: String
    var selector: LabelSelector
    var allowed: Int64
    /// Names of pods whose eviction is under way: they are counted already.
    var disrupted: Set<String>

    /// Nil: the budget selects nothing, or cannot be read (the API server refuses those).
    init?(_ object: Object) {
        guard let selector = try? LabelSelector(object: object["spec"]["selector"]), !selector.isNothing, !selector.isEverything else { return nil }
        namespace = object.metadata.namespace
        self.selector = selector
        allowed = object["status"]["disruptionsAllowed"].int ?? 0
        disrupted = Set(object["status"]["disruptedPods"].map { $0.members.map(\.key) } ?? [])
    }

    /// Pods whose going breaks a budget, and the others, each in the order given. Upstream: filterPodsWithPDBViolation.
    static func split(_ pods: [PodInfo], by budgets: [DisruptionBudget]) -> (violating: [PodInfo], others: [PodInfo]) {
        var budgets = budgets
        var violating: [PodInfo] = []
        var others: [PodInfo] = []
        for pod in pods {
            var breaks = false
            for place in budgets.indices where !pod.labels.isEmpty && budgets[place].namespace == pod.namespace {
                guard budgets[place].selector.matches(pod.labels), !budgets[place].disrupted.contains(pod.name) else { continue }
                budgets[place].allowed -= 1
                if budgets[place].allowed < 0 { breaks = true }
            }
            if breaks { violating.append(pod) } else { others.append(pod) }
        }
        return (violating, others)
    }
}
