internal import AWSProtocol

/// Who may use a key beside those whom policies let. Upstream: kms GrantListEntry.
struct KMSGrantRecord: Codable, Sendable, Equatable {
    /// 64 hexadecimal digits.
    var id: String
    var keyID: String
    var name: String?
    /// An IAM principal's ARN.
    var grantee: String
    var retiring: String?
    var operations: [String]
    /// The encryption context must have these pairs.
    var contextSubset: [String: String]?
    /// The encryption context must be this.
    var contextEquals: [String: String]?
    var createdAt: Double

    /// Whether it lets a caller do an operation with an encryption context; nil: one that has none.
    func allows(_ operation: String, _ caller: AWSCaller, context: [String: String]?) -> Bool {
        guard grantee == caller.principalARN || grantee == caller.arn, operations.contains(operation) else { return false }
        guard let context else { return true }
        if let contextEquals, contextEquals != context { return false }
        return (contextSubset ?? [:]).allSatisfy { context[$0.key] == $0.value }
    }

    /// Whether two were asked for in the same way: then there is one. Upstream: kms CreateGrant.Name.
    func isSame(as other: KMSGrantRecord) -> Bool {
        var mine = self
        (mine.id, mine.createdAt) = (other.id, other.createdAt)
        return name != nil && mine == other
    }

    func json(_ key: KMSKeyRecord) -> AWSJSON {
        let constraints: [String: AWSJSON?] = [
            "EncryptionContextSubset": contextSubset.map(AWSJSON.map), "EncryptionContextEquals": contextEquals.map(AWSJSON.map),
        ]
        return .compact([
            "KeyId": .string(key.arn), "GrantId": .string(id), "Name": name.map(AWSJSON.string), "CreationDate": .double(createdAt),
            "GranteePrincipal": .string(grantee), "RetiringPrincipal": retiring.map(AWSJSON.string),
            "IssuingAccount": .string("arn:aws:iam::\(ARN(key.arn)?.account ?? ""):root"), "Operations": .strings(operations),
            "Constraints": constraints.values.contains { $0 != nil } ? .compact(constraints) : nil,
        ])
    }
}

extension KMSTables {
    func grants(of keyID: String) -> [KMSGrantRecord] {
        grants.values.filter { $0.keyID == keyID }.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    }

    /// Keeps a grant; one that was asked for in the same way before is that one. Throws LimitExceededException.
    mutating func add(_ grant: KMSGrantRecord) throws(AWSError) -> KMSGrantRecord {
        let present = grants(of: grant.keyID)
        if let known = present.first(where: { $0.isSame(as: grant) }) { return known }
        guard present.count < 50_000 else { throw AWSError("LimitExceededException", "The key has 50000 grants.") }
        grants[grant.id] = grant
        return grant
    }
}

extension IdentityStore {
    /// Whether a caller may do something with a resource that has a policy of its own: that policy names the caller, or leaves it to the account's
    /// IAM policies and they allow it, or a grant does; nothing may deny it, and the caller's boundaries must allow it, too. Throws `AccessDenial`.
    /// Upstream: KMS Developer Guide, "Determining access to AWS KMS keys".
    func authorize(
        _ caller: AWSCaller, action: String, resource: String, context: PolicyContext, policy: PolicyDocument, isGranted: Bool
    ) async throws {
        let now = clock.now
        let (policies, facts) = await state.read { tables in
            (tables.policies(of: caller), tables.context(of: caller, now: now).merging(context) { known, _ in known })
        }
        let evaluation = PolicyEvaluation(action: action, resource: resource, context: facts)
        let own = evaluation.trust(policy, caller: caller)
        let identity = evaluation.decide(policies.identity)
        let limits = policies.limits.map { evaluation.decide($0) }
        let isDenied = ([own.decision, identity] + limits).contains(.denied(isExplicit: true))
        let isAllowed = isGranted || (own.decision == .allowed && (own.isDirect || identity == .allowed))
        guard !isDenied, isAllowed, limits.allSatisfy({ $0 == .allowed }) else {
            throw AccessDenial(callerARN: caller.arn, action: action, resource: resource, isExplicit: isDenied)
        }
    }
}

extension KMSKeys {
    /// Throws `AccessDenial` when neither the key's policy with IAM nor a grant lets the caller do `operation` (`Encrypt`, `ReEncryptFrom`).
    func authorize(
        _ caller: AWSCaller, _ operation: String, _ key: KMSKeyRecord, identities: IdentityStore, context: PolicyContext,
        encryptionContext: [String: String]? = nil
    ) async throws {
        var facts = context
        facts["kms:calleraccount"] = [caller.account]
        facts["kms:keyspec"] = ["SYMMETRIC_DEFAULT"]
        facts["kms:keyusage"] = ["ENCRYPT_DECRYPT"]
        for (name, value) in encryptionContext ?? [:] { facts["kms:encryptioncontext:" + name.lowercased()] = [value] }
        if let names = encryptionContext?.keys.sorted(), !names.isEmpty { facts["kms:encryptioncontextkeys"] = names }
        let isGranted = await state.read { tables in
            tables.grants(of: key.id).contains { $0.allows(operation, caller, context: encryptionContext) }
        }
        // Checked when it was stored; one that does not parse lets nobody in.
        guard let policy = ParsedPolicies.document(key.policy) else {
            throw AccessDenial(callerARN: caller.arn, action: "kms:" + operation, resource: key.arn, isExplicit: false)
        }
        try await identities.authorize(
            caller, action: "kms:" + operation, resource: key.arn, context: facts, policy: policy, isGranted: isGranted)
    }
}
