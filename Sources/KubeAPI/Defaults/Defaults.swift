/// Fills in what a client left out, as the versioned defaulting of Kubernetes does: functions attached to schema types, run from the object down to
/// its parts. Running them twice changes nothing. What upstream's strategies and admission plug-ins set (addresses, service accounts, generated
/// selectors) is not done here. Upstream: pkg/apis/*/v*/defaults.go and the conversions that move fields.
package enum Defaults {
    /// A default of one type; the value is always an object of it.
    typealias Rule = @Sendable (inout Value) -> Void

    /// Applies all defaults to an object of `row`'s kind.
    package static func apply(_ object: inout Value, _ row: ResourceRow) { apply(&object, typeName: row.typeName) }

    /// The same for any built-in type by its name, such as `api.core.v1.PodTemplateSpec`.
    package static func apply(_ object: inout Value, typeName: String) {
        guard let place = plan.table.place(of: typeName), plan.reaching[place] else { return }
        walk(&object, place)
    }

    /// The same by kind; objects of kinds that are not built in are left as they are.
    package static func apply(_ object: inout Value, kind: GroupVersionKind) {
        guard let type = plan.table.type(of: kind) else { return }
        apply(&object, typeName: type.name)
    }

    private static let plan = Plan()

    /// The rules by place of their type, and from which types any rule can be reached.
    private struct Plan: Sendable {
        let table: SchemaTable
        let rules: [Int: Rule]
        /// The members that are resource lists, by place of their type.
        let resourceLists: [Int: [String]]
        let reaching: [Bool]

        init() {
            let table = SchemaTable.shared
            var rules: [Int: Rule] = [:]
            for (name, rule) in CoreDefaults.rules + PodDefaults.rules + WorkloadDefaults.rules + PolicyDefaults.rules {
                guard let place = table.place(of: name) else { continue }
                rules[place] = rule
            }
            // Other groups' maps of quantities are no resource lists.
            var resourceLists: [Int: [String]] = [:]
            for (place, type) in table.types.enumerated() where type.name.hasPrefix("api.core.v1.") || type.name == "api.node.v1.Overhead" {
                let names = type.fields.filter { $0.type == .map(.quantity) }.map(\.name)
                if !names.isEmpty { resourceLists[place] = names }
            }
            var reaching = table.types.indices.map { rules[$0] != nil || resourceLists[$0] != nil }
            // Types refer to each other in circles, so this goes on until nothing changes.
            var changed = true
            while changed {
                changed = false
                for (place, type) in table.types.enumerated() where !reaching[place] {
                    if type.fields.contains(where: { Self.target($0.type).map { reaching[$0] } ?? false }) {
                        reaching[place] = true
                        changed = true
                    }
                }
            }
            self.table = table
            self.reaching = reaching
            self.rules = rules
            self.resourceLists = resourceLists
        }

        /// The object type in or below lists and maps.
        static func target(_ type: FieldType) -> Int? {
            switch type {
            case .object(let place): place
            case .array(let element), .map(let element): target(element)
            default: nil
            }
        }
    }

    private static func walk(_ object: inout Value, _ place: Int) {
        plan.rules[place]?(&object)
        guard case .object(var members) = object, let type = plan.table[place] else { return }
        object = .null  // The members are changed in place: no second owner of their storage.
        for name in plan.resourceLists[place] ?? [] { if let list = members[name]?.roundedToMilli { members[name] = list } }
        for field in type.fields {
            guard let target = Plan.target(field.type), plan.reaching[target], var child = members[field.name] else { continue }
            members[field.name] = .null
            walk(&child, field.type)
            members[field.name] = child
        }
        object = .object(members)
    }

    private static func walk(_ value: inout Value, _ type: FieldType) {
        switch (type, value) {
        case (.object(let place), .object): walk(&value, place)
        case (.array(let element), .array(var items)):
            value = .null
            for index in items.indices { walk(&items[index], element) }
            value = .array(items)
        case (.map(let element), .object(var members)):
            value = .null
            for key in members.keys {
                guard var child = members[key] else { continue }
                walk(&child, element)
                members[key] = child
            }
            value = .object(members)
        default: break
        }
    }
}

extension Value {
    /// A resource list whose finer amounts are rounded up to thousandths; nil where there are none. Upstream: SetDefaults_ResourceList.
    fileprivate var roundedToMilli: Value? {
        guard case .object(var list) = self else { return nil }
        var isChanged = false
        for (name, value) in list {
            // Most amounts show by their letters that they are coarser.
            guard case .string(let text) = value, text.utf8.contains(where: { ".nueE".utf8.contains($0) }), let quantity = value.quantity else {
                continue
            }
            guard let rounded = quantity.roundedToMilli else { continue }
            list[name] = .string(rounded.description)
            isChanged = true
        }
        return isChanged ? .object(list) : nil
    }

    /// A quantity written as text or as a bare number; nil for anything else.
    package var quantity: Quantity? {
        switch self {
        case .string(let text): try? Quantity(text)  // No quantity reads as none, as in a view.
        case .int, .double: try? Quantity(jsonString)
        default: nil
        }
    }

    /// Sets a member that is missing, null or an empty text.
    mutating func fill(_ key: String, _ value: Value) {
        switch self[key] {
        case nil, .null?, .string("")?: self[key] = value
        default: break
        }
    }

    /// As `fill`, for a number that Go keeps without a pointer: zero counts as missing.
    mutating func fillZero(_ key: String, _ value: Value) {
        if self[key]?.int == 0 { self[key] = value } else { fill(key, value) }
    }

    /// Whether a list or map has elements.
    func hasElements(_ key: String) -> Bool {
        switch self[key] {
        case .array(let items)?: !items.isEmpty
        case .object(let members)?: !members.isEmpty
        default: false
        }
    }

    /// Changes the member `key` where it is an object.
    mutating func withObject(_ key: String, _ change: (inout Value) -> Void) {
        guard var child = self[key], case .object = child else { return }
        change(&child)
        self[key] = child
    }

    /// Changes the elements of the list `key`.
    mutating func forEachElement(_ key: String, _ change: (inout Value) -> Void) {
        guard case .array(var items)? = self[key] else { return }
        self[key] = .null
        for index in items.indices { change(&items[index]) }
        self[key] = .array(items)
    }
}
