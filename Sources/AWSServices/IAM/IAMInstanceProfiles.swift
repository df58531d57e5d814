import AWSProtocol

extension XMLWriter {
    mutating func instanceProfile(_ profile: InstanceProfileRecord, _ roles: [String: RoleRecord]) {
        leaf("Path", profile.path)
        leaf("InstanceProfileName", profile.name)
        leaf("InstanceProfileId", profile.id)
        leaf("Arn", profile.arn)
        leaf("CreateDate", AWSTimestamp.extended(profile.createdAt))
        list("Roles", of: profile.roleNames.compactMap { roles[$0] }, item: "member") { $0.role($1) }
        iamTags(profile.tags ?? [:])
    }
}

extension IAMCall {
    fileprivate func changeProfileTags(_ change: @Sendable (inout [String: String]) throws -> Void) async throws -> QueryResult {
        let name = try name("InstanceProfileName", longest: 128)
        try await identities.state.update { tables in
            var profile = try tables.instanceProfile(name)
            var tags = profile.tags ?? [:]
            try change(&tags)
            profile.tags = tags
            tables.instanceProfiles[name] = profile
        }
        return nil
    }
}

extension IAMService {
    private static let resource = "instance-profile/{InstanceProfileName}"

    static let instanceProfileOperations: [String: IAMOperation] = [
        "CreateInstanceProfile": IAMOperation(resource) { call in
            let (name, path, account, now) = (try call.name("InstanceProfileName", longest: 128), try call.path(), call.account, call.now)
            let tags = try call.tags()
            let profile = try await call.identities.state.update { tables in
                guard tables.instanceProfiles[name] == nil else { throw IAMFault.exists("Instance Profile \(name) already exists.") }
                let arn = ARN(service: "iam", account: account, resource: "instance-profile" + path + name).description
                let profile = InstanceProfileRecord(
                    name: name, path: path, id: AWSIdentifier.unique("AIPA", length: 17), arn: arn, createdAt: now, tags: tags)
                tables.instanceProfiles[name] = profile
                return profile
            }
            return { $0.element("InstanceProfile") { $0.instanceProfile(profile, [:]) } }
        },
        "GetInstanceProfile": IAMOperation(resource) { call in
            let name = try call.name("InstanceProfileName", longest: 128)
            let (profile, roles) = try await call.identities.state.read { tables in (try tables.instanceProfile(name), tables.roles.rows) }
            return { $0.element("InstanceProfile") { $0.instanceProfile(profile, roles) } }
        },
        "ListInstanceProfiles": IAMOperation("*") { call in
            let prefix = call.parameters["PathPrefix"] ?? "/"
            let (profiles, roles) = await call.identities.state.read { tables in
                (tables.instanceProfiles.rows.filter { $0.value.path.hasPrefix(prefix) }, tables.roles.rows)
            }
            let page = try call.page(profiles.keys, "ListInstanceProfiles")
            return { xml in
                xml.list("InstanceProfiles", of: page.names.compactMap { profiles[$0] }, item: "member") { $0.instanceProfile($1, roles) }
                page.finish(&xml)
            }
        },
        "TagInstanceProfile": IAMOperation(resource) { call in
            let tags = try call.tags()
            return try await call.changeProfileTags { try IAMCall.add(tags, to: &$0) }
        },
        "UntagInstanceProfile": IAMOperation(resource) { call in
            let keys = call.parameters.strings("TagKeys")
            return try await call.changeProfileTags { tags in for key in keys { tags[key] = nil } }
        },
        "ListInstanceProfileTags": IAMOperation(resource) { call in
            let name = try call.name("InstanceProfileName", longest: 128)
            let tags = try await call.identities.state.read { try $0.instanceProfile(name).tags ?? [:] }
            return { $0.tagList(tags) }
        },
        "ListInstanceProfilesForRole": IAMOperation("role/{RoleName}") { call in
            let name = try call.name("RoleName")
            let (profiles, roles) = try await call.identities.state.read { tables in
                _ = try tables.role(name)
                return (tables.instanceProfiles.rows.filter { $0.value.roleNames.contains(name) }, tables.roles.rows)
            }
            let page = try call.page(profiles.keys, "ListInstanceProfilesForRole")
            return { xml in
                xml.list("InstanceProfiles", of: page.names.compactMap { profiles[$0] }, item: "member") { $0.instanceProfile($1, roles) }
                page.finish(&xml)
            }
        },
        "AddRoleToInstanceProfile": IAMOperation(resource) { call in
            let (name, role) = (try call.name("InstanceProfileName", longest: 128), try call.name("RoleName"))
            try await call.identities.state.update { tables in
                var profile = try tables.instanceProfile(name)
                _ = try tables.role(role)
                guard profile.roleNames.isEmpty else { throw IAMFault.limit("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1") }
                profile.roleNames.append(role)
                tables.instanceProfiles[name] = profile
            }
            return nil
        },
        "RemoveRoleFromInstanceProfile": IAMOperation(resource) { call in
            let (name, role) = (try call.name("InstanceProfileName", longest: 128), try call.name("RoleName"))
            try await call.identities.state.update { tables in
                var profile = try tables.instanceProfile(name)
                guard let index = profile.roleNames.firstIndex(of: role) else {
                    throw IAMFault.missing("The role with name \(role) cannot be found.")
                }
                profile.roleNames.remove(at: index)
                tables.instanceProfiles[name] = profile
            }
            return nil
        },
        "DeleteInstanceProfile": IAMOperation(resource) { call in
            let name = try call.name("InstanceProfileName", longest: 128)
            try await call.identities.state.update { tables in
                guard try tables.instanceProfile(name).roleNames.isEmpty else {
                    throw IAMFault.conflict("Cannot delete entity, must remove roles from instance profile first.")
                }
                tables.instanceProfiles[name] = nil
            }
            return nil
        },
    ]
}
