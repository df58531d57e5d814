/// Upstream: k8s.io/apiserver/pkg/cel/library.Lists and cel-go's ext.Lists.
enum ListsLibrary {
    private static func list(_ value: CELValue) -> [CELValue] { if case .list(let list) = value { list.values } else { [] } }

    private static func isSorted(_ values: [CELValue]) throws(CELError) -> Bool {
        for index in values.indices.dropFirst() {
            guard let order = try CELOperations.compare(values[index - 1], values[index]), order <= 0 else { return false }
        }
        return true
    }

    private static func sum(_ values: [CELValue], _ zero: CELValue) throws(CELError) -> CELValue {
        var total: CELValue?
        for value in values { total = try total.map { (sum) throws(CELError) in try CELOperations.add(sum, value) } ?? value }
        return total ?? zero
    }

    private static func extreme(_ values: [CELValue], _ name: String, _ wanted: Int) throws(CELError) -> CELValue {
        guard var best = values.first else { throw CELError("\(name) called on empty list") }
        for value in values.dropFirst() { if try CELOperations.compare(value, best) == wanted { best = value } }
        return best
    }

    /// Upstream: library.Lists: the functions exist for lists of each comparable type.
    static let kubernetes: [CELOverload?] = {
        var all: [CELOverload?] = [
            CELOverload("list_a_index_of_int", "list(A).indexOf(A) int") { arguments in
                .int(Int64(list(arguments[0]).firstIndex { CELOperations.equal($0, arguments[1]) } ?? -1))
            },
            CELOverload("list_a_last_index_of_int", "list(A).lastIndexOf(A) int") { arguments in
                .int(Int64(list(arguments[0]).lastIndex { CELOperations.equal($0, arguments[1]) } ?? -1))
            },
        ]
        for type in ["int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"] {
            all.append(
                CELOverload("list_\(type)_is_sorted_bool", "list(\(type)).isSorted() bool") { arguments throws(CELError) in
                    .bool(try isSorted(list(arguments[0])))
                })
            all.append(
                CELOverload("list_\(type)_min_\(type)", "list(\(type)).min() \(type)") { arguments throws(CELError) in
                    try extreme(list(arguments[0]), "min", -1)
                })
            all.append(
                CELOverload("list_\(type)_max_\(type)", "list(\(type)).max() \(type)") { arguments throws(CELError) in
                    try extreme(list(arguments[0]), "max", 1)
                })
        }
        let zeros: [(String, CELValue)] = [("int", .int(0)), ("uint", .uint(0)), ("double", .double(0)), ("duration", .duration(0))]
        for (type, zero) in zeros {
            all.append(
                CELOverload("list_\(type)_sum_\(type)", "list(\(type)).sum() \(type)") { arguments throws(CELError) in
                    try sum(list(arguments[0]), zero)
                })
        }
        return all
    }()

    private static func flatten(_ values: [CELValue], _ depth: Int64) -> [CELValue] {
        var out: [CELValue] = []
        for value in values {
            if case .list(let inner) = value, depth > 0 { out += flatten(inner.values, depth - 1) } else { out.append(value) }
        }
        return out
    }

    private static func distinct(_ values: [CELValue]) -> [CELValue] {
        var seen: Set<CELKey> = []
        var others: [CELValue] = []
        var out: [CELValue] = []
        for value in values {
            if let key = CELKey(value) {
                if seen.insert(key).inserted { out.append(value) }
            } else if !others.contains(where: { CELOperations.equal($0, value) }) {
                others.append(value)
                out.append(value)
            }
        }
        return out
    }

    private static func sorted(_ values: [CELValue]) throws(CELError) -> [CELValue] {
        guard let first = values.first else { return values }
        for value in values where value.type.runtimeName != first.type.runtimeName { throw CELError("list elements must have the same type") }
        if try CELOperations.compare(first, first) == nil { throw CELError("list elements must be comparable") }
        // The types are equal and comparable, so comparing cannot fail.
        return values.sorted { a, b in (try? CELOperations.compare(a, b)) ?? nil == -1 }
    }

    /// Elements in the order of their keys; those with equal keys keep theirs. Upstream: sortListByAssociatedKeys.
    private static func sorted(_ values: [CELValue], by keys: [CELValue]) throws(CELError) -> [CELValue] {
        guard values.count == keys.count else {
            throw CELError(
                "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got \(values.count) and \(keys.count) "
                    + "elements respectively")
        }
        guard let first = keys.first else { return values }
        for key in keys where key.type.runtimeName != first.type.runtimeName { throw CELError("list elements must have the same type") }
        if try CELOperations.compare(first, first) == nil { throw CELError("list elements must be comparable") }
        let places = keys.indices.sorted { a, b in
            let order = (try? CELOperations.compare(keys[a], keys[b])) ?? nil ?? 0
            return order == 0 ? a < b : order < 0
        }
        return places.map { values[$0] }
    }

    /// Upstream: ext.Lists.
    static let extended: [CELOverload?] = {
        var all: [CELOverload?] = [
            CELOverload("list_slice", "list(T).slice(int, int) list(T)") { arguments throws(CELError) in
                let values = list(arguments[0])
                guard case .int(let start) = arguments[1], case .int(let end) = arguments[2] else { throw .noSuchOverload }
                if start < 0 || end < 0 { throw CELError("cannot slice(\(start), \(end)), negative indexes not supported") }
                if start > end { throw CELError("cannot slice(\(start), \(end)), start index must be less than or equal to end index") }
                if end > Int64(values.count) { throw CELError("cannot slice(\(start), \(end)), list is length \(values.count)") }
                return .list(Array(values[Int(start)..<Int(end)]))
            },
            CELOverload("list_flatten", "list(list(T)).flatten() list(T)") { arguments in .list(flatten(list(arguments[0]), 1)) },
            CELOverload("list_flatten_int", "list(dyn).flatten(int) list(dyn)") { arguments throws(CELError) in
                guard case .int(let depth) = arguments[1] else { throw .noSuchOverload }
                if depth < 0 { throw CELError("level must be non-negative") }
                return .list(flatten(list(arguments[0]), min(depth, Int64(CELLimits.depth))))
            },
            CELOverload("list_distinct", "list(T).distinct() list(T)") { arguments in .list(distinct(list(arguments[0]))) },
            CELOverload("list_reverse", "list(T).reverse() list(T)") { arguments in .list(Array(list(arguments[0]).reversed())) },
            CELOverload("lists_range", "lists.range(int) list(int)") { arguments throws(CELError) in
                guard case .int(let count) = arguments[0] else { throw .noSuchOverload }
                if count > Int64(CELOperations.maximumListCount) { throw .costLimit }
                return .list((0..<max(count, 0)).map { .int($0) })
            },
        ]
        for type in ["int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"] {
            all.append(
                CELOverload("list_\(type)_sort", "list(\(type)).sort() list(\(type))") { arguments throws(CELError) in
                    .list(try sorted(list(arguments[0])))
                })
            all.append(
                CELOverload("list_\(type)_sortByAssociatedKeys", "list(T).@sortByAssociatedKeys(list(\(type))) list(T)") {
                    arguments throws(CELError) in .list(try sorted(list(arguments[0]), by: list(arguments[1])))
                })
        }
        return all
    }()
}
