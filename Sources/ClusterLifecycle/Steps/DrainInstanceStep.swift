/// Evicts a node's pods, politely: draining becomes terminating. A node of a rollout that is not forced is given up on when its pods may not be evicted
/// in time; one that is repaired goes in any case, and one that is taken back when its time has come.
struct DrainInstanceStep {
    /// What one look at a drain came to.
    enum Outcome: Equatable {
        case drained
        /// Pods are left; there is time.
        case goesOn
        /// Pods are left and the time is over.
        case failed
    }

    /// One round is short, so that what changes meanwhile (the group is deleted) is heard of.
    static let round = Duration.seconds(20)
    /// How long pods of a node that goes in any case are waited for.
    static let patience = Duration.seconds(60)

    func run(_ instance: InstanceRecord, _ rollout: NodegroupRollout?, _ context: StepContext) async throws -> Outcome {
        let isGentle = instance.interruption == nil && rollout.map { !$0.isForced && instance.generation != $0.generation } ?? false
        let since = try await begin(instance, context)
        // A kubelet that is away ends no pod; one that is there has the time of an update.
        let isAlive = instance.repair.map { $0.problem.condition != "Ready" } ?? false
        let patience = isGentle || isAlive ? context.configuration.evictionTimeout : Self.patience
        let limit = instance.interruption.map { .seconds($0.takenAt - since) } ?? patience
        let remaining = limit - .seconds(context.clock.now - since)
        let isLast = remaining <= Self.round
        let isDrained = try await context.controlPlanes.drainNode(
            instance.clusterName, nodeName: instance.nodeName, patience: max(.zero, min(remaining, Self.round)))
        guard isDrained || (isLast && !isGentle) else { return isLast ? .failed : .goesOn }
        if instance.isRebooting {
            try await NodeRepairStep.reboot(instance, context)
            return .drained
        }
        if instance.pool != nil {
            try await ReturnToPoolStep().run(instance, context)
            return .drained
        }
        try await context.controlPlanes.deleteNode(instance.clusterName, nodeName: instance.nodeName)
        try await context.state.update { tables in
            guard var current = tables.instances[instance.instanceID], current.phase == .draining else { return }
            current.phase = .terminating
            tables.instances[current.instanceID] = current
        }
        return .drained
    }

    /// When the drain began: it counts through restarts of the service.
    private func begin(_ instance: InstanceRecord, _ context: StepContext) async throws -> Double {
        if let since = instance.drainingSince { return since }
        let now = context.clock.now
        try await context.state.update { $0.instances[instance.instanceID]?.drainingSince = now }
        return now
    }
}
