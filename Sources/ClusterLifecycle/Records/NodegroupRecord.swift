/// A node group's place in its life. Upstream: eks NodegroupStatus.
///
/// ```
/// CREATING ─▶ ACTIVE ⇄ UPDATING        ACTIVE ⇄ DEGRADED
///    │           │
///    ▼           ▼
/// CREATE_FAILED ▶ DELETING ─▶ (gone) or DELETE_FAILED
/// ```
package enum NodegroupStatus: String, Codable, Sendable {
    case creating = "CREATING"
    case active = "ACTIVE"
    case updating = "UPDATING"
    case deleting = "DELETING"
    case createFailed = "CREATE_FAILED"
    case deleteFailed = "DELETE_FAILED"
    case degraded = "DEGRADED"
}

/// Upstream: eks NodegroupScalingConfig.
package struct ScalingConfig: Codable, Sendable, Equatable {
    package var minSize: Int
    package var maxSize: Int
    package var desiredSize: Int

    package init(minSize: Int, maxSize: Int, desiredSize: Int) {
        self.minSize = minSize
        self.maxSize = maxSize
        self.desiredSize = desiredSize
    }
}

/// A taint in Kubernetes' words. EKS writes the effect `NO_SCHEDULE`, Kubernetes `NoSchedule`: records hold Kubernetes'.
package struct NodeTaint: Codable, Sendable, Equatable {
    package var key: String
    package var value: String?
    /// `NoSchedule`, `NoExecute` or `PreferNoSchedule`.
    package var effect: String

    package init(key: String, value: String? = nil, effect: String) {
        self.key = key
        self.value = value
        self.effect = effect
    }
}

/// How many nodes an update may take at once. Upstream: eks NodegroupUpdateConfig.
package struct NodegroupUpdateConfig: Codable, Sendable, Equatable {
    package var maxUnavailable: Int?
    package var maxUnavailablePercentage: Int?
    package var updateStrategy: String?

    package init(maxUnavailable: Int? = nil, maxUnavailablePercentage: Int? = nil, updateStrategy: String? = nil) {
        self.maxUnavailable = maxUnavailable
        self.maxUnavailablePercentage = maxUnavailablePercentage
        self.updateStrategy = updateStrategy
    }

    /// The strategy of a group for which none was named. Upstream: eks NodegroupUpdateStrategies.
    package static let standardStrategy = "DEFAULT"

    /// One node at a time where it does not say how many.
    var orOneNode: NodegroupUpdateConfig {
        guard maxUnavailable == nil, maxUnavailablePercentage == nil else { return self }
        return NodegroupUpdateConfig(maxUnavailable: 1, updateStrategy: updateStrategy)
    }

    /// This with what `change` says; the number and the share of nodes replace one another.
    func changed(by change: NodegroupUpdateConfig) -> NodegroupUpdateConfig {
        let isCounted = change.maxUnavailable != nil || change.maxUnavailablePercentage != nil
        return NodegroupUpdateConfig(
            maxUnavailable: isCounted ? change.maxUnavailable : maxUnavailable,
            maxUnavailablePercentage: isCounted ? change.maxUnavailablePercentage : maxUnavailablePercentage,
            updateStrategy: change.updateStrategy ?? updateStrategy)
    }
}

/// A managed node group as the service keeps it.
package struct NodegroupRecord: Codable, Sendable, Equatable {
    package var clusterName: String
    package var name: String
    /// The last part of the ARN: a UUID.
    package var id: String
    package var arn: String
    /// Seconds since 1970.
    package var createdAt: Double
    package var modifiedAt: Double
    package var version: String
    /// `1.36.2-20260901`
    package var releaseVersion: String
    package var scaling: ScalingConfig
    /// In the order of preference; empty where the launch template names the type.
    package var instanceTypes: [String]
    package var subnetIDs: [String]
    package var amiType: String
    /// `ON_DEMAND`, `SPOT` or `CAPACITY_BLOCK`.
    package var capacityType: String
    package var nodeRoleARN: String
    package var labels: [String: String]
    package var taints: [NodeTaint]
    /// Gibibytes.
    package var diskSize: Int
    package var updateConfig: NodegroupUpdateConfig
    /// Nil: nothing is repaired.
    package var nodeRepair: NodeRepairConfig?
    package var remoteAccess: RemoteAccessConfig?
    /// Nil: there never was one.
    package var warmPool: WarmPoolConfig?
    /// Why the warm pool is not full, after a launch into it has failed.
    package var warmPoolProblem: HealthIssue?
    package var tags: [String: String]
    package var clientRequestToken: String?
    /// `eks-<name>-<uuid>`, as the Auto Scaling group is called.
    package var autoScalingGroupName: String
    package var status: NodegroupStatus
    package var health: [HealthIssue]
    /// The user's launch template; nil for a group without one.
    package var template: NodegroupTemplate?
    /// What its nodes are, as the tag `eyrie.dev/runtime` said when it was made; nil: machines.
    package var runtime: String?
    /// Set while the nodes are replaced by ones of another release.
    package var rollout: NodegroupRollout?
    /// Set until the nodes have their new labels and taints.
    package var nodeChange: NodeChange?

    /// Whether its nodes are records.
    var isSimulated: Bool { runtime == SimulatedInstancesStep.runtime }

    /// The version that instances are launched with.
    var launchVersion: String { rollout?.version ?? version }
    var launchRelease: String { rollout?.releaseVersion ?? releaseVersion }
    /// The launch template that instances are launched by.
    var launchTemplate: NodegroupTemplate? { rollout?.template ?? template }

    package init(
        clusterName: String, name: String, id: String, arn: String, createdAt: Double, version: String, releaseVersion: String,
        scaling: ScalingConfig,
        instanceTypes: [String] = ["t3.medium"], subnetIDs: [String], amiType: String = "AL2023_x86_64_STANDARD", capacityType: String = "ON_DEMAND",
        nodeRoleARN: String, labels: [String: String] = [:], taints: [NodeTaint] = [], diskSize: Int = 20,
        updateConfig: NodegroupUpdateConfig = NodegroupUpdateConfig(maxUnavailable: 1), tags: [String: String] = [:],
        clientRequestToken: String? = nil, autoScalingGroupName: String, status: NodegroupStatus = .creating, health: [HealthIssue] = []
    ) {
        self.clusterName = clusterName
        self.name = name
        self.id = id
        self.arn = arn
        self.createdAt = createdAt
        self.modifiedAt = createdAt
        self.version = version
        self.releaseVersion = releaseVersion
        self.scaling = scaling
        self.instanceTypes = instanceTypes
        self.subnetIDs = subnetIDs
        self.amiType = amiType
        self.capacityType = capacityType
        self.nodeRoleARN = nodeRoleARN
        self.labels = labels
        self.taints = taints
        self.diskSize = diskSize
        self.updateConfig = updateConfig
        self.tags = tags
        self.clientRequestToken = clientRequestToken
        self.autoScalingGroupName = autoScalingGroupName
        self.status = status
        self.health = health
    }
}
