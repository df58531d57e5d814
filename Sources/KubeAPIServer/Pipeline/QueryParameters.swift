import KubeAPI

/// The query of a request, decoded: names and values in their order. Upstream: url.Values.
struct QueryParameters: Sendable {
    var items: [(name: String, value: String)]

    init(_ items: [(name: String, value: String)] = []) { self.items = items }

    /// Decodes `a=b&c=d` with `+` for spaces. Pairs that are not validly percent-encoded are left out, as Go's url.ParseQuery leaves them out.
    init(encoded query: Substring) {
        items = query.split(separator: "&", omittingEmptySubsequences: true).compactMap { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentEncoding.decode(parts[0], plusIsSpace: true) else { return nil }
            guard let value = parts.count == 2 ? PercentEncoding.decode(parts[1], plusIsSpace: true) : "" else { return nil }
            return (name, value)
        }
    }

    /// The first value of `name`, nil when it is absent.
    subscript(name: String) -> String? { items.first { $0.name == name }?.value }

    func all(_ name: String) -> [String] { items.filter { $0.name == name }.map(\.value) }

    /// A flag as upstream converts it: present and neither `false` nor `0`. Upstream: runtime.Convert_Slice_string_To_bool.
    func flag(_ name: String) -> Bool {
        guard let value = self[name] else { return false }
        return value != "0" && value.lowercased() != "false"
    }

    /// A whole number. Throws 400 for anything else.
    func integer(_ name: String) throws -> Int64? {
        guard let text = self[name], !text.isEmpty else { return nil }
        guard let number = Int64(text) else {
            throw StatusError.badRequest("strconv.ParseInt: parsing \"\(text)\": invalid syntax")
        }
        return number
    }

    /// The query again, percent-encoded, without its question mark.
    var encoded: String {
        items.map { PercentEncoding.encode($0.name) + "=" + PercentEncoding.encode($0.value) }.joined(separator: "&")
    }
}

/// RFC 3986 percent-encoding, without Foundation.
enum PercentEncoding {
    /// Nil when a `%` is not followed by two hexadecimal digits or the result is not UTF-8.
    static func decode(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String? {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "%") || (plusIsSpace && $0 == UInt8(ascii: "+")) }) else { return String(text) }
        var out: [UInt8] = []
        out.reserveCapacity(text.utf8.count)
        var bytes = text.utf8.makeIterator()
        while let c = bytes.next() {
            switch c {
            case UInt8(ascii: "%"):
                guard let high = bytes.next().flatMap(hex), let low = bytes.next().flatMap(hex) else { return nil }
                out.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace: out.append(UInt8(ascii: " "))
            default: out.append(c)
            }
        }
        return String(validating: out, as: UTF8.self)
    }

    /// Everything but RFC 3986's unreserved characters is encoded.
    static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        out.reserveCapacity(text.utf8.count)
        for c in text.utf8 {
            switch c {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"),
                UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "~"):
                out.append(c)
            default:
                out.append(UInt8(ascii: "%"))
                out.append(digits[Int(c >> 4)])
                out.append(digits[Int(c & 0xF)])
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func hex(_ c: UInt8) -> UInt8? {
        switch c {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): c - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): c - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): c - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
