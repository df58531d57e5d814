package import AWSProtocol

/// One EC2 call on its way.
struct EC2Call: Sendable {
    var network: EC2Network
    var request: AWSRequest
    var parameters: QueryParameters
    var action: String

    /// A required parameter. Throws MissingParameter.
    func required(_ name: String) throws(AWSError) -> String {
        guard let value = parameters[name], !value.isEmpty else { throw EC2Fault.missingParameter(name.prefix(1).lowercased() + name.dropFirst()) }
        return value
    }

    /// A boolean structure of Modify calls: `EnableDnsSupport.Value=true`. Throws InvalidParameterValue.
    func attribute(_ name: String) throws(AWSError) -> Bool? {
        guard let text = parameters.structure(name)["Value"] ?? parameters[name] else { return nil }
        switch text.lowercased() {
        case "true": return true
        case "false": return false
        default: throw EC2Fault.invalidValue("Value (\(text.prefix(50))) for parameter \(name) is invalid. It must be true or false.")
        }
    }

    /// The tags that `TagSpecification.N` gives to resources of `kind` (`vpc`). Throws InvalidParameterValue for reserved keys.
    func tags(for kind: String) throws(AWSError) -> [String: String] {
        var tags: [String: String] = [:]
        for specification in parameters.list("TagSpecification") where specification["ResourceType"] == kind {
            for tag in specification.list("Tag") { tags[tag["Key"] ?? ""] = tag["Value"] ?? "" }
        }
        try EC2Call.check(tags)
        return tags
    }

    static func check(_ tags: [String: String]) throws(AWSError) {
        for (key, value) in tags {
            guard !key.isEmpty, key.count <= 128 else { throw EC2Fault.invalidValue("Tag keys must be from 1 to 128 characters long.") }
            guard value.count <= 256 else { throw EC2Fault.invalidValue("Tag value exceeds the maximum length of 256 characters") }
            guard !key.lowercased().hasPrefix("aws:") else {
                throw EC2Fault.invalidValue(
                    "Value ( \(key) ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use")
            }
        }
    }

    /// An optional number within `range`. Throws InvalidParameterValue.
    func integer(_ name: String, in range: ClosedRange<Int>) throws(AWSError) -> Int? {
        guard let text = parameters[name] else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw EC2Fault.invalidValue(
                "Value (\(text.prefix(20))) for parameter \(name) is invalid. It must be a number from \(range.lowerBound) to \(range.upperBound).")
        }
        return value
    }

    func read<Result: Sendable>(_ body: @Sendable (EC2Tables) throws -> Result) async throws -> Result { try await network.state.read(body) }
    func update<Result: Sendable>(_ body: @Sendable (inout EC2Tables) throws -> Result) async throws -> Result {
        try await network.state.update(body)
    }
}

/// One EC2 operation: what it acts on, for authorisation, and what it does and answers.
struct EC2Operation: Sendable {
    /// `vpc/{VpcId}`: the parameter in braces is filled in; `*` for everything.
    var resource: String
    var run: @Sendable (EC2Call) async throws -> (inout XMLWriter) -> Void

    init(_ resource: String, _ run: @escaping @Sendable (EC2Call) async throws -> (inout XMLWriter) -> Void) {
        self.resource = resource
        self.run = run
    }
}

