import KubeAPI

/// All nodes and bound pods, with pods that are being bound counted in already ("assumed"), and sums and counts kept as things change, so that no
/// decision
/// has to walk over all pods. A value: whoever holds it guards it. Upstream: pkg/scheduler/backend/cache.
struct SchedulerCache: Sendable {
    /// A pod counted on a node.
    struct BoundPod: Sendable {
        var info: PodInfo
        var nodeName: String
        /// Chosen by us, not yet seen bound.
        var isAssumed: Bool
    }

    /// Dense, in no particular order; some may not be present.
    private(set) var nodes: [NodeInfo] = []
    private var places: [String: Int] = [:]
    private var pods: [String: BoundPod] = [:]
    private var podsByNode: [String: Set<String>] = [:]
    /// Bound pods by priority: most often all have the same, and none can take another's place.
    private var priorities: [Int64: Int] = [:]
    /// Claims that bound pods use, with their number.
    private var claims: [String: Int] = [:]
    /// Pods for which room is being made.
    var nominator = Nominator()
    private(set) var namespaces: [String: [String: String]] = [:]
    /// Nodes present.
    private(set) var nodeCount = 0
    /// How many nodes hold each image.
    private(set) var imageNodes: [String: Int] = [:]
    /// Pods by selector and node, for the selectors that were asked for.
    private var counters = SelectorCounters()
    /// Terms of bound pods that forbid others near them, with the places of such pods.
    private(set) var requiredAntiAffinity: [AffinityTerm: TermPlaces] = [:]
    /// Terms of bound pods that want others near them.
    private(set) var requiredAffinity: [AffinityTerm: TermPlaces] = [:]
    /// The same for terms by which they like or dislike others near them.
    private(set) var scoredAffinity: [WeightedAffinityTerm: TermPlaces] = [:]
    /// The labels by which places were asked for.
    private var topologies: [Topology] = []
    private var topologyNumbers: [String: Int] = [:]
    /// By node's place: which change of the cache was its last. What was computed of a node holds until it is another.
    private(set) var versions: [UInt64] = []
    private var lastChange: UInt64 = 0
    /// Nodes that would rather not have every pod.
    private(set) var dislikingNodes = 0

    init() {}

    /// A node that is present.
    func node(_ name: String) -> NodeInfo? {
        guard let place = places[name], nodes[place].isPresent else { return nil }
        return nodes[place]
    }

    func isAssumed(_ uid: String) -> Bool { pods[uid]?.isAssumed ?? false }
    func nodeName(of uid: String) -> String? { pods[uid]?.nodeName }
    func info(of uid: String) -> PodInfo? { pods[uid]?.info }
    var podCount: Int { pods.count }
    func pods(on node: String) -> [PodInfo] { (podsByNode[node] ?? []).compactMap { pods[$0]?.info } }
    func isInUse(claim: String) -> Bool { claims[claim] != nil }
    func hasPods(below priority: Int64) -> Bool { priorities.keys.contains { $0 < priority } }

    // MARK: Nodes

    mutating func setNode(_ object: Object) {
        let place = place(of: object.metadata.name)
        let isNew = !nodes[place].isPresent
        if !isNew { count(nodes[place], -1) }
        let movesPods = nodes[place].podCount > 0 && nodes[place].labels != object.metadata.labels
        if movesPods { changeTerms(ofPodsOn: nodes[place].name, -1) }
        for index in topologies.indices where !isNew { topologies[index].leave(place) }
        nodes[place].set(object)
        for index in topologies.indices { topologies[index].enter(place, nodes[place].labels[topologies[index].key]) }
        if movesPods {
            changeTerms(ofPodsOn: nodes[place].name, 1)
            counters.forgetValues()
        }
        count(nodes[place], 1)
        touch(place)
    }

    mutating func removeNode(_ name: String) {
        guard let place = places[name], nodes[place].isPresent else { return }
        count(nodes[place], -1)
        changeTerms(ofPodsOn: name, -1)
        for index in topologies.indices { topologies[index].leave(place) }
        if nodes[place].podCount > 0 { counters.forgetValues() }
        nodes[place].unset()
        changeTerms(ofPodsOn: name, 1)
        touch(place)
        dropIfUnused(name)
    }

