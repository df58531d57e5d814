/// Least and most that something can be: elements, bytes. Upstream: checker.SizeEstimate.
struct CELSizeEstimate {
    var min: UInt64
    var max: UInt64

    static func exactly(_ size: UInt64) -> CELSizeEstimate { CELSizeEstimate(min: size, max: size) }
    static let unknown = CELSizeEstimate(min: 0, max: .max)

    static func + (a: CELSizeEstimate, b: CELSizeEstimate) -> CELSizeEstimate {
        CELSizeEstimate(min: CELCostEstimate.sum(a.min, b.min), max: CELCostEstimate.sum(a.max, b.max))
    }
    static func * (a: CELSizeEstimate, b: CELSizeEstimate) -> CELSizeEstimate {
        CELSizeEstimate(min: CELCostEstimate.product(a.min, b.min), max: CELCostEstimate.product(a.max, b.max))
    }
    func either(_ other: CELSizeEstimate) -> CELSizeEstimate { CELSizeEstimate(min: Swift.min(min, other.min), max: Swift.max(max, other.max)) }
    /// What holds the sizes of all elements; of none, nothing.
    static func any(of sizes: [CELSizeEstimate]) -> CELSizeEstimate { sizes.dropFirst().reduce(sizes.first ?? .exactly(0)) { $0.either($1) } }
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
    /// Rounded up; nothing by nothing is nothing.
    static func quotient(_ a: UInt64, _ b: UInt64) -> UInt64 { b == 0 ? 0 : scaled(a, 1 / Double(b)) }
    static func scaled(_ size: UInt64, _ factor: Double) -> UInt64 {
        let scaled = (Double(size) * factor).rounded(.up)
        return UInt64(exactly: scaled) ?? .max
    }
    static func + (a: CELCostEstimate, b: CELCostEstimate) -> CELCostEstimate { CELCostEstimate(min: sum(a.min, b.min), max: sum(a.max, b.max)) }
    static func * (a: CELCostEstimate, b: CELCostEstimate) -> CELCostEstimate {
        CELCostEstimate(min: product(a.min, b.min), max: product(a.max, b.max))
    }
    /// Upstream: CostEstimate.MultiplyByCostFactor.
    func scaled(_ factor: Double) -> CELCostEstimate { CELCostEstimate(min: Self.scaled(min, factor), max: Self.scaled(max, factor)) }
    func times(_ size: CELSizeEstimate) -> CELCostEstimate { CELCostEstimate(min: Self.product(min, size.min), max: Self.product(max, size.max)) }
    func either(_ other: CELCostEstimate) -> CELCostEstimate { CELCostEstimate(min: Swift.min(min, other.min), max: Swift.max(max, other.max)) }
}

/// What an expression may cost, by its types and the sizes in schemas. Upstream: checker.Cost with library.CostEstimator.EstimateCallCost.
struct CELCostEstimator {
    private let environment: CELEnvironment
    private let checker: CELChecker
    /// What is known of a bound variable: its schema, or the size of what it ranges over.
    private var locals: [Int: Known] = [:]

    /// What is known of a value: where it comes from, its size, the sizes of its keys and values. Upstream: AstNode's path with computedSizes and
    /// entrySizeEstimate.
    struct Known {
        var schema: CELSchema?
        var size: CELSizeEstimate?
        var entries: (key: CELSizeEstimate, value: CELSizeEstimate)?
    }

    init(_ environment: CELEnvironment, types checker: CELChecker) {
        self.environment = environment
        self.checker = checker
    }

    mutating func estimate(_ e: CELExpression) -> CELCostEstimate { cost(e).cost }

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
            // What is dynamic has no fields that would cost.
            let own: UInt64 = if case .dyn = checker.finalType(operand) { 0 } else { 1 }
            return (inner.cost + .exactly(own), Known(schema: inner.known.schema.flatMap { Self.member($0, field) }))
        case .call(let function, let target, let arguments): return call(e, function, target, arguments)
        case .list(let elements, _):
            var total = CELCostEstimate.exactly(CELCost.listCreation)
            var sizes: [CELSizeEstimate] = []
            for element in elements {
                let part = cost(element)
                total = total + part.cost
                sizes.append(Self.size(part.known, checker.finalType(element)))
            }
            return (total, Known(size: .exactly(UInt64(elements.count)), entries: (.exactly(1), .any(of: sizes))))
        case .map(let entries):
            var total = CELCostEstimate.exactly(CELCost.mapCreation)
            var keys: [CELSizeEstimate] = []
            var values: [CELSizeEstimate] = []
            for entry in entries {
                let (key, value) = (cost(entry.key), cost(entry.value))
                total = total + key.cost + value.cost
                keys.append(Self.size(key.known, checker.finalType(entry.key)))
                values.append(Self.size(value.known, checker.finalType(entry.value)))
            }
            return (total, Known(size: .exactly(UInt64(entries.count)), entries: (.any(of: keys), .any(of: values))))
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

    /// Upstream: coster.computeSize. What a schema declares has the size that its type counts by, and none where it counts nothing: numbers, objects.
    static func size(_ known: Known, _ type: CELType) -> CELSizeEstimate {
        if let size = known.size { return size }
        if let schema = known.schema { return CELSizeEstimate(min: 0, max: schema.maxElements ?? 0) }
        return isScalar(type) ? .exactly(1) : .unknown
    }

    /// Upstream: checker.isScalar.
    private static func isScalar(_ type: CELType) -> Bool {
        switch type {
        case .bool, .int, .uint, .double, .duration, .timestamp: true
        case .optional(let inner): isScalar(inner)
        default: false
        }
    }

