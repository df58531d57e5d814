import AWSProtocol

/// How much a control plane takes at once. Upstream: eks ProvisionedControlPlaneTier; EKS User Guide, "Amazon EKS Provisioned Control Plane".
package enum ControlPlaneTier: String, Codable, Sendable, CaseIterable {
    case standard
    case extraLarge = "tier-xl"
    case extraLarge2 = "tier-2xl"
    case extraLarge4 = "tier-4xl"
    case extraLarge8 = "tier-8xl"

    /// API requests worked on at once; nil: as many as an API server takes by default.
    package var seats: Int? {
        switch self {
        case .standard: nil
        case .extraLarge: 1_700
        case .extraLarge2: 3_400
        case .extraLarge4: 6_800
        case .extraLarge8: 13_600
        }
    }
}

/// Gives a cluster's control plane another tier. Upstream: eks UpdateClusterConfigRequest.controlPlaneScalingConfig.
package struct ScalingTierUpdate: ClusterUpdate, Codable, Equatable {
    package var tier: ControlPlaneTier
    /// The tier before, as the update shows it.
    var previous = ControlPlaneTier.standard

    package init(tier: ControlPlaneTier) { self.tier = tier }

    var type: String { "ControlPlaneScalingConfigUpdate" }

    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError) {
        guard tier != cluster.tier else {
            throw EKSFault.invalidParameter(
                "Cluster \(cluster.name) already has the control plane tier \(tier.rawValue)", ["clusterName": .string(cluster.name)])
        }
    }

    func apply(to cluster: inout ClusterRecord, now: Double) { cluster.scalingTier = tier }

    func parameters(_ changed: ClusterRecord) -> [UpdateParameter] {
        [UpdateParameter(type: "UpdatedTier", value: tier.rawValue), UpdateParameter(type: "PreviousTier", value: previous.rawValue)]
    }
}
