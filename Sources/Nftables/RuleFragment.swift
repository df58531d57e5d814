/// An element of a set or map by its key, in nft's own words: `10.100.0.10 . tcp . 53` in `frontends`.
package struct NftElement: Hashable, Sendable {
    /// The set's or map's name.
    package var set: String
    package var key: String

    package init(_ set: String, _ key: String) {
        self.set = set
        self.key = key
    }
}

/// What one owner (a Service, a policy) has in a table. Everything in it was made from values that were parsed: no text of users gets here.
package struct RuleFragment: Sendable, Equatable {
    /// Elements with their values; an empty value for elements of sets.
    package var elements: [NftElement: String] = [:]
    /// The owner's chains: name to rules.
    package var chains: [String: [String]] = [:]
    /// The owner's sets: name to definition, `type ipv4_addr; flags dynamic,timeout;`.
    package var sets: [String: String] = [:]
    /// Chains that many owners use and all define alike; they stay when the last user is gone.
    package var sharedChains: [String: [String]] = [:]

    package init() {}

    package var isEmpty: Bool { elements.isEmpty && chains.isEmpty && sets.isEmpty }
}
