import AWSProtocol

/// Upstream: eks InsightStatusValue.
package enum InsightStatus: String, Codable, Sendable {
    case passing = "PASSING"
    case warning = "WARNING"
    case error = "ERROR"
    case unknown = "UNKNOWN"
}

/// One thing that an insight is about. Upstream: eks InsightResourceDetail.
package struct InsightResource: Codable, Sendable, Equatable {
    package var status: InsightStatus
    package var reason: String
    /// `/api/v1/nodes/ip-10-0-0-1`, for what is in the cluster.
    package var uri: String?
    /// For what is in the account.
    package var arn: String?
}

/// A deprecated version with its users. Upstream: eks DeprecationDetail.
package struct InsightDeprecation: Codable, Sendable, Equatable {
    /// `/api/v1/endpoints`
    package var usage: String
    package var clients: [ClusterInspection.Deprecated]
}

/// An add-on and the versions of it that the next Kubernetes version takes. Upstream: eks AddonCompatibilityDetail.
package struct InsightAddon: Codable, Sendable, Equatable {
    package var name: String
    package var compatibleVersions: [String]
}

/// What one check found. Upstream: eks Insight.
package struct InsightRecord: Codable, Sendable, Equatable {
    /// A UUID that stays the same for a check of a cluster.
    package var id: String
    package var clusterName: String
    package var name: String
    /// `UPGRADE_READINESS`, `MISCONFIGURATION` or `ROLLBACK_READINESS`.
    package var category: String
    /// The version that the cluster would go to.
    package var version: String?
    package var status: InsightStatus
    package var reason: String
    package var description: String
    package var recommendation: String
    package var resources: [InsightResource]
    package var deprecations: [InsightDeprecation]
    /// Nil for one of an earlier version.
    package var addons: [InsightAddon]?
    /// Seconds since 1970.
    package var refreshedAt: Double
    package var changedAt: Double
}

/// The last refresh that was asked for. Upstream: eks DescribeInsightsRefreshResponse.
package struct InsightsRefreshRecord: Codable, Sendable, Equatable {
    package var clusterName: String
    /// `IN_PROGRESS`, `FAILED` or `COMPLETED`.
    package var status: String
    package var message: String
    /// Seconds since 1970.
    package var startedAt: Double
    package var endedAt: Double?
}
