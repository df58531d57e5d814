import AWSProtocol
package import KubeAPI

/// A cluster as a node that joins it must know it: what DescribeCluster says.
package struct JoinableCluster: Sendable, Equatable {
    package var name: String
    /// `1.36`
    package var version: String
    package var apiServerHost: String
    package var apiServerPort: Int
    /// Certificates in PEM.
    package var authoritiesPEM: String
    package var serviceCIDR: String
    /// Where nodes without an instance are, and their pods; empty where the cluster takes none.
    package var nodeNetworks: [String]
    package var podNetworks: [String]

    package init(
        name: String, version: String, apiServerHost: String, apiServerPort: Int, authoritiesPEM: String, serviceCIDR: String, nodeNetworks: [String],
        podNetworks: [String]
    ) {
        self.name = name
        self.version = version
        self.apiServerHost = apiServerHost
        self.apiServerPort = apiServerPort
        self.authoritiesPEM = authoritiesPEM
        self.serviceCIDR = serviceCIDR
        self.nodeNetworks = nodeNetworks
        self.podNetworks = podNetworks
    }

    /// From the member `cluster` of the answer. Throws for one that does not serve yet. Upstream: eks Cluster.
    package init(_ cluster: JSONView?) throws(JoinProblem) {
        let name = cluster["name"].string ?? ""
        guard cluster["status"].string == "ACTIVE" || cluster["status"].string == "UPDATING", let endpoint = cluster["endpoint"].string,
            let (host, port) = Self.address(endpoint), let data = cluster["certificateAuthority"]["data"].string,
            let authority = Base64URL.decodeStandard(data), let services = cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"].string
        else {
            throw JoinProblem(
                "Cluster \"\(name)\" does not serve yet: it is \(cluster["status"].string ?? "unknown").",
                fix: "aws eks wait cluster-active --name \(name)")
        }
        func ranges(_ list: String) -> [String] { cluster["remoteNetworkConfig"][list].elements.flatMap { $0["cidrs"].strings } }
        self.init(
            name: name, version: cluster["version"].string ?? "", apiServerHost: host, apiServerPort: port,
            authoritiesPEM: String(decoding: authority, as: UTF8.self), serviceCIDR: services, nodeNetworks: ranges("remoteNodeNetworks"),
            podNetworks: ranges("remotePodNetworks"))
    }

    /// Host and port of an `https://HOST[:PORT]` URL; nil for anything else. IPv4 addresses and names alone.
    package static func address(_ url: String) -> (host: String, port: Int)? {
        let scheme = "https://"
        guard url.hasPrefix(scheme) else { return nil }
        let authority = url.dropFirst(scheme.count).prefix { $0 != "/" }
        let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
        guard let host = parts.first, !host.isEmpty, parts.count <= 2 else { return nil }
        guard parts.count == 2 else { return (String(host), 443) }
        guard let port = Int(parts[1]), (1...65_535).contains(port) else { return nil }
        return (String(host), port)
    }

    /// What allows addresses, for a message.
    private func fix(_ nodes: String, _ pods: String) -> String {
        "aws eks update-cluster-config --name \(name) --remote-network-config "
            + "'{\"remoteNodeNetworks\":[{\"cidrs\":[\"\(nodes)\"]}],\"remotePodNetworks\":[{\"cidrs\":[\"\(pods)\"]}]}'"
    }

    /// Throws for a node's address that the cluster does not expect: it would not certify the kubelet's server.
    package func check(nodeAddress: String) throws(JoinProblem) {
        guard let address = IPAddress(nodeAddress), !address.isIPv6 else { throw JoinProblem("\"\(nodeAddress)\" is no IPv4 address.") }
        guard !nodeNetworks.isEmpty else {
            throw JoinProblem(
                "Cluster \"\(name)\" takes no nodes from outside its VPC.", why: "It has no remoteNodeNetworks.",
                fix: fix("\(nodeAddress)/32", "POD-RANGE"))
        }
        guard nodeNetworks.contains(where: { IPRange($0)?.contains(address) == true }) else {
            throw JoinProblem(
                "This node's address \(nodeAddress) is in none of the cluster's remote node networks.",
                why: "Those are \(nodeNetworks.joined(separator: ", ")).",
                fix: "--node-ip ADDRESS     or     " + fix("\(nodeAddress)/32", podNetworks.first ?? "POD-RANGE"))
        }
    }

    /// More addresses of a range are not given out: a node has 110 pods as a rule.
    package static let mostPodAddresses = 1_024

    /// The addresses of a node's range of pods that can be given out: all but the first and the last. Throws for a range that is
    /// none, or that the cluster does not expect.
    package func podAddresses(of range: String) throws(JoinProblem) -> [String] {
        let addresses = try Self.addresses(of: range)
        guard let block = Self.pods(range),
            podNetworks.compactMap({ IPRange($0) }).contains(where: { $0.contains(block.network) && $0.length <= block.length })
        else {
            throw JoinProblem(
                "The range \(range) is in none of the cluster's remote pod networks.",
                why: podNetworks.isEmpty ? "It has none." : "Those are \(podNetworks.joined(separator: ", ")).",
                fix: "--pod-cidr RANGE     or     " + fix(nodeNetworks.first ?? "NODE-RANGE", range))
        }
        return addresses
    }

    /// The same for a range that the cluster took before. Throws for one that is none.
    package static func addresses(of range: String) throws(JoinProblem) -> [String] {
        guard let block = pods(range) else {
            throw JoinProblem(
                "\"\(range)\" is no range of pods.", why: "It takes an IPv4 range of at least four addresses.", fix: "--pod-cidr 10.201.0.0/24")
        }
        return addresses(of: block)
    }

    private static func pods(_ text: String) -> IPRange? { IPRange(text).flatMap { !$0.isIPv6 && (8...30).contains($0.length) ? $0 : nil } }

    private static func addresses(of block: IPRange) -> [String] {
        let count = min((1 << (32 - block.length)) - 2, mostPodAddresses)
        return (1...count).map { IPAddress(number: block.network.number + UInt128($0), isIPv6: false).description }
    }
}
