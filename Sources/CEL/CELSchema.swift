/// How a JSON value of a known shape is seen by expressions: its type, how its text is read (a date-time is a timestamp, bytes are Base64), how lists
/// compare, and how large it can be, for cost estimates. Upstream: k8s.io/apiserver/pkg/cel/common.SchemaDeclType with common.UnstructuredToVal.
package final class CELSchema: Sendable {
    /// How two lists compare and add up. Upstream: x-kubernetes-list-type.
    package enum ListKind: Sendable, Equatable {
        case atomic
        case set
        case map(keys: [String])
    }

    package enum Shape: Sendable {
        /// JSON of unknown shape, or a value of the type `type` that is not made of JSON.
        case any
        case scalar
        /// `format: byte`: Base64 text.
        case base64
        /// `format: date` and `date-time`.
        case timestamp
        case duration
        case number
        case list(CELSchema, ListKind)
        case map(CELSchema)
        case object(CELObjectType)
    }

    /// Limits of upstream's estimates. Upstream: k8s.io/apiserver/pkg/cel.limits.
    enum Limits {
        static let requestBytes: UInt64 = 3 * 1024 * 1024
        static let durationSize: UInt64 = 32
        static let datetimeSize: UInt64 = 32
        static let dateSize: UInt64 = 10
    }

    package let type: CELType
    package let shape: Shape
    /// The most bytes of a string, elements of a list, or entries of a map; nil where size means nothing.
    package let maxElements: UInt64?
    /// The fewest bytes the value takes as JSON.
    package let minSerializedSize: UInt64

    init(_ type: CELType, _ shape: Shape, maxElements: UInt64? = nil, minSerializedSize: UInt64) {
        self.type = type
        self.shape = shape
        self.maxElements = maxElements
        self.minSerializedSize = minSerializedSize
    }

    /// JSON of any shape: `dyn`.
    package static let any = CELSchema(.dyn, .any, minSerializedSize: 1)
    package static let boolean = CELSchema(.bool, .scalar, minSerializedSize: 4)
    package static let integer = CELSchema(.int, .scalar, minSerializedSize: 1)
    /// A JSON number: always a double, also without a fraction.
    package static let number = CELSchema(.double, .number, minSerializedSize: 1)
    /// x-kubernetes-int-or-string.
    package static let intOrString = CELSchema(.dyn, .any, maxElements: Limits.requestBytes - 2, minSerializedSize: 1)

    /// A value of `type` that does not come from JSON, such as a variable of a policy.
    package static func plain(_ type: CELType) -> CELSchema { CELSchema(type, .any, minSerializedSize: 1) }

    /// A string. `maxLength` is in code points, as in the schema; `enumeration` holds its allowed values.
    package static func string(format: String = "", maxLength: Int64? = nil, enumeration: [String] = []) -> CELSchema {
        let given = maxLength.map { UInt64(max($0, 0)) }
        switch format {
        case "byte": return CELSchema(.bytes, .base64, maxElements: given ?? Limits.requestBytes - 2, minSerializedSize: 2)
        case "duration": return CELSchema(.duration, .duration, maxElements: Limits.durationSize, minSerializedSize: 3)
        case "date": return CELSchema(.timestamp, .timestamp, maxElements: Limits.dateSize, minSerializedSize: 12)
        case "date-time": return CELSchema(.timestamp, .timestamp, maxElements: Limits.datetimeSize, minSerializedSize: 22)
        default: break
        }
        var longest = Limits.requestBytes - 2
        if let given {
            // A code point takes up to four bytes.
            longest = given.multipliedReportingOverflow(by: 4).overflow ? .max : given * 4
        } else if !enumeration.isEmpty {
            longest = UInt64(enumeration.map(\.utf8.count).max() ?? 0)
        }
        return CELSchema(.string, .scalar, maxElements: longest, minSerializedSize: 2)
    }

    package static func list(_ items: CELSchema, maxItems: Int64? = nil, kind: ListKind = .atomic) -> CELSchema {
        let most = maxItems.map { UInt64(max($0, 0)) } ?? (Limits.requestBytes - 2) / (items.minSerializedSize &+ 1)
        return CELSchema(.list(items.type), .list(items, kind), maxElements: most, minSerializedSize: 2)
    }

    package static func map(_ values: CELSchema, maxProperties: Int64? = nil) -> CELSchema {
        // A key takes at least two quotes, a colon, a comma and, to differ, some bytes: upstream counts six.
        let most = maxProperties.map { UInt64(max($0, 0)) } ?? (Limits.requestBytes - 2) / (values.minSerializedSize &+ 6)
        return CELSchema(.map(.string, values.type), .map(values), maxElements: most, minSerializedSize: 2)
    }

    /// An object whose fields are looked up lazily. Values are read by the JSON name, `CELIdentifier.unescape` of the field's.
    package static func object(_ type: CELObjectType, minSerializedSize: UInt64 = 2) -> CELSchema {
        CELSchema(.object(type), .object(type), minSerializedSize: minSerializedSize)
    }

    /// An object of these properties by their JSON names; names that no expression can write are left out, as upstream does.
    /// `required` without a default count for the smallest serialization. `name` must be unique within an environment.
    package static func object(name: String, properties: [String: CELSchema], required: Set<String> = []) -> CELSchema {
        var fields: [String: CELSchema] = [:]
        var size: UInt64 = 2
        for (property, schema) in properties {
            if let field = CELIdentifier.escape(property) { fields[field] = schema }
            if required.contains(property) { size = size &+ UInt64(property.utf8.count) &+ schema.minSerializedSize &+ 4 }
        }
        return .object(CELObjectType(name: name, fields: fields), minSerializedSize: size)
    }
}

