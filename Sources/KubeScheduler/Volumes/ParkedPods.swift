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

    /// Why a waiting pod waits in vain on its node, in upstream's words; nil: its claims may be bound yet, or are. A provisioner that cannot make a
    /// volume there takes the node off the claim, and another is to be tried. Upstream: checkBindings.
    func problem(_ uid: String, _ lookup: VolumeLookup, node find: (String) -> NodeInfo?) -> String? {
        guard let (pod, node) = waiting[uid] else { return nil }
        for key in pod.info.claims.sorted() {
            guard let claim = lookup.claims.get(key) else { continue }
            let name = claim.metadata.name.goQuoted
            if let order = orders[uid]?[key], !ClaimBinding.isBound(claim), Int64(claim.metadata.resourceVersion) ?? 0 > order {
                // What the cache has is not older than the order.
                if claim.metadata.annotations.isEmpty { return "selectedNode annotation reset for PVC \(name)" }
                if claim.metadata.annotations[ClaimBinding.selectedNode] != node { return "provisioning failed for PVC \(name)" }
            }
            if let volume = lookup.volumes.get(ClaimBinding.volumeName(claim)), let info = find(node), !volume.isUsable(on: info) {
                let name = volume.metadata.name.goQuoted
                return "pv \(name) node affinity doesn't match node \(node.goQuoted): no matching NodeSelectorTerms"
            }
        }
        return nil
    }

    /// Pods that wait in vain.
    func refused(_ lookup: VolumeLookup, node: (String) -> NodeInfo?) -> [String] {
        waiting.keys.filter { problem($0, lookup, node: node) != nil }
    }

    mutating func promise(_ choice: VolumeChoice) { promised.formUnion(choice.promises.map(\.volume.metadata.name)) }
    mutating func forget(_ choice: VolumeChoice) { promised.subtract(choice.promises.map(\.volume.metadata.name)) }
    mutating func isKnown(_ volume: String) { promised.remove(volume) }

    /// Lets those go on whose claims are all bound.
    mutating func release(_ lookup: VolumeLookup, except refused: [String] = []) {
        for (uid, entry) in waiting where !refused.contains(uid) && lookup.areBound(entry.pod.info) {
            remove(uid)
            ready.append(entry)
        }
    }

    mutating func popReady() -> (pod: QueuedPod, node: String)? { ready.popLast() }
}
