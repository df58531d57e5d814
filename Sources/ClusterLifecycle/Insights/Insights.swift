internal import AWSProtocol

/// What ListInsights asks for; empty lists ask for all. Upstream: eks InsightsFilter.
package struct InsightsFilter: Sendable {
    package var categories: [String] = []
    package var versions: [String] = []
    package var statuses: [String] = []

    package init() {}

    func admits(_ insight: InsightRecord) -> Bool {
        (categories.isEmpty || categories.contains(insight.category)) && (statuses.isEmpty || statuses.contains(insight.status.rawValue))
            && (versions.isEmpty || insight.version.map(versions.contains) ?? false)
    }
}

extension EKSService {
    /// How old insights may be when they are shown. Upstream: EKS refreshes insights once a day.
    private static let insightAge: Double = 86_400

    /// The insights that the filter lets through, refreshed when they are older than a day. Upstream: eks ListInsights. Throws
    /// ResourceNotFoundException, InvalidRequestException for a cluster that does not run.
    package func listInsights(_ cluster: String, filter: InsightsFilter) async throws -> [InsightRecord] {
        try await freshInsights(cluster).filter(filter.admits)
    }

    /// Throws ResourceNotFoundException.
    package func describeInsight(_ cluster: String, id: String) async throws -> InsightRecord {
        guard let insight = try await freshInsights(cluster).first(where: { $0.id == id }) else {
            throw EKSFault.notFound("No insight found for ID: \(id.prefix(64))", ["clusterName": .string(cluster)])
        }
        return insight
    }

    /// Begins to compute the insights anew. Upstream: eks StartInsightsRefresh. Throws ResourceNotFoundException, InvalidRequestException.
    package func startInsightsRefresh(_ name: String) async throws -> InsightsRefreshRecord {
        let now = clock.now
        let refresh = try await state.update { tables -> InsightsRefreshRecord in
            let cluster = try tables.cluster(name)
            try EKSService.requireInsights(cluster)
            if let running = tables.insightRefreshes[name], running.status == "IN_PROGRESS" { return running }
            let refresh = InsightsRefreshRecord(
                clusterName: name, status: "IN_PROGRESS", message: "Insights refresh is in progress", startedAt: now)
            tables.insightRefreshes[name] = refresh
            return refresh
        }
        await reconciler.wake(.insights(name))
        return refresh
    }

    /// The last refresh that was asked for. Upstream: eks DescribeInsightsRefresh. Throws ResourceNotFoundException.
    package func describeInsightsRefresh(_ name: String) async throws -> InsightsRefreshRecord {
        try await state.read { tables in
            _ = try tables.cluster(name)
            guard let refresh = tables.insightRefreshes[name] else {
                throw EKSFault.notFound("No insights refresh found for cluster: \(name)", ["clusterName": .string(name)])
            }
            return refresh
        }
    }

    /// What stands against going to `version`, of the insights as they are now. Empty when the cluster cannot be asked: its update will tell.
    func blockingInsights(_ cluster: ClusterRecord, category: String, version: String) async throws -> [InsightRecord] {
        try await InsightsStep().run(cluster, context).filter { $0.category == category && $0.version == version && $0.status == .error }
    }

    private func freshInsights(_ name: String) async throws -> [InsightRecord] {
        let (cluster, known) = try await state.read { tables in (try tables.cluster(name), tables.insights(of: name)) }
        try EKSService.requireInsights(cluster)
        if let oldest = known.map(\.refreshedAt).min(), clock.now - oldest < Self.insightAge { return known }
        return try await InsightsStep().run(cluster, context)
    }

    private static func requireInsights(_ cluster: ClusterRecord) throws(AWSError) {
        guard cluster.status == .active || cluster.status == .updating else {
            throw EKSFault.invalidRequest(
                "Cluster '\(cluster.name)' is not in ACTIVE status: it is \(cluster.status.rawValue)", ["clusterName": .string(cluster.name)])
        }
    }
}

extension LifecycleTables {
    func insights(of cluster: String) -> [InsightRecord] { insights.values.filter { $0.clusterName == cluster }.sorted { $0.id < $1.id } }
}
