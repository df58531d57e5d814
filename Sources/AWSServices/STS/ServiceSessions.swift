import AWSProtocol

/// Temporary credentials of a role. Upstream: sts Credentials with AssumedRoleUser.
package struct RoleCredentials: Sendable, Equatable {
    /// `ASIA…`
    package var accessKeyID: String
    package var secretAccessKey: String
    package var sessionToken: String
    /// Seconds since 1970.
    package var expiration: Double
    /// `arn:aws:sts::…:assumed-role/NAME/SESSION`
    package var assumedRoleARN: String
    /// `AROA…:SESSION`
    package var assumedRoleID: String

    init(_ session: SessionRecord) {
        accessKeyID = session.accessKeyID
        secretAccessKey = session.secret
        sessionToken = session.token
        expiration = session.expiration
        assumedRoleARN = session.caller.arn
        assumedRoleID = session.caller.userID
    }
}

/// How an AWS service takes on a role for somebody: EC2 for its instances, EKS for pods.
package struct ServiceSession: Sendable {
    package var roleARN: String
    /// The service's principal: `pods.eks.amazonaws.com`.
    package var service: String
    package var sessionName: String
    /// Seconds.
    package var duration: Int
    /// Session tags; the role must then let the service sts:TagSession.
    package var tags: [String: String] = [:]
    /// For whom: the cluster's or instance's ARN, `aws:SourceArn` in the trust policy's conditions.
    package var sourceARN: String
    /// Assumed with the first role's credentials, in its place.
    package var targetRoleARN: String?
    /// What the first role tells the target's trust policy, `sts:ExternalId`.
    package var externalID: String?

    package init(roleARN: String, service: String, sessionName: String, duration: Int, sourceARN: String) {
        self.roleARN = roleARN
        self.service = service
        self.sessionName = sessionName
        self.duration = duration
        self.sourceARN = sourceARN
    }

    /// What trust policies may ask about. Upstream: IAM User Guide, "Available keys for AWS STS".
    func context(account: String) -> [String: String] {
        var context = ["aws:sourcearn": sourceARN, "aws:sourceaccount": account, "sts:rolesessionname": sessionName]
        for (key, value) in tags { context["aws:requesttag/\(key.lowercased())"] = value }
        return context
    }
}

extension IdentityStore {
    /// Whether a role's trust policy names a service for all of `actions`, whatever its conditions; nil when there is no such role.
    package func trusts(roleARN: String, service: String, actions: [String]) async -> Bool? {
        await state.read { tables -> Bool? in
            guard let role = tables.role(arn: roleARN) else { return nil }
            // Stored documents were checked when they were stored; one that no longer parses trusts nobody.
            guard let trust = try? PolicyDocument(role.assumeRolePolicy) else { return false }
            return actions.allSatisfy { PolicyEvaluation.names(trust, service: service, action: $0) }
        }
    }

    /// Credentials for what a service does with a role. Throws `AccessDenial` when the role does not trust the service, or the target not the role,
    /// or one of them is not there.
    package func credentials(for session: ServiceSession) async throws -> RoleCredentials {
        let now = clock.now
        let account = account
        return try await state.update { tables in
            func denial(_ caller: String, _ action: String, _ resource: String) -> AccessDenial {
                AccessDenial(callerARN: caller, action: action, resource: resource, isExplicit: false)
            }
            let context = session.context(account: account)
            let actions = ["sts:AssumeRole"] + (session.tags.isEmpty ? [] : ["sts:TagSession"])
            guard let role = tables.role(arn: session.roleARN) else { throw denial(session.service, "sts:AssumeRole", session.roleARN) }
            let trust = try PolicyDocument(role.assumeRolePolicy)
            for action in actions {
                let evaluation = PolicyEvaluation(action: action, resource: role.arn, context: context)
                guard evaluation.trusts(trust, service: session.service) else { throw denial(session.service, action, role.arn) }
            }
            let first = try tables.begin(role, session, now: now)
            guard let targetARN = session.targetRoleARN else {
                tables.sessions[first.accessKeyID] = first
                return RoleCredentials(first)
            }
            guard let target = tables.role(arn: targetARN) else { throw denial(first.caller.arn, "sts:AssumeRole", targetARN) }
            let targetTrust = try PolicyDocument(target.assumeRolePolicy)
            var chained = IdentityStore.context(of: first.caller).merging(context) { $1 }
            chained["sts:externalid"] = session.externalID
            for action in actions {
                let evaluation = PolicyEvaluation(action: action, resource: target.arn, context: chained)
                let verdict = evaluation.trust(targetTrust, caller: first.caller)
                let isAllowed = evaluation.decide(tables.policies(of: role.arn)) == .allowed
                guard verdict.isTrusted, isAllowed || verdict.isDirect else { throw denial(first.caller.arn, action, target.arn) }
            }
            let second = try tables.begin(target, session, now: now)
            tables.sessions[second.accessKeyID] = second
            return RoleCredentials(second)
        }
    }
}

extension IAMTables {
    /// A new session of a role, not yet kept. Sessions long over go; for an hour they still answer ExpiredToken.
    fileprivate mutating func begin(_ role: RoleRecord, _ session: ServiceSession, now: Double) throws(AWSError) -> SessionRecord {
        for old in sessions.values where old.expiration + 3_600 < now { sessions[old.accessKeyID] = nil }
        guard let parsed = ARN(role.arn) else { throw IAMFault.invalid("\(role.arn.prefix(200)) is invalid") }
        let key = AWSIdentifier.unique("ASIA")
        let assumed = ARN(
            partition: parsed.partition, service: "sts", account: parsed.account, resource: "assumed-role/\(role.name)/\(session.sessionName)")
        let caller = AWSCaller(
            account: parsed.account, arn: assumed.description, principalARN: role.arn, userID: "\(role.id):\(session.sessionName)", accessKeyID: key,
            sessionName: session.sessionName)
        return SessionRecord(
            accessKeyID: key, secret: AWSIdentifier.secret(), token: "IQoJb3JpZ2luX2Vj" + AWSIdentifier.secret(200),
            expiration: now + Double(session.duration), caller: caller)
    }
}
