package import HTTPTransport

/// Who makes a request, as its signature proved.
package struct AWSCaller: Codable, Sendable, Equatable {
    /// Twelve digits.
    package var account: String
    /// As GetCallerIdentity says: `arn:aws:iam::…:user/x` or `arn:aws:sts::…:assumed-role/y/session`.
    package var arn: String
    /// The IAM principal behind it: the user, or the role with its path.
    package var principalARN: String
    /// `AIDA…`, or `AROA…:session`.
    package var userID: String
    package var accessKeyID: String
    /// The role session's name.
    package var sessionName: String?

    package init(account: String, arn: String, principalARN: String, userID: String, accessKeyID: String, sessionName: String? = nil) {
        self.account = account
        self.arn = arn
        self.principalARN = principalARN
        self.userID = userID
        self.accessKeyID = accessKeyID
        self.sessionName = sessionName
    }

    /// Nobody in particular: no policy is theirs, so that they may do nothing that is authorised.
    package static let anonymous = AWSCaller(account: "", arn: "anonymous", principalARN: "anonymous", userID: "", accessKeyID: "")
}

/// A request whose signature holds.
package struct AWSRequest: Sendable {
    package var head: HTTPRequestHead
    /// The service of the credential scope.
    package var service: String
    package var region: String
    package var requestID: String
    package var caller: AWSCaller
    /// The query string's pairs, decoded.
    package var query: [(name: String, value: String)]
    package var body: [UInt8]

    package init(
        head: HTTPRequestHead, service: String, region: String, requestID: String, caller: AWSCaller, query: [(name: String, value: String)],
        body: [UInt8]
    ) {
        self.head = head
        self.service = service
        self.region = region
        self.requestID = requestID
        self.caller = caller
        self.query = query
        self.body = body
    }

    /// What condition keys say of any request. Upstream: IAM User Guide, "AWS global condition context keys".
    package var conditionContext: [String: [String]] {
        var context = ["aws:requestedregion": [region]]
        // Without the port: `10.0.1.7:4711`, `[::1]:4711`.
        let address = head.connection.remoteAddress
        context["aws:sourceip"] = [String(address.prefix(upTo: address.lastIndex(of: ":") ?? address.endIndex)).filter { $0 != "[" && $0 != "]" }]
        context["aws:useragent"] = head.fields["User-Agent"].map { [$0] }
        return context
    }

    /// The parameters of a query service, from the form in the body and the query string. Throws `AWSError` MalformedQueryString.
    package func queryParameters() throws(AWSError) -> QueryParameters {
        guard let text = String(validating: body, as: UTF8.self), let form = PercentEncoding.decodePairs(text) else {
            throw AWSError("MalformedQueryString", "The request's form is not properly encoded.", status: 400)
        }
        return try QueryParameters(query + form)
    }
}

/// One AWS service on the endpoint.
package protocol AWSService: Sendable {
    /// The services of credential scopes it answers to: `eks`, `iam`.
    var signingNames: Set<String> { get }
    var wireProtocol: AWSWireProtocol { get }
    /// Whether its credential scope may name any region, as with IAM and STS.
    var isGlobal: Bool { get }
    /// Answers a request, or throws `AWSError` or `AccessDenial`. Any other error is answered as an internal failure without its text.
    func handle(_ request: AWSRequest) async throws -> AWSResponse
    /// Whether a request without a signature is taken: one that proves its sender in another way. Its caller is `AWSCaller.anonymous`.
    func takesUnsigned(_ request: AWSRequest) -> Bool
}

extension AWSService {
    package var isGlobal: Bool { false }
    package func takesUnsigned(_ request: AWSRequest) -> Bool { false }
}

/// Whether a caller may do something. IAM implements it.
package protocol AWSAuthorizer: Sendable {
    /// Throws `AccessDenial` when the caller's policies do not allow `action` (`eks:CreateCluster`) on `resource` (an ARN or `*`). `context` has
    /// the values of condition keys, by the key in lower case, that the request itself knows: `aws:requesttag/team`, `iam:passedtoservice`.
    func authorize(_ caller: AWSCaller, action: String, resource: String, context: [String: [String]]) async throws
}

extension AWSAuthorizer {
    /// As above, for a request of which conditions can ask nothing.
    package func authorize(_ caller: AWSCaller, action: String, resource: String) async throws {
        try await authorize(caller, action: action, resource: resource, context: [:])
    }
}
