package import AWSProtocol

extension EKSService {
    /// Begins one change of a cluster's configuration; the answer is InProgress. Upstream: eks UpdateClusterConfig. Throws ResourceNotFoundException,
    /// ResourceInUseException, InvalidRequestException, InvalidParameterException, `AccessDenial` when the caller may not pass a role.
    package func updateClusterConfig(
        _ name: String, _ change: ClusterChange, token: IdempotencyToken?, caller: AWSCaller
    ) async throws -> UpdateRecord {
        if let known = try await replayedUpdate("UpdateClusterConfig", on: name, token) { return known }
        let cluster = try await describeCluster(name)
        var change = change
        switch change {
        case .endpointAccess(let update): try await check(update, cluster)
        case .vpcConfig(let update): try await check(update, cluster)
        case .autoMode(let update): try await check(update, cluster, caller)
        case .scalingTier(var update):
            update.previous = cluster.tier
            change = .scalingTier(update)
        default: break
        }
        return try await begin(change, "UpdateClusterConfig", on: name, token: token)
    }

    /// Begins the update that makes `change`. Throws as `beginClusterUpdate` does, and what the change has to say.
    func begin(_ change: ClusterChange, _ operation: String, on name: String, token: IdempotencyToken?) async throws -> UpdateRecord {
        let now = clock.now
        let update = change.update
        return try await beginClusterUpdate(name, type: update.type, operation: operation, token: token, change: change) { tables, cluster in
            try update.check(cluster, tables, now: now)
            var changed = cluster
            update.apply(to: &changed, now: now)
            return update.parameters(changed)
        }
    }

    /// What an earlier request with this token began; nil for a new one. Asked before checks against a world that the first run has changed.
    func replayedUpdate(_ operation: String, on name: String, _ token: IdempotencyToken?) async throws -> UpdateRecord? {
        try await state.update { tables in
            _ = try tables.cluster(name)
            return try tables.replay("\(operation)/\(name)", token).flatMap { tables.updates[$0] }
        }
    }
}
