/// Finds the types of an expression and of all in it. Upstream: checker.Check.
struct CELChecker {
    private let environment: CELEnvironment
    private var unifier = CELUnifier()
    private var locals: [(name: String, type: CELType, number: Int)] = []
    /// Bound variables there can be at once, and so places in the evaluation's frame.
    private(set) var localCount = 0
    private(set) var problems: [(offset: Int, message: String)] = []
    private(set) var usedVariables: Set<String> = []

    init(_ environment: CELEnvironment) { self.environment = environment }

    private mutating func note(_ offset: Int, _ message: String) -> CELType {
        problems.append((offset, message))
        return .error
    }

    func finalType(_ expression: CELExpression) -> CELType { unifier.substitute(expression.type, final: true) }

    @discardableResult
    mutating func check(_ e: CELExpression) -> CELType {
        let type = typeOf(e)
        e.type = type
        return type
    }

    private mutating func typeOf(_ e: CELExpression) -> CELType {
        switch e.kind {
        case .invalid: return .error
        case .literal(let value): return value.type
        case .identifier(let name): return resolve(name, e) ?? note(e.offset, "undeclared reference to '\(name)' (in container '')")
        case .select(let operand, let field, let isTest): return select(e, operand, field, isTest)
        case .call(let function, let target, let arguments): return call(e, function, target, arguments)
        case .list(let elements, let optional): return list(elements, optional)
        case .map(let entries): return map(entries)
        case .message(let name, let fields): return message(e, name, fields)
        case .macro(let macro): return self.macro(e, macro)
        }
    }

    /// A bound variable, a declared one, or the name of a type.
    private mutating func resolve(_ name: String, _ e: CELExpression) -> CELType? {
        if let local = locals.last(where: { $0.name == name }) {
            e.local = local.number
            return local.type
        }
        if let variable = environment.variable(name) {
            e.qualifiedName = name
            usedVariables.insert(name)
            return variable.type
        }
        if let type = environment.typeNamed(name) {
            e.qualifiedName = name
            return .type(type)
        }
        return nil
    }

    private mutating func select(_ e: CELExpression, _ operand: CELExpression, _ field: String, _ isTest: Bool) -> CELType {
        // `google.protobuf.Timestamp` and the like are names, not selections, unless their first part is bound.
        if !isTest, let name = e.dottedName, let first = name.split(separator: ".").first, !locals.contains(where: { $0.name == first }),
            environment.variable(name) != nil || (environment.variable(String(first)) == nil && environment.typeNamed(name) != nil)
        {
            return resolve(name, e) ?? .error
        }
        var target = unifier.substitute(check(operand))
        var isOptional = false
        if case .optional(let wrapped) = target {
            isOptional = true
            target = unifier.substitute(wrapped)
        }
        var result = field_(target, field, e.offset)
        if isTest { return result == .error ? .error : .bool }
        if isOptional, result != .error { result = .optional(result) }
        return result
    }

    private mutating func field_(_ target: CELType, _ field: String, _ offset: Int) -> CELType {
        switch target {
        case .error: return .error
        case .dyn: return .dyn
        case .parameter:
            _ = unifier.isAssignable(target, to: .dyn)
            return .dyn
        case .map(_, let value): return value
        case .object(let object): return object.field(field)?.type ?? note(offset, "undefined field '\(field)'")
        default: return note(offset, "type '\(target)' does not support field selection")
        }
    }

    // MARK: Calls

