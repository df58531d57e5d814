/// The values of condition keys, by the key in lower case: `aws:principalarn`. Most keys have one value.
package typealias PolicyContext = [String: [String]]

/// A string of a policy with its wildcards and variables: `arn:aws:s3:::${aws:username}/*`. What a variable stands for is taken literally: a star in
/// it is no wildcard. Upstream: IAM User Guide, "IAM policy elements: Variables and tags".
struct PolicyPattern: Sendable {
    private enum Part: Sendable {
        case tokens([UInt16])
        /// `${key}`, or `${key, 'otherwise'}`.
        case variable(key: String, otherwise: String?)
    }

    private static let star: UInt16 = 0x100
    private static let anyOne: UInt16 = 0x101
    private let parts: [Part]
    /// The whole pattern when it has no variables.
    private let fixed: [UInt16]?

    /// `hasVariables`: whether `${` begins a variable, as it does since version 2012-10-17 of the language.
    init(_ text: some StringProtocol, hasVariables: Bool) {
        var parts: [Part] = []
        var tokens: [UInt16] = []
        var rest = Substring(text)
        while let byte = rest.utf8.first {
            if hasVariables, byte == 0x24, rest.hasPrefix("${"), let end = rest.firstIndex(of: "}") {
                let name = rest[rest.index(rest.startIndex, offsetBy: 2)..<end]
                rest = rest[rest.index(after: end)...]
                switch name {
                case "*", "?", "$": tokens += name.utf8.map { UInt16($0) }
                default:
                    if !tokens.isEmpty { parts.append(.tokens(tokens)) }
                    tokens = []
                    parts.append(PolicyPattern.variable(name))
                }
                continue
            }
            let scalar = rest.unicodeScalars.removeFirst()
            switch scalar {
            case "*": tokens.append(PolicyPattern.star)
            case "?": tokens.append(PolicyPattern.anyOne)
            default: tokens += String(scalar).utf8.map { UInt16($0) }
            }
        }
        if !tokens.isEmpty || parts.isEmpty { parts.append(.tokens(tokens)) }
        self.parts = parts
        if parts.count == 1, case .tokens(let only)? = parts.first { fixed = only } else { fixed = nil }
    }

    private static func variable(_ text: Substring) -> Part {
        guard let comma = text.firstIndex(of: ",") else { return .variable(key: text.lowercased(), otherwise: nil) }
        let otherwise = text[text.index(after: comma)...].filter { $0 != "'" }
        return .variable(key: text[..<comma].lowercased(), otherwise: String(otherwise.drop { $0 == " " }))
    }

    /// Nil when a variable has no value: then the string stands for nothing.
    private func tokens(in context: PolicyContext) -> [UInt16]? {
        if let fixed { return fixed }
        var all: [UInt16] = []
        for part in parts {
            switch part {
            case .tokens(let tokens): all += tokens
            case .variable(let key, let otherwise):
                let values = context[key] ?? []
                guard let value = values.count == 1 ? values.first : otherwise else { return nil }
                all += value.utf8.map { UInt16($0) }
            }
        }
        return all
    }

    /// The string itself, wildcards taken literally. Nil when a variable has no value.
    func text(in context: PolicyContext) -> String? {
        guard let tokens = tokens(in: context) else { return nil }
        let bytes = tokens.map { token -> UInt8 in
            switch token {
            case PolicyPattern.star: 0x2A
            case PolicyPattern.anyOne: 0x3F
            default: UInt8(truncatingIfNeeded: token)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whether all of `text` matches.
    func matches(_ text: String, in context: PolicyContext) -> Bool { matches(Array(text.utf8), in: context) }

    func matches(_ text: [UInt8], in context: PolicyContext) -> Bool {
        guard let tokens = tokens(in: context) else { return false }
        return PolicyPattern.matches(tokens[...], text[...])
    }

    /// Whether `text` matches as an ARN: each of the six parts by itself, so that a star does not reach over a colon, but in the last.
    func matchesARN(_ text: String, in context: PolicyContext) -> Bool {
        guard let tokens = tokens(in: context) else { return false }
        let patterns = tokens.split(separator: 0x3A, maxSplits: 5, omittingEmptySubsequences: false)
        let parts = Array(text.utf8).split(separator: 0x3A, maxSplits: 5, omittingEmptySubsequences: false)
        if patterns.count == 1 { return PolicyPattern.matches(tokens[...], Array(text.utf8)[...]) }
        return patterns.count == 6 && parts.count == 6 && zip(patterns, parts).allSatisfy { PolicyPattern.matches($0, $1) }
    }

    /// Quadratic at worst: it backtracks to the last star only.
    private static func matches(_ pattern: ArraySlice<UInt16>, _ text: ArraySlice<UInt8>) -> Bool {
        var (p, t) = (pattern.startIndex, text.startIndex)
        var lastStar: (pattern: Int, text: Int)?
        while t < text.endIndex {
            if p < pattern.endIndex, pattern[p] == star {
                lastStar = (p, t)
                p += 1
            } else if p < pattern.endIndex, pattern[p] == anyOne || pattern[p] == UInt16(text[t]) {
                p += 1
                t += 1
            } else if let star = lastStar {
                p = star.pattern + 1
                t = star.text + 1
                lastStar = (star.pattern, t)
            } else {
                return false
            }
        }
        while p < pattern.endIndex, pattern[p] == star { p += 1 }
        return p == pattern.endIndex
    }
}

/// `*` any run of characters, `?` any one: the wildcards of EC2's filters.
enum Wildcard {
    static func matches(pattern: String, text: String) -> Bool { PolicyPattern(pattern, hasVariables: false).matches(text, in: [:]) }
}
