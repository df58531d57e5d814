import AWSProtocol

extension XMLWriter {
    mutating func user(_ user: UserRecord) {
        leaf("Path", user.path)
        leaf("UserName", user.name)
        leaf("UserId", user.id)
        leaf("Arn", user.arn)
        leaf("CreateDate", AWSTimestamp.extended(user.createdAt))
        boundary(user.permissionsBoundary)
        iamTags(user.tags)
    }
}

extension IAMTables {
    /// Removes a user without keys and policies. Throws NoSuchEntity, DeleteConflict.
    mutating func deleteUser(_ name: String) throws(AWSError) {
        let user = try user(name)
        guard !accessKeys.values.contains(where: { $0.userName == name }) else {
            throw IAMFault.conflict("Cannot delete entity, must delete access keys first.")
        }
        guard !groups.values.contains(where: { $0.userNames.contains(name) }) else {
            throw IAMFault.conflict("Cannot delete entity, must remove user from all groups first.")
        }
        guard user.policies.attached.isEmpty else { throw IAMFault.conflict("Cannot delete entity, must detach all policies first.") }
        guard user.policies.inline.isEmpty else { throw IAMFault.conflict("Cannot delete entity, must delete policies first.") }
        users[name] = nil
        // Its sessions end with it.
        for session in sessions.values where session.caller.principalARN == user.arn { sessions[session.accessKeyID] = nil }
    }

    /// A new key of a user. Throws NoSuchEntity, LimitExceeded past two keys.
    mutating func createAccessKey(_ userName: String, now: Double) throws(AWSError) -> AccessKeyRecord {
        _ = try user(userName)
        guard accessKeys.values.count(where: { $0.userName == userName }) < 2 else {
            throw IAMFault.limit("Cannot exceed quota for AccessKeysPerUser: 2")
        }
        let key = AccessKeyRecord.make(userName: userName, now: now)
        accessKeys[key.id] = key
        return key
    }

    /// The key `id`, when it is the user's. Throws NoSuchEntity.
    func accessKey(_ id: String, of userName: String) throws(AWSError) -> AccessKeyRecord {
        guard let key = accessKeys[id], key.userName == userName else { throw IAMFault.missing("The Access Key with id \(id) cannot be found.") }
        return key
    }
}

extension IAMCall {
    /// `UserName`, or the calling user's name. Throws ValidationError for a caller that is no user.
    func userName() throws(AWSError) -> String {
        if parameters["UserName"] != nil { return try name("UserName") }
        guard let arn = ARN(request.caller.principalARN), arn.resource.hasPrefix("user/"), let name = arn.resourceParts.last else {
            throw IAMFault.invalid("Must specify userName when calling with non-User credentials")
        }
        return String(name)
    }
}

