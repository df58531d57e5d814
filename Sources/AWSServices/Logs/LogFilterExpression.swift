import AWSProtocol
import RegularExpressions

/// A filter pattern over events that are JSON: `{ $.level = "error" && ($.code >= 500 || $.user NOT EXISTS) }`.
/// Upstream: CloudWatch Logs User Guide, "Using filter patterns to match terms in JSON log events".
struct LogFilterExpression: Sendable {
    private enum Selector: Sendable {
        case member(String)
        case element(Int)
        case anyElement
    }
    private enum Operand: Sendable {
        case text(PolicyPattern)
        case number(Double)
        case expression(RegularExpression)
    }
    private enum Test: Sendable {
        case equal(Operand, isNegated: Bool)
        case order(String, Double)
        case isNull
        case isTrue
        case isFalse
        case isMissing
    }
    private indirect enum Node: Sendable {
        case all([Node])
        case any([Node])
        case test([Selector], Test)
    }

    private let root: Node

    /// Deeper than any pattern of 1,024 characters that someone writes.
    private static let depthLimit = 16

    /// `text` begins with a brace. Throws InvalidParameterException.
    init(_ text: Substring) throws(AWSError) {
        var parser = Parser(rest: text.dropFirst())
        root = try parser.any(depth: 0)
        guard parser.take("}"), parser.isAtEnd else { throw LogFilterPattern.invalid("it must end with }") }
    }

    func matches(_ document: AWSJSON) -> Bool { Self.holds(root, document) }

    private static func holds(_ node: Node, _ document: AWSJSON) -> Bool {
        switch node {
        case .all(let nodes): return nodes.allSatisfy { holds($0, document) }
        case .any(let nodes): return nodes.contains { holds($0, document) }
        case .test(let path, let test):
            let found = values(path[...], in: document)
            if case .isMissing = test { return found.isEmpty }
            return found.contains { holds(test, $0) }
        }
    }

    private static func values(_ path: ArraySlice<Selector>, in value: AWSJSON) -> [AWSJSON] {
        guard let first = path.first else { return [value] }
        switch (first, value) {
        case (.member(let name), .object(let members)): return members[name].map { values(path.dropFirst(), in: $0) } ?? []
        case (.element(let index), .array(let elements)):
            return elements.indices.contains(index) ? values(path.dropFirst(), in: elements[index]) : []
        case (.anyElement, .array(let elements)): return elements.flatMap { values(path.dropFirst(), in: $0) }
        default: return []
        }
    }

    private static func holds(_ test: Test, _ value: AWSJSON) -> Bool {
        switch test {
        case .isNull: return value == .null
        case .isTrue: return value == .bool(true)
        case .isFalse: return value == .bool(false)
        case .isMissing: return false
        case .equal(let operand, let isNegated): return equals(operand, value) != isNegated
        case .order(let op, let limit):
            guard let number = number(value) else { return false }
            switch op {
            case "<": return number < limit
            case "<=": return number <= limit
            case ">": return number > limit
            default: return number >= limit
            }
        }
    }

