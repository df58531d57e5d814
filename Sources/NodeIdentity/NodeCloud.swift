package import HTTPTransport

/// What a node's agent must know to answer for the cloud.
package struct NodeCloud: Sendable {
    /// Where the service answers machines, `http://169.254.171.1:7443`.
    package var endpoint: String
    package var region: String
    package var clusterName: String
    /// The node's own address, which processes of the node and pods in its network have.
    package var nodeAddress: String
    /// The addresses its pods have.
    package var podAddresses: Set<String>
    /// Whether an address is one of the ranges from which pods of an IPv6 cluster have theirs.
    package var isInPodRange: @Sendable (_ address: String) -> Bool = { _ in false }
    /// Whether pods have IPv6 addresses, and are answered at such, too.
    package var isIPv6 = false
    /// Hops that an answer with a token may go: with one it does not reach pods. Upstream: EC2 HttpPutResponseHopLimit; 2 in EKS's launch templates.
    package var metadataHopLimit = 2
    /// Instance metadata is not answered without a token. Upstream: EC2 HttpTokens.
    package var requiresMetadataTokens = true
    /// Whether instance metadata is answered at all. Upstream: EC2 HttpEndpoint.
    package var isMetadataEnabled = true

    package init(endpoint: String, region: String, clusterName: String, nodeAddress: String, podAddresses: Set<String>) {
        self.endpoint = endpoint
        self.region = region
        self.clusterName = clusterName
        self.nodeAddress = nodeAddress
        self.podAddresses = podAddresses
    }

    /// Who asks: somebody on the node, or one of its pods; nil for everybody else.
    enum Origin: Sendable, Equatable {
        case node
        case pod
    }

    func origin(of head: HTTPRequestHead) -> Origin? {
        let (remote, local) = (Self.host(head.connection.remoteAddress), Self.host(head.connection.localAddress))
        // Who asks an address of its own network comes from that very address.
        if remote == nodeAddress || remote == local || remote == "127.0.0.1" { return .node }
        return podAddresses.contains(remote) || isInPodRange(remote) ? .pod : nil
    }

    /// Of `10.0.0.7:80` or `[2001:db8::7]:80`.
    private static func host(_ address: String) -> String {
        let host = address.prefix(upTo: address.lastIndex(of: ":") ?? address.endIndex)
        return host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host)
    }

    /// Host and port of the endpoint; nil for another form of URL.
    package var endpointAddress: (host: String, port: Int)? {
        let scheme = "http://"
        guard endpoint.hasPrefix(scheme) else { return nil }
        let parts = endpoint.dropFirst(scheme.count).split(separator: ":")
        guard parts.count == 2, let port = Int(parts[1]), (1...65_535).contains(port) else { return nil }
        return (String(parts[0]), port)
    }
}

/// A way to the service. Implemented by HTTP, and by tests.
package protocol CloudTransport: Sendable {
    func send(_ method: String, _ target: String, fields: HTTPFields, body: [UInt8]) async throws -> (status: Int, body: [UInt8])
}

/// The service over HTTP, on the link-local address of the host.
package struct HTTPCloudTransport: CloudTransport {
    /// Answers are small documents.
    private static let limit = 1 << 20
    private static let patience = Duration.seconds(10)
    private let client: HTTPClient

    /// Throws when the cloud's endpoint is no `http://HOST:PORT`.
    package init(_ cloud: NodeCloud) throws {
        guard let (host, port) = cloud.endpointAddress else { throw HTTPError.protocolViolation("\(cloud.endpoint) is no http://HOST:PORT") }
        client = try HTTPClient(configuration: .init(address: .tcp(host: host, port: port)))
    }

    package func send(_ method: String, _ target: String, fields: HTTPFields, body: [UInt8]) async throws -> (status: Int, body: [UInt8]) {
        let answer = try await client.execute(method, target, fields: fields, body: body.isEmpty ? nil : body, timeout: Self.patience)
        return (answer.status, try await answer.body.collect(limit: Self.limit))
    }
}
