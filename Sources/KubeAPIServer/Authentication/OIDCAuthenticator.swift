internal import Certificates
import HTTPTransport
package import KubeAPI
import Synchronization

/// Tokens of an OpenID Connect provider. Its keys are fetched when the first of its tokens comes, and again for a token whose key is not among
/// them. Upstream: plugin/pkg/authenticator/token/oidc.
package final class OIDCAuthenticator: BearerTokenAuthenticator {
    /// Gets a document by its URL. Throws what went wrong, in words.
    package typealias Fetch = @Sendable (_ url: String) async throws -> [UInt8]

    /// How long a clock may differ for `nbf`. Upstream: go-oidc's leeway.
    private static let notBeforeLeeway: Int64 = 300

    private let configuration: OIDCConfiguration
    private let keys: OIDCKeys
    private let now: @Sendable () -> Timestamp

    /// `fetch` nil: over HTTPS.
    package init(_ configuration: OIDCConfiguration, now: @escaping @Sendable () -> Timestamp = { .now }, fetch: Fetch? = nil) {
        self.configuration = configuration
        let roots = configuration.certificateAuthorityPEM
        keys = OIDCKeys(issuer: configuration.issuer, now: now, fetch: fetch ?? { try await HTTPSDocument.get($0, rootsPEM: roots) })
        self.now = now
    }

    package func authenticateNow(token: String) throws -> ImmediateAuthentication {
        guard let unverified = mine(token) else { return .notMine }
        try check(unverified)
        guard let candidates = keys.known(unverified.keyID) else { return .later }
        return .user(try user(unverified, candidates))
    }

    package func authenticate(token: String) async throws -> UserInfo? {
        guard let unverified = mine(token) else { return nil }
        try check(unverified)
        return try user(unverified, try await keys.find(unverified.keyID))
    }

    private func mine(_ token: String) -> JSONWebToken.Unverified? {
        guard let unverified = JSONWebToken.read(token), unverified.claims["iss"].string == configuration.issuer else { return nil }
        return unverified
    }

    /// What costs nothing to check comes before keys are looked for.
    private func check(_ token: JSONWebToken.Unverified) throws {
        guard configuration.signingAlgorithms.contains(token.algorithm), SignatureKey.algorithms.contains(token.algorithm) else {
            throw StatusError.unauthorized
        }
        let audiences = token.claims["aud"].string.map { [$0] } ?? token.claims["aud"].strings
        guard audiences.contains(where: configuration.audiences.contains) else { throw StatusError.unauthorized }
        let seconds = now().seconds
        guard let expiry = token.claims["exp"]?.double, Double(seconds) < expiry else { throw StatusError.unauthorized }
        if let notBefore = token.claims["nbf"]?.double, Double(seconds &+ Self.notBeforeLeeway) < notBefore { throw StatusError.unauthorized }
    }

    private func user(_ token: JSONWebToken.Unverified, _ candidates: [SignatureKey]) throws -> UserInfo {
        guard candidates.contains(where: { $0.verifies(token.signature, of: token.signedPart, algorithm: token.algorithm) }) else {
            throw StatusError.unauthorized
        }
        let claims = token.claims
        guard let name = claims[configuration.username.claim].string, !name.isEmpty else { throw StatusError.unauthorized }
        if configuration.username.claim == "email", let verified = claims["email_verified"], verified.bool != true { throw StatusError.unauthorized }
        var user = UserInfo(name: configuration.username.prefix + name)
        if let groups = configuration.groups, let claim = claims[groups.claim] {
            guard claim.kind == .array || claim.string != nil else { throw StatusError.unauthorized }
            user.groups = (claim.string.map { [$0] } ?? claim.strings).map { groups.prefix + $0 }
        }
        for (key, value) in configuration.requiredClaims { guard claims[key].string == value else { throw StatusError.unauthorized } }
        if let id = claims["jti"].string, !id.isEmpty { user.extra["authentication.kubernetes.io/credential-id"] = ["JTI=\(id)"] }
        return user
    }
}

