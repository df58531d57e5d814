import AWSProtocol
package import ControlPlane

/// Who made or chose an authority. Upstream: eks CertificateAuthorityCreatedBy, CertificateAuthorityActivatedBy.
package enum AuthorityOrigin: String, Codable, Sendable {
    case eks = "EKS"
    case customer = "CUSTOMER"
}

/// Upstream: eks CertificateAuthoritySigningStatus.
package enum AuthoritySigningStatus: String, Codable, Sendable {
    case notUsed = "NOT_USED"
    case activating = "ACTIVATING"
    case inUse = "IN_USE"
}

/// Upstream: eks CertificateAuthorityDistributionStatus.
package enum AuthorityDistributionStatus: String, Codable, Sendable {
    case inProgress = "IN_PROGRESS"
    case complete = "COMPLETE"
    case failed = "FAILED"
    case deleting = "DELETING"
}

/// A certificate authority of a cluster. Upstream: eks CertificateAuthority.
///
/// ```
/// distribution  IN_PROGRESS ─▶ COMPLETE ─▶ DELETING ─▶ (gone)        signing  NOT_USED ─▶ ACTIVATING ─▶ IN_USE
///                    └───────▶ FAILED ───────▲                                   ▲─────── another's ◀──────┘
/// ```
package struct ClusterAuthority: Codable, Sendable, Equatable {
    /// A UUID.
    package var id: String
    /// Seconds since 1970.
    package var createdAt: Double
    package var createdBy: AuthorityOrigin
    /// When it began to sign last, seconds since 1970; nil: it never has.
    package var activatedAt: Double?
    package var activatedBy: AuthorityOrigin?
    package var signingStatus: AuthoritySigningStatus = .notUsed
    package var distributionStatus: AuthorityDistributionStatus = .inProgress
    /// Its certificate, PEM in base64; nil until it is made.
    package var certificateData: String?

    package init(id: String, createdAt: Double, createdBy: AuthorityOrigin) {
        self.id = id
        self.createdAt = createdAt
        self.createdBy = createdBy
    }

    /// Whether the cluster believes it: from the end of its distribution until it is gone.
    var isTrusted: Bool { distributionStatus == .complete || distributionStatus == .deleting }
}

extension ClusterRecord {
    /// A cluster has the one that signs, and one more.
    static let authorityLimit = 2

    /// All of the cluster's authorities. Of a cluster that never had a second one nothing is recorded: the one it began with follows from the rest.
    package var certificateAuthorities: [ClusterAuthority] {
        if let authorities { return authorities }
        var initial = ClusterAuthority(id: initialAuthorityID, createdAt: createdAt, createdBy: .eks)
        initial.activatedAt = createdAt
        initial.activatedBy = .eks
        initial.signingStatus = .inUse
        initial.distributionStatus = .complete
        initial.certificateData = endpoint?.certificateAuthorityData
        return [initial]
    }

    /// The cluster's own id in the form of a UUID.
    private var initialAuthorityID: String {
        let digits = Array(id.lowercased())
        let parts = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32]
        guard digits.count == 32 else { return id.lowercased() }
        return parts.map { String(digits[$0]) }.joined(separator: "-")
    }

    /// What the control plane and the nodes go by: the one in use signs, those that are distributed are believed.
    package var clusterAuthorities: ClusterAuthorities {
        let all = certificateAuthorities
        guard let signer = all.first(where: { $0.signingStatus == .inUse }) else { return .initial }
        return ClusterAuthorities(signer: fileName(signer.id), trusted: all.filter(\.isTrusted).map { fileName($0.id) })
    }

    /// The name of an authority's files in the cluster's directory.
    package func fileName(_ authority: String) -> String {
        authority == initialAuthorityID ? ClusterAuthorities.initialName : "\(ClusterAuthorities.initialName)-\(authority)"
    }

    /// Changes the authority `id`, if the cluster has it.
    mutating func change(authority id: String, _ body: (inout ClusterAuthority) -> Void) {
        var all = certificateAuthorities
        for index in all.indices where all[index].id == id { body(&all[index]) }
        authorities = all
    }
}
