import Glibc
import KubeAPI

/// The formats of strings that are checked; of all others any text is good. Upstream: kube-openapi/pkg/validation/strfmt with
/// apiserver/validation/formats.go.
enum StringFormat {
    /// The longest address, hostname or date worth a look; longer ones are none.
    private static let longest = 2048

    static func isValid(_ text: String, _ format: String) -> Bool {
        switch format.filter({ $0 != "-" }) {
        case "datetime": return isDateTime(text)
        case "date": return isDate(text)
        case "byte": return isBase64(text)
        case "duration": return isDuration(text)
        case "ipv4": return address(text, AF_INET)
        case "ipv6": return text.contains(":") && address(text, AF_INET6)
        case "cidr": return isCIDR(text)
        case "mac": return isMAC(text)
        case "uuid": return isUUID(text, version: nil)
        case "uuid3": return isUUID(text, version: "3")
        case "uuid4": return isUUID(text, version: "4")
        case "uuid5": return isUUID(text, version: "5")
        case "hostname": return isHostname(text)
        case "email": return isEmail(text)
        case "uri": return isURI(text)
        case "bsonobjectid": return text.utf8.count == 24 && text.utf8.allSatisfy(isHex)
        case "hexcolor": return isHexColor(text)
        case "rgbcolor": return isRGBColor(text)
        case "ssn": return digits(text, groups: [3, 2, 4])
        case "isbn10": return isISBN10(text)
        case "isbn13": return isISBN13(text)
        case "isbn": return isISBN10(text) || isISBN13(text)
        case "creditcard": return isCreditCard(text)
        case "k8sshortname": return Names.problems(text, .dnsLabel).isEmpty
        case "k8slongname": return Names.problems(text, .dnsSubdomain).isEmpty
        default: return true
        }
    }

