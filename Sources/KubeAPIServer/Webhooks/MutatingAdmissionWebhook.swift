import KubeAPI

/// Lets webhooks change objects, one after the other. Upstream: plugin/webhook/mutating.
struct MutatingAdmissionWebhook: AdmissionPlugin {
    let name = "MutatingAdmissionWebhook"
    private let source: WebhookSource
    private let dispatcher: WebhookDispatcher

    init(reader: any ObjectReader, dispatcher: WebhookDispatcher) {
        source = WebhookSource(
            reader: reader, resource: GroupResource(group: "admissionregistration.k8s.io", resource: "mutatingwebhookconfigurations"))
        self.dispatcher = dispatcher
    }

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        let hooks = source.webhooks
        guard !hooks.isEmpty, !attributes.isAdmissionConfiguration else { return }
        let isSecondRound = attributes.reinvocation.isSecondRound
        if isSecondRound, attributes.reinvocation.lastOutput != attributes.object {
            // The server's own plug-ins have changed what the webhooks left.
            attributes.reinvocation.changed()
        }
        for hook in hooks {
            var objects = WebhookDispatcher.VersionedObjects(attributes)
            guard let matched = try await dispatcher.matched(hook, attributes, &objects) else { continue }
            // Nobody is called in the second round who was not in the first.
            if isSecondRound, !attributes.reinvocation.pending.contains(hook.key) { continue }
            let versions = try await objects.of(matched)
            try await call(hook, &attributes, matched, versions)
            if hook.isReinvoked { attributes.reinvocation.invoked.insert(hook.key) }
        }
        attributes.reinvocation.lastOutput = attributes.object
    }

    private func call(
        _ hook: CompiledWebhook, _ attributes: inout AdmissionAttributes, _ matched: MatchedResource, _ versions: (object: Value, old: Value)
    ) async throws {
        let round = attributes.reinvocation.isSecondRound ? 1 : 0
        do {
            let response = try await dispatcher.call(
                hook, attributes, matched, object: versions.object, old: versions.old, isMutating: true)
            guard response.isAllowed else { throw response.denial(by: hook.name) }
            let patched = try Self.patched(versions.object, response, hook)
            let isChanged = patched != nil && patched != versions.object
            note(hook, attributes, round: round, isChanged: isChanged)
            guard let patched, let context = attributes.context else { return }
            if isChanged { attributes.reinvocation.changed() }
            do {
                attributes.object = try await context.taken(patched, as: matched, subresource: attributes.subresource, present: attributes.object)
            } catch {
                // What a webhook's patch makes must be an object of its kind; whoever sent the request is not to blame.
                throw StatusError.internalError(Responses.statusError(error).message)
            }
        } catch let failure as WebhookDispatcher.CallFailure {
            if hook.ignoresFailures {
                AuditTrail.annotate("failed-open.mutation.webhook.admission.k8s.io/round_\(round)_index_\(hook.index)", hook.name)
            }
            try dispatcher.judge(failure, hook)
        }
    }

    /// The object with the webhook's patch applied; nil when there is none. Throws `CallFailure` for a patch that is none.
    private static func patched(_ object: Value, _ response: AdmissionReviewResponse, _ hook: CompiledWebhook) throws -> Value? {
        guard !response.patch.isEmpty else { return nil }
        let document: Value
        let patch: JSONPatch
        do {
            document = try Value(json: response.patch)
            patch = try JSONPatch(document)
        } catch {
            throw WebhookDispatcher.CallFailure(webhook: hook.name, reason: "received undecodable patch in webhook response: \(error)")
        }
        guard document.array?.isEmpty == false else { return nil }
        guard !object.isNull else {
            throw StatusError.internalError(
                "admission webhook \(hook.name.goQuoted) attempted to modify the object, which is not supported for this operation")
        }
        do { return try patch.apply(to: object) } catch { throw StatusError.internalError(error.message) }
    }

    /// Upstream: webhookAnnotator.addMutationAnnotation.
    private func note(_ hook: CompiledWebhook, _ attributes: AdmissionAttributes, round: Int, isChanged: Bool) {
        let value: Value = ["configuration": .string(hook.configurationName), "webhook": .string(hook.name), "mutated": .bool(isChanged)]
        AuditTrail.annotate("mutation.webhook.admission.k8s.io/round_\(round)_index_\(hook.index)", value.jsonString)
    }
}
