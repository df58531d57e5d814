import KubeAPI

/// The OpenAPI v2 document in protobuf, the only form in which kubectl reads it when the third version does not tell what it must know. Members that
/// this server's own document does not have are not looked for. Upstream: gnostic's openapi.v2.Document, as kube-openapi's handler writes it.
struct OpenAPIv2Protobuf {
    /// What clients ask for, and, because a media type must not have `@`, what they are told they got.
    static let requested = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    static let contentType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

    /// Schemas nested deeper than this are left open: definitions are flat but for custom resources, whose depth their own limits bound.
    private static let maximumDepth = 256

    /// Whether the header asks for this form before JSON.
    static func isRequested(_ accept: String) -> Bool {
        for range in accept.split(separator: ",") {
            let type = range.split(separator: ";").first.map { $0.filter { $0 != " " } } ?? ""
            if type == requested || type == contentType { return true }
            if type == "application/json" || type == "*/*" || type == "application/*" { return false }
        }
        return false
    }

    /// The bytes of a document as `OpenAPIv2` makes it.
    static func encode(_ document: Value) -> [UInt8] {
        var out = Message()
        out.string(1, document["swagger"])
        out.message(2) { info in
            info.string(1, document[path: "info", "title"])
            info.string(2, document[path: "info", "version"])
        }
        out.message(8) { paths in
            for (name, item) in document["paths"]?.object ?? Members() { paths.named(2, name) { pathItem(item, &$0) } }
        }
        out.message(9) { definitions in
            for (name, schema) in document["definitions"]?.object ?? Members() { definitions.named(1, name) { self.schema(schema, &$0, 0) } }
        }
        for requirement in document["security"]?.array ?? [] {
            out.message(12) { message in
                for (name, scopes) in requirement.object ?? Members() { message.named(1, name) { $0.strings(1, scopes) } }
            }
        }
        out.message(13) { definitions in
            for (name, item) in document["securityDefinitions"]?.object ?? Members() where item["type"]?.string == "apiKey" {
                definitions.named(1, name) { definition in
                    definition.message(2) { key in
                        for (number, field) in [(1, "type"), (2, "name"), (3, "in"), (4, "description")] { key.string(number, item[field]) }
                    }
                }
            }
        }
        return out.bytes
    }

    private static let methods = [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (6, "options"), (7, "head"), (8, "patch")]

    private static func pathItem(_ item: Value, _ out: inout Message) {
        for (number, method) in methods {
            guard let operation = item[method] else { continue }
            out.message(number) { self.operation(operation, &$0) }
        }
        for parameter in item["parameters"]?.array ?? [] { out.message(9) { self.parameter(parameter, &$0) } }
    }

    private static func operation(_ operation: Value, _ out: inout Message) {
        out.strings(1, operation["tags"])
        out.string(2, operation["summary"])
        out.string(3, operation["description"])
        out.string(5, operation["operationId"])
        out.strings(6, operation["produces"])
        out.strings(7, operation["consumes"])
        for parameter in operation["parameters"]?.array ?? [] { out.message(8) { self.parameter(parameter, &$0) } }
        out.message(9) { responses in
            for (code, response) in operation["responses"]?.object ?? Members() {
                responses.named(1, code) { value in
                    value.message(1) { message in
                        message.string(1, response["description"])
                        if let schema = response["schema"] { message.message(2) { $0.message(1) { self.schema(schema, &$0, 0) } } }
                    }
                }
            }
        }
        out.strings(10, operation["schemes"])
        out.bool(11, operation["deprecated"])
        extensions(13, operation, &out)
    }

    /// A ParametersItem: a body, or a parameter of the path, the query or the header fields.
    private static func parameter(_ parameter: Value, _ out: inout Message) {
        out.message(1) { message in
            if parameter["in"]?.string == "body" {
                message.message(1) { body in
                    for (number, field) in [(1, "description"), (2, "name"), (3, "in")] { body.string(number, parameter[field]) }
                    body.bool(4, parameter["required"])
                    if let schema = parameter["schema"] { body.message(5) { self.schema(schema, &$0, 0) } }
                }
                return
            }
            let place = parameter["in"]?.string
            let isQuery = place == "query"
            message.message(2) { other in
                other.message(isQuery ? 3 : place == "path" ? 4 : 1) { fields in
                    fields.bool(1, parameter["required"])
                    for (number, field) in [(2, "in"), (3, "description"), (4, "name")] { fields.string(number, parameter[field]) }
                    // Those of the query have one more field before these: allowEmptyValue.
                    fields.string(isQuery ? 6 : 5, parameter["type"])
                    fields.string(isQuery ? 7 : 6, parameter["format"])
                    fields.bool(isQuery ? 20 : 19, parameter["uniqueItems"])
                }
            }
        }
    }

