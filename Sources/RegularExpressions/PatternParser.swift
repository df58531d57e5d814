/// Reads RE2's syntax with Perl's classes, as Go's `regexp.Compile` does. Upstream: regexp/syntax.Parse with syntax.Perl.
struct PatternParser {
    private let scalars: [Unicode.Scalar]
    private var at = 0
    private var depth = 0
    private(set) var groupNames: [String] = [""]
    private var flags = Flags()
    private let pattern: String

    private struct Flags {
        var ignoreCase = false
        var multiLine = false
        var dotMatchesNewline = false
        var ungreedy = false
    }

    init(_ pattern: String) {
        self.pattern = pattern
        scalars = Array(pattern.unicodeScalars)
    }

    private func error(_ code: RegularExpressionError.Code, _ from: Int, _ to: Int? = nil) -> RegularExpressionError {
        let end = min(to ?? scalars.count, scalars.count)
        var text = String.UnicodeScalarView()
        if from < end { text.append(contentsOf: scalars[from..<end]) }
        return RegularExpressionError(code: code, expression: String(text))
    }

    private func peek(_ ahead: Int = 0) -> Unicode.Scalar? { at + ahead < scalars.count ? scalars[at + ahead] : nil }
    private func starts(with text: String) -> Bool {
        var place = at
        for scalar in text.unicodeScalars {
            guard place < scalars.count, scalars[place] == scalar else { return false }
            place += 1
        }
        return true
    }

    mutating func parse() throws(RegularExpressionError) -> PatternNode {
        let node = try alternation()
        if at < scalars.count { throw RegularExpressionError(code: .unexpectedParenthesis, expression: pattern) }
        return node
    }

    private mutating func alternation() throws(RegularExpressionError) -> PatternNode {
        depth += 1
        defer { depth -= 1 }
        if depth > RegularExpressionLimits.depth { throw RegularExpressionError(code: .nestingDepth, expression: pattern) }
        var branches = [try concatenation()]
        while peek() == "|" {
            at += 1
            branches.append(try concatenation())
        }
        return branches.count == 1 ? branches[0] : .alternation(branches)
    }

    private mutating func concatenation() throws(RegularExpressionError) -> PatternNode {
        var parts: [PatternNode] = []
        /// Where the last operand stands and how often repetition already multiplies it.
        var repetitions = 1
        var operandStart = at
        var previousWasRepetition = false
        while let c = peek(), c != "|", c != ")" {
            let start = at
            var bounds: (Int, Int?)?
            switch c {
            case "*": bounds = (0, nil)
            case "+": bounds = (1, nil)
            case "?": bounds = (0, 1)
            case "{":
                if let (low, high, end) = countedRepetition() {
                    if low > RegularExpressionLimits.repetition || (high ?? 0) > RegularExpressionLimits.repetition
                        || (high.map { low > $0 } ?? false)
                    {
                        throw error(.invalidRepeatSize, start, end)
                    }
                    bounds = (low, high)
                    at = end - 1
                }
            default: break
            }
            if let (low, high) = bounds {
                at += 1
                guard let operand = parts.popLast() else {
                    throw error(.missingRepeatArgument, start, at)
                }
                var greedy = !flags.ungreedy
                if peek() == "?" {
                    greedy.toggle()
                    at += 1
                }
                if previousWasRepetition { throw error(.invalidRepeatOperator, operandStart, at) }
                operandStart = start
                if c == "{" {
                    repetitions = Self.repetition(of: operand).multipliedReportingOverflow(by: max(low, high ?? 0, 1)).partialValue
                    if repetitions > RegularExpressionLimits.repetition { throw error(.invalidRepeatSize, start, at) }
                }
                parts.append(.repeat(operand, min: low, max: high, greedy: greedy))
                previousWasRepetition = true
                continue
            }
            previousWasRepetition = false
            if starts(with: "\\Q") {
                at += 2
                while at < scalars.count, !starts(with: "\\E") {
                    parts.append(literal(scalars[at].value))
                    at += 1
                }
                if at < scalars.count { at += 2 }
                continue
            }
            if let node = try atom() { parts.append(node) }
        }
        return parts.isEmpty ? .empty : parts.count == 1 ? parts[0] : .concatenation(parts)
    }

