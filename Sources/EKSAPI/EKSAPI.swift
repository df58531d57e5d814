package import AWSProtocol
package import ClusterLifecycle

/// One EKS call on its way: bound, checked and authorised.
struct EKSCall: Sendable {
    var service: EKSService
    var caller: AWSCaller
    var input: AWSJSON
    var operation: String
    var pages: PaginationTokens

    /// A member the model requires.
    func required(_ name: String) -> String { input[name]?.stringValue ?? "" }
    func string(_ name: String) -> String? { input[name]?.stringValue }
    func strings(_ name: String) -> [String] { input[name]?.stringArray ?? [] }

    /// The caller's idempotency token with what it stands for.
    func token(now: Double) -> IdempotencyToken? {
        guard let text = string("clientRequestToken"), !text.isEmpty else { return nil }
        return IdempotencyToken(token: text, parameters: input, createdAt: now)
    }

    /// A page of names under `member`. Throws InvalidParameterException for a token that was not given out.
    func page(_ names: [String], as member: String) throws(AWSError) -> AWSJSON { try page(names, as: member) { .string($0) } }

    /// The same, of what the names stand for.
    func page(_ names: [String], as member: String, _ describe: (String) -> AWSJSON) throws(AWSError) -> AWSJSON {
        guard let found = pages.page(of: names, operation: operation, token: string("nextToken"), size: input["maxResults"]?.intValue ?? 100) else {
            throw EKSFault.invalidParameter("Invalid nextToken: use the one of the last answer, unchanged")
        }
        return .compact([member: .array(found.page.map(describe)), "nextToken": found.next.map(AWSJSON.string)])
    }
}

typealias EKSHandler = @Sendable (EKSCall) async throws -> AWSJSON

/// EKS on the wire: routes by the service model, checks the input against it, asks whether the caller may, and calls the service.
package struct EKSAPI: AWSService {
    package let signingNames: Set<String> = ["eks", "eks-auth"]
    package let wireProtocol = AWSWireProtocol.restJSON

    /// The operations that are built. Those of the model that are not here answer NotImplementedException.
    static let handlers: [String: EKSHandler] = [
        clusterHandlers, updateClusterConfigHandlers, nodegroupHandlers, updateHandlers, tagHandlers, versionHandlers, podIdentityHandlers,
        addonHandlers, accessEntryHandlers, identityProviderHandlers, fargateHandlers, capabilityHandlers, subscriptionHandlers, insightHandlers,
        registrationHandlers, encryptionHandlers, authorityHandlers,
    ]
    .reduce(into: [:]) { $0.merge($1) { first, _ in first } }

    private let service: EKSService
    private let authorizer: any AWSAuthorizer
    private let configuration: EKSConfiguration
    private let clock: AWSClock
    private let pages: PaginationTokens

    /// `paginationKey` is any secret that outlives the process, so that tokens do.
    package init(
        service: EKSService, authorizer: any AWSAuthorizer, configuration: EKSConfiguration, paginationKey: [UInt8], clock: AWSClock = .system
    ) {
        self.service = service
        self.authorizer = authorizer
        self.configuration = configuration
        self.clock = clock
        pages = PaginationTokens(key: paginationKey)
    }

    package func handle(_ request: AWSRequest) async throws -> AWSResponse {
        guard let (operation, parameters) = EKSModel.shared.route(method: request.head.method, path: request.head.path),
            operation.service == request.service
        else {
            throw AWSError("UnknownOperationException", "There is no operation \(request.head.method) \(request.head.path.prefix(200))", status: 404)
        }
        let resource = EKSAPI.resource(operation, parameters, request.body, configuration)
        let context = request.conditionContext.merging(ConditionKeys.context(operation, parameters, request.body)) { $1 }
        try await authorizer.authorize(request.caller, action: "\(operation.service):\(operation.name)", resource: resource, context: context)
        guard let handler = EKSAPI.handlers[operation.name] else {
            throw AWSError("NotImplementedException", "The operation \(operation.name) is not implemented by Eyrie yet.", status: 501)
        }
        let input = try InputBinding.bind(operation, parameters: parameters, query: request.query, body: request.body)
        let call = EKSCall(service: service, caller: request.caller, input: input, operation: operation.name, pages: pages)
        return .json(try await handler(call))
    }

    /// The ARN an operation acts on. Upstream: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EKS".
    static func resource(_ operation: EKSOperation, _ parameters: [String: String], _ body: [UInt8], _ configuration: EKSConfiguration) -> String {
        func arn(_ resource: String) -> String {
            ARN(partition: configuration.partition, service: "eks", region: configuration.region, account: configuration.account, resource: resource)
                .description
        }
        if let tagged = parameters["resourceArn"] { return tagged }
        guard let cluster = parameters["name"] ?? parameters["clusterName"] else {
            guard ["CreateCluster", "RegisterCluster"].contains(operation.name) else {
                return parameters["id"].map { arn("eks-anywhere-subscription/\($0)") } ?? "*"
            }
            // An unreadable body is told about later, to whom it may concern.
            let name = (try? AWSJSON(parsing: body))?["name"]?.stringValue
            return name.map { arn("cluster/\($0)") } ?? "*"
        }
        if let group = parameters["nodegroupName"] { return arn("nodegroup/\(cluster)/\(group)/*") }
        if let profile = parameters["fargateProfileName"] { return arn("fargateprofile/\(cluster)/\(profile)/*") }
        if let capability = parameters["capabilityName"] { return arn("capability/\(cluster)/*/\(capability)/*") }
        // The last part of an add-on's ARN is made with it.
        if let addon = parameters["addonName"] { return arn("addon/\(cluster)/\(addon)/*") }
        if let association = parameters["associationId"] { return arn("podidentityassociation/\(cluster)/\(association)") }
        if let principal = parameters["principalArn"].flatMap({ ARN($0) }) {
            let parts = principal.resourceParts
            return arn("access-entry/\(cluster)/\(parts.first ?? "")/\(principal.account)/\(parts.last ?? "")/*")
        }
        return arn("cluster/\(cluster)")
    }
}
