internal import KubeAPI
internal import KubeAPIServer
internal import Synchronization

/// All that decides which AWS identities and which providers' users a cluster knows: the service's rules, and the `aws-auth` ConfigMap as the
/// cluster's API server has it. Kept in memory, so that authorising a request waits for nobody.
package final class AccessBook: Sendable {
    /// What an identity is in the cluster, before its names are filled in, and which list says so.
    struct Mapping: Sendable, Equatable {
        var userName: String
        var groups: [String]
        var source: String
    }

    /// A policy of an entry, ready to be asked.
    struct Grant: Sendable {
        var principalARN: String
        var principalID: String
        var policyARN: String
        var namespaces: [String]?
        var rules: [PolicyRule]
    }

    private struct State {
        var rules = ClusterAccessRules(revision: -1, usesConfigMap: false)
        var entries: [String: ClusterAccessRules.Entry] = [:]
        /// By the UID of the user.
        var grants: [String: [Grant]] = [:]
        var configMap = AWSAuthMap()
        var providers: [(of: ClusterAccessRules.IdentityProvider, authenticator: OIDCAuthenticator)] = []
    }

    package let log = AuthenticatorLog()
    /// CA certificates in PEM by which identity providers are known, beside those the system trusts; nil: none.
    private let providerAuthorityPEM: String?
    private let state = Mutex(State())

    package init(providerAuthorityPEM: String? = nil) { self.providerAuthorityPEM = providerAuthorityPEM }

    /// Takes over the service's rules, unless newer ones are here.
    package func set(_ rules: ClusterAccessRules) {
        state.withLock { state in
            guard rules.revision >= state.rules.revision else { return }
            state.providers = rules.identityProviders.map { provider in
                // One that stays keeps the keys it has fetched.
                if let known = state.providers.first(where: { $0.of == provider }) { return known }
                return (provider, OIDCAuthenticator(provider.configuration(authorityPEM: providerAuthorityPEM)))
            }
            state.rules = rules
            state.entries = Dictionary(rules.entries.map { ($0.principalARN, $0) }) { first, _ in first }
            state.grants = rules.entries.reduce(into: [:]) { grants, entry in
                guard let id = entry.principalID, let account = entry.account else { return }
                grants["aws-iam-authenticator:\(account):\(id)"] = entry.policies.compactMap { Grant(entry, id, $0) }
            }
        }
    }

    func set(_ map: AWSAuthMap) { state.withLock { $0.configMap = map } }

    /// What an identity is. An access entry goes before the ConfigMap. Nil: nothing. Upstream: EKS User Guide, "Migrating existing aws-auth
    /// ConfigMap entries": the entry overrides.
    func mapping(of identity: AWSIdentity) -> Mapping? {
        state.withLock { state in
            if state.rules.administratorARN == identity.principalARN {
                return Mapping(userName: "kubernetes-admin", groups: [PrivilegedGroupsAuthorizer.masters], source: "the cluster's creator")
            }
            if let entry = state.entries[identity.principalARN], entry.principalID == identity.principalID {
                return Mapping(userName: entry.userName, groups: entry.groups, source: "access entry \(entry.principalARN)")
            }
            guard state.rules.usesConfigMap, let mapping = state.configMap.mapping(of: identity) else { return nil }
            return Mapping(userName: mapping.userName, groups: mapping.groups, source: "ConfigMap \(AWSAuthMap.namespace)/\(AWSAuthMap.name)")
        }
    }

    /// The access policies of the user with this UID.
    func grants(uid: String) -> [Grant] { state.withLock { $0.grants[uid] ?? [] } }

    var identityProviders: [OIDCAuthenticator] { state.withLock { $0.providers.map(\.authenticator) } }
}

extension AccessBook.Grant {
    /// Nil for a policy that is not known here: it grants nothing.
    init?(_ entry: ClusterAccessRules.Entry, _ id: String, _ policy: ClusterAccessRules.Policy) {
        guard let known = AccessPolicies.policy(arn: policy.arn) else { return nil }
        self.init(
            principalARN: entry.principalARN, principalID: id, policyARN: policy.arn, namespaces: policy.namespaces, rules: known.rules)
    }
}

extension ClusterAccessRules.Entry {
    /// `arn:aws:iam::ACCOUNT:…`
    fileprivate var account: String? {
        let parts = principalARN.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count > 4 ? String(parts[4]) : nil
    }
}

extension ClusterAccessRules.IdentityProvider {
    fileprivate func configuration(authorityPEM: String?) -> OIDCConfiguration {
        var configuration = OIDCConfiguration(
            issuer: issuer, clientID: clientID, usernameClaim: userNameClaim ?? "sub", usernamePrefix: userNamePrefix, groupsClaim: groupsClaim,
            groupsPrefix: groupsPrefix ?? "")
        configuration.requiredClaims = requiredClaims
        configuration.certificateAuthorityPEM = authorityPEM
        return configuration
    }
}
