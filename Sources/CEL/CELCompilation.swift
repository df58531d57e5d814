package import KubeAPI

/// A compiled expression: immutable, evaluated by any number of tasks at once. Upstream: cel.Program.
package final class CELProgram: Sendable {
    package let source: String
    /// What the expression evaluates to, as far as its types tell.
    package let outputType: CELType
    private let usedVariables: Set<String>
    private let node: CELNode
    private let locals: Int

    private init(source: String, outputType: CELType, usedVariables: Set<String>, node: CELNode, locals: Int) {
        self.source = source
        self.outputType = outputType
        self.usedVariables = usedVariables
        self.node = node
        self.locals = locals
    }

    /// Compiles an expression. `expecting` are the types the result may have (dyn is always allowed); nil: any.
    /// Throws `CELCompileError` with cel-go's text of all issues, or of the wrong type ("must evaluate to bool").
    package static func compile(_ source: String, in environment: CELEnvironment, expecting: [CELType]? = nil) throws(CELCompileError) -> CELProgram {
        let (expression, checker) = try checked(source, environment)
        let type = checker.finalType(expression)
        if let expecting, type != .dyn, !expecting.contains(type) {
            let names = expecting.map(\.description)
            let reason = names.count == 1 ? "must evaluate to \(names[0])" : "must evaluate to one of the types: [\(names.joined(separator: " "))]"
            throw CELCompileError(issues: [], wrongType: reason)
        }
        let node = CELNodeBuilder.build(expression, environment)
        return CELProgram(source: source, outputType: type, usedVariables: checker.usedVariables, node: node, locals: checker.localCount)
    }

    /// What evaluating an expression may cost, by the sizes that the schemas of the environment's variables tell. Throws as `compile` does.
    /// Upstream: cel.Env.EstimateCost with library.CostEstimator.
    package static func estimateCost(_ source: String, in environment: CELEnvironment) throws(CELCompileError) -> CELCostEstimate {
        let (expression, checker) = try checked(source, environment)
        var estimator = CELCostEstimator(environment, types: checker)
        return estimator.estimate(expression)
    }

    private static func checked(_ source: String, _ environment: CELEnvironment) throws(CELCompileError) -> (CELExpression, CELChecker) {
        let scalars = Array(source.unicodeScalars)
        let (parsed, syntaxProblems) = CELParser.parse(scalars)
        guard let parsed, syntaxProblems.isEmpty else { throw error(syntaxProblems, scalars) }
        var checker = CELChecker(environment)
        checker.check(parsed)
        if checker.problems.isEmpty {
            let literalProblems = CELLiteralValidation.problems(parsed)
            guard literalProblems.isEmpty else { throw error(literalProblems, scalars) }
            return (parsed, checker)
        }
        throw error(checker.problems, scalars)
    }

    private static func error(_ problems: [(offset: Int, message: String)], _ source: [Unicode.Scalar]) -> CELCompileError {
        CELCompileError(
            issues: problems.sorted { $0.offset < $1.offset }.map { problem in
                var line = 1
                var start = 0
                for (index, scalar) in source.enumerated() where scalar == "\n" && index < problem.offset {
                    line += 1
                    start = index + 1
                }
                let end = source[start...].firstIndex(of: "\n") ?? source.count
                var snippet = String.UnicodeScalarView()
                snippet.append(contentsOf: source[start..<end].map { $0 == "\t" ? " " : $0 })
                return CELIssue(message: problem.message, line: line, column: problem.offset - start, snippet: String(snippet))
            }, wrongType: nil)
    }

    /// Whether the expression reads a variable of the environment: `oldSelf` makes a rule a transition rule.
    package func usesVariable(_ name: String) -> Bool { usedVariables.contains(name) }

    /// Evaluates with these variables and takes the cost off the budget. Throws `CELError`.
    package func evaluate(_ activation: CELActivation, budget: inout CELBudget) throws(CELError) -> CELValue {
        let evaluation = CELEvaluation(activation, locals: locals, limit: budget.perCall)
        do throws(CELError) {
            let value = try evaluation.evaluate(node)
            budget.spend(evaluation.cost)
            return value
        } catch {
            budget.spend(evaluation.cost)
            throw error
        }
    }

    /// Evaluates inside another evaluation, on its account: a variable that an expression names.
    package func evaluate(_ activation: CELActivation, chargedTo outer: CELEvaluation) throws(CELError) -> CELValue {
        let evaluation = CELEvaluation(activation, locals: locals, limit: CELLimits.perCall)
        do throws(CELError) {
            let value = try evaluation.evaluate(node)
            try outer.charge(evaluation.cost)
            return value
        } catch {
            try outer.charge(evaluation.cost)
            throw error
        }
    }
}

/// Literals that can be checked before anything is evaluated. Upstream: cel.ValidateDurationLiterals, ValidateTimestampLiterals,
/// ValidateRegexLiterals.
enum CELLiteralValidation {
    static func problems(_ e: CELExpression) -> [(offset: Int, message: String)] {
        var found: [(offset: Int, message: String)] = []
        visit(e) { call, function, target, arguments in
            let argument = target == nil || function == "matches" ? arguments.last : nil
            guard let argument, case .literal(.string(let text)) = argument.kind else { return }
            switch (function, arguments.count) {
            case ("duration", 1): if CELDuration.parse(text) == nil { found.append((argument.offset, "invalid duration argument")) }
            case ("timestamp", 1): if CELTimestamp(text) == nil { found.append((argument.offset, "invalid timestamp argument")) }
            case ("matches", 1...2): if CELRegexCache.shared.expression(text) == nil { found.append((argument.offset, "invalid matches argument")) }
            default: break
            }
        }
        return found
    }