    /// Counts a present node and what it holds, or takes it out.
    private mutating func count(_ node: NodeInfo, _ change: Int) {
        nodeCount += change
        if node.taints.contains(where: { $0.effect == "PreferNoSchedule" }) { dislikingNodes += change }
        for image in node.images.keys {
            let count = (imageNodes[image] ?? 0) + change
            imageNodes[image] = count > 0 ? count : nil
        }
    }

    private mutating func touch(_ place: Int) {
        lastChange += 1
        versions[place] = lastChange
    }

    private mutating func place(of name: String) -> Int {
        if let place = places[name] { return place }
        let place = nodes.count
        places[name] = place
        nodes.append(NodeInfo(name: name, place: place))
        versions.append(0)
        for index in topologies.indices { topologies[index].append() }
        touch(place)
        return place
    }

    private mutating func dropIfUnused(_ name: String) {
        guard let place = places[name], !nodes[place].isPresent, nodes[place].podCount == 0 else { return }
        places[name] = nil
        var last = nodes.removeLast()
        versions.removeLast()
        for index in topologies.indices { topologies[index].moveLast(to: place) }
        counters.moveLast(nodes.count, to: place)
        guard place < nodes.count else { return }
        last.place = place
        nodes[place] = last
        places[last.name] = place
        touch(place)
    }

    // MARK: Pods

    /// Counts a pod as on a node before the API server has heard of it.
    mutating func assume(_ pod: PodInfo, on node: String) { insert(pod, node, assumed: true) }

    /// Takes an assumption back. Nothing for a pod that has been seen bound meanwhile.
    mutating func forget(_ uid: String) {
        if pods[uid]?.isAssumed ?? false { remove(uid) }
    }

    /// A bound pod, new or changed.
    mutating func set(_ pod: PodInfo) {
        // Most often one that was assumed here: nothing has to be counted anew.
        if let known = pods[pod.uid], known.nodeName == pod.nodeName, known.info.counts(as: pod) {
            pods[pod.uid] = BoundPod(info: pod, nodeName: pod.nodeName, isAssumed: false)
        } else {
            insert(pod, pod.nodeName, assumed: false)
        }
    }

    /// A pod that is counted already, in a newer form that counts the same.
    mutating func refresh(_ pod: PodInfo) { pods[pod.uid]?.info = pod }

    private mutating func insert(_ pod: PodInfo, _ node: String, assumed: Bool) {
        if pods[pod.uid] != nil { remove(pod.uid) }
        pods[pod.uid] = BoundPod(info: pod, nodeName: node, isAssumed: assumed)
        podsByNode[node, default: []].insert(pod.uid)
        priorities[pod.priority, default: 0] += 1
        for claim in pod.claims { claims[claim, default: 0] += 1 }
        let place = place(of: node)
        nodes[place].add(pod)
        counters.change(pod, place, 1, topologies)
        changeTerms(pod, place, 1)
        touch(place)
    }

    /// Removes a pod and gives it; nil when it is not here.
    @discardableResult mutating func remove(_ uid: String) -> PodInfo? { withdraw(uid)?.info }

    /// Removes a pod for a while: `restore` puts it back as it was.
    mutating func withdraw(_ uid: String) -> BoundPod? {
        guard let pod = pods.removeValue(forKey: uid) else { return nil }
        podsByNode[pod.nodeName]?.remove(uid)
        if podsByNode[pod.nodeName]?.isEmpty ?? false { podsByNode[pod.nodeName] = nil }
        let left = (priorities[pod.info.priority] ?? 0) - 1
        priorities[pod.info.priority] = left > 0 ? left : nil
        for claim in pod.info.claims {
            let left = (claims[claim] ?? 0) - 1
            claims[claim] = left > 0 ? left : nil
        }
        if let place = places[pod.nodeName] {
            nodes[place].remove(pod.info)
            counters.change(pod.info, place, -1, topologies)
            changeTerms(pod.info, place, -1)
            touch(place)
        }
        dropIfUnused(pod.nodeName)
        return pod
    }

    mutating func restore(_ pod: BoundPod) { insert(pod.info, pod.nodeName, assumed: pod.isAssumed) }

