import AWSProtocol

/// Allows or forbids zonal shift. Shifts that last have no effect while it is forbidden. Upstream: eks ZonalShiftConfigRequest.
package struct ZonalShiftUpdate: ClusterUpdate, Codable, Equatable {
    package var enabled: Bool

    package init(enabled: Bool) { self.enabled = enabled }

    var type: String { "ZonalShiftConfigUpdate" }

    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError) {
        guard enabled != cluster.zonalShiftEnabled else {
            throw EKSFault.invalidParameter(
                "Zonal shift is already \(enabled ? "enabled" : "disabled") for cluster \(cluster.name)", ["clusterName": .string(cluster.name)])
        }
    }

    func apply(to cluster: inout ClusterRecord, now: Double) {
        cluster.zonalShiftEnabled = enabled
        cluster.zonalShiftAsked = true
    }

    func parameters(_ changed: ClusterRecord) -> [UpdateParameter] {
        [UpdateParameter(type: "ZonalShiftConfig", json: ["enabled": .bool(enabled)])]
    }
}
