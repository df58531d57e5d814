import CEL
import KubeAPI

/// Lets the cluster's MutatingAdmissionPolicies change objects, in the order of their names. Upstream: plugin/policy/mutating.
struct MutatingAdmissionPolicy: AdmissionPlugin {
    let name = "MutatingAdmissionPolicy"
    private let source: PolicySource<MutatingPolicy>
    private let reader: any ObjectReader
    private let catalog: AdmissionCatalog
    private let parameters: PolicyParameters
    private let authorizers: [any Authorizer]

    init(reader: any ObjectReader, authorizers: [any Authorizer]) {
        source = PolicySource(reader: reader, policies: "mutatingadmissionpolicies", bindings: "mutatingadmissionpolicybindings")
        self.reader = reader
        catalog = AdmissionCatalog(reader: reader)
        parameters = PolicyParameters(reader: reader, catalog: catalog)
        self.authorizers = authorizers
    }

    /// Upstream: generic.PolicyError.
    private struct Failure {
        let policy: String
        let binding: String?
        let text: String
        var message: String {
            binding.map { "policy '\(policy)' with binding '\($0)' denied request: \(text)" } ?? "policy \(policy.goQuoted) denied request: \(text)"
        }
    }

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        let hooks = source.hooks
        guard !hooks.isEmpty, !attributes.isPolicyResource, attributes.operation == .create || attributes.operation == .update,
            case .object = attributes.object
        else { return }
        let isSecondRound = attributes.reinvocation.isSecondRound
        var failures: [Failure] = []
        for (policy, bindings) in hooks {
            let key = "mutatingadmissionpolicy/\(policy.head.name)"
            if isSecondRound, !attributes.reinvocation.pending.contains(key) { continue }
            func failed(_ text: String, _ binding: PolicyBinding?) {
                if !policy.head.ignoresFailures { failures.append(Failure(policy: policy.head.name, binding: binding?.name, text: text)) }
            }
            let matched: MatchedResource
            switch policy.head.matcher {
            case .failure(let error):
                failed("failed to configure policy: \(error)", nil)
                continue
            case .success(let matcher):
                guard let found = matcher.match(attributes, catalog: catalog) else { continue }
                matched = found
            }
            if let kind = policy.head.paramKind, catalog.table()[kind] == nil {
                failed("failed to configure policy: failed to find resource referenced by paramKind: '\(kind.apiVersion), Kind=\(kind.kind)'", nil)
                continue
            }
            let before = attributes.object
            for binding in bindings {
                do {
                    guard try binding.applies(attributes, catalog) else { continue }
                    for param in try parameters.collect(policy.head.paramKind, binding.paramRef, namespace: attributes.namespace) {
                        try await mutate(policy, param, matched, &attributes)
                    }
                } catch let error as PolicyConfigurationError {
                    failed("failed to configure binding: \(error.text)", binding)
                } catch let error as PolicyEvaluationError {
                    failed(error.text, binding)
                } catch let error as PolicyOutOfBudget {
                    failed(error.text, binding)
                }
            }
            if attributes.object != before { attributes.reinvocation.changed() }
            if policy.isReinvoked { attributes.reinvocation.invoked.insert(key) }
        }
        guard let first = failures.first else { return }
        var error = attributes.forbidden("admission request denied by policy")
        error.message = first.message
        error.details?.causes += failures.map { StatusError.Cause(reason: "", message: $0.message, field: "") }
        throw error
    }

    /// Makes a policy's mutations one after the other, each on what the one before left; all or, after a failure, none.
    private func mutate(_ policy: MutatingPolicy, _ param: Object?, _ matched: MatchedResource, _ attributes: inout AdmissionAttributes) async throws
    {
        var objects = WebhookDispatcher.VersionedObjects(attributes)
        let versions = try await objects.of(matched)
        var object = versions.object
        func activation(_ object: Value) -> CELActivation {
            PolicyInput(
                attributes, matched, object: object, oldObject: versions.old, catalog: catalog, reader: reader, authorizers: authorizers
            ).activation(policy.head, param: param)
        }
        switch policy.head.applicability(activation(object)) {
        case .applies: break
        case .doesNot: return
        case .error(let text): throw PolicyEvaluationError(text: text)
        }
        var budget = CELBudget()
        let walk = walk(matched)
        for mutation in policy.mutations { object = try mutation.apply(to: object, activation(object), &budget, walk: walk) }
        guard object != versions.object else { return }
        do {
            attributes.object =
                try await attributes.context?.taken(object, as: matched, subresource: attributes.subresource, present: attributes.object) ?? object
        } catch {
            throw PolicyEvaluationError(text: Responses.statusError(error).message)
        }
    }

    /// How objects of a kind are merged.
    private func walk(_ matched: MatchedResource) -> TypedWalk? {
        if let custom = (reader as? ResourceRegistry)?.scope(matched.resource)?.custom {
            return TypedWalk(type: custom.typing.type, in: custom.typing.table)
        }
        return SchemaTable.shared.type(of: matched.kind).map { TypedWalk(type: $0, in: .shared) }
    }
}
