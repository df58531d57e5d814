package import AWSProtocol

/// The administrator made on first start.
package struct AdministratorCredentials: Sendable, Equatable {
    package var account: String
    package var accessKeyID: String
    package var secretAccessKey: String
}

/// What EKS asks of a role that it is given.
package struct RoleFacts: Sendable, Equatable {
    package var name: String
    package var arn: String
    /// The services its trust policy lets assume it: of those asked for.
    package var trustedServices: Set<String>
    package var attachedPolicyARNs: [String]
    /// Of the actions asked for, those its policies allow on everything.
    package var allowedActions: Set<String>
}

/// The account's identities: users, access keys, roles, sessions. Behind IAM, STS, the endpoint's authentication and every service's authorisation.
package final class IdentityStore: AWSCredentialSource, AWSAuthorizer, Sendable {
    /// The name of the user made on first start.
    package static let administratorName = "admin"

    /// Twelve digits.
    package let account: String
    let clock: AWSClock
    let state: DurableState<IAMTables>

    /// Loads the identities. Throws what the storage throws.
    package init(storage: any RowStorage, account: String = "000000000000", clock: AWSClock = .system) async throws {
        self.account = account
        self.clock = clock
        state = try await DurableState(storage: storage)
    }

    /// The administrator's key; made, with the user, when it is not there. Throws what the storage throws.
    package func administratorCredentials() async throws -> AdministratorCredentials {
        let account = account
        let now = clock.now
        return try await state.update { tables in
            let name = IdentityStore.administratorName
            if tables.users[name] == nil {
                var user = UserRecord(
                    name: name, path: "/", id: AWSIdentifier.unique("AIDA", length: 17),
                    arn: ARN(service: "iam", account: account, resource: "user/\(name)").description, createdAt: now)
                user.policies.attached = ["arn:aws:iam::aws:policy/AdministratorAccess"]
                tables.users[name] = user
            }
            let keys = tables.accessKeys.values.filter { $0.userName == name && $0.isActive }.sorted { $0.createdAt < $1.createdAt }
            let key = keys.first ?? AccessKeyRecord.make(userName: name, now: now)
            tables.accessKeys[key.id] = key
            return AdministratorCredentials(account: account, accessKeyID: key.id, secretAccessKey: key.secret)
        }
    }

    package func credential(accessKeyID: String) async -> AWSCredential? {
        let account = account
        return await state.read { tables -> AWSCredential? in
            if let session = tables.sessions[accessKeyID] {
                return AWSCredential(
                    accessKeyID: session.accessKeyID, secretAccessKey: session.secret, sessionToken: session.token, expiration: session.expiration,
                    caller: session.caller)
            }
            guard let key = tables.accessKeys[accessKeyID], key.isActive, let user = tables.users[key.userName] else { return nil }
            let caller = AWSCaller(account: account, arn: user.arn, principalARN: user.arn, userID: user.id, accessKeyID: key.id)
            return AWSCredential(accessKeyID: key.id, secretAccessKey: key.secret, caller: caller)
        }
    }

    package func authorize(_ caller: AWSCaller, action: String, resource: String, context: [String: [String]]) async throws {
        let now = clock.now
        let (policies, facts) = await state.read { tables in
            (tables.policies(of: caller), tables.context(of: caller, now: now).merging(context) { known, _ in known })
        }
        let evaluation = PolicyEvaluation(action: action, resource: resource, context: facts)
        if case .denied(let isExplicit) = evaluation.decide(policies) {
            throw AccessDenial(callerARN: caller.arn, action: action, resource: resource, isExplicit: isExplicit)
        }
    }

    /// What EKS checks of a role; nil when there is none with this ARN.
    package func roleFacts(arn: String, services: [String], actions: [String]) async -> RoleFacts? {
        await state.read { tables -> RoleFacts? in
            guard let role = tables.role(arn: arn) else { return nil }
            var facts = RoleFacts(name: role.name, arn: role.arn, trustedServices: [], attachedPolicyARNs: role.policies.attached, allowedActions: [])
            // Stored documents were checked when they were stored; one that no longer parses trusts nobody.
            if let trust = ParsedPolicies.document(role.assumeRolePolicy) {
                facts.trustedServices = Set(services.filter { PolicyEvaluation.trustsService(trust, service: $0) })
            }
            let policies = PrincipalDocuments(identity: tables.identityPolicies(of: role.arn), limits: tables.boundary(of: role.arn))
            facts.allowedActions = Set(actions.filter { PolicyEvaluation(action: $0, resource: "*", context: [:]).decide(policies) == .allowed })
            return facts
        }
    }

    /// The role an assumed-role session name stands for, with its path: `arn:aws:iam::…:role/path/name`. Nil when there is no such role.
    package func roleARN(named name: String) async -> String? { await state.read { $0.roles[name]?.arn } }
}

