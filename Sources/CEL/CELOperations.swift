/// Arithmetic, comparison and equality of values. Upstream: common/types, each type's traits.
enum CELOperations {
    /// Elements of a list made by `+`. Upstream joins lists lazily and has no limit; here doubling a list over and over must not exhaust memory.
    static let maximumListCount = 4_000_000
    static let integerOverflow = CELError("integer overflow")
    static let unsignedOverflow = CELError("unsigned integer overflow")
    static let durationOverflow = CELError("duration overflow")
    static let timestampOverflow = CELError("timestamp overflow")

    // MARK: Equality

    /// Numbers are equal by value whatever their types; values of other types are never equal to each other.
    static func equal(_ a: CELValue, _ b: CELValue) -> Bool {
        switch (a, b) {
        case (.null, .null): return true
        case (.bool(let x), .bool(let y)): return x == y
        case (.string(let x), .string(let y)): return x.utf8.elementsEqual(y.utf8)
        case (.bytes(let x), .bytes(let y)): return x == y
        case (.duration(let x), .duration(let y)): return x == y
        case (.timestamp(let x), .timestamp(let y)): return x == y
        case (.list(let x), .list(let y)): return equal(x, y)
        case (.map(let x), .map(let y)): return equal(x, y)
        case (.optional(let x), .optional(let y)):
            if let x = x.value, let y = y.value { return equal(x, y) }
            return x.value == nil && y.value == nil
        case (.type(let x), .type(let y)): return x.runtimeName == y.runtimeName
        case (.opaque(let x), .opaque(let y)): return x.isEqual(y)
        case (.object(let x), .object(let y)): return x === y
        default: return compareNumbers(a, b) == 0
        }
    }

    private static func equal(_ a: CELList, _ b: CELList) -> Bool {
        guard a.count == b.count else { return false }
        switch a.kind {
        case .atomic: return (0..<a.count).allSatisfy { equal(a[$0], b[$0]) }
        case .set: return isSubset(a, b) && isSubset(b, a)
        case .map(let keys):
            return (0..<a.count).allSatisfy { index in
                guard let place = find(a[index], keys, in: b) else { return false }
                return equal(a[index], b[place])
            }
        }
    }

    private static func isSubset(_ a: CELList, _ b: CELList) -> Bool {
        (0..<a.count).allSatisfy { index in (0..<b.count).contains { equal(a[index], b[$0]) } }
    }

    /// The element of a list of maps with the same keys. Upstream: common.unstructuredMapList.
    private static func find(_ element: CELValue, _ keys: [String], in list: CELList) -> Int? {
        guard case .map(let map) = element else { return nil }
        return (0..<list.count).first { index in
            guard case .map(let other) = list[index] else { return false }
            return keys.allSatisfy { key in
                let field = CELIdentifier.escape(key) ?? key
                switch (map[field], other[field]) {
                case (let x?, let y?): return equal(x, y)
                case (nil, nil): return true
                default: return false
                }
            }
        }
    }

    private static func equal(_ a: CELMap, _ b: CELMap) -> Bool {
        let entries = a.entries
        guard entries.count == b.count else { return false }
        for (key, value) in entries {
            // A key of one map can always be looked up in another.
            guard let other = try? b.value(key), equal(value, other) else { return false }
        }
        return true
    }

    // MARK: Order

    /// -1, 0 or 1; nil when these do not compare (or one is NaN, or they are no numbers).
    static func compareNumbers(_ a: CELValue, _ b: CELValue) -> Int? {
        func order<T: Comparable>(_ x: T, _ y: T) -> Int { x < y ? -1 : x == y ? 0 : 1 }
        func mixed(_ x: Double, _ y: Int64) -> Int? {
            if x.isNaN { return nil }
            if x < -9_223_372_036_854_775_808 { return -1 }
            if x >= 9_223_372_036_854_775_808 { return 1 }
            return order(x, Double(y))
        }
        func mixed(_ x: Double, _ y: UInt64) -> Int? {
            if x.isNaN { return nil }
            if x < 0 { return -1 }
            if x >= 18_446_744_073_709_551_616 { return 1 }
            return order(x, Double(y))
        }
        switch (a, b) {
        case (.int(let x), .int(let y)): return order(x, y)
        case (.uint(let x), .uint(let y)): return order(x, y)
        case (.double(let x), .double(let y)): return x.isNaN || y.isNaN ? nil : order(x, y)
        case (.int(let x), .uint(let y)): return x < 0 ? -1 : order(UInt64(x), y)
        case (.uint(let x), .int(let y)): return y < 0 ? 1 : order(x, UInt64(y))
        case (.double(let x), .int(let y)): return mixed(x, y)
        case (.int(let x), .double(let y)): return mixed(y, x).map { -$0 }
        case (.double(let x), .uint(let y)): return mixed(x, y)
        case (.uint(let x), .double(let y)): return mixed(y, x).map { -$0 }
        default: return nil
        }
    }

