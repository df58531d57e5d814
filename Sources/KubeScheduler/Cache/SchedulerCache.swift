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
    /// Terms of bound pods that forbid others near them: places, by the value of the term's topology key, with the number of such pods.
    private(set) var requiredAntiAffinity: [AffinityTerm: [String: Int]] = [:]
    /// The same for terms by which they like or dislike others near them.
    private(set) var scoredAffinity: [WeightedAffinityTerm: [String: Int]] = [:]

    /// Where pods on nodes without the label are: no value of a label.
    static let nowhere = "\0"
    /// What a bound pod's required affinity is worth to those it would like near it. Upstream: HardPodAffinityWeight.
    private static let hardPodAffinityWeight: Int64 = 1

    init() {}

    /// A node that is present.
    func node(_ name: String) -> NodeInfo? {
        guard let place = places[name], nodes[place].isPresent else { return nil }
        return nodes[place]
    }

    /// A label of a node, also of one that is gone: nil.
    func label(_ key: String, of node: String) -> String? { places[node].flatMap { nodes[$0].labels[key] } }

    func isAssumed(_ uid: String) -> Bool { pods[uid]?.isAssumed ?? false }
    func nodeName(of uid: String) -> String? { pods[uid]?.nodeName }
    var podCount: Int { pods.count }
    func pods(on node: String) -> [PodInfo] { (podsByNode[node] ?? []).compactMap { pods[$0]?.info } }
    func isInUse(claim: String) -> Bool { claims[claim] != nil }
    func hasPods(below priority: Int64) -> Bool { priorities.keys.contains { $0 < priority } }

    // MARK: Nodes

    mutating func setNode(_ object: Object) {
        let place = place(of: object.metadata.name)
        if nodes[place].isPresent { for image in nodes[place].images.keys { countImage(image, -1) } } else { nodeCount += 1 }
        let movesPods = nodes[place].podCount > 0 && nodes[place].labels != object.metadata.labels
        if movesPods { changeTerms(ofPodsOn: nodes[place].name, -1) }
        nodes[place].set(object)
        if movesPods { changeTerms(ofPodsOn: nodes[place].name, 1) }
        for image in nodes[place].images.keys { countImage(image, 1) }
    }

    mutating func removeNode(_ name: String) {
        guard let place = places[name], nodes[place].isPresent else { return }
        for image in nodes[place].images.keys { countImage(image, -1) }
        nodeCount -= 1
        changeTerms(ofPodsOn: name, -1)
        nodes[place].unset()
        changeTerms(ofPodsOn: name, 1)
        dropIfUnused(name)
    }

    private mutating func countImage(_ image: String, _ change: Int) {
        let count = (imageNodes[image] ?? 0) + change
        imageNodes[image] = count > 0 ? count : nil
    }

    private mutating func place(of name: String) -> Int {
        if let place = places[name] { return place }
        places[name] = nodes.count
        nodes.append(NodeInfo(name: name))
        return nodes.count - 1
    }

    private mutating func dropIfUnused(_ name: String) {
        guard let place = places[name], !nodes[place].isPresent, nodes[place].podCount == 0 else { return }
        places[name] = nil
        let last = nodes.removeLast()
        if place < nodes.count {
            nodes[place] = last
            places[last.name] = place
        }
    }

    // MARK: Pods

    /// Counts a pod as on a node before the API server has heard of it.
    mutating func assume(_ pod: PodInfo, on node: String) { insert(pod, node, assumed: true) }

    /// Takes an assumption back. Nothing for a pod that has been seen bound meanwhile.
    mutating func forget(_ uid: String) {
        if pods[uid]?.isAssumed ?? false { remove(uid) }
    }

    /// A bound pod, new or changed.
    mutating func set(_ pod: PodInfo) { insert(pod, pod.nodeName, assumed: false) }

    private mutating func insert(_ pod: PodInfo, _ node: String, assumed: Bool) {
        if pods[pod.uid] != nil { remove(pod.uid) }
        pods[pod.uid] = BoundPod(info: pod, nodeName: node, isAssumed: assumed)
        podsByNode[node, default: []].insert(pod.uid)
        priorities[pod.priority, default: 0] += 1
        for claim in pod.claims { claims[claim, default: 0] += 1 }
        let place = place(of: node)
        nodes[place].add(pod)
        counters.change(pod, node, 1)
        changeTerms(pod, node, 1)
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
        if let place = places[pod.nodeName] { nodes[place].remove(pod.info) }
        counters.change(pod.info, pod.nodeName, -1)
        changeTerms(pod.info, pod.nodeName, -1)
        dropIfUnused(pod.nodeName)
        return pod
    }

    mutating func restore(_ pod: BoundPod) { insert(pod.info, pod.nodeName, assumed: pod.isAssumed) }

    private mutating func changeTerms(_ pod: PodInfo, _ node: String, _ change: Int) {
        func place(_ term: AffinityTerm) -> String { label(term.topologyKey, of: node) ?? Self.nowhere }
        for term in pod.requiredAntiAffinity { requiredAntiAffinity.count(term, place(term), change) }
        for term in pod.requiredAffinity {
            scoredAffinity.count(WeightedAffinityTerm(term: term, weight: Self.hardPodAffinityWeight), place(term), change)
        }
        for weighted in pod.preferredAffinity { scoredAffinity.count(weighted, place(weighted.term), change) }
    }

    /// Before a node's labels change, and after: its pods are somewhere else then.
    private mutating func changeTerms(ofPodsOn node: String, _ change: Int) {
        for uid in podsByNode[node] ?? [] { if let pod = pods[uid]?.info { changeTerms(pod, node, change) } }
    }

    // MARK: Namespaces and counts

    mutating func setNamespace(_ name: String, labels: [String: String]?) { namespaces[name] = labels }

    /// How many bound pods of a namespace match a selector, by node. Counted once, then kept.
    mutating func matching(_ selector: LabelSelector, namespace: String, skipTerminating: Bool) -> [String: Int] {
        let key = SelectorCounters.Key(namespace: namespace, selector: selector, skipTerminating: skipTerminating)
        if let counts = counters.counts(key) { return counts }
        let counts = pods.values.reduce(into: [String: Int]()) { counts, pod in
            if key.matches(pod.info) { counts[pod.nodeName, default: 0] += 1 }
        }
        counters.insert(key, counts)
        return counts
    }

    /// The namespaces an affinity term speaks of.
    func namespaces(of term: AffinityTerm) -> Set<String> {
        guard let selector = term.namespaceSelector else { return term.namespaces }
        return term.namespaces.union(namespaces.filter { selector.matches($0.value) }.keys)
    }
}

