import AWSProtocol

/// A step of the rotation of a cluster's certificate authority: a successor comes, one begins to sign, one goes. Upstream: eks UpdateType
/// CertificateAuthorityUpdate; EKS User Guide, "Rotate the EKS cluster certificate authority".
package struct AuthorityUpdate: ClusterUpdate, Codable, Equatable {
    enum Action: String, Codable { case append, activate, delete }

    var action: Action
    /// The authority's.
    var id: String
    /// EKS itself begins it, as the end of the one in use comes near.
    var isAutomatic = false
    /// Of a deletion: what the authority's distribution was before, for when it fails.
    var before: AuthorityDistributionStatus?

    var type: String { "CertificateAuthorityUpdate" }
    private var origin: AuthorityOrigin { isAutomatic ? .eks : .customer }

    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name)]
        guard action != .append else {
            guard cluster.certificateAuthorities.count < ClusterRecord.authorityLimit else {
                throw EKSFault.limit(
                    "Cluster \(cluster.name) already has the maximum number of certificate authorities: \(ClusterRecord.authorityLimit)", fields)
            }
            return
        }
        let authority = try cluster.authority(id)
        if action == .activate { try checkActivation(of: authority, cluster, now) } else { try checkDeletion(of: authority, cluster, now) }
    }

    private func checkActivation(of authority: ClusterAuthority, _ cluster: ClusterRecord, _ now: Double) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name)]
        guard authority.signingStatus == .notUsed else {
            throw EKSFault.invalidParameter(
                "Certificate authority \(id) is already the signing certificate authority of cluster \(cluster.name)", fields)
        }
        guard authority.distributionStatus == .complete else {
            throw EKSFault.invalidParameter(
                "Certificate authority \(id) cannot be activated: its distributionStatus is \(authority.distributionStatus.rawValue), it must be COMPLETE",
                fields)
        }
        guard AuthorityCalendar.validity(authority).map({ now < $0.notAfter }) ?? false else {
            throw EKSFault.invalidParameter("Certificate authority \(id) cannot be activated: its certificate has expired", fields)
        }
        guard authority.activatedAt == nil || AuthorityCalendar.canRollBack(to: authority, at: now) else {
            throw EKSFault.invalidParameter("Certificate authority \(id) cannot be activated: rollback is no longer available", fields)
        }
    }

    private func checkDeletion(of authority: ClusterAuthority, _ cluster: ClusterRecord, _ now: Double) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name)]
        guard authority.signingStatus == .notUsed else {
            throw EKSFault.inUse(
                "Certificate authority \(id) cannot be deleted: it is the signing certificate authority of cluster \(cluster.name)", fields)
        }
        guard authority.activatedAt == nil, authority.distributionStatus == .complete else { return }
        guard authority.createdBy == .customer, !AuthorityCalendar.needsSuccessor(cluster, at: now) else {
            throw EKSFault.invalidParameter(
                "Certificate authority \(id) cannot be deleted: it is the only successor of a certificate authority that Amazon EKS rotates", fields)
        }
    }

    /// The cluster's record while the update is under way.
    func begin(in cluster: inout ClusterRecord, now: Double) {
        switch action {
        case .append: cluster.authorities = cluster.certificateAuthorities + [ClusterAuthority(id: id, createdAt: now, createdBy: origin)]
        case .activate: cluster.change(authority: id) { $0.signingStatus = .activating }
        case .delete: cluster.change(authority: id) { $0.distributionStatus = .deleting }
        }
    }

    /// The cluster's record when it is done.
    func apply(to cluster: inout ClusterRecord, now: Double) {
        switch action {
        case .append: cluster.change(authority: id) { $0.distributionStatus = .complete }
        case .activate:
            for authority in cluster.certificateAuthorities { cluster.change(authority: authority.id) { $0.signingStatus = .notUsed } }
            cluster.change(authority: id) { authority in
                authority.signingStatus = .inUse
                authority.activatedAt = now
                authority.activatedBy = origin
            }
        case .delete: cluster.authorities = cluster.certificateAuthorities.filter { $0.id != id }
        }
    }

    /// The cluster's record when it has failed. A successor that could not be distributed stays, to be deleted.
    func fail(in cluster: inout ClusterRecord) {
        switch action {
        case .append: cluster.change(authority: id) { $0.distributionStatus = .failed }
        case .activate: cluster.change(authority: id) { $0.signingStatus = .notUsed }
        case .delete: cluster.change(authority: id) { $0.distributionStatus = before ?? .complete }
        }
    }

    func parameters(_ changed: ClusterRecord) -> [UpdateParameter] {
        [UpdateParameter(type: action == .activate ? "ActiveCertificateAuthority" : "CertificateAuthorityId", value: id)]
    }
}

extension ClusterRecord {
    /// Throws ResourceNotFoundException.
    func authority(_ id: String) throws(AWSError) -> ClusterAuthority {
        guard let authority = certificateAuthorities.first(where: { $0.id == id }) else {
            throw EKSFault.notFound("No certificate authority found for ID: \(id.prefix(64))", ["clusterName": .string(name)])
        }
        return authority
    }
}
