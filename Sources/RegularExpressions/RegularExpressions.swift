/// Why a pattern does not compile, in the words of Go's regexp package. Upstream: regexp/syntax.Error.
package struct RegularExpressionError: Error, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case invalidCharacterClass = "invalid character class"
        case invalidCharacterRange = "invalid character class range"
        case invalidEscape = "invalid escape sequence"
        case invalidNamedCapture = "invalid named capture"
        case invalidPerlOperator = "invalid or unsupported Perl syntax"
        case invalidRepeatOperator = "invalid nested repetition operator"
        case invalidRepeatSize = "invalid repeat count"
        case missingBracket = "missing closing ]"
        case missingParenthesis = "missing closing )"
        case missingRepeatArgument = "missing argument to repetition operator"
        case trailingBackslash = "trailing backslash at end of expression"
        case unexpectedParenthesis = "unexpected )"
        case nestingDepth = "expression nests too deeply"
        case tooLarge = "expression too large"
    }
    package let code: Code
    package let expression: String
    package var description: String { "error parsing regexp: \(code.rawValue): `\(expression)`" }
}

/// Bounds on what a pattern may ask for.
enum RegularExpressionLimits {
    /// Of `{n,m}`, also nested ones multiplied. Upstream: regexp/syntax: 1000.
    static let repetition = 1000
    /// Nesting of groups and operators: walks of the tree are recursive. Upstream: regexp/syntax.maxHeight, 1000.
    static let depth = 500
    /// Instructions of a program: matching takes time in proportion to these times the text's length. Upstream allows about three million.
    static let instructions = 200_000
}

/// A regular expression in RE2's syntax. Matching takes time linear in the text, whatever the pattern: all alternatives are followed at once.
/// Upstream: regexp.Regexp.
package struct RegularExpression: Sendable {
    package let pattern: String
    /// Names of the groups by number; group 0 is the whole match. Empty: not named.
    package let groupNames: [String]
    let program: Program

    /// Throws `RegularExpressionError` for a pattern that is no regular expression or is too large.
    package init(_ pattern: String) throws(RegularExpressionError) {
        self.pattern = pattern
        var parser = PatternParser(pattern)
        let node = try parser.parse()
        groupNames = parser.groupNames
        program = try Program(node, groups: parser.groupNames.count, pattern: pattern)
    }

    /// Whether the pattern matches anywhere in `text`. Upstream: Regexp.MatchString.
    package func matches(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { Matcher(program: program).matches($0) }
    }

    /// The leftmost match; of those the one Perl would choose. Upstream: Regexp.FindStringSubmatchIndex.
    package func firstMatch(in text: String) -> Match? {
        var copy = text
        return copy.withUTF8 { bytes in Matcher(program: program).find(bytes, from: 0).map { Match(text: text, bounds: $0) } }
    }

    /// Matches that do not overlap, at most `limit` of them (negative: all). Upstream: Regexp.FindAllStringSubmatchIndex.
    package func allMatches(in text: String, limit: Int = -1) -> [Match] {
        var copy = text
        return copy.withUTF8 { bytes in
            var found: [Match] = []
            var at = 0
            var previousEnd = -1
            while at <= bytes.count, limit < 0 || found.count < limit {
                guard let bounds = Matcher(program: program).find(bytes, from: at) else { break }
                var accept = true
                if bounds[1] == at {
                    // An empty match right after the one before does not count.
                    if bounds[0] == previousEnd { accept = false }
                    at += at < bytes.count ? Matcher.decode(bytes, at).length : 1
                } else {
                    at = bounds[1]
                }
                previousEnd = bounds[1]
                if accept { found.append(Match(text: text, bounds: bounds)) }
            }
            return found
        }
    }

    /// `text` with up to `limit` matches (negative: all) replaced by what `replacement` makes of each.
    package func replacing(in text: String, limit: Int = -1, with replacement: (Match) -> String) -> String {
        let utf8 = Array(text.utf8)
        var out: [UInt8] = []
        var at = 0
        for match in allMatches(in: text, limit: limit) {
            out += utf8[at..<match.range.lowerBound]
            out += replacement(match).utf8
            at = match.range.upperBound
        }
        out += utf8[at...]
        return String(decoding: out, as: UTF8.self)
    }

    /// One match and its groups.
    package struct Match: Sendable {
        let text: String
        /// Byte offsets, two for each group; -1: the group took no part.
        let bounds: [Int]

        /// Bytes of the whole match in the text's UTF-8.
        package var range: Range<Int> { bounds[0]..<bounds[1] }
        package var count: Int { bounds.count / 2 }
        /// The text of a group, nil when it took no part in the match.
        package subscript(group: Int) -> String? {
            guard group >= 0, group * 2 + 1 < bounds.count, bounds[group * 2] >= 0 else { return nil }
            let utf8 = text.utf8
            let start = utf8.index(utf8.startIndex, offsetBy: bounds[group * 2])
            let end = utf8.index(utf8.startIndex, offsetBy: bounds[group * 2 + 1])
            return String(text[start..<end])
        }
    }
}
