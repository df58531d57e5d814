import KubeAPI

/// Reads what stands between `{` and `}`. Paths inside filters and unions hold no further ones, which bounds the recursion.
/// Upstream: k8s.io/client-go/util/jsonpath/parser.go.
struct JSONPathParser {
    private let text: [Character]
    private var at = 0
    private let isInner: Bool

    init(_ text: [Character], isInner: Bool = false) {
        self.text = text
        self.isInner = isInner
    }

    private var next: Character? { text.indices.contains(at) ? text[at] : nil }
    private func isAhead(_ prefix: String) -> Bool { text[at...].starts(with: prefix) }
    private static func isLetter(_ c: Character?) -> Bool { c.map { $0 == "_" || $0.isLetter || $0.isNumber } ?? false }
    private static func isDigit(_ c: Character?) -> Bool { c.map { $0.isASCII && $0.isNumber } ?? false }
    private static func isTerminator(_ c: Character) -> Bool { " \t\r\n.,[]$@{}".contains(c) || c == "\r\n" }

    mutating func steps() throws(JSONPath.Failure) -> [JSONPath.Step] {
        var steps: [JSONPath.Step] = []
        while let c = next {
            if c == "}" { break }
            if isAhead("[?(") {
                steps.append(try filter())
            } else if isAhead("..") {
                if case .recursive? = steps.last { throw JSONPath.Failure() }
                at += 2
                steps.append(.recursive)
                if Self.isLetter(next) { steps.append(field()) }
            } else if c == "[" {
                steps += try brackets()
            } else if c == "\"" || c == "'" {
                steps.append(.literal(.text(try quoted(c))))
            } else if c == "." {
                at += 1
                steps.append(field())
            } else if c == " " || c == "@" || c == "$" {
                at += 1
            } else if c == "+" || c == "-" || Self.isDigit(c) {
                steps.append(.literal(try number()))
            } else if Self.isLetter(c) {
                steps.append(.literal(try keyword()))
            } else {
                throw JSONPath.Failure()
            }
        }
        return steps
    }

    /// A backslash takes the meaning from what follows it, as of the dots in a label's name.
    private mutating func field() -> JSONPath.Step {
        var name = ""
        while let c = next, !Self.isTerminator(c) {
            at += 1
            if c == "\\" {
                if let escaped = next, escaped != "\\" { name.append(escaped) }
                at += 1
            } else {
                name.append(c)
            }
        }
        at = min(at, text.count)
        return name == "*" ? .wildcard : .field(name)
    }

    private mutating func take(while condition: (Character) -> Bool) -> String {
        let start = at
        while let c = next, condition(c) { at += 1 }
        return String(text[start..<at])
    }

    private mutating func number() throws(JSONPath.Failure) -> JSONPath.Literal {
        var digits = ""
        if next == "+" || next == "-" {
            if next == "-" { digits = "-" }
            at += 1
        }
        digits += take { $0 == "." || Self.isDigit($0) }
        if let int = Int64(digits) { return .int(int) }
        guard let float = Double(digits) else { throw JSONPath.Failure() }
        return .float(float)
    }

    /// Of words only these two mean something in a column; `range` and `end` belong to templates.
    private mutating func keyword() throws(JSONPath.Failure) -> JSONPath.Literal {
        switch take(while: { !Self.isTerminator($0) }) {
        case "true": return .bool(true)
        case "false": return .bool(false)
        default: throw JSONPath.Failure()
        }
    }

    /// A text in quotes. Of escapes those that stand for themselves and the common ones. Upstream: parseQuote, UnquoteExtend.
    private mutating func quoted(_ quote: Character) throws(JSONPath.Failure) -> String {
        at += 1
        var result = ""
        while let c = next {
            at += 1
            if c == quote { return result }
            if c == "\n" { break }
            guard c == "\\" else {
                result.append(c)
                continue
            }
            switch next {
            case "n": result.append("\n")
            case "t": result.append("\t")
            case "r": result.append("\r")
            case "\\": result.append("\\")
            case quote: result.append(quote)
            default: throw JSONPath.Failure()
            }
            at += 1
        }
        throw JSONPath.Failure()
    }

    /// `[...]` without a filter: a name in single quotes, an index, a slice, or several with commas between. Upstream: parseArray.
    private mutating func brackets() throws(JSONPath.Failure) -> [JSONPath.Step] {
        at += 1
        let inner = take { $0 != "]" && $0 != "\n" }
        guard next == "]" else { throw JSONPath.Failure() }
        at += 1
        let parts = inner.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count > 1 else { return try Self.selector(inner[...]) }
        var union: [[JSONPath.Step]] = []
        for part in parts { union.append(try Self.selector(Self.trimmed(part))) }
        return [.union(union)]
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return text
    }

    private static func selector(_ text: Substring) throws(JSONPath.Failure) -> [JSONPath.Step] {
        if text == "*" { return [.slice(JSONPath.Slice())] }
        if text.count >= 2, text.first == "'", text.last == "'" {
            let name = text.dropFirst().dropLast()
            guard !name.contains("'") else { throw JSONPath.Failure() }
            // As upstream, a dot that is not escaped goes a level down, in quotes too.
            var parser = JSONPathParser(["."] + Array(name), isInner: true)
            return try parser.steps()
        }
        var numbers: [Int?] = []
        for part in text.split(separator: ":", omittingEmptySubsequences: false) {
            if part.isEmpty {
                numbers.append(nil)
                continue
            }
            guard part.allSatisfy({ isDigit($0) || $0 == "-" }), let number = Int(part), abs(Double(number)) < 1e9 else { throw JSONPath.Failure() }
            numbers.append(number)
        }
        guard numbers.count <= 3 else { throw JSONPath.Failure() }
        let from = numbers.first ?? nil
        if numbers.count < 2 { return [.slice(JSONPath.Slice(from: from, to: (from ?? 0) + 1, isDerived: true))] }
        return [.slice(JSONPath.Slice(from: from, to: numbers[1], step: numbers.count > 2 ? numbers[2] : nil))]
    }

    /// `[?(left operator right)]` or `[?(path)]`. Upstream: parseFilter.
    private mutating func filter() throws(JSONPath.Failure) -> JSONPath.Step {
        guard !isInner else { throw JSONPath.Failure() }
        at += 3
        let start = at
        var quote: Character?
        var isClosed = false
        while let c = next {
            if c == "\n" { throw JSONPath.Failure() }
            if c == ")", quote == nil || isClosed { break }
            if c == "\"" || c == "'" {
                if quote == nil { quote = c } else if c == quote, text[at - 1] != "\\" { isClosed = true }
            }
            at += 1
        }
        let condition = Array(text[start..<at])
        guard isAhead(")]") else { throw JSONPath.Failure() }
        at += 2
        let signs: Set<Character> = ["!", "<", ">", "="]
        guard let from = condition.firstIndex(where: signs.contains), from > 0 else { return .exists(try Self.inner(condition)) }
        let to = condition[from...].firstIndex { !signs.contains($0) } ?? condition.endIndex
        guard to < condition.endIndex, let comparison = JSONPath.Comparison(rawValue: String(condition[from..<to])) else { throw JSONPath.Failure() }
        return .filter(left: try Self.inner(Array(condition[..<from])), comparison, right: try Self.inner(Array(condition[to...])))
    }

    private static func inner(_ text: [Character]) throws(JSONPath.Failure) -> [JSONPath.Step] {
        var parser = JSONPathParser(text, isInner: true)
        return try parser.steps()
    }
}
