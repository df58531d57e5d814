import KubeAPI

/// Pods that have a node and wait for their volumes there. Nobody waits in a task: what changes the claims looks here.
struct ParkedPods: Sendable {
    private var waiting: [String: (pod: QueuedPod, node: String)] = [:]
    private var ready: [(pod: QueuedPod, node: String)] = []
    /// Names of volumes chosen for claims, until the cache shows it.
    private(set) var promised: Set<String> = []

    mutating func park(_ pod: QueuedPod, _ node: String) { waiting[pod.info.uid] = (pod, node) }

    /// Forgets a pod that is gone or has waited too long, and gives it.
    @discardableResult mutating func remove(_ uid: String) -> (pod: QueuedPod, node: String)? { waiting.removeValue(forKey: uid) }

    /// Lets those go on whose claims are all bound.
    mutating func release(_ lookup: VolumeLookup) {
        for (uid, entry) in waiting where lookup.areBound(entry.pod.info) {
            waiting[uid] = nil
            ready.append(entry)
        }
    }

    mutating func popReady() -> (pod: QueuedPod, node: String)? { ready.popLast() }

    mutating func promise(_ choice: VolumeChoice) { promised.formUnion(choice.promises.map(\.volume.metadata.name)) }
    mutating func forget(_ choice: VolumeChoice) { promised.subtract(choice.promises.map(\.volume.metadata.name)) }
    mutating func isKnown(_ volume: String) { promised.remove(volume) }
}