    private mutating func changeTerms(_ pod: PodInfo, _ node: Int, _ change: Int) {
        for term in pod.requiredAntiAffinity { requiredAntiAffinity.count(term, topology(term.topologyKey), topologies, node, change) }
        for term in pod.requiredAffinity { requiredAffinity.count(term, topology(term.topologyKey), topologies, node, change) }
        for weighted in pod.preferredAffinity { scoredAffinity.count(weighted, topology(weighted.term.topologyKey), topologies, node, change) }
    }

    /// Before a node's labels change, and after: its pods are somewhere else then.
    private mutating func changeTerms(ofPodsOn node: String, _ change: Int) {
        guard let place = places[node] else { return }
        for uid in podsByNode[node] ?? [] { if let pod = pods[uid]?.info { changeTerms(pod, place, change) } }
    }

    // MARK: Namespaces and counts

    mutating func setNamespace(_ name: String, labels: [String: String]?) { namespaces[name] = labels }

    /// The number of a label in the cache's list of those by which places are known.
    private mutating func topology(_ key: String) -> Int {
        if let number = topologyNumbers[key] { return number }
        topologyNumbers[key] = topologies.count
        topologies.append(Topology(key: key, nodes: nodes))
        return topologies.count - 1
    }

    /// The places that a label makes of the nodes.
    mutating func places(by key: String) -> Topology {
        let number = topology(key)
        return topologies[number]
    }

    /// How many bound pods of a namespace match a selector, by node's place; what is behind the end counts as 0. Counted once, then kept.
    mutating func matching(_ selector: LabelSelector, namespace: String, skipTerminating: Bool) -> [Int32] {
        let key = counted(selector, namespace, skipTerminating)
        return counters.byNode(key)
    }

    /// The same by the places that the label `key` makes of the nodes, over several namespaces.
    mutating func matching(_ selector: LabelSelector, namespaces: Set<String>, skipTerminating: Bool, by key: String) -> PlaceCounts {
        let number = topology(key)
        var sums: [Int32] = []
        for namespace in namespaces {
            let key = counted(selector, namespace, skipTerminating)
            let counts = counters.byValue(key, number, topologies[number])
            if sums.isEmpty {
                sums = counts
            } else {
                for (value, count) in counts.enumerated() { PlaceCounts.add(Int(count), at: Int32(value), to: &sums) }
            }
        }
        return PlaceCounts(values: topologies[number].values, counts: sums)
    }

    private mutating func counted(_ selector: LabelSelector, _ namespace: String, _ skipTerminating: Bool) -> SelectorCounters.Key {
        let key = SelectorCounters.Key(namespace: namespace, selector: selector, skipTerminating: skipTerminating)
        guard !counters.contains(key) else { return key }
        var counts = [Int32](repeating: 0, count: nodes.count)
        for pod in pods.values where key.matches(pod.info) { if let place = places[pod.nodeName] { counts[place] += 1 } }
        counters.insert(key, byNode: counts)
        return key
    }

    /// Where pods with a term are.
    func places(of term: TermPlaces) -> PlaceCounts { PlaceCounts(values: topologies[term.topology].values, counts: term.counts) }

    /// The namespaces an affinity term speaks of.
    func namespaces(of term: AffinityTerm) -> Set<String> {
        guard let selector = term.namespaceSelector else { return term.namespaces }
        return term.namespaces.union(namespaces.filter { selector.matches($0.value) }.keys)
    }
}

/// Pods that have one affinity term, by place.
struct TermPlaces: Sendable {
    /// The number of the term's label.
    var topology: Int
    /// By the number of the label's value.
    var counts: [Int32] = []
    /// All such pods, those on nodes without the label, too.
    var total = 0
}

extension Dictionary where Value == TermPlaces {
    /// Changes one count, dropping a term that no pod has any more.
    fileprivate mutating func count(_ term: Key, _ topology: Int, _ topologies: [Topology], _ node: Int, _ change: Int) {
        let number = topologies[topology].values[node]
        // In place: a copy of the counts for each pod would make many pods of one term quadratic.
        func apply(_ places: inout TermPlaces) -> Int {
            places.total += change
            if number != Topology.none { PlaceCounts.add(change, at: number, to: &places.counts) }
            return places.total
        }
        if apply(&self[term, default: TermPlaces(topology: topology)]) <= 0 { self[term] = nil }
    }
}
