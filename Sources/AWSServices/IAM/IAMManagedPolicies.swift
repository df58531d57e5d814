import AWSProtocol

/// A managed policy as IAM shows it: AWS's, or the account's own.
struct ManagedPolicyView: Sendable {
    var name: String
    var path: String
    var id: String
    var arn: String
    var description: String?
    var createdAt: String
    var updatedAt: String
    var defaultVersionID: String
    var attachments: Int
    var boundaries: Int
    var tags: [String: String]
}

extension IAMTables {
    /// When AWS's policies came to be, as far as this account is told.
    private static let managedSince = "2018-05-27T21:06:14Z"

    /// The managed policy `arn`. Throws NoSuchEntity.
    func managedPolicyView(_ arn: String) throws(AWSError) -> ManagedPolicyView {
        let attachments =
            users.values.count { $0.policies.attached.contains(arn) } + roles.values.count { $0.policies.attached.contains(arn) }
            + groups.values.count { $0.policies.attached.contains(arn) }
        let boundaries = users.values.count { $0.permissionsBoundary == arn } + roles.values.count { $0.permissionsBoundary == arn }
        if let policy = ManagedPolicies.all[arn] {
            return ManagedPolicyView(
                name: policy.shortName, path: policy.path, id: policy.id, arn: arn, createdAt: Self.managedSince, updatedAt: Self.managedSince,
                defaultVersionID: "v1", attachments: attachments, boundaries: boundaries, tags: [:])
        }
        let policy = try managedPolicy(arn)
        return ManagedPolicyView(
            name: policy.name, path: policy.path, id: policy.id, arn: arn, description: policy.description,
            createdAt: AWSTimestamp.extended(policy.createdAt), updatedAt: AWSTimestamp.extended(policy.updatedAt),
            defaultVersionID: policy.defaultVersionID, attachments: attachments, boundaries: boundaries, tags: policy.tags)
    }

    /// The account's own policy `arn`. Throws NoSuchEntity, and AccessDenied for AWS's, which are not the account's to change.
    func managedPolicy(_ arn: String) throws(AWSError) -> ManagedPolicyRecord {
        if ManagedPolicies.all[arn] != nil {
            throw AWSError("AccessDenied", "Cannot perform the operation on the protected policy \(arn): it is AWS's.", status: 403)
        }
        guard let policy = managedPolicies[arn] else { throw IAMFault.missing("Policy \(arn) was not found.") }
        return policy
    }

    /// The versions of a managed policy: their ids, documents and dates.
    func versions(_ arn: String) throws(AWSError) -> [(id: String, document: String, createdAt: String, isDefault: Bool)] {
        if let policy = ManagedPolicies.all[arn] { return [("v1", policy.document, Self.managedSince, true)] }
        let policy = try managedPolicy(arn)
        return policy.versions.reversed().map { ($0.id, $0.document, AWSTimestamp.extended($0.createdAt), $0.id == policy.defaultVersionID) }
    }

    /// Whether there is a managed policy to attach.
    func hasManagedPolicy(_ arn: String) -> Bool { ManagedPolicies.all[arn] != nil || managedPolicies[arn] != nil }

    fileprivate mutating func createPolicy(_ policy: ManagedPolicyRecord) throws(AWSError) {
        guard managedPolicies[policy.arn] == nil else {
            throw IAMFault.exists("A policy called \(policy.name) already exists. Duplicate names are not allowed.")
        }
        guard managedPolicies.values.count < 1_500 else { throw IAMFault.limit("Cannot exceed quota for PoliciesPerAccount: 1500") }
        managedPolicies[policy.arn] = policy
    }

    fileprivate mutating func deletePolicy(_ arn: String) throws(AWSError) {
        let view = try managedPolicyView(arn)
        let policy = try managedPolicy(arn)
        guard view.attachments == 0, view.boundaries == 0 else { throw IAMFault.conflict("Cannot delete a policy attached to entities.") }
        guard policy.versions.count == 1 else {
            throw IAMFault.conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy."
            )
        }
        managedPolicies[arn] = nil
    }

    fileprivate mutating func createVersion(_ arn: String, _ document: String, isDefault: Bool, now: Double) throws(AWSError)
        -> ManagedPolicyRecord.Version
    {
        var policy = try managedPolicy(arn)
        guard policy.versions.count < 5 else {
            throw IAMFault.limit("A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.")
        }
        policy.lastVersion += 1
        let version = ManagedPolicyRecord.Version(id: "v\(policy.lastVersion)", document: document, createdAt: now)
        policy.versions.append(version)
        if isDefault { policy.defaultVersionID = version.id }
        policy.updatedAt = now
        managedPolicies[arn] = policy
        return version
    }

    fileprivate mutating func changeVersion(_ arn: String, _ version: String, _ change: (inout ManagedPolicyRecord) throws(AWSError) -> Void)
        throws(AWSError)
    {
        var policy = try managedPolicy(arn)
        guard policy.versions.contains(where: { $0.id == version }) else {
            throw IAMFault.missing("Policy \(arn) version \(version) does not exist or is not attachable.")
        }
        try change(&policy)
        managedPolicies[arn] = policy
    }
}

