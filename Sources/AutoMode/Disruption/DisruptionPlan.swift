import KubeAPI
import KubeScheduler

/// Nodes to be taken away, and what is to be there before they go.
struct DisruptionCommand: Sendable {
    var reason: DisruptionReason
    /// By name of the claims.
    var claims: [String]
    var replacements: [PlannedNode] = []
    /// For the log.
    var explanation: String
}

/// Which nodes can be done without. A pure function: nodes that have drifted first, then empty ones, then one whose pods fit elsewhere, or on a cheaper
/// node; always as far as the pools' budgets allow. Upstream: karpenter controllers/disruption: drift, emptiness, singlenodeconsolidation.
struct DisruptionPlan: Sendable {
    private(set) var command: DisruptionCommand?
    /// When something may be due; nil: nothing is waited for.
    private(set) var next: Timestamp?

    private let snapshot: ClusterSnapshot
    private let classes: [String: Object]
    private let budgets: [Object]
    private let imageID: String
    private let now: Timestamp
    /// By pool: nodes there are, and nodes on their way out.
    private var counts: [String: (nodes: Int, leaving: Int)] = [:]

    /// Seconds that a new node is left alone in any case: pods are on their way to it. Upstream: state.nominationWindow.
    static let nominationSeconds = 10.0

    /// `disrupted` names claims that are on their way out without showing it.
    static func plan(
        _ snapshot: ClusterSnapshot, classes: [String: Object], budgets: [Object], imageID: String, disrupted: Set<String>, now: Timestamp
    ) throws -> DisruptionPlan {
        var plan = DisruptionPlan(snapshot: snapshot, classes: classes, budgets: budgets, imageID: imageID, now: now)
        for node in snapshot.nodes {
            guard let claim = node.claim else { continue }
            plan.counts[claim.pool, default: (0, 0)].nodes += 1
            if node.isLeaving || disrupted.contains(claim.name) { plan.counts[claim.pool, default: (0, 0)].leaving += 1 }
        }
        // Nodes that pods without one will go to are needed.
        let nominated = Set(try ProvisioningPlan.plan(snapshot, for: snapshot.pending).nominations.values)
        let candidates = snapshot.nodes.compactMap { DisruptionCandidate($0, snapshot) }.filter { candidate in
            !disrupted.contains(candidate.claim.name) && !nominated.contains(candidate.node.name)
        }.sorted { $0.claim.name < $1.claim.name }
        plan.command = try plan.drifted(candidates) ?? plan.empty(candidates) ?? plan.underutilized(candidates)
        return plan
    }

    private init(snapshot: ClusterSnapshot, classes: [String: Object], budgets: [Object], imageID: String, now: Timestamp) {
        self.snapshot = snapshot
        self.classes = classes
        self.budgets = budgets
        self.imageID = imageID
        self.now = now
    }

    // MARK: The three ways

    /// Pods that do not want to be moved do not keep a drifted node: nodes of Auto Mode always have a termination grace period.
    private mutating func drifted(_ candidates: [DisruptionCandidate]) throws -> DisruptionCommand? {
        for candidate in candidates {
            guard let reason = candidate.drift(classes, imageID: imageID), room(in: candidate.pool, .drifted) > 0 else { continue }
            if candidate.pods.isEmpty { return DisruptionCommand(reason: .drifted, claims: [candidate.claim.name], explanation: reason) }
            let plan = try ProvisioningPlan.plan(snapshot, for: candidate.pods, without: [candidate.node.name])
            guard plan.failures.isEmpty else { continue }
            return DisruptionCommand(reason: .drifted, claims: [candidate.claim.name], replacements: plan.nodes, explanation: reason)
        }
        return nil
    }

    private mutating func empty(_ candidates: [DisruptionCandidate]) -> DisruptionCommand? {
        var claims: [String] = []
        var taken: [String: Int] = [:]
        for candidate in candidates where candidate.pods.isEmpty && isDue(candidate) {
            let pool = candidate.pool.name
            guard room(in: candidate.pool, .empty) > taken[pool, default: 0] else { continue }
            taken[pool, default: 0] += 1
            claims.append(candidate.claim.name)
        }
        return claims.isEmpty ? nil : DisruptionCommand(reason: .empty, claims: claims, explanation: "no pods")
    }

    private mutating func underutilized(_ candidates: [DisruptionCandidate]) throws -> DisruptionCommand? {
        // The fewest pods first: that costs the least.
        for candidate in candidates.sorted(by: { $0.pods.count < $1.pods.count }) {
            guard candidate.pool.consolidatesUnderutilized, !candidate.pods.isEmpty, isDue(candidate), candidate.obstacle(budgets) == nil,
                room(in: candidate.pool, .underutilized) > 0
            else { continue }
            let plan = try ProvisioningPlan.plan(snapshot, for: snapshot.pending + candidate.pods, without: [candidate.node.name])
            let moved = Set(candidate.pods.map(\.object.metadata.key))
            guard moved.allSatisfy({ plan.failures[$0] == nil }), land(plan, moved) else { continue }
            let name = candidate.claim.name
            if plan.nodes.isEmpty {
                return DisruptionCommand(reason: .underutilized, claims: [name], explanation: "its pods fit on other nodes")
            }
            guard let replacement = cheaper(than: candidate, plan.nodes) else { continue }
            return DisruptionCommand(
                reason: .underutilized, claims: [name], replacements: [replacement],
                explanation: "its pods fit on a \(replacement.choice?.type.name ?? "cheaper node")")
        }
        return nil
    }

    /// Whether pods would go to nodes that are ready, or planned: who knows what becomes of those on their way.
    private func land(_ plan: ProvisioningPlan, _ pods: Set<String>) -> Bool {
        let planned = Set(plan.nodes.map(\.name))
        return pods.allSatisfy { key in
            guard let name = plan.nominations[key] else { return false }
            return planned.contains(name) || snapshot.nodes.contains { $0.name == name && $0.claim?.isInitialized ?? true }
        }
    }

    /// The one node that would do instead and costs less. Spot instances are not replaced by others: there is no market to gain in.
    private func cheaper(than candidate: DisruptionCandidate, _ planned: [PlannedNode]) -> PlannedNode? {
        guard planned.count == 1, let node = planned.first, let choice = node.choice, candidate.claim.capacityType != "spot",
            let type = candidate.claim.instanceType.flatMap({ snapshot.types[$0] }), choice.price < type.price
        else { return nil }
        return node
    }

    // MARK: What holds back

    /// Whether the node has been quiet for as long as its pool wants.
    private mutating func isDue(_ candidate: DisruptionCandidate) -> Bool {
        guard let wait = candidate.pool.consolidateAfter else { return false }
        let initialized = StatusCondition.since("Initialized", candidate.claim.object) ?? now
        let due = max(
            candidate.quietSince.adding(seconds: Int64(min(wait, 1e9).rounded(.up))), initialized.adding(seconds: Int64(Self.nominationSeconds)))
        if due <= now { return true }
        next = next.map { min($0, due) } ?? due
        return false
    }

    private func room(in pool: NodePool, _ reason: DisruptionReason) -> Int {
        let count = counts[pool.name] ?? (0, 0)
        return max(0, DisruptionBudgets.allowed(pool, reason, nodes: count.nodes, now: now) - count.leaving)
    }
}
