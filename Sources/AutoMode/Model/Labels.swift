import KubeAPI

/// Names that EKS Auto Mode and karpenter give to labels, annotations, taints and finalizers. Upstream: karpenter.sh/v1 labels.go and taints.go; EKS
/// User Guide, "EKS Auto Mode Supported Labels".
enum Names {
    static let nodePool = "karpenter.sh/nodepool"
    static let nodeClass = "eks.amazonaws.com/nodeclass"
    static let capacityType = "karpenter.sh/capacity-type"
    static let initialized = "karpenter.sh/initialized"
    static let registered = "karpenter.sh/registered"
    static let doNotDisrupt = "karpenter.sh/do-not-disrupt"
    static let poolHash = "karpenter.sh/nodepool-hash"
    static let poolHashVersion = "karpenter.sh/nodepool-hash-version"
    static let classHash = "eks.amazonaws.com/nodeclass-hash"
    static let classHashVersion = "eks.amazonaws.com/nodeclass-hash-version"
    static let computeType = "eks.amazonaws.com/compute-type"
    static let managedBy = "app.kubernetes.io/managed-by"
    static let finalizer = "karpenter.sh/termination"
    static let classFinalizer = "eks.amazonaws.com/termination"
    static let terminationTime = "karpenter.sh/nodeclaim-termination-timestamp"
    static let zone = "topology.kubernetes.io/zone"
    static let instanceType = "node.kubernetes.io/instance-type"
    static let hostname = "kubernetes.io/hostname"
    static let architecture = "kubernetes.io/arch"
    static let operatingSystem = "kubernetes.io/os"

    static let unregisteredTaint = "karpenter.sh/unregistered"
    static let disruptedTaint = "karpenter.sh/disrupted"
    /// Taints that a node has only until it is ready. Upstream: karpenter scheduling.KnownEphemeralTaints.
    static let ephemeralTaints: Set<String> = [
        "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "node.cloudprovider.kubernetes.io/uninitialized", unregisteredTaint,
    ]

    /// Labels that say what an instance is: a pool's requirements about others make labels of the node.
    static func isOfInstances(_ key: String) -> Bool {
        key.hasPrefix("eks.amazonaws.com/") || key.hasPrefix("topology.kubernetes.io/") || key.hasPrefix("topology.k8s.aws/")
            || [capacityType, instanceType, architecture, operatingSystem, nodePool].contains(key)
    }
}

extension GroupVersionResource {
    static let nodePools = GroupVersionResource(group: "karpenter.sh", version: "v1", resource: "nodepools")
    static let nodeClaims = GroupVersionResource(group: "karpenter.sh", version: "v1", resource: "nodeclaims")
    static let nodeClasses = GroupVersionResource(group: "eks.amazonaws.com", version: "v1", resource: "nodeclasses")
}