extension XMLWriter {
    fileprivate mutating func managedPolicy(_ policy: ManagedPolicyView) {
        leaf("PolicyName", policy.name)
        leaf("PolicyId", policy.id)
        leaf("Arn", policy.arn)
        leaf("Path", policy.path)
        leaf("DefaultVersionId", policy.defaultVersionID)
        leaf("AttachmentCount", policy.attachments)
        leaf("PermissionsBoundaryUsageCount", policy.boundaries)
        leaf("IsAttachable", true)
        leaf("Description", policy.description)
        leaf("CreateDate", policy.createdAt)
        leaf("UpdateDate", policy.updatedAt)
        iamTags(policy.tags)
    }
}

extension IAMCall {
    /// The document in `PolicyDocument`, of a managed policy's size at most. Throws MalformedPolicyDocument, LimitExceeded.
    fileprivate func managedDocument() throws(AWSError) -> String {
        let document = try required("PolicyDocument")
        try PolicyDocument.checkIdentityPolicy(document)
        guard PolicyDocument.size(document) <= 6_144 else { throw IAMFault.limit("Cannot exceed quota for PolicySize: 6144") }
        return document
    }

    fileprivate func changePolicy(_ change: @Sendable (inout ManagedPolicyRecord) throws -> Void) async throws -> QueryResult {
        let arn = try required("PolicyArn")
        try await identities.state.update { tables in
            var policy = try tables.managedPolicy(arn)
            try change(&policy)
            tables.managedPolicies[arn] = policy
        }
        return nil
    }
}

extension IAMService {
    private static let resource = "policy/{PolicyArn}"

