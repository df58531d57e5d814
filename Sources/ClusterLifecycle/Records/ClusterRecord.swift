/// A cluster's place in its life. Upstream: eks ClusterStatus.
///
/// ```
/// CREATING ─▶ ACTIVE ⇄ UPDATING
///    │          │
///    ▼          ▼
///  FAILED ──▶ DELETING ─▶ (gone)
/// ```
package enum ClusterStatus: String, Codable, Sendable {
    case creating = "CREATING"
    case active = "ACTIVE"
    case deleting = "DELETING"
    case failed = "FAILED"
    case updating = "UPDATING"
}

/// What is wrong with a cluster or node group. Upstream: eks ClusterIssue, Issue.
package struct HealthIssue: Codable, Sendable, Equatable {
    /// One of the model's codes, e.g. `InsufficientFreeAddresses`.
    package var code: String
    package var message: String
    package var resourceIDs: [String]

    package init(code: String, message: String, resourceIDs: [String] = []) {
        self.code = code
        self.message = message
        self.resourceIDs = resourceIDs
    }
}

/// Where a cluster lives in its VPC. Upstream: eks VpcConfigResponse and KubernetesNetworkConfigResponse.
package struct ClusterNetwork: Codable, Sendable, Equatable {
    package var vpcID: String
    package var vpcCIDR: String
    package var subnetIDs: [String]
    package var securityGroupIDs: [String]
    /// Made while CREATING: `eks-cluster-sg-<name>-<id>`.
    package var clusterSecurityGroupID: String?
    package var endpointPublicAccess: Bool
    package var endpointPrivateAccess: Bool
    /// Kept while there is no public endpoint, too. Of IPv6 as well in an IPv6 cluster, without effect.
    package var publicAccessCIDRs: [String]
    /// `10.100.0.0/16` or `172.20.0.0/16`, whichever does not meet the VPC's range, or what the caller asked for. Empty in an IPv6 cluster.
    package var serviceIPv4CIDR: String
    /// A /108 of the unique-local addresses; nil: pods and Services have IPv4 addresses.
    package var serviceIPv6CIDR: String?
    /// The VPC's own, in an IPv6 cluster.
    package var vpcIPv6CIDRs: [String]?
    /// The control plane's network interfaces, described `Amazon EKS <name>`.
    package var networkInterfaceIDs: [String]

    /// Whether pods and Services have IPv6 addresses, and those only.
    package var isIPv6: Bool { serviceIPv6CIDR != nil }
    /// Upstream: eks IpFamily.
    package var ipFamily: String { isIPv6 ? "ipv6" : "ipv4" }
    /// The range that Services' addresses come from.
    package var serviceCIDR: String { serviceIPv6CIDR ?? serviceIPv4CIDR }

    package init(
        vpcID: String, vpcCIDR: String, subnetIDs: [String], securityGroupIDs: [String], clusterSecurityGroupID: String? = nil,
        endpointPublicAccess: Bool = true, endpointPrivateAccess: Bool = false, publicAccessCIDRs: [String] = ["0.0.0.0/0"],
        serviceIPv4CIDR: String = "10.100.0.0/16", networkInterfaceIDs: [String] = []
    ) {
        self.vpcID = vpcID
        self.vpcCIDR = vpcCIDR
        self.subnetIDs = subnetIDs
        self.securityGroupIDs = securityGroupIDs
        self.clusterSecurityGroupID = clusterSecurityGroupID
        self.endpointPublicAccess = endpointPublicAccess
        self.endpointPrivateAccess = endpointPrivateAccess
        self.publicAccessCIDRs = publicAccessCIDRs
        self.serviceIPv4CIDR = serviceIPv4CIDR
        self.networkInterfaceIDs = networkInterfaceIDs
    }
}

/// Who may reach the Kubernetes API. Upstream: eks AccessConfigResponse.
package struct ClusterAccess: Codable, Sendable, Equatable {
    /// `CONFIG_MAP`, `API_AND_CONFIG_MAP` or `API`.
    package var authenticationMode: String
    package var bootstrapClusterCreatorAdminPermissions: Bool
    /// The IAM principal that called CreateCluster, canonical: `arn:aws:iam::…:user/x` or `arn:aws:iam::…:role/y`.
    package var creatorARN: String

    package init(authenticationMode: String = "CONFIG_MAP", bootstrapClusterCreatorAdminPermissions: Bool = true, creatorARN: String) {
        self.authenticationMode = authenticationMode
        self.bootstrapClusterCreatorAdminPermissions = bootstrapClusterCreatorAdminPermissions
        self.creatorARN = creatorARN
    }
}

