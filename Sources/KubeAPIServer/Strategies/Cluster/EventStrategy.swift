import KubeAPI

/// Events, as they are stored: in the core form. Upstream: pkg/registry/core/event with core/validation.ValidateEventCreate, ValidateEventUpdate.
struct EventStrategy: ResourceStrategy {
    /// Whether requests come by events.k8s.io/v1, whose rules are stricter than those of the core group.
    let isStrict: Bool

    // Upstream: ReportingInstanceLengthLimit and its like.
    private static let limits = [("reportingInstance", 128), ("action", 128), ("reason", 128)]
    private static let maximumMessage = 1024

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        legacy(object, &errors)
        guard isStrict else { return errors.causes }
        errors.invalid("metadata.name", object.metadata.name, Names.problems(object.metadata.name, .dnsSubdomain))
        series(object, &errors)
        if object["eventTime"].present == nil { errors.required("eventTime") }
        let type = object["type"].text
        if type != "Normal", type != "Warning" { errors.invalid("type", text: "", "has invalid value: \(type)") }
        for field in ["firstTimestamp", "lastTimestamp"] where object[field].present != nil {
            errors.invalid(field, text: "", "needs to be unset")
        }
        if object["count"].int ?? 0 != 0 { errors.invalid("count", text: "", "needs to be unset") }
        if !object["source"]["component"].text.isEmpty || !object["source"]["host"].text.isEmpty {
            errors.invalid("source", text: "", "needs to be unset")
        }
        return errors.causes
    }

    private func series(_ object: Object, _ errors: inout FieldErrors) {
        guard let series = object["series"].present else { return }
        if series["count"].int ?? 0 < 2 { errors.invalid("series.count", text: "", "should be at least 2") }
        if series["lastObservedTime"].present == nil { errors.required("series.lastObservedTime") }
    }

    /// Upstream: core/validation.legacyValidateEvent.
    private func legacy(_ object: Object, _ errors: inout FieldErrors) {
        let own = object.metadata.namespace
        let named = object["involvedObject"]["namespace"].text
        let mismatch = "does not match event.namespace"
        guard object["eventTime"].present != nil else {
            // An object of no namespace has its events in the default one.
            if named.isEmpty ? !(own.isEmpty || own == "default") : own != named {
                errors.invalid("involvedObject.namespace", text: named, mismatch)
            }
            return
        }
        if named.isEmpty, own != "default", own != "kube-system" { errors.invalid("involvedObject.namespace", text: named, mismatch) }
        let controller = object["reportingComponent"].text
        if controller.isEmpty { errors.required("reportingController") }
        errors.qualifiedName("reportingController", controller)
        for (field, limit) in Self.limits {
            let text = object[field].text
            if text.isEmpty { errors.required(field) }
            if text.utf8.count > limit { errors.invalid(field, text: "", "can have at most \(limit) characters") }
        }
        if object["message"].text.utf8.count > Self.maximumMessage {
            errors.invalid("message", text: "", "can have at most \(Self.maximumMessage) characters")
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        legacy(object, &errors)
        guard isStrict else { return errors.causes }
        if FieldErrors.differ(object["series"], old["series"]) { series(object, &errors) }
        for (shown, field) in [
            ("involvedObject", "involvedObject"), ("reason", "reason"), ("message", "message"), ("source", "source"),
            ("firstTimestamp", "firstTimestamp"), ("lastTimestamp", "lastTimestamp"), ("count", "count"), ("reason", "reason"), ("type", "type"),
            ("eventTime", "eventTime"), ("action", "action"), ("related", "related"), ("reportingController", "reportingComponent"),
            ("reportingInstance", "reportingInstance"),
        ] {
            errors.immutable(shown, object[field], old[field])
        }
        return errors.causes
    }
}
