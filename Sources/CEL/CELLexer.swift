/// One word of an expression.
struct CELToken {
    enum Kind: Equatable {
        case identifier, int, uint, double, string, bytes, symbol, end
    }
    let kind: Kind
    /// As it stands in the source; for the end `<EOF>`.
    let text: String
    let offset: Int
}

/// Cuts an expression into tokens. Upstream: CEL.g4's lexer rules.
struct CELLexer {
    let source: [Unicode.Scalar]
    private var at = 0
    private(set) var tokens: [CELToken] = []
    private(set) var problems: [(offset: Int, message: String)] = []

    init(_ source: [Unicode.Scalar]) {
        self.source = source
        while at < source.count { next() }
        tokens.append(CELToken(kind: .end, text: "<EOF>", offset: source.count))
    }

    private func peek(_ ahead: Int = 0) -> Unicode.Scalar? { at + ahead < source.count ? source[at + ahead] : nil }
    private static func isDigit(_ c: Unicode.Scalar?) -> Bool { c.map { ("0"..."9").contains($0) } ?? false }
    private static func isHex(_ c: Unicode.Scalar?) -> Bool {
        c.map { ("0"..."9").contains($0) || ("a"..."f").contains($0) || ("A"..."F").contains($0) } ?? false
    }
    static func isLetter(_ c: Unicode.Scalar?) -> Bool { c.map { ("a"..."z").contains($0) || ("A"..."Z").contains($0) || $0 == "_" } ?? false }

    private func text(_ from: Int, _ to: Int) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: source[from..<min(to, source.count)])
        return String(view)
    }

    private mutating func add(_ kind: CELToken.Kind, _ start: Int) {
        tokens.append(CELToken(kind: kind, text: text(start, at), offset: start))
    }

    private mutating func unknown(_ start: Int) {
        problems.append((start, "Syntax error: token recognition error at: '\(text(start, at))'"))
    }

    private mutating func next() {
        guard let c = peek() else { return }
        let start = at
        switch c {
        case " ", "\t", "\n", "\r", "\u{0C}": at += 1
        case "/" where peek(1) == "/":
            while let c = peek(), c != "\n" { _ = c; at += 1 }
        case "\"", "'": string(start)
        case let c where Self.isLetter(c):
            if let quote = stringPrefix() {
                at += quote
                string(start)
                return
            }
            while Self.isLetter(peek()) || Self.isDigit(peek()) { at += 1 }
            add(.identifier, start)
        case let c where Self.isDigit(c) || c == "." && Self.isDigit(peek(1)): number(start)
        default:
            let two = peek(1).map { text(at, at + 1) + String(Character($0)) } ?? ""
            if ["==", "!=", "<=", ">=", "&&", "||"].contains(two) {
                at += 2
                add(.symbol, start)
            } else if "=&|".unicodeScalars.contains(c) {
                // The lexer has read the character after it when it notices.
                at = min(at + 2, source.count)
                unknown(start)
            } else {
                at += 1
                if "[]{}().,-!?:*/%+<>".unicodeScalars.contains(c) { add(.symbol, start) } else { unknown(start) }
            }
        }
    }

    /// The length of `r`, `b`, `br` and the like in front of a quote; nil when this is no string.
    private func stringPrefix() -> Int? {
        var length = 0
        var seen: Set<Unicode.Scalar> = []
        while length < 2, let c = peek(length), "rRbB".unicodeScalars.contains(c) {
            guard seen.insert(c.properties.isLowercase ? c : Unicode.Scalar(c.value + 32) ?? c).inserted else { return nil }
            length += 1
        }
        guard let quote = peek(length), quote == "\"" || quote == "'", length > 0 else { return nil }
        // The grammar knows `br`, not `rb`.
        if length == 2, let first = peek(), first == "r" || first == "R" { return nil }
        return length
    }

    private mutating func string(_ start: Int) {
        let prefix = source[start..<at]
        let isRaw = prefix.contains { $0 == "r" || $0 == "R" }
        let isBytes = prefix.contains { $0 == "b" || $0 == "B" }
        guard let quote = peek() else { return }
        let triple = peek(1) == quote && peek(2) == quote
        at += triple ? 3 : 1
        while let c = peek() {
            if c == quote, !triple || (peek(1) == quote && peek(2) == quote) {
                at += triple ? 3 : 1
                add(isBytes ? .bytes : .string, start)
                return
            }
            if !triple, c == "\n" || c == "\r" { break }
            if c == "\\", !isRaw {
                at += 1
                guard let escaped = peek(), triple || escaped != "\n" else { break }
            }
            at += 1
        }
        unknown(start)
    }

    private mutating func number(_ start: Int) {
        if peek() == "0", peek(1) == "x" || peek(1) == "X", Self.isHex(peek(2)) {
            at += 2
            while Self.isHex(peek()) { at += 1 }
            let isUnsigned = peek() == "u" || peek() == "U"
            if isUnsigned { at += 1 }
            add(isUnsigned ? .uint : .int, start)
            return
        }
        while Self.isDigit(peek()) { at += 1 }
        var isDouble = false
        if peek() == ".", Self.isDigit(peek(1)) {
            isDouble = true
            at += 1
            while Self.isDigit(peek()) { at += 1 }
        }
        if peek() == "e" || peek() == "E" {
            let sign = peek(1) == "+" || peek(1) == "-" ? 1 : 0
            if Self.isDigit(peek(1 + sign)) {
                isDouble = true
                at += 1 + sign
                while Self.isDigit(peek()) { at += 1 }
            }
        }
        if !isDouble, peek() == "u" || peek() == "U" {
            at += 1
            add(.uint, start)
            return
        }
        add(isDouble ? .double : .int, start)
    }
}

