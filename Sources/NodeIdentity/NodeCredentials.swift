package import AWSProtocol
import HTTPTransport

/// The node role's credentials, as the agent itself uses them: from the instance's metadata, kept until shortly before their end.
package actor NodeCredentials {
    /// Credentials that sign requests until a moment, seconds since 1970.
    struct Signing: Sendable {
        var accessKeyID: String
        var secretAccessKey: String
        var sessionToken: String
        var expiration: Double
    }

    /// Why there are none.
    package struct Missing: Error, CustomStringConvertible {
        package var description: String
    }

    private static let folder = "/latest/meta-data/iam/security-credentials/"
    /// Seconds before their end that new ones are asked for.
    private static let renewal: Double = 300

    private let transport: any CloudTransport
    private let clock: AWSClock
    private var known: Signing?

    package init(transport: any CloudTransport, clock: AWSClock = .system) {
        self.transport = transport
        self.clock = clock
    }

    /// Throws `Missing` when the service gives none, and what the transport throws.
    func current() async throws -> Signing {
        if let known, known.expiration - Self.renewal > clock.now { return known }
        let role = try await text(Self.folder)
        let document = try AWSJSON(parsing: Array(try await text(Self.folder + role).utf8))
        guard document["Code"]?.stringValue == "Success", let key = document["AccessKeyId"]?.stringValue,
            let secret = document["SecretAccessKey"]?.stringValue, let token = document["Token"]?.stringValue,
            let expiration = document["Expiration"]?.stringValue.flatMap(Self.moment)
        else { throw Missing(description: document["Message"]?.stringValue ?? "the node role has no credentials") }
        let credentials = Signing(accessKeyID: key, secretAccessKey: secret, sessionToken: token, expiration: expiration)
        known = credentials
        return credentials
    }

    /// Forgets credentials that were refused.
    func forget() { known = nil }

    /// Seconds since 1970 of `2006-01-02T15:04:05Z`.
    private static func moment(_ text: String) -> Double? { AWSTimestamp.parseBasic(text.filter { $0 != "-" && $0 != ":" }) }

    private func text(_ path: String) async throws -> String {
        let answer = try await transport.send("GET", path, fields: [:], body: [])
        guard answer.status == 200 else { throw Missing(description: "instance metadata \(path) answers \(answer.status)") }
        return String(decoding: answer.body, as: UTF8.self)
    }
}