    private static func number(_ value: AWSJSON) -> Double? {
        switch value {
        case .integer(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }

    private static func equals(_ operand: Operand, _ value: AWSJSON) -> Bool {
        switch operand {
        case .number(let wanted): return number(value) == wanted
        case .text(let pattern): return text(value).map { pattern.matches($0, in: [:]) } ?? false
        case .expression(let expression): return text(value).map { expression.matches($0) } ?? false
        }
    }

    private static func text(_ value: AWSJSON) -> String? {
        switch value {
        case .string(let text): text
        case .integer(let number): String(number)
        case .bool(let flag): flag ? "true" : "false"
        default: nil
        }
    }

    /// Recursive descent; parentheses are counted.
    private struct Parser {
        var rest: Substring

        var isAtEnd: Bool { rest.allSatisfy { $0 == " " } }

        mutating func skipSpaces() { rest = rest.drop { $0 == " " || $0 == "\t" || $0 == "\n" } }

        mutating func take(_ token: String) -> Bool {
            skipSpaces()
            guard rest.hasPrefix(token) else { return false }
            rest = rest.dropFirst(token.count)
            return true
        }

        mutating func any(depth: Int) throws(AWSError) -> Node {
            var nodes = [try all(depth: depth)]
            while take("||") { nodes.append(try all(depth: depth)) }
            return .any(nodes)
        }

        mutating func all(depth: Int) throws(AWSError) -> Node {
            var nodes = [try one(depth: depth)]
            while take("&&") { nodes.append(try one(depth: depth)) }
            return .all(nodes)
        }

        mutating func one(depth: Int) throws(AWSError) -> Node {
            guard depth < LogFilterExpression.depthLimit else { throw LogFilterPattern.invalid("it is nested too deeply") }
            guard take("(") else { return .test(try path(), try test()) }
            let node = try any(depth: depth + 1)
            guard take(")") else { throw LogFilterPattern.invalid(") is missing") }
            return node
        }

        mutating func path() throws(AWSError) -> [Selector] {
            guard take("$") else { throw LogFilterPattern.invalid("a selector must begin with $") }
            var selectors: [Selector] = []
            while let mark = rest.first, mark == "." || mark == "[" {
                rest = rest.dropFirst()
                if mark == "." {
                    let name = rest.prefix { !" \t=!<>()&|.[]{}".contains($0) }
                    guard !name.isEmpty else { throw LogFilterPattern.invalid("a name is missing after .") }
                    selectors.append(.member(String(name)))
                    rest = rest[name.endIndex...]
                } else {
                    guard let end = rest.firstIndex(of: "]") else { throw LogFilterPattern.invalid("] is missing") }
                    let inner = rest[..<end].filter { $0 != "'" && $0 != "\"" }
                    selectors.append(inner == "*" ? .anyElement : Int(inner).map { .element($0) } ?? .member(String(inner)))
                    rest = rest[rest.index(after: end)...]
                }
            }
            guard !selectors.isEmpty else { throw LogFilterPattern.invalid("a selector must name something below $") }
            return selectors
        }

        mutating func test() throws(AWSError) -> Test {
            if take("IS") {
                if take("NULL") { return .isNull }
                if take("TRUE") { return .isTrue }
                if take("FALSE") { return .isFalse }
                throw LogFilterPattern.invalid("IS must be followed by NULL, TRUE or FALSE")
            }
            if take("NOT") {
                guard take("EXISTS") else { throw LogFilterPattern.invalid("NOT must be followed by EXISTS") }
                return .isMissing
            }
            for op in ["!=", "=", "<=", ">=", "<", ">"] where take(op) {
                let value = try operand()
                switch (op, value) {
                case ("=", _): return .equal(value, isNegated: false)
                case ("!=", _): return .equal(value, isNegated: true)
                case (_, .number(let limit)): return .order(op, limit)
                default: throw LogFilterPattern.invalid("\(op) compares with numbers only")
                }
            }
            throw LogFilterPattern.invalid("an operator is missing")
        }

        mutating func operand() throws(AWSError) -> Operand {
            skipSpaces()
            switch rest.first {
            case "\"":
                rest = rest.dropFirst()
                var text = ""
                while let character = rest.popFirst(), character != "\"" {
                    if character == "\\", let escaped = rest.popFirst() { text.append(escaped) } else { text.append(character) }
                }
                return .text(PolicyPattern(text, hasVariables: false))
            case "%":
                rest = rest.dropFirst()
                guard let end = rest.firstIndex(of: "%") else { throw LogFilterPattern.invalid("a regular expression must end with %") }
                defer { rest = rest[rest.index(after: end)...] }
                return .expression(try LogFilterPattern.expression(rest[..<end]))
            default:
                let word = rest.prefix { !" \t()&|}".contains($0) }
                guard !word.isEmpty else { throw LogFilterPattern.invalid("a value is missing") }
                rest = rest[word.endIndex...]
                if let number = Double(word) { return .number(number) }
                return .text(PolicyPattern(word, hasVariables: false))
            }
        }
    }
}
