import AWSProtocol

/// A user, a role or a group: what policies hang on.
enum PrincipalKind: String, Sendable, CaseIterable {
    case user = "User"
    case role = "Role"
    case group = "Group"

    var parameter: String { rawValue + "Name" }
    var noun: String { rawValue.lowercased() }
    var resource: String { "\(noun)/{\(parameter)}" }
    /// Bytes of all inline policies, white space apart. Upstream: IAM User Guide, "IAM and STS quotas".
    var inlineQuota: Int {
        switch self {
        case .user: 2_048
        case .role: 10_240
        case .group: 5_120
        }
    }
    /// Attached managed policies.
    static let attachedQuota = 10
}

extension IAMTables {
    func policies(_ kind: PrincipalKind, _ name: String) throws(AWSError) -> PrincipalPolicies {
        switch kind {
        case .user: try user(name).policies
        case .role: try role(name).policies
        case .group: try group(name).policies
        }
    }

    mutating func changePolicies(_ kind: PrincipalKind, _ name: String, _ change: (inout PrincipalPolicies) throws(AWSError) -> Void) throws(AWSError)
    {
        if kind == .role { try role(name).checkModifiable() }
        var policies = try policies(kind, name)
        try change(&policies)
        switch kind {
        case .user: users[name]?.policies = policies
        case .role: roles[name]?.policies = policies
        case .group: groups[name]?.policies = policies
        }
    }
}

extension IAMService {
    static let policyOperations: [String: IAMOperation] = {
        var operations = managedPolicyOperations
        for kind in PrincipalKind.allCases {
            let noun = kind.rawValue
            operations["Attach\(noun)Policy"] = IAMOperation(kind.resource) { try await attach($0, kind) }
            operations["Detach\(noun)Policy"] = IAMOperation(kind.resource) { try await detach($0, kind) }
            operations["ListAttached\(noun)Policies"] = IAMOperation(kind.resource) { try await listAttached($0, kind) }
            operations["Put\(noun)Policy"] = IAMOperation(kind.resource) { try await put($0, kind) }
            operations["Get\(noun)Policy"] = IAMOperation(kind.resource) { try await get($0, kind) }
            operations["Delete\(noun)Policy"] = IAMOperation(kind.resource) { try await delete($0, kind) }
            operations["List\(noun)Policies"] = IAMOperation(kind.resource) { try await list($0, kind) }
        }
        return operations
    }()

    private static func attach(_ call: IAMCall, _ kind: PrincipalKind) async throws -> QueryResult {
        let (name, arn) = (try call.name(kind.parameter), try call.required("PolicyArn"))
        try await call.identities.state.update { tables in
            guard tables.hasManagedPolicy(arn) else { throw IAMFault.missing("Policy \(arn) does not exist or is not attachable.") }
            try tables.changePolicies(kind, name) { (policies) throws(AWSError) in
                guard !policies.attached.contains(arn) else { return }
                guard policies.attached.count < PrincipalKind.attachedQuota else {
                    throw IAMFault.limit("Cannot exceed quota for PoliciesPer\(kind.rawValue): \(PrincipalKind.attachedQuota)")
                }
                policies.attached.append(arn)
            }
        }
        return nil
    }

    private static func detach(_ call: IAMCall, _ kind: PrincipalKind) async throws -> QueryResult {
        let (name, arn) = (try call.name(kind.parameter), try call.required("PolicyArn"))
        try await call.identities.state.update { tables in
            try tables.changePolicies(kind, name) { (policies) throws(AWSError) in
                guard let index = policies.attached.firstIndex(of: arn) else { throw IAMFault.missing("Policy \(arn) was not found.") }
                policies.attached.remove(at: index)
            }
        }
        return nil
    }

    private static func listAttached(_ call: IAMCall, _ kind: PrincipalKind) async throws -> QueryResult {
        let name = try call.name(kind.parameter)
        let prefix = call.parameters["PathPrefix"] ?? "/"
        let names = try await call.identities.state.read { tables in
            let views = try tables.policies(kind, name).attached.map { try tables.managedPolicyView($0) }
            return Dictionary(views.filter { $0.path.hasPrefix(prefix) }.map { ($0.arn, $0.name) }) { first, _ in first }
        }
        let page = try call.page(names.keys, "ListAttached\(kind.noun)Policies")
        return { xml in
            xml.list("AttachedPolicies", of: page.names, item: "member") { xml, arn in
                xml.leaf("PolicyName", names[arn])
                xml.leaf("PolicyArn", arn)
            }
            page.finish(&xml)
        }
    }

    private static func put(_ call: IAMCall, _ kind: PrincipalKind) async throws -> QueryResult {
        let (name, policy, document) = (try call.name(kind.parameter), try call.name("PolicyName", longest: 128), try call.required("PolicyDocument"))
        try PolicyDocument.checkIdentityPolicy(document)
        try await call.identities.state.update { tables in
            try tables.changePolicies(kind, name) { (policies) throws(AWSError) in
                policies.inline[policy] = document
                guard policies.inline.values.reduce(0, { $0 + PolicyDocument.size($1) }) <= kind.inlineQuota else {
                    throw IAMFault.limit("Maximum policy size of \(kind.inlineQuota) bytes exceeded for \(kind.noun) \(name)")
                }
            }
        }
        return nil
    }

    private static func missing(_ policy: String, _ kind: PrincipalKind) -> AWSError {
        IAMFault.missing("The \(kind.noun) policy with name \(policy) cannot be found.")
    }

    private static func get(_ call: IAMCall, _ kind: PrincipalKind) async throws -> QueryResult {
        let (name, policy) = (try call.name(kind.parameter), try call.name("PolicyName", longest: 128))
        let document = try await call.identities.state.read { tables in try tables.policies(kind, name).inline[policy] }
        guard let document else { throw missing(policy, kind) }
        return { xml in
            xml.leaf(kind.parameter, name)
            xml.leaf("PolicyName", policy)
            xml.leaf("PolicyDocument", PercentEncoding.encode(document))
        }
    }

    private static func delete(_ call: IAMCall, _ kind: PrincipalKind) async throws -> QueryResult {
        let (name, policy) = (try call.name(kind.parameter), try call.name("PolicyName", longest: 128))
        try await call.identities.state.update { tables in
            try tables.changePolicies(kind, name) { (policies) throws(AWSError) in
                guard policies.inline.removeValue(forKey: policy) != nil else { throw missing(policy, kind) }
            }
        }
        return nil
    }

    private static func list(_ call: IAMCall, _ kind: PrincipalKind) async throws -> QueryResult {
        let name = try call.name(kind.parameter)
        let names = try await call.identities.state.read { tables in try tables.policies(kind, name).inline.keys.sorted() }
        let page = try call.page(names, "List\(kind.noun)Policies")
        return { xml in
            xml.element("PolicyNames") { xml in for name in page.names { xml.leaf("member", name) } }
            page.finish(&xml)
        }
    }
}
