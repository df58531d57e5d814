/// Reads an expression by recursive descent. Upstream: parser.Parse; its grammar is CEL.g4 and its messages are ANTLR's.
struct CELParser {
    private let tokens: [CELToken]
    private var at = 0
    private var depth = 0
    private(set) var problems: [(offset: Int, message: String)]
    /// Set by the first syntax error: what follows is not looked at.
    private var isBroken = false

    private struct Stop: Error {}

    private static let reserved: Set<String> = [
        "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void",
        "while",
    ]
    static let operandStart =
        "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"

    private init(_ lexer: CELLexer) {
        tokens = lexer.tokens
        problems = lexer.problems
    }

    /// The expression, nil with what is wrong with it.
    static func parse(_ source: [Unicode.Scalar]) -> (CELExpression?, problems: [(offset: Int, message: String)]) {
        if source.count > CELLimits.expressionSize {
            return (nil, [(0, "expression code point size exceeds limit: size: \(source.count), limit \(CELLimits.expressionSize)")])
        }
        var parser = CELParser(CELLexer(source))
        do {
            let expression = try parser.expression()
            if parser.token.kind != .end {
                try parser.unexpected("<EOF>", parser.tokens.count > parser.at + 1 && parser.tokens[parser.at + 1].kind == .end)
            }
            if expression.depth > CELLimits.depth { try parser.fail(0, "expression recursion limit exceeded: \(CELLimits.depth)") }
            return parser.problems.isEmpty ? (expression, []) : (nil, parser.problems)
        } catch {
            return (nil, parser.problems)
        }
    }

    private var token: CELToken { tokens[min(at, tokens.count - 1)] }
    private mutating func advance() { if at < tokens.count - 1 { at += 1 } }
    private func isSymbol(_ text: String) -> Bool { token.kind == .symbol && token.text == text }
    private mutating func take(_ text: String) -> Bool {
        guard isSymbol(text) else { return false }
        advance()
        return true
    }

    private mutating func fail(_ offset: Int, _ message: String) throws -> Never {
        problems.append((offset, message))
        throw Stop()
    }

    /// ANTLR's text for a token that does not fit; `isExtra`: the one behind it would.
    private mutating func unexpected(_ expected: String, _ isExtra: Bool = false) throws -> Never {
        let text = token.text.replacingNewlines
        try fail(token.offset, "Syntax error: \(isExtra ? "extraneous" : "mismatched") input '\(text)' expecting \(expected)")
    }

    private mutating func expect(_ symbol: String, _ expected: String? = nil) throws {
        if take(symbol) { return }
        // ANTLR tells of a missing token where what is there could follow it.
        if expected == nil, symbol == ")", token.kind == .end { try fail(token.offset, "Syntax error: missing ')' at '<EOF>'") }
        try unexpected(expected ?? "'\(symbol)'")
    }

    /// Tells a mistake that does not end the parsing.
    private mutating func note(_ offset: Int, _ message: String) -> CELExpression {
        problems.append((offset, message))
        return CELExpression(.invalid, at: offset)
    }

    // MARK: Operators

    private mutating func expression() throws -> CELExpression {
        depth += 1
        defer { depth -= 1 }
        if depth > CELLimits.depth { try fail(token.offset, "expression recursion limit exceeded: \(CELLimits.depth)") }
        let condition = try logical("||", CELOperator.or)
        guard isSymbol("?") else { return condition }
        let offset = token.offset
        advance()
        let truthy = try logical("||", CELOperator.or)
        try expect(":")
        let falsy = try expression()
        return CELExpression(.call(CELOperator.conditional, target: nil, [condition, truthy, falsy]), at: offset)
    }

    /// `a && b && c` as a balanced tree, so that long chains are not deep. Upstream: parser.logicManager.
    private mutating func logical(_ symbol: String, _ function: String) throws -> CELExpression {
        var terms = [symbol == "||" ? try logical("&&", CELOperator.and) : try relation()]
        var offsets: [Int] = []
        while isSymbol(symbol) {
            offsets.append(token.offset)
            advance()
            terms.append(symbol == "||" ? try logical("&&", CELOperator.and) : try relation())
        }
        func balance(_ low: Int, _ high: Int) -> CELExpression {
            if low == high { return terms[low] }
            let middle = (low + high) / 2
            return CELExpression(.call(function, target: nil, [balance(low, middle), balance(middle + 1, high)]), at: offsets[middle])
        }
        return balance(0, terms.count - 1)
    }

