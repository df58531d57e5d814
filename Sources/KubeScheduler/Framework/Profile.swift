/// The plugins, in the order they are asked. Upstream: the default profile (getDefaultPlugins).
struct Profile: Sendable {
    var filters: [any FilterPlugin]
    var scores: [any ScorePlugin]

    static let standard = Profile(
        filters: [
            NodeUnschedulable(), NodeName(), TaintToleration(), NodeAffinity(), NodePorts(), NodeResourcesFit(), VolumeRestrictions(),
            NodeVolumeLimits(), VolumeBinding(), VolumeZone(), PodTopologySpread(), InterPodAffinity(),
        ],
        scores: [
            TaintToleration(), NodeAffinity(), NodeResourcesFit(), NodeResourcesBalancedAllocation(), PodTopologySpread(), InterPodAffinity(),
            ImageLocality(),
        ])
}
