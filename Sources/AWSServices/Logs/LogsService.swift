package import AWSProtocol

/// One call of CloudWatch Logs on its way.
struct LogsCall: Sendable {
    var service: LogsService
    var call: JSONCall

    var store: LogStore { service.store }
    var nowMilliseconds: Int64 { Int64(call.now * 1_000) }

    private static func isGroupCharacter(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".", "/", "#": true
        default: false
        }
    }

    /// `logGroupName`, or the name in `logGroupIdentifier`, which may be an ARN.
    func groupName() throws(AWSError) -> String {
        if let identifier = try call.string("logGroupIdentifier") {
            guard try call.string("logGroupName") == nil else {
                throw call.invalid("LogGroup name and LogGroup ARN are mutually exclusive parameters.")
            }
            guard identifier.hasPrefix("arn:") else { return identifier }
            return try groupName(inARN: identifier)
        }
        return try call.required("logGroupName", longest: 512, isAllowed: Self.isGroupCharacter)
    }

    /// The group of `arn:aws:logs:…:log-group:NAME`, with or without `:*`.
    func groupName(inARN text: String) throws(AWSError) -> String {
        guard let arn = ARN(text), arn.service == "logs", arn.resource.hasPrefix("log-group:") else {
            throw call.invalid("The ARN \(text.prefix(200)) is none of a log group")
        }
        let name = arn.resource.dropFirst(10)
        return String(name.hasSuffix(":*") ? name.dropLast(2) : name)
    }

    func streamName() throws(AWSError) -> String {
        try call.required("logStreamName", longest: 512) { $0 != ":" && $0 != "*" }
    }
}

typealias LogsHandler = @Sendable (LogsCall) async throws -> AWSJSON?

/// CloudWatch Logs on the wire. Upstream: botocore data/logs/2014-03-28.
package struct LogsService: AWSService {
    package let signingNames: Set<String> = ["logs"]
    package let wireProtocol = AWSWireProtocol.json11

    static let targetPrefix = "Logs_20140328"
    static let pages = PaginationTokens(key: Array(AWSIdentifier.secret().utf8))
    static let handlers: [String: LogsHandler] = [groupHandlers, tagHandlers, streamHandlers, eventHandlers].reduce(into: [:]) {
        $0.merge($1) { first, _ in first }
    }

    let store: LogStore
    let authorizer: any AWSAuthorizer
    let account: String
    let region: String

    package init(store: LogStore, authorizer: any AWSAuthorizer, account: String, region: String) {
        self.store = store
        self.authorizer = authorizer
        self.account = account
        self.region = region
    }

    package func handle(_ request: AWSRequest) async throws -> AWSResponse {
        let call = try JSONCall(request, targetPrefix: LogsService.targetPrefix, badInput: "InvalidParameterException", now: store.clock.now)
        // It asks for leave itself, for each of its groups.
        if call.action == "StartLiveTail" { return try await LogsCall(service: self, call: call).startLiveTail() }
        try await authorizer.authorize(
            request.caller, action: "logs:" + call.action, resource: resource(call), context: call.context(tags: call.input["tags"]?.stringMap ?? [:])
        )
        guard let handler = LogsService.handlers[call.action] else {
            throw AWSError("UnknownOperationException", "The operation \(call.action.prefix(100)) is not implemented by Eyrie.")
        }
        return .json11(try await handler(LogsCall(service: self, call: call)))
    }

    /// The ARN a call acts on. Upstream: Service Authorization Reference, "Actions, resources, and condition keys for Amazon CloudWatch Logs".
    private func resource(_ call: JSONCall) -> String {
        if let arn = call.input["resourceArn"]?.stringValue { return arn }
        let given = call.input["logGroupName"]?.stringValue ?? call.input["logGroupIdentifier"]?.stringValue
        guard let given else { return call.action.hasPrefix("Describe") ? groupARN("") + ":log-stream:" : "*" }
        let name = ARN(given).map { String($0.resource.dropFirst(10).prefix { $0 != ":" }) } ?? given
        return groupARN(name) + ":log-stream:" + (call.input["logStreamName"]?.stringValue ?? "")
    }

    func groupARN(_ name: String) -> String {
        ARN(partition: ARN.partition(ofRegion: region), service: "logs", region: region, account: account, resource: "log-group:" + name).description
    }
}