    private mutating func relation() throws -> CELExpression { try chain(["<", "<=", ">=", ">", "==", "!=", "in"]) { try $0.addition() } }
    private mutating func addition() throws -> CELExpression { try chain(["+", "-"]) { try $0.multiplication() } }
    private mutating func multiplication() throws -> CELExpression { try chain(["*", "/", "%"]) { try $0.unary() } }

    private mutating func chain(_ symbols: [String], _ operand: (inout CELParser) throws -> CELExpression) throws -> CELExpression {
        var left = try operand(&self)
        while token.kind == .symbol || token.text == "in" && token.kind == .identifier, symbols.contains(token.text) {
            let (symbol, offset) = (token.text, token.offset)
            advance()
            let right = try operand(&self)
            left = CELExpression(.call(CELOperator.binary[symbol] ?? symbol, target: nil, [left, right]), at: offset)
            if left.depth > CELLimits.depth { try fail(offset, "expression recursion limit exceeded: \(CELLimits.depth)") }
        }
        return left
    }

    private mutating func unary() throws -> CELExpression {
        for (symbol, function) in [("!", CELOperator.not), ("-", CELOperator.negate)] where isSymbol(symbol) {
            let offset = token.offset
            var count = 0
            // A minus in front of a number is part of the number.
            while isSymbol(symbol) {
                if symbol == "-", at + 1 < tokens.count, tokens[at + 1].kind == .int || tokens[at + 1].kind == .double { break }
                count += 1
                advance()
            }
            let operand = try member()
            return count % 2 == 0 ? operand : CELExpression(.call(function, target: nil, [operand]), at: offset)
        }
        return try member()
    }

    // MARK: Members

    private mutating func member() throws -> CELExpression {
        var expression = try primary()
        while true {
            let offset = token.offset
            if take(".") {
                let isOptional = take("?")
                guard token.kind == .identifier, !["true", "false", "null", "in"].contains(token.text) else {
                    if token.kind == .identifier || token.kind != .symbol { try unexpected("IDENTIFIER") }
                    try unexpected(isOptional ? "IDENTIFIER" : "{'?', IDENTIFIER}")
                }
                let name = token.text
                let nameOffset = token.offset
                advance()
                if isOptional {
                    let field = CELExpression(.literal(.string(name)), at: nameOffset)
                    expression = CELExpression(.call(CELOperator.optionalSelect, target: nil, [expression, field]), at: offset)
                } else if isSymbol("(") {
                    let open = token.offset
                    advance()
                    expression = try call(name, expression, try arguments(), open)
                } else if isSymbol("{"), let dotted = expression.dottedName {
                    expression = try message(dotted + "." + name)
                } else {
                    expression = CELExpression(.select(expression, field: name, isTest: false), at: offset)
                }
            } else if take("[") {
                let isOptional = take("?")
                let index = try self.expression()
                try expect("]")
                expression = CELExpression(
                    .call(isOptional ? CELOperator.optionalIndex : CELOperator.index, target: nil, [expression, index]), at: offset)
            } else {
                return expression
            }
            if expression.depth > CELLimits.depth { try fail(offset, "expression recursion limit exceeded: \(CELLimits.depth)") }
        }
    }

    private mutating func arguments() throws -> [CELExpression] {
        var arguments: [CELExpression] = []
        if take(")") { return arguments }
        repeat { arguments.append(try expression()) } while take(",")
        try expect(")", "{')', ','}")
        return arguments
    }

    private mutating func primary() throws -> CELExpression {
        let token = token
        switch token.kind {
        case .int, .uint, .double, .string, .bytes:
            advance()
            return literal(token, negative: false)
        case .identifier:
            switch token.text {
            case "true", "false":
                advance()
                return CELExpression(.literal(.bool(token.text == "true")), at: token.offset)
            case "null":
                advance()
                return CELExpression(.literal(.null), at: token.offset)
            case "in": break
            default: return try identifier(token.offset)
            }
        case .symbol:
            switch token.text {
            case "-":
                advance()
                let number = self.token
                advance()
                return literal(number, negative: true)
            case ".":
                advance()
                if self.token.kind == .identifier { return try identifier(token.offset) }
                try unexpected("IDENTIFIER")
            case "(":
                advance()
                let inner = try expression()
                try expect(")")
                return inner
            case "[":
                advance()
                return try list(token.offset)
            case "{":
                advance()
                return try map(token.offset)
            default: break
            }
        case .end: break
        }
        let following = tokens[min(at + 1, tokens.count - 1)]
        let couldStart = following.kind != .end && (following.kind != .symbol || ["[", "{", "(", ".", "-", "!"].contains(following.text))
        try unexpected(Self.operandStart, token.kind != .end && couldStart)
    }

