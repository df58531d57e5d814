import Glibc

/// A scalar as YAML 1.1 understands its text. Upstream: the resolve function of go-yaml v2.
enum YAMLScalar: Equatable {
    case null
    case bool(Bool)
    case int(Int64)
    /// Greater than an Int64.
    case unsigned(UInt64)
    case float(Double)
    case string(String)

    /// The scalar of a plain text, or of one with the tag `tag`. Throws for a text that its tag does not fit.
    static func resolve(_ text: String, tag: YAMLTree.Tag = .none) throws(YAMLError) -> YAMLScalar {
        switch tag {
        case .string, .other, .merge: return .string(text)
        case .binary:
            guard Base64Check.firstIllegalByte(text) == nil else { throw YAMLError("!!binary value contains invalid base64 data") }
            var bytes: [UInt8] = []
            Base64.append(decoding: text.utf8, to: &bytes)
            return .string(String(decoding: bytes, as: UTF8.self))
        default: break
        }
        let scalar = plain(text)
        switch (tag, scalar) {
        case (.none, _), (.bool, .bool), (.int, .int), (.int, .unsigned), (.float, .float), (.null, .null): return scalar
        case (.float, .int(let number)): return .float(Double(number))
        case (.timestamp, .string) where text.utf8.prefix { $0 >= 0x30 && $0 <= 0x39 }.count == 4: return scalar
        default: throw YAMLError("cannot decode \(scalar.tag.short) `\(text)` as a \(tag.short)")
        }
    }

    var tag: YAMLTree.Tag {
        switch self {
        case .null: .null
        case .bool: .bool
        case .int, .unsigned: .int
        case .float: .float
        case .string: .string
        }
    }

    private static let words: [String: YAMLScalar] = {
        var words: [String: YAMLScalar] = ["": .null, "~": .null, "null": .null, "Null": .null, "NULL": .null]
        for text in ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"] { words[text] = .bool(true) }
        for text in ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"] { words[text] = .bool(false) }
        for text in [".nan", ".NaN", ".NAN"] { words[text] = .float(.nan) }
        for text in [".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"] { words[text] = .float(.infinity) }
        for text in ["-.inf", "-.Inf", "-.INF"] { words[text] = .float(-.infinity) }
        return words
    }()

    private static func plain(_ text: String) -> YAMLScalar {
        guard let first = text.utf8.first else { return .null }
        switch first {
        case UInt8(ascii: "y"), UInt8(ascii: "Y"), UInt8(ascii: "n"), UInt8(ascii: "N"), UInt8(ascii: "t"), UInt8(ascii: "T"), UInt8(ascii: "f"),
            UInt8(ascii: "F"), UInt8(ascii: "o"), UInt8(ascii: "O"), UInt8(ascii: "~"):
            return text.utf8.count <= 5 ? words[text] ?? .string(text) : .string(text)
        case UInt8(ascii: "."):
            if let word = words[text] { return word }
            return isFloat(text.utf8) ? double(text) ?? .string(text) : .string(text)
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            if let word = words[text] { return word }
            let plain = text.utf8.contains(UInt8(ascii: "_")) ? text.filter { $0 != "_" } : text
            if let number = integer(plain) { return number }
            return isFloat(plain.utf8) ? double(plain) ?? .string(text) : .string(text)
        default: return .string(text)
        }
    }

    /// An integer with a sign and a base: `12`, `-0x1f`, `017`, `0o17`, `0b11`. Upstream: strconv.ParseInt and ParseUint of base 0.
    private static func integer(_ text: String) -> YAMLScalar? {
        var digits = text.utf8[...]
        var isNegative = false
        var isSigned = false
        if let sign = digits.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            isSigned = true
            digits.removeFirst()
        }
        var radix = 10
        if digits.count > 1, digits.first == UInt8(ascii: "0") {
            digits.removeFirst()
            switch (digits.first ?? 0) | 0x20 {
            case UInt8(ascii: "x"): radix = 16
            case UInt8(ascii: "o"): radix = 8
            case UInt8(ascii: "b"): radix = 2
            default: radix = 0
            }
            if radix == 0 { radix = 8 } else { digits.removeFirst() }
        }
        guard let first = digits.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-"),
            let magnitude = UInt64(Substring(digits), radix: radix)
        else { return nil }
        if let number = Int64(exactly: magnitude) { return .int(isNegative ? -number : number) }
        if isNegative { return magnitude == 1 << 63 ? .int(.min) : nil }
        return isSigned ? nil : .unsigned(magnitude)
    }

    /// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
    private static func isFloat(_ text: some Collection<UInt8>) -> Bool {
        var rest = text[...]
        func skipDigits() -> Int {
            let run = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }.count
            rest = rest.dropFirst(run)
            return run
        }
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest = rest.dropFirst() }
        let whole = skipDigits()
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            if skipDigits() == 0, whole == 0 { return false }
        } else if whole == 0 {
            return false
        }
        if let mark = rest.first, mark | 0x20 == UInt8(ascii: "e") {
            rest = rest.dropFirst()
            if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest = rest.dropFirst() }
            if skipDigits() == 0 { return false }
        }
        return rest.isEmpty
    }

    /// Nil for a number out of range, which go-yaml reads as a string.
    private static func double(_ text: String) -> YAMLScalar? {
        let number = strtod(text, nil)
        return number.isFinite ? .float(number) : nil
    }

    /// Whether a text would be read as base 60, which go-yaml quotes for other parsers' sake:
    /// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`
    static func isBase60(_ text: String) -> Bool {
        guard text.utf8.contains(UInt8(ascii: ":")) else { return false }
        var rest = text.utf8[...]
        func isDigit(_ c: UInt8) -> Bool { c >= 0x30 && c <= 0x39 }
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest = rest.dropFirst() }
        guard let first = rest.first, isDigit(first) else { return false }
        rest = rest.drop { isDigit($0) || $0 == UInt8(ascii: "_") }
        var groups = 0
        while rest.first == UInt8(ascii: ":") {
            rest = rest.dropFirst()
            let run = rest.prefix(while: isDigit)
            guard run.count == 1 || run.count == 2 && (run.first ?? 0) <= UInt8(ascii: "5") else { return false }
            rest = rest.dropFirst(run.count)
            groups += 1
        }
        if rest.first == UInt8(ascii: ".") { rest = rest.dropFirst().drop { isDigit($0) || $0 == UInt8(ascii: "_") } }
        return groups > 0 && rest.isEmpty
    }
}

