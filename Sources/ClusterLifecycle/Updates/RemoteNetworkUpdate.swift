package import AWSProtocol
import AWSServices

/// Where hybrid nodes, those that join from outside the VPC, and their pods are. Upstream: eks RemoteNetworkConfigRequest.
package struct RemoteNetworks: Codable, Sendable, Equatable {
    /// IPv4 ranges.
    package var nodes: [String]
    package var pods: [String]

    package init(nodes: [String], pods: [String]) {
        self.nodes = nodes
        self.pods = pods
    }

    /// Upstream: EKS User Guide, "Prepare networking for hybrid nodes".
    private static let longestList = 15
    private static let privateRanges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]

    package var isEmpty: Bool { nodes.isEmpty && pods.isEmpty }

    /// Upstream: eks RemoteNetworkConfigResponse.
    package var json: AWSJSON {
        func networks(_ ranges: [String]) -> AWSJSON? { ranges.isEmpty ? .none : .array([["cidrs": .strings(ranges)]]) }
        return .compact(["remoteNodeNetworks": networks(nodes), "remotePodNetworks": networks(pods)])
    }

    /// Throws InvalidParameterException for ranges that EKS would not take.
    func check(_ cluster: ClusterRecord) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name)]
        func invalid(_ text: String) -> AWSError { EKSFault.invalidParameter(text, fields) }
        guard !nodes.isEmpty || pods.isEmpty else { throw invalid("remotePodNetworks need remoteNodeNetworks") }
        guard nodes.count <= Self.longestList, pods.count <= Self.longestList else {
            throw invalid("remoteNodeNetworks and remotePodNetworks have \(Self.longestList) ranges at most")
        }
        guard isEmpty || cluster.access.authenticationMode != "CONFIG_MAP" else {
            throw invalid("remoteNetworkConfig needs the authentication mode API or API_AND_CONFIG_MAP")
        }
        let allowed = Self.privateRanges.compactMap { IPv4Block($0) }
        var taken: [(block: IPv4Block, name: String)] = []
        if let vpc = IPv4Block(cluster.network.vpcCIDR) { taken.append((vpc, "the VPC's range \(vpc)")) }
        if let services = IPv4Block(cluster.network.serviceIPv4CIDR) { taken.append((services, "the service range \(services)")) }
        for text in nodes + pods {
            guard let block = IPv4Block(text), (8...32).contains(block.prefixLength), allowed.contains(where: { $0.contains(block) }) else {
                throw invalid(
                    "Remote network '\(text.prefix(32))' must be an IPv4 range between /32 and /8 within \(Self.privateRanges.joined(separator: ", "))"
                )
            }
            if let other = taken.first(where: { $0.block.overlaps(block) }) {
                throw invalid("Remote network \(block) must not overlap \(other.name)")
            }
            taken.append((block, "the remote network \(block)"))
        }
    }
}

/// Changes where hybrid nodes and their pods are; empty ranges take the configuration away. Upstream: eks
/// UpdateClusterConfigRequest.remoteNetworkConfig.
package struct RemoteNetworkUpdate: ClusterUpdate, Codable, Equatable {
    package var networks: RemoteNetworks

    package init(networks: RemoteNetworks) { self.networks = networks }

    var type: String { "RemoteNetworkConfigUpdate" }

    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError) {
        try networks.check(cluster)
        guard networks != cluster.remoteNetworks ?? RemoteNetworks(nodes: [], pods: []) else {
            throw EKSFault.invalidParameter(
                "No changes needed for the remote network config provided", ["clusterName": .string(cluster.name)])
        }
    }

    func apply(to cluster: inout ClusterRecord, now: Double) { cluster.remoteNetworks = networks.isEmpty ? nil : networks }

    func parameters(_ changed: ClusterRecord) -> [UpdateParameter] { [UpdateParameter(type: "RemoteNetworkConfig", json: networks.json)] }
}