    /// -1, 0 or 1. NaN compares with nothing: nil.
    static func compare(_ a: CELValue, _ b: CELValue) throws(CELError) -> Int? {
        func order<T: Comparable>(_ x: T, _ y: T) -> Int { x < y ? -1 : x == y ? 0 : 1 }
        switch (a, b) {
        case (.bool(let x), .bool(let y)): return order(x ? 1 : 0, y ? 1 : 0)
        case (.string(let x), .string(let y)):
            // By bytes, which is by code points.
            if x.utf8.elementsEqual(y.utf8) { return 0 }
            return x.utf8.lexicographicallyPrecedes(y.utf8) ? -1 : 1
        case (.bytes(let x), .bytes(let y)): return x == y ? 0 : x.lexicographicallyPrecedes(y) ? -1 : 1
        case (.duration(let x), .duration(let y)): return order(x, y)
        case (.timestamp(let x), .timestamp(let y)): return order(x, y)
        case (.int, .int), (.int, .uint), (.int, .double), (.uint, .int), (.uint, .uint), (.uint, .double), (.double, .int), (.double, .uint),
            (.double, .double):
            return compareNumbers(a, b)
        default: throw .noSuchOverload
        }
    }

    // MARK: Arithmetic

    static func add(_ a: CELValue, _ b: CELValue) throws(CELError) -> CELValue {
        switch (a, b) {
        case (.int(let x), .int(let y)): return .int(try whole(x.addingReportingOverflow(y)))
        case (.uint(let x), .uint(let y)): return .uint(try whole(x.addingReportingOverflow(y)))
        case (.double(let x), .double(let y)): return .double(x + y)
        case (.string(let x), .string(let y)): return .string(x + y)
        case (.bytes(let x), .bytes(let y)): return .bytes(x + y)
        case (.list(let x), .list(let y)):
            if x.count + y.count > maximumListCount { throw .costLimit }
            return .list(concatenate(x, y))
        case (.duration(let x), .duration(let y)):
            let (sum, overflow) = x.addingReportingOverflow(y)
            if overflow { throw durationOverflow }
            return .duration(sum)
        case (.timestamp(let time), .duration(let span)), (.duration(let span), .timestamp(let time)):
            guard let sum = time.adding(span) else { throw timestampOverflow }
            return .timestamp(sum)
        default: throw .noSuchOverload
        }
    }

    /// Of lists that are sets or maps the right side's new elements only, or its newer ones. Upstream: common.unstructuredSetList.Add.
    private static func concatenate(_ a: CELList, _ b: CELList) -> CELList {
        var values = a.values
        switch a.kind {
        case .atomic: values += b.values
        case .set: for value in b.values where !values.contains(where: { equal($0, value) }) { values.append(value) }
        case .map(let keys):
            for value in b.values {
                if let place = find(value, keys, in: .values(values)) { values[place] = value } else { values.append(value) }
            }
        }
        return .values(values)
    }

    static func subtract(_ a: CELValue, _ b: CELValue) throws(CELError) -> CELValue {
        switch (a, b) {
        case (.int(let x), .int(let y)): return .int(try whole(x.subtractingReportingOverflow(y)))
        case (.uint(let x), .uint(let y)): return .uint(try whole(x.subtractingReportingOverflow(y)))
        case (.double(let x), .double(let y)): return .double(x - y)
        case (.duration(let x), .duration(let y)):
            let (difference, overflow) = x.subtractingReportingOverflow(y)
            if overflow { throw durationOverflow }
            return .duration(difference)
        case (.timestamp(let time), .duration(let span)):
            guard span != .min, let difference = time.adding(-span) else { throw timestampOverflow }
            return .timestamp(difference)
        case (.timestamp(let x), .timestamp(let y)):
            guard let span = x.since(y) else { throw durationOverflow }
            return .duration(span)
        default: throw .noSuchOverload
        }
    }

    static func multiply(_ a: CELValue, _ b: CELValue) throws(CELError) -> CELValue {
        switch (a, b) {
        case (.int(let x), .int(let y)): return .int(try whole(x.multipliedReportingOverflow(by: y)))
        case (.uint(let x), .uint(let y)): return .uint(try whole(x.multipliedReportingOverflow(by: y)))
        case (.double(let x), .double(let y)): return .double(x * y)
        default: throw .noSuchOverload
        }
    }

    static func divide(_ a: CELValue, _ b: CELValue) throws(CELError) -> CELValue {
        switch (a, b) {
        case (.int(let x), .int(let y)):
            if y == 0 { throw CELError("division by zero") }
            return .int(try whole(x.dividedReportingOverflow(by: y)))
        case (.uint(let x), .uint(let y)):
            if y == 0 { throw CELError("division by zero") }
            return .uint(x / y)
        case (.double(let x), .double(let y)): return .double(x / y)
        default: throw .noSuchOverload
        }
    }

    static func remainder(_ a: CELValue, _ b: CELValue) throws(CELError) -> CELValue {
        switch (a, b) {
        case (.int(let x), .int(let y)):
            if y == 0 { throw CELError("modulus by zero") }
            return .int(try whole(x.remainderReportingOverflow(dividingBy: y)))
        case (.uint(let x), .uint(let y)):
            if y == 0 { throw CELError("modulus by zero") }
            return .uint(x % y)
        default: throw .noSuchOverload
        }
    }

    static func negate(_ a: CELValue) throws(CELError) -> CELValue {
        switch a {
        case .int(let x): return .int(try whole(Int64(0).subtractingReportingOverflow(x)))
        case .double(let x): return .double(-x)
        case .duration(let x):
            if x == .min { throw durationOverflow }
            return .duration(-x)
        default: throw .noSuchOverload
        }
    }

    private static func whole(_ result: (partialValue: Int64, overflow: Bool)) throws(CELError) -> Int64 {
        if result.overflow { throw integerOverflow }
        return result.partialValue
    }
    private static func whole(_ result: (partialValue: UInt64, overflow: Bool)) throws(CELError) -> UInt64 {
        if result.overflow { throw unsignedOverflow }
        return result.partialValue
    }
}
