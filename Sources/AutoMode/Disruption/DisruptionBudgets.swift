import KubeAPI
import KubeControllers

/// Why a node is taken away that could stay. Upstream: karpenter.sh/v1 DisruptionReason.
enum DisruptionReason: String, Sendable {
    case empty = "Empty"
    case drifted = "Drifted"
    case underutilized = "Underutilized"
}

/// How many nodes of a pool may be on their way out at once. Upstream: karpenter.sh/v1 Budget, NodePool.GetAllowedDisruptionsByReason.
enum DisruptionBudgets {
    /// Of so many nodes, for this reason: the least that any budget allows.
    static func allowed(_ pool: NodePool, _ reason: DisruptionReason, nodes: Int, now: Timestamp) -> Int {
        let budgets = pool.object["spec"]["disruption"]["budgets"].elements
        return budgets.filter { applies($0, reason) && isActive($0, now) }.map { limit($0["nodes"].string ?? "10%", nodes) }.min() ?? nodes
    }

    private static func applies(_ budget: JSONView, _ reason: DisruptionReason) -> Bool {
        let reasons = budget["reasons"].strings
        return reasons.isEmpty || reasons.contains(reason.rawValue)
    }

    /// A budget with a schedule holds for its duration after each of its times. One that cannot be read holds. Upstream: Budget.IsActive.
    private static func isActive(_ budget: JSONView, _ now: Timestamp) -> Bool {
        guard let text = budget["schedule"].string, let duration = DurationText.seconds(budget["duration"].string),
            let schedule = CronSchedule(text, timeZone: "UTC")
        else { return true }
        return schedule.next(after: now.adding(seconds: -Int64(min(duration, 1e9)))).map { $0 <= now } ?? false
    }

    /// A share is rounded up. Upstream: intstr.GetScaledValueFromIntOrPercent.
    private static func limit(_ text: String, _ nodes: Int) -> Int {
        guard text.hasSuffix("%") else { return max(0, Int(text) ?? nodes) }
        let percent = min(100, max(0, Int(text.dropLast()) ?? 100))
        return (nodes * percent + 99) / 100
    }
}
