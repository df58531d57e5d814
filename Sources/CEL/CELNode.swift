/// An expression made ready for evaluation. Upstream: interpreter.Interpretable.
indirect enum CELNode: Sendable {
    case constant(CELValue)
    case variable(String)
    /// A bound variable by its place in the frame.
    case local(Int)
    case select(CELNode, String)
    case optionalSelect(CELNode, String)
    case test(CELNode, String)
    case index(CELNode, CELNode)
    case optionalIndex(CELNode, CELNode)
    case conditional(CELNode, CELNode, CELNode)
    case and(CELNode, CELNode)
    case or(CELNode, CELNode)
    case not(CELNode)
    case negate(CELNode)
    case equal(CELNode, CELNode, negated: Bool)
    case order(Order, CELNode, CELNode, text: Bool)
    case arithmetic(Arithmetic, CELNode, CELNode, text: Bool)
    /// `constant`: the list is a literal of constants, whose search upstream counts as free.
    case contains(CELNode, CELNode, constant: Bool)
    case call(CELCall)
    case list([CELNode], optional: Set<Int>)
    case map([(key: CELNode, value: CELNode, optional: Bool)])
    case message(CELObjectType, [(name: String, value: CELNode, optional: Bool)])
    case macro(CELMacroNode)

    enum Order: Sendable { case less, lessOrEqual, greater, greaterOrEqual }
    enum Arithmetic: Sendable { case add, subtract, multiply, divide, remainder }

    var constant: CELValue? { if case .constant(let value) = self { value } else { nil } }
}

/// A call of a function with the overloads it may mean.
final class CELCall: Sendable {
    let function: String
    let overloads: [CELOverload]
    let arguments: [CELNode]
    /// The only overload's id; empty when the types decide at run time.
    let overloadID: String

    init(_ function: String, _ overloads: [CELOverload], _ arguments: [CELNode]) {
        self.function = function
        self.overloads = overloads
        self.arguments = arguments
        overloadID = overloads.count == 1 ? overloads[0].id : ""
    }
}

/// A macro with its variables' place in the frame.
final class CELMacroNode: Sendable {
    let form: CELExpression.Macro.Form
    let operand: CELNode
    let firstLocal: Int
    let hasTwoVariables: Bool
    let condition: CELNode?
    let result: CELNode?

    init(_ form: CELExpression.Macro.Form, operand: CELNode, firstLocal: Int, hasTwoVariables: Bool, condition: CELNode?, result: CELNode?) {
        self.form = form
        self.operand = operand
        self.firstLocal = firstLocal
        self.hasTwoVariables = hasTwoVariables
        self.condition = condition
        self.result = result
    }
}

/// Makes nodes of a checked expression. Upstream: interpreter.planner with its optimizing decorators.
enum CELNodeBuilder {
    static func build(_ e: CELExpression, _ environment: CELEnvironment) -> CELNode {
        func node(_ child: CELExpression) -> CELNode { build(child, environment) }
        if e.local == nil, let name = e.qualifiedName {
            if environment.variable(name) != nil { return .variable(name) }
            return environment.typeNamed(name).map { .constant(.type($0)) } ?? .variable(name)
        }
        switch e.kind {
        case .invalid: return .constant(.null)  // Not reached: an expression with mistakes is not built.
        case .literal(let value): return .constant(value)
        case .identifier(let name): return e.local.map { .local($0) } ?? .variable(name)
        case .select(let operand, let field, let isTest): return isTest ? .test(node(operand), field) : .select(node(operand), field)
        case .call(let function, let target, let arguments): return call(e, function, target, arguments, environment)
        case .list(let elements, let optional):
            let nodes = elements.map(node)
            let constants = nodes.compactMap(\.constant)
            if optional.isEmpty, constants.count == nodes.count { return .constant(.list(constants)) }
            return .list(nodes, optional: optional)
        case .map(let entries):
            let nodes = entries.map { (key: node($0.key), value: node($0.value), optional: $0.isOptional) }
            var dictionary = CELDictionary()
            for (key, value, optional) in nodes {
                guard let key = key.constant, let value = value.constant, !optional, dictionary.set(key, value) else { return .map(nodes) }
            }
            return .constant(.map(.entries(dictionary)))
        case .message(let name, let fields):
            guard let type = environment.constructible(name) else { return .constant(.null) }  // The checker has refused it.
            return .message(type, fields.map { (name: $0.name, value: node($0.value), optional: $0.isOptional) })
        case .macro(let macro):
            return .macro(
                CELMacroNode(
                    macro.form, operand: node(macro.operand), firstLocal: e.firstLocal, hasTwoVariables: macro.variables.count == 2,
                    condition: macro.condition.map(node), result: macro.result.map(node)))
        }
    }

