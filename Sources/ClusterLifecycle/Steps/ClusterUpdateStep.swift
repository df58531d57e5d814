import AWSProtocol

/// What carries out one type of cluster update. It may be repeated from its beginning after a crash, so what it finds done it leaves.
protocol ClusterUpdateStep: Sendable {
    /// Upstream: eks UpdateType.
    var type: String { get }
    /// Does what the update says, and changes the cluster's record. Throws what the update's errors should say.
    func run(_ update: UpdateRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws
}

/// The steps by the type of their update.
enum ClusterUpdateSteps {
    static let all: [any ClusterUpdateStep] = [AccessConfigUpdateStep(), AssociateIdentityProviderStep(), DisassociateIdentityProviderStep()]

    static func of(_ update: UpdateRecord) -> (any ClusterUpdateStep)? {
        update.change?.step ?? all.first { $0.type == update.type }
    }
}

/// Carries out the update of a cluster that is under way: it becomes Successful or Failed, the cluster ACTIVE again.
struct ClusterUpdateRunner {
    let context: StepContext

    /// Nothing to do when no update is under way. Throws `CancellationError` and what the records' storage throws.
    func run(_ name: String) async throws {
        let read = await context.state.read { tables -> (UpdateRecord, ClusterRecord)? in
            guard let update = tables.runningUpdate(of: name), let cluster = tables.clusters[name], cluster.status == .updating else { return nil }
            return (update, cluster)
        }
        guard let (update, cluster) = read, let step = ClusterUpdateSteps.of(update) else { return }
        var errors: [HealthIssue] = []
        do { try await step.run(update, cluster, context) } catch {
            try Task.checkCancellation()
            context.logger.error("cluster update failed", metadata: ["cluster": "\(name)", "type": "\(update.type)", "error": "\(error)"])
            let issue = HealthIssue(error, resourceIDs: [])
            errors = [HealthIssue(code: EKSErrorCode.of(issue), message: issue.message)]
        }
        let outcome = errors
        try await context.state.update { tables in
            guard var current = tables.clusters[name], current.id == cluster.id else { return }
            if var done = tables.updates[update.id], done.status == .inProgress {
                done.status = outcome.isEmpty ? .successful : .failed
                done.errors = outcome
                tables.updates[done.id] = done
            }
            guard current.status == .updating else { return }
            current.status = .active
            tables.clusters[name] = current
        }
    }
}
