/// Least and most that something can be: elements, bytes. Upstream: checker.SizeEstimate.
struct CELSizeEstimate {
    var min: UInt64
    var max: UInt64

    static func exactly(_ size: UInt64) -> CELSizeEstimate { CELSizeEstimate(min: size, max: size) }
    static let unknown = CELSizeEstimate(min: 0, max: .max)

    static func + (a: CELSizeEstimate, b: CELSizeEstimate) -> CELSizeEstimate {
        CELSizeEstimate(min: CELCostEstimate.sum(a.min, b.min), max: CELCostEstimate.sum(a.max, b.max))
    }
    func cost(_ factor: Double) -> CELCostEstimate {
        CELCostEstimate(min: CELCostEstimate.scaled(min, factor), max: CELCostEstimate.scaled(max, factor))
    }
}

extension CELCostEstimate {
    static let zero = CELCostEstimate(min: 0, max: 0)
    static func exactly(_ cost: UInt64) -> CELCostEstimate { CELCostEstimate(min: cost, max: cost) }
    static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (sum, overflow) = a.addingReportingOverflow(b)
        return overflow ? .max : sum
    }
    static func product(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (product, overflow) = a.multipliedReportingOverflow(by: b)
        return overflow ? .max : product
    }
    static func scaled(_ size: UInt64, _ factor: Double) -> UInt64 {
        let scaled = (Double(size) * factor).rounded(.up)
        return UInt64(exactly: scaled) ?? .max
    }
    static func + (a: CELCostEstimate, b: CELCostEstimate) -> CELCostEstimate { CELCostEstimate(min: sum(a.min, b.min), max: sum(a.max, b.max)) }
    static func * (a: CELCostEstimate, b: CELCostEstimate) -> CELCostEstimate {
        CELCostEstimate(min: product(a.min, b.min), max: product(a.max, b.max))
    }
    func times(_ size: CELSizeEstimate) -> CELCostEstimate { CELCostEstimate(min: Self.product(min, size.min), max: Self.product(max, size.max)) }
    func either(_ other: CELCostEstimate) -> CELCostEstimate { CELCostEstimate(min: Swift.min(min, other.min), max: Swift.max(max, other.max)) }
}

/// What an expression may cost, by its types and the sizes in schemas. Upstream: checker.Cost with library.CostEstimator.EstimateCallCost.
struct CELCostEstimator {
    private let environment: CELEnvironment
    private let checker: CELChecker
    /// What is known of a bound variable: its schema, or the size of what it ranges over.
    private var locals: [Int: Known] = [:]

    private struct Known {
        var schema: CELSchema?
        var size: CELSizeEstimate?
    }

    init(_ environment: CELEnvironment, types checker: CELChecker) {
        self.environment = environment
        self.checker = checker
    }

    mutating func estimate(_ e: CELExpression) -> CELCostEstimate { cost(e).cost }

    private static let stringFactor = CELCost.stringTraversalFactor

    /// The cost, and what is known of the result.
    private mutating func cost(_ e: CELExpression) -> (cost: CELCostEstimate, known: Known) {
        if e.local == nil, let name = e.qualifiedName { return (.exactly(1), Known(schema: environment.variable(name)?.schema)) }
        switch e.kind {
        case .invalid: return (.zero, Known())
        case .literal(let value): return (.zero, Known(size: .exactly(CELCost.size(value))))
        case .identifier: return (.exactly(1), e.local.flatMap { locals[$0] } ?? Known())
        case .select(let operand, let field, let isTest):
            let inner = cost(operand)
            if isTest { return (inner.cost, Known()) }
            return (inner.cost + .exactly(1), Known(schema: inner.known.schema.flatMap { Self.member($0, field) }))
        case .call(let function, let target, let arguments): return call(e, function, target, arguments)
        case .list(let elements, _):
            var total = CELCostEstimate.exactly(CELCost.listCreation)
            for element in elements { total = total + cost(element).cost }
            return (total, Known(size: .exactly(UInt64(elements.count))))
        case .map(let entries):
            var total = CELCostEstimate.exactly(CELCost.mapCreation)
            for entry in entries { total = total + cost(entry.key).cost + cost(entry.value).cost }
            return (total, Known(size: .exactly(UInt64(entries.count))))
        case .message(_, let fields):
            var total = CELCostEstimate.exactly(CELCost.structCreation)
            for field in fields { total = total + cost(field.value).cost }
            return (total, Known())
        case .macro(let macro): return self.macro(e, macro)
        }
    }

    private static func member(_ schema: CELSchema, _ field: String) -> CELSchema? {
        switch schema.shape {
        case .object(let type): type.field(field)
        case .map(let values): values
        default: nil
        }
    }

    private static func size(_ known: Known, _ type: CELType) -> CELSizeEstimate {
        if let size = known.size { return size }
        if let most = known.schema?.maxElements { return CELSizeEstimate(min: 0, max: most) }
        switch type {
        case .bool, .int, .uint, .double, .null, .duration, .timestamp, .type, .opaque: return .exactly(1)
        default: return .unknown
        }
    }

