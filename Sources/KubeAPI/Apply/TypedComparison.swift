/// What differs between two objects, as paths of leaves, of list elements, and of objects that are only on one side. Upstream: typed.Comparison.
package struct Comparison: Sendable, Equatable {
    package var added = FieldSet()
    package var modified = FieldSet()
    package var removed = FieldSet()

    package var isSame: Bool { added.isEmpty && modified.isEmpty && removed.isEmpty }
}

extension TypedWalk {
    /// Compares two objects. `asStructs`: as Go's types see them, where a struct field without a pointer is always there. `skipping`: paths that are
    /// left out with all below them, by a cheap test at the first two levels. Upstream: TypedValue.Compare.
    package func compare(_ old: Value, _ new: Value, asStructs: Bool = false, skipping ignored: FieldSet = FieldSet()) -> Comparison {
        let comparer = Comparer(walk: self, asStructs: asStructs)
        return comparer.compare(old, new, root, skipping: ignored, isRoot: true)?.below ?? Comparison()
    }
}

/// One walk over two values. Sets are built from the leaves up, so that what is the same costs no paths.
private struct Comparer {
    let walk: TypedWalk
    let asStructs: Bool

    /// What is to be said of a place: whether it is itself added, modified or removed, and what lies below.
    struct Difference {
        enum Mark { case none, added, modified, removed }
        var mark = Mark.none
        var below = Comparison()
    }

    /// Differences of the members of one object or list, by kind.
    private struct Gathered {
        var added: [FieldSet.Entry] = []
        var modified: [FieldSet.Entry] = []
        var removed: [FieldSet.Entry] = []

        mutating func add(_ element: PathElement, _ difference: Difference) {
            func entry(_ mark: Difference.Mark, _ children: FieldSet) -> FieldSet.Entry? {
                difference.mark == mark || !children.isEmpty
                    ? FieldSet.Entry(element: element, isMember: difference.mark == mark, children: children) : nil
            }
            if let entry = entry(.added, difference.below.added) { added.append(entry) }
            if let entry = entry(.modified, difference.below.modified) { modified.append(entry) }
            if let entry = entry(.removed, difference.below.removed) { removed.append(entry) }
        }

        var comparison: Comparison {
            Comparison(added: FieldSet(unsorted: added), modified: FieldSet(unsorted: modified), removed: FieldSet(unsorted: removed))
        }
    }

    /// Nil: the same.
    func compare(
        _ left: Value?, _ right: Value?, _ reference: TypeReference, skipping ignored: FieldSet = FieldSet(), isRoot: Bool = false
    ) -> Difference? {
        guard let present = right ?? left else { return nil }
        let shape = walk.shape(reference, present)
        if let left, let right {
            let leftShape = walk.shape(reference, left)
            if leftShape.kind != shape.kind { return differentKinds(left, leftShape, right, shape) }
        }
        switch shape {
        case .scalar, .atomic: return leaf(left, right)
        case .structure, .map:
            if !hasMembers(left, shape), !hasMembers(right, shape) { return leaf(left, right) }
            return members(left, right, shape, skipping: ignored, isRoot: isRoot)
        case .set, .associative:
            if (left?.array ?? []).isEmpty, (right?.array ?? []).isEmpty { return leaf(left, right) }
            if let left, let right, left == right { return nil }
            return items(left, right, shape)
        }
    }

    private func hasMembers(_ value: Value?, _ shape: Shape) -> Bool {
        guard let value else { return false }
        if let members = value.object, !members.isEmpty { return true }
        guard asStructs, case .structure(let type) = shape else { return false }
        return type.fields.contains { GoStructs.isEmbedded($0, of: type) }
    }

    private func leaf(_ left: Value?, _ right: Value?) -> Difference? {
        guard let left else { return Difference(mark: .added) }
        guard let right else { return Difference(mark: .removed) }
        return left == right ? nil : Difference(mark: .modified)
    }

    /// A field without a schema that held one kind of value and now holds another: modified, with what was and is below it.
    private func differentKinds(_ left: Value, _ leftShape: Shape, _ right: Value, _ rightShape: Shape) -> Difference {
        var difference = Difference(mark: .modified)
        if case .map = leftShape, hasMembers(left, leftShape), let below = members(left, nil, leftShape)?.below {
            difference.below.removed = below.removed
        }
        if case .map = rightShape, hasMembers(right, rightShape), let below = members(nil, right, rightShape)?.below {
            difference.below.added = below.added
        }
        return difference
    }

