package import AWSProtocol

/// One STS call on its way.
struct STSCall: Sendable {
    var service: STSService
    var request: AWSRequest
    var parameters: QueryParameters

    var identities: IdentityStore { service.identities }
}

/// STS on the wire. Upstream: botocore data/sts/2011-06-15.
package struct STSService: AWSService {
    package let signingNames: Set<String> = ["sts"]
    package let wireProtocol = AWSWireProtocol.query(namespace: STSService.namespace)
    package let isGlobal = true

    static let namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

    static let operations: [String: @Sendable (STSCall) async throws -> QueryResult] = [
        "AssumeRole": assumeRole, "AssumeRoleWithWebIdentity": assumeRoleWithWebIdentity, "GetSessionToken": getSessionToken,
        "GetAccessKeyInfo": { call in
            let id = call.parameters["AccessKeyId"] ?? ""
            guard (16...128).contains(id.count), id.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }) else {
                throw IAMFault.invalid(
                    "1 validation error detected: Value at 'accessKeyId' failed to satisfy constraint: Member must be an access key id")
            }
            guard let account = await call.identities.account(ofKey: id) else { throw IAMFault.invalid("Invalid AccessKeyId: \(id.prefix(128))") }
            return { $0.leaf("Account", account) }
        },
        // Denials are written in clear here, so that no message there is needs decoding.
        "DecodeAuthorizationMessage": { _ in
            throw AWSError("InvalidAuthorizationMessageException", "The message is none of this service: it says its denials in clear.")
        },
    ]

    let identities: IdentityStore
    let keys: (any WebIdentityKeySource)?

    /// `keys` are those of the issuers whose tokens AssumeRoleWithWebIdentity takes; without, it takes none.
    package init(identities: IdentityStore, keys: (any WebIdentityKeySource)? = nil) {
        self.identities = identities
        self.keys = keys
    }

    /// The token of AssumeRoleWithWebIdentity proves who sends it.
    package func takesUnsigned(_ request: AWSRequest) -> Bool { (try? request.queryParameters())?["Action"] == "AssumeRoleWithWebIdentity" }

    package func handle(_ request: AWSRequest) async throws -> AWSResponse {
        let parameters = try request.queryParameters()
        let action = parameters["Action"] ?? ""
        if action == "GetCallerIdentity" { return getCallerIdentity(request) }
        guard let operation = STSService.operations[action] else { throw AWSError.unknownAction(action, version: "2011-06-15") }
        let result = try await operation(STSCall(service: self, request: request, parameters: parameters))
        return .query(action, namespace: STSService.namespace, requestID: request.requestID, result: result)
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
}

extension XMLWriter {
    mutating func credentials(_ session: SessionRecord) {
        element("Credentials") { xml in
            xml.leaf("AccessKeyId", session.accessKeyID)
            xml.leaf("SecretAccessKey", session.secret)
            xml.leaf("SessionToken", session.token)
            xml.leaf("Expiration", AWSTimestamp.extended(session.expiration))
        }
    }

    mutating func assumedRole(_ session: SessionRecord) {
        element("AssumedRoleUser") { xml in
            xml.leaf("AssumedRoleId", session.caller.userID)
            xml.leaf("Arn", session.caller.arn)
        }
        credentials(session)
        leaf("SourceIdentity", session.attributes?.sourceIdentity)
        leaf("PackedPolicySize", session.limits.map { String($0.packedPercentage) })
    }
}

extension STSService {
    @Sendable private static func assumeRole(_ call: STSCall) async throws -> QueryResult {
        let session = try await call.identities.assumeRole(
            try call.sessionRequest(), caller: call.request.caller, context: call.request.conditionContext)
        return { $0.assumedRole(session) }
    }

    @Sendable private static func assumeRoleWithWebIdentity(_ call: STSCall) async throws -> QueryResult {
        var request = try call.sessionRequest()
        let text = call.parameters["WebIdentityToken"] ?? ""
        guard (4...20_000).contains(text.utf8.count) else {
            throw IAMFault.invalid(
                "1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: Member must have length from 4 to 20000")
        }
        if let provider = call.parameters["ProviderId"] {
            throw AWSError("InvalidIdentityToken", "The provider \(provider.prefix(100)) is for OAuth 2.0 access tokens, which are not taken here.")
        }
        let token = try await WebIdentityVerifier(identities: call.identities, keys: call.service.keys).verify(text)
        request.attributes.federatedProvider = token.provider.arn
        let session = try await call.identities.assumeRole(request, token: token, context: call.request.conditionContext)
        return { xml in
            xml.leaf("SubjectFromWebIdentityToken", token.subject)
            xml.leaf("Audience", token.audiences.first)
            xml.leaf("Provider", token.provider.arn)
            xml.assumedRole(session)
        }
    }

    @Sendable private static func getSessionToken(_ call: STSCall) async throws -> QueryResult {
        let seconds = try call.duration(standard: 43_200, longest: 129_600)
        for name in ["SerialNumber", "TokenCode"] where call.parameters.has(name) {
            throw AWSError("AccessDenied", "MultiFactorAuthentication failed: devices are not implemented by Eyrie.", status: 403)
        }
        let session = try await call.identities.sessionToken(of: call.request.caller, seconds: seconds)
        return { $0.credentials(session) }
    }
}
