package import AWSProtocol
internal import Synchronization

/// An authority as DescribeCertificateAuthority shows it.
package struct AuthorityDescription: Sendable, Equatable {
    package var authority: ClusterAuthority
    /// Seconds since 1970; nil until its certificate is made.
    package var notBefore: Double?
    package var notAfter: Double?
    /// Of a successor that has never signed: when it begins to by itself.
    package var firstAutoActivation: Double?
    package var finalAutoActivation: Double?
    package var canRollBack: Bool
}

/// What an operation on an authority began, and the authority; nil when the operation is an earlier one that has removed it.
package struct AuthorityChange: Sendable {
    package var update: UpdateRecord
    package var authority: ClusterAuthority?
}

/// The authority as an update began: what is answered, however soon the update is done.
private final class Begun: Sendable {
    let authority = Mutex<ClusterAuthority?>(nil)
}

extension EKSService {
    /// Begins to add a successor. Upstream: eks CreateCertificateAuthority. Throws ResourceNotFoundException, ResourceLimitExceededException,
    /// ResourceInUseException, InvalidRequestException.
    package func createCertificateAuthority(_ cluster: String, token: IdempotencyToken?) async throws -> AuthorityChange {
        try await begin(AuthorityUpdate(action: .append, id: AWSIdentifier.uuid()), "CreateCertificateAuthority", on: cluster, token: token)
    }

    /// Begins to sign with another authority. Upstream: eks ActivateCertificateAuthority. Throws ResourceNotFoundException, InvalidParameterException,
    /// ResourceInUseException, InvalidRequestException.
    package func activateCertificateAuthority(_ cluster: String, id: String, token: IdempotencyToken?) async throws -> AuthorityChange {
        try await begin(AuthorityUpdate(action: .activate, id: id), "ActivateCertificateAuthority/\(id)", on: cluster, token: token)
    }

    /// Begins to remove an authority that does not sign. Upstream: eks DeleteCertificateAuthority. Throws ResourceNotFoundException,
    /// InvalidParameterException, ResourceInUseException, InvalidRequestException.
    package func deleteCertificateAuthority(_ cluster: String, id: String, token: IdempotencyToken?) async throws -> AuthorityChange {
        var update = AuthorityUpdate(action: .delete, id: id)
        // What cannot be found here is told of by the update's own check.
        update.before = try await describeCluster(cluster).certificateAuthorities.first { $0.id == id }?.distributionStatus
        return try await begin(update, "DeleteCertificateAuthority/\(id)", on: cluster, token: token)
    }

    func begin(_ update: AuthorityUpdate, _ operation: String, on cluster: String, token: IdempotencyToken?) async throws -> AuthorityChange {
        let now = clock.now
        let begun = Begun()
        let record = try await beginClusterUpdate(
            cluster, type: update.type, operation: operation, token: token, change: .authority(update)
        ) { tables, cluster in
            try update.check(cluster, tables, now: now)
            var changed = cluster
            update.begin(in: &changed, now: now)
            tables.clusters[changed.name] = changed
            begun.authority.withLock { $0 = changed.certificateAuthorities.first { $0.id == update.id } }
            return update.parameters(changed)
        }
        if let authority = begun.authority.withLock({ $0 }) { return AuthorityChange(update: record, authority: authority) }
        // An earlier request with this token: as things are now.
        let id = record.authorityID
        return AuthorityChange(update: record, authority: try await describeCluster(cluster).certificateAuthorities.first { $0.id == id })
    }

    /// The authorities, the oldest first. Upstream: eks ListCertificateAuthorities. Throws ResourceNotFoundException.
    package func listCertificateAuthorities(_ cluster: String) async throws -> [ClusterAuthority] {
        try await describeCluster(cluster).certificateAuthorities
    }

    /// Upstream: eks DescribeCertificateAuthority. Throws ResourceNotFoundException.
    package func describeCertificateAuthority(_ cluster: String, id: String) async throws -> AuthorityDescription {
        let record = try await describeCluster(cluster)
        let authority = try record.authority(id)
        let validity = AuthorityCalendar.validity(authority)
        let activation = AuthorityCalendar.activation(of: authority, record)
        return AuthorityDescription(
            authority: authority, notBefore: validity?.notBefore, notAfter: validity?.notAfter, firstAutoActivation: activation?.first,
            finalAutoActivation: activation?.final, canRollBack: AuthorityCalendar.canRollBack(to: authority, at: clock.now))
    }
}

extension UpdateRecord {
    /// Of an update of an authority: whose.
    fileprivate var authorityID: String? {
        guard case .authority(let update) = change else { return nil }
        return update.id
    }
}
