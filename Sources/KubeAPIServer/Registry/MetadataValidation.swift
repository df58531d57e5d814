import KubeAPI

/// The rules every object's metadata keeps. Upstream: apimachinery/pkg/api/validation.ValidateObjectMetaAccessor and
/// ValidateObjectMetaAccessorUpdate.
enum MetadataValidation {
    /// Upstream: validation.TotalAnnotationSizeLimitB.
    static let maximumAnnotationBytes = 256 * 1024

    /// What a kind's names look like. Upstream: the ValidateNameFunc of each kind.
    enum NameRule: Sendable {
        case dnsSubdomain, dnsLabel, dns1035Label, pathSegment, address

        static func rule(for row: ResourceRow) -> NameRule {
            switch (row.group, row.resource) {
            // Names of Services may begin with a digit since 1.36 (RelaxedServiceNameValidation).
            case ("", "namespaces"), ("", "services"): .dnsLabel
            // An APIService is called VERSION.GROUP, that of the core group `v1.`.
            case ("rbac.authorization.k8s.io", _), ("apiregistration.k8s.io", _): .pathSegment
            case ("apps", "statefulsets"): .dnsLabel
            case ("certificates.k8s.io", _), ("policy", "poddisruptionbudgets"), ("", "events"): .pathSegment
            case ("networking.k8s.io", "ipaddresses"): .address
            default: .dnsSubdomain
            }
        }
    }

    /// Errors of a new object's metadata. `namespaced` objects must have a namespace.
    static func validate(_ metadata: ObjectMeta, rule: NameRule, namespaced: Bool, isCustom: Bool = false) -> [StatusError.Cause] {
        var causes: [StatusError.Cause] = []
        let name = metadata.name
        if name.isEmpty {
            causes.append(required("metadata.name", "name or generateName is required"))
        } else {
            for problem in Names.problems(name, rule) { causes.append(invalid("metadata.name", .string(name), problem)) }
        }
        if namespaced {
            let namespace = metadata.namespace
            if namespace.isEmpty {
                causes.append(required("metadata.namespace", ""))
            } else {
                for problem in Names.problems(namespace, .dnsLabel) { causes.append(invalid("metadata.namespace", .string(namespace), problem)) }
            }
        }
        return causes + validateMaps(metadata, isCustom: isCustom)
    }

    /// Labels, annotations, owner references, finalizers.
    static func validateMaps(_ metadata: ObjectMeta, isCustom: Bool = false) -> [StatusError.Cause] {
        var causes: [StatusError.Cause] = []
        func add(_ cause: @autoclosure () -> StatusError.Cause) { if causes.count < FieldErrors.limit { causes.append(cause()) } }
        for (key, value) in metadata.labels.sorted(by: { $0.key < $1.key }) {
            for problem in Names.qualifiedNameProblems(key) { add(invalid("metadata.labels", .string(key), problem)) }
            for problem in Names.labelValueProblems(value) { add(invalid("metadata.labels", .string(value), problem)) }
        }
        var size = 0
        for (key, value) in metadata.annotations.sorted(by: { $0.key < $1.key }) {
            for problem in Names.qualifiedNameProblems(key.lowercased()) { add(invalid("metadata.annotations", .string(key), problem)) }
            size += key.utf8.count + value.utf8.count
        }
        if size > maximumAnnotationBytes {
            add(
                StatusError.Cause(
                    reason: "FieldValueTooLong", message: "Too long: may not be more than \(maximumAnnotationBytes) bytes",
                    field: "metadata.annotations"))
        }
        var controllers: [String] = []
        for (index, owner) in metadata.ownerReferences.enumerated() {
            func path(_ field: String) -> String { "metadata.ownerReferences[\(index)].\(field)" }
            if owner.apiVersion.isEmpty { add(invalid(path("apiVersion"), .string(""), "version must not be empty")) }
            if owner.kind.isEmpty { add(invalid(path("kind"), .string(""), "must not be empty")) }
            if owner.name.isEmpty { add(invalid(path("name"), .string(""), "must not be empty")) }
            if owner.uid.isEmpty { add(invalid(path("uid"), .string(""), "must not be empty")) }
            if owner.controller { controllers.append("\(owner.kind)/\(owner.name)") }
        }
        if controllers.count > 1 {
            add(
                invalid(
                    "metadata.ownerReferences", .null,
                    "Only one reference can have Controller set to true. Found \"true\" in references for \(controllers[0]) and \(controllers[1])"))
        }
        for finalizer in metadata.finalizers {
            for problem in Names.qualifiedNameProblems(finalizer) { add(invalid("metadata.finalizers", .string(finalizer), problem)) }
        }
        if isCustom { return causes }
        // Upstream: core/validation.validateKubeFinalizerName, of built-in kinds alone.
        for (index, finalizer) in metadata.finalizers.enumerated()
        where !finalizer.utf8.contains(UInt8(ascii: "/")) && !standardFinalizers.contains(finalizer) {
            add(
                invalid(
                    "metadata.finalizers[\(index)]", .string(finalizer),
                    "name is neither a standard finalizer name nor is it fully qualified"))
        }
        return causes
    }

