package import AWSProtocol

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
    /// A session policy: the credentials that are given out may no more than it allows, too. It does not limit the way to the target.
    package var policy: String?

    package init(roleARN: String, service: String, sessionName: String, duration: Int, sourceARN: String) {
        self.roleARN = roleARN
        self.service = service
        self.sessionName = sessionName
        self.duration = duration
        self.sourceARN = sourceARN
    }

    /// The session that is asked of a role. All its tags are transitive. Upstream: EKS User Guide, "Grant Pods access based on tags".
    fileprivate func request(_ arn: String) -> SessionRequest {
        SessionRequest(
            roleARN: arn, name: sessionName, seconds: duration,
            limits: policy.flatMap { arn == targetRoleARN ?? roleARN ? SessionLimits(policy: $0, policyARNs: []) : nil },
            attributes: SessionAttributes(tags: tags, transitiveTagKeys: tags.keys.sorted()))
    }

    /// A session policy as IAM would take it. Throws MalformedPolicyDocument, PackedPolicyTooLarge.
    package static func check(policy: String) throws(AWSError) {
        try PolicyDocument.checkIdentityPolicy(policy)
        guard policy.count <= SessionLimits.roomForPolicies else {
            throw AWSError("PackedPolicyTooLarge", "The session's policy is larger than \(SessionLimits.roomForPolicies) characters.")
        }
    }
}

extension IdentityStore {
    /// Whether a role's trust policy names a service for all of `actions`, whatever its conditions; nil when there is no such role.
    package func trusts(roleARN: String, service: String, actions: [String]) async -> Bool? {
        await state.read { tables -> Bool? in
            guard let role = tables.role(arn: roleARN) else { return nil }
            // Stored documents were checked when they were stored; one that no longer parses trusts nobody.
            guard let trust = ParsedPolicies.document(role.assumeRolePolicy) else { return false }
            return actions.allSatisfy { PolicyEvaluation.names(trust, service: service, action: $0) }
        }
    }

    /// Credentials for what a service does with a role. Throws `AccessDenial` when the role does not trust the service, or the target not the role,
    /// or one of them is not there.
    package func credentials(for session: ServiceSession) async throws -> RoleCredentials {
        let now = clock.now
        let account = account
        return try await state.update { tables in
            let request = session.request(session.roleARN)
            let asked: PolicyContext = ["aws:sourcearn": [session.sourceARN], "aws:sourceaccount": [account]]
            let context = request.context.merging(asked) { known, _ in known }.merging([
                "aws:principalisawsservice": ["true"], "aws:principalservicename": [session.service],
            ]) { known, _ in known }
            let role = try tables.trusted(request, as: session.service, action: "sts:AssumeRole", context) {
                $0.trust($1, service: session.service)
            }
            let first = tables.begin(request, role, now: now)
            guard let targetARN = session.targetRoleARN else { return RoleCredentials(first) }
            var chained = session.request(targetARN)
            chained.externalID = session.externalID
            let target = try tables.roleTrusting(first.caller, chained, asked, now: now)
            let second = tables.begin(chained, target, now: now)
            // The first was the way to the second only.
            tables.sessions[first.accessKeyID] = nil
            return RoleCredentials(second)
        }
    }
}
