import Glibc

/// A place in a `JSONDocument`: a cheap, read-only cursor. Reading a value of another type than asked for gives nil, never a trap.
package struct JSONView: Sendable {
    package let document: JSONDocument
    let token: Int

    private var word: UInt64 { document.tokens[token] }
    private var offset: Int { Int(word >> 30 & 0x3FFF_FFFF) }
    private var low: Int { Int(word & 0x3FFF_FFFF) }

    // A token's kind was written from a `JSONKind`.
    package var kind: JSONKind { unsafeBitCast(UInt8(truncatingIfNeeded: word >> 60), to: JSONKind.self) }
    package var isNull: Bool { kind == .null }

    /// The token just past this value.
    private var past: Int { kind == .array || kind == .object ? low : token + 1 }

    /// The bytes of this value as they stand in the document, a string with its quotes.
    package var rawBytes: ArraySlice<UInt8> {
        switch kind {
        case .array, .object: document.bytes[offset..<offset + Int(document.tokens[token + 1])]
        case .string, .escapedString: document.bytes[offset - 1..<offset + low + 1]
        default: document.bytes[offset..<offset + low]
        }
    }

    /// The byte at which this value begins in the document.
    package var start: Int { kind == .string || kind == .escapedString ? offset - 1 : offset }

    package var string: String? {
        switch kind {
        case .string: String(decoding: document.bytes[offset..<offset + low], as: UTF8.self)
        case .escapedString: Self.unescape(document.bytes[offset..<offset + low])
        default: nil
        }
    }

    /// Whether this is the string `text`, told without making a String of it.
    package func equals(_ text: String) -> Bool {
        switch kind {
        case .string:
            guard text.utf8.count == low else { return false }
            var text = text
            return text.withUTF8 { document.holds($0, at: offset) }
        case .escapedString: return string == text
        default: return false
        }
    }

    /// An integer, also one written as a double without a fraction (`3.0`).
    package var int: Int64? {
        switch kind {
        case .integer:
            var value: Int64 = 0
            var negative = false
            for c in document.bytes[offset..<offset + low] {
                if c == UInt8(ascii: "-") {
                    negative = true
                    continue
                }
                let (product, overflow) = value.multipliedReportingOverflow(by: 10)
                let digit = Int64(c - UInt8(ascii: "0"))
                let (sum, overflow2) = negative ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
                if overflow || overflow2 { return nil }
                value = sum
            }
            return value
        case .double: return double.flatMap { Int64(exactly: $0) }
        default: return nil
        }
    }

    package var double: Double? {
        guard kind == .integer || kind == .double else { return nil }
        return Double(String(decoding: document.bytes[offset..<offset + low], as: UTF8.self))
    }

    package var bool: Bool? { kind == .true ? true : kind == .false ? false : nil }

    /// The member `key` of an object; the last one where a key stands twice, as Go reads it. Explicit nulls are returned as views of null.
    package subscript(key: String) -> JSONView? {
        guard kind == .object else { return nil }
        var wanted = key
        return wanted.withUTF8 { document.member($0, key, of: token, end: low) }.map { JSONView(document: document, token: $0) }
    }

    /// The elements of an array; nothing for any other value.
    package var elements: JSONElements { JSONElements(document: document, at: kind == .array ? token + 2 : 0, end: kind == .array ? low : 0) }
    /// The members of an object in their order, duplicates included; nothing for any other value.
    package var members: JSONMembers { JSONMembers(document: document, at: kind == .object ? token + 2 : 0, end: kind == .object ? low : 0) }

    package struct JSONElements: Sequence, IteratorProtocol, Sendable {
        let document: JSONDocument
        var at: Int
        let end: Int
        package mutating func next() -> JSONView? {
            guard at < end else { return nil }
            let view = JSONView(document: document, token: at)
            at = view.past
            return view
        }
    }

    package struct JSONMembers: Sequence, IteratorProtocol, Sendable {
        let document: JSONDocument
        var at: Int
        let end: Int
        package mutating func next() -> (key: String, value: JSONView)? {
            guard at < end else { return nil }
            let key = JSONView(document: document, token: at)
            let value = JSONView(document: document, token: at + 1)
            at = value.past
            return (key.string ?? "", value)
        }
    }

    /// An object whose members are all strings, such as labels. Members of other types are left out.
    package var stringMap: [String: String] {
        var map: [String: String] = [:]
        for (key, value) in members { if let text = value.string { map[key] = text } }
        return map
    }

    /// The strings of an array.
    package var strings: [String] { elements.compactMap(\.string) }

    /// This value as a mutable tree. Recursion is bounded by `JSONLimits.depth`.
    package var value: Value {
        switch kind {
        case .null: .null
        case .true: .bool(true)
        case .false: .bool(false)
        case .integer: int.map { .int($0) } ?? .double(double ?? 0)
        case .double: .double(double ?? 0)
        case .string, .escapedString: .string(string ?? "")
        case .array: .array(elements.map(\.value))
        case .object: .object(membersAsTree)
        }
    }

    /// Above this many members a table of names is cheaper than comparing each with each.
    private static var fewMembers: Int { 24 }

    private var membersAsTree: Members {
        let end = low
        var count = 0
        var at = token + 2
        var isPlain = true
        // Few members without escapes whose names differ, which is nearly every object, need no table of names.
        while at < end {
            let key = document.tokens[at]
            if key >> 60 != UInt64(JSONKind.string.rawValue) { isPlain = false }
            count += 1
            at = JSONView(document: document, token: at + 1).past
        }
        guard isPlain, count <= Self.fewMembers, !document.hasTwins(from: token + 2, to: end) else {
            return Members(members.map { ($0.key, $0.value.value) })
        }
        var keys: [String] = []
        var values: [Value] = []
        keys.reserveCapacity(count)
        values.reserveCapacity(count)
        at = token + 2
        while at < end {
            let value = JSONView(document: document, token: at + 1)
            keys.append(JSONView(document: document, token: at).string ?? "")
            values.append(value.value)
            at = value.past
        }
        return Members(distinct: keys, values)
    }

    static func unescape(_ bytes: ArraySlice<UInt8>) -> String {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count)
        var i = bytes.startIndex
        func unit(_ at: Int) -> UInt16? {
            guard at + 4 < bytes.endIndex else { return nil }
            return (1...4).reduce(UInt16(0)) { $0 << 4 | (JSONIndexer.hex(bytes[at + $1]) ?? 0) }
        }
        while i < bytes.endIndex {
            guard bytes[i] == UInt8(ascii: "\\"), i + 1 < bytes.endIndex else {
                out.append(bytes[i])
                i += 1
                continue
            }
            i += 1
            switch bytes[i] {
            case UInt8(ascii: "b"): out.append(0x08)
            case UInt8(ascii: "f"): out.append(0x0C)
            case UInt8(ascii: "n"): out.append(0x0A)
            case UInt8(ascii: "r"): out.append(0x0D)
            case UInt8(ascii: "t"): out.append(0x09)
            case UInt8(ascii: "u"):
                let high = unit(i) ?? 0xFFFD
                i += 4
                var scalar = Unicode.Scalar(UInt32(high))
                if high & 0xFC00 == 0xD800, i + 2 < bytes.endIndex, bytes[i + 1] == UInt8(ascii: "\\"), bytes[i + 2] == UInt8(ascii: "u"),
                    let low = unit(i + 2), low & 0xFC00 == 0xDC00
                {
                    scalar = Unicode.Scalar(0x10000 + (UInt32(high & 0x3FF) << 10) + UInt32(low & 0x3FF))
                    i += 6
                }
                out.append(contentsOf: String(Character(scalar ?? "\u{FFFD}")).utf8)
            default: out.append(bytes[i])
            }
            i += 1
        }
        return String(decoding: out, as: UTF8.self)
    }
}