    private static let standardFinalizers = ["kubernetes", "orphan", "foregroundDeletion"]

    /// Errors of an update's metadata against the stored object's; maps are checked only when they changed, so that objects from older rules stay
    /// writable.
    static func validateUpdate(_ new: ObjectMeta, old: ObjectMeta, isCustom: Bool = false) -> [StatusError.Cause] {
        var causes: [StatusError.Cause] = []
        func immutable(_ field: String, _ newValue: String, _ oldValue: String) {
            if newValue != oldValue { causes.append(invalid("metadata.\(field)", .string(newValue), "field is immutable")) }
        }
        immutable("name", new.name, old.name)
        immutable("namespace", new.namespace, old.namespace)
        immutable("uid", new.uid, old.uid)
        if new.creationTimestamp != old.creationTimestamp {
            causes.append(invalid("metadata.creationTimestamp", .string(new.creationTimestamp?.rfc3339 ?? ""), "field is immutable"))
        }
        if old.isBeingDeleted {
            let known = Set(old.finalizers)
            let added = new.finalizers.filter { !known.contains($0) }
            if !added.isEmpty {
                let list = "[]string{" + added.map(\.goQuoted).joined(separator: ", ") + "}"
                causes.append(
                    StatusError.Cause(
                        reason: "FieldValueForbidden",
                        message: "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers \(list)",
                        field: "metadata.finalizers"))
            }
        }
        if new.deletionTimestamp != old.deletionTimestamp {
            causes.append(invalid("metadata.deletionTimestamp", .string(new.deletionTimestamp?.rfc3339 ?? ""), "field is immutable"))
        }
        if new.labels != old.labels || new.annotations != old.annotations || new.ownerReferences != old.ownerReferences
            || new.finalizers != old.finalizers
        {
            causes += validateMaps(new, isCustom: isCustom)
        }
        return causes
    }

    /// Upstream: field.Invalid.
    static func invalid(_ field: String, _ value: Value, _ message: String) -> StatusError.Cause {
        .invalid(field, value, message)
    }

    /// Upstream: field.Required.
    static func required(_ field: String, _ message: String) -> StatusError.Cause {
        .required(field, message)
    }
}

/// The grammars of names. Upstream: apimachinery/pkg/util/validation and apimachinery/pkg/api/validation/path.
enum Names {
    static let subdomainMaximum = 253
    static let labelMaximum = 63

