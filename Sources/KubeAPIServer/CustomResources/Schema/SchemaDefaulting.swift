import KubeAPI

/// Puts a schema's defaults where fields are missing. Upstream: defaulting.Default and PruneNonNullableNullsWithoutDefaults.
enum SchemaDefaulting {
    private static let metaFields: Set<String> = ["apiVersion", "kind", "metadata"]

    /// Defaults of a custom resource as a whole; its metadata has none.
    static func apply(_ object: inout Value, _ schema: StructuralSchema) {
        guard schema.hasDefaults else { return }
        apply(&object, schema, isRoot: true)
    }

    private static func isForbiddenNull(_ value: Value, _ schema: StructuralSchema?) -> Bool {
        guard let schema, case .null = value else { return false }
        return !schema.isNullable
    }

    static func apply(_ value: inout Value, _ schema: StructuralSchema, isRoot: Bool = false) {
        guard schema.hasDefaults else { return }
        switch value {
        case .object(var members):
            value = .null
            for (name, property) in schema.properties where !(isRoot && metaFields.contains(name)) {
                guard let wanted = property.defaultValue else { continue }
                if let present = members[name], !isForbiddenNull(present, property) { continue }
                members[name] = wanted
            }
            for name in members.keys where !(isRoot && metaFields.contains(name)) {
                let inner: StructuralSchema
                if let property = schema.property(name) {
                    inner = property
                } else if let additional = schema.additionalSchema {
                    inner = additional
                    if let present = members[name], isForbiddenNull(present, additional), let wanted = additional.defaultValue {
                        members[name] = wanted
                    }
                } else {
                    continue
                }
                guard inner.hasDefaults, var member = members[name], member.isContainer else { continue }
                apply(&member, inner)
                members[name] = member
            }
            value = .object(members)
        case .array(var items):
            guard let inner = schema.items else { return }
            value = .null
            for index in items.indices {
                if isForbiddenNull(items[index], inner), let wanted = inner.defaultValue { items[index] = wanted }
                apply(&items[index], inner)
            }
            value = .array(items)
        default: break
        }
    }

    /// Drops nulls of fields that may not be null and have no default: they mean that the field was not given.
    static func dropNulls(_ value: inout Value, _ schema: StructuralSchema, isRoot: Bool = false) {
        switch value {
        case .object(var members):
            var isChanged = false
            for (name, member) in members where !(isRoot && metaFields.contains(name)) {
                guard let inner = schema.property(name) ?? schema.additionalSchema else { continue }
                if isForbiddenNull(member, schema.property(name)), inner.defaultValue == nil {
                    members[name] = nil
                    isChanged = true
                } else if member.isContainer {
                    var member = member
                    dropNulls(&member, inner)
                    members[name] = member
                    isChanged = true
                }
            }
            if isChanged { value = .object(members) }
        case .array(var items):
            guard let inner = schema.items else { return }
            value = .null
            for index in items.indices where items[index].isContainer { dropNulls(&items[index], inner) }
            value = .array(items)
        default: break
        }
    }
}
