/// Gives the nodes of a group the labels and taints that its update names: on the nodes, and in the records that new machines are made of.
struct ChangeNodesStep {
    func run(_ group: NodegroupRecord, _ change: NodeChange, _ instances: [InstanceRecord], _ context: StepContext) async throws {
        for instance in instances where instance.phase == .ready || instance.phase == .joining {
            try await context.controlPlanes.changeNode(group.clusterName, nodeName: instance.nodeName, change)
        }
        try await context.state.update { tables in
            let key = LifecycleTables.key(group.clusterName, group.name)
            guard tables.nodegroups[key]?.id == group.id, tables.nodegroups[key]?.nodeChange == change else { return }
            for var instance in tables.instances(of: group) {
                change.apply(to: &instance.labels)
                change.apply(to: &instance.taints)
                tables.instances[instance.instanceID] = instance
            }
            tables.nodegroups[key]?.nodeChange = nil
        }
    }
}
