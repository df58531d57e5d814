import AWSProtocol

/// Switches log types on and off. What the cluster's record holds as enabled is what log delivery goes by. Upstream: eks Logging.
package struct LoggingUpdate: ClusterUpdate, Codable, Equatable {
    /// In the order EKS shows them.
    package static let allTypes = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

    package var enable: [String]
    package var disable: [String]

    package init(enable: [String], disable: [String]) {
        self.enable = enable
        self.disable = disable
    }

    var type: String { "LoggingUpdate" }

    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name)]
        if let both = enable.first(where: disable.contains) {
            throw EKSFault.invalidParameter("The log type \(both) cannot be enabled and disabled at once", fields)
        }
        var changed = cluster
        apply(to: &changed, now: now)
        guard changed.enabledLogTypes != cluster.enabledLogTypes else {
            throw EKSFault.invalidParameter("No changes needed for the logging config provided", fields)
        }
    }

    func apply(to cluster: inout ClusterRecord, now: Double) {
        let enabled = cluster.enabledLogTypes
        cluster.enabledLogTypes = Self.allTypes.filter { (enabled.contains($0) || enable.contains($0)) && !disable.contains($0) }
    }

    func parameters(_ changed: ClusterRecord) -> [UpdateParameter] {
        let setups: [(types: [String], enabled: Bool)] = [(enable, true), (disable, false)]
        let shown = setups.filter { !$0.types.isEmpty }.map { setup -> AWSJSON in
            ["types": .strings(Self.allTypes.filter(setup.types.contains)), "enabled": .bool(setup.enabled)]
        }
        return [UpdateParameter(type: "ClusterLogging", json: ["clusterLogging": .array(shown)])]
    }
}
