/// Begins the repairs of a node group that are due: their nodes are drained first.
struct NodeRepairStep {
    /// When to look again, seconds since 1970; nil while no node is unhealthy, or none may be repaired: then a change of the nodes tells.
    func run(_ group: NodegroupRecord, _ instances: [InstanceRecord], _ problems: [String: [NodeProblem]], _ context: StepContext) async throws
        -> (begun: [String], next: Double?)
    {
        let plan = NodeRepairPlan.plan(group, instances, problems, now: context.clock.now)
        guard !plan.repairs.isEmpty else { return ([], plan.next) }
        for (id, repair) in plan.repairs {
            context.logger.warning(
                "a node stayed unhealthy and is repaired",
                metadata: [
                    "instance": "\(id)", "nodegroup": "\(group.name)", "action": "\(repair.action.rawValue)",
                    "condition": "\(repair.problem.condition)", "reason": "\(repair.problem.reason)",
                ])
        }
        let begun = try await context.state.update { tables -> [String] in
            guard tables.nodegroups[LifecycleTables.key(group.clusterName, group.name)]?.id == group.id else { return [] }
            return plan.repairs.keys.sorted().filter { id in
                guard tables.instances[id]?.phase == .ready else { return false }
                tables.instances[id]?.phase = .draining
                tables.instances[id]?.repair = plan.repairs[id]
                return true
            }
        }
        return (begun, plan.next)
    }

    /// Starts the machine of a drained node anew: draining becomes launching, and its own step goes on from there.
    static func reboot(_ instance: InstanceRecord, _ context: StepContext) async throws {
        try await context.machines.halt(instance.instanceID)
        try await context.state.update { tables in
            guard tables.instances[instance.instanceID]?.phase == .draining else { return }
            tables.instances[instance.instanceID]?.phase = .launching
            tables.instances[instance.instanceID]?.drainingSince = nil
        }
    }

    /// A node is Ready after its reboot: pods may come again.
    static func finish(_ instance: InstanceRecord, _ context: StepContext) async throws {
        guard instance.repair != nil else { return }
        try await context.controlPlanes.uncordonNode(instance.clusterName, nodeName: instance.nodeName)
        let now = context.clock.now
        try await context.state.update { tables in
            tables.instances[instance.instanceID]?.repair = nil
            tables.instances[instance.instanceID]?.repairedAt = now
        }
    }
}

extension InstanceRecord {
    /// Whether it goes only to come again: it counts as one of its group's.
    var isRebooting: Bool { repair?.action == .reboot && phase != .terminating }
}
