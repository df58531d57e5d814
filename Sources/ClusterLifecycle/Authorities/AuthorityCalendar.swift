import AWSProtocol
internal import Certificates
internal import FoundationEssentials

/// What comes by itself as the end of the authority in use comes near. Upstream: EKS User Guide, "Rotate the EKS cluster certificate authority": a
/// successor two years before, its activation 45 days before at the latest.
enum AuthorityCalendar {
    private static let day: Double = 86_400
    /// Before the end of the one in use, in seconds.
    private static let successorLead = 730 * day
    private static let firstActivationLead = 182.5 * day
    private static let finalActivationLead = 45 * day

    /// When an authority's certificate is valid, seconds since 1970; nil for one that is not made yet.
    static func validity(_ authority: ClusterAuthority) -> (notBefore: Double, notAfter: Double)? {
        // Our own text.
        guard let text = authority.certificateData.flatMap({ Data(base64Encoded: $0) }),
            let subject = try? CertificateSubject.read(pem: String(decoding: text, as: UTF8.self))
        else { return nil }
        return (Double(subject.notBefore), Double(subject.notAfter))
    }

    private static func end(ofSignerOf cluster: ClusterRecord) -> Double? {
        cluster.certificateAuthorities.first { $0.signingStatus == .inUse }.flatMap { validity($0)?.notAfter }
    }

    static func needsSuccessor(_ cluster: ClusterRecord, at now: Double) -> Bool {
        end(ofSignerOf: cluster).map { now >= $0 - successorLead } ?? false
    }

    /// When a successor that has never signed begins to do so by itself: not before the first moment, and not after the second.
    static func activation(of authority: ClusterAuthority, _ cluster: ClusterRecord) -> (first: Double, final: Double)? {
        guard authority.activatedAt == nil, let end = end(ofSignerOf: cluster) else { return nil }
        return (end - firstActivationLead, end - finalActivationLead)
    }

    /// Whether one that has signed before may do so again.
    static func canRollBack(to authority: ClusterAuthority, at now: Double) -> Bool {
        guard authority.signingStatus == .notUsed, authority.activatedAt != nil, let end = validity(authority)?.notAfter else { return false }
        return now < end - finalActivationLead
    }

    /// What EKS does at `now` by itself; nil: nothing.
    static func due(_ cluster: ClusterRecord, at now: Double) -> AuthorityUpdate? {
        let all = cluster.certificateAuthorities
        if all.count < ClusterRecord.authorityLimit {
            return needsSuccessor(cluster, at: now) ? AuthorityUpdate(action: .append, id: AWSIdentifier.uuid(), isAutomatic: true) : nil
        }
        guard let successor = all.first(where: { $0.signingStatus == .notUsed && $0.distributionStatus == .complete }),
            let moment = activation(of: successor, cluster), now >= moment.first,
            // One that ends before the other is no help.
            let own = validity(successor)?.notAfter, let end = end(ofSignerOf: cluster), own > end
        else { return nil }
        return AuthorityUpdate(action: .activate, id: successor.id, isAutomatic: true)
    }
}

extension EKSService {
    /// Begins what is due of every cluster's rotation. Those that something else is changing have their turn the next time.
    package func rotateAuthorities() async {
        let now = clock.now
        let due = await state.read { tables in
            tables.clusters.values.filter { $0.status == .active }.compactMap { cluster in
                AuthorityCalendar.due(cluster, at: now).map { (name: cluster.name, update: $0) }
            }
        }
        for (name, update) in due {
            do { _ = try await begin(update, "AutomaticRotation", on: name, token: nil) } catch {
                context.logger.error("rotation of the certificate authority not begun", metadata: ["cluster": "\(name)", "error": "\(error)"])
            }
        }
    }
}
