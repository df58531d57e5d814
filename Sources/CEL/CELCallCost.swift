/// What one call may cost by the sizes of what it is given, and what is then known of its result. Upstream: checker.coster.functionCost,
/// k8s.io/apiserver/pkg/cel/library.CostEstimator.EstimateCallCost, and the estimators of cel-go's ext.Lists and ext.Sets.
struct CELCallCost {
    typealias Known = CELCostEstimator.Known
    typealias Estimate = (cost: CELCostEstimate, known: Known)

    /// The target or an argument of the call.
    struct Operand {
        let type: CELType
        let known: Known
        let size: CELSizeEstimate
        /// Its value, if it is an integer that the expression spells.
        let literal: Int64?
    }

    let function: String
    let target: Operand?
    let arguments: [Operand]
    let argumentCosts: [CELCostEstimate]

    private static let stringFactor = CELCost.stringTraversalFactor
    /// Longest regular expression and name of a format. Upstream: cel.MaxNameFormatRegexSize and MaxFormatSize.
    private static let formatRegexSize = 128.0
    private static let formatSize: UInt64 = 64

    /// Of one overload, with the arguments' own costs; the target's are the caller's.
    func estimate(_ overload: String) -> Estimate {
        switch function {
        case CELOperator.and where argumentCosts.count == 2, CELOperator.or where argumentCosts.count == 2:
            // The right side may never be evaluated.
            return (argumentCosts[0] + CELCostEstimate(min: 0, max: argumentCosts[1].max), Known())
        case CELOperator.conditional where arguments.count == 3:
            let (yes, no) = (arguments[1], arguments[2])
            let known = Known(schema: yes.known.schema ?? no.known.schema, size: yes.size.either(no.size), entries: both(yes, no))
            return (argumentCosts[0] + argumentCosts[1].either(argumentCosts[2]), known)
        default: break
        }
        let own = lists(overload) ?? kubernetes(overload) ?? standard(overload)
        return (argumentCosts.reduce(own.cost) { $0 + $1 }, own.known)
    }

    private func both(_ a: Operand, _ b: Operand) -> (key: CELSizeEstimate, value: CELSizeEstimate)? {
        guard let x = a.known.entries, let y = b.known.entries else { return nil }
        return (x.key.either(y.key), x.value.either(y.value))
    }

    private func plain(_ cost: UInt64 = 1) -> Estimate { (.exactly(cost), Known()) }
    private func traversal(_ size: CELSizeEstimate, _ factor: Double = stringFactor, result: CELSizeEstimate? = nil) -> Estimate {
        (size.cost(factor), Known(size: result))
    }

    // MARK: Lists and sets

    /// Upstream: ext/lists.go and ext/sets.go.
    private func lists(_ overload: String) -> Estimate? {
        switch function {
        case "sets.contains" where arguments.count == 2, "sets.intersects" where arguments.count == 2, "sets.equivalent" where arguments.count == 2:
            let pairs = arguments[0].size * arguments[1].size
            return (pairs.cost(function == "sets.equivalent" ? 2 : 1) + .exactly(1), Known())
        case "lists.range" where target == nil && arguments.count == 1:
            return making(1, .exactly(arguments[0].literal.map { UInt64(max($0, 0)) } ?? .max))
        default: break
        }
        guard let target, case .list = target.type else { return nil }
        switch function {
        case "slice" where arguments.count == 2:
            let start = arguments[0].literal.map { UInt64(max($0, 0)) } ?? 0
            let end = arguments[1].literal.map { UInt64(max($0, 0)) } ?? target.size.max
            return making(1, .exactly(end > start ? end - start : 0))
        case "reverse" where arguments.isEmpty: return making(1, target.size)
        case "flatten" where arguments.count <= 1:
            let depth = arguments.first.map { $0.literal.map { Double(max($0, 0)) } ?? Double(UInt64.max) } ?? 1
            return making(depth, target.size)
        case "distinct" where arguments.isEmpty: return making(2, target.size * target.size)
        case "sort" where arguments.isEmpty: return sorting(target)
        case "@sortByAssociatedKeys" where arguments.count == 1: return sorting(arguments[0])
        default: return nil
        }
    }

    /// Upstream: estimateListSortCost.
    private func sorting(_ keys: Operand) -> Estimate {
        var factor = 2.0
        if case .list(let element) = keys.type, element == .string || element == .bytes { factor += Self.stringFactor }
        return making(factor, keys.size * keys.size)
    }

