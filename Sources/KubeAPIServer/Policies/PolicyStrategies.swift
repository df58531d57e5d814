import CEL
import KubeAPI

/// ValidatingAdmissionPolicies: everything in them must compile, and their status tells what does not fit the types they match. Upstream:
/// validateValidatingAdmissionPolicySpec; the status is what the controller validatingadmissionpolicystatus writes a moment later.
struct ValidatingPolicyStrategy: ResourceStrategy {
    private static let reasons = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"]
    /// Upstream: maxAuditAnnotations and the length of valueExpression.
    private static let maximumAnnotations = 20
    private static let maximumValueExpression = 5 * 1024

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = PolicyTypeChecking(reader: reader).status(of: object, generation: 1)
    }

    func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws {
        guard subresource.isEmpty, object["spec"] != old["spec"].value else { return }
        let generation = old.metadata.generation
        object["status"] = PolicyTypeChecking(reader: reader).status(of: object, generation: generation &+ 1)
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        var compiler = PolicyCompiler(hasParams: spec["paramKind"].present != nil)
        errors.oneOf("spec.failurePolicy", spec["failurePolicy"], ["Fail", "Ignore"])
        PolicyValidation.paramKind(spec["paramKind"], "spec.paramKind", &errors)
        PolicyValidation.matchResources(spec["matchConstraints"], "spec.matchConstraints", requiresRules: true, &errors)
        PolicyValidation.matchConditions(spec["matchConditions"], "spec.matchConditions", compiler, &errors)
        PolicyValidation.variables(spec["variables"], "spec.variables", &compiler, &errors)
        let validations = spec["validations"].elements
        let annotations = spec["auditAnnotations"].elements
        if validations.isEmpty, annotations.isEmpty {
            errors.required("spec.validations", "validations or auditAnnotations must be specified")
            errors.required("spec.auditAnnotations", "validations or auditAnnotations must be specified")
            return errors.causes
        }
        for (index, validation) in validations.enumerated() { self.validation(validation, "spec.validations[\(index)]", compiler, &errors) }
        if annotations.count > Self.maximumAnnotations {
            errors.tooMany("spec.auditAnnotations", annotations.count, maximum: Self.maximumAnnotations)
        }
        var keys: Set<String> = []
        for (index, annotation) in annotations.enumerated() {
            let path = "spec.auditAnnotations[\(index)]"
            self.annotation(annotation, path, object.metadata.name, compiler, &errors)
            let key = annotation["key"].string ?? ""
            if !keys.insert(key).inserted { errors.duplicate("\(path).key", .string(key)) }
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        // What is stored was compiled by the server that took it; only what changes is judged.
        guard subresource.isEmpty, object["spec"].value != old["spec"].value else { return [] }
        return validate(object)
    }

    /// Upstream: validateValidation.
    private func validation(_ view: JSONView, _ path: String, _ compiler: PolicyCompiler, _ errors: inout FieldErrors) {
        let source = (view["expression"].string ?? "").trimmed
        let message = view["message"].string ?? ""
        PolicyValidation.expression(view["expression"], "\(path).expression", &errors) { compiler.compile($0, [.bool]) }
        if let expression = view["messageExpression"].string, !expression.isEmpty {
            if expression.trimmed.isEmpty {
                errors.invalid("\(path).messageExpression", .string(expression), "must be non-empty if specified")
            } else if let problem = compiler.compile(expression, [.string], withAuthorizer: false).problem {
                errors.invalid("\(path).messageExpression", .string(expression), problem)
            }
        }
        if !message.isEmpty, message.trimmed.isEmpty {
            errors.invalid("\(path).message", .string(message), "message must be non-empty if specified")
        } else if message.trimmed.utf8.contains(10) {
            errors.invalid("\(path).message", .string(message), "message must not contain line breaks")
        } else if message.isEmpty, source.utf8.contains(10) {
            errors.required("\(path).message", "message must be specified if expression contains line breaks")
        }
        if let reason = view["reason"].string, !Self.reasons.contains(reason) { errors.notSupported("\(path).reason", reason, Self.reasons) }
    }

    /// Upstream: validateAuditAnnotation.
    private func annotation(_ view: JSONView, _ path: String, _ policy: String, _ compiler: PolicyCompiler, _ errors: inout FieldErrors) {
        let key = view["key"].string ?? ""
        // A policy's name may be longer than a key's prefix; the key itself is always judged.
        for problem in Names.qualifiedNameProblems(key) { errors.invalid("\(path).key", .string(key), problem) }
        let source = (view["valueExpression"].string ?? "").trimmed
        if source.utf8.count > Self.maximumValueExpression { errors.tooLong("\(path).valueExpression", maximum: Self.maximumValueExpression) }
        PolicyValidation.expression(view["valueExpression"], "\(path).valueExpression", required: "valueExpression is not specified", &errors) {
            compiler.compile($0, [.string, .null])
        }
    }
}

