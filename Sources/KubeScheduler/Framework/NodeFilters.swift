/// What all filter plugins made of one pod, to be asked about each node. Upstream: RunFilterPluginsWithNominatedPods.
struct NodeFilters {
    private let plugins: [any FilterPlugin]
    private let input: CycleInput
    private var filters: [(name: String, place: Int, filter: any NodeFilter)] = []

    init(_ plugins: [any FilterPlugin], _ input: CycleInput, _ cache: inout SchedulerCache) {
        self.plugins = plugins
        self.input = input
        for (place, plugin) in plugins.enumerated() {
            if let filter = plugin.prepareFilter(input, &cache) { filters.append((plugin.name, place, filter)) }
        }
    }

    /// The first plugin that will not have the pod on a node, and why; nil: the node will do, also once those have come for which room is made there.
    func rejection(_ node: NodeInfo, _ cache: SchedulerCache) -> (plugin: String, rejection: Rejection)? {
        if !cache.nominator.isEmpty {
            let nominated = cache.nominator.pods(on: node.name, before: input.pod)
            if !nominated.isEmpty {
                var crowded = node
                for pod in nominated { crowded.add(pod) }
                if let found = rejection(crowded) { return found }
            }
        }
        return rejection(node)
    }

    private func rejection(_ node: NodeInfo) -> (plugin: String, rejection: Rejection)? {
        for (name, _, filter) in filters { if let rejection = filter.filter(node) { return (name, rejection) } }
        return nil
    }

    /// The same after pods have come or gone: only what looks at other pods is made anew.
    func renewed(_ cache: inout SchedulerCache) -> NodeFilters {
        var renewed = self
        renewed.filters = filters.compactMap { name, place, filter in
            guard plugins[place].looksAtOtherPods else { return (name, place, filter) }
            return plugins[place].prepareFilter(input, &cache).map { (name, place, $0) }
        }
        return renewed
    }
}