    private static func isDigit(_ c: UInt8) -> Bool { c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9") }
    private static func isHex(_ c: UInt8) -> Bool { isDigit(c) || (c | 0x20 >= UInt8(ascii: "a") && c | 0x20 <= UInt8(ascii: "f")) }
    private static func isLetter(_ c: UInt8) -> Bool { c | 0x20 >= UInt8(ascii: "a") && c | 0x20 <= UInt8(ascii: "z") }

    /// RFC 3339 as upstream reads it: any character before the fraction, no text that is empty, hours to 23. Upstream: strfmt.IsDateTime.
    private static func isDateTime(_ text: String) -> Bool {
        guard text.utf8.count <= longest else { return false }
        let parts = Array(text.utf8).split(omittingEmptySubsequences: false) { $0 | 0x20 == UInt8(ascii: "t") }
        guard parts.count > 1, isDate(String(decoding: parts[0], as: UTF8.self)) else { return false }
        let time = Array(String(decoding: parts[1], as: UTF8.self).unicodeScalars)
        // Two digits each, with colons between.
        func clock(_ at: Int, _ pairs: [UInt32]) -> Bool {
            guard at + 3 * pairs.count - 1 <= time.count else { return false }
            for (index, limit) in pairs.enumerated() {
                let start = at + 3 * index
                guard isDigit(time[start]), isDigit(time[start + 1]) else { return false }
                if (time[start].value - 48) * 10 + time[start + 1].value - 48 > limit { return false }
                if index > 0, time[start - 1] != ":" { return false }
            }
            return true
        }
        guard clock(0, [23, 59, 59]) else { return false }
        var at = 8
        // `(.[0-9]+)?`, whose dot is any character.
        if at + 1 < time.count, isDigit(time[at + 1]), time[at] != "\n", !(time.count == at + 6 && (time[at] == "+" || time[at] == "-")) {
            at += 2
            while at < time.count, isDigit(time[at]) { at += 1 }
        }
        if at + 1 == time.count { return time[at] == "z" || time[at] == "Z" }
        return at + 6 == time.count && (time[at] == "+" || time[at] == "-") && clock(at + 1, [99, 99])
    }

    private static func isDigit(_ c: Unicode.Scalar) -> Bool { c >= "0" && c <= "9" }

    /// The formats of texts that are checked. Upstream: formats.go's supportedVersionedFormats.
    private static let known: Set<String> = [
        "bsonobjectid", "uri", "email", "hostname", "ipv4", "ipv6", "cidr", "mac", "uuid", "uuid3", "uuid4", "uuid5", "isbn", "isbn10", "isbn13",
        "creditcard", "ssn", "hexcolor", "rgbcolor", "byte", "password", "date", "duration", "datetime", "k8sshortname", "k8slongname",
    ]

    /// Whether upstream's validator knows the format for the type; others are as if they were not there.
    static func isKept(_ format: String, type: String) -> Bool {
        switch type {
        case "string": known.contains(format.filter { $0 != "-" })
        case "integer": format == "int32" || format == "int64"
        case "number": format == "float" || format == "double"
        default: false
        }
    }

    private static func isDate(_ text: String) -> Bool { text.utf8.count == 10 && Timestamp(rfc3339: text + "T00:00:00Z") != nil }

    /// Go's StdEncoding, padded.
    private static func isBase64(_ text: String) -> Bool { Base64.decode(text.filter { $0 != "\n" && $0 != "\r" }) != nil }

    /// `1h30m`, `300ms`, and `2 days`. Upstream: strfmt.ParseDuration.
    private static func isDuration(_ text: String) -> Bool {
        guard text.utf8.count <= longest else { return false }
        var rest = text[...]
        if rest.first == "-" || rest.first == "+" { rest.removeFirst() }
        if rest == "0" { return true }
        guard !rest.isEmpty else { return false }
        let units: Set<String> = ["ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "w"]
        let words: Set<String> = [
            "nano", "nanosecond", "nanoseconds", "microsecond", "microseconds", "millisecond", "milliseconds", "sec", "second", "seconds", "min",
            "minute", "minutes", "hr", "hour", "hours", "day", "days", "wk", "week", "weeks", "nanos", "micro", "micros", "milli", "millis",
        ]
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard number.contains(where: \.isNumber), number.count(where: { $0 == "." }) <= 1 else { return false }
            rest = rest.dropFirst(number.count)
            let gap = rest.prefix { $0 == " " }
            rest = rest.dropFirst(gap.count)
            let unit = String(rest.prefix { !($0.isASCII && $0.isNumber) && $0 != "." && $0 != " " })
            guard units.contains(unit) || words.contains(unit.lowercased()) else { return false }
            rest = rest.dropFirst(unit.count)
            rest = rest.drop { $0 == " " }
        }
        return true
    }

    private static func address(_ text: String, _ family: Int32) -> Bool {
        guard text.utf8.count <= 64, !text.utf8.contains(0) else { return false }
        var buffer = in6_addr()
        return withUnsafeMutableBytes(of: &buffer) { inet_pton(family, text, $0.baseAddress) == 1 }
    }

    private static func isCIDR(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].utf8.allSatisfy(isDigit), let length = Int(parts[1]) else { return false }
        let host = String(parts[0])
        return host.contains(":") ? length <= 128 && address(host, AF_INET6) : length <= 32 && address(host, AF_INET)
    }

