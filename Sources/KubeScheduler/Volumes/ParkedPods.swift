import KubeAPI

/// Pods that have a node and wait for their volumes there. Nobody waits in a task: what changes the claims looks here.
struct ParkedPods: Sendable {
    private var waiting: [String: (pod: QueuedPod, node: String)] = [:]
    /// Claims of waiting pods that volumes are made for, with the revision from which each names the pod's node.
    private var orders: [String: [String: Int64]] = [:]
    private var ready: [(pod: QueuedPod, node: String)] = []
    /// Names of volumes chosen for claims, until the cache shows it.
    private(set) var promised: Set<String> = []

    mutating func park(_ pod: QueuedPod, _ node: String, orders: [String: Int64] = [:]) {
        waiting[pod.info.uid] = (pod, node)
        self.orders[pod.info.uid] = orders.isEmpty ? nil : orders
    }

    /// Forgets a pod that is gone or has waited too long, and gives it.
    @discardableResult mutating func remove(_ uid: String) -> (pod: QueuedPod, node: String)? {
        orders[uid] = nil
        return waiting.removeValue(forKey: uid)
    }

    /// The claim of a waiting pod that no volume is made for on the pod's node: its provisioner has taken the node off it, and another is to be
    /// tried. Nil: there is none. Upstream: checkBindings.
    func refusedClaim(_ uid: String, _ lookup: VolumeLookup) -> String? {
        guard let node = waiting[uid]?.node, let orders = orders[uid] else { return nil }
        return orders.keys.sorted().first { key in
            guard let claim = lookup.claims.get(key), !ClaimBinding.isBound(claim),
                // What the cache has may be older than the order.
                Int64(claim.metadata.resourceVersion) ?? 0 > orders[key] ?? 0
            else { return false }
            return claim.metadata.annotations[ClaimBinding.selectedNode] != node
        }
    }

    /// Pods with such a claim.
    func refused(_ lookup: VolumeLookup) -> [String] { orders.keys.filter { refusedClaim($0, lookup) != nil } }

    /// Lets those go on whose claims are all bound.
    mutating func release(_ lookup: VolumeLookup) {
        for (uid, entry) in waiting where lookup.areBound(entry.pod.info) {
            remove(uid)
            ready.append(entry)
        }
    }

    mutating func popReady() -> (pod: QueuedPod, node: String)? { ready.popLast() }

    mutating func promise(_ choice: VolumeChoice) { promised.formUnion(choice.promises.map(\.volume.metadata.name)) }
    mutating func forget(_ choice: VolumeChoice) { promised.subtract(choice.promises.map(\.volume.metadata.name)) }
    mutating func isKnown(_ volume: String) { promised.remove(volume) }
}