    private func finish(_ left: Value?, _ right: Value?, _ gathered: Gathered) -> Difference? {
        let mark: Difference.Mark = left == nil ? .added : right == nil ? .removed : .none
        let below = gathered.comparison
        return mark == .none && below.isSame ? nil : Difference(mark: mark, below: below)
    }

    private func members(
        _ left: Value?, _ right: Value?, _ shape: Shape, skipping ignored: FieldSet = FieldSet(), isRoot: Bool = false
    ) -> Difference? {
        let earlier = left?.object ?? Members()
        let later = right?.object ?? Members()
        let before = MemberTable(earlier)
        let after = MemberTable(later)
        var gathered = Gathered()
        func visit(_ name: String, _ reference: TypeReference, _ old: Value?, _ new: Value?) {
            var below = FieldSet()
            if !ignored.isEmpty {
                let element = PathElement.field(name)
                if ignored.hasMember(element) { return }
                below = ignored.children(of: element)
            }
            if let difference = compare(old, new, reference, skipping: below) { gathered.add(.field(name), difference) }
        }
        guard asStructs, case .structure(let type) = shape else {
            for (name, value) in later { visit(name, walk.member(name, of: shape, isRoot: isRoot).reference, before[name], value) }
            for (name, value) in earlier where after[name] == nil {
                visit(name, walk.member(name, of: shape, isRoot: isRoot).reference, value, nil)
            }
            return finish(left, right, gathered)
        }
        let empty = Value.object(Members())
        func side(_ parent: Value?, _ value: Value?, _ isEmbedded: Bool) -> Value? {
            if let value { return value }
            // Not a ternary: there `nil` would be the JSON null.
            return isEmbedded && parent != nil ? .some(empty) : .none
        }
        func visitField(_ name: String) {
            guard let field = type.field(name) else { return visit(name, .deduced, before[name], after[name]) }
            let isEmbedded = GoStructs.isEmbedded(field, of: type)
            visit(name, TypeReference(field), side(left, before[name], isEmbedded), side(right, after[name], isEmbedded))
        }
        for name in later.keys { visitField(name) }
        for name in earlier.keys where after[name] == nil { visitField(name) }
        if left == nil || right == nil {
            for field in type.fields where GoStructs.isEmbedded(field, of: type) && before[field.name] == nil && after[field.name] == nil {
                visitField(field.name)
            }
        }
        return finish(left, right, gathered)
    }

    /// Elements by their paths. One path that stands more than once in a list is one leaf. Upstream: compareWalker.visitListItems.
    private func items(_ left: Value?, _ right: Value?, _ shape: Shape) -> Difference? {
        var order: [PathElement] = []
        var places: [PathElement: Int] = [:]
        var pairs: [(left: [Value], right: [Value])] = []
        func add(_ item: Value, _ put: (inout (left: [Value], right: [Value])) -> Void) {
            // An element without a path has no owner.
            guard let element = try? walk.element(item, of: shape) else { return }
            let place: Int
            if let known = places[element] {
                place = known
            } else {
                place = order.count
                places[element] = place
                order.append(element)
                pairs.append(([], []))
            }
            put(&pairs[place])
        }
        for item in left?.array ?? [] { add(item) { $0.left.append(item) } }
        for item in right?.array ?? [] { add(item) { $0.right.append(item) } }
        let reference: TypeReference = if case .associative(_, let element) = shape { element } else { .deduced }
        var gathered = Gathered()
        for (element, pair) in zip(order, pairs) {
            switch (pair.left.count, pair.right.count) {
            case (...1, ...1):
                if let difference = compare(pair.left.first, pair.right.first, reference) { gathered.add(element, difference) }
            case (2..., 2...):
                if pair.left != pair.right { gathered.add(element, Difference(mark: .modified)) }
            case (2..., _):
                if let new = pair.right.first, let now = compare(nil, new, reference) { gathered.add(element, now) }
                gathered.add(element, Difference(mark: .removed))
            default:
                if let old = pair.left.first, let then = compare(old, nil, reference) { gathered.add(element, then) }
                gathered.add(element, Difference(mark: .added))
            }
        }
        return finish(left, right, gathered)
    }
}
