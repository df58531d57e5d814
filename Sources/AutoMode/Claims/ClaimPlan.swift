import KubeAPI

/// What a NodeClaim that is not being deleted needs next. A pure function.
enum ClaimPlan {
    enum Step: Equatable {
        case launch
        /// It is to be deleted, for this reason.
        case delete(String)
        /// Nothing but to follow its node; to be looked at again after a while, nil: when something changes.
        case wait(Duration?)
    }

    /// How long an instance may take to become a node. Upstream: nodeclaim/lifecycle.registrationTTL.
    static let registrationSeconds = 900.0

    static func next(_ claim: NodeClaim, node: Object?, now: Timestamp) -> Step {
        let created = claim.object.metadata.creationTimestamp ?? now
        var left: Double?
        if let lifetime = DurationText.seconds(claim.object["spec"]["expireAfter"].string) {
            let rest = lifetime - now.timeInterval(since: created)
            guard rest > 0 else { return .delete("it has expired") }
            left = rest
        }
        guard claim.isLaunched else { return .launch }
        // Somebody deleted the node: what stands behind it goes with it.
        if let node, node.metadata.isBeingDeleted { return .delete("its node is being deleted") }
        if claim.isRegistered, node == nil { return .delete("its node is gone") }
        if !claim.isRegistered {
            let launched = StatusCondition.since("Launched", claim.object) ?? created
            let rest = registrationSeconds - now.timeInterval(since: launched)
            guard rest > 0 else { return .delete("its instance has not joined the cluster") }
            left = min(left ?? rest, rest)
        }
        return .wait(left.map { .milliseconds(Int64(min($0, 86_400) * 1_000) + 1) })
    }
}
