package import AWSProtocol

/// Labels and taints that the nodes of a group get or lose. Upstream: eks UpdateLabelsPayload, UpdateTaintsPayload.
package struct NodeChange: Codable, Sendable, Equatable {
    package var setLabels: [String: String] = [:]
    package var removeLabels: [String] = []
    package var setTaints: [NodeTaint] = []
    package var removeTaints: [NodeTaint] = []

    package init() {}

    var isEmpty: Bool { self == NodeChange() }

    func apply(to labels: inout [String: String]) {
        for label in removeLabels { labels[label] = nil }
        labels.merge(setLabels) { _, new in new }
    }

    /// A taint is known by its key and effect.
    func apply(to taints: inout [NodeTaint]) {
        taints.removeAll { old in (removeTaints + setTaints).contains { $0.key == old.key && $0.effect == old.effect } }
        taints += setTaints
    }

    /// Upstream: eks UpdateParamType.
    var parameters: [UpdateParameter] {
        var parameters: [UpdateParameter] = []
        if !setLabels.isEmpty { parameters.append(UpdateParameter(type: "LabelsToAdd", json: .map(setLabels))) }
        if !removeLabels.isEmpty { parameters.append(UpdateParameter(type: "LabelsToRemove", json: .strings(removeLabels))) }
        if !setTaints.isEmpty { parameters.append(UpdateParameter(type: "TaintsToAdd", json: .array(setTaints.map(\.json)))) }
        if !removeTaints.isEmpty { parameters.append(UpdateParameter(type: "TaintsToRemove", json: .array(removeTaints.map(\.json)))) }
        return parameters
    }
}

extension NodeTaint {
    /// The effects, as EKS and as Kubernetes write them.
    package static let effects = ["NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"]

    /// Upstream: eks Taint.
    package var json: AWSJSON {
        let effect = Self.effects.first { $0.value == self.effect }?.key ?? self.effect
        return .compact(["key": .string(key), "value": value.map(AWSJSON.string), "effect": .string(effect)])
    }
}

extension EKSService {
    /// Changes a node group's sizes, settings, labels and taints; the update is InProgress until the nodes follow. Upstream: eks
    /// UpdateNodegroupConfig. Throws ResourceNotFoundException, ResourceInUseException, InvalidRequestException, InvalidParameterException.
    package func updateNodegroupConfig(_ input: UpdateNodegroupConfigInput) async throws -> UpdateRecord {
        let operation = "UpdateNodegroupConfig/\(input.clusterName)/\(input.name)"
        let now = clock.now
        let update = try await state.update { tables -> UpdateRecord in
            var group = try tables.nodegroup(input.clusterName, input.name)
            if let id = try tables.replay(operation, input.token), let known = tables.updates[id] { return known }
            try group.requireUpdatable()
            let parameters = try group.apply(input)
            guard !parameters.isEmpty else {
                throw EKSFault.invalidParameter(
                    "No changes were given for the node group", ["clusterName": .string(group.clusterName), "nodegroupName": .string(group.name)])
            }
            group.status = .updating
            group.modifiedAt = now
            tables.nodegroups[LifecycleTables.key(group.clusterName, group.name)] = group
            let update = UpdateRecord(
                id: AWSIdentifier.uuid(), clusterName: group.clusterName, nodegroup: group.name, type: "ConfigUpdate", parameters: parameters,
                createdAt: now, clientRequestToken: input.token?.token)
            tables.updates[update.id] = update
            tables.remember(operation, input.token, made: update.id)
            return update
        }
        await reconciler.wake(.nodegroup(cluster: input.clusterName, name: input.name))
        return update
    }
}

extension NodegroupRecord {
    /// Takes over what is asked for, and returns the update's parameters. Throws InvalidParameterException.
    mutating func apply(_ input: UpdateNodegroupConfigInput) throws(AWSError) -> [UpdateParameter] {
        var parameters: [UpdateParameter] = []
        if input.minSize != nil || input.maxSize != nil || input.desiredSize != nil {
            scaling = ScalingConfig(
                minSize: input.minSize ?? scaling.minSize, maxSize: input.maxSize ?? scaling.maxSize,
                desiredSize: input.desiredSize ?? scaling.desiredSize)
            try NodegroupRequirements.checkScaling(scaling, isSimulated: isSimulated)
            parameters += [
                UpdateParameter(type: "MinSize", value: String(scaling.minSize)), UpdateParameter(type: "MaxSize", value: String(scaling.maxSize)),
                UpdateParameter(type: "DesiredSize", value: String(scaling.desiredSize)),
            ]
        }
        if !input.nodes.isEmpty {
            try NodegroupRequirements.checkLabels(input.nodes.setLabels)
            input.nodes.apply(to: &labels)
            input.nodes.apply(to: &taints)
            try NodegroupRequirements.checkTaints(taints)
            nodeChange = input.nodes
            parameters += input.nodes.parameters
        }
        if let config = input.updateConfig {
            updateConfig = updateConfig.changed(by: config)
            if let count = config.maxUnavailable { parameters.append(UpdateParameter(type: "MaxUnavailable", value: String(count))) }
            if let share = config.maxUnavailablePercentage {
                parameters.append(UpdateParameter(type: "MaxUnavailablePercentage", value: String(share)))
            }
            if let strategy = config.updateStrategy { parameters.append(UpdateParameter(type: "UpdateStrategy", value: strategy)) }
        }
        if let repair = input.nodeRepair {
            nodeRepair = repair
            parameters.append(UpdateParameter(type: "NodeRepairEnabled", value: String(repair.isEnabled)))
            parameters.append(UpdateParameter(type: "NodeRepairConfig", json: repair.json))
        }
        if let change = input.warmPool {
            warmPool = change.applied(to: warmPool, isNew: false)
            if warmPool?.isEnabled != true { warmPoolProblem = nil }
            try WarmPoolRequirements.check(self)
            parameters += change.parameters
        }
        return parameters
    }
}
