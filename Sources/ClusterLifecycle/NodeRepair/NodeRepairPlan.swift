/// A condition by which a node is unhealthy. Upstream: core/v1 NodeCondition.
package struct NodeProblem: Codable, Sendable, Equatable {
    /// `Ready`, `NetworkingReady`, …
    package var condition: String
    package var reason: String
    /// Of its last transition, seconds since 1970.
    package var since: Double

    package init(condition: String, reason: String, since: Double) {
        self.condition = condition
        self.reason = reason
        self.since = since
    }
}

/// A repair under way, in its instance's record until it is done.
package struct NodeRepair: Codable, Sendable, Equatable {
    package var action: RepairAction
    package var problem: NodeProblem

    package init(action: RepairAction, problem: NodeProblem) {
        self.action = action
        self.problem = problem
    }
}

/// Which nodes of a group are repaired now. A pure function of the group, its instances and their nodes' problems. Upstream: EKS User Guide,
/// "Automatically repair nodes in EKS clusters".
struct NodeRepairPlan: Equatable {
    /// By instance id.
    var repairs: [String: NodeRepair] = [:]
    /// When the next node may be repaired, seconds since 1970; nil while there is none to wait for.
    var next: Double?

    static let minute: Double = 60
    /// Without thresholds a group of more nodes than this stops repairs when more than a fifth of them are unhealthy.
    private static let smallGroup = 5
    private static let largestShare = 20

    static func plan(
        _ group: NodegroupRecord, _ instances: [InstanceRecord], _ problems: [String: [NodeProblem]], now: Double
    ) -> NodeRepairPlan {
        var plan = NodeRepairPlan()
        guard let config = group.nodeRepair, config.isEnabled, group.rollout == nil, group.status == .active || group.status == .degraded else {
            return plan
        }
        let underRepair = instances.count { $0.repair != nil && $0.phase != .terminating }
        var due: [(id: String, repair: NodeRepair, moment: Double)] = []
        for instance in instances where instance.phase == .ready && instance.repair == nil {
            if let found = first(problems[instance.nodeName] ?? [], config, repairedAt: instance.repairedAt) {
                due.append((instance.instanceID, found.repair, found.moment))
            }
        }
        let unhealthy = due.count + underRepair
        guard !isStopped(config, unhealthy: unhealthy, of: instances.count) else { return plan }
        var room = max(0, parallel(config, unhealthy: unhealthy) - underRepair)
        for (id, repair, moment) in due.sorted(by: { ($0.moment, $0.id) < ($1.moment, $1.id) }) {
            guard moment <= now else {
                plan.next = min(plan.next ?? moment, moment)
                continue
            }
            guard room > 0 else { continue }
            room -= 1
            plan.repairs[id] = repair
        }
        return plan
    }

    /// The problem that is due first, with its action; those that nothing is done about are passed over.
    private static func first(_ problems: [NodeProblem], _ config: NodeRepairConfig, repairedAt: Double?) -> (repair: NodeRepair, moment: Double)? {
        let candidates = problems.compactMap { problem -> (repair: NodeRepair, moment: Double)? in
            guard let (action, wait) = rule(problem, config), action != .none else { return nil }
            // After a reboot the problem has the same time once more to go away.
            return (NodeRepair(action: action, problem: problem), max(problem.since, repairedAt ?? 0) + wait)
        }
        return candidates.min { $0.moment < $1.moment }
    }

    /// What is done about a problem, and after how many seconds.
    static func rule(_ problem: NodeProblem, _ config: NodeRepairConfig) -> (action: RepairAction, wait: Double)? {
        if let own = config.overrides.first(where: { $0.condition == problem.condition && $0.reason == problem.reason }) {
            return (own.action, Double(own.waitMinutes) * minute)
        }
        switch problem.condition {
        // A GPU's errors are often mended by a reboot.
        case "AcceleratedHardwareReady": return (problem.reason.hasPrefix("NvidiaXID") ? .reboot : .replace, 10 * minute)
        case "Ready", "ContainerRuntimeReady", "KernelReady", "NetworkingReady", "StorageReady": return (.replace, 30 * minute)
        default: return nil
        }
    }

    /// With more unhealthy nodes it is no longer the nodes that are at fault.
    private static func isStopped(_ config: NodeRepairConfig, unhealthy: Int, of count: Int) -> Bool {
        if let most = config.unhealthyCount { return unhealthy > most }
        if let share = config.unhealthyPercentage { return unhealthy * 100 > count * share }
        return count > smallGroup && unhealthy * 100 > count * largestShare
    }

    private static func parallel(_ config: NodeRepairConfig, unhealthy: Int) -> Int {
        if let most = config.parallelCount { return most }
        return config.parallelPercentage.map { max(1, unhealthy * $0 / 100) } ?? unhealthy
    }
}
