/// Why a text is not JSON, with the byte at which it was noticed.
package struct JSONError: Error, Equatable, CustomStringConvertible {
    package var message: String
    package var offset: Int

    package var description: String { "\(message) at byte \(offset)" }
}

/// What a token of a `JSONDocument` stands for.
package enum JSONKind: UInt8, Sendable {
    case null, `true`, `false`, integer, double
    /// A string without a backslash: its bytes are its text.
    case string
    /// A string that must be unescaped to be read.
    case escapedString
    case array, object
}

/// Limits of a JSON text. Deeper texts are refused, so that code that walks a value by recursion cannot exhaust its stack.
package enum JSONLimits {
    /// Nesting of arrays and objects. No Kubernetes type nests deeper than about 60; upstream stops at 10,000, where Go's growing stacks allow it.
    package static let depth = 512
    /// Bytes of one text: what a token's offset can address.
    package static let bytes = 1 << 30
}

/// One JSON text kept as its bytes, with a flat index of 8-byte tokens over it. Reading a field walks the index; nothing is copied until asked for.
///
/// A scalar is one token: kind (4 bits), offset (30 bits), length (30 bits). A string's offset and length leave out the quotes. An array or object
/// is two tokens: kind, offset and the index just past its last token, then its length in bytes. An object's children are key, value, key, value, ….
package final class JSONDocument: Sendable {
    package let bytes: [UInt8]
    let tokens: [UInt64]

    /// Indexes `bytes`, which must hold exactly one JSON value and white space. Throws `JSONError`.
    package init(_ bytes: [UInt8]) throws(JSONError) {
        var indexer = JSONIndexer(capacity: bytes.count / 6 + 8)
        var failure: JSONError?
        bytes.withUnsafeBufferPointer { buffer in
            do throws(JSONError) { try indexer.index(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
        self.bytes = bytes
        self.tokens = indexer.tokens
    }

    package var root: JSONView { JSONView(document: self, token: 0) }
}

/// Builds the token index: one pass, an explicit stack instead of recursion.
struct JSONIndexer {
    private(set) var tokens: [UInt64] = []
    /// Token numbers of the open containers.
    private var open: [Int] = []

    init(capacity: Int) { tokens.reserveCapacity(capacity) }

    static func token(_ kind: JSONKind, _ offset: Int, _ length: Int) -> UInt64 {
        UInt64(kind.rawValue) << 60 | UInt64(truncatingIfNeeded: offset) << 30 | UInt64(truncatingIfNeeded: length)
    }

    private enum Expect { case value, valueOrEnd, key, keyOrEnd, commaOrEnd }

    mutating func index(_ b: UnsafeBufferPointer<UInt8>) throws(JSONError) {
        guard b.count < JSONLimits.bytes else { throw JSONError(message: "JSON text is larger than \(JSONLimits.bytes) bytes", offset: 0) }
        var i = 0
        var expect = Expect.value
        while true {
            while i < b.count, b[i] == 0x20 || b[i] == 0x0A || b[i] == 0x0D || b[i] == 0x09 { i += 1 }
            guard i < b.count else { throw JSONError(message: "unexpected end of JSON input", offset: i) }
            let c = b[i]
            switch expect {
            case .key, .keyOrEnd:
                if c == UInt8(ascii: "}"), expect == .keyOrEnd {
                    i += 1
                    close(at: i)
                } else {
                    guard c == UInt8(ascii: "\"") else {
                        throw JSONError(message: "invalid character \(Self.quoted(c)) looking for beginning of object key string", offset: i)
                    }
                    try string(b, &i)
                    while i < b.count, b[i] == 0x20 || b[i] == 0x0A || b[i] == 0x0D || b[i] == 0x09 { i += 1 }
                    guard i < b.count else { throw JSONError(message: "unexpected end of JSON input", offset: i) }
                    guard b[i] == UInt8(ascii: ":") else {
                        throw JSONError(message: "invalid character \(Self.quoted(b[i])) after object key", offset: i)
                    }
                    i += 1
                    expect = .value
                    continue
                }
            case .commaOrEnd:
                let isObject = open.last.map { tokens[$0] >> 60 == UInt64(JSONKind.object.rawValue) } ?? false
                if c == UInt8(ascii: ",") {
                    i += 1
                    expect = isObject ? .key : .value
                    continue
                }
                guard c == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                    throw JSONError(
                        message: "invalid character \(Self.quoted(c)) after \(isObject ? "object key:value pair" : "array element")", offset: i)
                }
                i += 1
                close(at: i)
            case .value, .valueOrEnd:
                switch c {
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    guard open.count < JSONLimits.depth else { throw JSONError(message: "exceeded max depth of \(JSONLimits.depth)", offset: i) }
                    open.append(tokens.count)
                    tokens.append(Self.token(c == UInt8(ascii: "{") ? .object : .array, i, 0))
                    tokens.append(0)
                    i += 1
                    expect = c == UInt8(ascii: "{") ? .keyOrEnd : .valueOrEnd
                    continue
                case UInt8(ascii: "]") where expect == .valueOrEnd:
                    i += 1
                    close(at: i)
                case UInt8(ascii: "\""): try string(b, &i)
                case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number(b, &i)
                case UInt8(ascii: "t"): try literal(b, &i, "true", .true)
                case UInt8(ascii: "f"): try literal(b, &i, "false", .false)
                case UInt8(ascii: "n"): try literal(b, &i, "null", .null)
                default: throw JSONError(message: "invalid character \(Self.quoted(c)) looking for beginning of value", offset: i)
                }
            }
            if open.isEmpty { break }
            expect = .commaOrEnd
        }
        while i < b.count {
            guard b[i] == 0x20 || b[i] == 0x0A || b[i] == 0x0D || b[i] == 0x09 else {
                throw JSONError(message: "invalid character \(Self.quoted(b[i])) after top-level value", offset: i)
            }
            i += 1
        }
    }

    private mutating func close(at end: Int) {
        guard let start = open.popLast() else { return }
        let offset = Int(tokens[start] >> 30 & 0x3FFF_FFFF)
        tokens[start] |= UInt64(tokens.count)
        tokens[start + 1] = UInt64(end - offset)
    }

    private mutating func string(_ b: UnsafeBufferPointer<UInt8>, _ i: inout Int) throws(JSONError) {
        let start = i + 1
        var escaped = false
        i = start
        while i < b.count {
            let c = b[i]
            if c == UInt8(ascii: "\"") {
                tokens.append(Self.token(escaped ? .escapedString : .string, start, i - start))
                i += 1
                return
            }
            guard c >= 0x20 else { throw JSONError(message: "invalid character \(Self.quoted(c)) in string literal", offset: i) }
            if c == UInt8(ascii: "\\") {
                escaped = true
                i += 1
                guard i < b.count else { break }
                switch b[i] {
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
                    UInt8(ascii: "r"),
                    UInt8(ascii: "t"):
                    break
                case UInt8(ascii: "u"):
                    guard i + 4 < b.count, (1...4).allSatisfy({ Self.hex(b[i + $0]) != nil }) else {
                        throw JSONError(message: "invalid \\u escape in string literal", offset: i)
                    }
                    i += 4
                default: throw JSONError(message: "invalid character \(Self.quoted(b[i])) in string escape code", offset: i)
                }
            }
            i += 1
        }
        throw JSONError(message: "unexpected end of JSON input", offset: b.count)
    }

    private mutating func number(_ b: UnsafeBufferPointer<UInt8>, _ i: inout Int) throws(JSONError) {
        let start = i
        var kind = JSONKind.integer
        if b[i] == UInt8(ascii: "-") { i += 1 }
        func digits() throws(JSONError) {
            let first = i
            while i < b.count, b[i] >= UInt8(ascii: "0"), b[i] <= UInt8(ascii: "9") { i += 1 }
            guard i > first else { throw JSONError(message: "invalid character in numeric literal", offset: i) }
        }
        let leading = i
        try digits()
        if b[leading] == UInt8(ascii: "0"), i > leading + 1 { throw JSONError(message: "invalid leading zero in numeric literal", offset: leading) }
        if i < b.count, b[i] == UInt8(ascii: ".") {
            kind = .double
            i += 1
            try digits()
        }
        if i < b.count, b[i] == UInt8(ascii: "e") || b[i] == UInt8(ascii: "E") {
            kind = .double
            i += 1
            if i < b.count, b[i] == UInt8(ascii: "+") || b[i] == UInt8(ascii: "-") { i += 1 }
            try digits()
        }
        tokens.append(Self.token(kind, start, i - start))
    }

    private mutating func literal(_ b: UnsafeBufferPointer<UInt8>, _ i: inout Int, _ text: StaticString, _ kind: JSONKind) throws(JSONError) {
        let length = text.utf8CodeUnitCount
        guard i + length <= b.count, (0..<length).allSatisfy({ b[i + $0] == text.utf8Start[$0] }) else {
            throw JSONError(message: "invalid character \(Self.quoted(b[i])) in literal", offset: i)
        }
        tokens.append(Self.token(kind, i, length))
        i += length
    }

    static func hex(_ c: UInt8) -> UInt16? {
        switch c {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(c - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(c - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(c - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    private static func quoted(_ c: UInt8) -> String {
        c >= 0x20 && c < 0x7F ? "'\(Character(Unicode.Scalar(c)))'" : "'\\x\(String(c, radix: 16))'"
    }
}
