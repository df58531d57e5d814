import CEL
import KubeAPI

/// Refuses, warns of or notes what the cluster's ValidatingAdmissionPolicies forbid. Upstream: plugin/policy/validating.
struct ValidatingAdmissionPolicy: AdmissionPlugin {
    let name = "ValidatingAdmissionPolicy"
    private let source: PolicySource<ValidatingPolicy>
    private let reader: any ObjectReader
    private let catalog: AdmissionCatalog
    private let parameters: PolicyParameters
    private let authorizers: [any Authorizer]

    init(reader: any ObjectReader, authorizers: [any Authorizer]) {
        source = PolicySource(reader: reader, policies: "validatingadmissionpolicies", bindings: "validatingadmissionpolicybindings")
        self.reader = reader
        catalog = AdmissionCatalog(reader: reader)
        parameters = PolicyParameters(reader: reader, catalog: catalog)
        self.authorizers = authorizers
    }

    private struct Denial {
        let policy: String
        let binding: String?
        let message: String
        var reason = ""
    }

    func validate(_ attributes: AdmissionAttributes) async throws {
        let hooks = source.hooks
        guard !hooks.isEmpty, !attributes.isPolicyResource else { return }
        var objects = WebhookDispatcher.VersionedObjects(attributes)
        var denials: [Denial] = []
        for (policy, bindings) in hooks {
            func misconfigured(_ what: String, _ text: String, _ binding: PolicyBinding?) {
                if policy.head.ignoresFailures { return }
                denials.append(Denial(policy: policy.head.name, binding: binding?.name, message: "failed to configure \(what): \(text)"))
            }
            let matched: MatchedResource
            switch policy.head.matcher {
            case .failure(let error):
                misconfigured("policy", "\(error)", nil)
                continue
            case .success(let matcher):
                guard let found = matcher.match(attributes, catalog: catalog) else { continue }
                matched = found
            }
            if let kind = policy.head.paramKind, catalog.table()[kind] == nil {
                misconfigured("policy", "failed to find resource referenced by paramKind: '\(kind.apiVersion), Kind=\(kind.kind)'", nil)
                continue
            }
            var annotations: [String: [String]] = [:]
            for binding in bindings {
                do throws(PolicyConfigurationError) {
                    guard try binding.applies(attributes, catalog) else { continue }
                    let params = try parameters.collect(policy.head.paramKind, binding.paramRef, namespace: attributes.namespace)
                    let versions: (object: Value, old: Value)
                    do { versions = try await objects.of(matched) } catch { throw PolicyConfigurationError(text: "\(error)") }
                    let input = PolicyInput(
                        attributes, matched, object: versions.object, oldObject: versions.old, catalog: catalog, reader: reader,
                        authorizers: authorizers)
                    for param in params {
                        let outcome = policy.evaluate(input.activation(policy.head, param: param))
                        judge(outcome, policy.head, binding, attributes, &denials, &annotations)
                    }
                } catch {
                    misconfigured("binding", error.text, binding)
                }
            }
            for (key, values) in annotations { AuditTrail.annotate("\(policy.head.name)/\(key)", values.joined(separator: ", ")) }
        }
        guard let first = denials.first else { return }
        throw Self.refusal(first, attributes)
    }

    /// What the binding's actions make of an outcome.
    private func judge(
        _ outcome: ValidatingPolicy.Outcome, _ policy: PolicyHead, _ binding: PolicyBinding, _ attributes: AdmissionAttributes,
        _ denials: inout [Denial],
        _ annotations: inout [String: [String]]
    ) {
        for (index, decision) in outcome.decisions.enumerated() where decision.isDenied {
            for action in binding.actions {
                switch action {
                case "Deny": denials.append(Denial(policy: policy.name, binding: binding.name, message: decision.message, reason: decision.reason))
                case "Warn":
                    attributes.context?.warn(
                        ["Validation failed for ValidatingAdmissionPolicy '\(policy.name)' with binding '\(binding.name)': \(decision.message)"])
                case "Audit":
                    AuditTrail.annotate("validation.policy.admission.k8s.io/validation_failure", Self.failure(decision, index, policy, binding))
                default: break
                }
            }
        }
        for (key, value) in outcome.annotations where annotations[key]?.contains(value) != true { annotations[key, default: []].append(value) }
        for text in outcome.annotationErrors { denials.append(Denial(policy: policy.name, binding: binding.name, message: text)) }
    }

    /// Upstream: publishValidationFailureAnnotation.
    private static func failure(_ decision: ValidatingPolicy.Decision, _ index: Int, _ policy: PolicyHead, _ binding: PolicyBinding) -> String {
        let entry: Value = [
            "message": .string(decision.message), "policy": .string(policy.name), "binding": .string(binding.name),
            "expressionIndex": .int(Int64(index)),
            "validationActions": Value(binding.actions),
        ]
        return Value.array([entry]).jsonString
    }

    /// Upstream: the end of dispatcher.Dispatch.
    private static func refusal(_ denial: Denial, _ attributes: AdmissionAttributes) -> StatusError {
        let binding = denial.binding.map { " with binding '\($0)'" } ?? ""
        let message = "ValidatingAdmissionPolicy '\(denial.policy)'\(binding) denied request: \(denial.message)"
        var error = attributes.forbidden(message)
        error.reason = denial.reason.isEmpty ? "Invalid" : denial.reason
        switch error.reason {
        case "Forbidden": error.code = 403
        case "Unauthorized": error.code = 401
        case "RequestEntityTooLarge": error.code = 413
        default: error.code = 422
        }
        error.details?.causes.append(StatusError.Cause(reason: "", message: message, field: ""))
        return error
    }
}

extension PolicyBinding {
    /// Whether the binding is about a request that its policy matched. Throws for selectors that cannot be read.
    func applies(_ attributes: AdmissionAttributes, _ catalog: AdmissionCatalog) throws(PolicyConfigurationError) -> Bool {
        switch matcher {
        case .failure(let error): throw PolicyConfigurationError(text: "\(error)")
        case .success(let matcher): return matcher.match(attributes, catalog: catalog) != nil
        }
    }
}
