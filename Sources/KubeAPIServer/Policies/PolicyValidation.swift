import CEL
import KubeAPI

/// The rules that policies and bindings of both kinds have in common. Upstream: pkg/apis/admissionregistration/validation.
enum PolicyValidation {
    /// Upstream: validateParamKind.
    static func paramKind(_ view: JSONView?, _ field: String, _ errors: inout FieldErrors) {
        guard let view = view.present else { return }
        let apiVersion = view["apiVersion"].string ?? ""
        if apiVersion.isEmpty {
            errors.required("\(field).apiVersion", "")
        } else if apiVersion.split(separator: "/", omittingEmptySubsequences: false).count > 2 {
            errors.invalid("\(field).apiVersion", .string(apiVersion), "unexpected GroupVersion string: \(apiVersion)")
        }
        if (view["kind"].string ?? "").isEmpty { errors.required("\(field).kind", "") }
    }

    /// Upstream: validateMatchResources.
    static func matchResources(_ view: JSONView?, _ field: String, requiresRules: Bool, _ errors: inout FieldErrors) {
        guard let view = view.present else {
            if requiresRules { errors.required(field, "") }
            return
        }
        errors.oneOf("\(field).matchPolicy", view["matchPolicy"], ["Equivalent", "Exact"])
        for selector in ["namespaceSelector", "objectSelector"] {
            if let found = view[selector].present { errors.labelSelector("\(field).\(selector)", found) }
        }
        if requiresRules, view["resourceRules"].elements.isEmpty { errors.required("\(field).resourceRules", "") }
        for rules in ["resourceRules", "excludeResourceRules"] {
            for (index, rule) in view[rules].elements.enumerated() {
                let path = "\(field).\(rules)[\(index)]"
                WebhookValidation.rule(rule, path, &errors)
                var seen: Set<String> = []
                for (place, name) in rule["resourceNames"].strings.enumerated() {
                    if !seen.insert(name).inserted { errors.duplicate("\(path).resourceNames[\(place)]", .string(name)) }
                }
            }
        }
    }

    /// An expression that must be there and compile. Upstream: validateExpression and its kin.
    static func expression(
        _ view: JSONView?, _ field: String, required message: String = "expression is not specified", _ errors: inout FieldErrors,
        _ compile: (String) -> PolicyExpression
    ) {
        let source = (view.string ?? "").trimmed
        if source.isEmpty { return errors.required(field, message) }
        if let problem = compile(source).problem { errors.invalid(field, .string(source), problem) }
    }

    /// Upstream: validateMatchConditions. Conditions see the parameters, not the variables.
    static func matchConditions(_ view: JSONView?, _ field: String, _ compiler: PolicyCompiler, _ errors: inout FieldErrors) {
        let conditions = view.elements
        if conditions.count > MatchConditions.maximum { errors.tooMany(field, conditions.count, maximum: MatchConditions.maximum) }
        var names: Set<String> = []
        for (index, condition) in conditions.prefix(MatchConditions.maximum).enumerated() {
            let path = "\(field)[\(index)]"
            expression(condition["expression"], "\(path).expression", required: "", &errors) { compiler.compileCondition($0) }
            MatchConditions.validateName(condition, path, &names, &errors)
        }
    }

    /// Declares the variables to the compiler while checking them. Upstream: validateVariable.
    static func variables(_ view: JSONView?, _ field: String, _ compiler: inout PolicyCompiler, _ errors: inout FieldErrors) {
        for (index, variable) in view.elements.enumerated() {
            let path = "\(field)[\(index)]"
            let name = variable["name"].string ?? ""
            if name.isEmpty {
                errors.required("\(path).name", "name is not specified")
            } else if !isIdentifier(name) {
                errors.invalid("\(path).name", .string(name), "name is not a valid CEL identifier")
            }
            compiler.add(variable: variable)
            let source = (variable["expression"].string ?? "").trimmed
            if source.isEmpty {
                errors.required("\(path).expression", "expression is not specified")
            } else if let problem = compiler.variables.last?.expression.problem {
                errors.invalid("\(path).expression", .string(source), problem)
            }
        }
    }

    static func isIdentifier(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(48...57).contains(first) else { return false }
        let isWord = text.utf8.allSatisfy { (65...90).contains($0) || (97...122).contains($0) || (48...57).contains($0) || $0 == 95 }
        return isWord && CELIdentifier.escape(text) == text
    }

    /// Upstream: validateParamRef.
    static func paramRef(_ view: JSONView?, _ field: String, _ errors: inout FieldErrors) {
        guard let view = view.present else { return }
        let name = view["name"].string ?? ""
        let selector = view["selector"].present
        if !name.isEmpty {
            for problem in Names.problems(name, .dnsSubdomain) { errors.invalid("\(field).name", .string(name), problem) }
            if selector != nil { errors.forbidden("\(field).name", "name and selector are mutually exclusive") }
        }
        if let selector {
            errors.labelSelector("\(field).selector", selector)
            if !name.isEmpty { errors.forbidden("\(field).selector", "name and selector are mutually exclusive") }
        }
        if name.isEmpty, selector == nil { errors.required(field, "one of name or selector must be specified") }
        let action = view["parameterNotFoundAction"].string ?? ""
        if action.isEmpty {
            errors.required("\(field).parameterNotFoundAction", "")
        } else if !["Allow", "Deny"].contains(action) {
            errors.notSupported("\(field).parameterNotFoundAction", action, ["Deny", "Allow"])
        }
    }
}

/// ValidatingAdmissionPolicyBindings and MutatingAdmissionPolicyBindings. Upstream: validateValidatingAdmissionPolicyBindingSpec.
struct PolicyBindingStrategy: ResourceStrategy {
    let isMutating: Bool

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        let policy = spec["policyName"].string ?? ""
        if policy.isEmpty {
            errors.required("spec.policyName", "")
        } else {
            for problem in Names.problems(policy, .dnsSubdomain) { errors.invalid("spec.policyName", .string(policy), problem) }
        }
        PolicyValidation.paramRef(spec["paramRef"], "spec.paramRef", &errors)
        PolicyValidation.matchResources(
            spec["matchResources"], isMutating ? "spec.matchResources" : "spec.matchResouces", requiresRules: false, &errors)
        if !isMutating { actions(spec["validationActions"].strings, &errors) }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { validate(object) }

    /// Upstream: validateValidationActions.
    private func actions(_ actions: [String], _ errors: inout FieldErrors) {
        let field = "spec.validationActions"
        if actions.isEmpty { return errors.required(field, "at least one validation action is required") }
        var seen: Set<String> = []
        for (index, action) in actions.enumerated() {
            if !["Audit", "Deny", "Warn"].contains(action) {
                errors.notSupported("\(field)[\(index)]", action, ["Audit", "Deny", "Warn"])
            }
            if !seen.insert(action).inserted { errors.duplicate("\(field)[\(index)]", .string(action)) }
        }
        if seen.contains("Deny"), seen.contains("Warn") {
            let why =
                "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"
            errors.invalid(field, Value(actions), why)
        }
    }
}
