/// Upstream: eks configStatus.
package enum IdentityProviderStatus: String, Codable, Sendable {
    case creating = "CREATING"
    case active = "ACTIVE"
    case deleting = "DELETING"
}

/// An OIDC provider whose users a cluster knows. Upstream: eks OidcIdentityProviderConfig.
///
/// ```
/// CREATING ─▶ ACTIVE ─▶ DELETING ─▶ (gone)
/// ```
package struct IdentityProviderRecord: Codable, Sendable, Equatable {
    /// The only type there is.
    package static let type = "oidc"

    package var clusterName: String
    package var name: String
    package var arn: String
    package var issuerURL: String
    package var clientID: String
    package var userNameClaim: String?
    package var userNamePrefix: String?
    package var groupsClaim: String?
    package var groupsPrefix: String?
    package var requiredClaims: [String: String]
    package var tags: [String: String]
    package var status: IdentityProviderStatus

    package init(clusterName: String, name: String, issuerURL: String, clientID: String) {
        self.clusterName = clusterName
        self.name = name
        self.issuerURL = issuerURL
        self.clientID = clientID
        arn = ""
        requiredClaims = [:]
        tags = [:]
        status = .creating
    }
}
