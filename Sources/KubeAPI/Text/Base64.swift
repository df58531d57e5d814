/// Base 64 without Foundation: the standard alphabet (Secrets, certificates, bytes in JSON), and the URL alphabet without padding (JSON web tokens).
/// Upstream: encoding/base64.
package enum Base64 {
    private static let standard = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let url = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let padding = UInt8(ascii: "=")

    /// With padding. Upstream: base64.StdEncoding.
    package static func encode(_ bytes: some Sequence<UInt8>) -> String { encode(bytes, standard, isPadded: true) }
    /// Without padding. Upstream: base64.RawURLEncoding.
    package static func encodeURL(_ bytes: some Sequence<UInt8>) -> String { encode(bytes, url, isPadded: false) }

    /// Nil when `text` is not padded standard base 64. Line breaks are let through, as Go's decoder does.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let bytes = text.utf8.filter { $0 != 0x0A && $0 != 0x0D }
        guard bytes.count % 4 == 0 else { return nil }
        return decode(withoutPadding(bytes[...]), standard, isCanonical: false)
    }

    /// The same, with padding that is whole or missing, as CEL's `base64.decode` takes it.
    package static func decodeLoosely(_ text: some StringProtocol) -> [UInt8]? {
        let bytes = text.utf8.filter { $0 != 0x0A && $0 != 0x0D }
        let digits = withoutPadding(bytes[...])
        guard digits.count == bytes.count || bytes.count % 4 == 0 else { return nil }
        return decode(digits, standard, isCanonical: false)
    }

    /// Nil when `text` is not unpadded base 64 of the URL alphabet in its one canonical form: leftover bits must be zero, or one token could be
    /// written twice.
    package static func decodeURL(_ text: some StringProtocol) -> [UInt8]? { decode(Array(text.utf8)[...], url, isCanonical: true) }

    /// Appends what standard base 64 stands for. Characters that are no digits are skipped: for what was checked when it was stored.
    package static func append(decoding text: some Sequence<UInt8>, to out: inout [UInt8]) {
        var buffer: UInt32 = 0
        var bits: UInt32 = 0
        for c in text {
            guard let digit = value(of: c, standard) else { continue }
            buffer = buffer << 6 | digit
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: buffer >> bits))
            }
        }
    }

    private static func encode(_ bytes: some Sequence<UInt8>, _ alphabet: [UInt8], isPadded: Bool) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.underestimatedCount + 2) / 3 * 4)
        var buffer: UInt32 = 0
        var bits: UInt32 = 0
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                out.append(alphabet[Int(buffer >> bits & 0x3F)])
            }
        }
        if bits > 0 { out.append(alphabet[Int(buffer << (6 - bits) & 0x3F)]) }
        if isPadded { while out.count % 4 != 0 { out.append(padding) } }
        return String(decoding: out, as: UTF8.self)
    }

    private static func withoutPadding(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        bytes.dropLast(bytes.suffix(2).reversed().prefix { $0 == padding }.count)
    }

    @inline(__always)
    private static func value(of c: UInt8, _ alphabet: [UInt8]) -> UInt32? {
        switch c {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(c - 65)
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(c - 71)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(c) + 4
        case alphabet[62]: 62
        case alphabet[63]: 63
        default: nil
        }
    }

    private static func decode(_ text: ArraySlice<UInt8>, _ alphabet: [UInt8], isCanonical: Bool) -> [UInt8]? {
        guard text.count % 4 != 1 else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(text.count / 4 * 3 + 2)
        var buffer: UInt32 = 0
        var bits: UInt32 = 0
        for c in text {
            guard let digit = value(of: c, alphabet) else { return nil }
            buffer = buffer << 6 | digit
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: buffer >> bits))
                buffer &= (1 << bits) - 1
            }
        }
        return isCanonical && buffer != 0 ? nil : out
    }
}
