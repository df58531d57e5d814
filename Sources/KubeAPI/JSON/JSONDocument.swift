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
        var made: [UInt64] = []
        var failure: JSONError?
        bytes.withUnsafeBufferPointer { buffer in
            do throws(JSONError) { made = try JSONIndexer.index(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
        self.bytes = bytes
        tokens = made
    }

    /// `tokens` are those of `bytes`.
    init(_ bytes: [UInt8], tokens: [UInt64]) {
        self.bytes = bytes
        self.tokens = tokens
    }

    package var root: JSONView { JSONView(document: self, token: 0) }

    /// The index of this text with `length` bytes, which are the member `key: string`, put in at `at`, just behind the opening brace of the object
    /// whose token is `container`. `key` and `value` are the tokens of the new member.
    func tokensInserting(_ length: Int, at place: Int, intoObject container: Int, key: UInt64, value: UInt64) -> [UInt64] {
        let added = 2
        return Array(unsafeUninitializedCapacity: tokens.count + added) { out, count in
            var next = 0
            var index = 0
            while index < tokens.count {
                let word = tokens[index]
                let kind = word >> 60
                var offset = Int(word >> 30 & 0x3FFF_FFFF)
                var low = Int(word & 0x3FFF_FFFF)
                let isContainer = kind == UInt64(JSONKind.array.rawValue) || kind == UInt64(JSONKind.object.rawValue)
                // Containers that hold the place grow; what begins behind it moves.
                if offset >= place { offset += length }
                if isContainer, low > container { low += added }
                out[next] = kind << 60 | UInt64(truncatingIfNeeded: offset) << 30 | UInt64(truncatingIfNeeded: low)
                next += 1
                index += 1
                if isContainer {
                    let start = Int(word >> 30 & 0x3FFF_FFFF)
                    let size = Int(truncatingIfNeeded: tokens[index])
                    out[next] = UInt64(truncatingIfNeeded: start < place && place < start + size ? size + length : size)
                    next += 1
                    index += 1
                    if index == container + 2 {
                        out[next] = key
                        out[next + 1] = value
                        next += 2
                    }
                }
            }
            count = next
        }
    }
}
