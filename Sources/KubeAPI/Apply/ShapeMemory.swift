import Synchronization

/// FieldsV1 of new objects by their shape. Which fields a create makes its writer own depends on the names of fields, on the keys of associative lists
/// and on the elements of sets, not on other values: the thousandth pod of a Deployment owns what the first did.
enum ShapeMemory {
    /// What an object's fields depend on.
    struct Shape: Hashable {
        fileprivate var type: String
        fileprivate var digest: Int
        /// A second opinion, so that two shapes with one digest are told apart.
        fileprivate var nodes: Int
        fileprivate var bytes: Int
        fileprivate var resets: Int
    }

    /// Shapes of one half; the older half is forgotten when the younger is full. A shape takes some kilobytes.
    private static let limit = 256

    private struct Halves {
        var young: [Shape: Value] = [:]
        var old: [Shape: Value] = [:]
    }
    private static let halves = Mutex(Halves())

    static func fields(of shape: Shape) -> Value? {
        halves.withLock { halves in
            if let known = halves.young[shape] { return known }
            guard let known = halves.old[shape] else { return nil }
            insert(known, shape, &halves)
            return known
        }
    }

    static func remember(_ fields: Value, _ shape: Shape) { halves.withLock { insert(fields, shape, &$0) } }

    private static func insert(_ fields: Value, _ shape: Shape, _ halves: inout Halves) {
        if halves.young.count >= limit {
            halves.old = halves.young
            halves.young = [:]
        }
        halves.young[shape] = fields
    }
}

extension TypedWalk {
    /// The shape of an object of a built-in type; nil where types may change, as those of custom resources. `resets`: fields that are not counted.
    func shapeOfNew(_ object: Value, resets: FieldSet) -> ShapeMemory.Shape? {
        guard case .object(let place) = root.type, let type = table[place], type.name.hasPrefix("api.") else { return nil }
        var walk = ShapeDigest(walk: self)
        walk.add(object, root, isRoot: true)
        var hasher = Hasher()
        for path in resets.paths { hasher.combine(path) }
        return ShapeMemory.Shape(type: type.name, digest: walk.hasher.finalize(), nodes: walk.nodes, bytes: walk.bytes, resets: hasher.finalize())
    }
}

/// One walk over an object that takes in what its fields depend on.
private struct ShapeDigest {
    let walk: TypedWalk
    var hasher = Hasher()
    var nodes = 0
    var bytes = 0

    mutating func add(_ value: Value, _ reference: TypeReference, isRoot: Bool = false) {
        nodes += 1
        let shape = walk.shape(reference, value)
        hasher.combine(UInt8(truncatingIfNeeded: tag(value) << 4 | shape.kind))
        switch shape {
        case .scalar, .atomic: return
        case .structure, .map:
            guard case .object(let members) = value else { return }
            hasher.combine(members.count)
            for (name, member) in members {
                hasher.combine(name)
                bytes += name.utf8.count
                add(member, walk.member(name, of: shape, isRoot: isRoot).reference)
            }
        case .set:
            hasher.combine(value.array?.count ?? 0)
            for item in value.array ?? [] { whole(item) }
        case .associative(let keys, let element):
            hasher.combine(value.array?.count ?? 0)
            for item in value.array ?? [] {
                guard case .object(let members) = item else {
                    whole(item)
                    continue
                }
                for key in keys { if let value = members[key] { whole(value) } }
                add(item, element)
            }
        }
    }

    private mutating func whole(_ value: Value) {
        nodes += 1
        hasher.combine(UInt8(truncatingIfNeeded: tag(value)))
        if case .string(let text) = value {
            hasher.combine(text)
            bytes += text.utf8.count
        } else {
            hasher.combine(value.jsonString)
        }
    }

    private func tag(_ value: Value) -> Int {
        switch value {
        case .null: 0
        case .bool: 1
        case .int: 2
        case .double: 3
        case .string: 4
        case .array(let items): items.isEmpty ? 5 : 6
        case .object(let members): members.isEmpty ? 7 : 8
        }
    }
}
