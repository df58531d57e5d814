import KubeAPI

/// MutatingWebhookConfiguration and ValidatingWebhookConfiguration. Upstream: pkg/apis/admissionregistration/validation.
struct WebhookConfigurationStrategy: ResourceStrategy {
    let isMutating: Bool

    /// What an update may leave as it was, though a new object could not have it.
    private struct Leniency {
        var sideEffects = false
        var reviewVersions = false
        var names = false
        var matchConditions = false
    }

    private static let noSideEffects = ["None", "NoneOnDryRun"]
    private static let reviewVersions = ["v1", "v1beta1"]

    func validate(_ object: Object) -> [StatusError.Cause] { validate(object, Leniency()) }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        let webhooks = old["webhooks"].elements
        var leniency = Leniency()
        leniency.sideEffects = webhooks.contains { !Self.noSideEffects.contains($0["sideEffects"].string ?? "") }
        leniency.reviewVersions = webhooks.contains { hook in
            let versions = hook["admissionReviewVersions"].strings
            return !versions.isEmpty && !versions.contains(where: Self.reviewVersions.contains)
        }
        leniency.names = Set(webhooks.map { $0["name"].string ?? "" }).count < webhooks.count
        let new = object["webhooks"].elements.map { $0["matchConditions"].value?.pruned }
        leniency.matchConditions = new == webhooks.map { $0["matchConditions"].value?.pruned }
        return validate(object, leniency)
    }

    private func validate(_ object: Object, _ leniency: Leniency) -> [StatusError.Cause] {
        var errors = FieldErrors()
        var names: Set<String> = []
        for (index, hook) in object["webhooks"].elements.enumerated() {
            let field = "webhooks[\(index)]"
            let name = hook["name"].string ?? ""
            Self.qualifiedName("\(field).name", name, &errors)
            for (place, rule) in hook["rules"].elements.enumerated() { WebhookValidation.rule(rule, "\(field).rules[\(place)]", &errors) }
            errors.oneOf("\(field).failurePolicy", hook["failurePolicy"], ["Fail", "Ignore"])
            errors.oneOf("\(field).matchPolicy", hook["matchPolicy"], ["Equivalent", "Exact"])
            sideEffects(hook["sideEffects"], "\(field).sideEffects", leniency, &errors)
            if let seconds = hook["timeoutSeconds"].int, !(1...30).contains(seconds) {
                errors.invalid("\(field).timeoutSeconds", .int(seconds), "the timeout value must be between 1 and 30 seconds")
            }
            for selector in ["namespaceSelector", "objectSelector"] {
                if let view = hook[selector].present { errors.labelSelector("\(field).\(selector)", view) }
            }
            if isMutating { errors.oneOf("\(field).reinvocationPolicy", hook["reinvocationPolicy"], ["IfNeeded", "Never"]) }
            WebhookValidation.clientConfig(hook["clientConfig"], "\(field).clientConfig", &errors)
            if !leniency.matchConditions { errors.append(MatchConditions.validate(hook["matchConditions"], "\(field).matchConditions")) }
            reviewVersions(hook["admissionReviewVersions"].strings, "\(field).admissionReviewVersions", leniency, &errors)
            if !leniency.names, !name.isEmpty, !names.insert(name).inserted { errors.duplicate("\(field).name", .string(name)) }
        }
        return errors.causes
    }

    /// Upstream: validation.IsFullyQualifiedName.
    static func qualifiedName(_ field: String, _ name: String, _ errors: inout FieldErrors) {
        if name.isEmpty { return errors.required(field, "") }
        let problems = Names.problems(name, .dnsSubdomain)
        if !problems.isEmpty { return errors.invalid(field, .string(name), problems.joined(separator: ",")) }
        if name.split(separator: ".", omittingEmptySubsequences: false).count < 3 {
            errors.invalid(field, .string(name), "should be a domain with at least three segments separated by dots")
        }
    }

    private func sideEffects(_ view: JSONView?, _ field: String, _ leniency: Leniency, _ errors: inout FieldErrors) {
        let allowed = leniency.sideEffects ? ["None", "NoneOnDryRun", "Some", "Unknown"] : Self.noSideEffects
        guard let value = view.present.string else {
            return errors.required(field, "must specify one of \(allowed.joined(separator: ", "))")
        }
        if !allowed.contains(value) { errors.notSupported(field, value, allowed) }
    }

    private func reviewVersions(_ versions: [String], _ field: String, _ leniency: Leniency, _ errors: inout FieldErrors) {
        let accepted = Self.reviewVersions.joined(separator: ", ")
        guard !versions.isEmpty else { return errors.required(field, "must specify one of \(accepted)") }
        var seen: Set<String> = []
        for (index, version) in versions.enumerated() {
            guard seen.insert(version).inserted else {
                errors.invalid("\(field)[\(index)]", .string(version), "duplicate version")
                continue
            }
            for problem in Names.problems(version, .dns1035Label) { errors.invalid("\(field)[\(index)]", .string(version), problem) }
        }
        if !leniency.reviewVersions, seen.isDisjoint(with: Self.reviewVersions) {
            errors.invalid(field, Value(versions), "must include at least one of \(accepted)")
        }
    }
}
