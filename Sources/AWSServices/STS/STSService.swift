package import AWSProtocol

/// STS on the wire. Upstream: botocore data/sts/2011-06-15.
package struct STSService: AWSService {
    package let signingNames: Set<String> = ["sts"]
    package let wireProtocol = AWSWireProtocol.query(namespace: STSService.namespace)
    package let isGlobal = true

    static let namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

    let identities: IdentityStore

    package init(identities: IdentityStore) { self.identities = identities }

    package func handle(_ request: AWSRequest) async throws -> AWSResponse {
        let parameters = try request.queryParameters()
        let action = parameters["Action"] ?? ""
        switch action {
        case "GetCallerIdentity": return getCallerIdentity(request)
        case "AssumeRole": return try await assumeRole(request, parameters)
        default: throw AWSError.unknownAction(action, version: "2011-06-15")
        }
    }

    /// Needs no permission. Answers in JSON to who asks for it, as authenticators do.
    private func getCallerIdentity(_ request: AWSRequest) -> AWSResponse {
        let caller = request.caller
        if request.head.fields["Accept"] == "application/json" {
            let result: AWSJSON = ["Account": .string(caller.account), "Arn": .string(caller.arn), "UserId": .string(caller.userID)]
            return .json([
                "GetCallerIdentityResponse": ["GetCallerIdentityResult": result, "ResponseMetadata": ["RequestId": .string(request.requestID)]]
            ])
        }
        return .query("GetCallerIdentity", namespace: STSService.namespace, requestID: request.requestID) { xml in
            xml.leaf("Arn", caller.arn)
            xml.leaf("UserId", caller.userID)
            xml.leaf("Account", caller.account)
        }
    }

    private func assumeRole(_ request: AWSRequest, _ parameters: QueryParameters) async throws -> AWSResponse {
        let session = try await identities.assumeRole(
            arn: parameters["RoleArn"] ?? "", sessionName: parameters["RoleSessionName"] ?? "", duration: parameters["DurationSeconds"],
            caller: request.caller)
        return .query("AssumeRole", namespace: STSService.namespace, requestID: request.requestID) { xml in
            xml.element("AssumedRoleUser") { xml in
                xml.leaf("AssumedRoleId", session.caller.userID)
                xml.leaf("Arn", session.caller.arn)
            }
            xml.element("Credentials") { xml in
                xml.leaf("AccessKeyId", session.accessKeyID)
                xml.leaf("SecretAccessKey", session.secret)
                xml.leaf("SessionToken", session.token)
                xml.leaf("Expiration", AWSTimestamp.extended(session.expiration))
            }
        }
    }
}

extension IdentityStore {
    private static let sessionNameCharacters = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+=,.@_-")

    /// Temporary credentials of a role. Throws ValidationError for bad parameters and `AccessDenial` when the role does not trust the caller, or
    /// there is no such role.
    func assumeRole(arn: String, sessionName: String, duration: String?, caller: AWSCaller) async throws -> SessionRecord {
        guard (2...64).contains(sessionName.count), sessionName.allSatisfy(IdentityStore.sessionNameCharacters.contains) else {
            throw IAMFault.invalid(
                "1 validation error detected: Value '\(sessionName.prefix(70))' at 'roleSessionName' failed to satisfy constraint: "
                    + "Member must satisfy regular expression pattern: [\\w+=,.@-]*, with 2 to 64 characters"
            )
        }
        guard let parsed = ARN(arn), parsed.service == "iam", parsed.resource.hasPrefix("role/") else {
            throw IAMFault.invalid("\(arn.prefix(200)) is invalid")
        }
        let seconds = duration.map { Int($0) ?? 0 } ?? 3_600
        guard (900...43_200).contains(seconds) else {
            throw IAMFault.invalid(
                "1 validation error detected: Value at 'durationSeconds' failed to satisfy constraint: Member must have value between 900 and 43200")
        }
        let denial = AccessDenial(callerARN: caller.arn, action: "sts:AssumeRole", resource: arn, isExplicit: false)
        let evaluation = PolicyEvaluation(action: "sts:AssumeRole", resource: arn, context: IdentityStore.context(of: caller))
        let now = clock.now
        return try await state.update { tables in
            guard let role = tables.role(arn: arn) else { throw denial }
            let trust = evaluation.trust(try PolicyDocument(role.assumeRolePolicy), caller: caller)
            guard trust.isTrusted else { throw denial }
            switch evaluation.decide(tables.policies(of: caller.principalARN)) {
            case .allowed: break
            case .denied(isExplicit: true): throw AccessDenial(callerARN: caller.arn, action: "sts:AssumeRole", resource: arn, isExplicit: true)
            case .denied(isExplicit: false): guard trust.isDirect else { throw denial }
            }
            guard seconds <= role.maxSessionDuration else {
                throw IAMFault.invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
            }
            // Sessions long over go when a new one comes; for an hour they still answer ExpiredToken.
            for old in tables.sessions.values where old.expiration + 3_600 < now { tables.sessions[old.accessKeyID] = nil }
            let key = AWSIdentifier.unique("ASIA")
            let assumed = ARN(
                partition: parsed.partition, service: "sts", account: parsed.account, resource: "assumed-role/\(role.name)/\(sessionName)")
            let caller = AWSCaller(
                account: parsed.account, arn: assumed.description, principalARN: role.arn, userID: "\(role.id):\(sessionName)", accessKeyID: key,
                sessionName: sessionName)
            let session = SessionRecord(
                accessKeyID: key, secret: AWSIdentifier.secret(), token: "IQoJb3JpZ2luX2Vj" + AWSIdentifier.secret(200),
                expiration: now + Double(seconds),
                caller: caller)
            tables.sessions[key] = session
            return session
        }
    }
}
