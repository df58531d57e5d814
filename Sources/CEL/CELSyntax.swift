/// An expression as parsed and checked; thrown away once the program is made. Upstream: common/ast.Expr.
final class CELExpression {
    indirect enum Kind {
        case literal(CELValue)
        case identifier(String)
        case select(CELExpression, field: String, isTest: Bool)
        case call(String, target: CELExpression?, [CELExpression])
        /// Places of `?element`s.
        case list([CELExpression], optional: Set<Int>)
        case map([Entry])
        case message(String, [Field])
        case macro(Macro)
        /// What could not be parsed; already told.
        case invalid
    }

    struct Entry {
        let key: CELExpression
        let value: CELExpression
        let isOptional: Bool
        let offset: Int
    }

    struct Field {
        let name: String
        let value: CELExpression
        let isOptional: Bool
        let offset: Int
    }

    /// A macro that binds variables. Upstream expands each to a comprehension; here it stays what it is, which evaluates faster and costs the same.
    struct Macro {
        enum Form {
            case all, exists, existsOne, map, filter
            /// Of two variables.
            case transformList, transformMap, transformMapEntry
            case bind, optionalMap, optionalFlatMap
        }
        let form: Form
        /// The range; the optional of optMap; the value of bind.
        let operand: CELExpression
        let variables: [String]
        /// Predicate, or filter in front of a transformation.
        let condition: CELExpression?
        let result: CELExpression?
    }

    let kind: Kind
    /// Code points before the place that messages name.
    let offset: Int
    /// The longest way down; limited, so that walks of the tree cannot exhaust the stack.
    let depth: Int

    // Found out by the checker.
    var type: CELType = .dyn
    /// The overloads that a call may mean.
    var overloads: [CELOverload] = []
    /// The whole dotted name that this identifier or selection stands for.
    var qualifiedName: String?
    /// A call of a dotted name, whose target is no value: `ip.isCanonical(x)`.
    var isQualifiedCall = false
    /// Number of the bound variable that an identifier means; nil for an environment's.
    var local: Int?
    /// First of the numbers of a macro's variables.
    var firstLocal = 0

    init(_ kind: Kind, at offset: Int) {
        self.kind = kind
        self.offset = offset
        var deepest = 0
        func look(_ child: CELExpression?) { if let child, child.depth > deepest { deepest = child.depth } }
        switch kind {
        case .literal, .identifier, .invalid: break
        case .select(let operand, _, _): look(operand)
        case .call(_, let target, let arguments):
            look(target)
            arguments.forEach(look)
        case .list(let elements, _): elements.forEach(look)
        case .map(let entries): for entry in entries { look(entry.key); look(entry.value) }
        case .message(_, let fields): for field in fields { look(field.value) }
        case .macro(let macro):
            look(macro.operand)
            look(macro.condition)
            look(macro.result)
        }
        depth = deepest + 1
    }

    /// `a.b.c` of identifiers and selections only.
    var dottedName: String? {
        switch kind {
        case .identifier(let name): name
        case .select(let operand, let field, false): operand.dottedName.map { "\($0).\(field)" }
        default: nil
        }
    }
}

/// Names of operators as functions. Upstream: common/operators.
enum CELOperator {
    static let conditional = "_?_:_"
    static let and = "_&&_"
    static let or = "_||_"
    static let not = "!_"
    static let negate = "-_"
    static let equals = "_==_"
    static let notEquals = "_!=_"
    static let index = "_[_]"
    static let optionalIndex = "_[?_]"
    static let optionalSelect = "_?._"
    static let `in` = "@in"
    static let binary: [String: String] = [
        "<": "_<_", "<=": "_<=_", ">": "_>_", ">=": "_>=_", "==": "_==_", "!=": "_!=_", "in": "@in", "+": "_+_", "-": "_-_", "*": "_*_", "/": "_/_",
        "%": "_%_",
    ]
}
