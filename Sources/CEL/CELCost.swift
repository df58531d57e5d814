/// What calls cost at run time. Upstream: interpreter.CostTracker.costCall and k8s.io/apiserver/pkg/cel/library.CostEstimator.CallCost.
enum CELCost {
    static let listCreation: UInt64 = 10
    static let mapCreation: UInt64 = 30
    static let structCreation: UInt64 = 40
    /// Of one byte of a string that is gone through. Upstream: common.StringTraversalCostFactor.
    static let stringTraversalFactor = 0.1
    /// Of one byte of a regular expression. Upstream: common.RegexStringLengthCostFactor.
    static let regexLengthFactor = 0.25
    /// Of an authorization check: an expression may make two. Upstream: "check".
    static let authorizationCheck: UInt64 = 350_000

    static func traversal(_ size: UInt64, _ factor: Double = stringTraversalFactor) -> UInt64 { UInt64((Double(size) * factor).rounded(.up)) }

    /// Code points, bytes, elements or entries; 1 for all else. Upstream: interpreter.actualSize.
    static func size(_ value: CELValue) -> UInt64 {
        switch value {
        case .string(let text): UInt64(text.unicodeScalars.count)
        case .bytes(let bytes): UInt64(bytes.count)
        case .list(let list): UInt64(list.count)
        case .map(let map): UInt64(map.count)
        case .opaque(let value): value.size
        default: 1
        }
    }

    /// Of `==` and `!=`. Libraries' values cost one.
    static func equality(_ a: CELValue, _ b: CELValue) -> UInt64 {
        if case .opaque = a { return 1 }
        return traversal(min(size(a), size(b)))
    }

    /// Going through a list with all its strings, of which only whole tenths of their bytes count. Upstream: library.traversalCost.
    private static func deepTraversal(_ value: CELValue) -> UInt64 {
        func text(_ bytes: Int) -> UInt64 { UInt64((Double(bytes) * stringTraversalFactor).rounded(.down)) }
        switch value {
        case .string(let string): return text(string.utf8.count)
        case .bytes(let bytes): return text(bytes.count)
        case .list(let list):
            var total: UInt64 = 0
            for index in 0..<list.count { total &+= deepTraversal(list[index]) }
            return total
        case .map(let map): return UInt64(map.count)
        default: return 1
        }
    }

    private static func regex(_ text: CELValue, _ pattern: CELValue) -> UInt64 {
        UInt64(((1 + Double(size(text))) * stringTraversalFactor).rounded(.up)) &* traversal(size(pattern), regexLengthFactor)
    }

    /// Of reading a selector of so many characters into requirements: each takes two at least, and is a structure with a list. Upstream:
    /// library.selectorCostEstimate.
    static func selector(_ size: CELSizeEstimate) -> CELCostEstimate {
        .exactly(listCreation) + size.cost(stringTraversalFactor) + size.cost(0.5).scaled(Double(listCreation + structCreation))
    }

    /// Of making a list of so many steps. Upstream: ext.trackAllocatingListCall.
    private static func making(_ steps: UInt64, _ factor: Double = 1) -> UInt64 {
        CELCostEstimate.sum(UInt64(exactly: (Double(steps) * factor).rounded(.down)) ?? .max, 1 + listCreation)
    }

    /// Of comparing all elements of a list with each other. Upstream: ext.trackListSelfCompare.
    private static func selfCompare(_ value: CELValue) -> UInt64 {
        guard case .list(let list) = value, list.count > 0 else { return making(0) }
        var factor = 2.0
        switch list[0] {
        case .string, .bytes: factor += stringTraversalFactor
        default: break
        }
        return making(CELCostEstimate.product(UInt64(list.count), UInt64(list.count)), factor)
    }

    static func call(_ function: String, _ overload: String, _ arguments: [CELValue], _ result: CELValue) -> UInt64 {
        guard let first = arguments.first else { return 1 }
        switch function {
        case "check": return authorizationCheck
        case "isSorted", "sum", "max", "min", "indexOf", "lastIndexOf": return deepTraversal(first)
        case "url", "lowerAscii", "upperAscii", "substring", "trim", "cidr", "isIP", "isCIDR", "isURL", "quantity", "isQuantity", "semver",
            "isSemver", "jsonpatch.escapeKey":
            return traversal(size(first))
        case "ip": return overload == "cidr_ip" ? 1 : traversal(size(first))
        case "ip.isCanonical": return traversal(size(first), 2 * stringTraversalFactor)
        case "replace", "split": return traversal(size(first), 2 * stringTraversalFactor)
        case "join": return traversal(size(result), 2 * stringTraversalFactor)
        case "matches", "find", "findAll": if arguments.count >= 2 { return regex(first, arguments[1]) }
        case "containsIP", "containsCIDR":
            guard arguments.count >= 2 else { return 1 }
            var cost = traversal(size(first) &* 2)
            if function == "containsCIDR" { cost &+= traversal(size(first)) &+ 1 }
            if overload.hasSuffix("_string") { cost &+= traversal(size(arguments[1])) }
            return cost
        case "validate":
            guard arguments.count >= 2, case .opaque(let value) = first, let format = value as? CELNamedFormat else { return 1 }
            return traversal(1 &+ size(arguments[1])) &* traversal(UInt64(format.maximumRegexSize), regexLengthFactor)
        case "fieldSelector", "labelSelector":
            guard arguments.count >= 2 else { return 1 }
            return selector(.exactly(size(arguments[1]))).max
        case "contains":
            if overload == "contains_string", arguments.count >= 2 { return traversal(size(first)) &* traversal(size(arguments[1])) }
        case "startsWith", "endsWith": return traversal(size(first))
        case "strings.quote", "format": return traversal(size(first))
        case "bytes", "string": if overload == "string_to_bytes" || overload == "bytes_to_string" { return traversal(size(first)) }
        case "sets.contains", "sets.intersects", "sets.equivalent":
            guard arguments.count >= 2 else { return 1 }
            let product = CELCostEstimate.product(size(first), size(arguments[1]))
            return CELCostEstimate.sum(function == "sets.equivalent" ? CELCostEstimate.product(product, 2) : product, 1)
        case "lists.range":
            if case .int(let count) = first { return making(UInt64(max(count, 0))) }
        case "slice": return making(size(result))
        case "reverse": if case .list = first { return making(size(first)) }
        case "flatten":
            var depth = 1.0
            if arguments.count > 1, case .int(let levels) = arguments[1] { depth = Double(max(levels, 0)) }
            return making(size(first), depth)
        case "distinct", "sort": return selfCompare(first)
        case "@sortByAssociatedKeys": if arguments.count > 1 { return selfCompare(arguments[1]) }
        default: break
        }
        return 1
    }
}