    /// What is wrong with `name`; nothing when it is valid.
    static func problems(_ name: String, _ rule: MetadataValidation.NameRule) -> [String] {
        switch rule {
        case .dnsSubdomain:
            var problems = name.utf8.count > subdomainMaximum ? ["must be no more than \(subdomainMaximum) bytes"] : []
            if !isLabel(name.utf8), !name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy({ isLabel($0) }) {
                problems.append(
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
                        + "must start and end with an alphanumeric "
                        + "character (e.g. 'example.com', regex used for validation is "
                        + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                )
            }
            return problems
        case .dnsLabel:
            var problems = name.utf8.count > labelMaximum ? ["must be no more than \(labelMaximum) bytes"] : []
            if !isLabel(name.utf8) {
                if Self.problems(name, .dnsSubdomain).isEmpty { return problems + ["must not contain dots"] }
                problems.append(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
                        + "start and end with an alphanumeric character "
                        + "(e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')")
            }
            return problems
        case .dns1035Label:
            var problems = name.utf8.count > labelMaximum ? ["must be no more than \(labelMaximum) bytes"] : []
            if !isLabel(name.utf8) || !(name.utf8.first.map { $0 >= UInt8(ascii: "a") } ?? false) {
                problems.append(
                    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                        + "alphabetic character, and end with an alphanumeric "
                        + "character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')")
            }
            return problems
        case .address: return AddressRules.problems(name)
        case .pathSegment:
            if name == "." || name == ".." { return ["may not be '\(name)'"] }
            var problems: [String] = []
            if name.utf8.contains(UInt8(ascii: "/")) { problems.append("may not contain '/'") }
            if name.utf8.contains(UInt8(ascii: "%")) { problems.append("may not contain '%'") }
            return problems
        }
    }

    /// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
    static func isLabel(_ bytes: some BidirectionalCollection<UInt8>) -> Bool {
        func alphanumeric(_ c: UInt8) -> Bool {
            (c >= UInt8(ascii: "a") && c <= UInt8(ascii: "z")) || (c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9"))
        }
        guard let first = bytes.first, let last = bytes.last, alphanumeric(first), alphanumeric(last) else { return false }
        return bytes.allSatisfy { alphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    /// `([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]`
    private static func isQualified(_ bytes: some BidirectionalCollection<UInt8>) -> Bool {
        func alphanumeric(_ c: UInt8) -> Bool {
            (c | 0x20 >= UInt8(ascii: "a") && c | 0x20 <= UInt8(ascii: "z")) || (c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9"))
        }
        guard let first = bytes.first, let last = bytes.last, alphanumeric(first), alphanumeric(last) else { return false }
        return bytes.allSatisfy { alphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".") }
    }

    /// Upstream: validation.IsQualifiedName.
    static func qualifiedNameProblems(_ text: String) -> [String] {
        // Nearly all names have no prefix and are in order: found out without a copy.
        if text.utf8.count <= labelMaximum, isQualified(text.utf8) { return [] }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let pattern =
            "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
            + "character (e.g. 'MyName',  or 'my.name',  "
            + "or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        var problems: [String] = []
        let name: Substring
        switch parts.count {
        case 1: name = parts[0]
        case 2:
            name = parts[1]
            if parts[0].isEmpty {
                problems.append("prefix part must be non-empty")
            } else {
                problems += Names.problems(String(parts[0]), .dnsSubdomain).map { "prefix part \($0)" }
            }
        default:
            return [
                "a qualified name \(pattern) with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ]
        }
        if name.isEmpty {
            problems.append("name part must be non-empty")
        } else if name.utf8.count > labelMaximum {
            problems.append("name part must be no more than \(labelMaximum) bytes")
        }
        if !isQualified(name.utf8) { problems.append("name part \(pattern)") }
        return problems
    }

    /// Upstream: validation.IsValidLabelValue.
    static func labelValueProblems(_ text: String) -> [String] {
        var problems = text.utf8.count > labelMaximum ? ["must be no more than \(labelMaximum) bytes"] : []
        if !text.isEmpty, !isQualified(text.utf8) {
            problems.append(
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
                    + "start and end with an alphanumeric character "
                    + "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')")
        }
        return problems
    }
}