    private mutating func call(_ e: CELExpression, _ function: String, _ target: CELExpression?, _ arguments: [CELExpression]) -> CELType {
        if function == CELOperator.optionalSelect, let operand = arguments.first { return optionalSelect(e, operand, arguments) }
        for argument in arguments { check(argument) }
        guard let target else {
            guard let overloads = CELFunctions.all[function] else {
                return note(e.offset, "undeclared reference to '\(function)' (in container '')")
            }
            return resolve(e, overloads.filter { !$0.isMember }, function, arguments.map(\.type), isMember: false)
        }
        // A dotted function: `ip.isCanonical`, unless its first part is a variable's name.
        if let path = target.dottedName, let overloads = CELFunctions.all["\(path).\(function)"] {
            e.isQualifiedCall = true
            return resolve(e, overloads.filter { !$0.isMember }, "\(path).\(function)", arguments.map(\.type), isMember: false)
        }
        check(target)
        guard let overloads = CELFunctions.all[function] else {
            return note(e.offset, "undeclared reference to '\(function)' (in container '')")
        }
        return resolve(e, overloads.filter(\.isMember), function, [target.type] + arguments.map(\.type), isMember: true)
    }

    private mutating func resolve(_ e: CELExpression, _ overloads: [CELOverload], _ function: String, _ arguments: [CELType], isMember: Bool)
        -> CELType
    {
        if arguments.contains(.error) { return .error }
        var result: CELType?
        for overload in overloads where overload.parameters.count == arguments.count {
            let (parameters, type) = unifier.instantiate(overload)
            guard unifier.areAssignable(arguments, to: parameters) else { continue }
            e.overloads.append(overload)
            let own = unifier.substitute(type)
            if let known = result { if known != .dyn, known != own { result = .dyn } } else { result = own }
        }
        if let result { return result }
        let shown = arguments.map { unifier.substitute($0).description }
        let list = isMember ? "\(shown[0]).(\(shown.dropFirst().joined(separator: ", ")))" : "(\(shown.joined(separator: ", ")))"
        return note(e.offset, "found no matching overload for '\(function)' applied to '\(list)'")
    }

    private mutating func optionalSelect(_ e: CELExpression, _ operand: CELExpression, _ arguments: [CELExpression]) -> CELType {
        var target = unifier.substitute(check(operand))
        if arguments.count > 1 { check(arguments[1]) }
        guard arguments.count == 2, case .literal(.string(let field)) = arguments[1].kind else {
            return note(e.offset, "unsupported optional field selection")
        }
        if case .optional(let wrapped) = target { target = unifier.substitute(wrapped) }
        let result = field_(target, field, e.offset)
        return result == .error ? .error : .optional(result)
    }

    // MARK: Aggregates

    private mutating func list(_ elements: [CELExpression], _ optional: Set<Int>) -> CELType {
        var joined: CELType?
        for (index, element) in elements.enumerated() {
            var type = check(element)
            if optional.contains(index) { type = unwrap(type, element) }
            joined = join(joined, type, element.offset)
        }
        return .list(joined ?? unifier.freshVariable())
    }

    private mutating func map(_ entries: [CELExpression.Entry]) -> CELType {
        var key: CELType?
        var value: CELType?
        for entry in entries {
            key = join(key, check(entry.key), entry.key.offset)
            var type = check(entry.value)
            if entry.isOptional { type = unwrap(type, entry.value) }
            value = join(value, type, entry.value.offset)
        }
        if entries.isEmpty { return .map(unifier.freshVariable(), unifier.freshVariable()) }
        return .map(key ?? .dyn, value ?? .dyn)
    }

    private mutating func unwrap(_ type: CELType, _ e: CELExpression) -> CELType {
        switch unifier.substitute(type) {
        case .optional(let wrapped): return wrapped
        case .dyn: return .dyn
        case .error: return .error
        case let other: return note(e.offset, "expected type 'optional_type(\(other))' but found '\(other)'")
        }
    }

    /// Literals hold values of one type. Upstream: cel.HomogeneousAggregateLiterals.
    private mutating func join(_ previous: CELType?, _ current: CELType, _ offset: Int) -> CELType {
        if let joined = unifier.join(previous, current) { return joined }
        let wanted = unifier.substitute(previous ?? .dyn)
        _ = note(offset, "expected type '\(wanted)' but found '\(unifier.substitute(current))'")
        return wanted
    }

