/// Builds the token index of a JSON text: one pass over raw memory, an explicit stack instead of recursion.
///
/// Every read is guarded by `at < count`; nothing else bounds the pointers. The fuzz target of the JSON parser and its tests go through here.
struct JSONIndexer: ~Copyable {
    private let base: UnsafePointer<UInt8>
    private let count: Int
    private var at = 0
    private var tokens: UnsafeMutablePointer<UInt64>
    private var tokenCount = 0
    private var capacity: Int
    /// Token numbers of the open containers.
    private let open: UnsafeMutablePointer<Int>
    private var depth = 0

    private init(_ bytes: UnsafeBufferPointer<UInt8>, base: UnsafePointer<UInt8>) {
        self.base = base
        count = bytes.count
        // Kubernetes objects have a token for every 6 to 12 bytes.
        capacity = bytes.count / 6 + 8
        tokens = .allocate(capacity: capacity)
        open = .allocate(capacity: JSONLimits.depth)
    }

    deinit {
        tokens.deallocate()
        open.deallocate()
    }

    /// The tokens of `bytes`, which must hold exactly one JSON value and white space. Throws `JSONError`.
    static func index(_ bytes: UnsafeBufferPointer<UInt8>) throws(JSONError) -> [UInt64] {
        guard bytes.count < JSONLimits.bytes else { throw JSONError(message: "JSON text is larger than \(JSONLimits.bytes) bytes", offset: 0) }
        guard let base = bytes.baseAddress, !bytes.isEmpty else { throw JSONError(message: "unexpected end of JSON input", offset: 0) }
        var indexer = JSONIndexer(bytes, base: base)
        try indexer.run()
        return indexer.copied()
    }

    /// Exactly as large as needed: the index may be kept. A method, so that `self`, which frees the memory, outlives the copying.
    private borrowing func copied() -> [UInt64] { Array(UnsafeBufferPointer(start: tokens, count: tokenCount)) }

    private static func token(_ kind: JSONKind, _ offset: Int, _ length: Int) -> UInt64 {
        UInt64(kind.rawValue) << 60 | UInt64(truncatingIfNeeded: offset) << 30 | UInt64(truncatingIfNeeded: length)
    }

    private enum Expect { case value, valueOrEnd, key, keyOrEnd, commaOrEnd }

    @inline(__always)
    private mutating func append(_ token: UInt64) {
        if tokenCount == capacity { grow() }
        tokens[tokenCount] = token
        tokenCount += 1
    }

