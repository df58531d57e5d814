/// A role that the pods of a service account get. Upstream: eks PodIdentityAssociation.
package struct PodIdentityRecord: Codable, Sendable, Equatable {
    package var clusterName: String
    package var namespace: String
    package var serviceAccount: String
    package var roleARN: String
    package var arn: String
    /// `a-` and 17 letters and digits.
    package var id: String
    package var tags: [String: String]
    /// Seconds since 1970.
    package var createdAt: Double
    package var modifiedAt: Double
    /// The add-on that made it, and goes with it.
    package var ownerARN: String?
    package var disableSessionTags: Bool?
    /// Assumed with the role, and given to the pods in its place.
    package var targetRoleARN: String?
    /// What the role says of itself when it assumes the target.
    package var externalID: String?
    /// A session policy, in JSON.
    package var policy: String?

    package init(
        clusterName: String, namespace: String, serviceAccount: String, roleARN: String, arn: String, id: String, tags: [String: String] = [:],
        createdAt: Double, ownerARN: String? = nil, disableSessionTags: Bool? = nil, targetRoleARN: String? = nil, externalID: String? = nil,
        policy: String? = nil
    ) {
        self.clusterName = clusterName
        self.namespace = namespace
        self.serviceAccount = serviceAccount
        self.roleARN = roleARN
        self.arn = arn
        self.id = id
        self.tags = tags
        self.createdAt = createdAt
        modifiedAt = createdAt
        self.ownerARN = ownerARN
        self.disableSessionTags = disableSessionTags
        self.targetRoleARN = targetRoleARN
        self.externalID = externalID
        self.policy = policy
    }
}

extension LifecycleTables {
    func podIdentities(of cluster: String) -> [PodIdentityRecord] { podIdentities.values.filter { $0.clusterName == cluster } }

    /// The association of a service account, by cluster, namespace and name.
    func podIdentity(_ cluster: String, _ namespace: String, _ serviceAccount: String) -> PodIdentityRecord? {
        podIdentities.values.first { $0.clusterName == cluster && $0.namespace == namespace && $0.serviceAccount == serviceAccount }
    }
}