/// The keys of a provider, fetched by discovery and kept. Upstream: go-oidc's remoteKeySet.
actor OIDCKeys {
    /// Keys of one `kid`; those without one are under the empty text.
    private typealias Keys = [String: [SignatureKey]]

    /// Seconds between two fetches: tokens with made-up key identifiers must not make us a burden to the provider.
    private static let minimumPause: Int64 = 10
    /// Keys taken of one provider.
    private static let maximumKeys = 100

    private let issuer: String
    private let now: @Sendable () -> Timestamp
    private let fetch: OIDCAuthenticator.Fetch
    private nonisolated let current = Mutex<Keys?>(nil)
    private var lastFetch: Int64?
    private var running: Task<[String: [SignatureKey]], any Error>?

    init(issuer: String, now: @escaping @Sendable () -> Timestamp, fetch: @escaping OIDCAuthenticator.Fetch) {
        self.issuer = issuer
        self.now = now
        self.fetch = fetch
    }

    /// The keys a token may be signed with, if they are here; nil: they must be looked for.
    nonisolated func known(_ keyID: String) -> [SignatureKey]? {
        current.withLock { keys in
            guard let keys else { return nil }
            if keyID.isEmpty { return keys.values.flatMap { $0 } }
            return keys[keyID] ?? keys[""]
        }
    }

    /// The same, fetching them if need be. Throws 401 when there are none of this name.
    func find(_ keyID: String) async throws -> [SignatureKey] {
        if let keys = known(keyID) { return keys }
        if running == nil {
            let time = now().seconds
            if let lastFetch, time < lastFetch + Self.minimumPause { throw StatusError.unauthorized }
            lastFetch = time
            running = Task { [issuer, fetch] in try await Self.load(issuer, fetch) }
        }
        guard let running else { throw StatusError.unauthorized }
        do {
            let keys = try await running.value
            current.withLock { $0 = keys }
            self.running = nil
        } catch {
            self.running = nil
            throw StatusError.unauthorized
        }
        guard let keys = known(keyID) else { throw StatusError.unauthorized }
        return keys
    }

    private static func load(_ issuer: String, _ fetch: OIDCAuthenticator.Fetch) async throws -> [String: [SignatureKey]] {
        let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        let discovery = try Object(bytes: try await fetch("\(base)/.well-known/openid-configuration"))
        guard discovery["issuer"].string == issuer, let uri = discovery["jwks_uri"].string else {
            throw StatusError.internalError("oidc: issuer did not match the issuer returned by provider, expected \(issuer.goQuoted)")
        }
        let document = try Object(bytes: try await fetch(uri))
        var keys: [String: [SignatureKey]] = [:]
        for (index, jwk) in document["keys"].elements.enumerated() where index < maximumKeys {
            guard jwk["use"].string ?? "sig" == "sig", let key = key(jwk) else { continue }
            keys[jwk["kid"].string ?? "", default: []].append(key)
        }
        return keys
    }

    /// RFC 7517.
    private static func key(_ jwk: JSONView) -> SignatureKey? {
        func bytes(_ name: String) -> [UInt8] { jwk[name].string.flatMap { Base64.decodeURL($0) } ?? [] }
        switch jwk["kty"].string {
        case "RSA": return SignatureKey(modulus: bytes("n"), exponent: bytes("e"))
        case "EC": return SignatureKey(curve: jwk["crv"].string ?? "", x: bytes("x"), y: bytes("y"))
        case "OKP": return SignatureKey(curve: jwk["crv"].string ?? "", x: bytes("x"), y: [])
        default: return nil
        }
    }
}

/// Small documents over HTTPS.
enum HTTPSDocument {
    /// Bytes of a document: discovery documents and key sets are far smaller.
    static let limit = 1024 * 1024
    static let timeout = Duration.seconds(10)

    /// Throws `HTTPError`, and `StatusError` for an answer that is no 200. Redirects are not followed.
    static func get(_ url: String, rootsPEM: String?) async throws -> [UInt8] {
        guard let parsed = AbsoluteURL(url), parsed.scheme == "https" else { throw StatusError.badRequest("\(url.goQuoted) is no https URL") }
        var configuration = HTTPClient.Configuration(
            address: .tcp(host: parsed.host, port: parsed.port), tls: .init(rootsPEM: rootsPEM))
        configuration.headTimeout = timeout
        let client = try HTTPClient(configuration: configuration)
        do {
            let response = try await client.execute("GET", parsed.target, fields: ["Accept": "application/json"])
            guard response.status == 200 else { throw StatusError.internalError("GET \(url.goQuoted): status \(response.status)") }
            let body = try await response.body.collect(limit: limit)
            await client.close()
            return body
        } catch {
            await client.close()
            throw error
        }
    }
}
