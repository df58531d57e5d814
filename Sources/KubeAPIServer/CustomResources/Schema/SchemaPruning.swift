import KubeAPI

/// Takes away what a schema does not specify. Upstream: pruning.PruneWithOptions.
struct SchemaPruning {
    /// The paths of what went, `spec.foo`, `spec.items[0].bar`; gathered only where `collects`.
    private(set) var unknown: [String] = []
    private let collects: Bool
    private var path: [String] = []

    private static let metaFields: Set<String> = ["apiVersion", "kind", "metadata"]

    private init(collects: Bool) { self.collects = collects }

    /// Prunes a custom resource as a whole; its apiVersion, kind and metadata stay. Returns what went, sorted, at most `ObjectDecoder.problemLimit`.
    static func prune(_ object: inout Value, _ schema: StructuralSchema, collects: Bool = true) -> [String] {
        var pruning = SchemaPruning(collects: collects)
        pruning.prune(&object, schema, isResource: true)
        return pruning.unknown.sorted()
    }

    /// Prunes a value that is no resource of its own, such as a default.
    static func prune(value: inout Value, _ schema: StructuralSchema) -> [String] {
        var pruning = SchemaPruning(collects: true)
        pruning.prune(&value, schema, isResource: schema.isEmbeddedResource)
        return pruning.unknown.sorted()
    }

    private mutating func note(_ name: String) {
        guard collects, unknown.count < ObjectDecoder.problemLimit else { return }
        unknown.append(path.joined() + (path.isEmpty ? "" : ".") + name)
    }

    /// `isPreserved`: the value is an element of a list that preserves unknown fields, and so does it. Upstream: prune and skipPrune.
    private mutating func prune(_ value: inout Value, _ schema: StructuralSchema?, isResource: Bool, isPreserved: Bool = false) {
        let keepsUnknown = isPreserved || schema?.preservesUnknownFields ?? false
        switch value {
        case .object(let members):
            guard !members.isEmpty else { return }
            value = .null  // One owner of the members' storage.
            var pairs: [(String, Value)] = []
            var isChanged = false
            for (name, member) in members {
                if isResource, Self.metaFields.contains(name) {
                    pairs.append((name, member))
                    continue
                }
                let inner: StructuralSchema?
                if let property = schema?.property(name) {
                    inner = property
                } else if let additional = schema?.additional {
                    if case .schema(let schema) = additional { inner = schema } else { inner = nil }
                } else if keepsUnknown {
                    pairs.append((name, member))
                    continue
                } else {
                    note(name)
                    isChanged = true
                    continue
                }
                guard member.isContainer else {
                    pairs.append((name, member))
                    continue
                }
                path.append(path.isEmpty ? name : "." + name)
                var pruned = member
                prune(&pruned, inner, isResource: inner?.isEmbeddedResource ?? false)
                path.removeLast()
                pairs.append((name, pruned))
                isChanged = true
            }
            value = isChanged ? .object(Members(pairs)) : .object(members)
        case .array(var items):
            // What is preserved in a list without a schema is preserved below, too.
            if keepsUnknown, schema?.items == nil { return }
            value = .null
            for index in items.indices where items[index].isContainer {
                path.append("[\(index)]")
                prune(&items[index], schema?.items, isResource: schema?.items?.isEmbeddedResource ?? false, isPreserved: keepsUnknown)
                path.removeLast()
            }
            value = .array(items)
        default: break
        }
    }

    // MARK: Reading

    /// Whether pruning and defaulting would leave an object as it is: then its bytes are served as they are.
    static func isFinished(_ object: JSONView, _ schema: StructuralSchema) -> Bool { isFinished(object, schema, isResource: true) }

    private static func isFinished(_ view: JSONView, _ schema: StructuralSchema?, isResource: Bool, isPreserved: Bool = false) -> Bool {
        let keepsUnknown = isPreserved || schema?.preservesUnknownFields ?? false
        switch view.kind {
        case .object:
            var given = 0
            for (name, member) in view.members {
                if isResource, metaFields.contains(name) { continue }
                let inner: StructuralSchema?
                if let property = schema?.property(name) {
                    if member.isNull, !property.isNullable { return false }
                    if property.defaultValue != nil { given += 1 }
                    inner = property
                } else if let additional = schema?.additional {
                    if case .schema(let schema) = additional { inner = schema } else { inner = nil }
                    if member.isNull, let inner, !inner.isNullable, inner.defaultValue != nil { return false }
                } else if keepsUnknown {
                    continue
                } else {
                    return false
                }
                if member.kind == .object || member.kind == .array,
                    !isFinished(member, inner, isResource: inner?.isEmbeddedResource ?? false)
                {
                    return false
                }
            }
            return given == schema?.defaultedProperties ?? 0
        case .array:
            if keepsUnknown, schema?.items == nil { return true }
            for item in view.elements {
                if item.isNull, let items = schema?.items, !items.isNullable, items.defaultValue != nil { return false }
                if item.kind == .object || item.kind == .array,
                    !isFinished(item, schema?.items, isResource: schema?.items?.isEmbeddedResource ?? false, isPreserved: keepsUnknown)
                {
                    return false
                }
            }
            return true
        default: return true
        }
    }
}

extension Value {
    /// Whether there can be anything inside.
    var isContainer: Bool {
        switch self {
        case .object, .array: true
        default: false
        }
    }
}
