import AWSProtocol

/// Chooses what happens at the end of standard support. Upstream: eks UpgradePolicyRequest: extended support cannot be left once it has begun, and
/// must be chosen before standard support ends.
package struct UpgradePolicyUpdate: ClusterUpdate, Codable, Equatable {
    /// `STANDARD` or `EXTENDED`.
    package var supportType: String

    package init(supportType: String) { self.supportType = supportType }

    var type: String { "UpgradePolicyUpdate" }

    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name)]
        guard supportType != cluster.supportType else {
            throw EKSFault.invalidParameter("Cluster \(cluster.name) already has the upgrade policy supportType \(supportType)", fields)
        }
        guard KubernetesVersions.named(cluster.version)?.status(at: now) == "STANDARD_SUPPORT" else {
            throw EKSFault.invalidRequest(
                "The upgrade policy of cluster \(cluster.name) cannot be changed: Kubernetes version \(cluster.version) is not in standard support",
                fields)
        }
    }

    func apply(to cluster: inout ClusterRecord, now: Double) { cluster.supportType = supportType }

    func parameters(_ changed: ClusterRecord) -> [UpdateParameter] {
        [UpdateParameter(type: "UpgradePolicy", json: ["supportType": .string(supportType)])]
    }
}
