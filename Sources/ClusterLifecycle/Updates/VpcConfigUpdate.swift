import AWSProtocol
import AWSServices

/// Moves the control plane's interfaces to other subnets and security groups. Upstream: eks VpcConfigRequest, EKS User Guide, "Subnet requirements
/// for clusters": the same VPC and the same zones.
package struct VpcConfigUpdate: ClusterUpdate, Codable, Equatable {
    package var subnetIDs: [String]?
    package var securityGroupIDs: [String]?

    package init(subnetIDs: [String]? = nil, securityGroupIDs: [String]? = nil) {
        self.subnetIDs = subnetIDs
        self.securityGroupIDs = securityGroupIDs
    }

    var type: String { "VpcConfigUpdate" }

    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError) {
        var changed = cluster
        apply(to: &changed, now: now)
        guard changed.network != cluster.network else {
            throw EKSFault.invalidParameter(
                "Cluster is already at the desired configuration with subnetIds: [\(cluster.network.subnetIDs.joined(separator: ", "))] and "
                    + "securityGroupIds: [\(cluster.network.securityGroupIDs.joined(separator: ", "))]",
                ["clusterName": .string(cluster.name)])
        }
    }

    func apply(to cluster: inout ClusterRecord, now: Double) {
        if let subnetIDs { cluster.network.subnetIDs = subnetIDs.uniqued }
        if let securityGroupIDs { cluster.network.securityGroupIDs = securityGroupIDs.uniqued }
    }

    /// The interfaces of subnets that were left stay while nodes know the control plane by their addresses.
    func prepare(_ cluster: ClusterRecord, _ context: StepContext) async throws -> ClusterRecord {
        let before = cluster.network.networkInterfaceIDs
        var changed = try await ControlPlaneInterfacesStep().run(cluster, context)
        let groups = ControlPlaneInterfacesStep.groups(changed)
        for id in before + changed.network.networkInterfaceIDs { try await context.network.setGroups(ofInterface: id, groups) }
        guard await context.state.read({ tables in tables.instances.values.contains { $0.clusterName == cluster.name } }) else { return changed }
        changed.network.networkInterfaceIDs += before.filter { !changed.network.networkInterfaceIDs.contains($0) }
        return changed
    }

    func tidy(_ cluster: ClusterRecord, _ context: StepContext) async throws {
        try await context.network.removeInterfaces(
            ownerTokenPrefix: ControlPlaneInterfacesStep.token(cluster), except: Set(cluster.network.networkInterfaceIDs))
    }

    func parameters(_ changed: ClusterRecord) -> [UpdateParameter] {
        var parameters: [UpdateParameter] = []
        if subnetIDs != nil { parameters.append(UpdateParameter(type: "Subnets", json: .strings(changed.network.subnetIDs))) }
        if securityGroupIDs != nil { parameters.append(UpdateParameter(type: "SecurityGroups", json: .strings(changed.network.securityGroupIDs))) }
        return parameters
    }
}

extension Array where Element: Hashable {
    /// Each element once, in the order of its first.
    var uniqued: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}

extension EKSService {
    func check(_ update: VpcConfigUpdate, _ cluster: ClusterRecord) async throws {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name)]
        if let groups = update.securityGroupIDs { try await checkSecurityGroups(groups, vpcID: cluster.network.vpcID) }
        guard let ids = update.subnetIDs?.uniqued else { return }
        let subnets = await network.subnets(ids)
        let old = await network.subnets(cluster.network.subnetIDs)
        // Subnets the cluster uses already have its interfaces in them.
        try ClusterRequirements.checkSubnets(subnets, asked: ids, cluster: cluster.name, inUse: Set(old.map(\.id)))
        if cluster.network.isIPv6 { try IPv6Requirements.check(subnets, ["clusterName": .string(cluster.name)]) }
        if let stranger = subnets.first(where: { $0.vpcID != cluster.network.vpcID }) {
            throw EKSFault.invalidParameter(
                "Provided subnets must belong to the cluster's VPC \(cluster.network.vpcID): \(stranger.id) is in \(stranger.vpcID)", fields)
        }
        let zones = (Set(old.map(\.zone)), Set(subnets.map(\.zone)))
        guard zones.0 == zones.1 else {
            throw EKSFault.invalidParameter(
                "Provided subnets belong to the AZs '\(zones.1.sorted().joined(separator: ","))'. But they should belong to the exact set of AZs "
                    + "'\(zones.0.sorted().joined(separator: ","))' in which subnets were provided during cluster creation.", fields)
        }
    }
}
