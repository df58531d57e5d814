/// One provider of identities whose tokens are accepted. Upstream: apiserver.config.k8s.io JWTAuthenticator, and --oidc-*.
package struct OIDCConfiguration: Sendable, Equatable {
    /// A claim whose text, after a prefix, becomes part of the user.
    package struct PrefixedClaim: Sendable, Equatable {
        package var claim: String
        package var prefix: String

        package init(claim: String, prefix: String = "") {
            self.claim = claim
            self.prefix = prefix
        }
    }

    /// `https://` URL, the `iss` of its tokens; keys are found below it.
    package var issuer: String
    /// One of a token's audiences must be one of these: the client IDs.
    package var audiences: [String]
    package var username: PrefixedClaim
    package var groups: PrefixedClaim?
    /// Claims every token must have, with exactly these texts.
    package var requiredClaims: [String: String] = [:]
    /// Upstream: --oidc-signing-algs, RS256.
    package var signingAlgorithms = ["RS256"]
    /// CA certificates of the provider in PEM; nil: those the system trusts.
    package var certificateAuthorityPEM: String?

    /// `usernamePrefix` nil: the issuer and `#` before the name, unless the claim is `email`; `-`: none. Upstream: --oidc-username-prefix.
    package init(
        issuer: String, clientID: String, usernameClaim: String = "sub", usernamePrefix: String? = nil, groupsClaim: String? = nil,
        groupsPrefix: String = ""
    ) {
        self.issuer = issuer
        audiences = [clientID]
        let prefix =
            switch usernamePrefix {
            case "-": ""
            case let given?: given
            case nil: usernameClaim == "email" ? "" : "\(issuer)#"
            }
        username = PrefixedClaim(claim: usernameClaim, prefix: prefix)
        groups = groupsClaim.map { PrefixedClaim(claim: $0, prefix: groupsPrefix) }
    }
}
