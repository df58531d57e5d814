package import AWSProtocol
import AWSServices

/// Which key a cluster's Secrets are sealed with. Upstream: eks EncryptionConfig.
package struct ClusterEncryption: Codable, Sendable, Equatable {
    package var keyARN: String
    /// The grant by which the cluster uses the key. Nil for a cluster of an earlier version: the key is a name to it.
    package var grantID: String?

    package init(keyARN: String) { self.keyARN = keyARN }

    /// Upstream: eks EncryptionConfig.
    package var json: AWSJSON { ["resources": ["secrets"], "provider": ["keyArn": .string(keyARN)]] }

    /// What is asked for. Throws InvalidParameterException for other resources than secrets, and for what is no key of the region. Upstream: eks
    /// Provider.keyArn, "The KMS key must be symmetric and created in the same Amazon Web Services Region as the cluster".
    package init(resources: [String], keyARN: String, region: String) throws(AWSError) {
        guard resources == ["secrets"] else { throw EKSFault.invalidParameter("encryptionConfig.resources must be [secrets]") }
        guard let arn = ARN(keyARN), arn.service == "kms", arn.region == region, arn.resource.hasPrefix("key/"), arn.resource.utf8.count > 4,
            keyARN.utf8.count <= 200
        else { throw EKSFault.invalidParameter("Invalid keyArn \(keyARN.prefix(200)): it must be the ARN of a KMS key in \(region)") }
        self.keyARN = keyARN
    }
}

/// Seals a cluster's Secrets: those that there are, and those to come. There is no way back. Upstream: eks AssociateEncryptionConfig.
package struct EncryptionUpdate: ClusterUpdate, Codable, Equatable {
    package var encryption: ClusterEncryption

    package init(_ encryption: ClusterEncryption) { self.encryption = encryption }

    var type: String { "AssociateEncryptionConfig" }

    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError) {
        guard cluster.encryption == nil else {
            throw EKSFault.invalidParameter(
                "Encryption configuration is already associated with cluster \(cluster.name): it cannot be changed",
                ["clusterName": .string(cluster.name)])
        }
    }

    func apply(to cluster: inout ClusterRecord, now: Double) { cluster.encryption = encryption }

    func parameters(_ changed: ClusterRecord) -> [UpdateParameter] { [UpdateParameter(type: "EncryptionConfig", json: .array([encryption.json]))] }
}

extension ClusterRecord {
    /// How the cluster uses its KMS key; nil without one.
    var keyUse: KMSServiceUse? {
        encryption.flatMap { encryption in
            encryption.grantID.map { KMSServiceUse(keyARN: encryption.keyARN, grantID: $0, context: ["aws:eks:cluster-arn": arn]) }
        }
    }
}

extension EKSService {
    /// Begins to seal a cluster's Secrets. Upstream: eks AssociateEncryptionConfig. Throws InvalidParameterException, ResourceInUseException,
    /// ResourceNotFoundException, `AccessDenial` when the caller may not let the cluster use the key.
    package func associateEncryption(
        _ name: String, _ encryption: ClusterEncryption, caller: AWSCaller, token: IdempotencyToken?
    ) async throws -> UpdateRecord {
        let operation = "AssociateEncryptionConfig"
        let (cluster, isOpen) = try await state.read { tables in
            let cluster = try tables.cluster(name)
            return (cluster, cluster.encryption == nil && tables.runningUpdate(of: name) == nil)
        }
        // What is refused below, or was begun before, needs no grant.
        guard isOpen else { return try await begin(.encryption(EncryptionUpdate(encryption)), operation, on: name, token: token) }
        let granted = try await grant(encryption, to: cluster, caller: caller)
        do { return try await begin(.encryption(EncryptionUpdate(granted)), operation, on: name, token: token) } catch {
            // The same may have been asked twice at once, and the other have begun with this grant.
            let isUsed = await state.read { tables in
                tables.runningUpdate(of: name)?.change == .encryption(EncryptionUpdate(granted)) || tables.clusters[name]?.encryption == granted
            }
            if !isUsed, let id = granted.grantID { try await keys.retire(grant: id) }
            throw error
        }
    }

    /// The encryption with the grant for a cluster. Throws InvalidParameterException for a key that cannot be used, `AccessDenial`.
    func grant(_ encryption: ClusterEncryption, to cluster: ClusterRecord, caller: AWSCaller) async throws -> ClusterEncryption {
        var granted = encryption
        do {
            granted.grantID = try await keys.letUse(
                encryption.keyARN, grantee: cluster.roleARN, name: "eks-\(cluster.id)", caller: caller, identities: identities)
        } catch let error as AWSError {
            throw EKSFault.invalidParameter(
                "The KMS key in encryptionConfig cannot be used: \(error.message)", ["clusterName": .string(cluster.name)])
        }
        return granted
    }

    /// Looks at the clusters whose key changed, until the task is cancelled.
    nonisolated func followKeys() async {
        for await arn in keys.changes {
            let names = await state.read { tables in tables.clusters.values.filter { $0.encryption?.keyARN == arn }.map(\.name) }
            for name in names { await reconciler.wake(.cluster(name)) }
        }
    }

    /// The region that keys must be of.
    package nonisolated var region: String { configuration.region }
}
