/// Resources that have states and nothing outside their records that must be made first: what is CREATING or UPDATING becomes ACTIVE, what is DELETING
/// goes, all in one pass of the reconciler. It is begun again after a crash.
enum SettlingRecords {
    static let all: [@Sendable (inout LifecycleTables) -> Void] = [CapabilityRecord.settle, AnywhereSubscriptionRecord.settle]

    static func settle(_ tables: inout LifecycleTables) { for settle in all { settle(&tables) } }
}

/// What resources of a cluster keep it from being deleted, in EKS's words.
extension LifecycleTables {
    func attachment(to cluster: String) -> String? {
        if !nodegroups(of: cluster).isEmpty { return "Cluster has nodegroups attached" }
        if fargateProfiles.values.contains(where: { $0.clusterName == cluster }) { return "Cluster has Fargate profiles attached" }
        if capabilities.values.contains(where: { $0.clusterName == cluster }) { return "Cluster has capabilities attached" }
        return nil
    }
}
