package import KubeAPI
package import KubeClient

/// A pod to be thought onto nodes, taken apart once.
package struct SimulatedPod: Sendable {
    let info: PodInfo
    package let object: Object

    package init(_ pod: Object) {
        info = PodInfo(pod)
        object = pod
    }

    package var milliCPU: Int64 { info.requests.milliCPU }
    /// Bytes.
    package var memory: Int64 { info.requests.memory }
    /// `nodeSelector`: values that the pod wants labels to have.
    package var selector: [String: String] { info.nodeAffinity.selector }
}

/// Thinks pods onto nodes, those that are there and such as could be, by the scheduler's own filters: who wants to know whether another node would help,
/// or whether one could be done without, is answered as the scheduler will. Upstream: cluster-autoscaler's PredicateSnapshot and karpenter's
/// provisioning/scheduling, which has rules of its own for it.
package struct SchedulingSimulation: Sendable {
    private static let filters = Profile.standard.filters
    /// What decides whether a daemon is on a node at all.
    private static let daemonFilters: [any FilterPlugin] = [TaintToleration(), NodeAffinity()]

    private var cache = SchedulerCache()
    private let lookup: VolumeLookup?

    /// Where claims, volumes and classes are looked up; nil: pods' claims are no concern.
    package struct VolumeCaches: Sendable {
        let lookup: VolumeLookup

        package init(claims: Indexer, volumes: Indexer, classes: Indexer, csiNodes: Indexer) {
            lookup = VolumeLookup(claims: claims, volumes: volumes, classes: classes, csiNodes: csiNodes)
        }
    }

    package init(volumes: VolumeCaches? = nil) { lookup = volumes?.lookup }

    /// A node that is there, new or changed.
    package mutating func set(node: Object) { cache.setNode(node) }

    /// A node is gone, with its pods.
    package mutating func remove(node name: String) {
        for pod in cache.pods(on: name) { cache.remove(pod.uid) }
        cache.removeNode(name)
    }

    package mutating func set(namespace name: String, labels: [String: String]) { cache.setNamespace(name, labels: labels) }

    /// A pod is on a node.
    package mutating func place(_ pod: SimulatedPod, on node: String) { cache.assume(pod.info, on: node) }

    package mutating func remove(_ pod: SimulatedPod) { cache.remove(pod.info.uid) }

    /// The first of the nodes that would have the pod, as they are now; nil: none.
    package mutating func first(of nodes: [String], taking pod: SimulatedPod) -> String? {
        var input = CycleInput(pod: pod.info)
        input.lookup = lookup
        input.volumes = lookup?.needs(of: pod.info, promised: [])
        guard !Self.filters.contains(where: { $0.refusal(input) != nil }) else { return nil }
        let filters = NodeFilters(Self.filters, input, &cache)
        return nodes.first { name in cache.node(name).map { filters.rejection($0, cache) == nil } ?? false }
    }

    /// Whether a daemon's pod would be on a node, were there room.
    package static func isForNode(_ daemon: SimulatedPod, _ node: Object) -> Bool {
        var cache = SchedulerCache()
        cache.setNode(node)
        guard let info = cache.node(node.metadata.name) else { return false }
        return NodeFilters(daemonFilters, CycleInput(pod: daemon.info), &cache).rejection(info, cache) == nil
    }
}