extension Dictionary where Value == [String: Int] {
    /// Changes one count of a table of counts, dropping what reaches zero.
    mutating func count(_ key: Key, _ node: String, _ change: Int) {
        let count = (self[key]?[node] ?? 0) + change
        // In place: a copy of the inner table for each pod would make many pods of one term quadratic.
        if count > 0 {
            self[key, default: [:]][node] = count
        } else {
            self[key]?[node] = nil
            if self[key]?.isEmpty ?? false { self[key] = nil }
        }
    }
}

/// Numbers of pods that match a selector, by node, kept up as pods come and go.
struct SelectorCounters: Sendable {
    struct Key: Sendable, Hashable {
        var namespace: String
        var selector: LabelSelector
        var skipTerminating: Bool

        func matches(_ pod: PodInfo) -> Bool {
            pod.namespace == namespace && !(skipTerminating && pod.isTerminating) && selector.matches(pod.labels)
        }
    }

    /// Selectors kept at most: each costs a match for every pod that comes or goes in its namespace.
    static let limit = 1024

    private var counts: [String: [Key: [String: Int]]] = [:]
    private var size = 0

    func counts(_ key: Key) -> [String: Int]? { counts[key.namespace]?[key] }

    mutating func insert(_ key: Key, _ value: [String: Int]) {
        if size >= Self.limit {
            // All are made anew when asked for again: simpler than remembering which was used last, and as rare as it is cheap.
            counts = [:]
            size = 0
        }
        counts[key.namespace, default: [:]][key] = value
        size += 1
    }

    mutating func change(_ pod: PodInfo, _ node: String, _ change: Int) {
        guard let keys = counts[pod.namespace]?.keys else { return }
        for key in keys where key.matches(pod) {
            let count = (counts[pod.namespace]?[key]?[node] ?? 0) + change
            counts[pod.namespace]?[key]?[node] = count > 0 ? count : nil
        }
    }
}
