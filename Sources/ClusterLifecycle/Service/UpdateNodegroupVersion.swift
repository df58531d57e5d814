package import AWSProtocol

/// What UpdateNodegroupVersion asks for. Upstream: eks UpdateNodegroupVersionRequest.
package struct UpdateNodegroupVersionInput: Sendable {
    package var clusterName: String
    package var name: String
    package var version: String?
    package var releaseVersion: String?
    package var launchTemplate: LaunchTemplateReference?
    package var force = false
    package var token: IdempotencyToken?

    package init(clusterName: String, name: String) {
        self.clusterName = clusterName
        self.name = name
    }
}

extension NodegroupRequirements {
    /// The release a node group goes to: from its own version up to its cluster's. Throws InvalidParameterException. Upstream: eks
    /// UpdateNodegroupVersion, "You cannot roll back a node group to an earlier Kubernetes version or AMI version".
    static func release(_ input: UpdateNodegroupVersionInput, _ group: NodegroupRecord, _ cluster: ClusterRecord) throws(AWSError) -> (
        version: String, release: String
    ) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name), "nodegroupName": .string(group.name)]
        let asked = input.version ?? cluster.version
        guard let version = KubernetesVersions.named(asked), let newest = KubernetesVersions.named(cluster.version) else {
            throw EKSFault.invalidParameter("unsupported Kubernetes version \(asked.prefix(32))", fields)
        }
        guard version.minor <= newest.minor else {
            throw EKSFault.invalidParameter(
                "Nodegroup Kubernetes version \(version.name) can't be greater than the cluster's version \(cluster.version)", fields)
        }
        guard version.minor >= KubernetesVersions.named(group.version)?.minor ?? 0 else {
            throw EKSFault.invalidParameter(
                "Requested Nodegroup version \(version.name) is older than the node group's version \(group.version): it cannot be rolled back",
                fields)
        }
        let release = version.nodeReleaseVersion
        guard input.releaseVersion == nil || input.releaseVersion == release else {
            throw EKSFault.invalidParameter(
                "Requested release version \(input.releaseVersion?.prefix(64) ?? "") is not valid for kubernetes version \(version.name): it is "
                    + release, fields)
        }
        return (version.name, release)
    }
}

extension EKSService {
    /// Begins to replace the nodes of a group by ones of another release, or of another version of its launch template. Upstream: eks
    /// UpdateNodegroupVersion. Throws ResourceNotFoundException, ResourceInUseException, InvalidRequestException, InvalidParameterException.
    package func updateNodegroupVersion(_ input: UpdateNodegroupVersionInput, caller: AWSCaller) async throws -> UpdateRecord {
        let operation = "UpdateNodegroupVersion/\(input.clusterName)/\(input.name)"
        let now = clock.now
        // A request that is repeated is answered the same, whatever became of the template.
        let replayed = try await state.update { tables in try tables.replay(operation, input.token).flatMap { tables.updates[$0] } }
        if let replayed { return replayed }
        var template: NodegroupTemplate?
        if let reference = input.launchTemplate { template = try await self.template(reference, caller) }
        let asked = template
        let update = try await state.update { tables -> UpdateRecord in
            let cluster = try tables.cluster(input.clusterName)
            var group = try tables.nodegroup(input.clusterName, input.name)
            if let id = try tables.replay(operation, input.token), let known = tables.updates[id] { return known }
            try group.requireUpdatable()
            var rollout = try group.rollout(to: input, asked, cluster)
            guard rollout.generation != group.generation else {
                throw EKSFault.invalidParameter(
                    "Node group \(group.name) is already at release version \(rollout.releaseVersion)",
                    ["clusterName": .string(cluster.name), "nodegroupName": .string(group.name)])
            }
            let update = UpdateRecord(
                id: AWSIdentifier.uuid(), clusterName: group.clusterName, nodegroup: group.name, type: "VersionUpdate",
                parameters: rollout.parameters(isTemplateAsked: asked != nil), createdAt: now, clientRequestToken: input.token?.token)
            rollout.updateID = update.id
            group.status = .updating
            group.modifiedAt = now
            group.rollout = rollout
            tables.nodegroups[LifecycleTables.key(group.clusterName, group.name)] = group
            tables.updates[update.id] = update
            tables.remember(operation, input.token, made: update.id)
            return update
        }
        await reconciler.wake(.nodegroup(cluster: input.clusterName, name: input.name))
        return update
    }
}

