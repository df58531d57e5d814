package import AWSProtocol

/// A cluster of another provider that was registered: it waits for its agent, which has nobody to talk to here. Upstream: eks Cluster with
/// ConnectorConfigResponse.
package struct RegisteredClusterRecord: Codable, Sendable, Equatable {
    package var name: String
    package var arn: String
    /// Seconds since 1970.
    package var createdAt: Double
    package var roleARN: String
    /// One of the model's, e.g. `GKE`.
    package var provider: String
    package var activationID: String
    package var activationCode: String
    package var activationExpiry: Double
    package var tags: [String: String]
}

/// A cluster of either kind.
package enum AnyCluster: Sendable {
    case own(ClusterRecord)
    case registered(RegisteredClusterRecord)
}

extension EKSService {
    /// Upstream: EKS quotas, "Registered clusters".
    private static let registrationLimit = 10
    /// Upstream: eks RegisterCluster, "If the manifest isn't applied within three days".
    private static let activationTime: Double = 3 * 86_400
    private static let connectorService = "ssm.amazonaws.com"

    /// Records another provider's cluster. Upstream: eks RegisterCluster. Throws ResourceInUseException, ResourceLimitExceededException,
    /// InvalidParameterException.
    package func registerCluster(
        _ name: String, roleARN: String, provider: String, tags: [String: String], token: IdempotencyToken?, caller: AWSCaller
    ) async throws -> RegisteredClusterRecord {
        let known = try await state.update { tables in try tables.replay("RegisterCluster", token).flatMap { tables.registrations[$0] } }
        if let known { return known }
        try TagFault.checkNew(tags)
        try await requireRole(roleARN, trusting: Self.connectorService)
        try await identities.authorize(caller, action: "iam:PassRole", resource: roleARN)
        let now = clock.now
        let record = RegisteredClusterRecord(
            name: name, arn: configuration.arn("cluster/\(name)"), createdAt: now, roleARN: roleARN, provider: provider,
            activationID: AWSIdentifier.uuid(), activationCode: AWSIdentifier.hex(20), activationExpiry: now + Self.activationTime, tags: tags)
        try await state.update { tables in
            let fields: [String: AWSJSON] = ["clusterName": .string(name)]
            guard tables.clusters[name] == nil, tables.registrations[name] == nil else {
                throw EKSFault.inUse("Cluster already exists with name: \(name)", fields)
            }
            guard tables.registrations.rows.count < Self.registrationLimit else {
                throw EKSFault.limit("Registered cluster limit exceeded for account: \(Self.registrationLimit)", fields)
            }
            tables.registrations[name] = record
            tables.remember("RegisterCluster", token, made: name)
        }
        return record
    }

    /// Forgets a registered cluster. Upstream: eks DeregisterCluster. Throws ResourceNotFoundException.
    package func deregisterCluster(_ name: String) async throws -> RegisteredClusterRecord {
        try await state.update { tables in
            guard let record = tables.registrations[name] else { throw EKSFault.noCluster(name) }
            tables.registrations[name] = nil
            return record
        }
    }

    /// A cluster of either kind. Throws ResourceNotFoundException.
    package func describeAnyCluster(_ name: String) async throws -> AnyCluster {
        try await state.read { tables in
            if let record = tables.registrations[name] { return .registered(record) }
            return .own(try tables.cluster(name))
        }
    }

    /// The names of registered clusters.
    package func listRegisteredClusters() async -> [String] { await state.read { Array($0.registrations.rows.keys) } }
}
