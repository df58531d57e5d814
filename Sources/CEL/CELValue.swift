package import KubeAPI

/// A value of the language. JSON is wrapped, not copied: a list or map of an object's bytes is a cursor into them.
/// Upstream: github.com/google/cel-go/common/types/ref.Val.
package enum CELValue: Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case double(Double)
    case string(String)
    case bytes([UInt8])
    /// Nanoseconds.
    case duration(Int64)
    case timestamp(CELTimestamp)
    case list(CELList)
    case map(CELMap)
    /// Fields computed when asked for: `variables`, `request`.
    case object(any CELFields)
    case optional(CELOptional)
    case type(CELType)
    /// A value of a library's own type: a URL, a quantity, an authorizer.
    case opaque(any CELOpaque)
}

/// The fields of an object that is not JSON.
package protocol CELFields: AnyObject, Sendable {
    var typeName: String { get }
    /// The field's value; nil when it is not set. `evaluation` is charged for what computing it costs.
    func value(of field: String, _ evaluation: CELEvaluation) throws(CELError) -> CELValue?
}

/// A value of a library's own type.
package protocol CELOpaque: Sendable {
    var celType: CELType { get }
    func isEqual(_ other: any CELOpaque) -> Bool
    /// Size for costs. Upstream: traits.Sizer of the type, 1 where it has none.
    var size: UInt64 { get }
}

extension CELOpaque { package var size: UInt64 { 1 } }

/// `optional.of(x)` or `optional.none()`.
package final class CELOptional: Sendable {
    package let value: CELValue?
    package init(_ value: CELValue?) { self.value = value }
}

/// A list: of values, or of JSON that is converted when an element is read.
package enum CELList: Sendable {
    case values([CELValue])
    case json([JSONView], CELSchema, CELSchema.ListKind)
    case tree([Value], CELSchema, CELSchema.ListKind)

    package var count: Int {
        switch self {
        case .values(let values): values.count
        case .json(let views, _, _): views.count
        case .tree(let values, _, _): values.count
        }
    }

    /// The element at `index`, which must be in range; null otherwise.
    package subscript(index: Int) -> CELValue {
        switch self {
        case .values(let values): values.indices.contains(index) ? values[index] : .null
        case .json(let views, let items, _): views.indices.contains(index) ? CELValue(views[index], items) : .null
        case .tree(let values, let items, _): values.indices.contains(index) ? CELValue(values[index], items) : .null
        }
    }

    package var values: [CELValue] {
        if case .values(let values) = self { return values }
        return (0..<count).map { self[$0] }
    }

    var kind: CELSchema.ListKind {
        switch self {
        case .values: .atomic
        case .json(_, _, let kind), .tree(_, _, let kind): kind
        }
    }
}

extension CELValue {
    package static func list(_ values: [CELValue]) -> CELValue { .list(.values(values)) }
    package static func strings(_ values: some Sequence<String>) -> CELValue { .list(.values(values.map { .string($0) })) }

    /// A value in an object's bytes, seen by its schema. What does not fit the schema is seen as the JSON it is.
    package init(_ view: JSONView, _ schema: CELSchema = .any) {
        switch view.kind {
        case .null: self = .null
        case .true: self = .bool(true)
        case .false: self = .bool(false)
        case .integer:
            if case .number = schema.shape { self = .double(view.double ?? 0) } else { self = view.int.map { .int($0) } ?? .double(view.double ?? 0) }
        case .double:
            if schema.type == .int, let int = view.int { self = .int(int) } else { self = .double(view.double ?? 0) }
        case .string, .escapedString: self = Self.text(view.string ?? "", schema)
        case .array:
            let (items, kind) = schema.items
            self = .list(.json(Array(view.elements), items, kind))
        case .object: self = .map(.json(view, schema))
        }
    }

    /// A JSON tree, seen by its schema.
    package init(_ value: Value, _ schema: CELSchema = .any) {
        switch value {
        case .null: self = .null
        case .bool(let flag): self = .bool(flag)
        case .int(let number): if case .number = schema.shape { self = .double(Double(number)) } else { self = .int(number) }
        case .double(let number):
            if schema.type == .int, let int = Int64(exactly: number) { self = .int(int) } else { self = .double(number) }
        case .string(let text): self = Self.text(text, schema)
        case .array(let values):
            let (items, kind) = schema.items
            self = .list(.tree(values, items, kind))
        case .object(let members): self = .map(.tree(members, schema))
        }
    }

    private static func text(_ text: String, _ schema: CELSchema) -> CELValue {
        switch schema.shape {
        case .base64: Base64.decodeLoosely(text).map { .bytes($0) } ?? .string(text)
        case .timestamp: CELTimestamp(text).map { .timestamp($0) } ?? CELTimestamp(date: text).map { .timestamp($0) } ?? .string(text)
        case .duration: CELDuration.parse(text).map { .duration($0) } ?? .string(text)
        default: .string(text)
        }
    }

    /// The bool of a `bool`; nil for any other value.
    package var bool: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    /// The text of a `string`; nil for any other value.
    package var string: String? { if case .string(let text) = self { text } else { nil } }

    /// The value's type. A list or map of dyn.
    package var type: CELType {
        switch self {
        case .null: .null
        case .bool: .bool
        case .int: .int
        case .uint: .uint
        case .double: .double
        case .string: .string
        case .bytes: .bytes
        case .duration: .duration
        case .timestamp: .timestamp
        case .list: .list(.dyn)
        case .map(let map): map.objectType.map { .object($0) } ?? .map(.dyn, .dyn)
        case .object(let fields): .opaque(fields.typeName)
        case .optional: .optional(.dyn)
        case .type: .type(nil)
        case .opaque(let value): value.celType
        }
    }
}

extension CELSchema {
    /// The schema of a list's elements and the list's kind; of anything else that of unknown JSON.
    var items: (CELSchema, ListKind) { if case .list(let items, let kind) = shape { (items, kind) } else { (.any, .atomic) } }
}
