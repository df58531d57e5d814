/// Something that happened in the cluster and may make a pod fit that did not. Upstream: framework.ClusterEvent.
enum ClusterEvent: Sendable, Equatable {
    case nodeAdded
    /// Its place is no longer one that pods are to be spread over.
    case nodeRemoved
    /// What of a node changed for the better or otherwise.
    case nodeLabelsChanged, nodeTaintsChanged, nodeAllocatableChanged
    /// A pod was bound, or a bound one's labels changed.
    case assignedPodChanged
    /// A bound pod is gone, or takes less.
    case assignedPodRemoved
    case namespaceChanged
    /// A claim, a volume, a storage class, or a node's limits of volumes.
    case storageChanged
    /// A ResourceClaim, or which of them a pod has.
    case devicesChanged

    /// What stands for extenders among plugins: anything that happens may end their rejections. Upstream: framework.ExtenderName.
    static let extender = "Extender"

    /// Whether pods that these have rejected are worth another try; none: whatever rejected them is not known.
    func concerns(_ rejecters: Set<String>) -> Bool {
        rejecters.isEmpty || rejecters.contains(Self.extender) || !plugins.isDisjoint(with: rejecters)
    }

    /// The plugins whose rejections this may end. Upstream: EventsToRegister of each plugin.
    var plugins: Set<String> {
        switch self {
        case .nodeAdded: Self.ofNewNodes
        case .nodeRemoved: Self.ofGoneNodes
        case .nodeLabelsChanged: Self.ofLabels
        case .nodeTaintsChanged: Self.ofTaints
        case .nodeAllocatableChanged: Self.ofAllocatable
        case .assignedPodChanged: Self.ofPods
        case .assignedPodRemoved: Self.ofRemovedPods
        case .namespaceChanged: Self.ofNamespaces
        case .storageChanged: Self.ofStorage
        case .devicesChanged: Self.ofDevices
        }
    }

    private static let ofNewNodes: Set = [
        "NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit", "PodTopologySpread",
        "InterPodAffinity", "VolumeBinding", "VolumeZone", "DynamicResources",
    ]
    private static let ofGoneNodes: Set = ["PodTopologySpread"]
    private static let ofLabels: Set = [
        "NodeAffinity", "PodTopologySpread", "InterPodAffinity", "VolumeBinding", "VolumeZone", "DynamicResources",
    ]
    private static let ofTaints: Set = ["TaintToleration", "NodeUnschedulable", "PodTopologySpread"]
    private static let ofAllocatable: Set = ["NodeResourcesFit"]
    private static let ofPods: Set = ["InterPodAffinity", "PodTopologySpread"]
    private static let ofRemovedPods: Set = [
        "NodeResourcesFit", "NodePorts", "InterPodAffinity", "PodTopologySpread", "VolumeRestrictions", "NodeVolumeLimits",
    ]
    private static let ofNamespaces: Set = ["InterPodAffinity"]
    private static let ofStorage: Set = ["VolumeBinding", "VolumeZone", "VolumeRestrictions", "NodeVolumeLimits"]
    private static let ofDevices: Set = ["DynamicResources"]
}
