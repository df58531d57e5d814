internal import Certificates
internal import KubeAPI

/// What of a node's requests for certificates is approved without anybody's asking. Upstream: EKS's certificate controller; the kubelet's client
/// certificates are kube-controller-manager's affair.
enum NodeCertificatePlan {
    static let kubeletServing = "kubernetes.io/kubelet-serving"
    static let apiServerClient = "kubernetes.io/kube-apiserver-client"
    /// The nodes' service proxy.
    static let proxyUser = "system:kube-proxy"
    private static let nodePrefix = "system:node:"
    private static let nodesGroup = "system:nodes"

    /// Whose instance must be known to judge a request.
    enum Question: Equatable {
        /// Not ours to judge, or not to be approved.
        case none
        /// Approved as it is.
        case approve
        /// Approved when the instance of this node has these names and addresses.
        case node(String, dnsNames: [String], addresses: [[UInt8]])
    }

    static func question(_ object: Object) -> Question {
        let spec = object["spec"]
        let user = spec["username"].string ?? ""
        let decided = object["status"]["conditions"].elements.contains { ["Approved", "Denied"].contains($0["type"].string ?? "") }
        guard !decided, (object["status"]["certificate"].string ?? "").isEmpty,
            // What cannot be read is nobody's to approve.
            let bytes = Base64.decode(spec["request"].string ?? ""), let request = try? SigningRequest(pem: String(decoding: bytes, as: UTF8.self)),
            request.emailAddresses.isEmpty, request.uris.isEmpty
        else { return .none }
        let isNode = user.hasPrefix(nodePrefix) && spec["groups"].strings.contains(nodesGroup)
        let hasNames = !request.dnsNames.isEmpty || !request.ipAddresses.isEmpty
        switch spec["signerName"].string ?? "" {
        case kubeletServing:
            guard isNode, request.commonName == user, request.organizations == [nodesGroup], hasNames, isFor(spec, "server auth") else {
                return .none
            }
            return .node(String(user.dropFirst(nodePrefix.count)), dnsNames: request.dnsNames, addresses: request.ipAddresses)
        case apiServerClient:
            // The proxy renews its own. A node gets its first so where it did not come with its machine: every node has one.
            let isProxy = request.commonName == proxyUser && (user == proxyUser || isNode)
            return isProxy && request.organizations.isEmpty && !hasNames && isFor(spec, "client auth") ? .approve : .none
        default: return .none
        }
    }

    private static func isFor(_ spec: JSONView?, _ purpose: String) -> Bool {
        let usages = Set(spec["usages"].strings)
        return usages == ["digital signature", purpose] || usages == ["digital signature", "key encipherment", purpose]
    }

    /// Whether all names and addresses are the instance's own.
    static func covers(_ facts: InstanceFacts, node: String, dnsNames: [String], addresses: [[UInt8]]) -> Bool {
        let names = Set(facts.addresses.filter { ["InternalDNS", "ExternalDNS", "Hostname"].contains($0.type) }.map(\.address) + [node])
        let known = Set(facts.addresses.filter { ["InternalIP", "ExternalIP"].contains($0.type) }.compactMap { bytes($0.address) })
        return dnsNames.allSatisfy(names.contains) && addresses.allSatisfy(known.contains)
    }

    /// Whether a node without an instance asks for its own name alone, at addresses of the networks that such nodes are in.
    /// Upstream: EKS approves hybrid nodes' serving certificates for addresses of remoteNodeNetworks.
    static func covers(_ networks: [IPRange], node: String, dnsNames: [String], addresses: [[UInt8]]) -> Bool {
        let asked = addresses.map { bytes in IPAddress(number: bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }, isIPv6: bytes.count != 4) }
        return !asked.isEmpty && dnsNames.allSatisfy { $0 == node } && asked.allSatisfy { address in networks.contains { $0.contains(address) } }
    }

    /// Of an IPv4 address; the cloud has no others.
    private static func bytes(_ address: String) -> [UInt8]? {
        let parts = address.split(separator: ".", omittingEmptySubsequences: false).compactMap { UInt8($0) }
        return parts.count == 4 ? parts : nil
    }
}
