import AWSServices

/// Says in a cluster's health what keeps it from its KMS key, and no more once nothing does. A cluster that serves goes on: it needs the key again when
/// its control plane starts. Upstream: eks ClusterIssueCode, EKS User Guide, "Encrypt Kubernetes secrets with KMS".
struct KeyHealthStep {
    /// Throws what the records' storage throws.
    func run(_ cluster: ClusterRecord, _ context: StepContext) async throws {
        guard let use = cluster.keyUse else { return }
        let issues = await context.keys.trouble(use).map { [HealthIssue($0)] } ?? []
        try await context.state.update { tables in
            guard var current = tables.clusters[cluster.name], current.id == cluster.id else { return }
            current.health = current.health.filter { !$0.isOfKey } + issues
            tables.clusters[cluster.name] = current
        }
    }
}

extension HealthIssue {
    init(_ unusable: KMSKeyUnusable) {
        self.init(code: unusable.reason.rawValue, message: unusable.description, resourceIDs: [unusable.keyARN])
    }

    var isOfKey: Bool { KMSKeyUnusable.Reason(rawValue: code) != nil }
}