extension JSONDocument {
    /// Whether the bytes at `offset` are `text`.
    fileprivate func holds(_ text: UnsafeBufferPointer<UInt8>, at offset: Int) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            guard let a = bytes.baseAddress, let b = text.baseAddress else { return text.isEmpty }
            return memcmp(a + offset, b, text.count) == 0
        }
    }

    /// The token of the value of the last member `name` of the object at `object`, whose tokens end at `end`. `key` is the same name.
    fileprivate func member(_ name: UnsafeBufferPointer<UInt8>, _ key: String, of object: Int, end: Int) -> Int? {
        var found: Int?
        tokens.withUnsafeBufferPointer { tokens in
            bytes.withUnsafeBufferPointer { bytes in
                var at = object + 2
                while at < end {
                    let word = tokens[at]
                    let kind = word >> 60
                    let low = Int(word & 0x3FFF_FFFF)
                    if kind == UInt64(JSONKind.string.rawValue) {
                        if low == name.count, let a = bytes.baseAddress,
                            low == 0 || name.baseAddress.map({ memcmp(a + Int(word >> 30 & 0x3FFF_FFFF), $0, low) == 0 }) ?? false
                        {
                            found = at + 1
                        }
                    } else if JSONView(document: self, token: at).string == key {
                        found = at + 1
                    }
                    let value = tokens[at + 1]
                    let valueKind = value >> 60
                    at =
                        valueKind == UInt64(JSONKind.array.rawValue) || valueKind == UInt64(JSONKind.object.rawValue)
                        ? Int(value & 0x3FFF_FFFF) : at + 2
                }
            }
        }
        return found
    }

    /// Whether two of the keys between these tokens, none of which has escapes, are the same.
    fileprivate func hasTwins(from start: Int, to end: Int) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            tokens.withUnsafeBufferPointer { tokens in
                func past(_ at: Int) -> Int {
                    let value = tokens[at + 1]
                    let kind = value >> 60
                    return kind == UInt64(JSONKind.array.rawValue) || kind == UInt64(JSONKind.object.rawValue) ? Int(value & 0x3FFF_FFFF) : at + 2
                }
                var at = start
                while at < end {
                    let length = Int(tokens[at] & 0x3FFF_FFFF)
                    var other = start
                    while other < at {
                        if Int(tokens[other] & 0x3FFF_FFFF) == length, let base = bytes.baseAddress,
                            memcmp(base + Int(tokens[other] >> 30 & 0x3FFF_FFFF), base + Int(tokens[at] >> 30 & 0x3FFF_FFFF), length) == 0
                        {
                            return true
                        }
                        other = past(other)
                    }
                    at = past(at)
                }
                return false
            }
        }
    }
}

/// Chains through missing members: `object["spec"]["replicas"].int` is nil when any step is.
extension Optional where Wrapped == JSONView {
    package subscript(key: String) -> JSONView? { flatMap { $0[key] } }
    package var string: String? { flatMap(\.string) }
    package var int: Int64? { flatMap(\.int) }
    package var bool: Bool? { flatMap(\.bool) }
    package var elements: [JSONView] { map { Array($0.elements) } ?? [] }
    package var strings: [String] { map(\.strings) ?? [] }
    package var stringMap: [String: String] { map(\.stringMap) ?? [:] }
    package var value: Value? { map(\.value) }
}
