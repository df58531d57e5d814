package import AWSProtocol

/// Another Kubernetes version: the next minor, or for a week the one before. Upstream: eks UpdateClusterVersion, UpdateType VersionUpdate and
/// VersionRollback.
package struct VersionUpdate: ClusterUpdate, Codable, Equatable {
    /// How long after an update the version before it can be gone back to. Upstream: EKS User Guide, "Roll back a cluster's version".
    static let rollbackWindow: Double = 7 * 86_400

    /// `1.36`
    package var version: String
    package var isRollback: Bool
    /// EKS itself begins it, at the end of support: node groups that lag do not stop it.
    package var isAutomatic: Bool

    package init(version: String, isRollback: Bool = false, isAutomatic: Bool = false) {
        self.version = version
        self.isRollback = isRollback
        self.isAutomatic = isAutomatic
    }

    var type: String { isRollback ? "VersionRollback" : "VersionUpdate" }

    /// Whether going to `version` is going back: the cluster came from there within a week.
    static func isRollback(_ cluster: ClusterRecord, to version: String, now: Double) -> Bool {
        guard let upgrade = cluster.lastUpgrade, upgrade.from == version else { return false }
        return now - upgrade.at <= rollbackWindow
    }

    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name)]
        guard let target = KubernetesVersions.named(version), target.status(at: now) != "UNSUPPORTED" else {
            throw EKSFault.invalidParameter("unsupported Kubernetes version \(version.prefix(32))", fields)
        }
        guard isRollback || target.minor == (KubernetesVersions.named(cluster.version)?.minor ?? 0) + 1 else {
            throw EKSFault.invalidParameter("Unsupported Kubernetes minor version update from \(cluster.version) to \(version)", fields)
        }
        guard !isAutomatic, !isRollback else { return }
        let behind = tables.nodegroups(of: cluster.name).filter { $0.version != cluster.version }.map(\.name).sorted()
        guard behind.isEmpty else {
            throw EKSFault.invalidParameter(
                "Nodegroups \(behind.joined(separator: ", ")) must be updated to match cluster version \(cluster.version) before updating cluster "
                    + "version", fields)
        }
    }

    func apply(to cluster: inout ClusterRecord, now: Double) {
        guard let target = KubernetesVersions.named(version) else { return }
        cluster.lastUpgrade = isRollback ? nil : ClusterUpgrade(from: cluster.version, at: now)
        cluster.version = target.name
        cluster.platformVersion = target.platformVersion
    }

    func parameters(_ changed: ClusterRecord) -> [UpdateParameter] {
        [UpdateParameter(type: "Version", value: changed.version), UpdateParameter(type: "PlatformVersion", value: changed.platformVersion)]
    }
}

/// What UpdateClusterVersion asks for. Upstream: eks UpdateClusterVersionRequest.
package struct UpdateClusterVersionInput: Sendable {
    package var name: String
    package var version: String
    package var force = false
    /// Of a rollback: how long the nodes of Auto Mode may take.
    package var rollbackTimeoutMinutes: Int?
    package var token: IdempotencyToken?

    package init(name: String, version: String) {
        self.name = name
        self.version = version
    }
}

extension EKSService {
    /// Upstream: eks RollbackConfig.timeoutMinutes.
    private static let rollbackTimeouts = 120...10_080

    /// Begins the update to another version. Upstream: eks UpdateClusterVersion. Throws InvalidParameterException, ResourceInUseException,
    /// ResourceNotFoundException, InvalidStateException for what stands against it unless it is forced.
    package func updateClusterVersion(_ input: UpdateClusterVersionInput) async throws -> UpdateRecord {
        let fields: [String: AWSJSON] = ["clusterName": .string(input.name)]
        if let known = try await replayedUpdate("UpdateClusterVersion", on: input.name, input.token) { return known }
        let cluster = try await describeCluster(input.name)
        let update = VersionUpdate(version: input.version, isRollback: VersionUpdate.isRollback(cluster, to: input.version, now: clock.now))
        if let minutes = input.rollbackTimeoutMinutes {
            guard update.isRollback else {
                throw EKSFault.invalidParameter("rollbackConfig is for rolling back to the version before", fields)
            }
            guard EKSService.rollbackTimeouts.contains(minutes) else {
                throw EKSFault.invalidParameter("rollbackConfig.timeoutMinutes must be from 120 to 10080", fields)
            }
        }
        if !input.force { try await requireReadiness(cluster, update) }
        if update.isRollback, !input.force {
            let ahead = await state.read { $0.nodegroups(of: cluster.name) }.filter { $0.version != input.version }.map(\.name).sorted()
            guard ahead.isEmpty else {
                throw EKSFault.invalidState(
                    "Cluster cannot be rolled back: the nodes of \(ahead.joined(separator: ", ")) are newer than \(input.version). "
                        + "Pass force to override rollback readiness errors", fields)
            }
        }
        return try await begin(.version(update), "UpdateClusterVersion", on: input.name, token: input.token)
    }

    /// Throws InvalidStateException when an insight stands against the update. Upstream: eks InvalidStateException.
    private func requireReadiness(_ cluster: ClusterRecord, _ update: VersionUpdate) async throws {
        // What is wrong with the request itself is told first.
        try await state.read { try update.check(cluster, $0, now: clock.now) }
        let category = update.isRollback ? "ROLLBACK_READINESS" : "UPGRADE_READINESS"
        let blocking = try await blockingInsights(cluster, category: category, version: update.version)
        guard blocking.isEmpty else {
            throw EKSFault.invalidState(
                "Amazon EKS detected upgrade readiness issues: \(blocking.map(\.reason).joined(separator: " ")) Call the ListInsights API to view "
                    + "detected upgrade blocking issues. Pass the force flag when updating to override upgrade readiness errors.",
                ["clusterName": .string(cluster.name)])
        }
    }

    /// Tries to stop an update. Upstream: eks CancelUpdate: only the nodes' part of a rollback can be stopped, on clusters with Auto Mode; here a
    /// rollback begins with the control plane, so none can. Throws ResourceNotFoundException, InvalidRequestException, InvalidStateException.
    package func cancelUpdate(_ cluster: String, id: String) async throws -> UpdateRecord {
        let update = try await describeUpdate(cluster, id: id, of: .cluster)
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster)]
        guard update.type == "VersionRollback" else {
            throw EKSFault.invalidRequest("Update \(id) of type \(update.type) cannot be cancelled: only a VersionRollback can", fields)
        }
        guard update.status == .inProgress else {
            throw EKSFault.invalidState("Update \(id) cannot be cancelled: it is \(update.status.rawValue)", fields)
        }
        throw EKSFault.invalidState("Update \(id) cannot be cancelled: the control plane's rollback has begun", fields)
    }
}
