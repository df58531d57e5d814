import AWSProtocol

extension XMLWriter {
    mutating func role(_ role: RoleRecord) {
        leaf("Path", role.path)
        leaf("RoleName", role.name)
        leaf("RoleId", role.id)
        leaf("Arn", role.arn)
        leaf("CreateDate", AWSTimestamp.extended(role.createdAt))
        // IAM writes documents percent-encoded (RFC 3986).
        leaf("AssumeRolePolicyDocument", PercentEncoding.encode(role.assumeRolePolicy))
        leaf("Description", role.description)
        leaf("MaxSessionDuration", role.maxSessionDuration)
        boundary(role.permissionsBoundary)
        iamTags(role.tags)
    }
}

extension RoleRecord {
    /// Throws UnmodifiableEntity for a role that belongs to a service.
    func checkModifiable() throws(AWSError) {
        guard linkedService == nil else {
            throw AWSError(
                "UnmodifiableEntity", "Cannot perform the operation on the protected role '\(name)' - this role is only modifiable by AWS")
        }
    }
}

extension IAMTables {
    /// Removes a role without policies and instance profiles. Throws NoSuchEntity, DeleteConflict.
    mutating func deleteRole(_ name: String) throws(AWSError) {
        let role = try role(name)
        try role.checkModifiable()
        guard !instanceProfiles.values.contains(where: { $0.roleNames.contains(name) }) else {
            throw IAMFault.conflict("Cannot delete entity, must remove roles from instance profile first.")
        }
        guard role.policies.attached.isEmpty else { throw IAMFault.conflict("Cannot delete entity, must detach all policies first.") }
        guard role.policies.inline.isEmpty else { throw IAMFault.conflict("Cannot delete entity, must delete policies first.") }
        removeRole(role)
    }

    mutating func removeRole(_ role: RoleRecord) {
        roles[role.name] = nil
        // Its sessions end with it.
        for session in sessions.values where session.caller.principalARN == role.arn { sessions[session.accessKeyID] = nil }
    }

    mutating func changeRole(_ name: String, _ change: (inout RoleRecord) throws(AWSError) -> Void) throws(AWSError) {
        var role = try role(name)
        try role.checkModifiable()
        try change(&role)
        roles[name] = role
    }
}

extension IAMCall {
    /// A trust policy of a role's size at most. Throws MalformedPolicyDocument, LimitExceeded.
    func trustPolicy(_ parameter: String) throws(AWSError) -> String {
        let trust = try required(parameter)
        try PolicyDocument.checkTrustPolicy(trust)
        guard PolicyDocument.size(trust) <= 4_096 else { throw IAMFault.limit("Cannot exceed quota for ACLSizePerRole: 4096") }
        return trust
    }

    func sessionDuration() throws(AWSError) -> Int? {
        guard let text = parameters["MaxSessionDuration"] else { return nil }
        guard let seconds = Int(text), (3_600...43_200).contains(seconds) else {
            throw IAMFault.invalid(
                "1 validation error detected: Value '\(text.prefix(20))' at 'maxSessionDuration' failed to satisfy constraint: "
                    + "Member must have value between 3600 and 43200"
            )
        }
        return seconds
    }
}

extension IAMService {
    static let roleOperations: [String: IAMOperation] = [
        "CreateRole": IAMOperation("role/{RoleName}") { call in
            let (name, path, tags, description) = (try call.name("RoleName"), try call.path(), try call.tags(), call.parameters["Description"])
            let (trust, boundary) = (try call.trustPolicy("AssumeRolePolicyDocument"), call.parameters["PermissionsBoundary"])
            let (duration, account, now) = (try call.sessionDuration() ?? 3_600, call.account, call.now)
            let role = try await call.identities.state.update { tables in
                guard tables.roles[name] == nil else { throw IAMFault.exists("Role with name \(name) already exists.") }
                guard tables.roles.values.count < 1_000 else { throw IAMFault.limit("Cannot exceed quota for RolesPerAccount: 1000") }
                try tables.checkBoundary(boundary)
                let arn = ARN(service: "iam", account: account, resource: "role" + path + name).description
                let role = RoleRecord(
                    name: name, path: path, id: AWSIdentifier.unique("AROA", length: 17), arn: arn, createdAt: now, assumeRolePolicy: trust,
                    description: description, maxSessionDuration: duration, tags: tags, permissionsBoundary: boundary)
                tables.roles[name] = role
                return role
            }
            return { $0.element("Role") { $0.role(role) } }
        },
        "GetRole": IAMOperation("role/{RoleName}") { call in
            let name = try call.name("RoleName")
            let role = try await call.identities.state.read { tables in try tables.role(name) }
            return { $0.element("Role") { $0.role(role) } }
        },
        "ListRoles": IAMOperation("*") { call in
            let prefix = call.parameters["PathPrefix"] ?? "/"
            let roles = await call.identities.state.read { tables in tables.roles.rows.filter { $0.value.path.hasPrefix(prefix) } }
            let page = try call.page(roles.keys, "ListRoles")
            return { xml in
                xml.list("Roles", of: page.names.compactMap { roles[$0] }, item: "member") { $0.role($1) }
                page.finish(&xml)
            }
        },
        "DeleteRole": IAMOperation("role/{RoleName}") { call in
            let name = try call.name("RoleName")
            try await call.identities.state.update { try $0.deleteRole(name) }
            return nil
        },
        "UpdateAssumeRolePolicy": IAMOperation("role/{RoleName}") { call in
            let (name, trust) = (try call.name("RoleName"), try call.trustPolicy("PolicyDocument"))
            try await call.identities.state.update { try $0.changeRole(name) { $0.assumeRolePolicy = trust } }
            return nil
        },
        "UpdateRole": IAMOperation("role/{RoleName}") { call in
            let (name, description, duration) = (try call.name("RoleName"), call.parameters["Description"], try call.sessionDuration())
            try await call.identities.state.update { tables in
                try tables.changeRole(name) { role in
                    if let description { role.description = description }
                    if let duration { role.maxSessionDuration = duration }
                }
            }
            return { _ in }
        },
        "UpdateRoleDescription": IAMOperation("role/{RoleName}") { call in
            let (name, description) = (try call.name("RoleName"), call.parameters["Description"] ?? "")
            let role = try await call.identities.state.update { tables in
                try tables.changeRole(name) { $0.description = description }
                return try tables.role(name)
            }
            return { $0.element("Role") { $0.role(role) } }
        },
        "TagRole": IAMOperation("role/{RoleName}") { call in
            let (name, tags) = (try call.name("RoleName"), try call.tags())
            try await call.identities.state.update { try $0.changeRole(name) { (role) throws(AWSError) in try IAMCall.add(tags, to: &role.tags) } }
            return nil
        },
        "UntagRole": IAMOperation("role/{RoleName}") { call in
            let (name, keys) = (try call.name("RoleName"), call.parameters.strings("TagKeys"))
            try await call.identities.state.update { try $0.changeRole(name) { role in for key in keys { role.tags[key] = nil } } }
            return nil
        },
        "ListRoleTags": IAMOperation("role/{RoleName}") { call in
            let name = try call.name("RoleName")
            let tags = try await call.identities.state.read { tables in try tables.role(name).tags }
            return { $0.tagList(tags) }
        },
    ]
}
