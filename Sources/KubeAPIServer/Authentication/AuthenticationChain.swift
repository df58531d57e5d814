import HTTPTransport
import KubeAPI

/// What an authenticator can say without waiting for anybody.
package enum ImmediateAuthentication: Sendable {
    case user(UserInfo)
    /// The credentials are not of its kind.
    case notMine
    /// It must ask others: `authenticate` will tell.
    case later
}

/// Asks the authenticators of a server in order: the first that knows a request's credentials decides. One that refuses them does not keep the next
/// from accepting them, so that an outsider's client certificate does not spoil a good token. Upstream: authenticator/request/union.
struct AuthenticationChain: Sendable {
    /// Paths whose probes need no credentials. Upstream: AuthenticationConfiguration's anonymous.conditions with these paths; EKS likewise.
    static let anonymousPaths: Set<String> = ["/healthz", "/livez", "/readyz", "/version"]

    let authenticators: [any RequestAuthenticator]

    /// The user, decided from memory alone; nil when somebody must be waited for. Throws 401.
    func immediately(_ head: HTTPRequestHead, _ info: RequestInfo) throws -> UserInfo? {
        var refused = false
        for authenticator in authenticators {
            do {
                switch try authenticator.authenticateNow(head) {
                case .user(let user): return Self.completed(user)
                case .notMine: continue
                case .later: return nil
                }
            } catch is StatusError { refused = true }
        }
        return try anonymous(head, info, refused: refused)
    }

    /// The user of the request. Throws 401 for credentials nobody vouches for, and for none at all, except on the few public paths.
    func user(_ head: HTTPRequestHead, _ info: RequestInfo) async throws -> UserInfo {
        if let user = try immediately(head, info) { return user }
        var refused = false
        for authenticator in authenticators {
            do {
                guard let user = try await authenticator.authenticate(head) else { continue }
                return Self.completed(user)
            } catch is StatusError { refused = true }
        }
        return try anonymous(head, info, refused: refused)
    }

    private func anonymous(_ head: HTTPRequestHead, _ info: RequestInfo, refused: Bool) throws -> UserInfo {
        guard !refused, head.fields["Authorization"] == nil, !info.isResourceRequest, Self.anonymousPaths.contains(info.path) else {
            throw StatusError.unauthorized
        }
        return .anonymous
    }

    /// Upstream: authenticator/group.AuthenticatedGroupAdder.
    private static func completed(_ user: UserInfo) -> UserInfo {
        guard user.name != UserInfo.anonymous.name, !user.groups.contains(UserInfo.allAuthenticated) else { return user }
        var user = user
        user.groups.append(UserInfo.allAuthenticated)
        return user
    }
}