/// The last update to a newer version: for a week it can be gone back on.
package struct ClusterUpgrade: Codable, Sendable, Equatable {
    /// `1.35`
    package var from: String
    /// Seconds since 1970.
    package var at: Double
}

/// A cluster as the service keeps it: what was asked for, and how far it has come.
package struct ClusterRecord: Codable, Sendable, Equatable {
    package var name: String
    /// 32 upper-case hexadecimal digits: names the OIDC issuer and the endpoint.
    package var id: String
    package var arn: String
    package var accountID: String
    package var region: String
    /// Seconds since 1970.
    package var createdAt: Double
    /// `1.36`
    package var version: String
    /// `eks.1`
    package var platformVersion: String
    package var roleARN: String
    package var network: ClusterNetwork
    package var access: ClusterAccess
    /// The log types switched on, of api, audit, authenticator, controllerManager, scheduler.
    package var enabledLogTypes: [String]
    /// `STANDARD` or `EXTENDED`.
    package var supportType: String
    package var deletionProtection: Bool
    package var bootstrapSelfManagedAddons: Bool
    package var zonalShiftEnabled: Bool
    package var tags: [String: String]
    package var clientRequestToken: String?
    package var status: ClusterStatus
    /// Set once the control plane answers: never shown while CREATING.
    package var endpoint: ControlPlaneEndpoint?
    package var health: [HealthIssue]
    package var lastUpgrade: ClusterUpgrade?
    /// Nil: Secrets are in the store as they are.
    package var encryption: ClusterEncryption?
    /// Nil: EKS Auto Mode is off.
    package var autoMode: AutoModeConfig?
    /// Whether a request has ever named computeConfig or storageConfig. Nil in older records, and where none has.
    package var autoModeAsked: Bool?
    /// Whether a request has ever named zonalShiftConfig. Nil in older records, and where none has.
    package var zonalShiftAsked: Bool?
    /// Once the cluster has had a second one; see `certificateAuthorities`.
    package var authorities: [ClusterAuthority]?
    /// Nil: standard.
    package var scalingTier: ControlPlaneTier?
    package var remoteNetworks: RemoteNetworks?

    package var tier: ControlPlaneTier { scalingTier ?? .standard }
    /// Whether computeConfig and storageConfig are described. Upstream: DescribeCluster leaves out what no request has named.
    package var showsAutoMode: Bool { autoModeAsked ?? (autoMode != nil) }
    /// Whether zonalShiftConfig is described.
    package var showsZonalShift: Bool { zonalShiftAsked ?? zonalShiftEnabled }

    package init(
        name: String, id: String, arn: String, accountID: String, region: String, createdAt: Double, version: String,
        platformVersion: String = "eks.1",
        roleARN: String, network: ClusterNetwork, access: ClusterAccess, enabledLogTypes: [String] = [], supportType: String = "EXTENDED",
        deletionProtection: Bool = false, bootstrapSelfManagedAddons: Bool = true, zonalShiftEnabled: Bool = false, tags: [String: String] = [:],
        clientRequestToken: String? = nil, status: ClusterStatus = .creating, endpoint: ControlPlaneEndpoint? = nil, health: [HealthIssue] = []
    ) {
        self.name = name
        self.id = id
        self.arn = arn
        self.accountID = accountID
        self.region = region
        self.createdAt = createdAt
        self.version = version
        self.platformVersion = platformVersion
        self.roleARN = roleARN
        self.network = network
        self.access = access
        self.enabledLogTypes = enabledLogTypes
        self.supportType = supportType
        self.deletionProtection = deletionProtection
        self.bootstrapSelfManagedAddons = bootstrapSelfManagedAddons
        self.zonalShiftEnabled = zonalShiftEnabled
        self.tags = tags
        self.clientRequestToken = clientRequestToken
        self.status = status
        self.endpoint = endpoint
        self.health = health
    }
}
