import AWSProtocol

extension EC2Tables {
    /// Changes rules of a group one by one. Throws InvalidSecurityGroupRuleId.NotFound, InvalidPermission.Duplicate.
    fileprivate mutating func changeRules(
        _ groupID: String, _ ids: [String], _ change: (Int, inout SecurityGroupRuleRecord) throws(AWSError) -> Void
    ) throws(AWSError) {
        var group = try securityGroup(groupID)
        for (number, id) in ids.enumerated() {
            guard let index = group.rules.firstIndex(where: { $0.id == id }) else {
                throw AWSError("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '\(id)' does not exist")
            }
            var rule = group.rules[index]
            try change(number, &rule)
            if let peer = rule.groupID { _ = try securityGroup(peer) }
            guard !group.rules.contains(where: { $0.id != id && $0.isSame(as: rule) }) else {
                throw AWSError("InvalidPermission.Duplicate", "the specified rule already exists")
            }
            group.rules[index] = rule
        }
        securityGroups[groupID] = group
    }
}

extension EC2Call {
    /// The rule that `SecurityGroupRule` describes, in the place of `old`. Throws InvalidParameterValue and the like.
    fileprivate func changed(_ old: SecurityGroupRuleRecord, _ given: QueryParameters) throws(AWSError) -> SecurityGroupRuleRecord {
        var rule = try base(given, isEgress: old.isEgress)
        rule.id = old.id
        rule.description = given["Description"]
        if let cidr = given["CidrIpv4"] {
            guard let block = IPv4Block(cidr) else { throw EC2Fault.invalidValue("CIDR block \(cidr.prefix(64)) is malformed") }
            rule.cidrIPv4 = block.description
        }
        rule.cidrIPv6 = given["CidrIpv6"]
        rule.prefixListID = given["PrefixListId"]
        rule.groupID = given["ReferencedGroupId"]
        guard [rule.cidrIPv4, rule.cidrIPv6, rule.prefixListID, rule.groupID].compactMap({ $0 }).count == 1 else {
            throw AWSError("InvalidParameterCombination", "A security group rule has exactly one source or destination.")
        }
        return rule
    }

    fileprivate func updateDescriptions(isEgress: Bool) async throws -> (inout XMLWriter) -> Void {
        let (id, rules) = (try await groupID(), try rules(isEgress: isEgress))
        let given = parameters.list("SecurityGroupRuleDescription").map { (id: $0["SecurityGroupRuleId"] ?? "", text: $0["Description"]) }
        guard !rules.isEmpty || !given.isEmpty else { throw EC2Fault.missingParameter("ipPermissions") }
        try await update { tables in
            var changes = given
            for rule in rules {
                guard let known = try tables.securityGroup(id).rules.first(where: { $0.isSame(as: rule) }) else {
                    throw AWSError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
                }
                changes.append((known.id, rule.description))
            }
            try tables.changeRules(id, changes.map(\.id)) { number, rule in rule.description = changes[number].text }
        }
        return { $0.success() }
    }
}

extension EC2Service {
    static let securityGroupRuleOperations: [String: EC2Operation] = [
        "DescribeSecurityGroupRules": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            var rules: [String: (groupID: String, rule: SecurityGroupRuleRecord)] = [:]
            for group in tables.securityGroups.values { for rule in group.rules { rules[rule.id] = (group.id, rule) } }
            let found = try call.describe(
                rules, ids: call.parameters.strings("SecurityGroupRuleId"), tags: tables.tags.rows,
                missing: { AWSError("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '\($0)' does not exist") }
            ) { entry, filter in
                switch filter {
                case "group-id": [entry.groupID]
                case "security-group-rule-id": [entry.rule.id]
                default: nil
                }
            }
            return { xml in
                xml.list("securityGroupRuleSet", of: found.rows) { $0.rule($1.row.rule, groupID: $1.row.groupID, tables, call.network) }
                found.finish(&xml)
            }
        },
        "ModifySecurityGroupRules": EC2Operation("security-group/{GroupId}") { call in
            let (id, changes) = (try call.required("GroupId"), call.parameters.list("SecurityGroupRule"))
            guard !changes.isEmpty else { throw EC2Fault.missingParameter("securityGroupRules") }
            try await call.update { tables in
                try tables.changeRules(id, changes.map { $0["SecurityGroupRuleId"] ?? "" }) { (number, rule) throws(AWSError) in
                    rule = try call.changed(rule, changes[number].structure("SecurityGroupRule"))
                }
            }
            return { $0.success() }
        },
        "UpdateSecurityGroupRuleDescriptionsIngress": EC2Operation("security-group/{GroupId}") { try await $0.updateDescriptions(isEgress: false) },
        "UpdateSecurityGroupRuleDescriptionsEgress": EC2Operation("security-group/{GroupId}") { try await $0.updateDescriptions(isEgress: true) },
    ]
}
