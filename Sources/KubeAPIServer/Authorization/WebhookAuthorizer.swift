package import KubeAPI
import Synchronization

/// Asks a service outside by SubjectAccessReviews, and remembers its answers for a while. Upstream: plugin/pkg/authorizer/webhook.
package final class WebhookAuthorizer: RemoteAuthorizer {
    /// Upstream: --authorization-webhook-* and AuthorizationConfiguration's webhook.
    package struct Configuration: Sendable {
        package var service: WebhookClientConfiguration
        package var timeout = Duration.seconds(3)
        /// Seconds an answer is believed. Upstream: 5 m and 30 s.
        package var authorizedSeconds: Int64 = 300
        package var unauthorizedSeconds: Int64 = 30
        /// What an unreachable service means: no opinion, or a refusal. Upstream: failurePolicy.
        package var deniesOnFailure = false

        package init(service: WebhookClientConfiguration) { self.service = service }
    }

    private struct Entry {
        var decision: AuthorizationDecision
        var expires: Int64
    }

    /// Answers remembered, in two generations. Upstream: an LRU of 8192.
    private static let limit = 8192
    /// Longer questions are asked each time, so that the memory stays small. Upstream: maxControlledAttrCacheSize.
    private static let maximumKeyBytes = 10_000

    private let configuration: Configuration
    private let client: WebhookClient
    private let now: @Sendable () -> Timestamp
    private let cache = Mutex<(recent: [[UInt8]: Entry], former: [[UInt8]: Entry])>(([:], [:]))

    package init(_ configuration: Configuration, client: WebhookClient, now: @escaping @Sendable () -> Timestamp = { .now }) {
        self.configuration = configuration
        self.client = client
        self.now = now
    }

    package func authorize(_ attributes: AuthorizationAttributes) async throws -> AuthorizationDecision {
        let question = Self.review(attributes).jsonBytes
        let time = now().seconds
        if let known = cache.withLock({ $0.recent[question] ?? $0.former[question] }), known.expires > time { return known.decision }
        let answer: JSONDocument
        do {
            answer = try await client.post(question, to: configuration.service, timeout: configuration.timeout)
        } catch let error as WebhookCallError {
            return configuration.deniesOnFailure ? .deny(reason: error.description) : .noOpinion(reason: error.description)
        }
        let status = answer.root["status"]
        let reason = status["reason"].string ?? ""
        let isAllowed = status["allowed"].bool ?? false
        // Both at once is a mistake of the service. Upstream: "webhook subject access review returned both allow and deny response".
        let decision: AuthorizationDecision =
            status["denied"].bool ?? false ? .deny(reason: reason) : isAllowed ? .allow(reason: reason) : .noOpinion(reason: reason)
        if question.count <= Self.maximumKeyBytes {
            let expires = time + (isAllowed ? configuration.authorizedSeconds : configuration.unauthorizedSeconds)
            cache.withLock { cache in
                if cache.recent.count >= Self.limit / 2 { cache = ([:], cache.recent) }
                cache.recent[question] = Entry(decision: decision, expires: expires)
            }
        }
        return decision
    }

    /// Upstream: authorization.k8s.io/v1 SubjectAccessReview.
    static func review(_ attributes: AuthorizationAttributes) -> Value {
        var spec: Value = [:]
        if attributes.isResourceRequest {
            var resource: Value = [:]
            for (key, text) in [
                ("namespace", attributes.namespace), ("verb", attributes.verb), ("group", attributes.apiGroup), ("version", attributes.apiVersion),
                ("resource", attributes.resource), ("subresource", attributes.subresource), ("name", attributes.name),
            ] where !text.isEmpty { resource[key] = .string(text) }
            if let fields = try? FieldSelector(parsing: attributes.fieldSelector), !fields.isEverything {  // A broken one is left out.
                resource["fieldSelector"] = [
                    "requirements": .array(
                        fields.requirements.map {
                            ["key": .string($0.field), "operator": $0.negated ? "NotIn" : "In", "values": [.string($0.value)]]
                        })
                ]
            }
            if !attributes.labelSelector.isEmpty { resource["labelSelector"] = ["rawSelector": .string(attributes.labelSelector)] }
            spec["resourceAttributes"] = resource
        } else {
            spec["nonResourceAttributes"] = ["path": .string(attributes.path), "verb": .string(attributes.verb)]
        }
        spec["user"] = .string(attributes.user.name)
        if !attributes.user.groups.isEmpty { spec["groups"] = Value(attributes.user.groups) }
        if !attributes.user.extra.isEmpty {
            spec["extra"] = .object(Members(attributes.user.extra.sorted { $0.key < $1.key }.map { ($0.key, Value($0.value)) }))
        }
        if !attributes.user.uid.isEmpty { spec["uid"] = .string(attributes.user.uid) }
        return ["kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": ["creationTimestamp": .null], "spec": spec]
    }
}
