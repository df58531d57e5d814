/// Something that happened in the cluster and may make a pod fit that did not. Upstream: framework.ClusterEvent.
enum ClusterEvent: Sendable, Equatable {
    case nodeAdded
    /// What of a node changed for the better or otherwise.
    case nodeLabelsChanged, nodeTaintsChanged, nodeAllocatableChanged
    /// A pod was bound, or a bound one's labels changed.
    case assignedPodChanged
    /// A bound pod is gone, or takes less.
    case assignedPodRemoved
    case namespaceChanged
    /// A claim, a volume, a storage class, or a node's limits of volumes.
    case storageChanged

    /// The plugins whose rejections this may end. Upstream: EventsToRegister of each plugin.
    private var plugins: Set<String> {
        switch self {
        case .nodeAdded:
            [
                "NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit", "PodTopologySpread",
                "InterPodAffinity", "VolumeBinding", "VolumeZone",
            ]
        case .nodeLabelsChanged: ["NodeAffinity", "PodTopologySpread", "InterPodAffinity", "VolumeBinding", "VolumeZone"]
        case .nodeTaintsChanged: ["TaintToleration", "NodeUnschedulable", "PodTopologySpread"]
        case .nodeAllocatableChanged: ["NodeResourcesFit"]
        case .assignedPodChanged: ["InterPodAffinity", "PodTopologySpread"]
        case .assignedPodRemoved:
            ["NodeResourcesFit", "NodePorts", "InterPodAffinity", "PodTopologySpread", "VolumeRestrictions", "NodeVolumeLimits"]
        case .namespaceChanged: ["InterPodAffinity"]
        case .storageChanged: ["VolumeBinding", "VolumeZone", "VolumeRestrictions", "NodeVolumeLimits"]
        }
    }

    /// Whether a pod that these plugins rejected is worth another try. None rejected it: there were no nodes at all, or something failed.
    func concerns(_ rejectedBy: Set<String>) -> Bool { rejectedBy.isEmpty || !plugins.isDisjoint(with: rejectedBy) }
}
