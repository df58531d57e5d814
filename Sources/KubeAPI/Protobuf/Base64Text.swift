/// Standard base64 with padding, as JSON carries bytes.
enum Base64Text {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: ArraySlice<UInt8>) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
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
        while out.count % 4 != 0 { out.append(UInt8(ascii: "=")) }
        return String(decoding: out, as: UTF8.self)
    }

    /// Appends what a base64 text stands for. Characters that are no digits are skipped: what is stored was checked when it came in.
    static func decode(_ text: some Sequence<UInt8>, to out: inout [UInt8]) {
        var buffer: UInt32 = 0
        var bits: UInt32 = 0
        for c in text {
            let digit = values[Int(c)]
            guard digit < 64 else { continue }
            buffer = buffer << 6 | UInt32(digit)
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: buffer >> bits))
            }
        }
    }

    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, c) in alphabet.enumerated() { values[Int(c)] = UInt8(value) }
        return values
    }()
}
