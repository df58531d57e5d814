import Crypto

/// Makes and reads `NextToken`s. A token is opaque to the caller and carries a tag, so that one that was made up, altered, or made for another
/// operation is refused.
package struct PaginationTokens: Sendable {
    private let key: SymmetricKey
    private static let tagLength = 16

    /// `key` is any secret that outlives the process, so that tokens do too.
    package init(key: [UInt8]) { self.key = SymmetricKey(data: key) }

    /// A token that says: continue `operation` after `cursor`.
    package func token(operation: String, after cursor: String) -> String {
        let payload = Array((operation + "\n" + cursor).utf8)
        return Base64URL.encode(payload + tag(of: payload))
    }

    /// The cursor in `token`; nil when it was not made here for `operation`.
    package func cursor(in token: String, operation: String) -> String? {
        guard let bytes = Base64URL.decode(token), bytes.count > PaginationTokens.tagLength else { return nil }
        let payload = Array(bytes.dropLast(PaginationTokens.tagLength))
        guard SigV4.areEqual(tag(of: payload), Array(bytes.suffix(PaginationTokens.tagLength))) else { return nil }
        guard let text = String(validating: payload, as: UTF8.self), text.hasPrefix(operation + "\n") else { return nil }
        return String(text.dropFirst(operation.count + 1))
    }

    /// A page of `names` (sorted here) of at most `size`, beginning after `token`'s cursor. Nil for a bad token.
    package func page(
        of names: some Sequence<String>, operation: String, token: String?, size: Int
    ) -> (page: [String], next: String?)? {
        var rest = names.sorted()[...]
        if let token, !token.isEmpty {
            guard let cursor = self.cursor(in: token, operation: operation) else { return nil }
            rest = rest.drop { $0 <= cursor }
        }
        let page = Array(rest.prefix(size))
        guard page.count < rest.count, let last = page.last else { return (page, nil) }
        return (page, self.token(operation: operation, after: last))
    }

    private func tag(of payload: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: payload, using: key).prefix(PaginationTokens.tagLength))
    }
}

/// Base 64 with the URL alphabet and no padding (RFC 4648 §5), and the standard alphabet with padding.
package enum Base64URL {
    private static let urlAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let standardAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    package static func encode(_ bytes: [UInt8]) -> String { encode(bytes, urlAlphabet) }

    /// The standard alphabet, padded with `=`.
    package static func encodeStandard(_ bytes: [UInt8]) -> String {
        let text = encode(bytes, standardAlphabet)
        return text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
    }

    private static func encode(_ bytes: [UInt8], _ alphabet: [UInt8]) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count * 4 + 2) / 3)
        var buffer: UInt32 = 0
        var bits = 0
        for byte in bytes {
            buffer = (buffer << 8 | UInt32(byte)) & 0xFFFF
            bits += 8
            while bits >= 6 {
                bits -= 6
                out.append(alphabet[Int(buffer >> UInt32(bits) & 63)])
            }
        }
        if bits > 0 { out.append(alphabet[Int(buffer << UInt32(6 - bits) & 63)]) }
        return String(decoding: out, as: UTF8.self)
    }

    /// The standard alphabet, with its padding or without; nil for what is none.
    package static func decodeStandard(_ text: some StringProtocol) -> [UInt8]? {
        decode(String(text.filter { !$0.isWhitespace }.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }.prefix { $0 != "=" }))
    }

    /// Nil for padding, other alphabets, impossible lengths and bits beyond the last byte that are not zero. Upstream: Go's
    /// base64.RawURLEncoding.Strict().
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var out: [UInt8] = []
        out.reserveCapacity(text.utf8.count * 3 / 4)
        var buffer: UInt32 = 0
        var bits = 0
        for byte in text.utf8 {
            let value: UInt8
            switch byte {
            case 0x41...0x5A: value = byte - 0x41
            case 0x61...0x7A: value = byte - 0x61 + 26
            case 0x30...0x39: value = byte - 0x30 + 52
            case 0x2D: value = 62
            case 0x5F: value = 63
            default: return nil
            }
            buffer = (buffer << 6 | UInt32(value)) & 0xFFFF
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
            }
        }
        guard bits < 6, buffer & ((1 << UInt32(bits)) - 1) == 0 else { return nil }
        return out
    }
}
