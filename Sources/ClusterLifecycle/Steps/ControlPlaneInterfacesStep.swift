/// Takes the control plane's network interfaces: from two to four, spread over the cluster's subnets. Upstream: EKS User Guide, "Subnet
/// requirements for clusters".
struct ControlPlaneInterfacesStep: ClusterStep {
    let name = "control plane network interfaces"
    static let most = 4

    /// Under what the interfaces of a cluster are found again.
    static func token(_ cluster: ClusterRecord) -> String { "eks/\(cluster.id)/" }

    /// The security groups of the interfaces: the caller's, and the cluster's own.
    static func groups(_ cluster: ClusterRecord) -> [String] {
        cluster.network.securityGroupIDs + [cluster.network.clusterSecurityGroupID].compactMap { $0 }
    }

    func run(_ cluster: ClusterRecord, _ context: StepContext) async throws -> ClusterRecord {
        var cluster = cluster
        var ids: [String] = []
        let groups = ControlPlaneInterfacesStep.groups(cluster)
        for subnet in cluster.network.subnetIDs.prefix(ControlPlaneInterfacesStep.most) {
            let interface = try await context.network.ensureInterface(
                ownerToken: ControlPlaneInterfacesStep.token(cluster) + subnet, subnetID: subnet, description: "Amazon EKS \(cluster.name)",
                groupIDs: groups,
                tags: ["cluster.k8s.amazonaws.com/name": cluster.name], hasIPv6: cluster.network.isIPv6)
            ids.append(interface.id)
        }
        cluster.network.networkInterfaceIDs = ids
        return cluster
    }
}
