import KubeAPI

/// What the workload kinds share: a selector, a template, a number of replicas. Upstream: apps/validation and core/validation.
enum WorkloadValidation {
    /// A selector that is there, not empty, and picks the template's pods. `kind` as messages name it: `deployment`.
    static func selectorAndTemplate(_ spec: JSONView?, kind: String, policies: [String] = ["Always"], _ errors: inout FieldErrors) {
        let selector = spec["selector"]
        if let present = selector.present {
            errors.labelSelector("spec.selector", present)
            if selector["matchLabels"].stringMap.isEmpty, selector["matchExpressions"].elements.isEmpty {
                errors.invalid("spec.selector", present.value, "empty selector is invalid for \(kind)")
            }
        } else {
            errors.required("spec.selector")
        }
        let template = spec["template"]
        if template.present == nil { errors.required("spec.template") } else { self.template(template, policies: policies, &errors) }
        let labels = template["metadata"]["labels"].stringMap
        // A selector that does not read was complained of above.
        if selector.present != nil, let parsed = try? LabelSelector(object: selector), !parsed.isEverything, !parsed.matches(labels) {
            errors.invalid("spec.template.metadata.labels", Value(labels), "`selector` does not match template `labels`")
        }
    }

    static func template(_ template: JSONView?, policies: [String], _ errors: inout FieldErrors) {
        let metadata = ObjectMeta(view: template["metadata"])
        errors.labels("spec.template.labels", metadata.labels)
        for key in metadata.annotations.keys.sorted() {
            for problem in Names.qualifiedNameProblems(key.lowercased()) { errors.invalid("spec.template.annotations", .string(key), problem) }
        }
        let path = "spec.template.spec"
        PodSpecValidation(path: path).validate(template["spec"], &errors)
        if template["spec"]["hostNetwork"].bool == true { PodSpecValidation(path: path).validateHostNetwork(template["spec"], &errors) }
        if !template["spec"]["ephemeralContainers"].elements.isEmpty {
            errors.forbidden("\(path).ephemeralContainers", "ephemeral containers not allowed in pod template")
        }
        if let policy = template["spec"]["restartPolicy"].string, !policies.contains(policy), PodSpecValidation.restartPolicies.contains(policy) {
            errors.notSupported("\(path).restartPolicy", policy, policies)
        }
    }

    /// Whether `maxUnavailable` or `maxSurge` comes to nothing.
    static func isZero(_ view: JSONView?) -> Bool {
        guard let view = view.present else { return false }
        return view.int == 0 || view.string == "0%"
    }

    /// The part of an update that may not change, compared without what says nothing.
    static func without(_ fields: [String], _ object: Object) -> Value {
        var spec = object["spec"].value ?? .null
        for field in fields { spec[field] = nil }
        return spec.pruned
    }
}
