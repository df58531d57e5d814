/// Makes the cluster security group: its members reach each other on every port, and everything outside. Upstream: EKS User Guide, "Amazon EKS
/// security group requirements".
struct ClusterSecurityGroupStep: ClusterStep {
    let name = "cluster security group"

    func run(_ cluster: ClusterRecord, _ context: StepContext) async throws -> ClusterRecord {
        // AWS appends digits; here they come from the cluster's id, so that repeating the step finds the same group.
        let digits = cluster.id.utf8.reduce(UInt64(7)) { $0 &* 1_099_511_628_211 ^ UInt64($1) } % 9_000_000_000 + 1_000_000_000
        let groupName = "eks-cluster-sg-\(cluster.name)-\(digits)"
        let tags = ["kubernetes.io/cluster/\(cluster.name)": "owned", "aws:eks:cluster-name": cluster.name, "Name": groupName]
        var cluster = cluster
        cluster.network.clusterSecurityGroupID = try await context.network.ensureSelfReferencingGroup(
            name: groupName,
            description:
                "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as any managed workloads.",
            vpcID: cluster.network.vpcID, tags: tags)
        return cluster
    }
}
