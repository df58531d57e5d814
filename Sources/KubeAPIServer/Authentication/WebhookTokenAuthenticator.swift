internal import Crypto
package import KubeAPI
import Synchronization

/// Asks a service outside whose a token is, by TokenReviews, and remembers its answers for a while. Upstream:
/// plugin/pkg/authenticator/token/webhook behind token/cache.
package final class WebhookTokenAuthenticator: BearerTokenAuthenticator {
    /// Upstream: --authentication-token-webhook-*.
    package struct Configuration: Sendable {
        package var service: WebhookClientConfiguration
        package var timeout = Duration.seconds(30)
        /// Seconds an answer is believed, whatever it says. Upstream: --authentication-token-webhook-cache-ttl.
        package var cacheSeconds: Int64 = 120
        /// What a token must be for; empty: whatever the service says. Upstream: --api-audiences.
        package var audiences: [String] = []

        package init(service: WebhookClientConfiguration) { self.service = service }
    }

    private struct Entry {
        var user: UserInfo?
        var expires: Int64
    }

    /// Answers remembered, in two generations. Upstream: a cache of 4096 in 32 parts.
    private static let limit = 4096

    private let configuration: Configuration
    private let client: WebhookClient
    private let now: @Sendable () -> Timestamp
    /// By the token's hash: tokens themselves are kept nowhere.
    private let cache = Mutex<(recent: [SHA256Digest: Entry], former: [SHA256Digest: Entry])>(([:], [:]))

    package init(_ configuration: Configuration, client: WebhookClient, now: @escaping @Sendable () -> Timestamp = { .now }) {
        self.configuration = configuration
        self.client = client
        self.now = now
    }

    private func known(_ key: SHA256Digest) -> Entry? {
        let time = now().seconds
        return cache.withLock { $0.recent[key] ?? $0.former[key] }.flatMap { $0.expires > time ? $0 : nil }
    }

    package func authenticateNow(token: String) throws -> ImmediateAuthentication {
        guard let known = known(SHA256.hash(data: Array(token.utf8))) else { return .later }
        return known.user.map { .user($0) } ?? .notMine
    }

    package func authenticate(token: String) async throws -> UserInfo? {
        let key = SHA256.hash(data: Array(token.utf8))
        if let known = known(key) { return known.user }
        var spec: Value = ["token": .string(token)]
        if !configuration.audiences.isEmpty { spec["audiences"] = Value(configuration.audiences) }
        let review: Value = [
            "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": ["creationTimestamp": .null], "spec": spec,
        ]
        let answer: JSONDocument
        do {
            answer = try await client.post(review.jsonBytes, to: configuration.service, timeout: configuration.timeout)
        } catch is WebhookCallError {
            // A service that cannot be asked vouches for nobody; it is asked again next time.
            throw StatusError.unauthorized
        }
        let user = self.user(answer.root["status"])
        let expires = now().seconds &+ configuration.cacheSeconds
        cache.withLock { cache in
            if cache.recent.count >= Self.limit / 2 { cache = ([:], cache.recent) }
            cache.recent[key] = Entry(user: user, expires: expires)
        }
        return user
    }

    /// Whom the answer names; nil when the token is nobody's, or for others than this server.
    private func user(_ status: JSONView?) -> UserInfo? {
        guard status["authenticated"].bool == true, let name = status["user"]["username"].string, !name.isEmpty else { return nil }
        let audiences = status["audiences"].strings
        // A service that says nothing of audiences does not know of them. Upstream: WebhookTokenAuthenticator.AuthenticateToken.
        guard audiences.isEmpty || configuration.audiences.isEmpty || audiences.contains(where: configuration.audiences.contains) else { return nil }
        var extra: [String: [String]] = [:]
        for (key, values) in status["user"]["extra"]?.members.map({ $0 }) ?? [] { extra[key] = values.strings }
        return UserInfo(name: name, uid: status["user"]["uid"].string ?? "", groups: status["user"]["groups"].strings, extra: extra)
    }
}
