import AWSProtocol

/// A policy written into a user or role, or attached by ARN.
struct PrincipalPolicies: Codable, Sendable, Equatable {
    /// ARNs of attached managed policies, in the order of attachment.
    var attached: [String] = []
    /// Documents by name.
    var inline: [String: String] = [:]
}

/// Upstream: iam User.
struct UserRecord: Codable, Sendable, Equatable {
    var name: String
    var path: String
    /// `AIDA…`
    var id: String
    var arn: String
    var createdAt: Double
    var policies = PrincipalPolicies()
    var tags: [String: String] = [:]
    /// The ARN of the policy beyond which nothing is allowed.
    var permissionsBoundary: String?
}

/// Upstream: iam Group.
struct GroupRecord: Codable, Sendable, Equatable {
    var name: String
    var path: String
    /// `AGPA…`
    var id: String
    var arn: String
    var createdAt: Double
    var policies = PrincipalPolicies()
    var userNames: [String] = []
}

/// A policy of the account's own. Upstream: iam Policy, PolicyVersion.
struct ManagedPolicyRecord: Codable, Sendable, Equatable {
    struct Version: Codable, Sendable, Equatable {
        /// `v1`
        var id: String
        var document: String
        var createdAt: Double
    }
    var name: String
    var path: String
    /// `ANPA…`
    var id: String
    var arn: String
    var description: String?
    var createdAt: Double
    var updatedAt: Double
    /// The oldest first.
    var versions: [Version]
    var defaultVersionID: String
    /// The number of the version made last: numbers are not used again.
    var lastVersion = 1
    var tags: [String: String] = [:]

    /// The document of the version that counts.
    var document: String { versions.first { $0.id == defaultVersionID }?.document ?? "" }
}

/// Upstream: iam GetOpenIDConnectProvider.
struct OIDCProviderRecord: Codable, Sendable, Equatable {
    var arn: String
    /// The issuer's URL without `https://`.
    var url: String
    var clientIDs: [String]
    /// SHA-1 of the certificates that sign the issuer's, hexadecimal.
    var thumbprints: [String]
    var createdAt: Double
    var tags: [String: String] = [:]
}

/// Upstream: iam AccessKey.
struct AccessKeyRecord: Codable, Sendable, Equatable {
    /// `AKIA…`
    var id: String
    var secret: String
    var userName: String
    var isActive: Bool
    var createdAt: Double
}

/// Upstream: iam Role.
struct RoleRecord: Codable, Sendable, Equatable {
    var name: String
    var path: String
    /// `AROA…`
    var id: String
    var arn: String
    var createdAt: Double
    /// The trust policy, as given.
    var assumeRolePolicy: String
    var description: String?
    /// Seconds.
    var maxSessionDuration: Int
    var policies = PrincipalPolicies()
    var tags: [String: String] = [:]
    /// The ARN of the policy beyond which nothing is allowed.
    var permissionsBoundary: String?
    /// The service that alone assumes it and whose it is: `eks.amazonaws.com`.
    var linkedService: String?
}

/// Upstream: iam InstanceProfile.
struct InstanceProfileRecord: Codable, Sendable, Equatable {
    var name: String
    var path: String
    /// `AIPA…`
    var id: String
    var arn: String
    var createdAt: Double
    var roleNames: [String] = []
    var tags: [String: String]?
}

/// Temporary credentials. Upstream: sts Credentials.
struct SessionRecord: Codable, Sendable, Equatable {
    /// `ASIA…`
    var accessKeyID: String
    var secret: String
    var token: String
    var expiration: Double
    var caller: AWSCaller
    /// What it was limited to when it was made; nil for no limit.
    var limits: SessionLimits?
    /// Attributes that policies may ask for.
    var attributes: SessionAttributes?
}

/// The policies that a session was begun with. Upstream: sts AssumeRole `Policy`, `PolicyArns`.
struct SessionLimits: Codable, Sendable, Equatable {
    var policy: String?
    var policyARNs: [String] = []
}