    @inline(never)
    private mutating func grow() {
        let larger = UnsafeMutablePointer<UInt64>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: tokens, count: tokenCount)
        tokens.deallocate()
        tokens = larger
        capacity *= 2
    }

    @inline(__always)
    private mutating func skipSpace() {
        while at < count {
            let c = base[at]
            guard c <= 0x20, c == 0x20 || c == 0x0A || c == 0x0D || c == 0x09 else { return }
            at += 1
        }
    }

    private mutating func run() throws(JSONError) {
        var expect = Expect.value
        while true {
            skipSpace()
            guard at < count else { throw JSONError(message: "unexpected end of JSON input", offset: at) }
            let c = base[at]
            switch expect {
            case .key, .keyOrEnd:
                if c == UInt8(ascii: "}"), expect == .keyOrEnd {
                    at += 1
                    close()
                } else {
                    guard c == UInt8(ascii: "\"") else { throw invalid(c, "looking for beginning of object key string") }
                    try string()
                    skipSpace()
                    guard at < count else { throw JSONError(message: "unexpected end of JSON input", offset: at) }
                    guard base[at] == UInt8(ascii: ":") else { throw invalid(base[at], "after object key") }
                    at += 1
                    expect = .value
                    continue
                }
            case .commaOrEnd:
                let isObject = depth > 0 && tokens[open[depth - 1]] >> 60 == UInt64(JSONKind.object.rawValue)
                if c == UInt8(ascii: ",") {
                    at += 1
                    expect = isObject ? .key : .value
                    continue
                }
                guard c == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                    throw invalid(c, "after \(isObject ? "object key:value pair" : "array element")")
                }
                at += 1
                close()
            case .value, .valueOrEnd:
                switch c {
                case UInt8(ascii: "\""): try string()
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    guard depth < JSONLimits.depth else { throw JSONError(message: "exceeded max depth of \(JSONLimits.depth)", offset: at) }
                    open[depth] = tokenCount
                    depth += 1
                    append(Self.token(c == UInt8(ascii: "{") ? .object : .array, at, 0))
                    append(0)
                    at += 1
                    expect = c == UInt8(ascii: "{") ? .keyOrEnd : .valueOrEnd
                    continue
                case UInt8(ascii: "]") where expect == .valueOrEnd:
                    at += 1
                    close()
                case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number()
                case UInt8(ascii: "t"): try literal("true", .true)
                case UInt8(ascii: "f"): try literal("false", .false)
                case UInt8(ascii: "n"): try literal("null", .null)
                default: throw invalid(c, "looking for beginning of value")
                }
            }
            if depth == 0 { break }
            expect = .commaOrEnd
        }
        skipSpace()
        guard at == count else { throw invalid(base[at], "after top-level value") }
    }

    private func invalid(_ c: UInt8, _ place: String) -> JSONError {
        JSONError(message: "invalid character \(Self.quoted(c)) \(place)", offset: at)
    }

    private mutating func close() {
        depth -= 1
        let start = open[depth]
        let offset = Int(tokens[start] >> 30 & 0x3FFF_FFFF)
        tokens[start] |= UInt64(tokenCount)
        tokens[start + 1] = UInt64(at - offset)
    }

    /// Moves to the next byte that ends or escapes a string or may not be in one, eight bytes at a time.
    @inline(__always)
    private mutating func skipPlainText() {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while at + 8 <= count {
            let word = UnsafeRawPointer(base + at).loadUnaligned(as: UInt64.self)
            let quote = word ^ (ones &* 0x22)
            let slash = word ^ (ones &* 0x5C)
            // A byte is zero, or below 0x20, where its high bit is set after the subtraction and was not before.
            let found =
                ((quote &- ones) & ~quote) | ((slash &- ones) & ~slash) | ((word &- ones &* 0x20) & ~word)
            let mask = found & highs
            if mask != 0 {
                at += mask.littleEndian.trailingZeroBitCount >> 3
                return
            }
            at += 8
        }
        while at < count, base[at] >= 0x20, base[at] != UInt8(ascii: "\""), base[at] != UInt8(ascii: "\\") { at += 1 }
    }

    private mutating func string() throws(JSONError) {
        let start = at + 1
        var escaped = false
        at = start
        while true {
            skipPlainText()
            guard at < count else { throw JSONError(message: "unexpected end of JSON input", offset: count) }
            let c = base[at]
            if c == UInt8(ascii: "\"") {
                append(Self.token(escaped ? .escapedString : .string, start, at - start))
                at += 1
                return
            }
            guard c == UInt8(ascii: "\\") else { throw invalid(c, "in string literal") }
            escaped = true
            at += 1
            guard at < count else { throw JSONError(message: "unexpected end of JSON input", offset: count) }
            switch base[at] {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
                UInt8(ascii: "r"), UInt8(ascii: "t"):
                break
            case UInt8(ascii: "u"):
                guard at + 4 < count, Self.hex(base[at + 1]) != nil, Self.hex(base[at + 2]) != nil, Self.hex(base[at + 3]) != nil,
                    Self.hex(base[at + 4]) != nil
                else { throw JSONError(message: "invalid \\u escape in string literal", offset: at) }
                at += 4
            default: throw invalid(base[at], "in string escape code")
            }
            at += 1
        }
    }

    private mutating func digits() throws(JSONError) {
        let first = at
        while at < count, base[at] >= UInt8(ascii: "0"), base[at] <= UInt8(ascii: "9") { at += 1 }
        guard at > first else { throw JSONError(message: "invalid character in numeric literal", offset: at) }
    }

    private mutating func number() throws(JSONError) {
        let start = at
        var kind = JSONKind.integer
        if base[at] == UInt8(ascii: "-") { at += 1 }
        let leading = at
        try digits()
        if base[leading] == UInt8(ascii: "0"), at > leading + 1 {
            throw JSONError(message: "invalid leading zero in numeric literal", offset: leading)
        }
        if at < count, base[at] == UInt8(ascii: ".") {
            kind = .double
            at += 1
            try digits()
        }
        if at < count, base[at] == UInt8(ascii: "e") || base[at] == UInt8(ascii: "E") {
            kind = .double
            at += 1
            if at < count, base[at] == UInt8(ascii: "+") || base[at] == UInt8(ascii: "-") { at += 1 }
            try digits()
        }
        append(Self.token(kind, start, at - start))
    }

    private mutating func literal(_ text: StaticString, _ kind: JSONKind) throws(JSONError) {
        let length = text.utf8CodeUnitCount
        guard at + length <= count, (0..<length).allSatisfy({ base[at + $0] == text.utf8Start[$0] }) else {
            throw invalid(base[at], "in literal")
        }
        append(Self.token(kind, at, length))
        at += length
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
