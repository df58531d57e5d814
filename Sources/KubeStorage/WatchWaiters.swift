import KubeAPI

/// What a watch can be concerned by, beyond its namespace: told without looking at its selectors. Upstream: storage.IndexerFuncs, the trigger
/// functions of the cacher.
package enum WatchTrigger: Sendable, Hashable {
    /// `metadata.name` is this.
    case name(String)
    /// `spec.nodeName` is this: the kubelet of one node.
    case node(String)
}

/// The watchers of one cache that wait for something, found by what concerns them: an event costs those it is for, not all. A value type.
struct WatchWaiters {
    /// Where a watcher goes on: nothing before concerned it.
    struct Resume: Sendable {
        var sequence: UInt64
        /// Everything up to it was delivered, or was of no interest.
        var revision: Int64
    }

    struct Waiter: Sendable {
        /// Only keys that begin so are of interest.
        var scope: String
        var trigger: WatchTrigger?
        var wantsBookmarks: Bool
        var wake: @Sendable (Resume) -> Void
    }

    /// A change as far as it tells whom it concerns.
    struct Change {
        var key: String
        /// `spec.nodeName` before and after; asked only while somebody waits for a node.
        var nodes: (old: String?, new: String?)
        var resume: Resume
    }

    private var all: [UInt64: Waiter] = [:]
    private var untriggered: Set<UInt64> = []
    private var triggered: [WatchTrigger: Set<UInt64>] = [:]
    private var nodeWaiters = 0
    private var lastNumber: UInt64 = 0

    /// Whether `Change.nodes` matters.
    var wantsNodes: Bool { nodeWaiters > 0 }
    var isEmpty: Bool { all.isEmpty }
    var count: Int { all.count }

    mutating func number() -> UInt64 {
        lastNumber &+= 1
        return lastNumber
    }

    mutating func insert(_ waiter: Waiter, _ number: UInt64) {
        all[number] = waiter
        guard let trigger = waiter.trigger else {
            untriggered.insert(number)
            return
        }
        triggered[trigger, default: []].insert(number)
        if case .node = trigger { nodeWaiters += 1 }
    }

    @discardableResult
    mutating func remove(_ number: UInt64) -> Waiter? {
        guard let waiter = all.removeValue(forKey: number) else { return nil }
        guard let trigger = waiter.trigger else {
            untriggered.remove(number)
            return waiter
        }
        triggered[trigger]?.remove(number)
        if triggered[trigger]?.isEmpty == true { triggered[trigger] = nil }
        if case .node = trigger { nodeWaiters -= 1 }
        return waiter
    }

    /// Takes out everyone whom one of `changes` concerns, with the first that does.
    mutating func take(for changes: [Change]) -> [(waiter: Waiter, resume: Resume)] {
        guard !all.isEmpty else { return [] }
        var taken: [(Waiter, Resume)] = []
        for change in changes {
            var numbers: [UInt64] = []
            for number in untriggered { if let waiter = all[number], change.key.hasPrefix(waiter.scope) { numbers.append(number) } }
            if !triggered.isEmpty {
                let name = change.key.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(change.key[change.key.index(after: $0)...]) } ?? change.key
                var concerned = triggered[.name(name)] ?? []
                if let node = change.nodes.old { concerned.formUnion(triggered[.node(node)] ?? []) }
                if let node = change.nodes.new { concerned.formUnion(triggered[.node(node)] ?? []) }
                for number in concerned { if let waiter = all[number], change.key.hasPrefix(waiter.scope) { numbers.append(number) } }
            }
            for number in numbers { if let waiter = remove(number) { taken.append((waiter, change.resume)) } }
        }
        return taken
    }

    /// Takes out everyone that `isMeant`.
    mutating func take(where isMeant: (Waiter) -> Bool) -> [Waiter] {
        let numbers = all.filter { isMeant($0.value) }.keys
        return numbers.compactMap { remove($0) }
    }

    /// The node of a pod; nil for anything that has none.
    static func node(of object: Object?) -> String? {
        guard let object, object.mayContain("\"nodeName\"") else { return nil }
        return object["spec"]["nodeName"].string
    }
}