    private mutating func identifier(_ offset: Int) throws -> CELExpression {
        let name = token.text
        advance()
        if isSymbol("(") {
            let open = token.offset
            advance()
            return try call(name, nil, try arguments(), open)
        }
        if isSymbol("{") { return try message(name) }
        if Self.reserved.contains(name) { return note(offset, "reserved identifier: \(name)") }
        return CELExpression(.identifier(name), at: offset)
    }

    private mutating func literal(_ token: CELToken, negative: Bool) -> CELExpression {
        let offset = negative ? token.offset - 1 : token.offset
        func number(_ text: String) -> String { (negative ? "-" : "") + text }
        switch token.kind {
        case .int:
            let isHex = token.text.hasPrefix("0x") || token.text.hasPrefix("0X")
            guard let value = isHex ? Int64(number(String(token.text.dropFirst(2))), radix: 16) : Int64(number(token.text)) else {
                return note(offset, "invalid int literal")
            }
            return CELExpression(.literal(.int(value)), at: offset)
        case .uint:
            let digits = token.text.dropLast()
            let isHex = digits.hasPrefix("0x") || digits.hasPrefix("0X")
            guard let value = isHex ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits) else { return note(offset, "invalid uint literal") }
            return CELExpression(.literal(.uint(value)), at: offset)
        case .double:
            guard let value = Double(number(token.text.hasPrefix(".") ? "0" + token.text : token.text)) else {
                return note(offset, "invalid double literal")
            }
            return CELExpression(.literal(.double(value)), at: offset)
        case .string, .bytes:
            guard let bytes = CELLiteral.unescape(token.text) else { return note(offset, "unable to unescape string") }
            return CELExpression(.literal(token.kind == .string ? .string(String(decoding: bytes, as: UTF8.self)) : .bytes(bytes)), at: offset)
        default: return note(offset, "unexpected literal")
        }
    }

    // MARK: Aggregates

    private mutating func list(_ offset: Int) throws -> CELExpression {
        var elements: [CELExpression] = []
        var optional: Set<Int> = []
        // The grammar allows a comma alone.
        if isSymbol(","), at + 1 < tokens.count, tokens[at + 1].text == "]" { advance() }
        while !isSymbol("]") {
            if take("?") { optional.insert(elements.count) }
            elements.append(try expression())
            if !take(",") { break }
        }
        try expect("]", "{']', ','}")
        return CELExpression(.list(elements, optional: optional), at: offset)
    }

    private mutating func map(_ offset: Int) throws -> CELExpression {
        var entries: [CELExpression.Entry] = []
        while !isSymbol("}") {
            let isOptional = take("?")
            let key = try expression()
            let colon = token.offset
            try expect(":")
            entries.append(.init(key: key, value: try expression(), isOptional: isOptional, offset: colon))
            if !take(",") { break }
        }
        try expect("}", "{'}', ','}")
        return CELExpression(.map(entries), at: offset)
    }

    private mutating func message(_ name: String) throws -> CELExpression {
        let offset = token.offset
        advance()
        var fields: [CELExpression.Field] = []
        while !isSymbol("}") {
            let isOptional = take("?")
            guard token.kind == .identifier else { try unexpected("{'}', '?', ',', IDENTIFIER}") }
            let field = token.text
            advance()
            let colon = token.offset
            try expect(":")
            fields.append(.init(name: field, value: try expression(), isOptional: isOptional, offset: colon))
            if !take(",") { break }
        }
        try expect("}", "{'}', ','}")
        return CELExpression(.message(name, fields), at: offset)
    }

    /// A call, or what a macro of its name makes of it.
    private mutating func call(_ name: String, _ target: CELExpression?, _ arguments: [CELExpression], _ offset: Int) throws -> CELExpression {
        switch CELMacros.expand(name, target, arguments, offset) {
        case .expanded(let expression): return expression
        case .mistake(let place, let message): return note(place, message)
        case .notAMacro: return CELExpression(.call(name, target: target, arguments), at: offset)
        }
    }
}

extension String {
    /// Control characters as ANTLR shows them in messages.
    var replacingNewlines: String {
        var out = ""
        for c in unicodeScalars {
            switch c {
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            default: out.unicodeScalars.append(c)
            }
        }
        return out
    }
}
