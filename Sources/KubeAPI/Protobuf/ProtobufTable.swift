import CSchema

/// How the types of the API are numbered in protobuf. Parsed when the first protobuf body arrives. Upstream: the generated.proto files.
struct ProtobufTable: Sendable {
    indirect enum Kind: Sendable {
        case string, bytes, bool, int, double
        case message(Int)
        case list(Kind)
        case map(Kind)
    }

    struct Field: Sendable {
        var number: Int
        var kind: Kind
        /// The JSON name; nil when the message's members stand in the parent. Upstream: `json:",inline"`.
        var name: String?
        /// Whether a zero says something: the field is a pointer in Go, or always written.
        var keepsZero: Bool
    }

    struct Message: Sendable {
        var name: String
        /// Sorted by number.
        var fields: [Field]
        /// Types whose JSON is no object of their members.
        var form: Form

        func field(_ number: Int) -> Field? {
            // Numbers are mostly the places of the fields.
            if number >= 1, number <= fields.count, fields[number - 1].number == number { return fields[number - 1] }
            return fields.first { $0.number == number }
        }
    }

    /// How a message looks in JSON.
    enum Form: Sendable {
        case object
        case time(micro: Bool)
        case quantity
        case intOrString
        /// A string of JSON in field 1. Upstream: RawExtension, FieldsV1, JSON.
        case raw
        /// A list in field 1. Upstream: ExtraValue.
        case items
        /// Either of two. Upstream: JSONSchemaPropsOrArray, JSONSchemaPropsOrBool, JSONSchemaPropsOrStringArray.
        case either
    }

    private(set) var messages: [Message] = []
    private var places: [String: Int] = [:]

    static let shared = ProtobufTable()

    func place(of name: String) -> Int? { places[name] }

    /// The message of a kind. Options are of meta.k8s.io whatever version a client's own group gives them.
    func place(of kind: GroupVersionKind) -> Int? {
        if kind.kind == "DeleteOptions" { return places["apimachinery.pkg.apis.meta.v1.DeleteOptions"] }
        if let type = SchemaTable.shared.type(of: kind) { return places[type.name] }
        return Self.unlisted[kind].flatMap { places[$0] }
    }

    /// Kinds that are no types of the schema table.
    private static let unlisted: [GroupVersionKind: String] = [
        GroupVersionKind(group: "autoscaling", version: "v1", kind: "Scale"): "api.autoscaling.v1.Scale",
        GroupVersionKind(group: "policy", version: "v1", kind: "Eviction"): "api.policy.v1.Eviction",
        GroupVersionKind(group: "", version: "v1", kind: "Binding"): "api.core.v1.Binding",
        GroupVersionKind(group: "authentication.k8s.io", version: "v1", kind: "TokenRequest"): "api.authentication.v1.TokenRequest",
    ]

    private init() {
        let embedded = cschema_protobuf()
        let text = String(decoding: UnsafeBufferPointer(start: embedded.bytes, count: embedded.length), as: UTF8.self)
        let lines = text.utf8.split(separator: UInt8(ascii: "\n")).map(Substring.init).filter { $0.first != "#" }
        for line in lines where line.hasPrefix("M ") {
            let name = String(line.dropFirst(2))
            places[name] = messages.count
            messages.append(Message(name: name, fields: [], form: Self.form(name)))
        }
        var place = -1
        for line in lines {
            if line.hasPrefix("M ") {
                place += 1
                continue
            }
            let words = line.split(separator: " ")
            guard place >= 0, words.count >= 3, let number = Int(words[0]), let kind = kind(words[1]) else { continue }
            messages[place].fields.append(
                Field(number: number, kind: kind, name: words[2] == "-" ? nil : String(words[2]), keepsZero: words.count == 4))
        }
        for place in messages.indices where messages[place].form == .object {
            let message = messages[place]
            if message.fields.count == 1, message.fields[0].name == "items", case .list(.string) = message.fields[0].kind {
                messages[place].form = .items
            }
        }
    }

    private func kind(_ text: Substring) -> Kind? {
        if text.hasPrefix("[]") { return kind(text.dropFirst(2)).map { .list($0) } }
        if text.hasPrefix("{}") { return kind(text.dropFirst(2)).map { .map($0) } }
        switch text {
        case "string": return .string
        case "bytes": return .bytes
        case "bool": return .bool
        case "int": return .int
        case "double": return .double
        default: return places[String(text)].map { .message($0) }
        }
    }

    private static func form(_ name: String) -> Form {
        switch name.split(separator: ".").last {
        case "Time" where name.hasPrefix("apimachinery."): .time(micro: false)
        case "MicroTime" where name.hasPrefix("apimachinery."): .time(micro: true)
        case "Quantity" where name.hasPrefix("apimachinery."): .quantity
        case "IntOrString": .intOrString
        case "RawExtension", "FieldsV1", "JSON": .raw
        case "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray": .either
        default: .object
        }
    }
}

extension ProtobufTable.Form: Equatable {}