extension YAMLScalar {
    /// Whether go-yaml takes a text for a timestamp, which it then quotes: `2001-1-2`, with a time after `T`, `t` or a space. Upstream:
    /// parseTimestamp.
    static func isTimestamp(_ text: String) -> Bool {
        var rest = text.utf8[...]
        func number(_ width: ClosedRange<Int>, _ range: ClosedRange<Int>) -> Int? {
            let run = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }
            guard width.contains(run.count), let value = Int(Substring(run)), range.contains(value) else { return nil }
            rest = rest.dropFirst(run.count)
            return value
        }
        func take(_ c: Character) -> Bool {
            guard rest.first == c.asciiValue else { return false }
            rest = rest.dropFirst()
            return true
        }
        guard let year = number(4...4, 0...9999), take("-"), let month = number(1...2, 1...12), take("-"), let day = number(1...2, 1...31) else {
            return false
        }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard day <= days[month - 1] else { return false }
        guard let separator = rest.first else { return true }
        guard [UInt8(ascii: "T"), UInt8(ascii: "t"), UInt8(ascii: " ")].contains(separator) else { return false }
        rest = rest.dropFirst()
        guard number(1...2, 0...23) != nil, take(":"), number(1...2, 0...59) != nil, take(":"), number(1...2, 0...59) != nil else { return false }
        if take(".") {
            let fraction = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }
            guard !fraction.isEmpty else { return false }
            rest = rest.dropFirst(fraction.count)
        }
        if separator == UInt8(ascii: " ") { return rest.isEmpty }
        if take("Z") { return rest.isEmpty }
        guard take("+") || take("-") else { return false }
        return number(2...2, 0...24) != nil && take(":") && number(2...2, 0...60) != nil && rest.isEmpty
    }
}

extension YAMLScalar {
    /// A number as Go writes its shortest form, from Swift's shortest form of it: with an exponent below 1e-4 and from 1e6. Upstream:
    /// strconv.FormatFloat with format g and precision -1.
    static func goFormat(_ description: String) -> String {
        var text = description[...]
        let isNegative = text.first == "-"
        if isNegative { text.removeFirst() }
        guard text.first?.isNumber ?? false else { return text == "nan" ? ".nan" : isNegative ? "-.inf" : ".inf" }
        let halves = text.split(separator: "e")
        let parts = (halves.first ?? "").split(separator: ".", omittingEmptySubsequences: false)
        let whole = parts.first ?? ""
        var digits = Array((whole + (parts.count > 1 ? parts[1] : "")).utf8)
        // The point stands behind this many digits.
        var point = whole.utf8.count + (halves.count > 1 ? Int(halves[1]) ?? 0 : 0)
        while digits.count > 1, digits.first == UInt8(ascii: "0") {
            digits.removeFirst()
            point -= 1
        }
        while digits.count > 1, digits.last == UInt8(ascii: "0") { digits.removeLast() }
        if digits == [UInt8(ascii: "0")] { return isNegative ? "-0" : "0" }
        let exponent = point - 1
        var out = isNegative ? "-" : ""
        func string(_ digits: some Collection<UInt8>) -> String { String(decoding: Array(digits), as: UTF8.self) }
        if exponent < -4 || exponent >= 6 {
            out += string(digits.prefix(1)) + (digits.count > 1 ? "." + string(digits.dropFirst()) : "")
            let size = abs(exponent)
            return out + "e" + (exponent < 0 ? "-" : "+") + (size < 10 ? "0" : "") + String(size)
        }
        if point <= 0 { return out + "0." + String(repeating: "0", count: -point) + string(digits) }
        if digits.count <= point { return out + string(digits) + String(repeating: "0", count: point - digits.count) }
        return out + string(digits.prefix(point)) + "." + string(digits.dropFirst(point))
    }
}