extension NodegroupRollout {
    /// Upstream: eks UpdateParamType.
    fileprivate func parameters(isTemplateAsked: Bool) -> [UpdateParameter] {
        var parameters = [UpdateParameter(type: "Version", value: version), UpdateParameter(type: "ReleaseVersion", value: releaseVersion)]
        if let template, isTemplateAsked {
            parameters += [
                UpdateParameter(type: "LaunchTemplateName", value: template.name),
                UpdateParameter(type: "LaunchTemplateVersion", value: String(template.version)),
            ]
        }
        return parameters
    }
}

extension NodegroupRecord {
    /// Where an update leads that names this version of a launch template, or none. Throws InvalidParameterException, InvalidRequestException.
    /// Upstream: EKS User Guide, "Limits and conditions when specifying an AMI ID".
    fileprivate func rollout(
        to input: UpdateNodegroupVersionInput, _ asked: NodegroupTemplate?, _ cluster: ClusterRecord
    ) throws(AWSError) -> NodegroupRollout {
        let fields: [String: AWSJSON] = ["clusterName": .string(clusterName), "nodegroupName": .string(name)]
        if let asked {
            guard let template else {
                throw EKSFault.invalidParameter(
                    "Node group \(name) was not created with a launch template: it cannot be updated with one, create another node group", fields)
            }
            guard asked.id == template.id else {
                throw EKSFault.invalidParameter(
                    "The launch template of a node group cannot be changed: node group \(name) was created with \(template.id) (\(template.name))",
                    fields)
            }
            guard (asked.imageID == nil) == (template.imageID == nil) else {
                throw EKSFault.invalidParameter(
                    "You must create a new node group to switch between specifying an image id in your launch template and not specifying one", fields
                )
            }
            try asked.checkTypes(instanceTypes == LaunchSettings.standardTypes ? [] : instanceTypes)
        }
        let next = asked ?? template
        guard let image = try next?.image() else {
            let (version, release) = try NodegroupRequirements.release(input, self, cluster)
            return NodegroupRollout(version: version, releaseVersion: release, isForced: input.force, updateID: "", template: next)
        }
        guard asked != nil else {
            throw EKSFault.invalidParameter("Launch template details can't be null for Custom ami type node group", fields)
        }
        for (field, value) in [("kubernetesVersion", input.version), ("releaseVersion", input.releaseVersion)] where value != nil {
            throw EKSFault.invalidParameter("You cannot specify the field \(field) when using custom AMIs", fields)
        }
        guard KubernetesVersions.isNode(image.kubernetesVersion, within: cluster.version) else {
            throw EKSFault.invalidParameter(
                "The image \(image.id) is of Kubernetes version \(image.kubernetesVersion), the cluster's is \(cluster.version)", fields)
        }
        return NodegroupRollout(
            version: image.kubernetesVersion, releaseVersion: image.id, isForced: input.force, updateID: "", template: next)
    }
    /// Throws ResourceInUseException while the group is UPDATING, InvalidRequestException in any other state in which it cannot be updated.
    func requireUpdatable() throws(AWSError) {
        guard status != .active, status != .degraded else { return }
        let fields: [String: AWSJSON] = ["clusterName": .string(clusterName), "nodegroupName": .string(name)]
        let text = "Nodegroup cannot be updated as it is currently not in Active State: it is \(status.rawValue)"
        throw status == .updating ? EKSFault.inUse(text, fields) : EKSFault.invalidRequest(text, fields)
    }
}
