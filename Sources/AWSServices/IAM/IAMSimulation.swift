import AWSProtocol

extension IAMCall {
    /// What the caller says the conditions' keys would be.
    private var contextEntries: PolicyContext {
        var context: PolicyContext = [:]
        for entry in parameters.list("ContextEntries") {
            if let name = entry["ContextKeyName"] { context[name.lowercased()] = entry.strings("ContextKeyValues") }
        }
        return context
    }

    private func documents(_ name: String) throws(AWSError) -> [PolicyDocument] {
        var documents: [PolicyDocument] = []
        for text in parameters.strings(name) { documents.append(try PolicyDocument(text)) }
        return documents
    }

    /// Writes what the policies say to each action on each resource.
    fileprivate func simulate(_ policies: PrincipalDocuments, _ facts: PolicyContext) throws(AWSError) -> QueryResult {
        var policies = policies
        policies.identity += try documents("PolicyInputList")
        let boundary = try documents("PermissionsBoundaryPolicyInputList")
        if !boundary.isEmpty { policies.limits.append(boundary) }
        guard !parameters.has("ResourcePolicy") else { throw AWSError("InvalidInput", "ResourcePolicy is not implemented by Eyrie.") }
        let (actions, resources) = (parameters.strings("ActionNames"), parameters.strings("ResourceArns"))
        guard !actions.isEmpty else {
            throw IAMFault.invalid("1 validation error detected: Value null at 'actionNames' failed to satisfy constraint: Member must not be null")
        }
        let context = facts.merging(contextEntries) { _, given in given }
        var results: [String: (action: String, resource: String, decision: String)] = [:]
        for action in actions {
            for resource in resources.isEmpty ? ["*"] : resources {
                let decision: String
                switch PolicyEvaluation(action: action, resource: resource, context: context).decide(policies) {
                case .allowed: decision = "allowed"
                case .denied(let isExplicit): decision = isExplicit ? "explicitDeny" : "implicitDeny"
                }
                results[action + "\n" + resource] = (action, resource, decision)
            }
        }
        let page = try page(results.keys, "Simulate")
        return { xml in
            xml.list("EvaluationResults", of: page.names.compactMap { results[$0] }, item: "member") { xml, result in
                xml.leaf("EvalActionName", result.action)
                xml.leaf("EvalResourceName", result.resource)
                xml.leaf("EvalDecision", result.decision)
                xml.element("MatchedStatements") { _ in }
                xml.element("MissingContextValues") { _ in }
            }
            page.finish(&xml)
        }
    }
}

extension IAMService {
    static let simulationOperations: [String: IAMOperation] = [
        "SimulatePrincipalPolicy": IAMOperation("*/{PolicySourceArn}") { call in
            let (arn, now) = (try call.required("PolicySourceArn"), call.now)
            let (policies, facts) = try await call.identities.state.read { tables -> (PrincipalDocuments, PolicyContext) in
                guard let parsed = ARN(arn), let name = parsed.resourceParts.last.map(String.init) else {
                    throw AWSError("InvalidInput", "Invalid Entity Arn: \(arn.prefix(200)) does not clearly define entity type and name.")
                }
                switch parsed.resourceParts.first {
                case "user": _ = try tables.user(name)
                case "role": _ = try tables.role(name)
                default: throw AWSError("InvalidInput", "Invalid Entity Arn: \(arn.prefix(200)) does not clearly define entity type and name.")
                }
                let caller = AWSCaller(account: parsed.account, arn: arn, principalARN: arn, userID: "", accessKeyID: "")
                return (tables.policies(of: caller), tables.context(of: caller, now: now))
            }
            return try call.simulate(policies, facts)
        },
        "SimulateCustomPolicy": IAMOperation("*") { call in try call.simulate(PrincipalDocuments(), [:]) },
    ]
}