    private mutating func macro(_ e: CELExpression, _ macro: CELExpression.Macro) -> (cost: CELCostEstimate, known: Known) {
        let operand = cost(macro.operand)
        switch macro.form {
        case .bind, .optionalMap, .optionalFlatMap:
            locals[e.firstLocal] = macro.form == .bind ? operand.known : Known()
            let result = macro.result.map { cost($0) } ?? (.zero, Known())
            let extra = macro.form == .bind ? CELCostEstimate.zero : CELCostEstimate(min: 1, max: 3)
            return (operand.cost + (macro.form == .bind ? result.cost : CELCostEstimate(min: 0, max: result.cost.max)) + extra, result.known)
        default: break
        }
        let size = Self.size(operand.known, checker.finalType(macro.operand))
        let element: CELSchema? =
            switch operand.known.schema?.shape {
            case .list(let items, _): items
            case .map(let values): values
            default: nil
            }
        let isMap = if case .map = operand.known.schema?.shape { true } else { false }
        let key = CELSchema.string()
        locals[e.firstLocal] = Known(schema: macro.variables.count == 2 ? (isMap ? key : nil) : isMap ? key : element)
        if macro.variables.count == 2 { locals[e.firstLocal + 1] = Known(schema: element) }
        var step = CELCostEstimate.zero
        var result = CELCostEstimate.exactly(1)
        let condition = macro.condition.map { cost($0).cost }
        switch macro.form {
        case .all: step = CELCostEstimate.exactly(2) + CELCostEstimate(min: 1, max: CELCostEstimate.sum(1, condition?.max ?? 0))
        case .exists: step = CELCostEstimate.exactly(3) + CELCostEstimate(min: 1, max: CELCostEstimate.sum(1, condition?.max ?? 0))
        case .existsOne:
            step = (condition ?? .zero) + CELCostEstimate(min: 1, max: 2)
            result = .exactly(2)
        default:
            let body = (macro.result.map { cost($0).cost } ?? .exactly(1)) + .exactly(CELCost.listCreation + 2)
            step = condition.map { $0 + CELCostEstimate(min: 1, max: body.max) } ?? body
        }
        var known = Known()
        switch macro.form {
        case .filter: known = Known(schema: operand.known.schema, size: CELSizeEstimate(min: 0, max: size.max))
        case .map, .transformList, .transformMap: known = Known(size: condition == nil ? size : CELSizeEstimate(min: 0, max: size.max))
        default: break
        }
        return (operand.cost + step.times(size) + result, known)
    }

    private mutating func call(
        _ e: CELExpression, _ function: String, _ target: CELExpression?, _ arguments: [CELExpression]
    ) -> (cost: CELCostEstimate, known: Known) {
        var total = CELCostEstimate.zero
        var sizes: [CELSizeEstimate] = []
        var knowns: [Known] = []
        let operands = (e.isQualifiedCall ? [] : target.map { [$0] } ?? []) + arguments
        var costs: [CELCostEstimate] = []
        for operand in operands {
            let part = cost(operand)
            costs.append(part.cost)
            knowns.append(part.known)
            sizes.append(Self.size(part.known, checker.finalType(operand)))
        }
        switch function {
        case CELOperator.and where costs.count == 2, CELOperator.or where costs.count == 2:
            // The right side may never be evaluated.
            return (costs[0] + CELCostEstimate(min: 0, max: costs[1].max), Known())
        case CELOperator.conditional where costs.count == 3:
            let size = CELSizeEstimate(min: min(sizes[1].min, sizes[2].min), max: max(sizes[1].max, sizes[2].max))
            return (costs[0] + costs[1].either(costs[2]), Known(schema: knowns[1].schema ?? knowns[2].schema, size: size))
        default: break
        }
        for part in costs { total = total + part }
        let name = e.isQualifiedCall ? "\(target?.dottedName ?? "").\(function)" : function
        let own = callCost(e, name, operands, sizes, knowns)
        return (total + own.cost, own.known)
    }

