import ControlPlane

/// Makes a Fargate profile's record true: CREATING becomes ACTIVE once its role may join nodes and the cluster knows its selectors; DELETING goes when
/// its pods and their machines are gone. Upstream: EKS User Guide, "Delete a Fargate profile".
struct FargateProfileStep {
    let context: StepContext

    /// `hasPods`: whether the cluster still has pods of the profile. Returns whether the profile is gone.
    func run(_ profile: FargateProfileRecord, _ cluster: ClusterRecord, hasPods: Bool) async throws -> Bool {
        switch profile.status {
        case .active: return false
        case .creating:
            try await NodeRoleAccessStep(kind: .fargate).run(profile.roleARN, cluster, context)
            // Before it is ACTIVE, so that whoever waits for that finds pods taken.
            await context.publishFargate(of: cluster.name)
            try await context.state.update { tables in
                guard tables.fargateProfiles[profile.key]?.arn == profile.arn, tables.fargateProfiles[profile.key]?.status == .creating else {
                    return
                }
                tables.fargateProfiles[profile.key]?.status = .active
            }
            return false
        case .deleting:
            await context.publishFargate(of: cluster.name)
            try await context.controlPlanes.deletePods(ofFargateProfile: profile.name, in: cluster.name)
            let hasInstances = await context.state.read { tables in
                tables.fargateInstances(of: cluster.name).contains { $0.fargate?.profile == profile.name }
            }
            guard !hasPods, !hasInstances else { return false }
            try await NodeRoleAccessStep(kind: .fargate).remove(profile.roleARN, of: cluster.name, isServing: true, context) { tables in
                tables.fargateProfiles[profile.key] = nil
            }
            return true
        }
    }
}

extension LifecycleTables {
    /// What a control plane is told of a cluster's Fargate profiles.
    func fargateRules(of cluster: String) -> FargateProfiles {
        var selectors: [String: [FargateProfiles.Selector]] = [:]
        for profile in fargateProfiles(of: cluster) where profile.status != .deleting {
            selectors[profile.name] = profile.selectors.map { FargateProfiles.Selector(namespace: $0.namespace, labels: $0.labels) }
        }
        return FargateProfiles(revision: revision, selectors: selectors)
    }
}

extension StepContext {
    /// Tells the cluster's control plane by which profiles pods run on Fargate.
    func publishFargate(of cluster: String) async {
        await controlPlanes.setFargateProfiles(await state.read { $0.fargateRules(of: cluster) }, of: cluster)
    }
}