    /// Upstream: estimateAllocatingListCall.
    private func making(_ factor: Double, _ size: CELSizeEstimate) -> Estimate {
        (size.cost(factor) + .exactly(1 + CELCost.listCreation), Known(size: size))
    }

    // MARK: Kubernetes' libraries

    private func kubernetes(_ overload: String) -> Estimate? {
        if let estimate = texts() { return estimate }
        switch function {
        case "check": return plain(CELCost.authorizationCheck)
        case "fieldSelector" where arguments.count == 1, "labelSelector" where arguments.count == 1:
            return (CELCost.selector(arguments[0].size), Known())
        case "isSorted", "sum", "max", "min", "indexOf", "lastIndexOf": return target.map { (over($0), Known()) }
        case "containsIP" where target != nil && !arguments.isEmpty, "containsCIDR" where target != nil && !arguments.isEmpty:
            // Addresses are of four or sixteen bytes; both are compared.
            var cost = CELSizeEstimate(min: 8, max: 32).cost(Self.stringFactor)
            if function == "containsCIDR" { cost = cost + CELSizeEstimate(min: 4, max: 16).cost(Self.stringFactor) + .exactly(1) }
            if overload.hasSuffix("_string") { cost = cost + arguments[0].size.cost(Self.stringFactor) }
            return (cost, Known())
        case "validate" where target != nil && arguments.count == 1:
            return (arguments[0].size.cost(Self.stringFactor).scaled(Self.formatRegexSize * CELCost.regexLengthFactor), Known())
        case CELOperator.equals where arguments.count == 2: return equality(arguments[0], arguments[1])
        default: return nil
        }
    }

    /// What goes over a text.
    private func texts() -> Estimate? {
        switch function {
        case "ip", "cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver":
            // An address of a range is there already.
            return target == nil && !arguments.isEmpty ? traversal(arguments[0].size) : plain()
        case "ip.isCanonical" where !arguments.isEmpty: return traversal(arguments[0].size, 2 * Self.stringFactor)
        case "url" where arguments.count == 1, "jsonpatch.escapeKey" where arguments.count == 1:
            return traversal(arguments[0].size, result: arguments[0].size)
        case "lowerAscii", "upperAscii", "substring", "trim": return target.map { traversal($0.size, result: $0.size) }
        case "replace":
            guard let target, arguments.count >= 2 else { return nil }
            return traversal(target.size, 2 * Self.stringFactor, result: Self.replaced(target.size, arguments[0].size, arguments[1].size))
        case "split":
            guard let target else { return nil }
            let most = arguments.count > 1 ? arguments[1].literal.map { UInt64(bitPattern: $0) } : nil
            return traversal(target.size, 2 * Self.stringFactor, result: CELSizeEstimate(min: 0, max: most ?? target.size.max))
        case "join":
            guard let target else { return nil }
            let size = joined(target)
            return traversal(size, result: size)
        case "find", "findAll":
            guard let target, !arguments.isEmpty else { return nil }
            return (matching(target), Known(size: CELSizeEstimate(min: 0, max: target.size.max)))
        default: return nil
        }
    }

    /// Each element once, and its text.
    private func over(_ target: Operand) -> CELCostEstimate {
        guard case .list(let element) = target.type else { return target.size.cost(Self.stringFactor) }
        var each = CELCostEstimate.exactly(1)
        if element == .string || element == .bytes { each = each + elements(of: target).cost(Self.stringFactor) }
        return each.times(target.size)
    }

    /// The size of a list's elements, by its schema alone. Upstream: listElementNode.
    private func elements(of list: Operand) -> CELSizeEstimate {
        guard case .list(let items, _)? = list.known.schema?.shape, let most = items.maxElements else { return .unknown }
        return CELSizeEstimate(min: 0, max: most)
    }

    private func joined(_ list: Operand) -> CELSizeEstimate {
        let size = list.size * elements(of: list)
        guard let separator = arguments.first else { return size }
        return size + separator.size * CELSizeEstimate(min: list.size.min > 0 ? list.size.min - 1 : 0, max: list.size.max > 0 ? list.size.max - 1 : 0)
    }

    private func matching(_ text: Operand) -> CELCostEstimate {
        (text.size + .exactly(1)).cost(Self.stringFactor) * arguments[0].size.cost(CELCost.regexLengthFactor)
    }

