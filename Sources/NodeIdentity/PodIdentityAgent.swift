package import AWSProtocol
package import HTTPTransport
package import Logging

/// The Pod Identity agent of a node, at 169.254.170.23: gives a pod, for its service account's token, the credentials that EKS Auth has for it.
/// Upstream: eks-pod-identity-agent pkg/handlers.EksCredentialHandler.
package struct PodIdentityAgent: HTTPResponder {
    package static let address = "169.254.170.23"
    /// In IPv6 clusters, beside the other.
    package static let ipv6Address = "fd00:ec2::23"
    private static let path = "/v1/credentials"
    /// Bytes: service accounts' tokens are about one KiB.
    private static let longestToken = 16_384

    private let cloud: NodeCloud
    private let transport: any CloudTransport
    private let credentials: NodeCredentials
    private let clock: AWSClock
    private let logger: Logger

    package init(_ cloud: NodeCloud, transport: any CloudTransport, credentials: NodeCredentials, clock: AWSClock = .system, logger: Logger) {
        self.cloud = cloud
        self.transport = transport
        self.credentials = credentials
        self.clock = clock
        self.logger = logger
    }

    package func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        guard cloud.origin(of: head) != nil else { return Self.failure(403, "Access Denied. This agent answers the pods of its own node") }
        guard head.path == Self.path else { return HTTPResponse(status: 404) }
        guard head.method == "GET" else { return HTTPResponse(status: 405, fields: ["Allow": "GET"]) }
        let token = head.fields["Authorization"] ?? ""
        guard !token.isEmpty else { return Self.failure(400, "Service account token cannot be empty") }
        guard token.utf8.count <= Self.longestToken, token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), token.split(separator: ".").count == 3 else {
            return Self.failure(400, "Service account token cannot be parsed: it is no JSON web token")
        }
        do {
            let answer = try await assumeRole(token)
            guard answer.status == 200 else {
                let code = answer.document["__type"]?.stringValue ?? "Unknown"
                let message = answer.document["message"]?.stringValue ?? ""
                logger.info("a pod got no credentials", metadata: ["code": "\(code)", "message": "\(message)"])
                return Self.failure(answer.status, "(\(code)): \(message), fault: \(answer.status < 500 ? "client" : "server")")
            }
            guard let credentials = Self.credentials(answer.document) else { return Self.failure(500, "EKS Auth's answer cannot be read") }
            return HTTPResponse(status: 200, fields: ["Content-Type": "application/json"], body: .bytes(credentials.encoded))
        } catch {
            logger.warning("EKS Auth does not answer", metadata: ["error": "\(error)"])
            return Self.failure(500, "unable to fetch credentials from EKS Auth: \(error)")
        }
    }

    private func assumeRole(_ token: String) async throws -> (status: Int, document: AWSJSON) {
        let target = "/clusters/\(PercentEncoding.encode(cloud.clusterName))/assume-role-for-pod-identity"
        let body = AWSJSON.object(["token": .string(token)]).encoded
        // Credentials of a session that was ended early are asked for once more.
        for attempt in 0...1 {
            let signing = try await credentials.current()
            let signer = RequestSigner(
                accessKeyID: signing.accessKeyID, secretAccessKey: signing.secretAccessKey, sessionToken: signing.sessionToken,
                region: cloud.region, service: "eks-auth")
            var fields: HTTPFields = ["Content-Type": "application/json"]
            let host = cloud.endpointAddress.map { "\($0.host):\($0.port)" } ?? ""
            signer.sign(method: "POST", target: target, host: host, fields: &fields, body: body, time: clock.now)
            let answer = try await transport.send("POST", target, fields: fields, body: body)
            let document = try AWSJSON(parsing: answer.body)
            let isStale = ["UnrecognizedClientException", "ExpiredTokenException"].contains(document["__type"]?.stringValue ?? "")
            guard answer.status == 403, isStale, attempt == 0 else { return (answer.status, document) }
            await credentials.forget()
        }
        return (500, [:])
    }

    /// Upstream: pkg/credentials.EksCredentialsResponse.
    static func credentials(_ answer: AWSJSON) -> AWSJSON? {
        guard let found = answer["credentials"], let key = found["accessKeyId"], let secret = found["secretAccessKey"],
            let token = found["sessionToken"], let account = answer["assumedRoleUser"]?["arn"]?.stringValue.flatMap({ ARN($0) })?.account
        else { return nil }
        let expiration: Double
        switch found["expiration"] {
        case .double(let seconds)?: expiration = seconds
        case .integer(let seconds)?: expiration = Double(seconds)
        default: return nil
        }
        return [
            "AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "AccountId": .string(account),
            "Expiration": .string(AWSTimestamp.extended(expiration)),
        ]
    }

    private static func failure(_ status: Int, _ text: String) -> HTTPResponse {
        HTTPResponse(status: status, fields: ["Content-Type": "text/plain; charset=utf-8"], body: .bytes(Array("\(text)\n".utf8)))
    }
}
