/// Calls that are not calls: they bind variables or ask for presence. Upstream: parser.AllMacros, ext.TwoVarComprehensions, ext.Bindings,
/// cel.OptionalTypes.
enum CELMacros {
    enum Expansion {
        case expanded(CELExpression)
        case mistake(Int, String)
        case notAMacro
    }

    /// The name that no iteration variable may take. Upstream: parser.AccumulatorName.
    private static let accumulators: Set<String> = ["@result", "__result__"]

    static func expand(_ name: String, _ target: CELExpression?, _ arguments: [CELExpression], _ offset: Int) -> Expansion {
        guard let target else {
            guard name == "has", arguments.count == 1 else { return .notAMacro }
            guard case .select(let operand, let field, false) = arguments[0].kind else {
                return .mistake(arguments[0].offset, "invalid argument to has() macro")
            }
            return .expanded(CELExpression(.select(operand, field: field, isTest: true), at: offset))
        }
        let count = arguments.count
        switch (name, count) {
        case ("all", 2), ("exists", 2), ("exists_one", 2), ("existsOne", 2):
            guard let variable = simpleName(arguments[0]) else { return .mistake(arguments[0].offset, "argument must be a simple name") }
            if accumulators.contains(variable) { return .mistake(arguments[0].offset, "iteration variable overwrites accumulator variable") }
            return macro(quantifier(name), target, [variable], condition: arguments[1], result: nil, offset)
        case ("map", 2), ("map", 3), ("filter", 2):
            guard let variable = simpleName(arguments[0]) else { return .mistake(arguments[0].offset, "argument is not an identifier") }
            if accumulators.contains(variable) { return .mistake(arguments[0].offset, "iteration variable overwrites accumulator variable") }
            if name == "filter" { return macro(.filter, target, [variable], condition: arguments[1], result: nil, offset) }
            return macro(.map, target, [variable], condition: count == 3 ? arguments[1] : nil, result: arguments[count - 1], offset)
        case ("all", 3), ("exists", 3), ("exists_one", 3), ("existsOne", 3):
            switch pair(arguments) {
            case .failure(let mistake): return .mistake(mistake.offset, mistake.message)
            case .success(let names): return macro(quantifier(name), target, names, condition: arguments[2], result: nil, offset)
            }
        case ("transformList", 3), ("transformList", 4), ("transformMap", 3), ("transformMap", 4), ("transformMapEntry", 3), ("transformMapEntry", 4):
            switch pair(arguments) {
            case .failure(let mistake): return .mistake(mistake.offset, mistake.message)
            case .success(let names):
                let form: CELExpression.Macro.Form =
                    name == "transformList" ? .transformList : name == "transformMap" ? .transformMap : .transformMapEntry
                return macro(form, target, names, condition: count == 4 ? arguments[2] : nil, result: arguments[count - 1], offset)
            }
        case ("bind", 3) where target.dottedName == "cel":
            guard let variable = simpleName(arguments[0]) else {
                return .mistake(arguments[0].offset, "cel.bind() variable names must be simple identifiers")
            }
            return macro(.bind, arguments[1], [variable], condition: nil, result: arguments[2], offset)
        case ("sortBy", 2): return sortBy(target, arguments, offset)
        case ("optMap", 2), ("optFlatMap", 2):
            guard let variable = simpleName(arguments[0]) else {
                return .mistake(arguments[0].offset, "\(name)() variable name must be a simple identifier")
            }
            return macro(name == "optMap" ? .optionalMap : .optionalFlatMap, target, [variable], condition: nil, result: arguments[1], offset)
        case ("greatest", _) where target.dottedName == "math", ("least", _) where target.dottedName == "math":
            return extreme(name, arguments, offset)
        default: return .notAMacro
        }
    }

    /// `list.sortBy(e, key)`: the list sorted by the list of its elements' keys. Upstream: ext.Lists' sortByMacro.
    private static func sortBy(_ target: CELExpression, _ arguments: [CELExpression], _ offset: Int) -> Expansion {
        switch target.kind {
        case .list, .select, .identifier, .macro, .call: break
        default:
            return .mistake(target.offset, "sortBy can only be applied to a list, identifier, comprehension, call or select expression")
        }
        guard let variable = simpleName(arguments[0]) else { return .mistake(arguments[0].offset, "argument is not an identifier") }
        if accumulators.contains(variable) { return .mistake(arguments[0].offset, "iteration variable overwrites accumulator variable") }
        let input = CELExpression(.identifier("@__sortBy_input__"), at: offset)
        let keys = CELExpression(
            .macro(.init(form: .map, operand: input, variables: [variable], condition: nil, result: arguments[1])), at: offset)
        let sorted = CELExpression(.call("@sortByAssociatedKeys", target: input, [keys]), at: offset)
        return macro(.bind, target, ["@__sortBy_input__"], condition: nil, result: sorted, offset)
    }

    private struct Mistake: Error {
        let offset: Int
        let message: String
    }

    private static func quantifier(_ name: String) -> CELExpression.Macro.Form { name == "all" ? .all : name == "exists" ? .exists : .existsOne }

    private static func simpleName(_ argument: CELExpression) -> String? {
        if case .identifier(let name) = argument.kind { name } else { nil }
    }

    private static func pair(_ arguments: [CELExpression]) -> Result<[String], Mistake> {
        var names: [String] = []
        for argument in arguments.prefix(2) {
            guard let name = simpleName(argument) else {
                return .failure(Mistake(offset: argument.offset, message: "argument must be a simple name"))
            }
            if accumulators.contains(name) {
                return .failure(Mistake(offset: argument.offset, message: "iteration variable overwrites accumulator variable"))
            }
            names.append(name)
        }
        if names[0] == names[1] { return .failure(Mistake(offset: arguments[1].offset, message: "duplicate variable name: \(names[0])")) }
        return .success(names)
    }

    private static func macro(
        _ form: CELExpression.Macro.Form, _ operand: CELExpression, _ variables: [String], condition: CELExpression?, result: CELExpression?,
        _ offset: Int
    ) -> Expansion {
        .expanded(CELExpression(.macro(.init(form: form, operand: operand, variables: variables, condition: condition, result: result)), at: offset))
    }

    /// False for literals that are certainly no number, or no list of some.
    private static func mayBeNumber(_ argument: CELExpression, orList: Bool) -> Bool {
        switch argument.kind {
        case .literal(.int), .literal(.uint), .literal(.double): true
        case .literal, .map, .message: false
        case .list(let elements, _): orList && !elements.isEmpty && elements.allSatisfy { mayBeNumber($0, orList: false) }
        default: true
        }
    }

    /// `math.greatest(a, b, …)`. Upstream: ext.Math.
    private static func extreme(_ name: String, _ arguments: [CELExpression], _ offset: Int) -> Expansion {
        if arguments.isEmpty { return .mistake(offset, "math.\(name)() requires at least one argument") }
        let function = name == "greatest" ? "math.@max" : "math.@min"
        for argument in arguments where !mayBeNumber(argument, orList: arguments.count == 1) {
            return .mistake(argument.offset, "math.\(name)() invalid single argument value")
        }
        if arguments.count <= 2 { return .expanded(CELExpression(.call(function, target: nil, arguments), at: offset)) }
        return .expanded(CELExpression(.call(function, target: nil, [CELExpression(.list(arguments, optional: []), at: offset)]), at: offset))
    }
}