extension IAMTables {
    /// What condition keys say of a caller. Upstream: IAM User Guide, "AWS global condition context keys".
    func context(of caller: AWSCaller, now: Double) -> PolicyContext {
        var context: PolicyContext = [
            "aws:principalarn": [caller.principalARN], "aws:principalaccount": [caller.account], "aws:userid": [caller.userID],
            "aws:securetransport": ["true"], "aws:currenttime": [AWSTimestamp.extended(now)], "aws:epochtime": [String(Int(now))],
            "aws:resourceaccount": [caller.account], "aws:principalisawsservice": ["false"],
        ]
        let principal = ARN(caller.principalARN)
        let name = principal?.resourceParts.last.map(String.init) ?? ""
        var tags: [String: String]
        if principal?.resource.hasPrefix("user/") ?? false {
            context["aws:username"] = [name]
            context["aws:principaltype"] = ["User"]
            tags = users[name]?.tags ?? [:]
        } else {
            context["aws:principaltype"] = ["AssumedRole"]
            tags = roles[name]?.tags ?? [:]
        }
        if let session = sessions[caller.accessKeyID] {
            if let attributes = session.attributes {
                tags.merge(attributes.tags) { _, new in new }
                context["aws:sourceidentity"] = attributes.sourceIdentity.map { [$0] }
                context["aws:federatedprovider"] = attributes.federatedProvider.map { [$0] }
            }
        }
        for (key, value) in tags { context["aws:principaltag/" + key.lowercased()] = [value] }
        return context
    }

    /// All policies that decide about a caller: the principal's, within its boundary and what its session is limited to.
    func policies(of caller: AWSCaller) -> PrincipalDocuments {
        var documents = PrincipalDocuments(identity: identityPolicies(of: caller.principalARN), limits: boundary(of: caller.principalARN))
        if let limits = sessions[caller.accessKeyID]?.limits {
            documents.limits.append(
                limits.policyARNs.compactMap(document(ofPolicy:)) + [limits.policy].compactMap { $0.flatMap(ParsedPolicies.document) })
        }
        return documents
    }

    /// The identity policies of a user, with those of its groups, or of a role.
    func identityPolicies(of principalARN: String) -> [PolicyDocument] {
        guard let arn = ARN(principalARN), arn.service == "iam", let name = arn.resourceParts.last.map(String.init) else { return [] }
        switch arn.resourceParts.first {
        case "user":
            guard let user = users[name], user.arn == principalARN else { return [] }
            return documents(user.policies) + groups.values.filter { $0.userNames.contains(name) }.flatMap { documents($0.policies) }
        case "role":
            guard let role = roles[name], role.arn == principalARN else { return [] }
            return documents(role.policies)
        default: return []
        }
    }

    private func documents(_ policies: PrincipalPolicies) -> [PolicyDocument] {
        policies.attached.compactMap(document(ofPolicy:)) + policies.inline.values.compactMap(ParsedPolicies.document)
    }

    /// The document that counts of a managed policy, AWS's or the account's own.
    func document(ofPolicy arn: String) -> PolicyDocument? {
        if let known = ManagedPolicies.documents[arn] { return known }
        return managedPolicies[arn].flatMap { ParsedPolicies.document($0.document) }
    }

    /// The permissions boundary of a user or role as a limit; a boundary that is gone allows nothing.
    func boundary(of principalARN: String) -> [[PolicyDocument]] {
        guard let arn = ARN(principalARN), let name = arn.resourceParts.last.map(String.init) else { return [] }
        let boundary = arn.resource.hasPrefix("user/") ? users[name]?.permissionsBoundary : roles[name]?.permissionsBoundary
        return boundary.map { [[document(ofPolicy: $0)].compactMap { $0 }] } ?? []
    }
}

extension AccessKeyRecord {
    static func make(userName: String, now: Double) -> AccessKeyRecord {
        AccessKeyRecord(id: AWSIdentifier.unique("AKIA"), secret: AWSIdentifier.secret(), userName: userName, isActive: true, createdAt: now)
    }
}
