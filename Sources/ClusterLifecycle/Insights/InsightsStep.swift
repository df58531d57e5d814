import AWSProtocol

/// Computes a cluster's insights from what its API server says, and keeps them. A check that cannot be made is UNKNOWN.
struct InsightsStep {
    @discardableResult func run(_ cluster: ClusterRecord, _ context: StepContext) async throws -> [InsightRecord] {
        let now = context.clock.now
        var inspection = ClusterInspection()
        var trouble: String?
        do { inspection = try await context.controlPlanes.inspect(cluster.name) } catch {
            try Task.checkCancellation()
            trouble = "The cluster could not be asked: \(error)"
        }
        let minor = KubernetesVersions.named(cluster.version)?.minor ?? 0
        let previous = cluster.lastUpgrade.map(\.from).flatMap { VersionUpdate.isRollback(cluster, to: $0, now: now) ? $0 : nil }
        let facts = InsightFacts(
            cluster: cluster, addons: await context.state.read { $0.addons(of: cluster.name) }, inspection: inspection,
            next: KubernetesVersions.all.first { $0.minor == minor + 1 && $0.status(at: now) != "UNSUPPORTED" },
            previous: previous.flatMap(KubernetesVersions.named))
        let findings = InsightChecks.all.compactMap { $0(facts) }.map { finding in InsightsStep.doubting(finding, trouble) }
        return try await context.state.update { tables in
            guard tables.clusters[cluster.name]?.id == cluster.id else { return [] }
            let known = tables.insights(of: cluster.name)
            var kept: [InsightRecord] = []
            for finding in findings {
                let old = known.first { $0.name == finding.name && $0.category == finding.category && $0.version == finding.version }
                let insight = InsightRecord(
                    id: old?.id ?? AWSIdentifier.uuid(), clusterName: cluster.name, name: finding.name, category: finding.category,
                    version: finding.version, status: finding.status, reason: finding.reason, description: finding.description,
                    recommendation: finding.recommendation, resources: finding.resources, deprecations: finding.deprecations,
                    addons: finding.addons, refreshedAt: now,
                    changedAt: old.flatMap { $0.status == finding.status ? $0.changedAt : nil } ?? now)
                tables.insights[insight.id] = insight
                kept.append(insight)
            }
            for old in known where !kept.contains(where: { $0.id == old.id }) { tables.insights[old.id] = nil }
            return kept.sorted { $0.id < $1.id }
        }
    }

    /// A refresh that was asked for, to its end.
    func refresh(_ name: String, _ context: StepContext) async throws {
        let read = await context.state.read { tables -> ClusterRecord? in
            tables.insightRefreshes[name]?.status == "IN_PROGRESS" ? tables.clusters[name] : nil
        }
        guard let cluster = read else { return }
        let insights = try await run(cluster, context)
        let isKnown = insights.contains { $0.status != .unknown } || insights.isEmpty
        let now = context.clock.now
        try await context.state.update { tables in
            guard tables.clusters[name] != nil else { return }
            tables.insightRefreshes[name]?.status = isKnown ? "COMPLETED" : "FAILED"
            tables.insightRefreshes[name]?.message = isKnown ? "Insights refresh completed" : insights.first?.reason ?? ""
            tables.insightRefreshes[name]?.endedAt = now
        }
    }

    /// What the cluster would have to be asked is not known.
    private static func doubting(_ finding: InsightFinding, _ trouble: String?) -> InsightFinding {
        guard let trouble, finding.asksCluster else { return finding }
        var finding = finding
        finding.status = .unknown
        finding.reason = trouble
        return finding
    }
}