    private static func isMAC(_ text: String) -> Bool {
        for separator in [":", "-"] {
            let groups = text.split(separator: Character(separator), omittingEmptySubsequences: false)
            if [6, 8, 20].contains(groups.count), groups.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy(isHex) }) { return true }
        }
        let groups = text.split(separator: ".", omittingEmptySubsequences: false)
        return [3, 4, 10].contains(groups.count) && groups.allSatisfy { $0.utf8.count == 4 && $0.utf8.allSatisfy(isHex) }
    }

    private static func isUUID(_ text: String, version: Character?) -> Bool {
        let plain = text.filter { $0 != "-" }
        guard plain.utf8.count == 32, plain.utf8.allSatisfy(isHex) else { return false }
        if text.contains("-") {
            guard text.split(separator: "-", omittingEmptySubsequences: false).map(\.utf8.count) == [8, 4, 4, 4, 12] else { return false }
        }
        guard let version else { return true }
        let characters = Array(plain.lowercased())
        return characters[12] == version && (version == "3" || "89ab".contains(characters[16]))
    }

    private static func isHostname(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.count <= 255 else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            !label.isEmpty && label.utf8.count <= 63 && label.first != "-" && label.last != "-"
                && label.unicodeScalars.allSatisfy { !$0.isASCII || isLetter(UInt8($0.value)) || isDigit(UInt8($0.value)) || $0 == "-" }
        }
    }

    private static func isEmail(_ text: String) -> Bool {
        guard text.utf8.count <= longest, let at = text.lastIndex(of: "@") else { return false }
        var local = text[..<at]
        var domain = text[text.index(after: at)...]
        // `Name <user@host>`
        if domain.last == ">", let open = local.lastIndex(of: "<") {
            domain = domain.dropLast()
            local = local[local.index(after: open)...]
        }
        let special = Set("()<>[]:;@\\,\" \t")
        return !local.isEmpty && !domain.isEmpty && local.first != "." && local.last != "." && !local.contains(where: special.contains)
            && !domain.contains(where: special.contains) && domain.first != "." && domain.last != "."
    }

    /// Upstream: url.ParseRequestURI.
    private static func isURI(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return false }
        if text.hasPrefix("/") { return true }
        guard let colon = text.firstIndex(of: ":"), let first = text.utf8.first, isLetter(first) else { return false }
        let scheme = text[..<colon]
        let others = Set("+-.".utf8)
        guard scheme.utf8.allSatisfy({ isLetter($0) || isDigit($0) || others.contains($0) }) else { return false }
        let host = text[text.index(after: colon)...]
        return !host.contains("%") || PercentEncoding.decode(host) != nil
    }

    private static func isHexColor(_ text: String) -> Bool {
        let digits = text.hasPrefix("#") ? text.dropFirst() : text[...]
        return (digits.utf8.count == 3 || digits.utf8.count == 6) && digits.utf8.allSatisfy(isHex)
    }

    private static func isRGBColor(_ text: String) -> Bool {
        guard text.hasPrefix("rgb("), text.hasSuffix(")") else { return false }
        let parts = text.dropFirst(4).dropLast().split(separator: ",", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } }
        return parts.count == 3 && parts.allSatisfy { Int($0).map { (0...255).contains($0) } ?? false }
    }

    private static func digits(_ text: String, groups: [Int]) -> Bool {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == "-" || $0 == " " }
        return parts.map(\.utf8.count) == groups && parts.allSatisfy { $0.utf8.allSatisfy(isDigit) }
    }

    private static func plainDigits(_ text: String) -> [UInt8] { text.utf8.filter { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: " ") } }

    private static func isISBN10(_ text: String) -> Bool {
        let bytes = plainDigits(text)
        guard bytes.count == 10, bytes.dropLast().allSatisfy(isDigit), isDigit(bytes[9]) || bytes[9] == UInt8(ascii: "X") else { return false }
        let sum = bytes.enumerated().reduce(0) { $0 + (10 - $1.offset) * ($1.element == UInt8(ascii: "X") ? 10 : Int($1.element - 48)) }
        return sum % 11 == 0
    }

    private static func isISBN13(_ text: String) -> Bool {
        let bytes = plainDigits(text)
        guard bytes.count == 13, bytes.allSatisfy(isDigit) else { return false }
        return bytes.enumerated().reduce(0) { $0 + ($1.offset % 2 == 0 ? 1 : 3) * Int($1.element - 48) } % 10 == 0
    }

    private static func isCreditCard(_ text: String) -> Bool {
        let bytes = plainDigits(text)
        guard (13...19).contains(bytes.count), bytes.allSatisfy(isDigit) else { return false }
        let sum = bytes.reversed().enumerated().reduce(0) { total, pair in
            let digit = Int(pair.element - 48)
            return total + (pair.offset % 2 == 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2)
        }
        return sum % 10 == 0
    }
}
