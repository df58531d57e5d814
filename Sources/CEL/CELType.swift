/// The type of an expression, as the checker sees it. Upstream: github.com/google/cel-go/common/types.Type.
package indirect enum CELType: Sendable, Hashable, CustomStringConvertible {
    case dyn
    /// The type of an expression that did not check; assignable to everything, so that one mistake is told once.
    case error
    case null, bool, int, uint, double, string, bytes, duration, timestamp
    case list(CELType)
    case map(CELType, CELType)
    /// An object with declared fields.
    case object(CELObjectType)
    case optional(CELType)
    /// The type of types; nil is the bare `type`.
    case type(CELType?)
    /// A library's own type by its name: `kubernetes.URL`, `net.IP`.
    case opaque(String)
    /// A type variable of a function's declaration, or a fresh one of the checker.
    case parameter(String)

    /// The type as cel-go's messages print it.
    package var description: String {
        switch self {
        case .dyn: "dyn"
        case .error: "!error!"
        case .null: "null"
        case .bool: "bool"
        case .int: "int"
        case .uint: "uint"
        case .double: "double"
        case .string: "string"
        case .bytes: "bytes"
        case .duration: "google.protobuf.Duration"
        case .timestamp: "google.protobuf.Timestamp"
        case .list(let element): "list(\(element))"
        case .map(let key, let value): "map(\(key), \(value))"
        case .object(let object): object.name
        case .optional(let wrapped): "optional_type(\(wrapped))"
        case .type(let type): type.map { "type(\($0))" } ?? "type"
        case .opaque(let name): name
        case .parameter(let name): name
        }
    }

    /// What `type(x)` prints and compares: without parameters.
    var runtimeName: String {
        switch self {
        case .null: "null_type"
        case .list: "list"
        case .map: "map"
        case .optional: "optional_type"
        case .type: "type"
        default: description
        }
    }
}

/// An object type: a name, by which it is equal, and fields that are looked up when asked for, so that a schema that refers to itself, or one of
/// thousands of fields, costs nothing until used. Upstream: k8s.io/apiserver/pkg/cel.DeclType of an object.
package final class CELObjectType: Sendable, Hashable {
    package let name: String
    private let lookUp: @Sendable (String) -> CELSchema?

    package init(name: String, fields: @escaping @Sendable (String) -> CELSchema?) {
        self.name = name
        lookUp = fields
    }

    /// Fields by the names that expressions use (see `CELIdentifier.escape`).
    package convenience init(name: String, fields: [String: CELSchema]) { self.init(name: name) { fields[$0] } }

    package func field(_ name: String) -> CELSchema? { lookUp(name) }

    package static func == (a: CELObjectType, b: CELObjectType) -> Bool { a === b || a.name == b.name }
    package func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
