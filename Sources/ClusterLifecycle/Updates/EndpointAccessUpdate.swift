import AWSProtocol
import AWSServices

/// Opens and closes the cluster's endpoints; what is left out stays. Upstream: eks VpcConfigRequest, EKS User Guide, "Cluster API server endpoint".
package struct EndpointAccessUpdate: ClusterUpdate, Codable, Equatable {
    package var publicAccess: Bool?
    package var privateAccess: Bool?
    package var publicCIDRs: [String]?

    package init(publicAccess: Bool? = nil, privateAccess: Bool? = nil, publicCIDRs: [String]? = nil) {
        self.publicAccess = publicAccess
        self.privateAccess = privateAccess
        self.publicCIDRs = publicCIDRs
    }

    var type: String { "EndpointAccessUpdate" }

    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name)]
        if let publicCIDRs { _ = try PublicCIDRs.checked(publicCIDRs, isIPv6: cluster.network.isIPv6) }
        var changed = cluster
        apply(to: &changed, now: now)
        guard changed.network.endpointPublicAccess || changed.network.endpointPrivateAccess else {
            throw EKSFault.invalidParameter("Private and public endpoint access cannot be false", fields)
        }
        guard changed.network != cluster.network else {
            let network = cluster.network
            throw EKSFault.invalidParameter(
                "Cluster is already at the desired configuration with endpointPrivateAccess: \(network.endpointPrivateAccess) , "
                    + "endpointPublicAccess: \(network.endpointPublicAccess), and Public Endpoint Restrictions: "
                    + "[\(network.publicAccessCIDRs.joined(separator: ", "))]", fields)
        }
    }

    func apply(to cluster: inout ClusterRecord, now: Double) {
        if let publicAccess { cluster.network.endpointPublicAccess = publicAccess }
        if let privateAccess { cluster.network.endpointPrivateAccess = privateAccess }
        // Checked before: nothing is lost here. No ranges at all means every address, as at creation.
        let isIPv6 = cluster.network.isIPv6
        if let publicCIDRs, let checked = try? PublicCIDRs.checked(publicCIDRs, isIPv6: isIPv6) { cluster.network.publicAccessCIDRs = checked }
        if cluster.network.endpointPublicAccess, cluster.network.publicAccessCIDRs.isEmpty {
            cluster.network.publicAccessCIDRs = PublicCIDRs.everywhere(isIPv6: isIPv6)
        }
    }

    func parameters(_ changed: ClusterRecord) -> [UpdateParameter] {
        [
            UpdateParameter(type: "EndpointPublicAccess", value: String(changed.network.endpointPublicAccess)),
            UpdateParameter(type: "EndpointPrivateAccess", value: String(changed.network.endpointPrivateAccess)),
            UpdateParameter(type: "PublicAccessCidrs", json: .strings(changed.network.publicAccessCIDRs)),
        ]
    }
}

/// The ranges from which a cluster's public endpoint answers. Those of IPv6 are for IPv6 clusters, and kept without effect: the endpoint has an
/// IPv4 address only. Upstream: eks VpcConfigRequest.publicAccessCidrs.
enum PublicCIDRs {
    /// Of a cluster for which none are named.
    static func everywhere(isIPv6: Bool) -> [String] { isIPv6 ? ["0.0.0.0/0", "::/0"] : ["0.0.0.0/0"] }

    /// The ranges in their usual form, each once. Throws InvalidParameterException.
    static func checked(_ texts: [String], isIPv6: Bool) throws(AWSError) -> [String] {
        guard texts.count <= ClusterRequirements.publicCIDRLimit else {
            throw EKSFault.invalidParameter("publicAccessCidrs can have \(ClusterRequirements.publicCIDRLimit) ranges at most")
        }
        var cidrs: [String] = []
        for text in texts {
            guard let cidr = IPv4Block(text)?.description ?? (isIPv6 ? IPv6Block(text)?.description : nil) else {
                throw EKSFault.invalidParameter("The following CIDRs are invalid in publicAccessCidrs: [\(text.prefix(64))]")
            }
            if !cidrs.contains(cidr) { cidrs.append(cidr) }
        }
        return cidrs.isEmpty ? everywhere(isIPv6: isIPv6) : cidrs
    }
}

extension EKSService {
    /// The private endpoint's name is resolved in the VPC.
    func check(_ update: EndpointAccessUpdate, _ cluster: ClusterRecord) async throws {
        guard update.privateAccess ?? false, !cluster.network.endpointPrivateAccess, let vpc = await network.vpc(cluster.network.vpcID) else {
            return
        }
        try ClusterRequirements.checkDNS(vpc, isPrivate: true)
    }
}
