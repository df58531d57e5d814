extension TypedWalk {
    /// Every leaf and list element that an object names: what its applier owns. Upstream: TypedValue.ToFieldSet.
    package func fieldSet(of object: Value) -> FieldSet { fieldSet(object, root, isRoot: true).below }

    private func fieldSet(_ value: Value, _ reference: TypeReference, isRoot: Bool = false) -> (isLeaf: Bool, below: FieldSet) {
        let shape = shape(reference, value)
        switch shape {
        case .scalar, .atomic: return (true, FieldSet())
        case .structure, .map:
            guard case .object(let members) = value else { return (false, FieldSet()) }
            let entries = members.map { name, member -> FieldSet.Entry in
                let (reference, isNamed) = self.member(name, of: shape, isRoot: isRoot)
                let (isLeaf, below) = fieldSet(member, reference)
                let isEmpty = member.isNull || member.object?.isEmpty == true
                return FieldSet.Entry(element: .field(name), isMember: isLeaf || isEmpty || !isNamed, children: below)
            }
            return (false, FieldSet(unsorted: entries))
        case .set, .associative:
            let inner: TypeReference = if case .associative(_, let element) = shape { element } else { .deduced }
            var places: [PathElement: Int] = [:]
            var entries: [FieldSet.Entry] = []
            for item in value.array ?? [] {
                // What was validated has a path; of what is live, an element without one has no owner.
                guard let element = try? element(item, of: shape) else { continue }
                let below = fieldSet(item, inner).below
                if let place = places[element] {
                    entries[place].children = entries[place].children.union(below)
                } else {
                    places[element] = entries.count
                    entries.append(FieldSet.Entry(element: element, isMember: true, children: below))
                }
            }
            return (false, FieldSet(unsorted: entries))
        }
    }

    /// The object without the paths of a set: an element or field with all below it. Null when nothing is left. Upstream: TypedValue.RemoveItems.
    package func removing(_ set: FieldSet, from object: Value) -> Value { pick(object, set, root, extracts: false, isRoot: true) }

    /// The object with nothing but the paths of a set. Upstream: TypedValue.ExtractItems.
    package func extracting(_ set: FieldSet, from object: Value) -> Value { pick(object, set, root, extracts: true, isRoot: true) }

    private func pick(_ value: Value, _ set: FieldSet, _ reference: TypeReference, extracts: Bool, isRoot: Bool = false) -> Value {
        let shape = shape(reference, value)
        switch shape {
        case .scalar: return value
        case .atomic: return extracts ? value : .null
        case .structure, .map:
            guard case .object(let members) = value else { return .null }
            var out: [(String, Value)] = []
            for (name, member) in members {
                let element = PathElement.field(name)
                let reference = self.member(name, of: shape, isRoot: isRoot).reference
                let below = set.children(of: element)
                if set.hasMember(element) {
                    guard extracts else { continue }
                    out.append((name, below.isEmpty ? member : pick(member, below, reference, extracts: true)))
                } else if !below.isEmpty {
                    out.append((name, pick(member, below, reference, extracts: extracts)))
                } else if !extracts {
                    out.append((name, member))
                }
            }
            return out.isEmpty ? .null : .object(Members(out))
        case .set, .associative:
            let inner: TypeReference = if case .associative(_, let element) = shape { element } else { .deduced }
            var out: [Value] = []
            for item in value.array ?? [] {
                guard let element = try? element(item, of: shape) else {
                    // An element without a path is in no set.
                    if !extracts { out.append(item) }
                    continue
                }
                let below = set.children(of: element)
                let isMember = set.hasMember(element)
                if extracts {
                    if isMember || !below.isEmpty { out.append(below.isEmpty ? item : pick(item, below, inner, extracts: true)) }
                } else if !isMember {
                    out.append(below.isEmpty ? item : pick(item, below, inner, extracts: false))
                }
            }
            return out.isEmpty ? .null : .array(out)
        }
    }

    /// The set with the named fields on the way to its paths as members too: a field of a type goes when all below it goes. Upstream:
    /// Set.EnsureNamedFieldsAreMembers.
    func withNamedFields(_ set: FieldSet) -> FieldSet { withNamedFields(set, root, isRoot: true) }

    private func withNamedFields(_ set: FieldSet, _ reference: TypeReference?, isRoot: Bool = false) -> FieldSet {
        let shape = reference.flatMap { staticShape($0) }
        return set.mapped { entry in
            var entry = entry
            guard !entry.children.isEmpty else { return entry }
            var inner: TypeReference?
            if let name = entry.element.fieldName {
                if let shape {
                    let (reference, isNamed) = member(name, of: shape, isRoot: isRoot)
                    inner = reference
                    if isNamed { entry.isMember = true }
                }
            } else if entry.element.isKey, case .associative(_, let element) = shape {
                inner = element
            }
            entry.children = withNamedFields(entry.children, inner)
            return entry
        }
    }

    /// The shape that the schema alone tells; fields without a schema are taken for objects.
    private func staticShape(_ reference: TypeReference) -> Shape? {
        if case .any = reference.type { return .map(.deduced) }
        return shape(reference, .null)
    }
}
