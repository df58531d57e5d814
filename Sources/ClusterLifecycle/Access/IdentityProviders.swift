package import AWSProtocol
import AWSServices

/// The checks of identity providers. Upstream: EKS User Guide, "Grant users access to Kubernetes with an external OIDC provider".
enum IdentityProviderRequirements {
    /// Of clusters from 1.32 on.
    static let perCluster = 10
    /// Bytes of all providers' configurations of a cluster.
    static let combinedSize = 12 * 1_024
    private static let longestName = 100

    static func check(_ provider: IdentityProviderRecord) throws(AWSError) {
        guard (1...longestName).contains(provider.name.utf8.count) else {
            throw EKSFault.invalidParameter("identityProviderConfigName must have from 1 to \(longestName) characters")
        }
        guard !provider.clientID.isEmpty else { throw EKSFault.invalidParameter("clientId must not be empty") }
        let url = provider.issuerURL
        guard url.hasPrefix("https://") else { throw EKSFault.invalidParameter("IssuerURL must use https:// scheme.") }
        let host = url.dropFirst("https://".count).prefix { $0 != "/" }
        guard !host.isEmpty, url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !url.contains(where: { "?#@\\".contains($0) }) else {
            throw EKSFault.invalidParameter("IssuerURL must name a host and must have no user, query or fragment: \(url.prefix(200))")
        }
        for prefix in [provider.userNamePrefix, provider.groupsPrefix] where prefix?.contains("system:") ?? false {
            throw EKSFault.invalidParameter("The prefix system: is reserved for Kubernetes system use")
        }
    }

    static func size(_ provider: IdentityProviderRecord) -> Int {
        let claims = provider.requiredClaims.flatMap { [$0.key, $0.value] }
        let texts: [String?] =
            [
                provider.name, provider.issuerURL, provider.clientID, provider.userNameClaim, provider.userNamePrefix, provider.groupsClaim,
                provider.groupsPrefix,
            ] + claims
        return texts.reduce(0) { $0 + ($1?.utf8.count ?? 0) }
    }
}

extension EKSService {
    /// Begins to believe a provider. Upstream: eks AssociateIdentityProviderConfig. Throws ResourceNotFoundException, ResourceInUseException,
    /// InvalidRequestException, InvalidParameterException.
    package func associateIdentityProvider(_ provider: IdentityProviderRecord, token: IdempotencyToken?) async throws -> UpdateRecord {
        try IdentityProviderRequirements.check(provider)
        try TagFault.checkNew(provider.tags)
        let arn = configuration.arn(
            "identityproviderconfig/\(provider.clusterName)/\(IdentityProviderRecord.type)/\(provider.name)/\(AWSIdentifier.uuid())")
        let type = "AssociateIdentityProviderConfig"
        return try await beginClusterUpdate(provider.clusterName, type: type, operation: type, token: token) { tables, cluster in
            let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name)]
            guard cluster.endpoint?.oidcIssuer != provider.issuerURL else {
                throw EKSFault.invalidParameter(
                    "Incorrect Identity Provider URL configuration. The Identity Provider URL cannot be same as OpenID Connect (OIDC) issuer URL",
                    fields)
            }
            let present = tables.identityProviders(of: cluster.name)
            guard !present.contains(where: { $0.name == provider.name }) else {
                throw EKSFault.inUse("Identity provider config already exists with name \(provider.name) and cluster name \(cluster.name)", fields)
            }
            guard !present.contains(where: { $0.issuerURL == provider.issuerURL }) else {
                throw EKSFault.invalidParameter("The issuer URL \(provider.issuerURL) is already associated with cluster \(cluster.name)", fields)
            }
            guard present.count < IdentityProviderRequirements.perCluster else {
                throw EKSFault.invalidRequest(
                    "Cluster \(cluster.name) has the most identity providers it can have: \(IdentityProviderRequirements.perCluster)", fields)
            }
            let size = present.reduce(IdentityProviderRequirements.size(provider)) { $0 + IdentityProviderRequirements.size($1) }
            guard size < IdentityProviderRequirements.combinedSize else {
                throw EKSFault.invalidRequest("The configurations of all identity providers of a cluster must be less than 12 KB together", fields)
            }
            var record = provider
            record.arn = arn
            record.status = .creating
            tables.identityProviders[LifecycleTables.key(cluster.name, record.name)] = record
            return [IdentityProviderUpdate.parameter(record.name)]
        }
    }

    /// Stops to believe a provider. Upstream: eks DisassociateIdentityProviderConfig. Throws ResourceNotFoundException, ResourceInUseException,
    /// InvalidRequestException, InvalidParameterException.
    package func disassociateIdentityProvider(_ cluster: String, type: String, name: String, token: IdempotencyToken?) async throws -> UpdateRecord {
        let update = "DisassociateIdentityProviderConfig"
        return try await beginClusterUpdate(cluster, type: update, operation: update, token: token) { tables, _ in
            var provider = try tables.identityProvider(cluster, type: type, name: name)
            provider.status = .deleting
            tables.identityProviders[LifecycleTables.key(cluster, name)] = provider
            return [IdentityProviderUpdate.parameter(name)]
        }
    }

    /// Upstream: eks DescribeIdentityProviderConfig. Throws ResourceNotFoundException, InvalidParameterException.
    package func describeIdentityProvider(_ cluster: String, type: String, name: String) async throws -> IdentityProviderRecord {
        try await state.read { try $0.identityProvider(cluster, type: type, name: name) }
    }

    /// The names, sorted. Upstream: eks ListIdentityProviderConfigs. Throws ResourceNotFoundException.
    package func listIdentityProviders(_ cluster: String) async throws -> [String] {
        try await state.read { tables in
            _ = try tables.cluster(cluster)
            return tables.identityProviders(of: cluster).map(\.name).sorted()
        }
    }
}

extension LifecycleTables {
    func identityProviders(of cluster: String) -> [IdentityProviderRecord] { identityProviders.values.filter { $0.clusterName == cluster } }

    /// Throws ResourceNotFoundException, and InvalidParameterException for a type that there is not.
    func identityProvider(_ cluster: String, type: String, name: String) throws(AWSError) -> IdentityProviderRecord {
        _ = try self.cluster(cluster)
        guard type == IdentityProviderRecord.type else {
            throw EKSFault.invalidParameter("The identity provider config type \(type.prefix(64)) is not supported: the only type is oidc")
        }
        guard let provider = identityProviders[LifecycleTables.key(cluster, name)] else {
            throw EKSFault.notFound(
                "No config found for cluster: \(cluster), config type: \(type), config name: \(name)", ["clusterName": .string(cluster)])
        }
        return provider
    }
}
