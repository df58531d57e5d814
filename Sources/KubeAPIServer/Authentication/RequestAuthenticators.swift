internal import Certificates
package import HTTPTransport
package import KubeAPI
import Synchronization

/// Asks authenticators in turn: the first that knows the credentials decides. Upstream: authenticator/request/union, which goes on after an error;
/// here too, so that a client certificate of an outsider does not spoil a good token. Throws the last error when no one knew the credentials.
package struct UnionAuthenticator: RequestAuthenticator {
    let authenticators: [any RequestAuthenticator]

    package init(_ authenticators: [any RequestAuthenticator]) { self.authenticators = authenticators }

    package func authenticate(_ head: HTTPRequestHead) async throws -> UserInfo? {
        var failure: (any Error)?
        for authenticator in authenticators {
            do {
                if let user = try await authenticator.authenticate(head) { return user }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return nil
    }
}

/// A client certificate that TLS has verified against the cluster's CA: its common name is the user, its organisations are the groups. A certificate
/// is parsed once for each connection. Upstream: authenticator/request/x509.CommonNameUserConversion.
package final class ClientCertificateAuthenticator: RequestAuthenticator {
    /// Certificates remembered, in two generations: more than a cluster has connections.
    private static let limit = 4096

    private struct Known: Sendable {
        /// Held so that no other array takes its place in memory.
        var leaf: [UInt8]
        var user: UserInfo?
        var notBefore: Int64
        var notAfter: Int64
    }
    private struct Cache {
        var recent: [ObjectAddress: Known] = [:]
        var former: [ObjectAddress: Known] = [:]

        mutating func insert(_ address: ObjectAddress, _ known: Known) {
            if recent.count >= ClientCertificateAuthenticator.limit / 2 {
                former = recent
                recent = [:]
            }
            recent[address] = known
        }
    }

    private let now: @Sendable () -> Timestamp
    private let cache = Mutex(Cache())

    private let excludedRoots: [[UInt8]]

    /// `excludedRoots`: CA certificates in DER that the listener accepts for something else; who shows a certificate of theirs is nobody here.
    package init(excludedRoots: [[UInt8]] = [], now: @escaping @Sendable () -> Timestamp = { .now }) {
        self.excludedRoots = excludedRoots
        self.now = now
    }

    package func authenticate(_ head: HTTPRequestHead) async throws -> UserInfo? { try user(head) }

    package func authenticateNow(_ head: HTTPRequestHead) throws -> ImmediateAuthentication { try user(head).map { .user($0) } ?? .notMine }

    private func user(_ head: HTTPRequestHead) throws -> UserInfo? {
        guard let leaf = head.connection.peerCertificates.first else { return nil }
        let address = ObjectAddress(leaf)
        let known: Known
        if let found = cache.withLock({ $0.recent[address] ?? $0.former[address] }) {
            known = found
        } else {
            known = try Self.read(leaf, isExcluded: head.connection.peerCertificates.last.map(excludedRoots.contains) ?? false)
            cache.withLock { $0.insert(address, known) }
        }
        // TLS looked when the connection was made; a long connection outlives a certificate.
        let seconds = now().seconds
        guard seconds >= known.notBefore, seconds <= known.notAfter else { throw StatusError.unauthorized }
        return known.user
    }

    private static func read(_ leaf: [UInt8], isExcluded: Bool) throws -> Known {
        let subject: CertificateSubject
        do { subject = try CertificateSubject.read(der: leaf) } catch { throw StatusError.unauthorized }
        var user: UserInfo?
        if !subject.commonName.isEmpty, !isExcluded {
            let hex = subject.serial.map { byte in
                let digits = String(byte, radix: 16)
                return digits.utf8.count == 1 ? "0\(digits)" : digits
            }
            user = UserInfo(
                name: subject.commonName, groups: subject.organizations,
                extra: hex.isEmpty ? [:] : ["authentication.kubernetes.io/credential-id": ["X509SN=\(hex.joined())"]])
        }
        return Known(leaf: leaf, user: user, notBefore: subject.notBefore, notAfter: subject.notAfter)
    }
}

/// `Authorization: Bearer TOKEN`, asked of every kind of token in turn. Upstream: authenticator/request/bearertoken with token/union.
package struct BearerTokenRequestAuthenticator: RequestAuthenticator {
    /// Longer tokens are refused unread; the longest real ones (EKS's presigned URLs) stay below 4 KiB.
    static let maximumTokenLength = 16 * 1024

    let authenticators: [any BearerTokenAuthenticator]

    package init(_ authenticators: [any BearerTokenAuthenticator]) { self.authenticators = authenticators }

    package func authenticate(_ head: HTTPRequestHead) async throws -> UserInfo? {
        guard let token = Self.token(head) else { return nil }
        guard let user = try await authenticate(token: token) else { throw StatusError.unauthorized }
        return user
    }

    package func authenticateNow(_ head: HTTPRequestHead) throws -> ImmediateAuthentication {
        guard let token = Self.token(head) else { return .notMine }
        guard token.utf8.count <= Self.maximumTokenLength else { throw StatusError.unauthorized }
        for authenticator in authenticators {
            switch try authenticator.authenticateNow(token: token) {
            case .user(let user): return .user(user)
            case .later: return .later
            case .notMine: continue
            }
        }
        throw StatusError.unauthorized
    }

    private static func token(_ head: HTTPRequestHead) -> String? {
        guard let header = head.fields["Authorization"] else { return nil }
        let parts = header.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        let token = parts[1].filter { $0 != " " }
        return token.isEmpty ? nil : String(token)
    }

    /// Asks each kind in turn. Nil when the token is of none of them; throws `StatusError.unauthorized` when it is of one and not valid.
    package func authenticate(token: String) async throws -> UserInfo? {
        guard token.utf8.count <= Self.maximumTokenLength else { throw StatusError.unauthorized }
        for authenticator in authenticators { if let user = try await authenticator.authenticate(token: token) { return user } }
        return nil
    }
}

extension UserInfo {
    /// The API server itself, as its own clients present it. Upstream: user.APIServerUser in system:masters.
    package static let apiServer = UserInfo(name: "system:apiserver", groups: [PrivilegedGroupsAuthorizer.masters, allAuthenticated])
    /// Upstream: user.AllAuthenticated.
    package static let allAuthenticated = "system:authenticated"

    /// Who a service account is to the API server. Upstream: serviceaccount.UserInfo.
    package static func serviceAccount(namespace: String, name: String, uid: String = "") -> UserInfo {
        UserInfo(
            name: "system:serviceaccount:\(namespace):\(name)", uid: uid,
            groups: ["system:serviceaccounts", "system:serviceaccounts:\(namespace)", allAuthenticated])
    }

    /// The controller of that name in kube-system, as the controller manager runs it: its own rights and no more. Upstream:
    /// system:controller:NAME's account.
    package static func controller(_ name: String) -> UserInfo { serviceAccount(namespace: "kube-system", name: name) }
}
