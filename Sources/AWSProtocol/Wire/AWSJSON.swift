/// A JSON document of an AWS request or response. Members are written sorted by name, so that equal documents are equal bytes.
package enum AWSJSON: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    case double(Double)
    case string(String)
    case array([AWSJSON])
    case object([String: AWSJSON])

    /// The member `name` of an object; nil when this is no object, lacks it or has null there.
    package subscript(name: String) -> AWSJSON? {
        guard case .object(let members) = self, let member = members[name], member != .null else { return nil }
        return member
    }

    package var stringValue: String? { if case .string(let value) = self { value } else { nil } }
    package var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var arrayValue: [AWSJSON]? { if case .array(let value) = self { value } else { nil } }
    package var objectValue: [String: AWSJSON]? { if case .object(let value) = self { value } else { nil } }
    /// An integer, or a double without a fraction.
    package var intValue: Int? {
        switch self {
        case .integer(let value): value
        case .double(let value): Int(exactly: value)
        default: nil
        }
    }
    /// The strings of an array; nil when this is no array or holds anything else.
    package var stringArray: [String]? {
        guard let array = arrayValue else { return nil }
        let strings = array.compactMap(\.stringValue)
        return strings.count == array.count ? strings : nil
    }
    /// The members of an object whose values are all strings.
    package var stringMap: [String: String]? {
        guard let members = objectValue else { return nil }
        let strings = members.compactMapValues(\.stringValue)
        return strings.count == members.count ? strings : nil
    }

    package static func strings(_ values: some Sequence<String>) -> AWSJSON { .array(values.map(AWSJSON.string)) }
    package static func map(_ values: [String: String]) -> AWSJSON { .object(values.mapValues(AWSJSON.string)) }
    /// An object without the members that are nil: AWS leaves absent what is not set.
    package static func compact(_ members: [String: AWSJSON?]) -> AWSJSON { .object(members.compactMapValues { $0 }) }
}

extension AWSJSON: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int) { self = .integer(value) }
    package init(arrayLiteral elements: AWSJSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, AWSJSON)...) { self = .object(Dictionary(elements) { _, last in last }) }
}

extension AWSJSON {
    /// The document as bytes.
    package var encoded: [UInt8] {
        var out: [UInt8] = []
        write(to: &out)
        return out
    }

    private func write(to out: inout [UInt8]) {
        switch self {
        case .null: out.append(contentsOf: "null".utf8)
        case .bool(let value): out.append(contentsOf: (value ? "true" : "false").utf8)
        case .integer(let value): out.append(contentsOf: String(value).utf8)
        // JSON has no infinities: none is ever put in, and null is the honest form of one.
        case .double(let value): out.append(contentsOf: (value.isFinite ? "\(value)" : "null").utf8)
        case .string(let value): AWSJSON.write(value, to: &out)
        case .array(let elements):
            out.append(0x5B)
            for (index, element) in elements.enumerated() {
                if index > 0 { out.append(0x2C) }
                element.write(to: &out)
            }
            out.append(0x5D)
        case .object(let members):
            out.append(0x7B)
            for (index, name) in members.keys.sorted().enumerated() {
                if index > 0 { out.append(0x2C) }
                AWSJSON.write(name, to: &out)
                out.append(0x3A)
                members[name]?.write(to: &out)
            }
            out.append(0x7D)
        }
    }

    private static func write(_ text: String, to out: inout [UInt8]) {
        out.append(0x22)
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5C:
                out.append(0x5C)
                out.append(byte)
            case 0x0A: out.append(contentsOf: "\\n".utf8)
            case 0x0D: out.append(contentsOf: "\\r".utf8)
            case 0x09: out.append(contentsOf: "\\t".utf8)
            case 0..<0x20: out.append(contentsOf: ("\\u00" + Hexadecimal.encode([byte])).utf8)
            default: out.append(byte)
            }
        }
        out.append(0x22)
    }

    /// Reads a document. Throws `AWSJSONError` with the place of the first fault.
    package init(parsing bytes: [UInt8]) throws(AWSJSONError) {
        var parser = AWSJSONParser(bytes: bytes)
        self = try parser.document()
    }
}

/// What is wrong with a JSON document, and at which byte.
package struct AWSJSONError: Error, Sendable, Equatable {
    package var problem: String
    package var offset: Int
}

