internal import Certificates
package import HTTPTransport
package import KubeAPI

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

/// A client certificate that TLS has verified against the cluster's CA: its common name is the user, its organisations are the groups.
/// Upstream: authenticator/request/x509.CommonNameUserConversion.
package struct ClientCertificateAuthenticator: RequestAuthenticator {
    private let now: @Sendable () -> Timestamp

    package init(now: @escaping @Sendable () -> Timestamp = { .now }) { self.now = now }

    package func authenticate(_ head: HTTPRequestHead) async throws -> UserInfo? {
        guard let leaf = head.connection.peerCertificates.first else { return nil }
        let subject: CertificateSubject
        do { subject = try CertificateSubject.read(der: leaf) } catch { throw StatusError.unauthorized }
        // TLS looked when the connection was made; a long connection outlives a certificate.
        let seconds = now().seconds
        guard seconds >= subject.notBefore, seconds <= subject.notAfter else { throw StatusError.unauthorized }
        guard !subject.commonName.isEmpty else { return nil }
        let hex = subject.serial.map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0\(digits)" : digits
        }
        return UserInfo(
            name: subject.commonName, groups: subject.organizations,
            extra: hex.isEmpty ? [:] : ["authentication.kubernetes.io/credential-id": ["X509SN=\(hex.joined())"]])
    }
}

/// `Authorization: Bearer TOKEN`, asked of every kind of token in turn. Upstream: authenticator/request/bearertoken with token/union.
package struct BearerTokenRequestAuthenticator: RequestAuthenticator {
    /// Longer tokens are refused unread; the longest real ones (EKS's presigned URLs) stay below 4 KiB.
    static let maximumTokenLength = 16 * 1024

    let authenticators: [any BearerTokenAuthenticator]

    package init(_ authenticators: [any BearerTokenAuthenticator]) { self.authenticators = authenticators }

    package func authenticate(_ head: HTTPRequestHead) async throws -> UserInfo? {
        guard let header = head.fields["Authorization"] else { return nil }
        let parts = header.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        let token = parts[1].filter { $0 != " " }
        guard !token.isEmpty else { return nil }
        guard let user = try await authenticate(token: String(token)) else { throw StatusError.unauthorized }
        return user
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