    private static func visit(_ e: CELExpression, _ body: (CELExpression, String, CELExpression?, [CELExpression]) -> Void) {
        switch e.kind {
        case .literal, .identifier, .invalid: break
        case .select(let operand, _, _): visit(operand, body)
        case .call(let function, let target, let arguments):
            body(e, function, target, arguments)
            if let target { visit(target, body) }
            for argument in arguments { visit(argument, body) }
        case .list(let elements, _): for element in elements { visit(element, body) }
        case .map(let entries):
            for entry in entries {
                visit(entry.key, body)
                visit(entry.value, body)
            }
        case .message(_, let fields): for field in fields { visit(field.value, body) }
        case .macro(let macro):
            visit(macro.operand, body)
            if let condition = macro.condition { visit(condition, body) }
            if let result = macro.result { visit(result, body) }
        }
    }
}

extension CELValue {
    /// The value as JSON: timestamps and durations as text, bytes as Base64. Nil for what JSON cannot hold (types, URLs, an unset optional).
    package var jsonValue: Value? {
        switch self {
        case .null: return .null
        case .bool(let flag): return .bool(flag)
        case .int(let number): return .int(number)
        case .uint(let number): return Int64(exactly: number).map { .int($0) } ?? .double(Double(number))
        case .double(let number): return .double(number)
        case .string(let text): return .string(text)
        case .bytes(let bytes): return .string(Base64.encode(bytes))
        case .duration(let span): return .string(CELDuration.text(span))
        case .timestamp(let time): return .string(time.text)
        case .list(.tree(let values, _, _)): return .array(values)
        case .list(.json(let views, _, _)): return .array(views.map(\.value))
        case .list(.values(let list)):
            var values: [Value] = []
            for element in list {
                guard let value = element.jsonValue else { return nil }
                values.append(value)
            }
            return .array(values)
        case .map(.json(let view, _)): return view.value
        case .map(.tree(let members, _)): return .object(members)
        case .map(.message(_, let entries)), .map(.entries(let entries)):
            var members: [(String, Value)] = []
            var isMessage = false
            if case .map(.message) = self { isMessage = true }
            for (key, value) in zip(entries.keys, entries.values) {
                guard case .string(let name) = key, let value = value.jsonValue else { return nil }
                members.append((isMessage ? CELIdentifier.unescape(name) : name, value))
            }
            return .object(Members(members))
        case .optional(let optional): return optional.value?.jsonValue
        case .object, .type, .opaque: return nil
        }
    }
}

/// Values as text in messages.
enum CELText {
    /// As Go's `%v` prints them.
    static func describe(_ value: CELValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): String(number)
        case .uint(let number): String(number)
        case .double(let number): double(number)
        case .string(let text): text
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        case .duration(let span): CELDuration.text(span)
        case .timestamp(let time): time.text
        case .list(let list): "[" + list.values.map(describe).joined(separator: " ") + "]"
        case .map(let map): "map[" + map.entries.map { "\(describe($0.key)):\(describe($0.value))" }.joined(separator: " ") + "]"
        case .type(let type): type.runtimeName
        default: value.type.runtimeName
        }
    }

    static func goType(_ value: CELValue) -> String {
        switch value {
        case .null: "types.Null"
        case .bool: "types.Bool"
        case .int: "types.Int"
        case .uint: "types.Uint"
        case .double: "types.Double"
        case .string: "types.String"
        case .bytes: "types.Bytes"
        case .duration: "types.Duration"
        case .timestamp: "types.Timestamp"
        default: value.type.runtimeName
        }
    }

    /// The shortest text that reads back as the number. Upstream: strconv.FormatFloat(f, 'g', -1, 64).
    static func double(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Inf" : "+Inf" }
        if number == 0 { return number.sign == .minus ? "-0" : "0" }
        // The shortest digits, as Swift finds them, put into Go's form.
        var text = "\(number.magnitude)"
        var exponent = 0
        if let e = text.firstIndex(of: "e") {
            exponent = Int(text[text.index(after: e)...]) ?? 0
            text = String(text[..<e])
        }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let whole = parts.first.map(String.init) ?? "0"
        var digits = whole + (parts.count > 1 ? String(parts[1]) : "")
        var point = whole.utf8.count + exponent
        while digits.hasPrefix("0"), digits.utf8.count > 1 {
            digits.removeFirst()
            point -= 1
        }
        while digits.hasSuffix("0"), digits.utf8.count > 1 { digits.removeLast() }
        let sign = number < 0 ? "-" : ""
        let scientific = point - 1
        if scientific < -4 || scientific >= 6 {
            let rest = digits.dropFirst()
            let magnitude = abs(scientific)
            return "\(sign)\(digits.prefix(1))\(rest.isEmpty ? "" : "." + rest)e\(scientific < 0 ? "-" : "+")\(magnitude < 10 ? "0" : "")\(magnitude)"
        }
        if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
        if point >= digits.utf8.count { return sign + digits + String(repeating: "0", count: point - digits.utf8.count) }
        return sign + digits.prefix(point) + "." + digits.dropFirst(point)
    }
}
