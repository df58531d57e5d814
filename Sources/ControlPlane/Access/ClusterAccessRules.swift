/// Who may enter a cluster, and as whom, as the service's records have it. Given to a control plane as a whole at each change.
package struct ClusterAccessRules: Sendable, Equatable {
    /// An access entry: one IAM principal and its Kubernetes user. Upstream: eks AccessEntry with its associated policies.
    package struct Entry: Sendable, Equatable {
        /// `arn:aws:iam::…:user/x` or `arn:aws:iam::…:role/path/y`.
        package var principalARN: String
        /// `AIDA…` or `AROA…` of the principal the entry was made for: another one that took over its name is not meant. Nil: not known here.
        package var principalID: String?
        /// May hold templates: `{{SessionName}}`, `{{EC2PrivateDNSName}}`, …
        package var userName: String
        package var groups: [String]
        package var policies: [Policy]

        package init(principalARN: String, principalID: String?, userName: String, groups: [String], policies: [Policy] = []) {
            self.principalARN = principalARN
            self.principalID = principalID
            self.userName = userName
            self.groups = groups
            self.policies = policies
        }
    }

    /// An access policy of an entry. Upstream: eks AssociatedAccessPolicy.
    package struct Policy: Sendable, Equatable {
        package var arn: String
        /// Names and patterns with `*`; nil: the whole cluster.
        package var namespaces: [String]?

        package init(arn: String, namespaces: [String]?) {
            self.arn = arn
            self.namespaces = namespaces
        }
    }

    /// A provider whose tokens are accepted. Upstream: eks OidcIdentityProviderConfig.
    package struct IdentityProvider: Sendable, Equatable {
        package var issuer: String
        package var clientID: String
        package var userNameClaim: String?
        package var userNamePrefix: String?
        package var groupsClaim: String?
        package var groupsPrefix: String?
        package var requiredClaims: [String: String] = [:]

        package init(issuer: String, clientID: String) {
            self.issuer = issuer
            self.clientID = clientID
        }
    }

    /// Grows with each change of the records: rules that arrive late do not replace newer ones.
    package var revision: Int
    /// Whether the `aws-auth` ConfigMap is believed.
    package var usesConfigMap: Bool
    /// Empty where entries are not believed.
    package var entries: [Entry]
    /// The principal that is `system:masters` without standing in any list: the creator, where there are no entries.
    package var administratorARN: String?
    package var identityProviders: [IdentityProvider]

    package init(
        revision: Int = 0, usesConfigMap: Bool = true, entries: [Entry] = [], administratorARN: String? = nil,
        identityProviders: [IdentityProvider] = []
    ) {
        self.revision = revision
        self.usesConfigMap = usesConfigMap
        self.entries = entries
        self.administratorARN = administratorARN
        self.identityProviders = identityProviders
    }
}

/// An AWS identity that showed a valid token. Upstream: aws-iam-authenticator token.Identity.
package struct AWSIdentity: Sendable, Equatable {
    /// As GetCallerIdentity says.
    package var arn: String
    /// With an assumed role made its IAM role, without the role's path.
    package var canonicalARN: String
    /// The IAM user or role with its path.
    package var principalARN: String
    package var accountID: String
    /// `AIDA…` or `AROA…`, without a session's name.
    package var principalID: String
    /// Empty when there is no session.
    package var sessionName: String
    package var accessKeyID: String

    package init(
        arn: String, canonicalARN: String, principalARN: String, accountID: String, principalID: String, sessionName: String, accessKeyID: String
    ) {
        self.arn = arn
        self.canonicalARN = canonicalARN
        self.principalARN = principalARN
        self.accountID = accountID
        self.principalID = principalID
        self.sessionName = sessionName
        self.accessKeyID = accessKeyID
    }

    /// The UID that the identity has in the cluster; nobody else's looks like it. Upstream: aws-iam-authenticator server.doMapping.
    var uid: String { "aws-iam-authenticator:\(accountID):\(principalID)" }
}
