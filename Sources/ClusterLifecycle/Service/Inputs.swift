package import AWSProtocol

/// What CreateCluster asks for, already of the right form. Upstream: eks CreateClusterRequest.
package struct CreateClusterInput: Sendable {
    package var name: String
    package var version: String?
    package var roleARN: String
    package var subnetIDs: [String]
    package var securityGroupIDs: [String] = []
    package var endpointPublicAccess = true
    package var endpointPrivateAccess = false
    package var publicAccessCIDRs: [String] = []
    package var serviceIPv4CIDR: String?
    /// Whether pods and Services are to have IPv6 addresses.
    package var isIPv6 = false
    package var authenticationMode: String?
    package var bootstrapClusterCreatorAdminPermissions = true
    package var supportType: String?
    package var encryption: ClusterEncryption?
    package var tier: ControlPlaneTier?
    package var remoteNetworks: RemoteNetworks?
    /// Of api, audit, authenticator, controllerManager, scheduler.
    package var enabledLogTypes: [String] = []
    package var deletionProtection = false
    /// Nil: the caller does not say.
    package var bootstrapSelfManagedAddons: Bool?
    /// Nil: the caller does not say.
    package var zonalShiftEnabled: Bool?
    package var autoMode = AutoModeRequest()
    package var tags: [String: String] = [:]
    package var token: IdempotencyToken?

    package init(name: String, roleARN: String, subnetIDs: [String]) {
        self.name = name
        self.roleARN = roleARN
        self.subnetIDs = subnetIDs
    }
}

/// What CreateNodegroup asks for. Upstream: eks CreateNodegroupRequest.
package struct CreateNodegroupInput: Sendable {
    package var clusterName: String
    package var name: String
    package var scaling: ScalingConfig?
    package var subnetIDs: [String]
    package var instanceTypes: [String] = []
    package var amiType: String?
    package var capacityType: String?
    package var nodeRoleARN: String
    package var labels: [String: String] = [:]
    package var taints: [NodeTaint] = []
    package var diskSize: Int?
    package var launchTemplate: LaunchTemplateReference?
    package var version: String?
    package var releaseVersion: String?
    package var updateConfig: NodegroupUpdateConfig?
    package var nodeRepair: NodeRepairConfig?
    package var remoteAccess: RemoteAccessConfig?
    package var warmPool: WarmPoolChange?
    package var tags: [String: String] = [:]
    package var token: IdempotencyToken?

    package init(clusterName: String, name: String, subnetIDs: [String], nodeRoleARN: String) {
        self.clusterName = clusterName
        self.name = name
        self.subnetIDs = subnetIDs
        self.nodeRoleARN = nodeRoleARN
    }
}

/// What UpdateNodegroupConfig asks for. Upstream: eks UpdateNodegroupConfigRequest.
package struct UpdateNodegroupConfigInput: Sendable {
    package var clusterName: String
    package var name: String
    package var minSize: Int?
    package var maxSize: Int?
    package var desiredSize: Int?
    package var nodes = NodeChange()
    /// What it leaves out stays.
    package var updateConfig: NodegroupUpdateConfig?
    package var nodeRepair: NodeRepairConfig?
    package var warmPool: WarmPoolChange?
    package var token: IdempotencyToken?

    package init(clusterName: String, name: String) {
        self.clusterName = clusterName
        self.name = name
    }
}
