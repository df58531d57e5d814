package import AWSProtocol
import AWSServices

/// Switches EKS Auto Mode on or off, or chooses its built-in pools anew. Upstream: eks UpdateClusterConfig's computeConfig, storageConfig and
/// kubernetesNetworkConfig, an AutoModeUpdate.
package struct AutoModeUpdate: ClusterUpdate, Codable, Equatable {
    package var request: AutoModeRequest

    package init(_ request: AutoModeRequest) { self.request = request }

    var type: String { "AutoModeUpdate" }

    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name)]
        guard try request.isOn(cluster: cluster.name) ?? false else {
            guard cluster.autoMode != nil else {
                throw EKSFault.invalidRequest(
                    "Cannot modify EKS Auto Mode configuration. Auto Mode is not enabled on this cluster.", fields)
            }
            // What is left out stays on.
            guard request.isOff else { throw AutoModeRequest.byHalves(fields) }
            return
        }
        guard cluster.access.mode.hasEntries else { throw AutoModeRequest.noEntries(fields) }
        let config = try config(of: cluster)
        guard config != cluster.autoMode else {
            throw EKSFault.invalidRequest("No changes needed for EKS Auto Mode configuration provided", fields)
        }
    }

    /// It is `computeConfig.enabled` that makes a request one of Auto Mode, whatever else it has: EKS tells its type by that. Throws
    /// InvalidParameterException.
    func requireType(cluster: String) throws(AWSError) {
        guard request.compute == nil else { return }
        throw EKSFault.invalidParameter("The type for cluster update was not provided.", ["clusterName": .string(cluster)])
    }

    private func config(of cluster: ClusterRecord) throws(AWSError) -> AutoModeConfig {
        try request.config(known: cluster.autoMode?.nodeRoleARN, pools: cluster.autoMode?.nodePools ?? [], cluster: cluster.name)
    }

    /// The role that the cluster does not have yet.
    func newRole(of cluster: ClusterRecord) -> String? {
        guard let role = request.nodeRoleARN, !role.isEmpty, cluster.autoMode?.nodeRoleARN == nil else { return nil }
        return role
    }

    func apply(to cluster: inout ClusterRecord, now: Double) {
        // Checked when the update began.
        cluster.autoMode = request.compute ?? false ? (try? config(of: cluster)) ?? cluster.autoMode : nil
        cluster.autoModeAsked = true
    }

    func prepare(_ cluster: ClusterRecord, _ context: StepContext) async throws -> ClusterRecord {
        if let entry = await context.autoModeEntry(cluster) {
            try await context.state.update { tables in
                if tables.accessEntries[LifecycleTables.key(entry.clusterName, entry.principalARN)] == nil { tables.set(entry) }
            }
            await context.publishAccess(of: cluster.name)
        }
        return cluster
    }

    func parameters(_ changed: ClusterRecord) -> [UpdateParameter] {
        let isOn = AWSJSON.bool(changed.autoMode != nil)
        return [
            UpdateParameter(type: "ComputeConfig", json: changed.computeJSON),
            UpdateParameter(type: "StorageConfig", json: ["blockStorage": ["enabled": isOn]]),
            UpdateParameter(type: "KubernetesNetworkConfig", json: ["elasticLoadBalancing": ["enabled": isOn]]),
        ]
    }
}

extension ClusterRecord {
    /// Upstream: eks ComputeConfigResponse.
    package var computeJSON: AWSJSON {
        .compact([
            "enabled": .bool(autoMode != nil), "nodePools": .strings(autoMode?.nodePools ?? []),
            "nodeRoleArn": autoMode?.nodeRoleARN.map(AWSJSON.string),
        ])
    }
}

extension EKSService {
    /// Throws InvalidParameterException for a request of no type and a role that does not fit, `AccessDenial` when the caller may not pass it.
    func check(_ update: AutoModeUpdate, _ cluster: ClusterRecord, _ caller: AWSCaller) async throws {
        try update.requireType(cluster: cluster.name)
        if let role = update.newRole(of: cluster) { try await checkAutoModeRole(role, caller) }
    }

    /// The role of Auto Mode's nodes: it exists, trusts EC2, and the caller may pass it.
    func checkAutoModeRole(_ arn: String, _ caller: AWSCaller) async throws {
        try await checkNodeRole(arn)
        try await identities.authorize(
            caller, action: "iam:PassRole", resource: arn, context: ["iam:passedtoservice": ["eks.amazonaws.com"]])
    }
}

extension StepContext {
    /// The access entry that EKS makes for the nodes of Auto Mode; nil: its cluster names no role. Upstream: EKS User Guide, "Create a Node Class":
    /// "EKS automatically creates access entries when you use the built-in node class and node pools".
    func autoModeEntry(_ cluster: ClusterRecord) async -> AccessEntryRecord? {
        guard let role = cluster.autoMode?.nodeRoleARN else { return nil }
        let id = await identities.principalID(arn: role)
        var entry = nodeRoleEntry(cluster.name, roleARN: role, principalID: id, type: .ec2)
        entry?.policies = [AssociatedPolicy(arn: autoNodePolicy, namespaces: nil, associatedAt: clock.now)]
        return entry
    }

    /// What lets nodes of Auto Mode do their work.
    var autoNodePolicy: String {
        ARN(partition: configuration.partition, service: "eks", account: "aws", resource: "cluster-access-policy/AmazonEKSAutoNodePolicy").description
    }
}
