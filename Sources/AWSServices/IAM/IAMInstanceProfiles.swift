import AWSProtocol

extension XMLWriter {
    mutating func instanceProfile(_ profile: InstanceProfileRecord, _ roles: [String: RoleRecord]) {
        leaf("Path", profile.path)
        leaf("InstanceProfileName", profile.name)
        leaf("InstanceProfileId", profile.id)
        leaf("Arn", profile.arn)
        leaf("CreateDate", AWSTimestamp.extended(profile.createdAt))
        list("Roles", of: profile.roleNames.compactMap { roles[$0] }, item: "member") { $0.role($1) }
    }
}

extension IAMService {
    private static let resource = "instance-profile/{InstanceProfileName}"

    static let instanceProfileOperations: [String: IAMOperation] = [
        "CreateInstanceProfile": IAMOperation(resource) { call in
            let (name, path, account, now) = (try call.name("InstanceProfileName", longest: 128), try call.path(), call.account, call.now)
            let profile = try await call.identities.state.update { tables in
                guard tables.instanceProfiles[name] == nil else { throw IAMFault.exists("Instance Profile \(name) already exists.") }
                let arn = ARN(service: "iam", account: account, resource: "instance-profile" + path + name).description
                let profile = InstanceProfileRecord(name: name, path: path, id: AWSIdentifier.unique("AIPA", length: 17), arn: arn, createdAt: now)
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
