/// Upstream: ext.Sets.
enum SetsLibrary {
    private struct Members {
        private var keys: Set<CELKey> = []
        private var others: [CELValue] = []

        init(_ value: CELValue) {
            guard case .list(let list) = value else { return }
            for index in 0..<list.count { if let key = CELKey(list[index]) { keys.insert(key) } else { others.append(list[index]) } }
        }

        func contains(_ value: CELValue) -> Bool {
            if let key = CELKey(value) { return keys.contains(key) }
            return others.contains { CELOperations.equal($0, value) }
        }
    }

    private static func all(_ a: CELValue, in b: CELValue) -> Bool {
        guard case .list(let list) = a else { return false }
        let members = Members(b)
        return (0..<list.count).allSatisfy { members.contains(list[$0]) }
    }

    static let overloads: [CELOverload?] = [
        CELOverload("list_sets_contains_list", "sets.contains(list(T), list(T)) bool") { arguments in .bool(all(arguments[1], in: arguments[0])) },
        CELOverload("list_sets_equivalent_list", "sets.equivalent(list(T), list(T)) bool") { arguments in
            .bool(all(arguments[0], in: arguments[1]) && all(arguments[1], in: arguments[0]))
        },
        CELOverload("list_sets_intersects_list", "sets.intersects(list(T), list(T)) bool") { arguments in
            guard case .list(let list) = arguments[0] else { return .bool(false) }
            let members = Members(arguments[1])
            return .bool((0..<list.count).contains { members.contains(list[$0]) })
        },
    ]
}
