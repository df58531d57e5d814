/// Base 64 without Foundation: the standard alphabet (Secrets), and the URL alphabet without padding (JSON web tokens).
enum Base64 {
    private static let standard = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let url = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func encode(_ bytes: some Collection<UInt8>) -> String { encode(bytes, standard, padded: true) }
    static func encodeURL(_ bytes: some Collection<UInt8>) -> String { encode(bytes, url, padded: false) }

    /// Nil when `text` is not padded standard base 64. Line breaks are let through, as Go's decoder does.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let bytes = text.utf8.filter { $0 != 0x0A && $0 != 0x0D }
        guard bytes.count % 4 == 0 else { return nil }
        let padding = bytes.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
        return decode(bytes.dropLast(padding), standard)
    }

    /// Nil when `text` is not unpadded base 64 of the URL alphabet in its one canonical form: leftover bits must be zero, or one token could be
    /// written twice.
    static func decodeURL(_ text: some StringProtocol) -> [UInt8]? { decode(Array(text.utf8)[...], url) }

    private static func encode(_ bytes: some Collection<UInt8>, _ alphabet: [UInt8], padded: Bool) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        var buffer: UInt32 = 0
        var bits = 0
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                out.append(alphabet[Int(buffer >> UInt32(bits) & 0x3F)])
            }
            buffer &= (1 << UInt32(bits)) - 1
        }
        if bits > 0 { out.append(alphabet[Int(buffer << UInt32(6 - bits) & 0x3F)]) }
        if padded { while out.count % 4 != 0 { out.append(UInt8(ascii: "=")) } }
        return String(decoding: out, as: UTF8.self)
    }

    private static func decode(_ text: ArraySlice<UInt8>, _ alphabet: [UInt8]) -> [UInt8]? {
        guard text.count % 4 != 1 else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(text.count / 4 * 3 + 2)
        var buffer: UInt32 = 0
        var bits = 0
        for c in text {
            let value: UInt32
            switch c {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = UInt32(c - 65)
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = UInt32(c - 71)
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = UInt32(c) + 4
            case alphabet[62]: value = 62
            case alphabet[63]: value = 63
            default: return nil
            }
            buffer = buffer << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
                buffer &= (1 << UInt32(bits)) - 1
            }
        }
        return buffer == 0 ? out : nil
    }
}
