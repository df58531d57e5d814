/// Collects what validation finds, in upstream's words. Upstream: field.ErrorList with the constructors of package field.
package struct FieldErrors {
    /// Errors kept of one object. A body has room for a million elements that are each wrong in several ways, and nobody reads on after a thousand.
    package static let limit = 1_000

    package private(set) var causes: [StatusError.Cause] = []

    package init() {}

    private mutating func add(_ cause: @autoclosure () -> StatusError.Cause) {
        guard causes.count < Self.limit else { return }
        causes.append(cause())
    }

    /// Something that must be there is not. Upstream: field.Required.
    package mutating func required(_ field: String, _ message: String = "") { add(.required(field, message)) }

    /// A value that may not be. Upstream: field.Invalid.
    package mutating func invalid(_ field: String, _ value: Value, _ message: String) { add(.invalid(field, value, message)) }

    /// A value that is none of `supported`, which stand in upstream's order: sets.List sorts, literal lists keep theirs. Upstream: field.NotSupported.
    package mutating func notSupported(_ field: String, _ value: String, _ supported: [String]) {
        let list = supported.map(\.goQuoted).joined(separator: ", ")
        add(
            StatusError.Cause(
                reason: "FieldValueNotSupported", message: "Unsupported value: \(value.goQuoted): supported values: \(list)", field: field))
    }

    /// A value that stands there a second time. Upstream: field.Duplicate.
    package mutating func duplicate(_ field: String, _ value: Value, _ detail: String = "") {
        let shown = if case .string(let text) = value { text.goQuoted } else { value.jsonString }
        let text = "Duplicate value: \(shown)" + (detail.isEmpty ? "" : ": \(detail)")
        add(StatusError.Cause(reason: "FieldValueDuplicate", message: text, field: field))
    }

    /// Something that must not be there. Upstream: field.Forbidden.
    package mutating func forbidden(_ field: String, _ message: String) {
        add(StatusError.Cause(reason: "FieldValueForbidden", message: "Forbidden: \(message)", field: field))
    }

    /// What a value names is not there. Upstream: field.NotFound.
    package mutating func notFound(_ field: String, _ value: String, _ detail: String = "") {
        let text = "Not found: \(value.goQuoted)" + (detail.isEmpty ? "" : ": \(detail)")
        add(StatusError.Cause(reason: "FieldValueNotFound", message: text, field: field))
    }

    /// Upstream: field.InternalError.
    package mutating func internalError(_ field: String, _ message: String) {
        add(StatusError.Cause(reason: "InternalError", message: "Internal error: \(message)", field: field))
    }

    /// A text of more than `maximum` bytes. Upstream: field.TooLong.
    package mutating func tooLong(_ field: String, maximum: Int) {
        add(
            StatusError.Cause(
                reason: "FieldValueTooLong", message: "Too long: may not be more than \(maximum) \(maximum == 1 ? "byte" : "bytes")", field: field))
    }

    /// A list of more than `maximum` elements. Upstream: field.TooMany.
    package mutating func tooMany(_ field: String, _ count: Int, maximum: Int) {
        add(
            StatusError.Cause(
                reason: "FieldValueTooMany", message: "Too many: \(count): must have at most \(maximum) \(maximum == 1 ? "item" : "items")",
                field: field))
    }

    /// What was found elsewhere.
    package mutating func append(_ more: [StatusError.Cause]) { causes += more.prefix(max(0, Self.limit - causes.count)) }

    package var isEmpty: Bool { causes.isEmpty }

    /// An invalid value that is not shown. Upstream: field.Invalid with field.OmitValueType.
    package mutating func invalid(_ field: String, _ message: String) {
        add(StatusError.Cause(reason: "FieldValueInvalid", message: "Invalid value: \(message)", field: field))
    }

    /// One `invalid` for each problem of a text.
    package mutating func invalid(_ field: @autoclosure () -> String, _ text: String, _ problems: [String]) {
        for problem in problems { invalid(field(), .string(text), problem) }
    }

    /// One `invalid` for a text.
    package mutating func invalid(_ field: String, text: String, _ message: String) { invalid(field, .string(text), message) }
}

extension StatusError.Cause {
    /// A value that may not be. Upstream: field.Invalid.
    package static func invalid(_ field: String, _ value: Value, _ message: String) -> StatusError.Cause {
        let shown = if case .string(let text) = value { text.goQuoted } else { value.jsonString }
        return StatusError.Cause(reason: "FieldValueInvalid", message: "Invalid value: \(shown): \(message)", field: field)
    }

    /// Something that must be there is not. Upstream: field.Required.
    package static func required(_ field: String, _ message: String) -> StatusError.Cause {
        StatusError.Cause(reason: "FieldValueRequired", message: message.isEmpty ? "Required value" : "Required value: \(message)", field: field)
    }
}
