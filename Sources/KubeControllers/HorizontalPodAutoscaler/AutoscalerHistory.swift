import KubeAPI

/// What an autoscaler recommended and did lately: what holds it back from going up and down. Kept in memory alone, as upstream does.
/// Upstream: recommendations, scaleUpEvents and scaleDownEvents of HorizontalController.
struct AutoscalerHistory: Sendable {
    struct Entry: Sendable, Equatable {
        var replicas: Int
        var time: Timestamp
    }

    /// What stands in the way of a recommendation.
    struct Limited: Sendable, Equatable {
        var replicas: Int
        /// Reason and message of AbleToScale.
        var ability: (reason: String, message: String)
        /// Reason and message of ScalingLimited; nil: nothing limits.
        var limit: (reason: String, message: String)?

        static func == (a: Limited, b: Limited) -> Bool {
            a.replicas == b.replicas && a.ability.reason == b.ability.reason && a.limit?.reason == b.limit?.reason
        }
    }

    private static let keptSeconds: Int64 = 3600
    private var recommendations: [Entry] = []
    private var added: [Entry] = []
    private var removed: [Entry] = []

    init() {}

    /// Notes that the target was brought from one size to another.
    mutating func scaled(from: Int, to: Int, at time: Timestamp) {
        if to > from { added.append(Entry(replicas: to - from, time: time)) }
        if to < from { removed.append(Entry(replicas: from - to, time: time)) }
    }

    /// How long what was recommended keeps an autoscaler without a behaviour from going below it, in seconds.
    /// Upstream: --horizontal-pod-autoscaler-downscale-stabilization.
    private static let downscaleWindow: Double = 300
    /// At most so much more at once, without a behaviour. Upstream: scaleUpLimitFactor, scaleUpLimitMinimum.
    private static let growthFactor = 2
    private static let growthMinimum = 4

    /// What a recommendation comes to. Upstream: normalizeDesiredReplicas, and normalizeDesiredReplicasWithBehaviors where the spec has a behaviour.
    mutating func limit(_ wanted: Int, current: Int, _ state: AutoscalerState, now: Timestamp) -> Limited {
        let oldest = now.adding(seconds: -Self.keptSeconds)
        recommendations.removeAll { $0.time < oldest }
        added.removeAll { $0.time < oldest }
        removed.removeAll { $0.time < oldest }
        if recommendations.isEmpty { recommendations.append(Entry(replicas: current, time: now)) }
        let stable = state.hasBehavior ? stabilized(wanted, current, state, now) : highest(wanted, now)
        var ability = (reason: "ReadyForNewScale", message: "recommended size matches current size")
        if stable > wanted {
            ability = ("ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest recent recommendation")
        } else if stable < wanted {
            ability = ("ScaleUpStabilized", "recent recommendations were lower than current one, applying the lowest recent recommendation")
        }
        recommendations.append(Entry(replicas: wanted, time: now))
        let (replicas, limit) = state.hasBehavior ? rated(stable, current, state, now) : bounded(stable, current, state)
        return Limited(replicas: replicas, ability: ability, limit: limit)
    }

    /// Upstream: stabilizeRecommendation.
    private func highest(_ wanted: Int, _ now: Timestamp) -> Int {
        recommendations.reduce(wanted) { now.timeInterval(since: $1.time) <= Self.downscaleWindow ? max($0, $1.replicas) : $0 }
    }

    /// Upstream: convertDesiredReplicasWithRules.
    private func bounded(_ wanted: Int, _ current: Int, _ state: AutoscalerState) -> (Int, (reason: String, message: String)?) {
        if wanted < state.minReplicas {
            return (state.minReplicas, ("TooFewReplicas", "the desired replica count is less than the minimum replica count"))
        }
        // Numbers of replicas have 32 bits.
        let limit = max(Self.growthFactor * current, Self.growthMinimum)
        if wanted > min(limit, state.maxReplicas) {
            return state.maxReplicas > limit
                ? (limit, ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"))
                : (state.maxReplicas, ("TooManyReplicas", "the desired replica count is more than the maximum replica count"))
        }
        return (wanted, nil)
    }

    /// The lowest recommendation of the window on the way up, the highest on the way down. Upstream: stabilizeRecommendationWithBehaviors.
    private func stabilized(_ wanted: Int, _ current: Int, _ state: AutoscalerState, _ now: Timestamp) -> Int {
        var (up, down) = (wanted, wanted)
        for entry in recommendations {
            let age = now.timeInterval(since: entry.time)
            if age < Double(state.scaleUp.windowSeconds) { up = min(up, entry.replicas) }
            if age < Double(state.scaleDown.windowSeconds) { down = max(down, entry.replicas) }
        }
        var stable = current
        if stable < up { stable = up }
        if stable > down { stable = down }
        return stable
    }

    /// Upstream: convertDesiredReplicasWithBehaviorRate.
    private func rated(
        _ wanted: Int, _ current: Int, _ state: AutoscalerState, _ now: Timestamp
    ) -> (Int, (reason: String, message: String)?) {
        if wanted > current {
            let limit = max(current, upperLimit(current, state.scaleUp, now))
            let most = min(limit, state.maxReplicas)
            guard wanted > most else { return (wanted, nil) }
            return (
                most,
                state.maxReplicas > limit
                    ? ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
                    : ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
            )
        }
        if wanted < current {
            let limit = min(current, lowerLimit(current, state.scaleDown, now))
            let least = max(limit, state.minReplicas)
            guard wanted < least else { return (wanted, nil) }
            return (
                least,
                state.minReplicas < limit
                    ? ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
                    : ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
            )
        }
        return (wanted, nil)
    }

    private static func sum(_ entries: [Entry], _ seconds: Int64, _ now: Timestamp) -> Int {
        entries.reduce(0) { $0 + (now.timeInterval(since: $1.time) < Double(seconds) ? $1.replicas : 0) }
    }

    /// Upstream: calculateScaleUpLimitWithScalingRules.
    private func upperLimit(_ current: Int, _ rules: ScalingRules, _ now: Timestamp) -> Int {
        guard rules.selection != .disabled else { return current }
        let limits = rules.policies.map { policy -> Int in
            let start = current - Self.sum(added, policy.periodSeconds, now) + Self.sum(removed, policy.periodSeconds, now)
            return policy.isPercent ? Int((Double(start) * (1 + Double(policy.value) / 100)).rounded(.up)) : start + policy.value
        }
        return (rules.selection == .min ? limits.min() : limits.max()) ?? current
    }

    /// Upstream: calculateScaleDownLimitWithBehaviors.
    private func lowerLimit(_ current: Int, _ rules: ScalingRules, _ now: Timestamp) -> Int {
        guard rules.selection != .disabled else { return current }
        let limits = rules.policies.map { policy -> Int in
            let start = current + Self.sum(removed, policy.periodSeconds, now) - Self.sum(added, policy.periodSeconds, now)
            return policy.isPercent ? Int(Double(start) * (1 - Double(policy.value) / 100)) : start - policy.value
        }
        // The most change is the fewest replicas.
        return (rules.selection == .min ? limits.max() : limits.min()) ?? current
    }
}
