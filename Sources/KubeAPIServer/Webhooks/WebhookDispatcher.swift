import KubeAPI
import Logging

/// Calls admission webhooks. Upstream: generic.Webhook with the dispatchers of mutating and validating.
struct WebhookDispatcher: Sendable {
    let client: WebhookClient
    let catalog: AdmissionCatalog
    /// What `authorizer` in match conditions asks.
    let authorizers: [any Authorizer]
    static let logger = Logger(label: "eyrie.webhooks")

    /// A webhook that cannot be asked or answers nonsense; `failurePolicy` decides what becomes of it. Upstream: webhookutil.ErrCallingWebhook.
    struct CallFailure: Error {
        let webhook: String
        let reason: String
        var text: String { "failed calling webhook \(webhook.goQuoted): \(reason)" }
    }

    /// The object of a request in each version that webhooks asked for, made once.
    struct VersionedObjects {
        private let attributes: AdmissionAttributes
        private var kept: [GroupVersionKind: (object: Value, old: Value)] = [:]

        init(_ attributes: AdmissionAttributes) { self.attributes = attributes }

        mutating func of(_ matched: MatchedResource) async throws -> (object: Value, old: Value) {
            if let known = kept[matched.kind] { return known }
            var object = attributes.object
            var old = attributes.oldObject?.value ?? .null
            if let context = attributes.context {
                object = try await context.shown(object, as: matched, subresource: attributes.subresource)
                old = try await context.shown(old, as: matched, subresource: attributes.subresource)
            }
            kept[matched.kind] = (object, old)
            return (object, old)
        }
    }

    /// In which version a webhook sees a request; nil when it does not. Throws 403 when a match condition cannot be decided, 500 for selectors that
    /// are none. Upstream:
    /// ShouldCallHook.
    func matched(_ hook: CompiledWebhook, _ attributes: AdmissionAttributes, _ objects: inout VersionedObjects) async throws -> MatchedResource? {
        guard let matched = hook.matcher.match(attributes, catalog: catalog) else { return nil }
        if let why = hook.selectorError { throw StatusError.internalError(why) }
        guard let conditions = hook.matchConditions else { return matched }
        let versions = try await objects.of(matched)
        let input = MatchConditions.Input(
            attributes: attributes, matched: matched, requestKind: catalog.kind(of: attributes.resource, attributes), object: versions.object,
            oldObject: versions.old, authorizers: authorizers)
        switch conditions.evaluate(input) {
        case .matches: return matched
        case .doesNotMatch: return nil
        case .error(let text):
            if hook.ignoresFailures { return nil }
            throw StatusError.forbidden(attributes.resource.groupResource, attributes.name, text)
        }
    }

    /// Asks one webhook. Throws `CallFailure`, or `StatusError` 400 for a dry run that it does not support.
    func call(
        _ hook: CompiledWebhook, _ attributes: AdmissionAttributes, _ matched: MatchedResource, object: Value, old: Value, isMutating: Bool
    ) async throws -> AdmissionReviewResponse {
        if attributes.dryRun, hook.sideEffects == .some {
            throw StatusError.badRequest("admission webhook \(hook.name.goQuoted) does not support dry run")
        }
        let request = AdmissionReviewRequest(
            attributes: attributes, matched: matched, requestKind: catalog.kind(of: attributes.resource, attributes),
            object: object.isNull ? [] : object.jsonBytes, oldObject: old.isNull ? [] : old.jsonBytes)
        let start = ContinuousClock.now
        var isRejected = true
        defer {
            attributes.context?.called(
                webhook: hook.name, attributes.operation, isMutating: isMutating, isRejected: isRejected,
                seconds: (ContinuousClock.now - start).seconds)
        }
        let answer: JSONDocument
        do {
            answer = try await client.post(request.bytes(version: hook.reviewVersion), to: hook.client, timeout: hook.timeout)
        } catch let error as WebhookCallError {
            throw CallFailure(webhook: hook.name, reason: "failed to call webhook: \(error)")
        }
        let response: AdmissionReviewResponse
        do throws(AdmissionReviewResponse.Invalid) {
            response = try AdmissionReviewResponse(answer, version: hook.reviewVersion, uid: request.uid, isMutating: isMutating)
        } catch {
            throw CallFailure(webhook: hook.name, reason: "received invalid webhook response: \(error.text)")
        }
        isRejected = !response.isAllowed
        attributes.context?.warn(response.warnings)
        for (key, value) in response.auditAnnotations { AuditTrail.annotate("\(hook.name)/\(key)", value) }
        return response
    }

    /// What a failed call means: nothing under `failurePolicy: Ignore`, else the request's failure. The log names no more than the webhook.
    func judge(_ failure: CallFailure, _ hook: CompiledWebhook) throws {
        guard hook.ignoresFailures else {
            Self.logger.debug("failed calling webhook, failing closed", metadata: ["webhook": "\(hook.name)"])
            throw StatusError.internalError(failure.text)
        }
        Self.logger.warning("failed calling webhook, failing open", metadata: ["webhook": "\(hook.name)"])
        try Task.checkCancellation()
    }
}
