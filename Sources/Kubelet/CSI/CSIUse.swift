import KubeAPI

/// Which attachable volumes the node uses, and which the control plane has attached to it: pure. Upstream: volumemanager's caches of desired and
/// actual state, as far as GetVolumesInUse and VerifyControllerAttachedVolume ask them.
struct CSIUse: Sendable {
    /// Pods that use or want a volume, by its unique name.
    private(set) var pods: [String: Set<String>] = [:]
    /// Volumes that are on the node, whether or not a pod has them still.
    private(set) var devices: Set<String> = []
    /// What the node's status, as the API server has it, says.
    private(set) var reported: Set<String> = []
    private(set) var attached: Set<String> = []

    /// For `status.volumesInUse`: a volume named there is not detached.
    var inUse: [String] { devices.union(pods.keys).sorted() }

    mutating func want(_ volume: String, pod: String) { pods[volume, default: []].insert(pod) }
    mutating func add(device: String) { devices.insert(device) }
    mutating func remove(device: String) { devices.remove(device) }

    mutating func forget(pod: String) {
        pods = pods.compactMapValues { users in
            let rest = users.subtracting([pod])
            return rest.isEmpty ? nil : rest
        }
    }

    mutating func nodeChanged(_ node: Object) {
        reported = Set(node["status"]["volumesInUse"].strings)
        attached = Set(node["status"]["volumesAttached"].elements.compactMap { $0["name"].string })
    }

    /// Attached, and told to be in use before: it stays attached.
    func isReady(_ volume: String) -> Bool { reported.contains(volume) && attached.contains(volume) }
}
