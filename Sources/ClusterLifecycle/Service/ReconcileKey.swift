/// What is reconciled, each on its own and never twice at once.
enum ReconcileKey: Hashable, Sendable {
    case cluster(String)
    case nodegroup(cluster: String, name: String)
    case instance(String)
    /// The pool of prepared instances of a node group, after its launches were held back.
    case warmPool(cluster: String, name: String)
    /// All resources that are no more than records.
    case records
    /// A refresh of a cluster's insights.
    case insights(String)
    case addon(cluster: String, name: String)
    case fargateProfile(cluster: String, name: String)
    case fargatePod(cluster: String, uid: String)

    /// Who decides what becomes of an instance: its node group; its pod; its cluster, where its NodeClaim is.
    static func owner(of instance: InstanceRecord) -> ReconcileKey {
        if let task = instance.fargate { return .fargatePod(cluster: instance.clusterName, uid: task.podUID) }
        return instance.claim == nil ? .nodegroup(cluster: instance.clusterName, name: instance.nodegroup) : .cluster(instance.clusterName)
    }
}