    private mutating func message(_ e: CELExpression, _ name: String, _ fields: [CELExpression.Field]) -> CELType {
        guard let object = environment.constructible(name) else {
            for field in fields { check(field.value) }
            return note(e.offset, "undeclared reference to '\(name)' (in container '')")
        }
        for field in fields {
            var type = check(field.value)
            if field.isOptional { type = unwrap(type, field.value) }
            guard let declared = object.field(field.name)?.type else {
                _ = note(field.offset, "undefined field '\(field.name)'")
                continue
            }
            if !unifier.isAssignable(type, to: declared) {
                _ = note(field.offset, "expected type of field '\(field.name)' is '\(declared)' but provided type is '\(unifier.substitute(type))'")
            }
        }
        return .object(object)
    }

    // MARK: Macros

    private mutating func macro(_ e: CELExpression, _ macro: CELExpression.Macro) -> CELType {
        let operand = unifier.substitute(check(macro.operand))
        var types: [CELType]
        switch macro.form {
        case .bind: types = [operand]
        case .optionalMap, .optionalFlatMap:
            switch operand {
            case .optional(let wrapped): types = [wrapped]
            case .dyn, .error, .parameter: types = [.dyn]
            default: return note(e.offset, "found no matching overload for 'hasValue' applied to '\(operand).()'")
            }
        default:
            let two = macro.variables.count == 2
            switch operand {
            case .list(let element): types = two ? [.int, element] : [element]
            case .map(let key, let value): types = two ? [key, value] : [key]
            case .dyn, .error: types = two ? [operand, operand] : [operand]
            case .parameter:
                _ = unifier.isAssignable(operand, to: .dyn)
                types = two ? [.dyn, .dyn] : [.dyn]
            default:
                return note(
                    macro.operand.offset, "expression of type '\(operand)' cannot be range of a comprehension (must be list, map, or dynamic)")
            }
        }
        e.firstLocal = locals.count
        for (name, type) in zip(macro.variables, types) { locals.append((name, type, locals.count)) }
        localCount = max(localCount, locals.count)
        let condition = macro.condition.map { unifier.substitute(check($0)) } ?? .bool
        let result = macro.result.map { unifier.substitute(check($0)) } ?? .bool
        locals.removeLast(types.count)
        if condition == .error || result == .error { return .error }

        let isCondition = unifier.isAssignable(condition, to: .bool)
        func mismatch(_ function: String, _ types: String) -> String { "found no matching overload for '\(function)' applied to '(\(types))'" }
        switch macro.form {
        case .all: return isCondition ? .bool : note(e.offset, mismatch("_&&_", "bool, \(condition)"))
        case .exists: return isCondition ? .bool : note(e.offset, mismatch("_||_", "bool, \(condition)"))
        case .existsOne: return isCondition ? .bool : note(e.offset, mismatch("_?_:_", "\(condition), int, int"))
        case .filter:
            let list = CELType.list(types[0])
            return isCondition ? list : note(e.offset, mismatch("_?_:_", "\(condition), \(list), \(list)"))
        case .map, .transformList:
            let list = CELType.list(result)
            return isCondition ? list : note(e.offset, mismatch("_?_:_", "\(condition), \(list), \(list)"))
        case .transformMap:
            let map: CELType = if case .list = operand { .map(.int, result) } else { .map(types[0], result) }
            return isCondition ? map : note(e.offset, mismatch("_?_:_", "\(condition), \(map), \(map)"))
        case .transformMapEntry:
            guard isCondition else { return note(e.offset, mismatch("_?_:_", "\(condition), \(result), \(result)")) }
            switch result {
            case .map, .dyn: return result
            default: return note(e.offset, mismatch("cel.@mapInsert", "map(dyn, dyn), \(result)"))
            }
        case .bind: return result
        case .optionalMap: return .optional(result)
        case .optionalFlatMap:
            switch result {
            case .optional, .dyn: return result
            default: return note(e.offset, mismatch("_?_:_", "bool, \(result), optional_type(dyn)"))
            }
        }
    }
}
