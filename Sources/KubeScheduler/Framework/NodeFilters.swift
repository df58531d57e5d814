/// What all filter plugins made of one pod, to be asked about each node. Upstream: RunFilterPluginsWithNominatedPods.
struct NodeFilters {
    private struct Entry {
        var name: String
        var place: Int
        var filter: any NodeFilter
    }

    private let plugins: [any FilterPlugin]
    private let input: CycleInput
    /// Those before the first that looks further than the node.
    private var leading: [Entry] = []
    private var others: [Entry] = []

    init(_ plugins: [any FilterPlugin], _ input: CycleInput, _ cache: inout SchedulerCache) {
        self.plugins = plugins
        self.input = input
        let lead = plugins.firstIndex { !$0.looksOnlyAtNode } ?? plugins.count
        for (place, plugin) in plugins.enumerated() {
            guard let filter = plugin.prepareFilter(input, &cache) else { continue }
            let entry = Entry(name: plugin.name, place: place, filter: filter)
            if place < lead { leading.append(entry) } else { others.append(entry) }
        }
    }

    /// The first plugin that will not have the pod on a node, and why; nil: the node will do, also once those have come for which room is made there.
    func rejection(_ node: NodeInfo, _ cache: SchedulerCache) -> (plugin: String, rejection: Rejection)? {
        if !cache.nominator.isEmpty {
            let nominated = cache.nominator.pods(on: node.name, before: input.pod)
            if !nominated.isEmpty {
                var crowded = node
                for pod in nominated { crowded.add(pod) }
                if let found = ofAll(crowded) { return found }
            }
        }
        return ofAll(node)
    }

    /// Of the plugins that look at the node only: the same for all pods with the same `NodeNeeds`, as long as the node does not change.
    func leadingRejection(_ node: NodeInfo) -> (plugin: String, rejection: Rejection)? { Self.first(leading, node) }

    /// Of the others.
    func otherRejection(_ node: NodeInfo) -> (plugin: String, rejection: Rejection)? { Self.first(others, node) }

    var pod: PodInfo { input.pod }

    /// Whether plugins look further than at the node.
    var hasOthers: Bool { !others.isEmpty }

    private func ofAll(_ node: NodeInfo) -> (plugin: String, rejection: Rejection)? { Self.first(leading, node) ?? Self.first(others, node) }

    private static func first(_ entries: [Entry], _ node: NodeInfo) -> (plugin: String, rejection: Rejection)? {
        for entry in entries { if let rejection = entry.filter.filter(node) { return (entry.name, rejection) } }
        return nil
    }

    /// Whether pods elsewhere, or what is counted of all of them, have a say.
    var looksAtOtherPods: Bool { others.contains { plugins[$0.place].looksAtOtherPods } }

    /// The same after pods have come or gone: only what looks at other pods is made anew.
    func renewed(_ cache: inout SchedulerCache) -> NodeFilters {
        var renewed = self
        renewed.others = others.compactMap { entry in
            guard plugins[entry.place].looksAtOtherPods else { return entry }
            return plugins[entry.place].prepareFilter(input, &cache).map { Entry(name: entry.name, place: entry.place, filter: $0) }
        }
        return renewed
    }
}
