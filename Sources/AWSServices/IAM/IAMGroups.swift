import AWSProtocol

extension XMLWriter {
    fileprivate mutating func group(_ group: GroupRecord) {
        leaf("Path", group.path)
        leaf("GroupName", group.name)
        leaf("GroupId", group.id)
        leaf("Arn", group.arn)
        leaf("CreateDate", AWSTimestamp.extended(group.createdAt))
    }
}

extension IAMTables {
    /// Removes a group without members and policies. Throws NoSuchEntity, DeleteConflict.
    fileprivate mutating func deleteGroup(_ name: String) throws(AWSError) {
        let group = try group(name)
        guard group.userNames.isEmpty else { throw IAMFault.conflict("Cannot delete entity, must remove users from group first.") }
        guard group.policies.attached.isEmpty else { throw IAMFault.conflict("Cannot delete entity, must detach all policies first.") }
        guard group.policies.inline.isEmpty else { throw IAMFault.conflict("Cannot delete entity, must delete policies first.") }
        groups[name] = nil
    }

    fileprivate mutating func add(_ user: String, toGroup name: String) throws(AWSError) {
        var group = try group(name)
        _ = try self.user(user)
        guard !group.userNames.contains(user) else { return }
        guard groups.values.count(where: { $0.userNames.contains(user) }) < 10 else {
            throw IAMFault.limit("Cannot exceed quota for GroupsPerUser: 10")
        }
        group.userNames.append(user)
        groups[name] = group
    }
}

extension IAMService {
    private static let resource = "group/{GroupName}"

    static let groupOperations: [String: IAMOperation] = [
        "CreateGroup": IAMOperation(resource) { call in
            let (name, path, account, now) = (try call.name("GroupName", longest: 128), try call.path(), call.account, call.now)
            let group = try await call.identities.state.update { tables in
                guard tables.groups[name] == nil else { throw IAMFault.exists("Group with name \(name) already exists.") }
                guard tables.groups.values.count < 300 else { throw IAMFault.limit("Cannot exceed quota for GroupsPerAccount: 300") }
                let arn = ARN(service: "iam", account: account, resource: "group" + path + name).description
                let group = GroupRecord(name: name, path: path, id: AWSIdentifier.unique("AGPA", length: 17), arn: arn, createdAt: now)
                tables.groups[name] = group
                return group
            }
            return { $0.element("Group") { $0.group(group) } }
        },
        "GetGroup": IAMOperation(resource) { call in
            let name = try call.name("GroupName", longest: 128)
            let (group, users) = try await call.identities.state.read { tables in (try tables.group(name), tables.users.rows) }
            let page = try call.page(group.userNames, "GetGroup")
            return { xml in
                xml.element("Group") { $0.group(group) }
                xml.list("Users", of: page.names.compactMap { users[$0] }, item: "member") { $0.user($1) }
                page.finish(&xml)
            }
        },
        "ListGroups": IAMOperation("*") { call in
            let prefix = call.parameters["PathPrefix"] ?? "/"
            let groups = await call.identities.state.read { $0.groups.rows.filter { $0.value.path.hasPrefix(prefix) } }
            return try call.list(groups, "ListGroups")
        },
        "ListGroupsForUser": IAMOperation("user/{UserName}") { call in
            let name = try call.name("UserName")
            let groups = try await call.identities.state.read { tables in
                _ = try tables.user(name)
                return tables.groups.rows.filter { $0.value.userNames.contains(name) }
            }
            return try call.list(groups, "ListGroupsForUser")
        },
        "DeleteGroup": IAMOperation(resource) { call in
            let name = try call.name("GroupName", longest: 128)
            try await call.identities.state.update { try $0.deleteGroup(name) }
            return nil
        },
        "AddUserToGroup": IAMOperation(resource) { call in
            let (name, user) = (try call.name("GroupName", longest: 128), try call.name("UserName"))
            try await call.identities.state.update { try $0.add(user, toGroup: name) }
            return nil
        },
        "RemoveUserFromGroup": IAMOperation(resource) { call in
            let (name, user) = (try call.name("GroupName", longest: 128), try call.name("UserName"))
            try await call.identities.state.update { tables in
                var group = try tables.group(name)
                _ = try tables.user(user)
                group.userNames.removeAll { $0 == user }
                tables.groups[name] = group
            }
            return nil
        },
    ]
}

extension IAMCall {
    fileprivate func list(_ groups: [String: GroupRecord], _ operation: String) throws(AWSError) -> QueryResult {
        let page = try page(groups.keys, operation)
        return { xml in
            xml.list("Groups", of: page.names.compactMap { groups[$0] }, item: "member") { $0.group($1) }
            page.finish(&xml)
        }
    }
}
