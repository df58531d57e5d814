/// One table of the kernel as it should be: a base that never changes, and a fragment for each owner. `set` notes what an owner has now, `takeChanges`
/// gives the transaction that brings the kernel there, in proportion to what changed; `wholeTable` gives the one that makes it from nothing.
///
/// Two owners may claim the same element with different values (two Services with one external IP): the owner who sorts first has it, so that the
/// result does not depend on the order of events.
package struct RuleTable: Sendable {
    private struct Claim {
        var owner: String
        var value: String
    }

    /// Elements in one command: long enough to be quick, short enough for nft's parser to stay small.
    private static let batch = 2000

    /// `ip kube-proxy`.
    package let name: String
    /// Sets, maps and chains in the syntax of nft's files, as they stand within the table's braces.
    private let base: String
    private var fragments: [String: RuleFragment] = [:]
    private var claims: [NftElement: Claim] = [:]
    /// Claims that stand behind the first, best first; there are hardly ever any.
    private var others: [NftElement: [Claim]] = [:]
    /// The rules of all owners' chains.
    private var chains: [String: [String]] = [:]
    private var sharedChains: [String: [String]] = [:]
    private var pending = Pending()

    /// What changed since the kernel was last brought up to date.
    private struct Pending {
        /// What an element had in the kernel before; nil: nothing.
        var elements: [NftElement: String?] = [:]
        var chains: Set<String> = []
        var removedChains: Set<String> = []
        var newSets: [String: String] = [:]
        var removedSets: Set<String> = []
        var newSharedChains: Set<String> = []
    }

    package init(name: String, base: String) {
        self.name = name
        self.base = base
    }

    package var owners: Set<String> { Set(fragments.keys) }
    package func fragment(of owner: String) -> RuleFragment? { fragments[owner] }
    /// The value of an element as the table has it; nil when it has none.
    package func value(_ element: NftElement) -> String? { claims[element]?.value }
    package func contains(_ element: NftElement) -> Bool { claims[element] != nil }

    /// Says what `owner` has now; nil takes all away.
    package mutating func set(_ owner: String, _ fragment: RuleFragment?) {
        let old = fragments[owner] ?? RuleFragment()
        let new = fragment ?? RuleFragment()
        guard old != new else { return }
        fragments[owner] = new.isEmpty ? nil : new
        for (element, value) in old.elements where new.elements[element] != value { withdraw(element, owner) }
        for (element, value) in new.elements where old.elements[element] != value { claim(element, Claim(owner: owner, value: value)) }
        for (name, rules) in new.chains where old.chains[name] != rules {
            chains[name] = rules
            pending.chains.insert(name)
            pending.removedChains.remove(name)
        }
        for name in old.chains.keys where new.chains[name] == nil {
            chains[name] = nil
            pending.chains.remove(name)
            pending.removedChains.insert(name)
        }
        for (name, definition) in new.sets where old.sets[name] != definition {
            if old.sets[name] != nil { pending.removedSets.insert(name) }
            pending.newSets[name] = definition
        }
        for name in old.sets.keys where new.sets[name] == nil {
            // One that the kernel never had needs no removal.
            if pending.newSets.removeValue(forKey: name) == nil || pending.removedSets.contains(name) { pending.removedSets.insert(name) }
        }
        for (name, rules) in new.sharedChains where sharedChains[name] == nil {
            sharedChains[name] = rules
            pending.newSharedChains.insert(name)
        }
    }

    private mutating func note(_ element: NftElement) {
        if pending.elements[element] == nil { pending.elements[element] = .some(claims[element]?.value) }
    }

    private mutating func claim(_ element: NftElement, _ claim: Claim) {
        guard let first = claims[element] else {
            note(element)
            claims[element] = claim
            return
        }
        if claim.owner < first.owner {
            note(element)
            claims[element] = claim
            others[element, default: []].insert(first, at: 0)
        } else {
            var rest = others[element] ?? []
            rest.insert(claim, at: rest.firstIndex { claim.owner < $0.owner } ?? rest.endIndex)
            others[element] = rest
        }
    }

    private mutating func withdraw(_ element: NftElement, _ owner: String) {
        var rest = others[element] ?? []
        if claims[element]?.owner == owner {
            note(element)
            claims[element] = rest.isEmpty ? nil : rest.removeFirst()
        } else {
            rest.removeAll { $0.owner == owner }
        }
        others[element] = rest.isEmpty ? nil : rest
    }

    // MARK: Transactions

    /// The transaction from what the kernel has to what it should have; nil when nothing changed. What was taken counts as done: when the kernel
    /// refuses it, `wholeTable` has to follow.
    package mutating func takeChanges() -> String? {
        defer { pending = Pending() }
        var changed: [(element: NftElement, old: String?, new: String?)] = []
        for (element, old) in pending.elements {
            let new = claims[element]?.value
            if old != new { changed.append((element, old, new)) }
        }
        let sets = !pending.newSets.isEmpty || !pending.removedSets.isEmpty
        guard !changed.isEmpty || !pending.chains.isEmpty || !pending.removedChains.isEmpty || sets else { return nil }
        var text = ""
        let rewritten = pending.chains.union(pending.newSharedChains).sorted()
        // Names first: rules and elements may refer to any of them. A chain that goes is emptied before what it refers to goes.
        for name in rewritten { text += "add chain \(self.name) \(name)\nflush chain \(self.name) \(name)\n" }
        for name in pending.removedChains.sorted() { text += "flush chain \(self.name) \(name)\n" }
        write(elements: changed.compactMap { $0.old == nil ? nil : ($0.element, "") }, "delete", &text)
        for name in pending.removedChains.sorted() { text += "delete chain \(self.name) \(name)\n" }
        for name in pending.removedSets.sorted() { text += "delete set \(self.name) \(name)\n" }
        for (name, definition) in pending.newSets.sorted(by: { $0.key < $1.key }) { text += "add set \(self.name) \(name) { \(definition) }\n" }
        for name in rewritten { write(rules: rules(of: name), of: name, &text) }
        write(elements: changed.compactMap { change in change.new.map { (change.element, $0) } }, "add", &text)
        return text
    }

    /// The transaction that makes the table anew, whatever the kernel has.
    package mutating func wholeTable() -> String {
        pending = Pending()
        // Adding first makes the deletion succeed where there is no table.
        var text = "add table \(name)\ndelete table \(name)\ntable \(name) {\n\(base)\n"
        let chains = (self.chains.map { ($0.key, $0.value) } + sharedChains.map { ($0.key, $0.value) }).sorted { $0.0 < $1.0 }
        // In the table's block: nft 1.0.6 cannot see chains that are added after it from elements of its interval maps.
        for (name, _) in chains { text += "chain \(name) {\n}\n" }
        text += "}\n"
        for (name, definition) in fragments.values.flatMap({ $0.sets }).sorted(by: { $0.key < $1.key }) {
            text += "add set \(self.name) \(name) { \(definition) }\n"
        }
        for (name, rules) in chains { write(rules: rules, of: name, &text) }
        write(elements: claims.map { ($0.key, $0.value.value) }, "add", &text)
        return text
    }

    private func rules(of chain: String) -> [String] {
        chains[chain] ?? sharedChains[chain] ?? []
    }

    private func write(rules: [String], of chain: String, _ text: inout String) {
        for rule in rules { text += "add rule \(name) \(chain) \(rule)\n" }
    }

    private func write(elements: [(element: NftElement, value: String)], _ verb: String, _ text: inout String) {
        for (set, members) in Dictionary(grouping: elements, by: \.element.set).sorted(by: { $0.key < $1.key }) {
            var rest = members.map { $0.value.isEmpty ? $0.element.key : "\($0.element.key) : \($0.value)" }.sorted()[...]
            while !rest.isEmpty {
                text += "\(verb) element \(name) \(set) { \(rest.prefix(Self.batch).joined(separator: ", ")) }\n"
                rest = rest.dropFirst(Self.batch)
            }
        }
    }
}
