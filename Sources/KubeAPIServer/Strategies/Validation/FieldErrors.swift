import KubeAPI

/// Rules of many fields. Their paths are built only where something is wrong: valid objects cost no text.
extension FieldErrors {
    /// A text that must be there.
    @discardableResult
    mutating func requireText(_ field: @autoclosure () -> String, _ view: JSONView?, _ message: String = "") -> String? {
        if let text = view.string, !text.isEmpty { return text }
        required(field(), message)
        return nil
    }

    /// Upstream: apimachineryvalidation.ValidateNonnegativeField.
    mutating func nonnegative(_ field: @autoclosure () -> String, _ view: JSONView?) {
        if let number = view.int, number < 0 { invalid(field(), .int(number), "must be greater than or equal to 0") }
    }

    /// A number between two bounds, both inclusive. Upstream: validation.InclusiveRangeError.
    mutating func range(_ field: @autoclosure () -> String, _ view: JSONView?, _ bounds: ClosedRange<Int64>) {
        if let number = view.int, !bounds.contains(number) {
            invalid(field(), .int(number), "must be between \(bounds.lowerBound) and \(bounds.upperBound), inclusive")
        }
    }

    /// Upstream: validation.IsValidUserID, IsValidGroupID.
    mutating func identity(_ field: @autoclosure () -> String, _ view: JSONView?) { range(field(), view, 0...Int64(Int32.max)) }

    /// Upstream: validation.ValidateImmutableField; nothing, null, and empty are the same.
    mutating func immutable(_ field: @autoclosure () -> String, _ new: JSONView?, _ old: JSONView?) {
        if let new, let old, new.rawBytes.elementsEqual(old.rawBytes) { return }
        let value = new.value ?? .null
        if value.pruned != (old.value ?? .null).pruned { invalid(field(), value, "field is immutable") }
    }

    /// Whether two members differ in what they say.
    static func differ(_ new: JSONView?, _ old: JSONView?) -> Bool {
        if let new, let old, new.rawBytes.elementsEqual(old.rawBytes) { return false }
        return (new.value ?? .null).pruned != (old.value ?? .null).pruned
    }

    /// A text that must be one of `supported`; a missing one is required when `isRequired`.
    mutating func oneOf(_ field: @autoclosure () -> String, _ view: JSONView?, _ supported: [String], isRequired: Bool = false) {
        guard let text = view.string, !text.isEmpty else {
            if isRequired { required(field()) }
            return
        }
        if !supported.contains(text) { notSupported(field(), text, supported) }
    }

    mutating func name(_ field: @autoclosure () -> String, _ text: String, _ rule: MetadataValidation.NameRule) {
        for problem in Names.problems(text, rule) { invalid(field(), .string(text), problem) }
    }

    /// A name that may be missing.
    mutating func optionalName(_ field: @autoclosure () -> String, _ view: JSONView?, _ rule: MetadataValidation.NameRule) {
        if let text = view.string, !text.isEmpty { name(field(), text, rule) }
    }

    /// A name that may not be missing.
    mutating func requiredName(_ field: @autoclosure () -> String, _ view: JSONView?, _ rule: MetadataValidation.NameRule) {
        if let text = requireText(field(), view) { name(field(), text, rule) }
    }

    /// Upstream: validation.ValidateQualifiedName, metav1validation.ValidateLabelName.
    mutating func qualifiedName(_ field: @autoclosure () -> String, _ text: String) {
        for problem in Names.qualifiedNameProblems(text) { invalid(field(), .string(text), problem) }
    }

    /// Labels of an object below the top, such as a pod template's. Upstream: metav1validation.ValidateLabels.
    mutating func labels(_ field: @autoclosure () -> String, _ labels: JSONView?) {
        guard let labels, !labels.isNull else { return }
        for (key, value) in labels.members {
            qualifiedName(field(), key)
            let text = value.string ?? ""
            for problem in Names.labelValueProblems(text) { invalid(field(), .string(text), problem) }
        }
    }

    mutating func port(_ field: @autoclosure () -> String, _ number: Int64) {
        if number < 1 || number > 65535 { invalid(field(), .int(number), "must be between 1 and 65535, inclusive") }
    }

    /// A port's number or name. Upstream: validation.ValidatePortNumOrName.
    mutating func portOrName(_ field: @autoclosure () -> String, _ view: JSONView?) {
        if let name = view.string { invalid(field(), name, PortNames.problems(name)) } else { port(field(), view.int ?? 0) }
    }