    private static let strings = [(1, "$ref"), (2, "format"), (3, "title"), (4, "description"), (13, "pattern"), (26, "discriminator")]
    private static let numbers = [(6, "multipleOf"), (7, "maximum"), (9, "minimum")]
    private static let flags = [(8, "exclusiveMaximum"), (10, "exclusiveMinimum"), (16, "uniqueItems"), (27, "readOnly")]
    private static let lengths = [
        (11, "maxLength"), (12, "minLength"), (14, "maxItems"), (15, "minItems"), (17, "maxProperties"), (18, "minProperties"),
    ]

    private static func schema(_ schema: Value, _ out: inout Message, _ depth: Int) {
        guard depth < maximumDepth else { return }
        for (number, field) in strings { out.string(number, schema[field]) }
        for (number, field) in numbers { out.double(number, schema[field]) }
        for (number, field) in flags { out.bool(number, schema[field]) }
        for (number, field) in lengths { out.integer(number, schema[field]) }
        out.strings(19, schema["required"])
        for value in schema["enum"]?.array ?? [] { out.message(20) { $0.any(value) } }
        if let value = schema["default"] { out.message(5) { $0.any(value) } }
        if let value = schema["example"] { out.message(30) { $0.any(value) } }
        if let more = schema["additionalProperties"] {
            out.message(21) { item in
                if more.bool != nil { item.bool(2, more) } else { item.message(1) { self.schema(more, &$0, depth + 1) } }
            }
        }
        if let type = schema["type"] { out.message(22) { $0.strings(1, type.array == nil ? .array([type]) : type) } }
        if let items = schema["items"] { out.message(23) { $0.message(1) { self.schema(items, &$0, depth + 1) } } }
        for part in schema["allOf"]?.array ?? [] { out.message(24) { self.schema(part, &$0, depth + 1) } }
        if let properties = schema["properties"]?.object {
            out.message(25) { message in
                for (name, property) in properties { message.named(1, name) { self.schema(property, &$0, depth + 1) } }
            }
        }
        extensions(31, schema, &out)
    }

    private static func extensions(_ number: Int, _ value: Value, _ out: inout Message) {
        for (name, item) in value.object ?? Members() where name.hasPrefix("x-") { out.named(number, name) { $0.any(item) } }
    }

    /// A message in the making. What is empty, zero or false is left out, as proto3 has it; messages are written even when empty.
    private struct Message {
        var bytes: [UInt8] = []

        private mutating func varint(_ value: UInt64) {
            var rest = value
            while rest >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            bytes.append(UInt8(truncatingIfNeeded: rest))
        }

        private mutating func tag(_ number: Int, wire: UInt64) { varint(UInt64(truncatingIfNeeded: number) << 3 | wire) }

        private mutating func delimited(_ number: Int, _ content: some Collection<UInt8>) {
            tag(number, wire: 2)
            varint(UInt64(content.count))
            bytes.append(contentsOf: content)
        }

        mutating func string(_ number: Int, _ value: Value?) {
            if let text = value?.string, !text.isEmpty { delimited(number, text.utf8) }
        }

        mutating func strings(_ number: Int, _ value: Value?) {
            for text in value?.array ?? [] { delimited(number, (text.string ?? "").utf8) }
        }

        mutating func bool(_ number: Int, _ value: Value?) {
            guard value?.bool == true else { return }
            tag(number, wire: 0)
            bytes.append(1)
        }

        mutating func integer(_ number: Int, _ value: Value?) {
            guard let integer = value?.int, integer != 0 else { return }
            tag(number, wire: 0)
            varint(UInt64(bitPattern: integer))
        }

        mutating func double(_ number: Int, _ value: Value?) {
            guard let double = value?.double, double != 0 else { return }
            tag(number, wire: 1)
            for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: double.bitPattern >> shift)) }
        }

        mutating func message(_ number: Int, _ write: (inout Message) -> Void) {
            var inner = Message()
            write(&inner)
            delimited(number, inner.bytes)
        }

        /// An entry of what is a map in JSON: its name and its value.
        mutating func named(_ number: Int, _ name: String, _ write: (inout Message) -> Void) {
            message(number) { entry in
                entry.string(1, .string(name))
                entry.message(2, write)
            }
        }

        /// gnostic's Any holds YAML, and JSON is that.
        mutating func any(_ value: Value) { delimited(2, value.jsonBytes) }
    }
}
