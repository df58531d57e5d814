/// A set of field paths as a tree. A path is in the set when the entry of its last step is a member; being on the way to another path makes no member.
/// Upstream: structured-merge-diff fieldpath.Set.
package struct FieldSet: Sendable, Equatable {
    struct Entry: Sendable, Equatable {
        var element: PathElement
        var isMember: Bool
        var children: FieldSet
    }

    /// Sorted by element; every entry is a member or has children.
    private(set) var entries: [Entry] = []

    package init() {}

    package init(paths: [[PathElement]]) { for path in paths { insert(path[...]) } }

    private init(entries: [Entry]) { self.entries = entries }

    /// Of entries in any order with distinct elements, such as come of one object or list.
    init(unsorted entries: [Entry]) {
        let kept = entries.filter { $0.isMember || !$0.children.isEmpty }
        self.entries = kept.count < 2 ? kept : kept.sorted { $0.element < $1.element }
    }

    package var isEmpty: Bool { entries.isEmpty }
    package var count: Int { entries.reduce(0) { $0 + ($1.isMember ? 1 : 0) + $1.children.count } }

    private func place(_ element: PathElement) -> (index: Int, found: Bool) {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            let order = entries[middle].element.compare(element)
            if order == 0 { return (middle, true) }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }

    package mutating func insert(_ path: [PathElement]) { insert(path[...]) }

    private mutating func insert(_ path: ArraySlice<PathElement>) {
        guard let first = path.first else { return }
        let (index, found) = place(first)
        if !found { entries.insert(Entry(element: first, isMember: false, children: FieldSet()), at: index) }
        if path.count == 1 { entries[index].isMember = true } else { entries[index].children.insert(path.dropFirst()) }
    }

    package func contains(_ path: [PathElement]) -> Bool {
        var set = self
        for (depth, element) in path.enumerated() {
            let (index, found) = set.place(element)
            guard found else { return false }
            if depth == path.count - 1 { return set.entries[index].isMember }
            set = set.entries[index].children
        }
        return false
    }

    /// Whether the one-step path is a member.
    func hasMember(_ element: PathElement) -> Bool {
        let (index, found) = place(element)
        return found && entries[index].isMember
    }

    /// The paths that begin with `element`, without it.
    func children(of element: PathElement) -> FieldSet {
        let (index, found) = place(element)
        return found ? entries[index].children : FieldSet()
    }

    /// All paths, the members of an object before those of its children.
    package var paths: [[PathElement]] {
        var all: [[PathElement]] = []
        collect([], into: &all)
        return all
    }

    private func collect(_ prefix: [PathElement], into all: inout [[PathElement]]) {
        for entry in entries where entry.isMember { all.append(prefix + [entry.element]) }
        for entry in entries where !entry.children.isEmpty { entry.children.collect(prefix + [entry.element], into: &all) }
    }

    // MARK: Algebra

    /// Walks both sets in step; `both` decides what becomes of an element that stands in both, `left` and `right` of the others.
    private func zipped(_ other: FieldSet, left: (Entry) -> Entry?, right: (Entry) -> Entry?, both: (Entry, Entry) -> Entry?) -> FieldSet {
        var out: [Entry] = []
        out.reserveCapacity(entries.count)
        var i = 0
        var j = 0
        func keep(_ entry: Entry?) { if let entry, entry.isMember || !entry.children.isEmpty { out.append(entry) } }
        while i < entries.count || j < other.entries.count {
            let order = i == entries.count ? 1 : j == other.entries.count ? -1 : entries[i].element.compare(other.entries[j].element)
            if order < 0 {
                keep(left(entries[i]))
                i += 1
            } else if order > 0 {
                keep(right(other.entries[j]))
                j += 1
            } else {
                keep(both(entries[i], other.entries[j]))
                i += 1
                j += 1
            }
        }
        return FieldSet(entries: out)
    }

    package func union(_ other: FieldSet) -> FieldSet {
        if isEmpty { return other }
        if other.isEmpty { return self }
        return zipped(other, left: { $0 }, right: { $0 }) {
            Entry(element: $0.element, isMember: $0.isMember || $1.isMember, children: $0.children.union($1.children))
        }
    }

    package func intersection(_ other: FieldSet) -> FieldSet {
        if isEmpty || other.isEmpty { return FieldSet() }
        return zipped(other, left: { _ in nil }, right: { _ in nil }) {
            Entry(element: $0.element, isMember: $0.isMember && $1.isMember, children: $0.children.intersection($1.children))
        }
    }

    /// The paths that are not in `other`; what lies below a path of `other` stays.
    package func difference(_ other: FieldSet) -> FieldSet {
        if isEmpty || other.isEmpty { return self }
        return zipped(other, left: { $0 }, right: { _ in nil }) {
            Entry(element: $0.element, isMember: $0.isMember && !$1.isMember, children: $0.children.difference($1.children))
        }
    }

    /// The paths that neither are in `other` nor lie below one of its paths.
    package func recursiveDifference(_ other: FieldSet) -> FieldSet {
        if isEmpty || other.isEmpty { return self }
        return zipped(other, left: { $0 }, right: { _ in nil }) {
            $1.isMember ? nil : Entry(element: $0.element, isMember: $0.isMember, children: $0.children.recursiveDifference($1.children))
        }
    }

    /// The members that have nothing below them.
    package var leaves: FieldSet {
        FieldSet(entries: entries.map { Entry(element: $0.element, isMember: $0.isMember && $0.children.isEmpty, children: $0.children.leaves) })
    }

    /// Every entry through `change`, which may make it a member or change its children.
    func mapped(_ change: (Entry) -> Entry) -> FieldSet { FieldSet(entries: entries.map(change).filter { $0.isMember || !$0.children.isEmpty }) }
}

