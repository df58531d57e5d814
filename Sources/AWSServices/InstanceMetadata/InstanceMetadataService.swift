import AWSProtocol
package import HTTPTransport

/// Answers instances about themselves, on the address of the host that only machines reach: who asks is known by the address it comes from, which
/// is an instance's own. Everything below `/latest/`; all else goes on to `next`.
///
/// Upstream: EC2's instance metadata service. Tokens and the hop limit are the node agent's, which passes on what it lets through.
package struct InstanceMetadataService: HTTPResponder {
    private static let prefix = "/latest/"

    private let metadata: @Sendable (_ address: String) async -> InstanceMetadata?
    private let credentials: @Sendable (_ address: String) async throws -> RoleCredentials
    private let next: any HTTPResponder

    /// Both are asked with the primary address of the instance; `metadata` knows no other addresses.
    package init(
        metadata: @escaping @Sendable (_ address: String) async -> InstanceMetadata?,
        credentials: @escaping @Sendable (_ address: String) async throws -> RoleCredentials, next: any HTTPResponder
    ) {
        self.metadata = metadata
        self.credentials = credentials
        self.next = next
    }

    package func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        guard head.path.hasPrefix(Self.prefix) else { return await next.respond(to: head, body: body) }
        guard head.method == "GET" else { return HTTPResponse(status: 405, fields: ["Allow": "GET"]) }
        let remote = head.connection.remoteAddress
        let address = String(remote.prefix(upTo: remote.lastIndex(of: ":") ?? remote.endIndex))
        guard let metadata = await metadata(address), let path = PercentEncoding.decode(head.path.dropFirst(Self.prefix.count)) else {
            return HTTPResponse(status: 404)
        }
        switch metadata.answer(path) {
        case .missing: return HTTPResponse(status: 404)
        case .text(let text): return HTTPResponse(status: 200, fields: ["Content-Type": "text/plain"], body: .bytes(Array(text.utf8)))
        case .bytes(let bytes): return HTTPResponse(status: 200, fields: ["Content-Type": "application/octet-stream"], body: .bytes(bytes))
        case .credentials:
            do {
                let document = try await credentials(address).metadataDocument
                return HTTPResponse(status: 200, fields: ["Content-Type": "text/plain"], body: .bytes(document.encoded))
            } catch {
                let document: AWSJSON = [
                    "Code": "AssumeRoleUnauthorizedAccess", "Message": .string("EC2 cannot assume the role \(metadata.roleName)."),
                ]
                return HTTPResponse(status: 200, fields: ["Content-Type": "text/plain"], body: .bytes(document.encoded))
            }
        }
    }
}

extension RoleCredentials {
    /// As the instance metadata service writes them.
    var metadataDocument: AWSJSON {
        [
            "Code": "Success", "LastUpdated": .string(AWSTimestamp.extended(AWSClock.system.now)), "Type": "AWS-HMAC",
            "AccessKeyId": .string(accessKeyID), "SecretAccessKey": .string(secretAccessKey), "Token": .string(sessionToken),
            "Expiration": .string(AWSTimestamp.extended(expiration)),
        ]
    }
}
