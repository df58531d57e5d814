/// Bytes as lower-case hexadecimal, and back.
package enum Hexadecimal {
    private static let digits = Array("0123456789abcdef".utf8)

    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var out: [UInt8] = []
        for byte in bytes {
            out.append(digits[Int(byte >> 4)])
            out.append(digits[Int(byte & 15)])
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Nil when `text` is not an even number of hexadecimal digits.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var out: [UInt8] = []
        var bytes = text.utf8.makeIterator()
        while let first = bytes.next() {
            guard let high = PercentEncoding.hexValue(first), let low = bytes.next().flatMap(PercentEncoding.hexValue) else { return nil }
            out.append(high << 4 | low)
        }
        return out
    }
}

/// New identifiers in AWS's forms.
package enum AWSIdentifier {
    private static let base32 = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
    private static let base64 = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static func bytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            // Each word is a call of the kernel.
            let word: UInt64 = generator.next()
            for shift in stride(from: 0, to: 64, by: 8) where bytes.count < count { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift))) }
        }
        return bytes
    }

    /// `count` hexadecimal digits, lower case.
    package static func hex(_ count: Int) -> String { String(Hexadecimal.encode(bytes((count + 1) / 2)).prefix(count)) }

    /// `vpc-` and 17 hexadecimal digits, as EC2 names its resources.
    package static func resource(_ prefix: String) -> String { "\(prefix)-\(hex(17))" }

    /// `AKIA…` (users' keys), `ASIA…` (sessions), `AIDA…` (users), `AROA…` (roles): the prefix and 16 or 17 letters of base 32.
    package static func unique(_ prefix: String, length: Int = 16) -> String {
        prefix + String(decoding: bytes(length).map { base32[Int($0 & 31)] }, as: UTF8.self)
    }

    /// A secret of `count` characters of base 64: 40 are 240 random bits.
    package static func secret(_ count: Int = 40) -> String { String(decoding: bytes(count).map { base64[Int($0 & 63)] }, as: UTF8.self) }

    /// A random UUID (version 4), lower case.
    package static func uuid() -> String {
        var raw = bytes(16)
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        let text = Array(Hexadecimal.encode(raw))
        return String(text[0..<8]) + "-" + String(text[8..<12]) + "-" + String(text[12..<16]) + "-" + String(text[16..<20]) + "-"
            + String(text[20..<32])
    }
}