    private func callCost(_ e: CELExpression, _ function: String, _ operands: [CELExpression], _ sizes: [CELSizeEstimate], _ knowns: [Known])
        -> (cost: CELCostEstimate, known: Known)
    {
        guard let first = sizes.first else { return (.exactly(1), Known()) }
        let overload = e.overloads.count == 1 ? e.overloads[0].id : ""
        switch function {
        case CELOperator.index, CELOperator.optionalIndex, CELOperator.optionalSelect:
            var schema: CELSchema?
            switch knowns[0].schema?.shape {
            case .list(let items, _): schema = items
            case .map(let values): schema = values
            default: break
            }
            return (.exactly(1), Known(schema: schema))
        case "check": return (.exactly(CELCost.authorizationCheck), Known())
        case "isSorted", "sum", "max", "min", "indexOf", "lastIndexOf":
            guard case .list(let element) = checker.finalType(operands[0]) else { return (first.cost(Self.stringFactor), Known()) }
            var each = CELCostEstimate.exactly(1)
            if element == .string || element == .bytes {
                var inner = CELSizeEstimate.unknown
                if case .list(let items, _) = knowns[0].schema?.shape, let most = items.maxElements { inner = CELSizeEstimate(min: 0, max: most) }
                each = each + inner.cost(Self.stringFactor)
            }
            return (each.times(first), Known())
        case "url", "cidr", "isIP", "isCIDR", "ip", "quantity", "isQuantity", "semver", "isSemver", "isURL", "jsonpatch.escapeKey", "startsWith",
            "endsWith":
            if overload == "cidr_ip" { return (.exactly(1), Known()) }
            if function == "startsWith" || function == "endsWith" {
                return (sizes.count > 1 ? sizes[1].cost(Self.stringFactor) : .exactly(1), Known())
            }
            return (first.cost(Self.stringFactor), Known())
        case "lowerAscii", "upperAscii", "substring", "trim", "reverse": return (first.cost(Self.stringFactor), Known(size: first))
        case "ip.isCanonical": return (first.cost(2 * Self.stringFactor), Known())
        case "split": return (first.cost(2 * Self.stringFactor), Known(size: CELSizeEstimate(min: 0, max: first.max)))
        case "replace": return (first.cost(2 * Self.stringFactor), Known(size: replaced(sizes)))
        case "join":
            var size = CELSizeEstimate.unknown
            if case .list(let items, _) = knowns[0].schema?.shape, let most = items.maxElements {
                size = CELSizeEstimate(min: 0, max: CELCostEstimate.product(first.max, most))
            }
            if sizes.count > 1 { size.max = CELCostEstimate.sum(size.max, CELCostEstimate.product(sizes[1].max, first.max)) }
            return (size.cost(Self.stringFactor), Known(size: size))
        case "matches", "find", "findAll":
            guard sizes.count > 1 else { return (.exactly(1), Known()) }
            let cost = (first + .exactly(1)).cost(Self.stringFactor) * sizes[1].cost(CELCost.regexLengthFactor)
            return (cost, Known(size: CELSizeEstimate(min: 0, max: first.max)))
        case "contains":
            guard sizes.count > 1 else { return (.exactly(1), Known()) }
            return (first.cost(Self.stringFactor) * sizes[1].cost(Self.stringFactor), Known())
        case CELOperator.in:
            guard sizes.count > 1, overload == "in_list" else { return (.exactly(1), Known()) }
            return (CELCostEstimate.exactly(1).times(sizes[1]), Known())
        case "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_":
            guard sizes.count > 1 else { return (.exactly(1), Known()) }
            let compared = CELSizeEstimate(min: 0, max: min(first.max, sizes[1].max))
            let isScalar = [CELType.int, .uint, .double, .bool, .duration, .timestamp, .null].contains(checker.finalType(operands[0]))
            return (isScalar ? .exactly(1) : compared.cost(Self.stringFactor), Known())
        case "_+_":
            guard sizes.count > 1 else { return (.exactly(1), Known()) }
            let sum = first + sizes[1]
            if overload == "add_string" || overload == "add_bytes" { return (sum.cost(Self.stringFactor), Known(size: sum)) }
            return (.exactly(1), overload == "add_list" ? Known(schema: knowns[0].schema, size: sum) : Known())
        case "containsIP", "containsCIDR":
            var cost = CELSizeEstimate(min: 8, max: 32).cost(Self.stringFactor)
            if function == "containsCIDR" { cost = cost + CELSizeEstimate(min: 4, max: 16).cost(Self.stringFactor) + .exactly(1) }
            if overload.hasSuffix("_string"), sizes.count > 1 { cost = cost + sizes[1].cost(Self.stringFactor) }
            return (cost, Known())
        case "sets.contains", "sets.intersects", "sets.equivalent":
            guard sizes.count > 1 else { return (.exactly(1), Known()) }
            let product = CELCostEstimate.exactly(function == "sets.equivalent" ? 2 : 1).times(first).times(sizes[1])
            return (product + .exactly(1), Known())
        case "string", "bytes":
            return (overload == "string_to_bytes" || overload == "bytes_to_string" ? first.cost(Self.stringFactor) : .exactly(1), Known(size: first))
        case "distinct", "sort", "@sortByAssociatedKeys":
            return (CELCostEstimate.exactly(1).times(first).times(first) + .exactly(1), Known(schema: knowns[0].schema, size: first))
        case "validate": return (sizes.count > 1 ? sizes[1].cost(Self.stringFactor).times(.exactly(15)) : .exactly(1), Known())
        default: return (.exactly(1), Known())
        }
    }

    /// The size of a text after its replacements. Upstream: EstimateCallCost's "replace".
    private func replaced(_ sizes: [CELSizeEstimate]) -> CELSizeEstimate {
        guard sizes.count >= 3 else { return .unknown }
        let (text, old, new) = (sizes[0], sizes[1], sizes[2])
        if old.min == 0 {
            return CELSizeEstimate(min: 0, max: CELCostEstimate.sum(CELCostEstimate.product(CELCostEstimate.sum(text.max, 1), new.max), text.max))
        }
        if new.max <= old.min { return CELSizeEstimate(min: 0, max: text.max) }
        return CELSizeEstimate(min: 0, max: CELCostEstimate.product(CELCostEstimate.scaled(text.max, 1 / Double(old.min)), new.max))
    }
}
