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
}

/// Temporary credentials. Upstream: sts Credentials.
struct SessionRecord: Codable, Sendable, Equatable {
    /// `ASIA…`
    var accessKeyID: String
    var secret: String
    var token: String
    var expiration: Double
    var caller: AWSCaller
}

/// All of IAM and the sessions of STS.
struct IAMTables: DurableTables {
    var users = Table<UserRecord>("iam.users")
    var accessKeys = Table<AccessKeyRecord>("iam.accessKeys")
    var roles = Table<RoleRecord>("iam.roles")
    var instanceProfiles = Table<InstanceProfileRecord>("iam.instanceProfiles")
    var sessions = Table<SessionRecord>("sts.sessions")

    init() {}

    mutating func load(from storage: any RowStorage) async throws {
        try await users.load(from: storage)
        try await accessKeys.load(from: storage)
        try await roles.load(from: storage)
        try await instanceProfiles.load(from: storage)
        try await sessions.load(from: storage)
    }

    mutating func takeChanges() -> [RowChange] {
        users.takeChanges() + accessKeys.takeChanges() + roles.takeChanges() + instanceProfiles.takeChanges() + sessions.takeChanges()
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