    /// How often nested counted repetitions multiply what is inside. Upstream: regexp/syntax.repeatIsValid.
    private static func repetition(of node: PatternNode) -> Int {
        switch node {
        case .repeat(let inner, let low, let high, _):
            // `*`, `+` and `?` do not multiply: they are loops of one copy.
            let own = high.map { max($0, 1) } ?? max(low, 1)
            return min(own.multipliedReportingOverflow(by: repetition(of: inner)).partialValue, RegularExpressionLimits.repetition + 1)
        case .capture(let inner, _): return repetition(of: inner)
        case .concatenation(let parts), .alternation(let parts): return parts.map(repetition).max() ?? 1
        default: return 1
        }
    }

    /// `{n}`, `{n,}` or `{n,m}` at the present place: bounds and the place behind; nil when the brace is only a brace.
    private func countedRepetition() -> (Int, Int?, Int)? {
        var place = at + 1
        func digits(_ place: inout Int) -> Int? {
            let start = place
            var value = 0
            while place < scalars.count, ("0"..."9").contains(scalars[place]) {
                value = min(value * 10 + Int(scalars[place].value - 48), 1_000_000)
                place += 1
            }
            if place == start || (place - start > 1 && scalars[start] == "0") { return nil }
            return value
        }
        guard let low = digits(&place), place < scalars.count else { return nil }
        var high: Int? = low
        if scalars[place] == "," {
            place += 1
            guard place < scalars.count else { return nil }
            if scalars[place] == "}" {
                high = nil
            } else {
                guard let upper = digits(&place) else { return nil }
                high = upper
            }
        }
        guard place < scalars.count, scalars[place] == "}" else { return nil }
        return (low, high, place + 1)
    }

    private func literal(_ scalar: UInt32) -> PatternNode {
        guard flags.ignoreCase else { return .literal(scalar) }
        let folds = UnicodeClasses.folds(scalar)
        return folds.count == 1 ? .literal(scalar) : .set(ScalarSet(folds.map { $0...$0 }))
    }

    private func set(_ set: ScalarSet) -> PatternNode { .set(set) }

    private mutating func atom() throws(RegularExpressionError) -> PatternNode? {
        guard let c = peek() else { return nil }
        switch c {
        case "(": return try group()
        case "[": return .set(try bracket())
        case ".":
            at += 1
            return .set(flags.dotMatchesNewline ? .all : .allButNewline)
        case "^":
            at += 1
            return flags.multiLine ? .beginLine : .beginText
        case "$":
            at += 1
            return flags.multiLine ? .endLine : .endText
        case "\\": return try escape()
        default:
            at += 1
            return literal(c.value)
        }
    }