/// MutatingAdmissionPolicies. Upstream: validateMutatingAdmissionPolicySpec.
struct MutatingPolicyStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        var compiler = PolicyCompiler(hasParams: spec["paramKind"].present != nil, isMutating: true)
        errors.oneOf("spec.failurePolicy", spec["failurePolicy"], ["Fail", "Ignore"])
        PolicyValidation.paramKind(spec["paramKind"], "spec.paramKind", &errors)
        PolicyValidation.matchResources(spec["matchConstraints"], "spec.matchConstraints", requiresRules: true, &errors)
        for (index, rule) in spec["matchConstraints"]["resourceRules"].elements.enumerated() {
            for (place, operation) in rule["operations"].strings.enumerated() where ["DELETE", "CONNECT", "*"].contains(operation) {
                errors.invalid(
                    "spec.matchConstraints.resourceRules[\(index)].operations[\(place)]", .string(operation),
                    "may not be used with MutatingAdmissionPolicies: must be CREATE or UPDATE")
            }
        }
        PolicyValidation.matchConditions(spec["matchConditions"], "spec.matchConditions", compiler, &errors)
        PolicyValidation.variables(spec["variables"], "spec.variables", &compiler, &errors)
        let mutations = spec["mutations"].elements
        if mutations.isEmpty { errors.required("spec.mutations", "mutations must contain at least one item") }
        for (index, mutation) in mutations.enumerated() { self.mutation(mutation, "spec.mutations[\(index)]", compiler, &errors) }
        let policy = spec["reinvocationPolicy"].string ?? ""
        if policy.isEmpty {
            errors.required("spec.reinvocationPolicy", "")
        } else if !["IfNeeded", "Never"].contains(policy) {
            errors.notSupported("spec.reinvocationPolicy", policy, ["IfNeeded", "Never"])
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard object["spec"].value != old["spec"].value else { return [] }
        return validate(object)
    }

    /// Upstream: validateMutation.
    private func mutation(_ view: JSONView, _ path: String, _ compiler: PolicyCompiler, _ errors: inout FieldErrors) {
        let forms = [("ApplyConfiguration", "applyConfiguration", PolicyMutation.objectType), ("JSONPatch", "jsonPatch", PolicyMutation.patchesType)]
        guard let type = view["patchType"].string, !type.isEmpty else { return errors.required("\(path).patchType", "") }
        guard let (name, field, result) = forms.first(where: { $0.0 == type }) else {
            return errors.notSupported("\(path).patchType", type, forms.map(\.0))
        }
        for (_, other, _) in forms where other != field && view[other].present != nil {
            errors.invalid("\(path).\(other)", "must not be specified when patchType is \(name)")
        }
        guard let body = view[field].present else {
            return errors.required("\(path).\(field)", "must be specified when patchType is \(name)")
        }
        PolicyValidation.expression(body["expression"], "\(path).\(field).expression", &errors) { compiler.compile($0, [result]) }
    }
}
