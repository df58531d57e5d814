import KubeAPI

/// Elements of lists that are sets or maps stand in them once. Upstream: listtype.ValidateListSetsAndMaps.
struct ListTypeValidation {
    private var causes: [StatusError.Cause] = []
    private var path: [String] = []

    static func problems(_ value: Value, _ schema: StructuralSchema) -> [StatusError.Cause] {
        var validation = ListTypeValidation()
        validation.visit(value, schema)
        return validation.causes
    }

    private mutating func visit(_ value: Value, _ schema: StructuralSchema) {
        switch value {
        case .object(let members):
            for (name, member) in members {
                guard member.isContainer, let inner = schema.property(name) ?? schema.additionalSchema else { continue }
                path.append((path.isEmpty ? "" : ".") + name)
                // Keys of maps are shown in brackets, fields of objects after a dot.
                if schema.property(name) == nil { path[path.count - 1] = "[\(name)]" }
                visit(member, inner)
                path.removeLast()
            }
        case .array(let items):
            switch schema.listType {
            case "set": duplicates(items)
            case "map": duplicates(items, keys: schema.listMapKeys, schema)
            default: break
            }
            guard let inner = schema.items else { return }
            for (index, item) in items.enumerated() where item.isContainer {
                path.append("[\(index)]")
                visit(item, inner)
                path.removeLast()
            }
        default: break
        }
    }

    private mutating func duplicates(_ items: [Value]) {
        var seen: Set<ValueKey> = []
        var told: Set<ValueKey> = []
        for (index, item) in items.enumerated() where !seen.insert(ValueKey(value: item)).inserted && told.insert(ValueKey(value: item)).inserted {
            note(index, SchemaValidator.shown(item))
        }
    }

    private mutating func duplicates(_ items: [Value], keys: [String], _ schema: StructuralSchema) {
        var seen: Set<[ValueKey?]> = []
        var told: Set<[ValueKey?]> = []
        for (index, item) in items.enumerated() {
            guard case .object = item else { continue }
            let key = ListCorrelation.key(of: item, keys)
            guard !seen.insert(key).inserted, told.insert(key).inserted else { continue }
            let named = Members(zip(keys, key).compactMap { name, key in key.map { (name, $0.value) } }.sorted { $0.0 < $1.0 })
            note(index, Value.object(named).jsonString)
        }
    }

    private mutating func note(_ index: Int, _ shown: String) {
        guard causes.count < SchemaValidator.errorLimit else { return }
        causes.append(
            StatusError.Cause(reason: "FieldValueDuplicate", message: "Duplicate value: \(shown)", field: "\(path.joined())[\(index)]"))
    }
}
