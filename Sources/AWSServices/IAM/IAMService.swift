package import AWSProtocol

/// One IAM call on its way.
struct IAMCall: Sendable {
    var identities: IdentityStore
    var request: AWSRequest
    var parameters: QueryParameters

    var now: Double { identities.clock.now }
    var account: String { identities.account }

    /// A required parameter. Throws ValidationError in IAM's words.
    func required(_ name: String, pattern: Set<Character>? = nil, longest: Int = 131_072) throws(AWSError) -> String {
        let member = name.prefix(1).lowercased() + name.dropFirst()
        guard let value = parameters[name], !value.isEmpty else {
            throw IAMFault.invalid("1 validation error detected: Value null at '\(member)' failed to satisfy constraint: Member must not be null")
        }
        guard value.count <= longest else {
            throw IAMFault.invalid(
                "1 validation error detected: Value at '\(member)' failed to satisfy constraint: Member must have length less than "
                    + "or equal to \(longest)"
            )
        }
        if let pattern, !value.allSatisfy(pattern.contains) {
            throw IAMFault.invalid(
                "The specified value for \(member) is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-")
        }
        return value
    }

    private static let nameCharacters = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+=,.@_-")

    /// A required name of an entity.
    func name(_ parameter: String, longest: Int = 64) throws(AWSError) -> String {
        try required(parameter, pattern: IAMCall.nameCharacters, longest: longest)
    }