    private mutating func group() throws(RegularExpressionError) -> PatternNode? {
        let start = at
        let outer = flags
        if peek(1) == "?" {
            if peek(2) == "P" && peek(3) == "<" || peek(2) == "<" && peek(3) != "=" && peek(3) != "!" {
                let nameStart = at + (peek(2) == "P" ? 4 : 3)
                guard let end = scalars[nameStart...].firstIndex(of: ">") else { throw error(.invalidNamedCapture, start) }
                let name = String(String.UnicodeScalarView(scalars[nameStart..<end]))
                let isWord = !name.isEmpty && name.unicodeScalars.allSatisfy { ScalarSet.word.contains($0.value) }
                guard isWord, !groupNames.contains(name) else { throw error(.invalidNamedCapture, start, end + 1) }
                at = end + 1
                return try capture(name, start)
            }
            at += 2
            var negative = false
            var sawFlag = false
            while let c = peek() {
                at += 1
                switch c {
                case "i": flags.ignoreCase = !negative
                case "m": flags.multiLine = !negative
                case "s": flags.dotMatchesNewline = !negative
                case "U": flags.ungreedy = !negative
                case "-" where !negative:
                    negative = true
                    sawFlag = false
                    continue
                case ")" where !negative || sawFlag: return nil
                case ":" where !negative || sawFlag:
                    let inner = try alternation()
                    guard peek() == ")" else { throw RegularExpressionError(code: .missingParenthesis, expression: pattern) }
                    at += 1
                    flags = outer
                    return inner
                default: throw error(.invalidPerlOperator, start, at)
                }
                sawFlag = true
            }
            throw RegularExpressionError(code: .missingParenthesis, expression: pattern)
        }
        at += 1
        return try capture("", start)
    }

    private mutating func capture(_ name: String, _ start: Int) throws(RegularExpressionError) -> PatternNode {
        let outer = flags
        let number = groupNames.count
        groupNames.append(name)
        let inner = try alternation()
        guard peek() == ")" else { throw RegularExpressionError(code: .missingParenthesis, expression: pattern) }
        at += 1
        flags = outer
        return .capture(inner, number)
    }

    private mutating func escape() throws(RegularExpressionError) -> PatternNode {
        let start = at
        guard let c = peek(1) else { throw RegularExpressionError(code: .trailingBackslash, expression: "") }
        switch c {
        case "A":
            at += 2
            return .beginText
        case "z":
            at += 2
            return .endText
        case "b":
            at += 2
            return .wordBoundary
        case "B":
            at += 2
            return .noWordBoundary
        case "C": throw error(.invalidEscape, start, start + 2)
        default: break
        }
        if let class_ = try perlClass() { return .set(class_) }
        return literal(try escapedScalar())
    }

    /// `\d`, `\pL`, `\p{Greek}` and the like; nil when the escape is not a class.
    private mutating func perlClass() throws(RegularExpressionError) -> ScalarSet? {
        guard peek() == "\\", let c = peek(1) else { return nil }
        let simple: ScalarSet?
        switch c {
        case "d": simple = .digits
        case "D": simple = ScalarSet.digits.inverted
        case "s": simple = .spaces
        case "S": simple = ScalarSet.spaces.inverted
        case "w": simple = .word
        case "W": simple = ScalarSet.word.inverted
        default: simple = nil
        }
        if let simple {
            at += 2
            return flags.ignoreCase && (c == "w" || c == "W")
                ? (c == "w" ? UnicodeClasses.folded(.word) : UnicodeClasses.folded(.word).inverted) : simple
        }
        guard c == "p" || c == "P" else { return nil }
        let start = at
        var negative = c == "P"
        guard let first = peek(2) else { throw error(.invalidCharacterRange, start) }
        var name = String(Character(first))
        var end = at + 3
        if first == "{" {
            guard let close = scalars[at...].firstIndex(of: "}") else { throw error(.invalidCharacterRange, start) }
            name = String(String.UnicodeScalarView(scalars[at + 3..<close]))
            end = close + 1
        }
        if name.hasPrefix("^") {
            negative.toggle()
            name.removeFirst()
        }
        guard var set = UnicodeClasses.named(name) else { throw error(.invalidCharacterRange, start, end) }
        at = end
        if flags.ignoreCase { set = UnicodeClasses.folded(set) }
        return negative ? set.inverted : set
    }

