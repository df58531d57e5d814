import CSchema

/// The object types of the API by name and by kind. A value: types of custom resources are added to a copy. Types are never removed, so a
/// `FieldType.object` keeps its meaning.
package struct SchemaTable: Sendable {
    package private(set) var types: [SchemaType] = []
    private var places: [String: Int] = [:]
    private var kinds: [GroupVersionKind: Int] = [:]

    /// A table without types.
    package init() {}

    /// The built-in types, parsed once from the embedded table.
    package static let shared = SchemaTable(text: EmbeddedTable.types)

    /// The type at a place that a `FieldType.object` names. Nil only for a place of another table.
    package subscript(place: Int) -> SchemaType? { types.indices.contains(place) ? types[place] : nil }

    /// The type of a name such as `api.core.v1.Pod`.
    package func type(named name: String) -> SchemaType? { places[name].map { types[$0] } }
    /// The type of a kind in one version.
    package func type(of kind: GroupVersionKind) -> SchemaType? { kinds[kind].map { types[$0] } }
    /// Where a type stands: what a `FieldType.object` holds.
    package func place(of name: String) -> Int? { places[name] }

    /// Adds a type, or takes the place of the one with its name. Returns its place.
    @discardableResult
    package mutating func add(_ type: SchemaType) -> Int {
        let place = places[type.name] ?? types.count
        if place == types.count { types.append(type) } else { types[place] = type }
        places[type.name] = place
        if let kind = type.kind { kinds[kind] = place }
        return place
    }

    /// Reads the format that the head of data/schema.txt tells. The text is the project's own: a line that does not fit is left out.
    init(text: EmbeddedTable) {
        var lines: [[Substring]] = []
        text.forEachLine { line in
            guard line.first == " " else {
                let words = line.split(separator: " ")
                guard words.first == "T", words.count >= 2 else { return }
                places[String(words[1])] = places.count
                lines.append(words)
                return
            }
            lines.append([""] + line.split(separator: " "))
        }
        types.reserveCapacity(places.count)
        var known: [Substring: FieldType] = [:]
        var at = 0
        while at < lines.count {
            let head = lines[at]
            at += 1
            var fields: [SchemaField] = []
            while at < lines.count, lines[at][0].isEmpty {
                if let field = field(lines[at], &known) { fields.append(field) }
                at += 1
            }
            var kind: GroupVersionKind?
            var atomic = false
            for mark in head.dropFirst(2) {
                if mark == "map=atomic" { atomic = true }
                if mark.hasPrefix("gvk=") {
                    let parts = mark.dropFirst(4).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
                    if parts.count == 3 { kind = GroupVersionKind(group: parts[0], version: parts[1], kind: parts[2]) }
                }
            }
            if let kind { kinds[kind] = types.count }
            types.append(SchemaType(name: String(head[1]), kind: kind, atomic: atomic, fields: fields))
        }
    }

    private func field(_ words: [Substring], _ known: inout [Substring: FieldType]) -> SchemaField? {
        guard words.count >= 3, let type = fieldType(words[2], &known) else { return nil }
        var field = SchemaField(name: String(words[1]), type: type)
        for mark in words.dropFirst(3) {
            if mark == "!" {
                field.required = true
            } else if mark == "map=atomic" {
                field.atomicMap = true
            } else if mark == "list=atomic" {
                field.list = .atomic
            } else if mark == "list=set" {
                field.list = .set
            } else if mark.hasPrefix("list=map:") {
                field.list = .map(keys: mark.dropFirst(9).split(separator: ",").map(String.init))
            } else if mark.hasPrefix("patch=") {
                let parts = mark.dropFirst(6).split(separator: ":")
                for strategy in parts[0].split(separator: ",") {
                    switch strategy {
                    case "merge": field.patch.insert(.merge)
                    case "retainKeys": field.patch.insert(.retainKeys)
                    case "replace": field.patch.insert(.replace)
                    default: break
                    }
                }
                if parts.count == 2 { field.mergeKey = String(parts[1]) }
            }
        }
        return field
    }

    private func fieldType(_ text: Substring, _ known: inout [Substring: FieldType]) -> FieldType? {
        if let type = known[text] { return type }
        let type: FieldType?
        if text.hasPrefix("[]") {
            type = fieldType(text.dropFirst(2), &known).map { .array($0) }
        } else if text.hasPrefix("{}") {
            type = fieldType(text.dropFirst(2), &known).map { .map($0) }
        } else {
            type = Self.scalars[text] ?? places[String(text)].map { .object($0) }
        }
        known[text] = type
        return type
    }

    private static let scalars: [Substring: FieldType] = [
        "string": .string, "bytes": .bytes, "bool": .bool, "int32": .int32, "int64": .int64, "double": .double, "time": .time,
        "microtime": .microTime,
        "quantity": .quantity, "intorstring": .intOrString, "fields": .fields, "any": .any,
    ]
}

/// One of the texts of CSchema.
struct EmbeddedTable {
    let text: String

    private init(_ text: cschema_text) {
        self.text = String(decoding: UnsafeBufferPointer(start: text.bytes, count: text.length), as: UTF8.self)
    }

    static var types: EmbeddedTable { EmbeddedTable(cschema_types()) }
    static var resources: EmbeddedTable { EmbeddedTable(cschema_resources()) }
    static var columns: EmbeddedTable { EmbeddedTable(cschema_columns()) }
    static var descriptions: EmbeddedTable { EmbeddedTable(cschema_descriptions()) }

    /// Calls `body` with every line that is neither empty nor a comment.
    func forEachLine(_ body: (Substring) -> Void) {
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) where line.first != UInt8(ascii: "#") { body(Substring(line)) }
    }
}