    /// A label selector's own form. Upstream: metav1validation.ValidateLabelSelector.
    mutating func labelSelector(_ field: @autoclosure () -> String, _ selector: JSONView?) {
        guard let selector = selector.present else { return }
        labels("\(field()).matchLabels", selector["matchLabels"])
        for (index, expression) in selector["matchExpressions"].elements.enumerated() {
            let path = "\(field()).matchExpressions[\(index)]"
            let values = expression["values"].strings
            switch expression["operator"].string {
            case "In", "NotIn": if values.isEmpty { required("\(path).values", "must be specified when `operator` is 'In' or 'NotIn'") }
            case "Exists", "DoesNotExist":
                if !values.isEmpty { forbidden("\(path).values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'") }
            case let other: invalid("\(path).operator", .string(other ?? ""), "not a valid selector operator")
            }
            qualifiedName("\(path).key", expression["key"].string ?? "")
            for (place, value) in values.enumerated() { invalid("\(path).values[\(place)]", value, Names.labelValueProblems(value)) }
        }
    }

    /// An absolute number or a percentage, as in rolling updates. Upstream: apps/validation.ValidatePositiveIntOrPercent.
    mutating func intOrPercent(_ field: @autoclosure () -> String, _ view: JSONView?) {
        guard let view = view.present else { return }
        if view.int != nil { return nonnegative(field(), view) }
        let text = view.string ?? ""
        if IntOrPercent.percent(text) == nil {
            invalid(
                field(), .string(text),
                "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
                    + "regex used for validation is '[0-9]+%')"
            )
        }
    }

    /// Upstream: apps/validation.IsNotMoreThan100Percent.
    mutating func notMoreThanAll(_ field: @autoclosure () -> String, _ view: JSONView?) {
        if let text = view.string, let percent = IntOrPercent.percent(text), percent > 100 {
            invalid(field(), .string(text), "must not be greater than 100%")
        }
    }

    /// Conditions of the common kind. Upstream: metav1validation.ValidateConditions.
    mutating func conditions(_ field: String, _ view: JSONView?) {
        var seen: Set<String> = []
        for (index, condition) in view.elements.enumerated() {
            let place = "\(field)[\(index)]"
            let type = condition["type"].string ?? ""
            if !seen.insert(type).inserted { duplicate("\(place).type", .string(type)) }
            qualifiedName("\(place).type", type)
            let status = condition["status"].string ?? ""
            if !["False", "True", "Unknown"].contains(status) { notSupported("\(place).status", status, ["False", "True", "Unknown"]) }
            if let generation = condition["observedGeneration"].int, generation < 0 {
                invalid("\(place).observedGeneration", .int(generation), "must be greater than or equal to zero")
            }
            requireText("\(place).lastTransitionTime", condition["lastTransitionTime"], "must be set")
            requireText("\(place).reason", condition["reason"], "must be set")
        }
    }
}

/// Percentages such as `25%`. Upstream: validation.IsValidPercent, apps/validation.getIntOrPercentValue.
enum IntOrPercent {
    /// Nil for what is no percentage.
    static func percent(_ text: String) -> Int64? {
        guard text.utf8.last == UInt8(ascii: "%"), text.utf8.count > 1 else { return nil }
        let digits = text.dropLast()
        guard digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else { return nil }
        return Int64(digits) ?? .max
    }

    /// The number, or that before the percent sign; 0 for what is neither.
    static func value(_ view: JSONView?) -> Int64 { view.int ?? view.string.flatMap(percent) ?? view.string.flatMap { Int64($0) } ?? 0 }
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
    /// The text, or nothing.
    var text: String { string ?? "" }
    /// Whether a list or an object has anything in it.
    var hasElements: Bool {
        guard let view = self else { return false }
        return view.elements.makeIterator().hasNext || view.members.makeIterator().hasNext
    }
}

extension JSONView.JSONElements {
    var hasNext: Bool {
        var copy = self
        return copy.next() != nil
    }
}

extension JSONView.JSONMembers {
    var hasNext: Bool {
        var copy = self
        return copy.next() != nil
    }
}

extension JSONView {
    var present: JSONView? { isNull ? nil : self }
    var text: String { string ?? "" }
}