    /// `/` or `/a/b/`. Throws ValidationError.
    func path() throws(AWSError) -> String {
        let path = parameters["Path"] ?? "/"
        let isSound = path.hasPrefix("/") && path.hasSuffix("/") && path.count <= 512 && path.unicodeScalars.allSatisfy { ("!"..."~").contains($0) }
        guard isSound else {
            throw IAMFault.invalid(
                "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
        }
        return path
    }

    /// `Tags.member.N.Key` and `.Value`. Throws ValidationError, LimitExceeded.
    func tags() throws(AWSError) -> [String: String] {
        var tags: [String: String] = [:]
        for tag in parameters.list("Tags") {
            let (key, value) = (tag["Key"] ?? "", tag["Value"] ?? "")
            guard !key.isEmpty, key.count <= 128, value.count <= 256, !key.lowercased().hasPrefix("aws:") else {
                throw IAMFault.invalid(
                    "The tag key '\(key.prefix(128))' is invalid: 1 to 128 characters, not beginning with aws:, with a value of at most 256.")
            }
            guard tags.updateValue(value, forKey: key) == nil else {
                throw AWSError("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
            }
        }
        var none: [String: String] = [:]
        try IAMCall.add(tags, to: &none)
        return tags
    }

    /// Sets tags beside those there are. Throws LimitExceeded past 50.
    static func add(_ new: [String: String], to tags: inout [String: String]) throws(AWSError) {
        tags.merge(new) { _, new in new }
        guard tags.count <= 50 else { throw IAMFault.limit("The number of tags has reached the maximum limit.") }
    }

    /// What condition keys say of the call. Upstream: Service Authorization Reference, "Condition keys for AWS Identity and Access Management".
    var context: PolicyContext {
        var context = request.conditionContext
        context["iam:policyarn"] = parameters["PolicyArn"].map { [$0] }
        context["iam:permissionsboundary"] = parameters["PermissionsBoundary"].map { [$0] }
        context["iam:awsservicename"] = parameters["AWSServiceName"].map { [$0] }
        let tags = parameters.list("Tags")
        for tag in tags { if let key = tag["Key"] { context["aws:requesttag/" + key.lowercased()] = [tag["Value"] ?? ""] } }
        let keys = tags.compactMap { $0["Key"] } + parameters.strings("TagKeys")
        if !keys.isEmpty { context["aws:tagkeys"] = keys }
        return context
    }

    /// Writes a list with `IsTruncated` and `Marker`, of the names on the asked-for page. Throws for a marker that was not given out.
    func page(_ names: some Sequence<String>, _ operation: String) throws(AWSError) -> (names: [String], finish: @Sendable (inout XMLWriter) -> Void)
    {
        let size = parameters["MaxItems"].flatMap { Int($0) } ?? 100
        guard (1...1_000).contains(size) else { throw IAMFault.invalid("MaxItems must be from 1 to 1000.") }
        guard let found = IAMService.pages.page(of: names, operation: operation, token: parameters["Marker"], size: size) else {
            throw IAMFault.invalid("Invalid Marker.")
        }
        let next = found.next
        return (
            found.page,
            { xml in
                xml.leaf("IsTruncated", next != nil)
                xml.leaf("Marker", next)
            }
        )
    }
}

/// What a handler answers: writes the result element, or nil when the operation returns nothing.
typealias QueryResult = ((inout XMLWriter) -> Void)?

/// One IAM operation: what it acts on, for authorisation, and what it does.
struct IAMOperation: Sendable {
    /// `user/{UserName}`: the parameter in braces is filled in. `*` for everything.
    var resource: String
    var run: @Sendable (IAMCall) async throws -> QueryResult

    init(_ resource: String, _ run: @escaping @Sendable (IAMCall) async throws -> QueryResult) {
        self.resource = resource
        self.run = run
    }
}

/// IAM on the wire. Upstream: botocore data/iam/2010-05-08.
package struct IAMService: AWSService {
    package let signingNames: Set<String> = ["iam"]
    package let wireProtocol = AWSWireProtocol.query(namespace: IAMService.namespace)
    package let isGlobal = true

    static let namespace = "https://iam.amazonaws.com/doc/2010-05-08/"
    /// Markers need not outlive the process: IAM's lists are short.
    static let pages = PaginationTokens(key: Array(AWSIdentifier.secret().utf8))
    static let operations: [String: IAMOperation] = [
        userOperations, roleOperations, groupOperations, policyOperations, boundaryOperations, instanceProfileOperations,
        serviceLinkedRoleOperations, oidcProviderOperations, accountOperations, simulationOperations,
    ].reduce(into: [:]) { $0.merge($1) { first, _ in first } }

    let identities: IdentityStore

    package init(identities: IdentityStore) { self.identities = identities }

    package func handle(_ request: AWSRequest) async throws -> AWSResponse {
        let parameters = try request.queryParameters()
        let action = parameters["Action"] ?? ""
        guard let operation = IAMService.operations[action] else { throw AWSError.unknownAction(action, version: "2010-05-08") }
        // A user's session without MFA reaches no IAM. Upstream: sts GetSessionToken, "Permissions".
        guard await !identities.isUserSession(request.caller) else {
            throw AWSError("InvalidClientTokenId", "The security token included in the request is invalid", status: 403)
        }
        let call = IAMCall(identities: identities, request: request, parameters: parameters)
        try await identities.authorize(
            request.caller, action: "iam:\(action)", resource: await resource(operation.resource, call), context: call.context)
        let result = try await operation.run(call)
        return .query(action, namespace: IAMService.namespace, requestID: request.requestID, result: result)
    }

    /// The ARN an operation acts on. An entity that exists has its own ARN, with its path.
    private func resource(_ template: String, _ call: IAMCall) async -> String {
        guard let open = template.firstIndex(of: "{"), template.hasSuffix("}") else { return template }
        let kind = String(template[..<open])
        let parameter = String(template[template.index(after: open)...].dropLast())
        guard let name = call.parameters[parameter] else {
            // GetUser and the access keys' operations speak of the caller when they name nobody.
            return kind == "user/" ? call.request.caller.principalARN : "*"
        }
        if parameter.hasSuffix("Arn") { return name }
        let known = await identities.state.read { tables -> String? in
            switch kind {
            case "user/": tables.users[name]?.arn
            case "role/": tables.roles[name]?.arn
            case "group/": tables.groups[name]?.arn
            case "policy/": nil
            default: tables.instanceProfiles[name]?.arn
            }
        }
        let path = call.parameters["Path"].map { String($0.dropFirst()) } ?? ""
        return known ?? ARN(service: "iam", account: identities.account, resource: kind + path + name).description
    }
}

extension AWSError {
    /// A query service's answer to an operation it does not have, or that is not built yet.
    static func unknownAction(_ action: String, version: String) -> AWSError {
        if action.isEmpty { return AWSError("MissingAction", "The request must contain the parameter Action.") }
        return AWSError("InvalidAction", "Could not find operation \(action.prefix(100)) for version \(version): it is not implemented by Eyrie.")
    }
}

extension XMLWriter {
    /// `<Tags><member><Key/><Value/></member></Tags>`; nothing without tags.
    mutating func iamTags(_ tags: [String: String]) {
        guard !tags.isEmpty else { return }
        list("Tags", of: tags.sorted { $0.key < $1.key }, item: "member") { xml, tag in
            xml.leaf("Key", tag.key)
            xml.leaf("Value", tag.value)
        }
    }

    /// The tags as the List…Tags operations answer them: all at once.
    mutating func tagList(_ tags: [String: String]) {
        list("Tags", of: tags.sorted { $0.key < $1.key }, item: "member") { xml, tag in
            xml.leaf("Key", tag.key)
            xml.leaf("Value", tag.value)
        }
        leaf("IsTruncated", false)
    }
}
