import AWSProtocol

extension IdentityStore {
    /// A session of a role for a user or another session. Throws `AccessDenial` when the role does not trust the caller, or there is no such role.
    func assumeRole(_ request: SessionRequest, caller: AWSCaller, context: PolicyContext) async throws -> SessionRecord {
        let now = clock.now
        return try await state.update { tables in
            var request = request
            try tables.passOnTags(to: &request, from: caller)
            let role = try tables.roleTrusting(caller, request, context, now: now)
            guard request.seconds <= role.maxSessionDuration else { throw SessionRequest.tooLong }
            guard caller.sessionName == nil || request.seconds <= 3_600 else {
                throw IAMFault.invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
            }
            return tables.begin(request, role, now: now)
        }
    }

    /// A session of a role for the subject of an identity provider's token. Throws `AWSError` AccessDenied when the role does not trust it.
    func assumeRole(_ request: SessionRequest, token: WebIdentity, context: PolicyContext) async throws -> SessionRecord {
        let action = "sts:AssumeRoleWithWebIdentity"
        let now = clock.now
        return try await state.update { tables in
            let facts = token.context.merging(request.context) { known, _ in known }.merging(context) { known, _ in known }
            do {
                let role = try tables.trusted(request, as: token.subject, action: action, facts) { $0.trust($1, provider: token.provider.arn) }
                guard request.seconds <= role.maxSessionDuration else { throw SessionRequest.tooLong }
                return tables.begin(request, role, now: now)
            } catch is AccessDenial {
                // Nothing more is told to one who is not known.
                throw AWSError("AccessDenied", "Not authorized to perform \(action)", status: 403)
            }
        }
    }

    /// A user's own session. Throws `AWSError` AccessDenied for a caller that is a session itself.
    func sessionToken(of caller: AWSCaller, seconds: Int) async throws -> SessionRecord {
        let now = clock.now
        return try await state.update { tables in
            guard tables.sessions[caller.accessKeyID] == nil else {
                throw AWSError("AccessDenied", "Cannot call GetSessionToken with session credentials", status: 403)
            }
            let policies = tables.policies(of: caller)
            let facts = tables.context(of: caller, now: now)
            // It needs no permission, but can be denied.
            if PolicyEvaluation(action: "sts:GetSessionToken", resource: "*", context: facts).decide(policies) == .denied(isExplicit: true) {
                throw AccessDenial(callerARN: caller.arn, action: "sts:GetSessionToken", resource: "*", isExplicit: true)
            }
            return tables.add(caller, limits: nil, attributes: SessionAttributes(isOfUser: true), seconds: seconds, now: now)
        }
    }

    /// Whether a caller is a user's own session, of GetSessionToken.
    func isUserSession(_ caller: AWSCaller) async -> Bool { await state.read { $0.sessions[caller.accessKeyID]?.attributes?.isOfUser ?? false } }

    /// The account whose key this is; nil when there is no such key.
    func account(ofKey id: String) async -> String? {
        let account = account
        return await state.read { $0.accessKeys[id] != nil || $0.sessions[id] != nil ? account : nil }
    }
}

extension IAMTables {
    /// The role of a request, when its trust policy lets whoever `trust` looks for do all that is asked. Throws `AccessDenial`.
    func trusted(
        _ request: SessionRequest, as name: String, action: String, _ context: PolicyContext,
        trust: (PolicyEvaluation, PolicyDocument) -> PolicyEvaluation.Decision
    ) throws -> RoleRecord {
        let denial = AccessDenial(callerARN: name, action: action, resource: request.roleARN, isExplicit: false)
        guard let role = role(arn: request.roleARN), let policy = ParsedPolicies.document(role.assumeRolePolicy) else { throw denial }
        var context = context
        for (key, value) in role.tags { context["aws:resourcetag/" + key.lowercased()] = [value] }
        for action in request.actions(action) {
            let evaluation = PolicyEvaluation(action: action, resource: request.roleARN, context: context)
            guard trust(evaluation, policy) == .allowed else {
                throw AccessDenial(callerARN: name, action: action, resource: request.roleARN, isExplicit: false)
            }
        }
        return role
    }

    /// The role of a request, when it trusts the caller, and the caller's own policies let it or need not. Throws `AccessDenial`.
    func roleTrusting(_ caller: AWSCaller, _ request: SessionRequest, _ context: PolicyContext, now: Double) throws -> RoleRecord {
        let facts = self.context(of: caller, now: now).merging(context) { known, _ in known }.merging(request.context) { known, _ in known }
        var isDirect = true
        let role = try trusted(request, as: caller.arn, action: "sts:AssumeRole", facts) { evaluation, policy in
            let trust = evaluation.trust(policy, caller: caller)
            isDirect = isDirect && trust.isDirect
            return trust.decision
        }
        let policies = self.policies(of: caller)
        for action in request.actions("sts:AssumeRole") {
            switch PolicyEvaluation(action: action, resource: request.roleARN, context: facts).decide(policies) {
            case .allowed: break
            case .denied(isExplicit: false) where isDirect && policies.limits.isEmpty: break
            case .denied(let isExplicit):
                throw AccessDenial(callerARN: caller.arn, action: action, resource: request.roleARN, isExplicit: isExplicit)
            }
        }
        return role
    }

    /// Transitive tags of the calling session are the new one's, too. Throws ValidationError for one that is set anew.
    fileprivate func passOnTags(to request: inout SessionRequest, from caller: AWSCaller) throws(AWSError) {
        guard let session = sessions[caller.accessKeyID], let attributes = session.attributes else { return }
        request.attributes.sourceIdentity = attributes.sourceIdentity ?? request.attributes.sourceIdentity
        for key in attributes.transitiveTagKeys {
            guard request.attributes.tags[key] == nil else {
                throw IAMFault.invalid(
                    "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
            }
            request.attributes.tags[key] = attributes.tags[key]
            request.attributes.transitiveTagKeys.append(key)
        }
    }

    mutating func begin(_ request: SessionRequest, _ role: RoleRecord, now: Double) -> SessionRecord {
        let roleARN = ARN(role.arn)
        let assumed = ARN(
            partition: roleARN?.partition ?? "aws", service: "sts", account: roleARN?.account ?? "",
            resource: "assumed-role/\(role.name)/\(request.name)")
        let caller = AWSCaller(
            account: assumed.account, arn: assumed.description, principalARN: role.arn, userID: "\(role.id):\(request.name)", accessKeyID: "",
            sessionName: request.name)
        return add(caller, limits: request.limits, attributes: request.attributes, seconds: request.seconds, now: now)
    }

    fileprivate mutating func add(
        _ owner: AWSCaller, limits: SessionLimits?, attributes: SessionAttributes, seconds: Int, now: Double
    ) -> SessionRecord {
        // Sessions long over go when a new one comes; for an hour they still answer ExpiredToken.
        for old in sessions.values where old.expiration + 3_600 < now { sessions[old.accessKeyID] = nil }
        var caller = owner
        caller.accessKeyID = AWSIdentifier.unique("ASIA")
        let session = SessionRecord(
            accessKeyID: caller.accessKeyID, secret: AWSIdentifier.secret(), token: "IQoJb3JpZ2luX2Vj" + AWSIdentifier.secret(200),
            expiration: now + Double(seconds), caller: caller, limits: limits, attributes: attributes)
        sessions[session.accessKeyID] = session
        return session
    }
}
