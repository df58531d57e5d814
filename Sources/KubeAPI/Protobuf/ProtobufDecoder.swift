/// Reads Kubernetes' protobuf bodies as the JSON they stand for. Typed clients in Go send these: kubectl's `create` commands, most controllers.
/// Upstream: runtime/serializer/protobuf.
package enum ProtobufDecoder {
    package static let mediaType = "application/vnd.kubernetes.protobuf"
    /// What every body begins with. Upstream: protobuf's `k8s` and a zero byte.
    private static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0x00]
    /// Messages inside messages; the JSON made of them is bounded by `JSONLimits.depth` too.
    private static let depthLimit = 100

    /// The object of a body. Throws `StatusError` BadRequest for bytes that are no message, and for a kind that has no numbers here.
    package static func decode(_ bytes: [UInt8]) throws(StatusError) -> Value {
        guard bytes.starts(with: magic) else {
            throw .badRequest(
                "the object provided is unrecognized (must be of type protobuf): provided data does not appear to be a "
                    + "protobuf message, expected prefix [107 56 115 0]"
            )
        }
        do {
            var envelope = Reader(bytes[magic.count...])
            var type = GroupVersionKind(group: "", version: "", kind: "")
            var raw: ArraySlice<UInt8> = []
            while let (number, wire) = try envelope.tag() {
                switch (number, wire) {
                case (1, .length): type = try typeMeta(try envelope.bytes())
                case (2, .length): raw = try envelope.bytes()
                default: try envelope.skip(wire)
                }
            }
            guard let place = ProtobufTable.shared.place(of: type) else {
                throw Failure(text: "no kind \(type.kind.goQuoted) is registered for version \(type.apiVersion.goQuoted) in protobuf")
            }
            guard case .object(var members) = try message(raw, place, depth: 0) else { throw Failure(text: "\(type.kind) is no object") }
            members["apiVersion"] = .string(type.apiVersion)
            members["kind"] = .string(type.kind)
            return .object(members)
        } catch let failure as Failure {
            throw .badRequest("the object provided is unrecognized (must be of type protobuf): \(failure.text)")
        } catch {
            throw .badRequest("the object provided is unrecognized (must be of type protobuf): \(error)")
        }
    }

    private struct Failure: Error { var text: String }

    private static func typeMeta(_ bytes: ArraySlice<UInt8>) throws -> GroupVersionKind {
        var reader = Reader(bytes)
        var apiVersion = ""
        var kind = ""
        while let (number, wire) = try reader.tag() {
            switch (number, wire) {
            case (1, .length): apiVersion = try reader.string()
            case (2, .length): kind = try reader.string()
            default: try reader.skip(wire)
            }
        }
        return GroupVersionKind(apiVersion: apiVersion, kind: kind)
    }

    // MARK: Messages

    private static func message(_ bytes: ArraySlice<UInt8>, _ place: Int, depth: Int) throws -> Value {
        guard depth < depthLimit else { throw Failure(text: "exceeded max depth of \(depthLimit)") }
        let type = ProtobufTable.shared.messages[place]
        switch type.form {
        case .object: return .object(Members(try members(bytes, type, depth: depth)))
        case .items: return .array(try members(bytes, type, depth: depth).first?.1.array ?? [])
        case .time(let micro):
            let (seconds, nanos) = try numbers(bytes)
            // Go's zero time is an empty message, and null in JSON.
            guard !bytes.isEmpty, seconds != -62_135_596_800 else { return .null }
            guard Timestamp.writableSeconds.contains(seconds), (0..<1_000_000_000).contains(nanos) else {
                throw Failure(text: "a time is out of range")
            }
            let time = Timestamp(microseconds: seconds * 1_000_000 + nanos / 1000)
            return .string(micro ? time.rfc3339Micro : time.rfc3339)
        case .quantity: return .string(try scalars(bytes).texts[1] ?? "0")
        case .intOrString:
            let scalars = try scalars(bytes)
            return (scalars.integers[1] ?? 0) == 1 ? .string(scalars.texts[3] ?? "") : .int(scalars.integers[2] ?? 0)
        case .raw:
            var reader = Reader(bytes)
            while let (number, wire) = try reader.tag() {
                if number == 1, wire == .length { return try Value(json: Array(try reader.bytes())) }
                try reader.skip(wire)
            }
            return .null
        case .either:
            let inner = try members(bytes, type, depth: depth)
            // The object when there is one, else the flag or the list.
            if let value = inner.last(where: { if case .object = $0.1 { true } else { false } })?.1 ?? inner.first?.1 { return value }
            // A flag that is false is written as nothing or as a zero, which is dropped.
            let hasFlag = type.fields.contains { if case .bool = $0.kind { true } else { false } }
            return hasFlag ? .bool(false) : .null
        }
    }

    private static func members(_ bytes: ArraySlice<UInt8>, _ type: ProtobufTable.Message, depth: Int) throws -> [(String, Value)] {
        var reader = Reader(bytes)
        var pairs: [(String, Value)] = []
        var places: [String: Int] = [:]
        func set(_ name: String, _ change: (inout Value) -> Void, initial: Value) {
            if let place = places[name] {
                change(&pairs[place].1)
            } else {
                places[name] = pairs.count
                pairs.append((name, initial))
                change(&pairs[pairs.count - 1].1)
            }
        }
        while let (number, wire) = try reader.tag() {
            guard let field = type.field(number) else {
                try reader.skip(wire)  // A field of a newer version: dropped, as Go drops it.
                continue
            }
            guard let name = field.name else {
                guard case .message(let inner) = field.kind, wire == .length else {
                    try reader.skip(wire)
                    continue
                }
                if case .object(let members) = try message(try reader.bytes(), inner, depth: depth + 1) {
                    for (key, value) in members { set(key, { $0 = value }, initial: .null) }
                }
                continue
            }
            switch field.kind {
            case .list(let element):
                if wire == .length, case .int = element {
                    // Numbers may come packed.
                    var packed = Reader(try reader.bytes())
                    while !packed.isAtEnd {
                        let value = Value.int(Int64(bitPattern: try packed.varint()))
                        set(name, { $0.append(value) }, initial: .array([]))
                    }
                } else {
                    let value = try scalar(&reader, wire, element, depth: depth)
                    set(name, { $0.append(value) }, initial: .array([]))
                }
            case .map(let element):
                guard wire == .length else {
                    try reader.skip(wire)
                    continue
                }
                let (key, value) = try entry(try reader.bytes(), element, depth: depth)
                set(name, { $0[key] = value }, initial: .object(Members()))
            default:
                let value = try scalar(&reader, wire, field.kind, depth: depth)
                if !field.keepsZero, isZero(value) { continue }
                if value.isNull { continue }
                set(name, { $0 = value }, initial: .null)
            }
        }
        return pairs
    }

    private static func isZero(_ value: Value) -> Bool {
        switch value {
        case .null, .bool(false), .int(0), .double(0), .string(""): true
        default: false
        }
    }

    private static func entry(_ bytes: ArraySlice<UInt8>, _ kind: ProtobufTable.Kind, depth: Int) throws -> (String, Value) {
        var reader = Reader(bytes)
        var key = ""
        var value = zero(kind)
        while let (number, wire) = try reader.tag() {
            switch number {
            case 1 where wire == .length: key = try reader.string()
            case 2: value = try scalar(&reader, wire, kind, depth: depth)
            default: try reader.skip(wire)
            }
        }
        return (key, value)
    }

    private static func zero(_ kind: ProtobufTable.Kind) -> Value {
        switch kind {
        case .string, .bytes: .string("")
        case .bool: .bool(false)
        case .int, .double: .int(0)
        case .message: .object(Members())
        case .list: .array([])
        case .map: .object(Members())
        }
    }

    private static func scalar(_ reader: inout Reader, _ wire: Reader.Wire, _ kind: ProtobufTable.Kind, depth: Int) throws -> Value {
        switch (kind, wire) {
        case (.string, .length): return .string(try reader.string())
        case (.bytes, .length): return .string(Base64.encode(try reader.bytes()))
        case (.bool, .varint): return .bool(try reader.varint() != 0)
        case (.int, .varint): return .int(Int64(bitPattern: try reader.varint()))
        case (.double, .fixed64): return .double(Double(bitPattern: try reader.fixed(8)))
        case (.double, .fixed32): return .double(Double(Float(bitPattern: UInt32(truncatingIfNeeded: try reader.fixed(4)))))
        case (.message(let place), .length): return try message(try reader.bytes(), place, depth: depth + 1)
        default: throw Failure(text: "a field has the wrong wire type \(wire.rawValue)")
        }
    }

    /// The scalars of a small message by number: numbers and texts.
    private static func scalars(_ bytes: ArraySlice<UInt8>) throws -> (integers: [Int: Int64], texts: [Int: String]) {
        var reader = Reader(bytes)
        var integers: [Int: Int64] = [:]
        var texts: [Int: String] = [:]
        while let (number, wire) = try reader.tag() {
            switch wire {
            case .varint: integers[number] = Int64(bitPattern: try reader.varint())
            case .length: texts[number] = try reader.string()
            default: try reader.skip(wire)
            }
        }
        return (integers, texts)
    }

    private static func numbers(_ bytes: ArraySlice<UInt8>) throws -> (Int64, Int64) {
        let scalars = try scalars(bytes)
        return (scalars.integers[1] ?? 0, scalars.integers[2] ?? 0)
    }

    // MARK: The wire

    /// Reads protobuf's wire format; nothing in it can make it read past its end.
    private struct Reader {
        enum Wire: UInt8 {
            case varint = 0
            case fixed64 = 1
            case length = 2
            case fixed32 = 5
        }

        private var rest: ArraySlice<UInt8>
        init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

        var isAtEnd: Bool { rest.isEmpty }

        /// The next field's number and wire type; nil at the end.
        mutating func tag() throws -> (Int, Wire)? {
            guard !rest.isEmpty else { return nil }
            let tag = try varint()
            guard let wire = Wire(rawValue: UInt8(tag & 7)), tag >> 3 > 0, tag >> 3 < 1 << 29 else { throw Failure(text: "illegal tag \(tag)") }
            return (Int(tag >> 3), wire)
        }

        mutating func varint() throws -> UInt64 {
            var value: UInt64 = 0
            var shift: UInt64 = 0
            while let byte = rest.popFirst() {
                guard shift < 64 else { throw Failure(text: "integer overflow") }
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return value }
                shift += 7
            }
            throw Failure(text: "unexpected EOF")
        }

        mutating func fixed(_ count: Int) throws -> UInt64 {
            guard rest.count >= count else { throw Failure(text: "unexpected EOF") }
            var value: UInt64 = 0
            for (index, byte) in rest.prefix(count).enumerated() { value |= UInt64(byte) << UInt64(index * 8) }
            rest = rest.dropFirst(count)
            return value
        }

        mutating func bytes() throws -> ArraySlice<UInt8> {
            let length = try varint()
            guard length <= UInt64(rest.count) else { throw Failure(text: "unexpected EOF") }
            let taken = rest.prefix(Int(length))
            rest = rest.dropFirst(Int(length))
            return taken
        }

        mutating func string() throws -> String { String(decoding: try bytes(), as: UTF8.self) }

        mutating func skip(_ wire: Wire) throws {
            switch wire {
            case .varint: _ = try varint()
            case .fixed64: _ = try fixed(8)
            case .fixed32: _ = try fixed(4)
            case .length: _ = try bytes()
            }
        }
    }
}

extension Value {
    /// Adds an element to an array; what is no array becomes one.
    fileprivate mutating func append(_ element: Value) {
        var items: [Value] = []
        if case .array(let present) = self { items = present }
        self = .null  // Lets the elements be added in place: no second owner of their storage.
        items.append(element)
        self = .array(items)
    }
}
