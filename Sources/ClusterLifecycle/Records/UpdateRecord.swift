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
}

/// One change of a cluster or node group, kept after it is done. Upstream: eks Update.
package struct UpdateRecord: Codable, Sendable, Equatable {
    /// A UUID.
    package var id: String
    package var clusterName: String
    /// Set when the update is a node group's.
    package var nodegroup: String?
    /// `ConfigUpdate`, `VersionUpdate`, …
    package var type: String
    package var status: UpdateStatus
    package var parameters: [UpdateParameter]
    /// Seconds since 1970.
    package var createdAt: Double
    /// Upstream: eks ErrorDetail; `code` is an eks ErrorCode.
    package var errors: [HealthIssue]
    package var clientRequestToken: String?

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
}
