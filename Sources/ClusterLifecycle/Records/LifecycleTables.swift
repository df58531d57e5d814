import AWSProtocol
package import AWSServices

/// What a `clientRequestToken` made, so that the same request again is answered the same.
package struct TokenRecord: Codable, Sendable, Equatable {
    var token: IdempotencyToken
    /// The name or id of what was made.
    var resource: String
}

/// All durable state of clusters and node groups.
package struct LifecycleTables: DurableTables {
    /// By name.
    var clusters = Table<ClusterRecord>("eks.clusters")
    /// By `cluster/nodegroup`.
    var nodegroups = Table<NodegroupRecord>("eks.nodegroups")
    /// By instance id.
    var instances = Table<InstanceRecord>("eks.instances")
    /// By update id.
    var updates = Table<UpdateRecord>("eks.updates")
    /// By `cluster/add-on`.
    var addons = Table<AddonRecord>("eks.addons")
    /// By association id.
    var podIdentities = Table<PodIdentityRecord>("eks.podIdentities")
    /// By operation, place and token.
    var tokens = Table<TokenRecord>("eks.tokens")
    /// By `cluster/name`.
    var identityProviders = Table<IdentityProviderRecord>("eks.identityProviders")
    /// By `cluster/principal ARN`.
    var accessEntries = Table<AccessEntryRecord>("eks.accessEntries")
    /// By `cluster/name`.
    var fargateProfiles = Table<FargateProfileRecord>("eks.fargateProfiles")
    /// By `cluster/name`.
    var capabilities = Table<CapabilityRecord>("eks.capabilities")
    /// By id.
    var subscriptions = Table<AnywhereSubscriptionRecord>("eks.anywhereSubscriptions")
    /// By name.
    var registrations = Table<RegisteredClusterRecord>("eks.registeredClusters")
    /// By id.
    var insights = Table<InsightRecord>("eks.insights")
    /// By cluster.
    var insightRefreshes = Table<InsightsRefreshRecord>("eks.insightRefreshes")
    /// By id.
    var zonalShifts = Table<ZonalShiftRecord>("eks.zonalShifts")
    /// Changes since the start: says which of two looks at the tables is the later.
    private(set) var revision = 0

    package init() {}

    package mutating func load(from storage: any RowStorage) async throws {
        try await clusters.load(from: storage)
        try await nodegroups.load(from: storage)
        try await instances.load(from: storage)
        try await updates.load(from: storage)
        try await podIdentities.load(from: storage)
        try await addons.load(from: storage)
        try await tokens.load(from: storage)
        try await accessEntries.load(from: storage)
        try await identityProviders.load(from: storage)
        try await fargateProfiles.load(from: storage)
        try await capabilities.load(from: storage)
        try await subscriptions.load(from: storage)
        try await registrations.load(from: storage)
        try await insights.load(from: storage)
        try await insightRefreshes.load(from: storage)
        try await zonalShifts.load(from: storage)
    }

    package mutating func takeChanges() -> [RowChange] {
        revision += 1
        return clusters.takeChanges() + nodegroups.takeChanges() + instances.takeChanges() + updates.takeChanges() + tokens.takeChanges()
            + podIdentities.takeChanges() + addons.takeChanges() + accessEntries.takeChanges() + identityProviders.takeChanges()
            + fargateProfiles.takeChanges() + capabilities.takeChanges() + subscriptions.takeChanges() + registrations.takeChanges()
            + insights.takeChanges() + insightRefreshes.takeChanges() + zonalShifts.takeChanges()
    }

    static func key(_ cluster: String, _ nodegroup: String) -> String { "\(cluster)/\(nodegroup)" }

    func nodegroups(of cluster: String) -> [NodegroupRecord] { nodegroups.values.filter { $0.clusterName == cluster } }

    func instances(of nodegroup: NodegroupRecord) -> [InstanceRecord] {
        instances.values.filter { $0.clusterName == nodegroup.clusterName && $0.nodegroup == nodegroup.name }.sorted { $0.instanceID < $1.instanceID }
    }

    /// The cluster `name`. Throws ResourceNotFoundException in EKS's words.
    func cluster(_ name: String) throws(AWSError) -> ClusterRecord {
        guard let cluster = clusters[name] else { throw EKSFault.noCluster(name) }
        return cluster
    }

    /// The node group `name`. Throws ResourceNotFoundException in EKS's words.
    func nodegroup(_ cluster: String, _ name: String) throws(AWSError) -> NodegroupRecord {
        _ = try self.cluster(cluster)
        guard let nodegroup = nodegroups[LifecycleTables.key(cluster, name)] else {
            throw EKSFault.notFound("No node group found for name: \(name).", ["clusterName": .string(cluster), "nodegroupName": .string(name)])
        }
        return nodegroup
    }

    /// Throws ResourceNotFoundException when there is no such cluster, or nothing of that name in it.
    func requireTarget(_ cluster: String, _ target: UpdateTarget) throws(AWSError) {
        switch target {
        case .nodegroup(let name): _ = try nodegroup(cluster, name)
        case .capability(let name): _ = try capability(cluster, name)
        case .addon(let name): _ = try addon(cluster, name)
        case .cluster: _ = try self.cluster(cluster)
        }
    }

    /// What the token made before; nil for a new one. Throws InvalidParameterException when it came with other parameters.
    mutating func replay(_ operation: String, _ token: IdempotencyToken?) throws(AWSError) -> String? {
        guard let token else { return nil }
        for (key, old) in tokens.rows where old.token.createdAt + IdempotencyToken.lifetime <= token.createdAt { tokens[key] = nil }
        guard let known = tokens["\(operation)/\(token.token)"] else { return nil }
        switch known.token.answer(to: token) {
        case .new: return nil
        case .replay: return known.resource
        case .conflict:
            throw EKSFault.invalidParameter("The clientRequestToken \(token.token.prefix(64)) was used before with other parameters: use a new one.")
        }
    }

    mutating func remember(_ operation: String, _ token: IdempotencyToken?, made resource: String) {
        guard let token else { return }
        tokens["\(operation)/\(token.token)"] = TokenRecord(token: token, resource: resource)
    }
}
