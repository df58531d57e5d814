import AWSProtocol
import AWSServices

/// The security group that lets SSH in to the nodes of a group with remote access. Upstream: eks NodegroupResources.remoteAccessSecurityGroup.
struct RemoteAccessStep {
    /// Makes the group when it is not there, and returns the node group with it. Throws `AWSError`.
    func run(_ group: NodegroupRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws -> NodegroupRecord {
        guard var access = group.remoteAccess, access.groupID == nil else { return group }
        let id = try await context.network.ensureSSHGroup(
            name: "eks-remoteAccess-\(group.id)", description: "Security group for all nodes in the nodeGroup to allow SSH access",
            vpcID: cluster.network.vpcID, sourceGroupIDs: access.sourceGroupIDs,
            tags: ["eks": group.name, LaunchInstancesStep.clusterTag: cluster.name, LaunchInstancesStep.nodegroupTag: group.name])
        access.groupID = id
        var current = group
        current.remoteAccess = access
        let known = access
        try await context.state.update { tables in
            let key = LifecycleTables.key(group.clusterName, group.name)
            guard tables.nodegroups[key]?.id == group.id else { return }
            tables.nodegroups[key]?.remoteAccess = known
        }
        return current
    }

    /// Removes the group of a node group that has no instances any more. False when something else uses it: the node group is DELETE_FAILED then.
    static func remove(_ group: NodegroupRecord, _ context: StepContext) async throws -> Bool {
        guard let id = group.remoteAccess?.groupID, try await !context.network.removeSecurityGroup(id) else { return true }
        let message =
            "The remote access security group \(id) is still in use: take it from other network interfaces, then delete the node group again"
        let issue = HealthIssue(code: "Ec2SecurityGroupDeletionFailure", message: message, resourceIDs: [id])
        try await context.state.update { tables in
            let key = LifecycleTables.key(group.clusterName, group.name)
            guard tables.nodegroups[key]?.id == group.id else { return }
            tables.nodegroups[key]?.status = .deleteFailed
            tables.nodegroups[key]?.health = [issue]
        }
        return false
    }

    /// Throws InvalidParameterException for a key or source groups that are not there.
    static func check(_ access: RemoteAccessConfig, _ cluster: ClusterRecord, _ network: EC2Network) async throws {
        do { try await network.requireKeyPair(access.keyName) } catch let error as AWSError { throw EKSFault.invalidParameter(error.message) }
        for id in access.sourceGroupIDs {
            guard let vpc = await network.vpcID(ofSecurityGroup: id) else {
                throw EKSFault.invalidParameter("The security group '\(id.prefix(64))' does not exist")
            }
            guard vpc == cluster.network.vpcID else {
                throw EKSFault.invalidParameter("Security group \(id) is in VPC \(vpc), the cluster is in VPC \(cluster.network.vpcID)")
            }
        }
    }
}
