/// Percent encoding as Signature Version 4 wants it: everything but `A-Z a-z 0-9 - . _ ~` becomes `%XX` in upper case.
package enum PercentEncoding {
    private static let hexDigits = Array("0123456789ABCDEF".utf8)

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
        default: false
        }
    }

    /// Encodes `text`; slashes stay when `keepingSlashes`, as in a path.
    package static func encode(_ text: some StringProtocol, keepingSlashes: Bool = false) -> String {
        var out: [UInt8] = []
        out.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            if isUnreserved(byte) || (keepingSlashes && byte == 0x2F) {
                out.append(byte)
            } else {
                out.append(0x25)
                out.append(hexDigits[Int(byte >> 4)])
                out.append(hexDigits[Int(byte & 15)])
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Decodes `%XX`, and `+` to a space when `plusIsSpace` (forms and query strings). Nil when an escape is malformed or the bytes are not UTF-8.
    package static func decode(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String? {
        decode(bytes: text.utf8, plusIsSpace: plusIsSpace)
    }

    private static func decode(bytes text: some Sequence<UInt8>, plusIsSpace: Bool) -> String? {
        var out: [UInt8] = []
        out.reserveCapacity(text.underestimatedCount)
        var bytes = text.makeIterator()
        while let byte = bytes.next() {
            switch byte {
            case 0x25:
                guard let high = bytes.next().flatMap(hexValue), let low = bytes.next().flatMap(hexValue) else { return nil }
                out.append(high << 4 | low)
            case 0x2B where plusIsSpace: out.append(0x20)
            default: out.append(byte)
            }
        }
        return String(validating: out, as: UTF8.self)
    }

    /// The pairs of a query string or form, decoded, in order. Nil when an escape is malformed. A name without `=` has an empty value.
    package static func decodePairs(_ query: some StringProtocol) -> [(name: String, value: String)]? {
        var pairs: [(name: String, value: String)] = []
        for part in query.utf8.split(separator: 0x26, omittingEmptySubsequences: true) {
            let equals = part.firstIndex(of: 0x3D)
            guard let name = decode(bytes: part[..<(equals ?? part.endIndex)], plusIsSpace: true) else { return nil }
            guard let value = equals.map({ decode(bytes: part[part.index(after: $0)...], plusIsSpace: true) }) ?? "" else { return nil }
            pairs.append((name, value))
        }
        return pairs
    }

    static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte &- 0x30
        case 0x41...0x46: byte &- 0x37
        case 0x61...0x66: byte &- 0x57
        default: nil
        }
    }
}
