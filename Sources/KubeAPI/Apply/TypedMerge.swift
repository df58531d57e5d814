extension TypedWalk {
    /// Puts a partial object on top of a whole one: nothing is removed, leaves are taken from the partial one, elements of associative lists and sets
    /// come in its order where it names them. Null when nothing is left. Upstream: TypedValue.Merge.
    package func merge(_ live: Value, _ applied: Value) -> Value { merge(live, applied, root, isRoot: true) ?? .null }

    private func merge(_ left: Value?, _ right: Value?, _ reference: TypeReference, isRoot: Bool = false) -> Value? {
        guard let right else { return left }
        guard let left else { return right }
        let shape = shape(reference, right)
        switch shape {
        case .scalar, .atomic: return right
        case .structure, .map:
            let before = left.object ?? Members()
            let after = right.object ?? Members()
            if before.isEmpty, after.isEmpty { return right }
            var merged: [(String, Value)] = []
            let newer = MemberTable(after)
            for (name, value) in before {
                let reference = member(name, of: shape, isRoot: isRoot).reference
                if let value = merge(value, newer[name], reference) { merged.append((name, value)) }
            }
            let older = MemberTable(before)
            for (name, value) in after where older[name] == nil { merged.append((name, value)) }
            return .object(Members(merged))
        case .set, .associative:
            let before = left.array ?? []
            let after = right.array ?? []
            if before.isEmpty, after.isEmpty { return right }
            return .array(mergeItems(before, after, shape))
        }
    }

    /// Both lists in step: what only the live one has keeps its place, what both have comes in the applied order. Upstream:
    /// mergingWalker.visitListItems.
    private func mergeItems(_ live: [Value], _ applied: [Value], _ shape: Shape) -> [Value] {
        let reference: TypeReference = if case .associative(_, let element) = shape { element } else { .deduced }
        // What is applied was validated, and of what is live an element without a path cannot be merged with anything: it stays.
        let before = live.map { ($0, try? element($0, of: shape)) }
        let after = applied.compactMap { item in (try? element(item, of: shape)).map { (item, $0) } }
        var liveItems: [PathElement: [Value]] = [:]
        for case (let item, let element?) in before { liveItems[element, default: []].append(item) }
        let appliedItems = Dictionary(after.map { ($0.1, $0.0) }) { first, _ in first }
        // A path that stands twice in the live list has no one element to merge with.
        func liveItem(_ element: PathElement) -> Value? {
            guard let items = liveItems[element], items.count == 1 else { return nil }
            return items[0]
        }

        var shared = after.map(\.1).filter { liveItems[$0] != nil }[...]
        var nextShared = shared.popFirst()
        var taken: Set<PathElement> = []
        var out: [Value] = []
        out.reserveCapacity(max(before.count, after.count))
        func take(_ item: Value, _ element: PathElement) {
            taken.insert(element)
            if let merged = merge(liveItem(element), item, reference) { out.append(merged) }
        }
        var i = 0
        var j = 0
        while i < before.count || j < after.count {
            if i < before.count, j < after.count, let element = before[i].1 {
                if element == after[j].1 {
                    take(after[j].0, element)
                    i += 1
                    j += 1
                    nextShared = shared.popFirst()
                    continue
                }
                if appliedItems[element] != nil, let wanted = nextShared, wanted != element {
                    i += 1
                    continue
                }
            }
            if i < before.count {
                guard let element = before[i].1, appliedItems[element] != nil else {
                    out.append(before[i].0)
                    i += 1
                    continue
                }
                if taken.contains(element) { i += 1 }
            }
            if j < after.count {
                let (item, element) = after[j]
                take(item, element)
                j += 1
                if nextShared == element { nextShared = shared.popFirst() }
            }
        }
        return out
    }
}
