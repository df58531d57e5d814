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
        if let publicCIDRs { _ = try PublicCIDRs.checked(publicCIDRs) }
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
        if let publicCIDRs { cluster.network.publicAccessCIDRs = (try? PublicCIDRs.checked(publicCIDRs)) ?? cluster.network.publicAccessCIDRs }
        if cluster.network.endpointPublicAccess, cluster.network.publicAccessCIDRs.isEmpty {
            cluster.network.publicAccessCIDRs = PublicCIDRs.everywhere
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

/// The ranges from which a cluster's public endpoint answers.
enum PublicCIDRs {
    static let everywhere = ["0.0.0.0/0"]

    /// The ranges in their usual form, each once. Throws InvalidParameterException.
    static func checked(_ texts: [String]) throws(AWSError) -> [String] {
        guard texts.count <= ClusterRequirements.publicCIDRLimit else {
            throw EKSFault.invalidParameter("publicAccessCidrs can have \(ClusterRequirements.publicCIDRLimit) ranges at most")
        }
        var cidrs: [String] = []
        for text in texts {
            guard let block = IPv4Block(text) else {
                throw EKSFault.invalidParameter("The following CIDRs are invalid in publicAccessCidrs: [\(text.prefix(64))]")
            }
            if !cidrs.contains(block.description) { cidrs.append(block.description) }
        }
        return cidrs.isEmpty ? everywhere : cidrs
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
