import AWSProtocol

/// A user or a role: what policies hang on.
enum PrincipalKind: Sendable {
    case user
    case role

    var parameter: String { self == .user ? "UserName" : "RoleName" }
    var noun: String { self == .user ? "user" : "role" }
    var resource: String { "\(noun)/{\(parameter)}" }
}

extension IAMTables {
    func policies(_ kind: PrincipalKind, _ name: String) throws(AWSError) -> PrincipalPolicies {
        kind == .user ? try user(name).policies : try role(name).policies
    }

    mutating func changePolicies(_ kind: PrincipalKind, _ name: String, _ change: (inout PrincipalPolicies) throws(AWSError) -> Void) throws(AWSError)
    {
        var policies = try policies(kind, name)
        try change(&policies)
        switch kind {
        case .user: users[name]?.policies = policies
        case .role: roles[name]?.policies = policies
        }
    }
}

extension IAMService {
    static let policyOperations: [String: IAMOperation] = {
        var operations = managedPolicyOperations
        for (kind, noun) in [(PrincipalKind.user, "User"), (.role, "Role")] {
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
        guard ManagedPolicies.all[arn] != nil else { throw IAMFault.missing("Policy \(arn) does not exist or is not attachable.") }
        try await call.identities.state.update { tables in
            try tables.changePolicies(kind, name) { (policies) throws(AWSError) in
                guard !policies.attached.contains(arn) else { return }
                guard policies.attached.count < 20 else {
                    throw IAMFault.limit("Cannot exceed quota for PoliciesPer\(kind == .user ? "User" : "Role"): 20")
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
        let attached = try await call.identities.state.read { tables in try tables.policies(kind, name).attached }
        let page = try call.page(attached, "ListAttached\(kind.noun)Policies")
        return { xml in
            xml.list("AttachedPolicies", of: page.names, item: "member") { xml, arn in
                xml.leaf("PolicyName", ManagedPolicies.all[arn]?.shortName)
                xml.leaf("PolicyArn", arn)
            }
            page.finish(&xml)
        }
    }

    private static func put(_ call: IAMCall, _ kind: PrincipalKind) async throws -> QueryResult {
        let (name, policy, document) = (try call.name(kind.parameter), try call.name("PolicyName", longest: 128), try call.required("PolicyDocument"))
        try PolicyDocument.checkIdentityPolicy(document)
        try await call.identities.state.update { tables in try tables.changePolicies(kind, name) { $0.inline[policy] = document } }
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

    private static func managed(_ call: IAMCall) throws(AWSError) -> ManagedPolicies.Policy {
        let arn = try call.required("PolicyArn")
        guard let policy = ManagedPolicies.all[arn] else { throw IAMFault.missing("Policy \(arn) was not found.") }
        return policy
    }

    /// When AWS's policies came to be, as far as this account is told.
    private static let managedSince = "2018-05-27T21:06:14Z"

    private static let managedPolicyOperations: [String: IAMOperation] = [
        "GetPolicy": IAMOperation("policy/{PolicyArn}") { call in
            let policy = try managed(call)
            let count = await call.identities.state.read { tables in
                tables.users.values.count { $0.policies.attached.contains(policy.arn) }
                    + tables.roles.values.count { $0.policies.attached.contains(policy.arn) }
            }
            return {
                $0.element("Policy") { xml in
                    xml.leaf("PolicyName", policy.shortName)
                    xml.leaf("PolicyId", policy.id)
                    xml.leaf("Arn", policy.arn)
                    xml.leaf("Path", policy.path)
                    xml.leaf("DefaultVersionId", "v1")
                    xml.leaf("AttachmentCount", count)
                    xml.leaf("PermissionsBoundaryUsageCount", 0)
                    xml.leaf("IsAttachable", true)
                    xml.leaf("CreateDate", managedSince)
                    xml.leaf("UpdateDate", managedSince)
                }
            }
        },
        "GetPolicyVersion": IAMOperation("policy/{PolicyArn}") { call in
            let policy = try managed(call)
            let version = try call.required("VersionId")
            guard version == "v1" else { throw IAMFault.missing("Policy \(policy.arn) version \(version) does not exist or is not attachable.") }
            return {
                $0.element("PolicyVersion") { xml in
                    xml.leaf("Document", PercentEncoding.encode(policy.document))
                    xml.leaf("VersionId", "v1")
                    xml.leaf("IsDefaultVersion", true)
                    xml.leaf("CreateDate", managedSince)
                }
            }
        },
    ]
}