/// Names of JSON members as identifiers of the language. Upstream: k8s.io/apiserver/pkg/cel.Escape and Unescape.
package enum CELIdentifier {
    private static let reserved: Set<String> = [
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
        "namespace", "return", "var", "void", "while",
    ]

    /// The identifier for a member's name, nil when there is none: a name must start with a letter or `_` and hold only letters, digits and `_.-/`.
    package static func escape(_ name: String) -> String? {
        if reserved.contains(name) { return "__\(name)__" }
        let bytes = Array(name.utf8)
        guard let first = bytes.first,
            isLetter(first) || first == UInt8(ascii: "_") || first == UInt8(ascii: "-") || first == UInt8(ascii: "/")
                || first == UInt8(ascii: ".")
        else { return nil }
        var out = ""
        var at = 0
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "_") where at + 1 < bytes.count && bytes[at + 1] == UInt8(ascii: "_"):
                out += "__underscores__"
                at += 1
            case UInt8(ascii: "."): out += "__dot__"
            case UInt8(ascii: "-"): out += "__dash__"
            case UInt8(ascii: "/"): out += "__slash__"
            case let c where isLetter(c) || c == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(c):
                out.unicodeScalars.append(Unicode.Scalar(c))
            default: return nil
            }
            at += 1
        }
        return out
    }

    private static func isLetter(_ c: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(c) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(c)
    }

    private static let escapes: [(String, String)] = [
        ("__underscores__", "__"), ("__dot__", "."), ("__dash__", "-"), ("__slash__", "/"),
    ]

    /// The member's name of an identifier.
    package static func unescape(_ name: String) -> String {
        guard name.utf8.starts(with: "__".utf8) || name.contains("__") else { return name }
        if name.hasPrefix("__"), name.hasSuffix("__"), name.utf8.count > 4 {
            let inner = String(name.dropFirst(2).dropLast(2))
            if reserved.contains(inner) { return inner }
        }
        var out = ""
        var rest = Substring(name)
        outer: while !rest.isEmpty {
            if rest.hasPrefix("__") {
                for (escape, text) in escapes where rest.hasPrefix(escape) {
                    out += text
                    rest = rest.dropFirst(escape.count)
                    continue outer
                }
            }
            out.append(rest.removeFirst())
        }
        return out
    }
}
