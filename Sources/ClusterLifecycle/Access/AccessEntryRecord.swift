/// What an access entry is for. Upstream: eks CreateAccessEntryRequest.type.
package enum AccessEntryType: String, Codable, Sendable, CaseIterable {
    case standard = "STANDARD"
    case ec2Linux = "EC2_LINUX"
    case ec2Windows = "EC2_WINDOWS"
    case fargateLinux = "FARGATE_LINUX"
    case hybridLinux = "HYBRID_LINUX"
    /// Nodes of Auto Mode.
    case ec2 = "EC2"
    case hyperpodLinux = "HYPERPOD_LINUX"

    /// The Kubernetes user of a node; nil for STANDARD, where the principal decides.
    var nodeUserName: String? {
        switch self {
        case .standard: nil
        case .ec2Linux, .ec2Windows, .ec2: "system:node:{{EC2PrivateDNSName}}"
        case .fargateLinux, .hybridLinux, .hyperpodLinux: "system:node:{{SessionName}}"
        }
    }

    /// What EKS puts nodes into.
    var nodeGroups: [String] {
        switch self {
        case .standard: []
        case .ec2Windows: ["eks:kube-proxy-windows", "system:nodes"]
        case .fargateLinux: ["system:node-proxier", "system:nodes"]
        case .ec2Linux, .ec2, .hybridLinux, .hyperpodLinux: ["system:nodes"]
        }
    }

    /// Whether who makes the entry must be allowed to pass the role. Upstream: EKS User Guide, "Create access entries".
    var needsPassRole: Bool { self == .ec2Linux || self == .ec2Windows }
}

/// An access policy of an entry. Upstream: eks AssociatedAccessPolicy.
package struct AssociatedPolicy: Codable, Sendable, Equatable {
    package var arn: String
    /// Nil: the scope is the cluster.
    package var namespaces: [String]?
    /// Seconds since 1970.
    package var associatedAt: Double
    package var modifiedAt: Double

    package init(arn: String, namespaces: [String]?, associatedAt: Double) {
        self.arn = arn
        self.namespaces = namespaces
        self.associatedAt = associatedAt
        modifiedAt = associatedAt
    }
}

/// One IAM principal with its place in a cluster. Upstream: eks AccessEntry.
package struct AccessEntryRecord: Codable, Sendable, Equatable {
    package var clusterName: String
    package var principalARN: String
    /// The unique id of the principal when the entry was made: one made anew under the same name is another. Nil for another account's.
    package var principalID: String?
    package var arn: String
    package var type: AccessEntryType
    package var userName: String
    package var groups: [String]
    /// In the order of association.
    package var policies: [AssociatedPolicy]
    package var tags: [String: String]
    /// Seconds since 1970.
    package var createdAt: Double
    package var modifiedAt: Double
    /// Whether EKS made it for a managed node group or a Fargate profile: it goes with the last of its role.
    package var isOfNodegroups: Bool

    package init(
        clusterName: String, principalARN: String, principalID: String?, arn: String, type: AccessEntryType, userName: String, groups: [String],
        policies: [AssociatedPolicy] = [], tags: [String: String] = [:], createdAt: Double, isOfNodegroups: Bool = false
    ) {
        self.clusterName = clusterName
        self.principalARN = principalARN
        self.principalID = principalID
        self.arn = arn
        self.type = type
        self.userName = userName
        self.groups = groups
        self.policies = policies
        self.tags = tags
        self.createdAt = createdAt
        modifiedAt = createdAt
        self.isOfNodegroups = isOfNodegroups
    }
}