/// What is known of a session beside whose it is.
struct SessionAttributes: Codable, Sendable, Equatable {
    var tags: [String: String] = [:]
    /// Keys of tags that sessions begun from this one have too.
    var transitiveTagKeys: [String] = []
    var sourceIdentity: String?
    /// The ARN of the identity provider that vouched.
    var federatedProvider: String?
    /// Whether it is a user's own, of GetSessionToken.
    var isOfUser = false
}

/// All of IAM and the sessions of STS.
struct IAMTables: DurableTables {
    var users = Table<UserRecord>("iam.users")
    var accessKeys = Table<AccessKeyRecord>("iam.accessKeys")
    var roles = Table<RoleRecord>("iam.roles")
    var instanceProfiles = Table<InstanceProfileRecord>("iam.instanceProfiles")
    var groups = Table<GroupRecord>("iam.groups")
    /// The account's own managed policies, by ARN.
    var managedPolicies = Table<ManagedPolicyRecord>("iam.policies")
    /// By ARN.
    var oidcProviders = Table<OIDCProviderRecord>("iam.oidcProviders")
    /// `alias`: the account's.
    var settings = Table<String>("iam.settings")
    var sessions = Table<SessionRecord>("sts.sessions")

    init() {}

    mutating func load(from storage: any RowStorage) async throws {
        try await users.load(from: storage)
        try await accessKeys.load(from: storage)
        try await roles.load(from: storage)
        try await instanceProfiles.load(from: storage)
        try await groups.load(from: storage)
        try await managedPolicies.load(from: storage)
        try await oidcProviders.load(from: storage)
        try await settings.load(from: storage)
        try await sessions.load(from: storage)
    }

    mutating func takeChanges() -> [RowChange] {
        let principals = users.takeChanges() + accessKeys.takeChanges() + roles.takeChanges() + groups.takeChanges()
        let others = instanceProfiles.takeChanges() + managedPolicies.takeChanges() + oidcProviders.takeChanges() + settings.takeChanges()
        return principals + others + sessions.takeChanges()
    }

    /// The user `name`. Throws NoSuchEntity in IAM's words.
    func user(_ name: String) throws(AWSError) -> UserRecord {
        guard let user = users[name] else { throw IAMFault.missing("The user with name \(name) cannot be found.") }
        return user
    }

    /// The role `name`. Throws NoSuchEntity in IAM's words.
    func role(_ name: String) throws(AWSError) -> RoleRecord {
        guard let role = roles[name] else { throw IAMFault.missing("The role with name \(name) cannot be found.") }
        return role
    }

    /// The group `name`. Throws NoSuchEntity in IAM's words.
    func group(_ name: String) throws(AWSError) -> GroupRecord {
        guard let group = groups[name] else { throw IAMFault.missing("The group with name \(name) cannot be found.") }
        return group
    }

    /// The instance profile `name`. Throws NoSuchEntity in IAM's words.
    func instanceProfile(_ name: String) throws(AWSError) -> InstanceProfileRecord {
        guard let profile = instanceProfiles[name] else { throw IAMFault.missing("Instance Profile \(name) cannot be found.") }
        return profile
    }

    /// The role with this ARN, its path included.
    func role(arn: String) -> RoleRecord? {
        guard let parsed = ARN(arn), parsed.service == "iam", let name = parsed.resourceParts.last, let role = roles[String(name)], role.arn == arn
        else { return nil }
        return role
    }
}

/// IAM's errors. Upstream: iam service model.
enum IAMFault {
    static func missing(_ text: String) -> AWSError { AWSError("NoSuchEntity", text, status: 404) }
    static func exists(_ text: String) -> AWSError { AWSError("EntityAlreadyExists", text, status: 409) }
    static func conflict(_ text: String) -> AWSError { AWSError("DeleteConflict", text, status: 409) }
    static func limit(_ text: String) -> AWSError { AWSError("LimitExceeded", text, status: 409) }
    static func invalid(_ text: String) -> AWSError { AWSError("ValidationError", text) }
    static func malformedPolicy(_ text: String) -> AWSError { AWSError("MalformedPolicyDocument", text) }
}