    private static let conversions: Set<String> = ["bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"]

    private static func call(
        _ e: CELExpression, _ function: String, _ target: CELExpression?, _ arguments: [CELExpression], _ environment: CELEnvironment
    ) -> CELNode {
        let nodes = arguments.map { build($0, environment) }
        let overload = e.overloads.count == 1 ? e.overloads.first?.id ?? "" : ""
        let isText = overload.hasSuffix("_string") || overload.hasSuffix("_bytes")
        if target == nil, nodes.count == 2 {
            let (a, b) = (nodes[0], nodes[1])
            switch function {
            case CELOperator.and: return .and(a, b)
            case CELOperator.or: return .or(a, b)
            case CELOperator.equals: return .equal(a, b, negated: false)
            case CELOperator.notEquals: return .equal(a, b, negated: true)
            case CELOperator.index: return .index(a, b)
            case CELOperator.optionalIndex: return .optionalIndex(a, b)
            case CELOperator.optionalSelect: if case .string(let field) = b.constant { return .optionalSelect(a, field) }
            case CELOperator.in: return .contains(a, b, constant: b.constant != nil && overload == "in_list")
            case "_<_": return .order(.less, a, b, text: isText)
            case "_<=_": return .order(.lessOrEqual, a, b, text: isText)
            case "_>_": return .order(.greater, a, b, text: isText)
            case "_>=_": return .order(.greaterOrEqual, a, b, text: isText)
            case "_+_": return .arithmetic(.add, a, b, text: isText)
            case "_-_": return .arithmetic(.subtract, a, b, text: false)
            case "_*_": return .arithmetic(.multiply, a, b, text: false)
            case "_/_": return .arithmetic(.divide, a, b, text: false)
            case "_%_": return .arithmetic(.remainder, a, b, text: false)
            default: break
            }
        }
        if target == nil, nodes.count == 3, function == CELOperator.conditional { return .conditional(nodes[0], nodes[1], nodes[2]) }
        if target == nil, nodes.count == 1 {
            if function == CELOperator.not { return .not(nodes[0]) }
            if function == CELOperator.negate { return .negate(nodes[0]) }
            // Conversions of constants are done once. One that fails is left to fail where it is evaluated.
            if conversions.contains(function), let value = nodes[0].constant, let overload = e.overloads.first(where: { $0.accepts([value]) }),
                let implementation = overload.implementation, let result = try? implementation([value])
            {
                return .constant(result)
            }
        }
        if e.isQualifiedCall, let path = target?.dottedName { return .call(CELCall("\(path).\(function)", e.overloads, nodes)) }
        let all = (target.map { [build($0, environment)] } ?? []) + nodes
        return .call(CELCall(function, e.overloads, all))
    }
}

extension CELOverload {
    /// Whether values are of the overload's types.
    func accepts(_ values: [CELValue]) -> Bool {
        parameters.count == values.count && zip(parameters, values).allSatisfy { Self.accepts($0, $1) }
    }

    private static func accepts(_ type: CELType, _ value: CELValue) -> Bool {
        switch (type, value) {
        case (.dyn, _), (.parameter, _), (.bool, .bool), (.int, .int), (.uint, .uint), (.double, .double), (.string, .string), (.bytes, .bytes),
            (.duration, .duration), (.timestamp, .timestamp), (.list, .list), (.map, .map), (.map, .object), (.null, .null), (.optional, .optional),
            (.type, .type):
            return true
        case (.opaque(let name), .opaque(let opaque)): return opaque.celType == .opaque(name)
        default: return false
        }
    }
}
