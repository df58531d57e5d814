import KubeAPI

/// What NodeResourcesFit is told. Upstream: config.NodeResourcesFitArgs.
struct NodeResourcesFitArguments: Sendable, Equatable {
    /// Extended resources whose room is not looked at: an extender or somebody else does.
    var ignoredResources: Set<String> = []
    /// The same for all names before a slash.
    var ignoredGroups: Set<String> = []
    var scoring = ResourceScoring.standard
    static let standard = NodeResourcesFitArguments()

    var ignoresNothing: Bool { ignoredResources.isEmpty && ignoredGroups.isEmpty }

    func ignores(_ resource: String) -> Bool {
        guard QuotaNames.isExtended(resource) else { return false }
        return ignoredResources.contains(resource) || ignoredGroups.contains(String(resource.prefix { $0 != "/" }))
    }
}

/// What NodeResourcesBalancedAllocation is told. Upstream: config.NodeResourcesBalancedAllocationArgs, whose weights are all 1.
struct BalancedAllocationArguments: Sendable, Equatable {
    var resources: [ResourceScoring.Kind] = [.cpu, .memory]
    static let standard = BalancedAllocationArguments()
}

/// What InterPodAffinity is told. Upstream: config.InterPodAffinityArgs.
struct InterPodAffinityArguments: Sendable, Equatable {
    /// What a bound pod's required affinity is worth to those it wants near it, 0 to 100.
    var hardPodAffinityWeight: Int64 = 1
    /// Whether a pod without preferences of its own is not scored by those of others.
    var ignoresPreferencesOfOthers = false
    static let standard = InterPodAffinityArguments()
}

/// What PodTopologySpread is told: the constraints of pods of Services and workloads that have none themselves; their selectors are each pod's.
/// Upstream: config.PodTopologySpreadArgs, systemDefaultConstraints.
struct PodTopologySpreadArguments: Sendable {
    var hard: [TopologySpreadConstraint] = []
    /// Over nodes and zones alike.
    var soft = [
        TopologySpreadConstraint(maxSkew: 3, topologyKey: PodTopologySpread.hostname, doNotSchedule: false, selector: .nothing),
        TopologySpreadConstraint(maxSkew: 5, topologyKey: PodTopologySpread.zone, doNotSchedule: false, selector: .nothing),
    ]
    /// Whether these are the built-in ones.
    var isSystem = true
    static let standard = PodTopologySpreadArguments()
}

/// What NodeAffinity is told: an affinity that all pods of the profile have beside their own. Upstream: config.NodeAffinityArgs.
struct AddedNodeAffinity: Sendable {
    /// Any one must match; nil: nothing is asked.
    var required: [NodeSelectorTerm]?
    var preferred: [PreferredNodes] = []
    static let none = AddedNodeAffinity()
}

/// What DefaultPreemption is told. Upstream: config.DefaultPreemptionArgs.
struct DefaultPreemptionArguments: Sendable, Equatable {
    /// Nodes looked at closely: this part of all, 0 to 100, and at least so many.
    var minPercentage = 10
    var minAbsolute = 100
    static let standard = DefaultPreemptionArguments()

    /// Upstream: calculateNumCandidates.
    func candidates(of nodes: Int) -> Int { min(nodes, max(1, minAbsolute, nodes * minPercentage / 100)) }
}

/// What the plugins of a profile are told. Upstream: config.PluginConfig.
struct PluginArguments: Sendable {
    var fit = NodeResourcesFitArguments.standard
    var balanced = BalancedAllocationArguments.standard
    var interPodAffinity = InterPodAffinityArguments.standard
    var spread = PodTopologySpreadArguments.standard
    var nodeAffinity = AddedNodeAffinity.none
    var preemption = DefaultPreemptionArguments.standard
    /// How long a pod keeps its place while its volumes are made and bound. Upstream: VolumeBindingArgs.BindTimeoutSeconds.
    var bindTimeout = Duration.seconds(600)
    /// What nodes are worth by how full their storage will be; nil: nothing. Upstream: VolumeBindingArgs.Shape, with StorageCapacityScoring.
    var storageShape: ResourceScoring.Shape?
}

extension Profile {
    /// What sets and arguments come to. Throws for sets that make no profile. Upstream: NewFramework.
    init(name: String, sets: PluginSets, arguments: PluginArguments, percentageOfNodes: Int = 0) throws(PluginSetError) {
        let acting = try sets.expanded()
        func names(_ point: ExtensionPoint) -> [String] { acting[point] ?? [] }
        let sorts = names(.queueSort).count
        guard sorts == 1 else {
            throw PluginSetError("only one queue sort plugin required for profile with scheduler name \(name.goQuoted), but got \(sorts)")
        }
        guard !names(.bind).isEmpty else {
            throw PluginSetError("at least one bind plugin is needed for profile with scheduler name \(name.goQuoted)")
        }
        self.name = name
        preFilters = names(.preFilter).compactMap { Self.filter($0, arguments) }
        filters = names(.filter).compactMap { Self.filter($0, arguments) }
        scores = names(.score).compactMap { name in
            Self.score(name, arguments).map { Weighted(plugin: $0, weight: sets.weight(of: name)) }
        }
        preemption = names(.postFilter).contains("DefaultPreemption") ? arguments.preemption : nil
        waitsForClaims = names(.preEnqueue).contains(DynamicResources.name)
        tellsOfDevices = names(.postFilter).contains(DynamicResources.name)
        holdsGatedPods = names(.preEnqueue).contains(SchedulingGates.name)
        volumePatience = names(.preBind).contains("VolumeBinding") ? arguments.bindTimeout : nil
        self.percentageOfNodes = percentageOfNodes
    }

    private static func filter(_ name: String, _ arguments: PluginArguments) -> (any FilterPlugin)? {
        switch name {
        case "NodeUnschedulable": NodeUnschedulable()
        case "NodeName": NodeName()
        case "TaintToleration": TaintToleration()
        case "NodeAffinity": NodeAffinity(arguments.nodeAffinity)
        case "NodePorts": NodePorts()
        case "NodeResourcesFit": NodeResourcesFit(arguments.fit)
        case "VolumeRestrictions": VolumeRestrictions()
        case "NodeVolumeLimits": NodeVolumeLimits()
        case "VolumeBinding": VolumeBinding()
        case "VolumeZone": VolumeZone()
        case "PodTopologySpread": PodTopologySpread(arguments.spread)
        case "InterPodAffinity": InterPodAffinity(arguments.interPodAffinity)
        case DynamicResources.name: DynamicResources()
        default: nil
        }
    }

    private static func score(_ name: String, _ arguments: PluginArguments) -> (any ScorePlugin)? {
        switch name {
        case "TaintToleration": TaintToleration()
        case "NodeAffinity": NodeAffinity(arguments.nodeAffinity)
        case "NodeResourcesFit": NodeResourcesFit(arguments.fit)
        case "NodeResourcesBalancedAllocation": NodeResourcesBalancedAllocation(arguments.balanced)
        case "PodTopologySpread": PodTopologySpread(arguments.spread)
        case "InterPodAffinity": InterPodAffinity(arguments.interPodAffinity)
        case "ImageLocality": ImageLocality()
        // Upstream it scores without a shape, too, with a feature that is off there.
        case "VolumeBinding": arguments.storageShape.map { VolumeBinding(shape: $0) }
        default: nil
        }
    }
}
