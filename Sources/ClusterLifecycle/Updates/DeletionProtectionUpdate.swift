import AWSProtocol

/// Protects a cluster from DeleteCluster, or no longer. Upstream: eks UpdateClusterConfigRequest.deletionProtection.
package struct DeletionProtectionUpdate: ClusterUpdate, Codable, Equatable {
    package var enabled: Bool

    package init(enabled: Bool) { self.enabled = enabled }

    var type: String { "DeletionProtectionUpdate" }

    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError) {
        guard enabled != cluster.deletionProtection else {
            throw EKSFault.invalidParameter(
                "Deletion protection is already \(enabled ? "enabled" : "disabled") for cluster \(cluster.name)",
                ["clusterName": .string(cluster.name)])
        }
    }

    func apply(to cluster: inout ClusterRecord, now: Double) { cluster.deletionProtection = enabled }

    func parameters(_ changed: ClusterRecord) -> [UpdateParameter] { [UpdateParameter(type: "DeletionProtection", value: String(enabled))] }
}
