/// A pattern with `*` (anything, nothing, too) and `?` (one character), as the proxy's matchers take it. Upstream: elbv2 rule conditions.
struct ProxyPattern {
    /// How it is compared: the name after `-m`, and the text that is compared with.
    var method: String
    var text: String

    /// The cheapest matcher that does it.
    init(_ pattern: String) {
        let isWild = { (character: Character) in character == "*" || character == "?" }
        if !pattern.contains(where: isWild) {
            (method, text) = ("str", pattern)
        } else if pattern.hasSuffix("*"), !pattern.dropLast().contains(where: isWild) {
            (method, text) = pattern == "*" ? ("found", "") : ("beg", String(pattern.dropLast()))
        } else {
            (method, text) = ("reg", "^\(Self.expression(pattern))$")
        }
    }

    /// A regular expression that takes time in proportion to the text: what stands before a later `*` is taken at its first place for good, which
    /// finds a match whenever there is one.
    static func expression(_ pattern: String, any: String = ".") -> String {
        let pieces = pattern.split(separator: "*", omittingEmptySubsequences: false).map { piece in
            piece.utf8.map { $0 == UInt8(ascii: "?") ? any : Self.literal($0) }.joined()
        }
        guard let first = pieces.first, let last = pieces.last, pieces.count > 1 else { return pieces.joined() }
        let middle = pieces.dropFirst().dropLast().filter { !$0.isEmpty }.map { "(?>\(any)*?\($0))" }.joined()
        return "\(first)\(middle)\(any)*\(last)"
    }

    /// One byte that stands for itself.
    private static func literal(_ byte: UInt8) -> String {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "/"), UInt8(ascii: "_"):
            String(UnicodeScalar(byte))
        case 0x21...0x7E: "\\\(UnicodeScalar(byte))"
        default: "\\x" + ProxyWord.hex(byte)
        }
    }
}

/// A word of the proxy's configuration. Upstream: haproxy's Configuration Manual, 2.2 Quoting and escaping.
enum ProxyWord {
    private static let digits = Array("0123456789abcdef")

    /// Two digits.
    static func hex(_ byte: UInt8) -> String { "\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])" }

    /// `text` as one word: what means something to the parser, or could, is written by its number, so nothing that users write gets out of its place.
    static func escaped(_ text: String) -> String {
        var word = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                word.unicodeScalars.append(UnicodeScalar(byte))
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: ","),
                UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "^"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ">"):
                word.unicodeScalars.append(UnicodeScalar(byte))
            default: word += "\\x\(hex(byte))"
            }
        }
        return word
    }
}