/// The values of string and bytes literals. Upstream: parser.unescape.
enum CELLiteral {
    /// The bytes of a literal as it stands in the source, nil for a bad escape. Of a string they are its UTF-8.
    static func unescape(_ token: String) -> [UInt8]? {
        var scalars = Array(token.unicodeScalars)
        var isRaw = false
        var isBytes = false
        while let c = scalars.first, c != "\"", c != "'" {
            if c == "r" || c == "R" { isRaw = true } else { isBytes = true }
            scalars.removeFirst()
        }
        guard let quote = scalars.first else { return nil }
        let width = scalars.count >= 6 && scalars[1] == quote && scalars[2] == quote ? 3 : 1
        guard scalars.count >= width * 2 else { return nil }
        scalars = Array(scalars[width..<scalars.count - width])
        var out: [UInt8] = []
        var at = 0
        func append(_ scalar: Unicode.Scalar) { out += String(Character(scalar)).utf8 }
        func digits(_ count: Int, _ radix: UInt32) -> UInt32? {
            guard at + count <= scalars.count else { return nil }
            var value: UInt32 = 0
            for c in scalars[at..<at + count] {
                let digit: UInt32
                switch c {
                case "0"..."9": digit = c.value - 48
                case "a"..."f": digit = c.value - 87
                case "A"..."F": digit = c.value - 55
                default: return nil
                }
                guard digit < radix else { return nil }
                value = value &* radix &+ digit
            }
            return value
        }
        while at < scalars.count {
            let c = scalars[at]
            at += 1
            guard c == "\\", !isRaw else {
                if c == "\r" {
                    // Line ends are one character, however the source writes them.
                    if at < scalars.count, scalars[at] == "\n" { at += 1 }
                    append("\n")
                } else {
                    append(c)
                }
                continue
            }
            guard at < scalars.count else { return nil }
            let escape = scalars[at]
            at += 1
            switch escape {
            case "a": append("\u{07}")
            case "b": append("\u{08}")
            case "f": append("\u{0C}")
            case "n": append("\n")
            case "r": append("\r")
            case "t": append("\t")
            case "v": append("\u{0B}")
            case "\\", "'", "\"", "`", "?": append(escape)
            case "x", "X", "u", "U", "0"..."3":
                let isOctal = ("0"..."3").contains(escape)
                if isOctal { at -= 1 }
                let isLong = escape == "u" || escape == "U"
                let count = isOctal ? 3 : escape == "u" ? 4 : escape == "U" ? 8 : 2
                guard !(isBytes && isLong), let value = digits(count, isOctal ? 8 : 16) else { return nil }
                at += count
                if isBytes {
                    out.append(UInt8(truncatingIfNeeded: value))
                } else {
                    guard let scalar = Unicode.Scalar(value) else { return nil }
                    append(scalar)
                }
            default: return nil
            }
        }
        return out
    }
}