    /// The size of a text after its replacements: the longest and the shortest that can come of it.
    private static func replaced(_ text: CELSizeEstimate, _ old: CELSizeEstimate, _ new: CELSizeEstimate) -> CELSizeEstimate {
        var most = CELCostEstimate.product(CELCostEstimate.quotient(text.max, old.min), new.max)
        if old.min == 0 {
            // Around every character.
            most = CELCostEstimate.sum(CELCostEstimate.product(CELCostEstimate.sum(text.max, 1), new.max), text.max)
        } else if new.max <= old.min {
            most = text.max
        }
        var least = CELCostEstimate.product(CELCostEstimate.quotient(text.min, old.max), new.min)
        if old.max == 0 {
            least = CELCostEstimate.sum(CELCostEstimate.product(CELCostEstimate.sum(text.min, 1), new.min), text.min)
        } else if old.max <= new.min {
            least = text.min
        }
        return CELSizeEstimate(min: least, max: most)
    }

    /// Values of the libraries are compared by what they are made of.
    private func equality(_ a: Operand, _ b: Operand) -> Estimate? {
        guard a.type == b.type, case .opaque(let name) = a.type else { return nil }
        switch name {
        case "kubernetes.NamedFormat": return (CELSizeEstimate(min: 1, max: Self.formatSize).cost(Self.stringFactor), Known())
        case "kubernetes.URL":
            let most = b.known.size?.max ?? 1
            return (CELSizeEstimate(min: 1, max: most).cost(Self.stringFactor), Known())
        default: return plain()
        }
    }

    // MARK: The language's own

    private func standard(_ overload: String) -> Estimate {
        switch overload {
        case "string_format" where target != nil && !arguments.isEmpty: return traversal(target?.size ?? .unknown)
        case "string_to_bytes" where arguments.count == 1:
            let size = arguments[0].size
            return traversal(size, result: CELSizeEstimate(min: size.min, max: CELCostEstimate.product(size.max, 4)))
        case "bytes_to_string" where arguments.count == 1:
            let size = arguments[0].size
            return traversal(size, result: CELSizeEstimate(min: size.min / 4, max: size.max))
        case "strings_quote" where arguments.count == 1:
            let size = arguments[0].size
            let result = CELSizeEstimate(
                min: CELCostEstimate.sum(size.min, 2), max: CELCostEstimate.sum(CELCostEstimate.product(size.max, 2), 2))
            return traversal(size, result: result)
        case "starts_with_string" where arguments.count == 1, "ends_with_string" where arguments.count == 1: return traversal(arguments[0].size)
        case "in_list" where arguments.count == 2: return (arguments[1].size.cost(1), Known())
        case "matches", "matches_string":
            guard let target, arguments.count == 1 else { return plain() }
            return (matching(target), Known())
        case "contains_string":
            guard let target, arguments.count == 1 else { return plain() }
            return (target.size.cost(Self.stringFactor) * arguments[0].size.cost(Self.stringFactor), Known())
        case "add_string" where arguments.count == 2, "add_bytes" where arguments.count == 2:
            let sum = arguments[0].size + arguments[1].size
            return traversal(sum, result: sum)
        case "add_list" where arguments.count == 2:
            let known = Known(
                schema: arguments[0].known.schema, size: arguments[0].size + arguments[1].size, entries: both(arguments[0], arguments[1]))
            return (.exactly(1), known)
        case "less_string", "greater_string", "less_equals_string", "greater_equals_string", "less_bytes", "greater_bytes", "less_equals_bytes",
            "greater_equals_bytes", "equals", "not_equals":
            guard arguments.count == 2 else { return plain() }
            let most = min(arguments[0].size.max, arguments[1].size.max)
            return (CELSizeEstimate(min: most > 0 ? 1 : 0, max: most).cost(Self.stringFactor), Known())
        default: return place(overload)
        }
    }

    /// An element keeps what the schema and the list's spelling tell of it; all else costs one.
    private func place(_ overload: String) -> Estimate {
        guard function == CELOperator.index || function == CELOperator.optionalIndex || function == CELOperator.optionalSelect,
            let container = arguments.first
        else { return plain() }
        var known = Known(size: container.known.entries?.value)
        switch container.known.schema?.shape {
        case .list(let items, _)?: known.schema = items
        case .map(let values)?: known.schema = values
        default: break
        }
        return (.exactly(1), known)
    }
}