    /// One escaped code point: `\n`, `\x41`, `\x{1F600}`, `\012`, `\.`.
    private mutating func escapedScalar() throws(RegularExpressionError) -> UInt32 {
        let start = at
        guard let c = peek(1) else { throw RegularExpressionError(code: .trailingBackslash, expression: "") }
        at += 2
        switch c {
        case "1"..."7":
            // A single digit would be a back-reference, which RE2 has not.
            guard let next = peek(), ("0"..."7").contains(next) else { break }
            fallthrough
        case "0":
            var value = c.value - 48
            for _ in 0..<2 {
                guard let digit = peek(), ("0"..."7").contains(digit) else { break }
                value = value * 8 + digit.value - 48
                at += 1
            }
            return value
        case "x":
            if peek() == "{" {
                var value: UInt32 = 0
                var place = at + 1
                while place < scalars.count, let digit = Self.hex(scalars[place]) {
                    value = value * 16 + digit
                    if value > ScalarSet.last { throw error(.invalidEscape, start, place + 1) }
                    place += 1
                }
                guard place > at + 1, place < scalars.count, scalars[place] == "}" else { throw error(.invalidEscape, start, place + 1) }
                at = place + 1
                return value
            }
            guard let high = peek().flatMap(Self.hex), let low = peek(1).flatMap(Self.hex) else { throw error(.invalidEscape, start, at + 1) }
            at += 2
            return high * 16 + low
        case "a": return 7
        case "f": return 12
        case "n": return 10
        case "r": return 13
        case "t": return 9
        case "v": return 11
        default:
            if c.isASCII, !ScalarSet.word.contains(c.value) || c == "_" { return c.value }
        }
        throw error(.invalidEscape, start, at)
    }

    private static func hex(_ c: Unicode.Scalar) -> UInt32? {
        switch c {
        case "0"..."9": c.value - 48
        case "a"..."f": c.value - 87
        case "A"..."F": c.value - 55
        default: nil
        }
    }

    private mutating func bracket() throws(RegularExpressionError) -> ScalarSet {
        let start = at
        at += 1
        var negative = false
        if peek() == "^" {
            negative = true
            at += 1
        }
        var ranges: [ClosedRange<UInt32>] = []
        var isFirst = true
        while let c = peek(), c != "]" || isFirst {
            // A hyphen is itself only at either end.
            if c == "-", !isFirst, peek(1) != "]" {
                if peek(1) == nil { throw error(.missingBracket, start) }
                throw error(.invalidCharacterRange, at, at + 2)
            }
            isFirst = false
            if c == "[", peek(1) == ":", let end = posixEnd() {
                let name = String(String.UnicodeScalarView(scalars[at + 2..<end]))
                let isInverted = name.hasPrefix("^")
                guard let set = ScalarSet.posix[isInverted ? String(name.dropFirst()) : name] else {
                    throw error(.invalidCharacterRange, at, end + 2)
                }
                let folded = flags.ignoreCase ? UnicodeClasses.folded(set) : set
                ranges += (isInverted ? folded.inverted : folded).ranges
                at = end + 2
                continue
            }
            if let set = try perlClass() {
                ranges += set.ranges
                continue
            }
            let rangeStart = at
            let low = try bracketScalar(start)
            var high = low
            if peek() == "-", let next = peek(1), next != "]" {
                at += 1
                high = try bracketScalar(start)
                if high < low { throw error(.invalidCharacterRange, rangeStart, at) }
            }
            ranges.append(low...high)
        }
        guard peek() == "]" else { throw error(.missingBracket, start) }
        at += 1
        var set = ScalarSet(ranges)
        if flags.ignoreCase { set = UnicodeClasses.folded(set) }
        return negative ? set.inverted : set
    }

    private func posixEnd() -> Int? {
        var place = at + 2
        while place + 1 < scalars.count {
            if scalars[place] == ":", scalars[place + 1] == "]" { return place }
            if scalars[place] == "]" { return nil }
            place += 1
        }
        return nil
    }

    private mutating func bracketScalar(_ start: Int) throws(RegularExpressionError) -> UInt32 {
        guard let c = peek() else { throw error(.missingBracket, start) }
        if c == "\\" { return try escapedScalar() }
        at += 1
        return c.value
    }
}