/// EC2 on the wire. Upstream: botocore data/ec2/2016-11-15.
package struct EC2Service: AWSService {
    package let signingNames: Set<String> = ["ec2"]
    package let wireProtocol = AWSWireProtocol.ec2Query

    static let namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"
    /// Tokens need not outlive the process: a client asks for pages at once.
    static let pages = PaginationTokens(key: Array(AWSIdentifier.secret().utf8))
    static let operations: [String: EC2Operation] = [
        vpcOperations, subnetOperations, securityGroupOperations, gatewayOperations, routeOperations, interfaceOperations, instanceOperations,
        regionOperations, tagOperations, addressOperations, natGatewayOperations, egressOnlyGatewayOperations, dhcpOperations, networkACLOperations,
        prefixListOperations, endpointOperations, launchTemplateOperations, keyPairOperations, placementGroupOperations, imageOperations,
        securityGroupRuleOperations, interruptionOperations, ipv6RangeOperations, ipv6AddressOperations,
    ].reduce(into: [:]) { $0.merge($1) { first, _ in first } }

    let network: EC2Network
    let authorizer: any AWSAuthorizer

    package init(network: EC2Network, authorizer: any AWSAuthorizer) {
        self.network = network
        self.authorizer = authorizer
    }

    package func handle(_ request: AWSRequest) async throws -> AWSResponse {
        let parameters = try request.queryParameters()
        let action = parameters["Action"] ?? ""
        guard let operation = EC2Service.operations[action] else {
            if action.isEmpty { throw AWSError("MissingAction", "The request must contain the parameter Action.") }
            throw AWSError("InvalidAction", "The action \(action.prefix(100)) is not valid for this web service: it is not implemented by Eyrie.")
        }
        let call = EC2Call(network: network, request: request, parameters: parameters, action: action)
        try await authorizer.authorize(
            request.caller, action: "ec2:\(action)", resource: resource(operation.resource, parameters), context: context(request, parameters))
        if parameters["DryRun"] == "true" {
            throw AWSError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status: 412)
        }
        let content = try await operation.run(call)
        return .ec2(action, namespace: EC2Service.namespace, requestID: request.requestID, content)
    }

    /// What condition keys say of the call. Upstream: Service Authorization Reference, "Condition keys for Amazon EC2".
    private func context(_ request: AWSRequest, _ parameters: QueryParameters) -> PolicyContext {
        var context = request.conditionContext
        context["ec2:region"] = [network.region]
        context["ec2:vpc"] = parameters["VpcId"].map { [network.arn("vpc/" + $0)] }
        let tags = parameters.list("TagSpecification").flatMap { $0.list("Tag") } + parameters.list("Tag")
        for tag in tags { if let key = tag["Key"] { context["aws:requesttag/" + key.lowercased()] = [tag["Value"] ?? ""] } }
        if !tags.isEmpty { context["aws:tagkeys"] = tags.compactMap { $0["Key"] } }
        return context
    }

    private func resource(_ template: String, _ parameters: QueryParameters) -> String {
        guard template != "*" else { return "*" }
        guard let open = template.firstIndex(of: "{"), template.hasSuffix("}") else { return network.arn(template) }
        let parameter = String(template[template.index(after: open)...].dropLast())
        return network.arn(template[..<open] + (parameters[parameter] ?? "*"))
    }
}

/// The filters of a Describe call. Values of one filter are alternatives, filters all hold; `*` and `?` are wildcards.
struct EC2Filters: Sendable {
    private var filters: [(name: String, values: [String])]

    init(_ parameters: QueryParameters) {
        filters = parameters.list("Filter").map { (name: $0["Name"] ?? "", values: $0.strings("Value")) }
    }

    /// Whether a resource passes. `attribute` gives its values for a filter's name, nil for a name that does not exist. Throws
    /// InvalidParameterValue for those.
    func match(tags: [String: String], _ attribute: (String) -> [String]?) throws(AWSError) -> Bool {
        for filter in filters {
            let actual: [String]
            if filter.name.hasPrefix("tag:") {
                actual = tags[String(filter.name.dropFirst(4))].map { [$0] } ?? []
            } else if filter.name == "tag-key" {
                actual = Array(tags.keys)
            } else if filter.name == "tag-value" {
                actual = Array(tags.values)
            } else if let values = attribute(filter.name) {
                actual = values
            } else {
                throw EC2Fault.invalidValue("The filter '\(filter.name.prefix(100))' is invalid")
            }
            guard filter.values.contains(where: { pattern in actual.contains { Wildcard.matches(pattern: pattern, text: $0) } }) else { return false }
        }
        return true
    }
}

extension EC2Call {
    /// The rows a Describe call asks for: by id, else all, filtered, a page of them. `finish` writes `nextToken`.
    func describe<Row: Sendable>(
        _ rows: [String: Row], ids: [String], tags: [String: [String: String]], missing: (String) -> AWSError, _ attribute: (Row, String) -> [String]?
    ) throws(AWSError) -> (rows: [(id: String, row: Row)], finish: @Sendable (inout XMLWriter) -> Void) {
        for id in ids where rows[id] == nil { throw missing(id) }
        let filters = EC2Filters(parameters)
        var kept: [String: Row] = [:]
        for (id, row) in rows where ids.isEmpty || ids.contains(id) {
            if try filters.match(tags: tags[id] ?? [:], { attribute(row, $0) }) { kept[id] = row }
        }
        let size = parameters["MaxResults"].map { Int($0) ?? 0 } ?? 1_000
        guard (1...1_000).contains(size) else {
            throw EC2Fault.invalidValue(
                "Value ( \(parameters["MaxResults"]?.prefix(20) ?? "") ) for parameter maxResults is invalid. Expecting a value from 1 to 1000.")
        }
        guard let found = EC2Service.pages.page(of: kept.keys, operation: action, token: parameters["NextToken"], size: size) else {
            throw EC2Fault.invalidValue("Unable to parse pagination token")
        }
        let next = found.next
        return (found.page.compactMap { id in kept[id].map { (id: id, row: $0) } }, { $0.leaf("nextToken", next) })
    }
}

extension XMLWriter {
    /// `<tagSet>`; written even when empty for those that have it so.
    mutating func ec2Tags(_ tags: [String: String]) {
        list("tagSet", of: tags.sorted { $0.key < $1.key }) { xml, tag in
            xml.leaf("key", tag.key)
            xml.leaf("value", tag.value)
        }
    }

    /// `<return>true</return>`
    mutating func success() { leaf("return", true) }
}
