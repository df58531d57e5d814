/// What becomes of fields that a type does not have and of keys that stand twice. Upstream: metav1.FieldValidation.
package enum FieldValidation: String, Sendable {
    case strict = "Strict"
    case warn = "Warn"
    case ignore = "Ignore"
}

/// Reads JSON as an object of a schema type, as Go's typed decoding does: unknown fields are dropped (and told), nulls vanish, quantities and times
/// take their canonical form, a value of the wrong type is an error in Go's words. Upstream: the strict JSON serializer of k8s.io/apimachinery.
package struct ObjectDecoder {
    /// Problems told of one object at most; an attacker's body of junk keys must not grow the answer. Upstream: strictErrorsLimit.
    package static let problemLimit = 100

    private let table: SchemaTable
    private let validation: FieldValidation
    private var path: [Step] = []
    /// Unknown and duplicate fields, in the order met.
    private var problems: [String] = []

    private enum Step {
        case field(String)
        case index(Int)
        case key(String)
    }

    /// A decoding that failed, with the text Go's decoder gives.
    private struct Mismatch: Error { var text: String }

    private init(_ table: SchemaTable, _ validation: FieldValidation) {
        self.table = table
        self.validation = validation
    }

    /// Decodes a request's body as an object of `row`'s kind. Missing apiVersion and kind are filled in, others than the row's are refused.
    /// Returns the object and warnings. Throws `StatusError` BadRequest. Rows without a schema type keep all fields. `earlier` is what a strict
    /// reader of the body's own format (YAML) said.
    package static func decode(
        _ bytes: [UInt8], row: ResourceRow, in table: SchemaTable = .shared, validation: FieldValidation = .strict, earlier: String? = nil
    ) throws(StatusError) -> (Value, [String]) {
        try decode(bytes, kind: row.groupVersionKind, type: table.type(named: row.typeName), in: table, validation: validation, earlier: earlier)
    }

    /// The same for a kind that is no resource of its own, such as `Scale`, `Eviction` or `DeleteOptions`. `type` nil: any fields.
    package static func decode(
        _ bytes: [UInt8], kind: GroupVersionKind, type: SchemaType?, in table: SchemaTable = .shared, validation: FieldValidation = .strict,
        earlier: String? = nil
    ) throws(StatusError) -> (Value, [String]) {
        let document: JSONDocument
        do throws(JSONError) { document = try JSONDocument(bytes) } catch {
            throw unrecognized(kind, bytes, "couldn't get version/kind; json parse error: \(error.message)")
        }
        let root = document.root
        guard root.kind == .object else {
            throw unrecognized(
                kind, bytes,
                "couldn't get version/kind; json parse error: json: cannot unmarshal \(root.goTypeName) into Go value of type struct "
                    + #"{ APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#
            )
        }
        let sent = GroupVersionKind(apiVersion: root["apiVersion"].string ?? "", kind: root["kind"].string ?? "")
        if !sent.version.isEmpty, sent.apiVersion != kind.apiVersion {
            throw .badRequest("the API version in the data (\(sent.apiVersion)) does not match the expected API version (\(kind.apiVersion))")
        }
        if !sent.kind.isEmpty, sent.kind != kind.kind {
            throw .badRequest(
                "\(sent.kind) in version \(kind.version.goQuoted) cannot be handled as a \(kind.kind): "
                    + "converting (\(kind.version).\(sent.kind)) to (\(kind.kind)): unknown conversion"
            )
        }
        var (value, warnings) = try decode(root, kind: kind, type: type, in: table, validation: validation, earlier: earlier)
        if value["kind"]?.string?.isEmpty ?? true { value["kind"] = .string(kind.kind) }
        if value["apiVersion"]?.string?.isEmpty ?? true { value["apiVersion"] = .string(kind.apiVersion) }
        return (value, warnings)
    }

    /// Decodes what is already a tree, such as the outcome of a patch; never complains of fields it does not know unless asked to.
    package static func decode(
        _ view: JSONView, kind: GroupVersionKind, type: SchemaType?, in table: SchemaTable = .shared, validation: FieldValidation,
        earlier: String? = nil
    ) throws(StatusError) -> (Value, [String]) {
        var decoder = ObjectDecoder(table, validation)
        if let earlier, validation != .ignore { decoder.problems.append(earlier) }
        let value: Value
        if let type {
            do throws(Mismatch) { value = try decoder.object(view, type) } catch {
                throw .badRequest("\(kind.kind) in version \(kind.version.goQuoted) cannot be handled as a \(kind.kind): \(error.text)")
            }
        } else {
            value = view.value
        }
        if validation == .strict, !decoder.problems.isEmpty {
            let list = decoder.problems.joined(separator: ", ")
            throw .badRequest("\(kind.kind) in version \(kind.version.goQuoted) cannot be handled as a \(kind.kind): strict decoding error: \(list)")
        }
        return (value, validation == .warn ? decoder.problems : [])
    }

    private static func unrecognized(_ kind: GroupVersionKind, _ bytes: [UInt8], _ why: String) -> StatusError {
        let shown = 30  // Upstream: summarizeData is asked for 30 bytes.
        let head = bytes.prefix(shown)
        let summary: String
        if bytes.isEmpty {
            summary = "<empty>"
        } else if bytes[0] == UInt8(ascii: "{") {
            summary = String(decoding: head, as: UTF8.self)
        } else {
            summary = head.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        return .badRequest(
            "the object provided is unrecognized (must be of type \(kind.kind)): \(why) (\(summary)\(bytes.count > shown ? " ..." : ""))")
    }

    // MARK: Walking

    private mutating func object(_ view: JSONView, _ type: SchemaType) throws(Mismatch) -> Value {
        // Only fields of the type come in, so there are few: a look through their names costs less than a table of them.
        var names: [String] = []
        var values: [Value] = []
        /// Fields that stand in the document and not in the object.
        var leftOut: [String] = []
        for (name, member) in view.members {
            guard let field = type.field(name) else {
                note("unknown field", name)
                continue
            }
            let place = names.firstIndex(of: name)
            if validation != .ignore, place != nil || leftOut.contains(name) { note("duplicate field", name) }
            if member.isNull {
                if place == nil, validation != .ignore, !leftOut.contains(name) { leftOut.append(name) }
                continue
            }
            path.append(.field(name))
            let value = try self.value(member, field.type, in: type)
            path.removeLast()
            // Go leaves out empty lists and maps of fields that are not required. An empty managedFields asks to forget all owners.
            if !field.required, field.name != "managedFields", Self.isEmptyCollection(value, field.type) {
                if place == nil, validation != .ignore, !leftOut.contains(name) { leftOut.append(name) }
                continue
            }
            if let place {
                values[place] = value
                continue
            }
            if names.isEmpty {
                names.reserveCapacity(Self.expectedFields)
                values.reserveCapacity(Self.expectedFields)
            }
            names.append(name)
            values.append(value)
        }
        return .object(Members(distinct: names, values))
    }

    /// What most objects have room for, so that few grow twice.
    private static let expectedFields = 6

    private static func isEmptyCollection(_ value: Value, _ type: FieldType) -> Bool {
        switch (type, value) {
        case (.array, .array(let items)): items.isEmpty
        case (.map, .object(let members)): members.isEmpty
        default: false
        }
    }

    private mutating func value(_ view: JSONView, _ type: FieldType, in owner: SchemaType) throws(Mismatch) -> Value {
        switch type {
        case .any, .fields: return view.value
        case .string:
            guard let text = view.string else { throw mismatch(view, type, owner) }
            return .string(text)
        case .bytes:
            guard let text = view.string else { throw mismatch(view, type, owner) }
            if let offset = Base64Check.firstIllegalByte(text) { throw Mismatch(text: "illegal base64 data at input byte \(offset)") }
            return .string(text)
        case .bool:
            guard let flag = view.bool else { throw mismatch(view, type, owner) }
            return .bool(flag)
        case .int32, .int64:
            guard view.kind == .integer, let number = view.int, type == .int64 || Int32(exactly: number) != nil else {
                throw mismatch(view, type, owner)
            }
            return .int(number)
        case .double:
            guard let number = view.double else { throw mismatch(view, type, owner) }
            return view.kind == .integer ? view.value : .double(number)
        case .time, .microTime: return try time(view, type, owner)
        case .quantity:
            let text: String
            switch view.kind {
            case .string, .escapedString: text = view.string ?? ""
            case .integer, .double: text = String(decoding: view.rawBytes, as: UTF8.self)
            default: throw Mismatch(text: QuantityError.format.description)
            }
            do throws(QuantityError) { return .string(try Quantity(text).description) } catch { throw Mismatch(text: error.description) }
        case .intOrString:
            if let text = view.string { return .string(text) }
            guard view.kind == .integer, let number = view.int, Int32(exactly: number) != nil else {
                throw Mismatch(text: "json: cannot unmarshal \(Self.described(view)) into Go value of type int32")
            }
            return .int(number)
        case .array(let element):
            guard view.kind == .array else { throw mismatch(view, type, owner) }
            var items: [Value] = []
            for (index, item) in view.elements.enumerated() {
                path.append(.index(index))
                items.append(item.isNull ? Self.zero(element) : try value(item, element, in: owner))
                path.removeLast()
            }
            return .array(items)
        case .map(let element):
            guard view.kind == .object else { throw mismatch(view, type, owner) }
            var pairs: [(String, Value)] = []
            for (key, item) in view.members {
                path.append(.key(key))
                pairs.append((key, item.isNull ? Self.zero(element) : try value(item, element, in: owner)))
                path.removeLast()
            }
            let members = Members(pairs)
            if members.count < pairs.count, validation != .ignore { noteDuplicates(pairs.map(\.0)) }
            return .object(members)
        case .object(let place):
            guard let inner = table[place], view.kind == .object else { throw mismatch(view, type, owner) }
            return try object(view, inner)
        }
    }

    private func time(_ view: JSONView, _ type: FieldType, _ owner: SchemaType) throws(Mismatch) -> Value {
        guard let text = view.string else { throw Mismatch(text: "json: cannot unmarshal \(view.goTypeName) into Go value of type string") }
        guard let time = Timestamp(rfc3339: text) else {
            let layout = type == .time ? "2006-01-02T15:04:05Z07:00" : "2006-01-02T15:04:05.000000Z07:00"
            let first = text.prefix { $0.isNumber }.count < 4 ? "2006" : "-01-02T15:04:05Z07:00"
            throw Mismatch(text: "parsing time \(text.goQuoted) as \(layout.goQuoted): cannot parse \(text.goQuoted) as \(first.goQuoted)")
        }
        return .string(type == .time ? time.rfc3339 : time.rfc3339Micro)
    }

    /// Go's zero value for a null inside a list or map.
    private static func zero(_ type: FieldType) -> Value {
        switch type {
        case .string, .bytes: ""
        case .bool: false
        case .int32, .int64, .double, .intOrString: 0
        case .quantity: "0"
        case .object: .object(Members())
        case .time, .microTime, .fields, .any, .array, .map: .null
        }
    }

    // MARK: Telling

    private mutating func note(_ what: String, _ name: String) {
        guard validation != .ignore, problems.count < Self.problemLimit else { return }
        var full = ""
        for step in path + [.field(name)] {
            switch step {
            case .index(let index): full += "[\(index)]"
            case .field(let name), .key(let name): full += (full.isEmpty ? "" : ".") + name
            }
        }
        problems.append("\(what) \(full.goQuoted)")
    }

    private mutating func noteDuplicates(_ keys: [String]) {
        var seen: Set<String> = []
        for key in keys where !seen.insert(key).inserted { note("duplicate field", key) }
    }

    private func mismatch(_ view: JSONView, _ type: FieldType, _ owner: SchemaType) -> Mismatch {
        let fields = path.compactMap { if case .field(let name) = $0 { name } else { nil } }.joined(separator: ".")
        return Mismatch(
            text:
                "json: cannot unmarshal \(isNumber(type) ? Self.described(view) : view.goTypeName) into Go struct field "
                + "\(owner.shortName).\(fields) of type \(goName(type))"
        )
    }

    /// As `goTypeName`, with the digits of a number that an integer type cannot hold.
    private static func described(_ view: JSONView) -> String {
        let name = view.goTypeName
        guard name == "number" else { return name }
        if view.kind == .integer, let number = view.int, Int32(exactly: number) != nil { return name }
        return "number " + String(decoding: view.rawBytes, as: UTF8.self)
    }

    private func isNumber(_ type: FieldType) -> Bool { type == .int32 || type == .int64 || type == .double }

    private func goName(_ type: FieldType) -> String {
        switch type {
        case .string, .time, .microTime: "string"
        case .bytes: "[]uint8"
        case .bool: "bool"
        case .int32: "int32"
        case .int64: "int64"
        case .double: "float64"
        case .quantity: "resource.Quantity"
        case .intOrString: "intstr.IntOrString"
        case .fields: "v1.FieldsV1"
        case .any: "runtime.RawExtension"
        case .array(let element): "[]" + goName(element)
        case .map(let element): "map[string]" + goName(element)
        case .object(let place): table[place]?.goName ?? "object"
        }
    }
}

/// Whether a text is standard base64, without decoding it. Upstream: encoding/base64.StdEncoding, which skips line breaks.
enum Base64Check {
    /// The offset at which Go's decoder would stop, nil for a text it accepts.
    static func firstIllegalByte(_ text: String) -> Int? {
        var digits = 0
        var padding = 0
        for (offset, c) in text.utf8.enumerated() where c != 0x0A && c != 0x0D {
            switch c {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "+"),
                UInt8(ascii: "/"):
                if padding > 0 { return offset }
                digits += 1
            case UInt8(ascii: "="):
                padding += 1
                if digits % 4 < 2 || digits % 4 + padding > 4 { return offset }
            default: return offset
            }
        }
        if digits % 4 == 0 && padding == 0 { return nil }
        return digits % 4 + padding == 4 && digits % 4 >= 2 ? nil : text.utf8.count
    }
}