    static let managedPolicyOperations: [String: IAMOperation] = [
        "CreatePolicy": IAMOperation("policy/{PolicyName}") { call in
            let (name, path, tags, description) = (
                try call.name("PolicyName", longest: 128), try call.path(), try call.tags(), call.parameters["Description"]
            )
            let (document, now) = (try call.managedDocument(), call.now)
            let policy = ManagedPolicyRecord(
                name: name, path: path, id: AWSIdentifier.unique("ANPA", length: 17),
                arn: ARN(service: "iam", account: call.account, resource: "policy" + path + name).description, description: description,
                createdAt: now, updatedAt: now, versions: [.init(id: "v1", document: document, createdAt: now)], defaultVersionID: "v1", tags: tags)
            let view = try await call.identities.state.update { tables in
                try tables.createPolicy(policy)
                return try tables.managedPolicyView(policy.arn)
            }
            return { $0.element("Policy") { $0.managedPolicy(view) } }
        },
        "GetPolicy": IAMOperation(resource) { call in
            let arn = try call.required("PolicyArn")
            let view = try await call.identities.state.read { try $0.managedPolicyView(arn) }
            return { $0.element("Policy") { $0.managedPolicy(view) } }
        },
        "ListPolicies": IAMOperation("*") { call in
            let (scope, prefix) = (call.parameters["Scope"] ?? "All", call.parameters["PathPrefix"] ?? "/")
            guard ["All", "AWS", "Local"].contains(scope) else { throw IAMFault.invalid("Scope must be All, AWS or Local.") }
            let (isAttachedOnly, usage) = (call.parameters["OnlyAttached"] == "true", call.parameters["PolicyUsageFilter"])
            let views = try await call.identities.state.read { tables in
                let aws = scope == "Local" ? [] : Array(ManagedPolicies.all.keys)
                let own = scope == "AWS" ? [] : Array(tables.managedPolicies.rows.keys)
                let all = try (aws + own).map { try tables.managedPolicyView($0) }
                return all.filter { view in
                    view.path.hasPrefix(prefix) && (!isAttachedOnly || view.attachments > 0)
                        && (usage == nil || (usage == "PermissionsBoundary" ? view.boundaries : view.attachments) > 0)
                }
            }
            let byARN = Dictionary(views.map { ($0.arn, $0) }) { first, _ in first }
            let page = try call.page(byARN.keys, "ListPolicies")
            return { xml in
                xml.list("Policies", of: page.names.compactMap { byARN[$0] }, item: "member") { $0.managedPolicy($1) }
                page.finish(&xml)
            }
        },
        "DeletePolicy": IAMOperation(resource) { call in
            let arn = try call.required("PolicyArn")
            try await call.identities.state.update { try $0.deletePolicy(arn) }
            return nil
        },
        "CreatePolicyVersion": IAMOperation(resource) { call in
            let (arn, document, now) = (try call.required("PolicyArn"), try call.managedDocument(), call.now)
            let isDefault = call.parameters["SetAsDefault"] == "true"
            let version = try await call.identities.state.update { try $0.createVersion(arn, document, isDefault: isDefault, now: now) }
            return {
                $0.element("PolicyVersion") { xml in
                    xml.leaf("VersionId", version.id)
                    xml.leaf("IsDefaultVersion", isDefault)
                    xml.leaf("CreateDate", AWSTimestamp.extended(version.createdAt))
                }
            }
        },
        "GetPolicyVersion": IAMOperation(resource) { call in
            let (arn, id) = (try call.required("PolicyArn"), try call.required("VersionId"))
            guard let version = try await call.identities.state.read({ try $0.versions(arn).first { $0.id == id } }) else {
                throw IAMFault.missing("Policy \(arn) version \(id) does not exist or is not attachable.")
            }
            return {
                $0.element("PolicyVersion") { xml in
                    xml.leaf("Document", PercentEncoding.encode(version.document))
                    xml.leaf("VersionId", version.id)
                    xml.leaf("IsDefaultVersion", version.isDefault)
                    xml.leaf("CreateDate", version.createdAt)
                }
            }
        },
        "ListPolicyVersions": IAMOperation(resource) { call in
            let arn = try call.required("PolicyArn")
            let versions = try await call.identities.state.read { try $0.versions(arn) }
            return { xml in
                xml.list("Versions", of: versions, item: "member") { xml, version in
                    xml.leaf("VersionId", version.id)
                    xml.leaf("IsDefaultVersion", version.isDefault)
                    xml.leaf("CreateDate", version.createdAt)
                }
                xml.leaf("IsTruncated", false)
            }
        },
        "SetDefaultPolicyVersion": IAMOperation(resource) { call in
            let (arn, id, now) = (try call.required("PolicyArn"), try call.required("VersionId"), call.now)
            try await call.identities.state.update { tables in
                try tables.changeVersion(arn, id) { policy in
                    policy.defaultVersionID = id
                    policy.updatedAt = now
                }
            }
            return nil
        },
        "DeletePolicyVersion": IAMOperation(resource) { call in
            let (arn, id) = (try call.required("PolicyArn"), try call.required("VersionId"))
            try await call.identities.state.update { tables in
                try tables.changeVersion(arn, id) { (policy) throws(AWSError) in
                    guard policy.defaultVersionID != id else { throw IAMFault.conflict("Cannot delete the default version of a policy.") }
                    policy.versions.removeAll { $0.id == id }
                }
            }
            return nil
        },
        "ListEntitiesForPolicy": IAMOperation(resource) { try await listEntities($0) },
        "TagPolicy": IAMOperation(resource) { call in
            let tags = try call.tags()
            return try await call.changePolicy { try IAMCall.add(tags, to: &$0.tags) }
        },
        "UntagPolicy": IAMOperation(resource) { call in
            let keys = call.parameters.strings("TagKeys")
            return try await call.changePolicy { policy in for key in keys { policy.tags[key] = nil } }
        },
        "ListPolicyTags": IAMOperation(resource) { call in
            let arn = try call.required("PolicyArn")
            let tags = try await call.identities.state.read { try $0.managedPolicyView(arn).tags }
            return { $0.tagList(tags) }
        },
    ]

    private static func listEntities(_ call: IAMCall) async throws -> QueryResult {
        let (arn, prefix, kind) = (try call.required("PolicyArn"), call.parameters["PathPrefix"] ?? "/", call.parameters["EntityFilter"])
        let isBoundary = call.parameters["PolicyUsageFilter"] == "PermissionsBoundary"
        let tables = try await call.identities.state.read { tables in
            _ = try tables.managedPolicyView(arn)
            return tables
        }
        func uses(_ policies: PrincipalPolicies, _ boundary: String?) -> Bool { isBoundary ? boundary == arn : policies.attached.contains(arn) }
        var entities: [String: (name: String, id: String, kind: String)] = [:]
        for group in tables.groups.values where group.path.hasPrefix(prefix) && uses(group.policies, nil) {
            entities["Group/" + group.name] = (group.name, group.id, "Group")
        }
        for role in tables.roles.values where role.path.hasPrefix(prefix) && uses(role.policies, role.permissionsBoundary) {
            entities["Role/" + role.name] = (role.name, role.id, "Role")
        }
        for user in tables.users.values where user.path.hasPrefix(prefix) && uses(user.policies, user.permissionsBoundary) {
            entities["User/" + user.name] = (user.name, user.id, "User")
        }
        let found = entities.filter { kind == nil || $0.value.kind == kind }
        let page = try call.page(found.keys, "ListEntitiesForPolicy")
        let shown = page.names.compactMap { found[$0] }
        return { xml in
            for kind in ["Group", "User", "Role"] {
                xml.list("Policy\(kind)s", of: shown.filter { $0.kind == kind }, item: "member") { xml, entity in
                    xml.leaf("\(kind)Name", entity.name)
                    xml.leaf("\(kind)Id", entity.id)
                }
            }
            page.finish(&xml)
        }
    }
}