    private mutating func macro(_ e: CELExpression, _ macro: CELExpression.Macro) -> (cost: CELCostEstimate, known: Known) {
        let operand = cost(macro.operand)
        switch macro.form {
        case .bind, .optionalMap, .optionalFlatMap:
            locals[e.firstLocal] = macro.form == .bind ? operand.known : Known()
            let result = macro.result.map { cost($0) } ?? (.zero, Known())
            // A bind is a loop over an empty list, whose making costs.
            if macro.form == .bind { return (operand.cost + result.cost + .exactly(CELCost.listCreation), result.known) }
            return (operand.cost + CELCostEstimate(min: 0, max: result.cost.max) + CELCostEstimate(min: 1, max: 3), result.known)
        default: break
        }
        let size = Self.size(operand.known, checker.finalType(macro.operand))
        let element: CELSchema? =
            switch operand.known.schema?.shape {
            case .list(let items, _): items
            case .map(let values): values
            default: nil
            }
        bind(e, macro, operand.known, element)
        var step = CELCostEstimate.zero
        var result = CELCostEstimate.exactly(1)
        var entries: (key: CELSizeEstimate, value: CELSizeEstimate)?
        let condition = macro.condition.map { cost($0).cost }
        switch macro.form {
        case .all: step = CELCostEstimate.exactly(2) + CELCostEstimate(min: 1, max: CELCostEstimate.sum(1, condition?.max ?? 0))
        case .exists: step = CELCostEstimate.exactly(3) + CELCostEstimate(min: 1, max: CELCostEstimate.sum(1, condition?.max ?? 0))
        case .existsOne:
            step = (condition ?? .zero) + CELCostEstimate(min: 1, max: 2)
            result = .exactly(2)
        default:
            // The accumulator is made once, and each step adds a list of one to it; entries of maps are inserted.
            let isMap = macro.form == .transformMap || macro.form == .transformMapEntry
            let part = macro.result.map { cost($0) } ?? (.exactly(1), locals[e.firstLocal] ?? Known())
            let own: UInt64 = macro.form == .transformMap ? 3 : macro.form == .transformMapEntry ? 2 : CELCost.listCreation + 2
            let body = part.cost + .exactly(own)
            step = condition.map { $0 + CELCostEstimate(min: 1, max: body.max) } ?? body
            result = .exactly(1 + (isMap ? CELCost.mapCreation : CELCost.listCreation))
            if macro.form == .map || macro.form == .filter, condition == nil, let shown = macro.result {
                entries = (.exactly(1), Self.size(part.known, checker.finalType(shown)))
            }
        }
        var known = Known()
        switch macro.form {
        case .filter: known = Known(schema: operand.known.schema, size: size)
        case .map, .transformList, .transformMap, .transformMapEntry: known = Known(size: size, entries: entries)
        default: break
        }
        return (operand.cost + step.times(size) + result, known)
    }

    /// The iteration variables: elements of lists, keys of maps, or both. Upstream: coster.pushIterSingle and its like.
    private mutating func bind(_ e: CELExpression, _ macro: CELExpression.Macro, _ range: Known, _ element: CELSchema?) {
        let isMap = if case .map = range.schema?.shape { true } else { false }
        let key = Known(schema: isMap ? CELSchema.string() : nil, size: isMap ? nil : range.entries?.key)
        let value = Known(schema: element, size: element == nil ? range.entries?.value : nil)
        let isMapType = if case .map = checker.finalType(macro.operand) { true } else { false }
        guard macro.variables.count == 2 else {
            locals[e.firstLocal] = isMap || isMapType ? key : value
            return
        }
        locals[e.firstLocal] = key
        locals[e.firstLocal + 1] = value
    }

    private mutating func call(
        _ e: CELExpression, _ function: String, _ target: CELExpression?, _ arguments: [CELExpression]
    ) -> (cost: CELCostEstimate, known: Known) {
        let member = e.isQualifiedCall ? nil : target
        let targetPart = member.map { cost($0) }
        var parts: [(cost: CELCostEstimate, known: Known)] = []
        for argument in arguments { parts.append(cost(argument)) }
        if function == "dyn", let part = parts.first { return (part.cost + .exactly(1), part.known) }
        let name = e.isQualifiedCall ? "\(target?.dottedName ?? "").\(function)" : function
        func operand(_ expression: CELExpression, _ known: Known) -> CELCallCost.Operand {
            let type = checker.finalType(expression)
            var literal: Int64?
            if case .literal(.int(let number)) = expression.kind { literal = number }
            return CELCallCost.Operand(type: type, known: known, size: Self.size(known, type), literal: literal)
        }
        let call = CELCallCost(
            function: name, target: member.flatMap { expression in targetPart.map { operand(expression, $0.known) } },
            arguments: zip(arguments, parts).map { operand($0, $1.known) }, argumentCosts: parts.map(\.cost))
        // The range that holds the costs of all overloads that the call may mean.
        var total = CELCostEstimate(min: .max, max: 0)
        var known = Known()
        for overload in e.overloads {
            let estimate = call.estimate(overload.id)
            total = total.either(estimate.cost)
            if known.schema == nil { known.schema = estimate.known.schema }
            if let size = estimate.known.size { known.size = known.size.map { $0.either(size) } ?? size }
            if known.entries == nil { known.entries = estimate.known.entries }
        }
        if e.overloads.isEmpty { total = .zero }
        return ((targetPart?.cost ?? .zero) + total, known)
    }
}