/// A recursive-descent parser; the depth bound is what keeps its recursion off the end of the stack.
private struct AWSJSONParser {
    /// The deepest document any AWS operation here takes is under 10 levels; policies under 20.
    static let depthLimit = 64
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(AWSJSONError) -> AWSJSON {
        let value = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw fault("text after the document") }
        return value
    }

    private func fault(_ problem: String) -> AWSJSONError { AWSJSONError(problem: problem, offset: at) }
    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { at += 1 }
    }

    private mutating func value(depth: Int) throws(AWSJSONError) -> AWSJSON {
        guard depth < AWSJSONParser.depthLimit else { throw fault("nested too deeply") }
        skipSpace()
        switch next {
        case 0x7B: return try object(depth: depth)
        case 0x5B: return try array(depth: depth)
        case 0x22: return .string(try string())
        case 0x74: return try word("true", .bool(true))
        case 0x66: return try word("false", .bool(false))
        case 0x6E: return try word("null", .null)
        case .some(0x2D), .some(0x30...0x39): return try number()
        case nil: throw fault("unexpected end")
        default: throw fault("unexpected character")
        }
    }

    private mutating func word(_ text: StaticString, _ value: AWSJSON) throws(AWSJSONError) -> AWSJSON {
        let wanted = Array(text.description.utf8)
        guard bytes[at...].starts(with: wanted) else { throw fault("unexpected character") }
        at += wanted.count
        return value
    }

    private mutating func object(depth: Int) throws(AWSJSONError) -> AWSJSON {
        at += 1
        var members: [String: AWSJSON] = [:]
        skipSpace()
        if next == 0x7D {
            at += 1
            return .object(members)
        }
        while true {
            skipSpace()
            guard next == 0x22 else { throw fault("a member name must be a string") }
            let name = try string()
            skipSpace()
            guard next == 0x3A else { throw fault("':' expected") }
            at += 1
            members[name] = try value(depth: depth + 1)
            skipSpace()
            switch next {
            case 0x2C: at += 1
            case 0x7D:
                at += 1
                return .object(members)
            default: throw fault("',' or '}' expected")
            }
        }
    }

    private mutating func array(depth: Int) throws(AWSJSONError) -> AWSJSON {
        at += 1
        var elements: [AWSJSON] = []
        skipSpace()
        if next == 0x5D {
            at += 1
            return .array(elements)
        }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpace()
            switch next {
            case 0x2C: at += 1
            case 0x5D:
                at += 1
                return .array(elements)
            default: throw fault("',' or ']' expected")
            }
        }
    }

    private mutating func number() throws(AWSJSONError) -> AWSJSON {
        let start = at
        func digits(_ parser: inout AWSJSONParser) -> Int {
            let from = parser.at
            while let byte = parser.next, (0x30...0x39).contains(byte) { parser.at += 1 }
            return parser.at - from
        }
        if next == 0x2D { at += 1 }
        let leadingZero = next == 0x30
        let whole = digits(&self)
        guard whole > 0, !(leadingZero && whole > 1) else { throw fault("malformed number") }
        var isInteger = true
        if next == 0x2E {
            isInteger = false
            at += 1
            guard digits(&self) > 0 else { throw fault("malformed number") }
        }
        if next == 0x65 || next == 0x45 {
            isInteger = false
            at += 1
            if next == 0x2B || next == 0x2D { at += 1 }
            guard digits(&self) > 0 else { throw fault("malformed number") }
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if isInteger, let value = Int(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw fault("number out of range") }
        return .double(value)
    }

    private mutating func string() throws(AWSJSONError) -> String {
        at += 1
        var out: [UInt8] = []
        while let byte = next {
            at += 1
            switch byte {
            case 0x22:
                guard let text = String(validating: out, as: UTF8.self) else { throw fault("string is not UTF-8") }
                return text
            case 0x5C: try escape(into: &out)
            case 0..<0x20: throw fault("control character in string")
            default: out.append(byte)
            }
        }
        throw fault("unterminated string")
    }

    private mutating func escape(into out: inout [UInt8]) throws(AWSJSONError) {
        guard let byte = next else { throw fault("unterminated string") }
        at += 1
        switch byte {
        case 0x22, 0x5C, 0x2F: out.append(byte)
        case 0x62: out.append(0x08)
        case 0x66: out.append(0x0C)
        case 0x6E: out.append(0x0A)
        case 0x72: out.append(0x0D)
        case 0x74: out.append(0x09)
        case 0x75:
            var code = try hexQuad()
            if (0xD800..<0xDC00).contains(code) {
                guard next == 0x5C, at + 1 < bytes.count, bytes[at + 1] == 0x75 else { throw fault("lone surrogate") }
                at += 2
                let low = try hexQuad()
                guard (0xDC00..<0xE000).contains(low) else { throw fault("lone surrogate") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw fault("lone surrogate") }
            out.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
        default: throw fault("unknown escape")
        }
    }

    private mutating func hexQuad() throws(AWSJSONError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = next.flatMap(PercentEncoding.hexValue) else { throw fault("malformed \\u escape") }
            code = code << 4 | UInt32(digit)
            at += 1
        }
        return code
    }
}
