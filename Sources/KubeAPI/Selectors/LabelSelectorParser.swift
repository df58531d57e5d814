/// Reads the string form of label selectors. Grammar, order of checks and error texts are those of upstream's labels.Parser.
struct LabelSelectorParser {
    private enum Token: Equatable {
        case identifier, `in`, notIn, comma, open, close, not, equals, doubleEquals, notEquals, greaterThan, lessThan, end, error
    }
    /// Where a token is read: `in` and `notin` are operators only after a key.
    private enum Context { case keyAndOperator, values }

    private var tokens: [(token: Token, literal: String)] = []
    private var position = 0

    init(_ text: String) {
        let b = Array(text.utf8)
        var at = 0
        while at < b.count {
            if Self.isSpace(b[at]) {
                at += 1
            } else if Self.isSymbol(b[at]) {
                let two = at + 1 < b.count ? String(decoding: b[at...at + 1], as: UTF8.self) : ""
                if let token = Self.symbols[two] {
                    tokens.append((token, two))
                    at += 2
                } else {
                    let one = String(decoding: b[at...at], as: UTF8.self)
                    tokens.append((Self.symbols[one] ?? .error, one))
                    at += 1
                }
            } else {
                let start = at
                while at < b.count, !Self.isSpace(b[at]), !Self.isSymbol(b[at]) { at += 1 }
                let word = String(decoding: b[start..<at], as: UTF8.self)
                tokens.append((word == "in" ? .in : word == "notin" ? .notIn : .identifier, word))
            }
        }
        tokens.append((.end, ""))
    }

    private static let symbols: [String: Token] = [
        ")": .close, ",": .comma, "!": .not, "==": .doubleEquals, "=": .equals, ">": .greaterThan, "<": .lessThan, "!=": .notEquals, "(": .open,
    ]
    private static func isSpace(_ c: UInt8) -> Bool { c == 0x20 || c == 0x09 || c == 0x0D || c == 0x0A }
    private static func isSymbol(_ c: UInt8) -> Bool { "=!(),><".utf8.contains(c) }

    private func lookahead(_ context: Context) -> (token: Token, literal: String) {
        guard position < tokens.count else { return (.end, "") }
        var (token, literal) = tokens[position]
        if context == .values, token == .in || token == .notIn { token = .identifier }
        return (token, literal)
    }

    private mutating func consume(_ context: Context) -> (token: Token, literal: String) {
        let found = lookahead(context)
        position += 1
        return found
    }

    mutating func parse() throws(SelectorError) -> [LabelSelector.Requirement] {
        var requirements: [LabelSelector.Requirement] = []
        while true {
            let (token, literal) = lookahead(.values)
            switch token {
            case .identifier, .not:
                do throws(SelectorError) {
                    requirements.append(try requirement())
                } catch {
                    throw SelectorError("unable to parse requirement: \(error)")
                }
                let (next, literal) = consume(.values)
                switch next {
                case .end: return requirements
                case .comma:
                    let (after, literal) = lookahead(.values)
                    guard after == .identifier || after == .not else { throw SelectorError("found '\(literal)', expected: identifier after ','") }
                default: throw SelectorError("found '\(literal)', expected: ',' or 'end of string'")
                }
            case .end: return requirements
            default: throw SelectorError("found '\(literal)', expected: !, identifier, or 'end of string'")
            }
        }
    }

    private mutating func requirement() throws(SelectorError) -> LabelSelector.Requirement {
        var (token, key) = consume(.values)
        let negated = token == .not
        if negated { (token, key) = consume(.values) }
        guard token == .identifier else { throw SelectorError("found '\(key)', expected: identifier") }
        if let problem = LabelSyntax.problemOfKey(key) { throw SelectorError("key: Invalid value: \(key.goQuoted): \(problem)") }
        let next = lookahead(.values).token
        if negated { return try LabelSelector.Requirement(key: key, op: .doesNotExist) }
        if next == .end || next == .comma { return try LabelSelector.Requirement(key: key, op: .exists) }
        let op = try parseOperator()
        let values = op == .in || op == .notIn ? try parseValues() : [try exactValue()]
        return try LabelSelector.Requirement(key: key, op: op, values: values)
    }

    private mutating func parseOperator() throws(SelectorError) -> LabelSelector.Operator {
        let (token, literal) = consume(.keyAndOperator)
        switch token {
        case .in: return .in
        case .notIn: return .notIn
        case .equals: return .equals
        case .doubleEquals: return .doubleEquals
        case .notEquals: return .notEquals
        case .greaterThan: return .greaterThan
        case .lessThan: return .lessThan
        default: throw SelectorError("found '\(literal)', expected: in, notin, =, ==, !=, gt, lt")
        }
    }

    private mutating func parseValues() throws(SelectorError) -> [String] {
        let (open, literal) = consume(.values)
        guard open == .open else { throw SelectorError("found '\(literal)' expected: '('") }
        let (first, firstLiteral) = lookahead(.values)
        switch first {
        case .identifier, .comma:
            let values = try identifiers()
            guard consume(.values).token == .close else { throw SelectorError("found '\(firstLiteral)', expected: ')'") }
            return values
        case .close:
            _ = consume(.values)
            return []
        default: throw SelectorError("found '\(firstLiteral)', expected: ',', ')' or identifier")
        }
    }

    private mutating func identifiers() throws(SelectorError) -> [String] {
        var values: [String] = []
        while true {
            let (token, literal) = consume(.values)
            switch token {
            case .identifier:
                values.append(literal)
                let (next, literal) = lookahead(.values)
                switch next {
                case .comma: continue
                case .close: return values
                default: throw SelectorError("found '\(literal)', expected: ',' or ')'")
                }
            case .comma:
                // An empty place between commas stands for the empty value.
                if values.isEmpty { values.append("") }
                let next = lookahead(.values).token
                if next == .close {
                    values.append("")
                    return values
                }
                if next == .comma {
                    _ = consume(.values)
                    values.append("")
                }
            default: throw SelectorError("found '\(literal)', expected: ',', or identifier")
            }
        }
    }

    private mutating func exactValue() throws(SelectorError) -> String {
        let next = lookahead(.values).token
        if next == .end || next == .comma { return "" }
        let (token, literal) = consume(.values)
        guard token == .identifier else { throw SelectorError("found '\(literal)', expected: identifier") }
        return literal
    }
}
