import KubeAPI

/// Lets webhooks refuse requests; all are asked at the same time. Upstream: plugin/webhook/validating.
struct ValidatingAdmissionWebhook: AdmissionPlugin {
    let name = "ValidatingAdmissionWebhook"
    private let source: WebhookSource
    private let dispatcher: WebhookDispatcher

    init(reader: any ObjectReader, dispatcher: WebhookDispatcher) {
        source = WebhookSource(
            reader: reader, resource: GroupResource(group: "admissionregistration.k8s.io", resource: "validatingwebhookconfigurations"))
        self.dispatcher = dispatcher
    }

    func validate(_ attributes: AdmissionAttributes) async throws {
        let hooks = source.webhooks
        guard !hooks.isEmpty, !attributes.isAdmissionConfiguration else { return }
        var objects = WebhookDispatcher.VersionedObjects(attributes)
        var calls: [(hook: CompiledWebhook, matched: MatchedResource, object: Value, old: Value)] = []
        for hook in hooks {
            guard let matched = try await dispatcher.matched(hook, attributes, &objects) else { continue }
            let versions = try await objects.of(matched)
            calls.append((hook, matched, versions.object, versions.old))
        }
        guard !calls.isEmpty else { return }
        // All are waited for, so that the refusal told does not depend on who was quicker: the first in order counts.
        let refusals = await withTaskGroup(of: (Int, (any Error)?).self) { group in
            for (place, call) in calls.enumerated() {
                group.addTask {
                    do {
                        try await self.ask(call.hook, attributes, call.matched, object: call.object, old: call.old)
                        return (place, nil)
                    } catch { return (place, error) }
                }
            }
            var refusals: [(Int, any Error)] = []
            for await (place, error) in group { if let error { refusals.append((place, error)) } }
            return refusals
        }
        if let first = refusals.min(by: { $0.0 < $1.0 }) { throw first.1 }
    }

    private func ask(
        _ hook: CompiledWebhook, _ attributes: AdmissionAttributes, _ matched: MatchedResource, object: Value, old: Value
    ) async throws {
        do {
            let response = try await dispatcher.call(hook, attributes, matched, object: object, old: old, isMutating: false)
            guard response.isAllowed else { throw response.denial(by: hook.name) }
        } catch let failure as WebhookDispatcher.CallFailure {
            if hook.ignoresFailures {
                AuditTrail.annotate("failed-open.validating.webhook.admission.k8s.io/round_0_index_\(hook.index)", hook.name)
            }
            try dispatcher.judge(failure, hook)
        }
    }
}
