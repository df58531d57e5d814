internal import Crypto
import HTTPTransport
import KubeAPI
import KubeClient
import Synchronization

/// Asks the API server whose a bearer token is and what a caller may do, and believes the answers for a while. Upstream: the kubelet's BuildAuth with
/// authentication.webhook and authorization.mode Webhook.
final class KubeletAuthority: Sendable {
    /// Upstream: authentication.webhook.cacheTTL, authorization.webhook.cacheAuthorizedTTL and cacheUnauthorizedTTL.
    static let tokenTime = Duration.seconds(120)
    static let allowedTime = Duration.seconds(300)
    static let refusedTime = Duration.seconds(30)
    /// Answers of each kind that are remembered: callers of one node are few.
    private static let remembered = 1024
    /// Longer tokens are refused unread, as by the API server.
    private static let maximumTokenBytes = 16 << 10
    /// Questions under way at once: whoever makes up tokens must not keep the API server busy.
    private static let maximumPending = 64

    /// There are too many questions already.
    struct Busy: Error {}

    private struct Question: Hashable {
        var caller: KubeletCaller
        var verb: String
        var subresource: String
    }

    private struct State {
        /// By the tokens' hashes: tokens themselves are kept nowhere.
        var tokens = ExpiringCache<SHA256Digest, KubeletCaller>(limit: remembered)
        /// Nobody's, kept apart: tokens that are made up do not push out those of callers.
        var strangers = ExpiringCache<SHA256Digest, Bool>(limit: remembered)
        var answers = ExpiringCache<Question, Bool>(limit: remembered)
        var pending = 0
    }

    private let client: KubeClient
    private let nodeName: String
    private let now: @Sendable () -> ContinuousClock.Instant
    private let state = Mutex(State())

    init(client: KubeClient, nodeName: String, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        self.client = client
        self.nodeName = nodeName
        self.now = now
    }

    /// The token of `Authorization: Bearer TOKEN`. Upstream: request/bearertoken.
    static func token(_ fields: HTTPFields) -> String? {
        let parts = (fields["Authorization"] ?? "").split(separator: " ", omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1])
    }

    private func ask(_ resource: GroupVersionResource, _ review: Value) async throws -> Object {
        try state.withLock { state in
            guard state.pending < Self.maximumPending else { throw Busy() }
            state.pending += 1
        }
        defer { state.withLock { $0.pending -= 1 } }
        return try await client.create(resource, review)
    }

    /// Whose a token is; nil: nobody's. Throws what keeps the API server from answering.
    func caller(token: String) async throws -> KubeletCaller? {
        guard token.utf8.count <= Self.maximumTokenBytes else { return nil }
        let key = SHA256.hash(data: Array(token.utf8))
        let (known, isStranger) = state.withLock { state in
            (state.tokens.value(key, now: now()), state.strangers.value(key, now: now()) != nil)
        }
        if known != nil || isStranger { return known }
        let status = try await ask(
            .tokenReviews, ["kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": ["token": .string(token)]])["status"]
        var caller: KubeletCaller?
        if status["authenticated"].bool == true, let name = status["user"]["username"].string, !name.isEmpty {
            var found = KubeletCaller(name: name, groups: status["user"]["groups"].strings)
            found.uid = status["user"]["uid"].string ?? ""
            for (key, values) in status["user"]["extra"]?.members.map({ $0 }) ?? [] { found.extra[key] = values.strings }
            caller = found
        }
        let answer = caller
        state.withLock { state in
            let end = now() + Self.tokenTime
            if let answer { state.tokens.keep(answer, for: key, until: end) } else { state.strangers.keep(true, for: key, until: end) }
        }
        return answer
    }

    /// Whether a caller may do something with a part of this node. Throws what keeps the API server from answering.
    func allows(_ caller: KubeletCaller, _ verb: String, _ subresource: String) async throws -> Bool {
        let question = Question(caller: caller, verb: verb, subresource: subresource)
        if let known = state.withLock({ $0.answers.value(question, now: now()) }) { return known }
        let status = try await ask(.subjectAccessReviews, review(question))["status"]
        let isAllowed = status["allowed"].bool == true && status["denied"].bool != true
        state.withLock { $0.answers.keep(isAllowed, for: question, until: now() + (isAllowed ? Self.allowedTime : Self.refusedTime)) }
        return isAllowed
    }

    private func review(_ question: Question) -> Value {
        let caller = question.caller
        var spec: Value = [
            "user": .string(caller.name),
            "resourceAttributes": [
                "verb": .string(question.verb), "version": "v1", "resource": "nodes", "subresource": .string(question.subresource),
                "name": .string(nodeName),
            ],
        ]
        if !caller.groups.isEmpty { spec["groups"] = Value(caller.groups) }
        if !caller.uid.isEmpty { spec["uid"] = .string(caller.uid) }
        if !caller.extra.isEmpty {
            spec["extra"] = .object(Members(caller.extra.sorted { $0.key < $1.key }.map { ($0.key, Value($0.value)) }))
        }
        return ["kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": spec]
    }
}
