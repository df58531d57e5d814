package import AWSProtocol
package import HTTPTransport

/// The instance metadata service of a node, at 169.254.169.254: version 2, so an answer needs a token, unless the instance's options let version 1
/// in. Only the node and its pods are answered; the content is the service's. Upstream: EC2 User Guide, "Use the Instance Metadata Service to access instance metadata".
package struct InstanceMetadataEndpoint: HTTPResponder {
    package static let address = "169.254.169.254"
    private static let tokenPath = "/latest/api/token"
    private static let lifetimeField = "X-aws-ec2-metadata-token-ttl-seconds"
    private static let tokenField = "X-aws-ec2-metadata-token"

    private let cloud: NodeCloud
    private let transport: any CloudTransport
    private let clock: AWSClock
    private let tokens = MetadataTokens()

    package init(_ cloud: NodeCloud, transport: any CloudTransport, clock: AWSClock = .system) {
        self.cloud = cloud
        self.transport = transport
        self.clock = clock
    }

    package func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        guard cloud.isMetadataEnabled, let origin = cloud.origin(of: head) else { return HTTPResponse(status: 403) }
        // A proxy in between would hand tokens to whoever it serves.
        guard head.fields["X-Forwarded-For"] == nil else { return HTTPResponse(status: 403) }
        if head.path == Self.tokenPath { return token(head, origin) }
        guard head.method == "GET" else { return HTTPResponse(status: 405, fields: ["Allow": "GET, PUT"]) }
        guard let remaining = remaining(head, origin) else { return HTTPResponse(status: 401, fields: ["Content-Type": "text/plain"]) }
        guard let path = Self.latest(head.path) else { return Self.text("1.0\nlatest", remaining) }
        do {
            let answer = try await transport.send("GET", path, fields: [:], body: [])
            return HTTPResponse(status: answer.status, fields: Self.fields(remaining), body: .bytes(answer.body))
        } catch {
            return HTTPResponse(status: 503)
        }
    }

    /// The seconds that the caller's token has left, none where no token is needed; nil for a caller who may not be answered.
    private func remaining(_ head: HTTPRequestHead, _ origin: NodeCloud.Origin) -> Int? {
        guard let token = head.fields[Self.tokenField] else { return cloud.requiresMetadataTokens ? nil : Self.withoutToken }
        return isWithinReach(origin) ? tokens.remaining(token, now: clock.now) : nil
    }

    private func isWithinReach(_ origin: NodeCloud.Origin) -> Bool { origin == .node || cloud.metadataHopLimit > 1 }

    private func token(_ head: HTTPRequestHead, _ origin: NodeCloud.Origin) -> HTTPResponse {
        guard head.method == "PUT" else { return HTTPResponse(status: 405, fields: ["Allow": "PUT"]) }
        guard let lifetime = head.fields[Self.lifetimeField].flatMap({ Int($0) }), MetadataTokens.lifetimes.contains(lifetime) else {
            return HTTPResponse(status: 400)
        }
        // On EC2 the answer is lost on its way to the pod; here it is refused, so that clients need not wait.
        guard isWithinReach(origin) else { return HTTPResponse(status: 403) }
        return Self.text(tokens.token(lifetime: lifetime, now: clock.now), lifetime)
    }

    private static func text(_ text: String, _ lifetime: Int) -> HTTPResponse {
        HTTPResponse(status: 200, fields: fields(lifetime), body: .bytes(Array(text.utf8)))
    }

    /// An answer of version 1 says nothing of a token.
    private static let withoutToken = 0
    private static func fields(_ lifetime: Int) -> HTTPFields {
        var fields: HTTPFields = ["Content-Type": "text/plain"]
        if lifetime != withoutToken { fields[lifetimeField] = String(lifetime) }
        return fields
    }

    /// The path in the newest version, which all others are answered from: `/1.0/meta-data` is `/latest/meta-data`. Nil for the root.
    static func latest(_ path: Substring) -> String? {
        let rest = path.drop { $0 == "/" }
        guard !rest.isEmpty else { return nil }
        let version = rest.prefix { $0 != "/" }
        let isVersion = version == "1.0" || version == "latest" || version.allSatisfy { $0.isNumber || $0 == "-" }
        guard isVersion else { return String(path) }
        return "/latest/" + rest.dropFirst(version.count).drop { $0 == "/" }
    }
}