extension IAMService {
    static let userOperations: [String: IAMOperation] = [
        "CreateUser": IAMOperation("user/{UserName}") { call in
            let (name, path, tags) = (try call.name("UserName"), try call.path(), try call.tags())
            let (account, now, boundary) = (call.account, call.now, call.parameters["PermissionsBoundary"])
            let user = try await call.identities.state.update { tables in
                guard tables.users[name] == nil else { throw IAMFault.exists("User with name \(name) already exists.") }
                guard tables.users.values.count < 5_000 else { throw IAMFault.limit("Cannot exceed quota for UsersPerAccount: 5000") }
                try tables.checkBoundary(boundary)
                let arn = ARN(service: "iam", account: account, resource: "user" + path + name).description
                let user = UserRecord(
                    name: name, path: path, id: AWSIdentifier.unique("AIDA", length: 17), arn: arn, createdAt: now, tags: tags,
                    permissionsBoundary: boundary)
                tables.users[name] = user
                return user
            }
            return { $0.element("User") { $0.user(user) } }
        },
        "GetUser": IAMOperation("user/{UserName}") { call in
            let name = try call.userName()
            let user = try await call.identities.state.read { tables in try tables.user(name) }
            return { $0.element("User") { $0.user(user) } }
        },
        "ListUsers": IAMOperation("*") { call in
            let prefix = call.parameters["PathPrefix"] ?? "/"
            let users = await call.identities.state.read { tables in tables.users.rows.filter { $0.value.path.hasPrefix(prefix) } }
            let page = try call.page(users.keys, "ListUsers")
            return { xml in
                xml.list("Users", of: page.names.compactMap { users[$0] }, item: "member") { $0.user($1) }
                page.finish(&xml)
            }
        },
        "DeleteUser": IAMOperation("user/{UserName}") { call in
            let name = try call.name("UserName")
            try await call.identities.state.update { try $0.deleteUser(name) }
            return nil
        },
        "TagUser": IAMOperation("user/{UserName}") { call in
            let (name, tags) = (try call.name("UserName"), try call.tags())
            try await call.identities.state.update { tables in
                var user = try tables.user(name)
                try IAMCall.add(tags, to: &user.tags)
                tables.users[name] = user
            }
            return nil
        },
        "UntagUser": IAMOperation("user/{UserName}") { call in
            let (name, keys) = (try call.name("UserName"), call.parameters.strings("TagKeys"))
            try await call.identities.state.update { tables in
                var user = try tables.user(name)
                for key in keys { user.tags[key] = nil }
                tables.users[name] = user
            }
            return nil
        },
        "ListUserTags": IAMOperation("user/{UserName}") { call in
            let name = try call.name("UserName")
            let tags = try await call.identities.state.read { try $0.user(name).tags }
            return { $0.tagList(tags) }
        },
        "CreateAccessKey": IAMOperation("user/{UserName}") { call in
            let (name, now) = (try call.userName(), call.now)
            let key = try await call.identities.state.update { try $0.createAccessKey(name, now: now) }
            return {
                $0.element("AccessKey") { xml in
                    xml.leaf("UserName", key.userName)
                    xml.leaf("AccessKeyId", key.id)
                    xml.leaf("Status", key.isActive ? "Active" : "Inactive")
                    xml.leaf("SecretAccessKey", key.secret)
                    xml.leaf("CreateDate", AWSTimestamp.extended(key.createdAt))
                }
            }
        },
        "ListAccessKeys": IAMOperation("user/{UserName}") { call in
            let name = try call.userName()
            let keys = try await call.identities.state.read { tables in
                _ = try tables.user(name)
                return tables.accessKeys.rows.filter { $0.value.userName == name }
            }
            let page = try call.page(keys.keys, "ListAccessKeys")
            return { xml in
                xml.list("AccessKeyMetadata", of: page.names.compactMap { keys[$0] }, item: "member") { xml, key in
                    xml.leaf("UserName", key.userName)
                    xml.leaf("AccessKeyId", key.id)
                    xml.leaf("Status", key.isActive ? "Active" : "Inactive")
                    xml.leaf("CreateDate", AWSTimestamp.extended(key.createdAt))
                }
                page.finish(&xml)
            }
        },
        "UpdateAccessKey": IAMOperation("user/{UserName}") { call in
            let (name, id, status) = (try call.userName(), try call.required("AccessKeyId"), try call.required("Status"))
            guard status == "Active" || status == "Inactive" else { throw IAMFault.invalid("Status must be Active or Inactive.") }
            try await call.identities.state.update { tables in
                var key = try tables.accessKey(id, of: name)
                key.isActive = status == "Active"
                tables.accessKeys[id] = key
            }
            return nil
        },
        "DeleteAccessKey": IAMOperation("user/{UserName}") { call in
            let (name, id) = (try call.userName(), try call.required("AccessKeyId"))
            try await call.identities.state.update { tables in
                _ = try tables.accessKey(id, of: name)
                tables.accessKeys[id] = nil
            }
            return nil
        },
    ]
}
