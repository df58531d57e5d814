import AWSProtocol

extension IAMService {
    private static let aliasKey = "alias"

    static let accountOperations: [String: IAMOperation] = [
        "CreateAccountAlias": IAMOperation("*") { call in
            let alias = try call.required("AccountAlias", longest: 63)
            let isSound =
                alias.count >= 3 && alias.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "-") } && !alias.hasPrefix("-")
                && !alias.hasSuffix("-") && !alias.contains("--")
            guard isSound else {
                throw IAMFault.invalid(
                    "1 validation error detected: Value '\(alias)' at 'accountAlias' failed to satisfy constraint: Member must satisfy regular "
                        + "expression pattern: ^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$")
            }
            try await call.identities.state.update { $0.settings[aliasKey] = alias }
            return nil
        },
        "DeleteAccountAlias": IAMOperation("*") { call in
            let alias = try call.required("AccountAlias", longest: 63)
            try await call.identities.state.update { tables in
                guard tables.settings[aliasKey] == alias else { throw IAMFault.missing("The account alias \(alias) does not exist.") }
                tables.settings[aliasKey] = nil
            }
            return nil
        },
        "ListAccountAliases": IAMOperation("*") { call in
            let alias = await call.identities.state.read { $0.settings[aliasKey] }
            return { xml in
                xml.element("AccountAliases") { $0.leaf("member", alias) }
                xml.leaf("IsTruncated", false)
            }
        },
        "GetAccountSummary": IAMOperation("*") { call in
            let tables = await call.identities.state.read { $0 }
            let counts: [(String, Int)] = [
                ("AccessKeysPerUserQuota", 2), ("AccountMFAEnabled", 0), ("AttachedPoliciesPerGroupQuota", PrincipalKind.attachedQuota),
                ("AttachedPoliciesPerRoleQuota", PrincipalKind.attachedQuota), ("AttachedPoliciesPerUserQuota", PrincipalKind.attachedQuota),
                ("Groups", tables.groups.values.count), ("GroupsPerUserQuota", 10), ("GroupsQuota", 300),
                ("InstanceProfiles", tables.instanceProfiles.values.count), ("Policies", tables.managedPolicies.values.count),
                ("PoliciesQuota", 1_500),
                ("PolicySizeQuota", 6_144), ("Providers", tables.oidcProviders.values.count), ("Roles", tables.roles.values.count),
                ("RolesQuota", 1_000), ("Users", tables.users.values.count), ("UsersQuota", 5_000), ("VersionsPerPolicyQuota", 5),
            ]
            return { xml in
                xml.element("SummaryMap") { xml in
                    for (key, value) in counts {
                        xml.element("entry") { xml in
                            xml.leaf("key", key)
                            xml.leaf("value", value)
                        }
                    }
                }
            }
        },
    ]
}
