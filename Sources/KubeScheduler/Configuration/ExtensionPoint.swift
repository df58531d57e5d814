/// Where plugins take part in scheduling a pod, in the order they are made ready. Upstream: the fields of config.Plugins, getExtensionPoints.
enum ExtensionPoint: String, CaseIterable, Sendable {
    case preFilter, filter, postFilter, reserve, preScore, score, preBind, bind, postBind, permit, preEnqueue, queueSort

    /// What upstream calls the plugins of the point in messages: `FilterPlugin`.
    var interface: String { "\(rawValue.prefix(1).uppercased())\(rawValue.dropFirst())Plugin" }
}

/// The plugins there are, with the points they can take part in. Upstream: plugins.NewInTreeRegistry, getDefaultPlugins.
struct PluginRow: Sendable {
    var name: String
    var points: Set<ExtensionPoint>
    /// In the default profile; 0 for one that scores nothing.
    var weight: Int64 = 0

    /// In the order of the default profile.
    static let all: [PluginRow] = [
        PluginRow(name: SchedulingGates.name, points: [.preEnqueue]),
        PluginRow(name: "PrioritySort", points: [.queueSort]),
        PluginRow(name: "NodeUnschedulable", points: [.filter]),
        PluginRow(name: "NodeName", points: [.filter]),
        PluginRow(name: "TaintToleration", points: [.filter, .preScore, .score], weight: 3),
        PluginRow(name: "NodeAffinity", points: filtering.union(scoring), weight: 2),
        PluginRow(name: "NodePorts", points: filtering),
        PluginRow(name: "NodeResourcesFit", points: filtering.union(scoring), weight: 1),
        PluginRow(name: "VolumeRestrictions", points: filtering),
        PluginRow(name: "NodeVolumeLimits", points: filtering),
        PluginRow(name: "VolumeBinding", points: filtering.union(scoring).union([.reserve, .preBind])),
        PluginRow(name: "VolumeZone", points: filtering),
        PluginRow(name: "PodTopologySpread", points: filtering.union(scoring), weight: 2),
        PluginRow(name: "InterPodAffinity", points: filtering.union(scoring), weight: 2),
        PluginRow(name: DynamicResources.name, points: filtering.union([.preEnqueue, .postFilter])),
        PluginRow(name: "DefaultPreemption", points: [.postFilter]),
        PluginRow(name: "NodeResourcesBalancedAllocation", points: scoring, weight: 1),
        PluginRow(name: "ImageLocality", points: [.score], weight: 1),
        PluginRow(name: "DefaultBinder", points: [.bind]),
    ]

    private static let filtering: Set<ExtensionPoint> = [.preFilter, .filter]
    private static let scoring: Set<ExtensionPoint> = [.preScore, .score]

    static let byName = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
}
