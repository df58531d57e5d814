import AWSProtocol
import AWSServices

extension EKSService {
    /// Records a change of a cluster and sets the cluster UPDATING; the reconciler then carries it out by the step of its type
    /// (`ClusterUpdateSteps`). A cluster has one update at a time. `parameters` checks the change against the records, changes them as far as they show
    /// what is under way, and says what is shown of it.
    /// Upstream: eks Update. Throws ResourceNotFoundException, ResourceInUseException, InvalidRequestException and what `parameters` throws.
    func beginClusterUpdate(
        _ name: String, type: String, operation: String, token: IdempotencyToken?, change: ClusterChange? = nil,
        parameters: @Sendable (inout LifecycleTables, ClusterRecord) throws -> [UpdateParameter]
    ) async throws -> UpdateRecord {
        let scope = "\(operation)/\(name)"
        let now = clock.now
        let update = try await state.update { tables -> UpdateRecord in
            let cluster = try tables.cluster(name)
            if let id = try tables.replay(scope, token), let known = tables.updates[id] { return known }
            let fields: [String: AWSJSON] = ["clusterName": .string(name)]
            if let running = tables.runningUpdate(of: name) {
                throw EKSFault.inUse("Cannot \(type) because cluster \(name) currently has update \(running.id) in progress", fields)
            }
            guard cluster.status == .active else {
                let text = "Cannot \(type) because cluster \(name) is not in ACTIVE status: it is \(cluster.status.rawValue)"
                throw cluster.status == .updating ? EKSFault.inUse(text, fields) : EKSFault.invalidRequest(text, fields)
            }
            var update = UpdateRecord(
                id: AWSIdentifier.uuid(), clusterName: name, type: type, parameters: try parameters(&tables, cluster), createdAt: now,
                clientRequestToken: token?.token)
            update.change = change
            tables.clusters[name]?.status = .updating
            tables.updates[update.id] = update
            tables.remember(scope, token, made: update.id)
            return update
        }
        await reconciler.wake(.cluster(name))
        return update
    }
}

extension LifecycleTables {
    /// The update of the cluster itself, not of its node groups, that is under way.
    func runningUpdate(of cluster: String) -> UpdateRecord? {
        updates.values.first { $0.clusterName == cluster && $0.isOfCluster && $0.status == .inProgress }
    }
}