/// The wire form. Upstream: fieldpath.Set.ToJSON and FromJSON, metav1.FieldsV1.
extension FieldSet {
    /// `{"f:spec":{"f:replicas":{}}}`: a member is an empty object, or holds `"."` when others lie below it.
    package var fieldsV1: Value { .object(members(isMember: false)) }

    /// Up to here adding members one by one costs less than the table of names that many need.
    private static var fewEntries: Int { 12 }

    private func members(isMember: Bool) -> Members {
        guard entries.count <= Self.fewEntries else {
            return Members(
                (isMember ? [(".", .object(Members()))] : [])
                    + entries.map { ($0.element.text, .object($0.children.members(isMember: $0.isMember))) })
        }
        var members = Members()
        if isMember, !entries.isEmpty { members["."] = .object(Members()) }
        for entry in entries { members[entry.element.text] = .object(entry.children.members(isMember: entry.isMember)) }
        return members
    }

    /// Reads FieldsV1. Throws `FieldSetError` for what is none.
    package init(fieldsV1 value: Value) throws(FieldSetError) {
        guard case .object(let members) = value else { throw FieldSetError(message: "expected an object") }
        var entries: [Entry] = []
        var seen: Set<String> = []
        for (key, child) in members where key != "." {
            switch PathElement.parse(key) {
            case .unknown: continue
            case .malformed(let message): throw FieldSetError(message: message)
            case .element(let element):
                guard case .object(let inner) = child else { throw FieldSetError(message: "expected an object at \(key)") }
                guard seen.insert(element.text).inserted else { continue }
                entries.append(Entry(element: element, isMember: inner.isEmpty || inner["."] != nil, children: try FieldSet(fieldsV1: child)))
            }
        }
        self.init(unsorted: entries)
    }

    /// Whether any path of this set is in the FieldsV1 `raw`, told without decoding it. `raw` must be canonical, as the server writes it.
    func meets(raw: Value) -> Bool {
        guard case .object(let all) = raw else { return false }
        let members = MemberTable(all)
        for entry in entries {
            guard let child = members[entry.element.text], case .object(let inner) = child else { continue }
            if entry.isMember, inner.isEmpty || inner["."] != nil { return true }
            if !entry.children.isEmpty, entry.children.meets(raw: child) { return true }
        }
        return false
    }

    /// Whether every path of this set is in the FieldsV1 `raw`. `raw` must be canonical.
    func isContained(inRaw raw: Value) -> Bool {
        guard case .object(let all) = raw else { return isEmpty }
        let members = MemberTable(all)
        for entry in entries {
            guard let child = members[entry.element.text], case .object(let inner) = child else { return false }
            if entry.isMember, !inner.isEmpty, inner["."] == nil { return false }
            if !entry.children.isEmpty, !entry.children.isContained(inRaw: child) { return false }
        }
        return true
    }
}

/// Why a value is no FieldsV1.
package struct FieldSetError: Error, Equatable { package var message: String }
