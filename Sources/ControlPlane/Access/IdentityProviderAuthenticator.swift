internal import KubeAPIServer

/// Tokens of the identity providers that are associated with the cluster at the moment. Upstream: eks AssociateIdentityProviderConfig; the API
/// server's --oidc-* flags, read anew.
struct IdentityProviderAuthenticator: BearerTokenAuthenticator {
    let book: AccessBook

    func authenticateNow(token: String) throws -> ImmediateAuthentication {
        for provider in book.identityProviders {
            switch try provider.authenticateNow(token: token) {
            case .notMine: continue
            case let answer: return answer
            }
        }
        return .notMine
    }

    func authenticate(token: String) async throws -> UserInfo? {
        for provider in book.identityProviders { if let user = try await provider.authenticate(token: token) { return user } }
        return nil
    }
}
