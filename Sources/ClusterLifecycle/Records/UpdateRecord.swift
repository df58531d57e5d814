import AWSProtocol

/// Upstream: eks UpdateStatus.
package enum UpdateStatus: String, Codable, Sendable {
    case inProgress = "InProgress"
    case failed = "Failed"
    case cancelled = "Cancelled"
    case successful = "Successful"
}

/// Upstream: eks UpdateParam. `value` is always a string, at times a JSON document.
package struct UpdateParameter: Codable, Sendable, Equatable {
    package var type: String
    package var value: String

    package init(type: String, value: String) {
        self.type = type
        self.value = value
    }

    init(type: String, json: AWSJSON) { self.init(type: type, value: String(decoding: json.encoded, as: UTF8.self)) }
}

/// What an update is of. Upstream: eks DescribeUpdateRequest names at most one of nodegroupName, addonName and capabilityName.
package enum UpdateTarget: Sendable, Equatable {
    case cluster
    case nodegroup(String)
    case addon(String)
    case capability(String)
}

/// One change of a cluster or of what belongs to it, kept after it is done. Upstream: eks Update.
package struct UpdateRecord: Codable, Sendable, Equatable {
    /// A UUID.
    package var id: String
    package var clusterName: String
    /// Set when the update is a node group's.
    package var nodegroup: String?
    /// Set when the update is an add-on's.
    package var addon: String?
    /// Set when the update is a capability's.
    package var capability: String?
    /// `ConfigUpdate`, `VersionUpdate`, …
    package var type: String
    package var status: UpdateStatus
    package var parameters: [UpdateParameter]
    /// Seconds since 1970.
    package var createdAt: Double
    /// Upstream: eks ErrorDetail; `code` is an eks ErrorCode.
    package var errors: [HealthIssue]
    package var clientRequestToken: String?
    /// Of a cluster's update: what it does.
    var change: ClusterChange?

    package init(
        id: String, clusterName: String, nodegroup: String? = nil, type: String, status: UpdateStatus = .inProgress, parameters: [UpdateParameter],
        createdAt: Double, errors: [HealthIssue] = [], clientRequestToken: String? = nil
    ) {
        self.id = id
        self.clusterName = clusterName
        self.nodegroup = nodegroup
        self.type = type
        self.status = status
        self.parameters = parameters
        self.createdAt = createdAt
        self.errors = errors
        self.clientRequestToken = clientRequestToken
    }

    package var target: UpdateTarget {
        if let nodegroup { return .nodegroup(nodegroup) }
        if let addon { return .addon(addon) }
        return capability.map(UpdateTarget.capability) ?? .cluster
    }

    var isOfCluster: Bool { target == .cluster }
}
