import KubeAPI

/// Collects what validation finds, in upstream's words. Upstream: field.ErrorList with the constructors of package field.
struct FieldErrors {
    private(set) var causes: [StatusError.Cause] = []

    mutating func required(_ field: String, _ message: String = "") { causes.append(MetadataValidation.required(field, message)) }

    mutating func invalid(_ field: String, _ value: Value, _ message: String) { causes.append(MetadataValidation.invalid(field, value, message)) }

    mutating func notSupported(_ field: String, _ value: String, _ supported: [String]) {
        let list = supported.map(\.goQuoted).joined(separator: ", ")
        causes.append(
            StatusError.Cause(
                reason: "FieldValueNotSupported", message: "Unsupported value: \(value.goQuoted): supported values: \(list)", field: field))
    }

    mutating func duplicate(_ field: String, _ value: Value) {
        let shown = if case .string(let text) = value { text.goQuoted } else { value.jsonString }
        causes.append(StatusError.Cause(reason: "FieldValueDuplicate", message: "Duplicate value: \(shown)", field: field))
    }

    mutating func forbidden(_ field: String, _ message: String) {
        causes.append(StatusError.Cause(reason: "FieldValueForbidden", message: "Forbidden: \(message)", field: field))
    }

    mutating func notFound(_ field: String, _ value: String) {
        causes.append(StatusError.Cause(reason: "FieldValueNotFound", message: "Not found: \(value.goQuoted)", field: field))
    }

    mutating func tooLong(_ field: String, maximum: Int) {
        causes.append(StatusError.Cause(reason: "FieldValueTooLong", message: "Too long: may not be more than \(maximum) bytes", field: field))
    }

    mutating func tooMany(_ field: String, _ count: Int, maximum: Int) {
        causes.append(StatusError.Cause(reason: "FieldValueTooMany", message: "Too many: \(count): must have at most \(maximum) items", field: field))
    }

    mutating func append(_ more: [StatusError.Cause]) { causes += more }

    // MARK: Rules of many fields

    /// Upstream: apimachineryvalidation.ValidateNonnegativeField.
    mutating func nonnegative(_ field: String, _ view: JSONView?) {
        if let number = view.int, number < 0 { invalid(field, .int(number), "must be greater than or equal to 0") }
    }

    /// Upstream: validation.ValidateImmutableField; nothing, null, and empty are the same.
    mutating func immutable(_ field: String, _ new: JSONView?, _ old: JSONView?) {
        let value = new.value ?? .null
        if value.pruned != (old.value ?? .null).pruned { invalid(field, value, "field is immutable") }
    }

    /// A text that must be one of `supported`; a missing one is required when `isRequired`.
    mutating func oneOf(_ field: String, _ view: JSONView?, _ supported: [String], isRequired: Bool = false) {
        guard let text = view.string, !text.isEmpty else {
            if isRequired { required(field) }
            return
        }
        if !supported.contains(text) { notSupported(field, text, supported) }
    }

    mutating func name(_ field: String, _ text: String, _ rule: MetadataValidation.NameRule) {
        for problem in Names.problems(text, rule) { invalid(field, .string(text), problem) }
    }

    /// Labels of an object below the top, such as a pod template's. Upstream: metav1validation.ValidateLabels.
    mutating func labels(_ field: String, _ labels: [String: String]) {
        for (key, value) in labels.sorted(by: { $0.key < $1.key }) {
            for problem in Names.qualifiedNameProblems(key) { invalid(field, .string(key), problem) }
            for problem in Names.labelValueProblems(value) { invalid(field, .string(value), problem) }
        }
    }

    mutating func port(_ field: String, _ number: Int64) {
        if number < 1 || number > 65535 { invalid(field, .int(number), "must be between 1 and 65535, inclusive") }
    }

    /// A label selector's own form. Upstream: metav1validation.ValidateLabelSelector.
    mutating func labelSelector(_ field: String, _ selector: JSONView?) {
        labels("\(field).matchLabels", selector["matchLabels"].stringMap)
        for (index, expression) in selector["matchExpressions"].elements.enumerated() {
            let path = "\(field).matchExpressions[\(index)]"
            let values = expression["values"].strings
            switch expression["operator"].string {
            case "In", "NotIn": if values.isEmpty { required("\(path).values", "must be specified when `operator` is 'In' or 'NotIn'") }
            case "Exists", "DoesNotExist":
                if !values.isEmpty { forbidden("\(path).values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'") }
            case let other: invalid("\(path).operator", .string(other ?? ""), "not a valid selector operator")
            }
            for problem in Names.qualifiedNameProblems(expression["key"].string ?? "") {
                invalid("\(path).key", .string(expression["key"].string ?? ""), problem)
            }
            for (place, value) in values.enumerated() {
                for problem in Names.labelValueProblems(value) { invalid("\(path).values[\(place)]", .string(value), problem) }
            }
        }
    }

    /// An absolute number or a percentage, as in rolling updates. Upstream: apps/validation.ValidatePositiveIntOrPercent.
    mutating func intOrPercent(_ field: String, _ view: JSONView?, maximumPercent: Int64? = nil) {
        guard let view, !view.isNull else { return }
        if let number = view.int {
            if number < 0 { invalid(field, .int(number), "must be greater than or equal to 0") }
            return
        }
        let text = view.string ?? ""
        guard text.hasSuffix("%"), let percent = Int64(text.dropLast()), percent >= 0 else {
            invalid(
                field, .string(text),
                "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
            )
            return
        }
        if let maximumPercent, percent > maximumPercent { invalid(field, .string(text), "must not be greater than \(maximumPercent)%") }
    }
}

extension Value {
    /// Without members and elements that say nothing: nulls, empty lists and empty objects. What differs only in those is the same to the API.
    var pruned: Value {
        switch self {
        case .object(let members):
            let kept = members.map { ($0.0, $0.1.pruned) }.filter { !$0.1.saysNothing }
            return kept.isEmpty ? .null : .object(Members(kept))
        case .array(let items): return items.isEmpty ? .null : .array(items.map(\.pruned))
        default: return self
        }
    }

    private var saysNothing: Bool { self == .null }
}

extension Optional where Wrapped == JSONView {
    /// The value, unless it is an explicit null.
    var present: JSONView? { flatMap { $0.isNull ? nil : $0 } }
}

extension JSONView {
    var present: JSONView? { isNull ? nil : self }
}
