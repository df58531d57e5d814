package import AWSProtocol

/// Which key a cluster's Secrets are sealed with. Upstream: eks EncryptionConfig.
package struct ClusterEncryption: Codable, Sendable, Equatable {
    package var keyARN: String

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

extension EKSService {
    /// Begins to seal a cluster's Secrets. Upstream: eks AssociateEncryptionConfig. Throws InvalidParameterException, ResourceInUseException,
    /// ResourceNotFoundException.
    package func associateEncryption(_ name: String, _ encryption: ClusterEncryption, token: IdempotencyToken?) async throws -> UpdateRecord {
        try await begin(.encryption(EncryptionUpdate(encryption)), "AssociateEncryptionConfig", on: name, token: token)
    }

    /// The region that keys must be of.
    package nonisolated var region: String { configuration.region }
}
