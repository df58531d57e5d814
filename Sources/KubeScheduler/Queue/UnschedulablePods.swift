/// Pods that wait for something to change, found by the plugins that rejected them: an event looks at those it concerns and no others.
struct UnschedulablePods: Sendable {
    private var pods: [String: QueuedPod] = [:]
    /// Uids by plugin; those that no plugin rejected stand under the empty name.
    private var waiting: [String: Set<String>] = [:]

    var count: Int { pods.count }

    subscript(uid: String) -> QueuedPod? { pods[uid] }

    mutating func insert(_ pod: QueuedPod) {
        remove(pod.info.uid)
        pods[pod.info.uid] = pod
        for plugin in Self.plugins(pod) { waiting[plugin, default: []].insert(pod.info.uid) }
    }

    @discardableResult mutating func remove(_ uid: String) -> QueuedPod? {
        guard let pod = pods.removeValue(forKey: uid) else { return nil }
        for plugin in Self.plugins(pod) {
            waiting[plugin]?.remove(uid)
            if waiting[plugin]?.isEmpty ?? false { waiting[plugin] = nil }
        }
        return pod
    }

    /// The pods that are worth another try after an event.
    func concerned(by event: ClusterEvent) -> [QueuedPod] {
        if pods.isEmpty { return [] }
        var uids = waiting[""] ?? []
        uids.formUnion(waiting[ClusterEvent.extender] ?? [])
        for (plugin, waiting) in waiting where event.plugins.contains(plugin) { uids.formUnion(waiting) }
        return uids.compactMap { pods[$0] }
    }

    private static func plugins(_ pod: QueuedPod) -> Set<String> { pod.rejectedBy.isEmpty ? [""] : pod.rejectedBy }
}
