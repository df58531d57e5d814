import CEL
import KubeAPI

/// A request as policies see it, in the version that one matched. Upstream: cel.evaluationActivation.
struct PolicyInput {
    private var values: [String: CELValue]

    init(
        _ attributes: AdmissionAttributes, _ matched: MatchedResource, object: Value, oldObject: Value, catalog: AdmissionCatalog,
        reader: any ObjectReader,
        authorizers: [any Authorizer]
    ) {
        let (authorizer, requestResource) = AdmissionExpressions.authorizers(attributes, authorizers)
        let request = AdmissionExpressions.request(attributes, matched, requestKind: catalog.kind(of: attributes.resource, attributes))
        var namespace = CELValue.null
        if !attributes.namespace.isEmpty, let object = reader.get(.namespaces, namespace: "", name: attributes.namespace) {
            namespace = CELValue(object.root)
        }
        values = [
            "object": CELValue(object), "oldObject": CELValue(oldObject), "request": CELValue(request, AdmissionExpressions.request),
            "namespaceObject": namespace, "authorizer": .opaque(authorizer), "authorizer.requestResource": .opaque(requestResource),
        ]
    }

    /// For one policy with one parameter object.
    func activation(_ policy: PolicyHead, param: Object?) -> CELActivation {
        var activation = CELActivation(values)
        activation.values["params"] = param.map { CELValue($0.root) } ?? .null
        activation.values["variables"] = .object(PolicyVariables(policy.variables, activation))
        return activation
    }
}

extension PolicyHead {
    enum Applicability {
        case applies, doesNot
        case error(String)
    }

    /// By the match conditions: one that is false decides, whatever the others do. Upstream: matchconditions.matcher.Match.
    func applicability(_ activation: CELActivation) -> Applicability {
        guard !conditions.isEmpty else { return .applies }
        var budget = CELBudget(CELLimits.matchConditions)
        var errors: [String] = []
        for (_, condition) in conditions {
            do throws(PolicyOutOfBudget) {
                switch try condition.evaluate(activation, &budget) {
                case .success(.bool(true)): break
                case .success(.bool(false)): return .doesNot
                case .success: errors.append("cel expression '\(condition.source)' did not evaluate to a boolean")
                case .failure(let error): errors.append(error.text)
                }
            } catch {
                errors.append(error.text)
                break
            }
        }
        guard let first = errors.first else { return .applies }
        return .error(errors.count == 1 ? first : "[\(errors.joined(separator: ", "))]")
    }
}

extension AdmissionAttributes {
    /// Policies are never judged by policies. Upstream: generic.isPolicyResource.
    var isPolicyResource: Bool {
        guard resource.group == "admissionregistration.k8s.io" else { return false }
        return [
            "validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
        ].contains(resource.resource)
    }
}
