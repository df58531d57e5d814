import AWSProtocol

extension EC2Tables {
    /// A group that lets all out and nothing in. Throws InvalidGroup.Duplicate.
    mutating func createSecurityGroup(name: String, description: String, vpcID: String) throws(AWSError) -> SecurityGroupRecord {
        let vpc = try vpc(vpcID)
        guard !name.isEmpty, name.count <= 255, !name.hasPrefix("sg-") else {
            throw EC2Fault.invalidValue(
                "Value (\(name.prefix(64))) for parameter GroupName is invalid. Group names may not be in the format sg-* and have "
                    + "at most 255 characters."
            )
        }
        guard !securityGroups.values.contains(where: { $0.vpcID == vpcID && $0.name == name }) else {
            throw AWSError("InvalidGroup.Duplicate", "The security group '\(name)' already exists for VPC '\(vpcID)'")
        }
        var group = SecurityGroupRecord(id: AWSIdentifier.resource("sg"), name: name, description: description, vpcID: vpcID)
        group.rules = [SecurityGroupRuleRecord(id: AWSIdentifier.resource("sgr"), isEgress: true, ipProtocol: "-1", cidrIPv4: "0.0.0.0/0")]
        if vpc.ipv6Ranges?.isEmpty == false {
            group.rules.append(SecurityGroupRuleRecord(id: AWSIdentifier.resource("sgr"), isEgress: true, ipProtocol: "-1", cidrIPv6: "::/0"))
        }
        securityGroups[group.id] = group
        return group
    }

    /// Removes a group that nothing uses. Throws CannotDelete, DependencyViolation.
    mutating func deleteSecurityGroup(_ id: String) throws(AWSError) {
        let group = try securityGroup(id)
        guard group.name != "default" else {
            throw AWSError("CannotDelete", "the specified group: \"\(id)\" name: \"default\" cannot be deleted by a user")
        }
        let isUsed =
            interfaces.values.contains { $0.groupIDs.contains(id) }
            || securityGroups.values.contains { other in other.id != id && other.rules.contains { $0.groupID == id } }
        guard !isUsed else { throw EC2Fault.dependency("resource \(id) has a dependent object") }
        for rule in group.rules { tags[rule.id] = nil }
        securityGroups[id] = nil
        tags[id] = nil
    }

    /// Adds rules. Throws InvalidPermission.Duplicate, InvalidGroup.NotFound for a peer that is not there.
    mutating func authorize(_ id: String, _ rules: [SecurityGroupRuleRecord]) throws(AWSError) {
        var group = try securityGroup(id)
        for rule in rules {
            if let peer = rule.groupID { _ = try securityGroup(peer) }
            guard !group.rules.contains(where: { $0.isSame(as: rule) }) else {
                let peer = rule.cidrIPv4 ?? rule.cidrIPv6 ?? rule.groupID ?? rule.prefixListID ?? ""
                let ports = rule.fromPort.map { ", from port: \($0), to port: \(rule.toPort ?? $0)" } ?? ""
                let name = rule.ipProtocol == "-1" ? "ALL" : rule.ipProtocol.uppercased()
                throw AWSError("InvalidPermission.Duplicate", "the specified rule \"peer: \(peer), \(name)\(ports), ALLOW\" already exists")
            }
            guard group.rules.count(where: { $0.isEgress == rule.isEgress }) < 60 else {
                throw AWSError("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
            }
            group.rules.append(rule)
        }
        securityGroups[id] = group
    }

    /// Removes the rules that let the same through, or have the given ids. Throws InvalidPermission.NotFound.
    mutating func revoke(_ id: String, _ rules: [SecurityGroupRuleRecord], ruleIDs: [String]) throws(AWSError) {
        var group = try securityGroup(id)
        for rule in rules {
            guard let index = group.rules.firstIndex(where: { $0.isSame(as: rule) }) else {
                throw AWSError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
            }
            tags[group.rules.remove(at: index).id] = nil
        }
        for ruleID in ruleIDs {
            guard let index = group.rules.firstIndex(where: { $0.id == ruleID }) else {
                throw AWSError("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '\(ruleID)' does not exist")
            }
            tags[group.rules.remove(at: index).id] = nil
        }
        securityGroups[id] = group
    }
}

extension EC2Call {
    /// `GroupId`, or the group named `GroupName` in the default VPC. Throws InvalidGroup.NotFound.
    func groupID() async throws -> String {
        if let id = parameters["GroupId"] { return id }
        let name = try required("GroupName")
        let id = try await read { tables in
            tables.securityGroups.values.first { group in group.name == name && tables.vpcs[group.vpcID]?.isDefault ?? false }?.id
        }
        guard let id else { throw AWSError("InvalidGroup.NotFound", "The security group '\(name)' does not exist in default VPC") }
        return id
    }

    /// The rules of `IpPermissions.N`, or of the flat form. Throws InvalidParameterValue and the like.
    func rules(isEgress: Bool) throws(AWSError) -> [SecurityGroupRuleRecord] {
        var rules: [SecurityGroupRuleRecord] = []
        let permissions = parameters.list("IpPermissions")
        for permission in permissions.isEmpty && parameters.has("IpProtocol") ? [parameters] : permissions {
            let base = try base(permission, isEgress: isEgress)
            func add(_ change: (inout SecurityGroupRuleRecord) -> Void) {
                var rule = base
                rule.id = AWSIdentifier.resource("sgr")
                change(&rule)
                rules.append(rule)
            }
            for range in permission.list("IpRanges") + (permission.has("CidrIp") ? [permission] : []) {
                guard let block = IPv4Block(range["CidrIp"] ?? "") else {
                    throw EC2Fault.invalidValue("CIDR block \((range["CidrIp"] ?? "").prefix(64)) is malformed")
                }
                add {
                    $0.cidrIPv4 = block.description
                    $0.description = range["Description"]
                }
            }
            for range in permission.list("Ipv6Ranges") {
                add {
                    $0.cidrIPv6 = range["CidrIpv6"]
                    $0.description = range["Description"]
                }
            }
            for pair in permission.list("Groups") {
                guard let id = pair["GroupId"] else { throw EC2Fault.missingParameter("groupId") }
                add {
                    $0.groupID = id
                    $0.description = pair["Description"]
                }
            }
            for list in permission.list("PrefixListIds") {
                add {
                    $0.prefixListID = list["PrefixListId"]
                    $0.description = list["Description"]
                }
            }
        }
        return rules
    }

    func base(_ permission: QueryParameters, isEgress: Bool) throws(AWSError) -> SecurityGroupRuleRecord {
        let numbers = ["6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"]
        let name = (permission["IpProtocol"] ?? "").lowercased()
        let ipProtocol = numbers[name] ?? name
        let isKnown = ["-1", "tcp", "udp", "icmp", "icmpv6"].contains(ipProtocol) || UInt8(ipProtocol) != nil
        guard isKnown else { throw EC2Fault.invalidValue("Invalid value '\(name.prefix(20))' for IP protocol. Unknown protocol.") }
        var rule = SecurityGroupRuleRecord(id: "", isEgress: isEgress, ipProtocol: ipProtocol)
        if ipProtocol != "-1" {
            rule.fromPort = permission["FromPort"].flatMap { Int($0) }
            rule.toPort = permission["ToPort"].flatMap { Int($0) }
        }
        if ipProtocol == "tcp" || ipProtocol == "udp" {
            guard let from = rule.fromPort, let to = rule.toPort, (0...65_535).contains(from), (0...65_535).contains(to), from <= to else {
                throw EC2Fault.invalidValue("Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
            }
        }
        return rule
    }

    fileprivate func change(isEgress: Bool, isRevoke: Bool) async throws -> (inout XMLWriter) -> Void {
        let (id, rules, ruleIDs) = (try await groupID(), try rules(isEgress: isEgress), parameters.strings("SecurityGroupRuleId"))
        guard !rules.isEmpty || (isRevoke && !ruleIDs.isEmpty) else { throw EC2Fault.missingParameter("ipPermissions") }
        let tags = try tags(for: "security-group-rule")
        let tables = try await update { tables in
            if isRevoke { try tables.revoke(id, rules, ruleIDs: ruleIDs) } else { try tables.authorize(id, rules) }
            if !isRevoke { for rule in rules { tables.setTags(tags, on: rule.id) } }
            return tables
        }
        let network = network
        return { xml in
            xml.success()
            if !isRevoke { xml.list("securityGroupRuleSet", of: rules) { $0.rule($1, groupID: id, tables, network) } }
        }
    }
}

extension XMLWriter {
    mutating func rule(_ rule: SecurityGroupRuleRecord, groupID: String, _ tables: EC2Tables, _ network: EC2Network) {
        leaf("securityGroupRuleId", rule.id)
        leaf("securityGroupRuleArn", network.arn("security-group-rule/\(rule.id)"))
        leaf("groupId", groupID)
        leaf("groupOwnerId", network.account)
        leaf("isEgress", rule.isEgress)
        leaf("ipProtocol", rule.ipProtocol)
        leaf("fromPort", rule.fromPort ?? -1)
        leaf("toPort", rule.toPort ?? -1)
        leaf("cidrIpv4", rule.cidrIPv4)
        leaf("cidrIpv6", rule.cidrIPv6)
        leaf("prefixListId", rule.prefixListID)
        if let peer = rule.groupID {
            element("referencedGroupInfo") { xml in
                xml.leaf("groupId", peer)
                xml.leaf("userId", network.account)
                xml.leaf("vpcId", tables.securityGroups[peer]?.vpcID)
            }
        }
        leaf("description", rule.description)
        ec2Tags(tables.tags(of: rule.id))
    }

    /// Rules of one protocol and port range are one permission with many peers.
    fileprivate mutating func permissions(_ name: String, _ rules: [SecurityGroupRuleRecord], account: String) {
        struct Key: Hashable {
            var ipProtocol: String
            var from: Int?
            var to: Int?
        }
        var order: [Key] = []
        var groups: [Key: [SecurityGroupRuleRecord]] = [:]
        for rule in rules {
            let key = Key(ipProtocol: rule.ipProtocol, from: rule.fromPort, to: rule.toPort)
            if groups[key] == nil { order.append(key) }
            groups[key, default: []].append(rule)
        }
        list(name, of: order) { xml, key in
            let rules = groups[key] ?? []
            xml.leaf("ipProtocol", key.ipProtocol)
            xml.leaf("fromPort", key.from.map { String($0) })
            xml.leaf("toPort", key.to.map { String($0) })
            xml.list("groups", of: rules.filter { $0.groupID != nil }) { xml, rule in
                xml.leaf("groupId", rule.groupID)
                xml.leaf("userId", account)
                xml.leaf("description", rule.description)
            }
            xml.list("ipRanges", of: rules.filter { $0.cidrIPv4 != nil }) { xml, rule in
                xml.leaf("cidrIp", rule.cidrIPv4)
                xml.leaf("description", rule.description)
            }
            xml.list("ipv6Ranges", of: rules.filter { $0.cidrIPv6 != nil }) { xml, rule in
                xml.leaf("cidrIpv6", rule.cidrIPv6)
                xml.leaf("description", rule.description)
            }
            xml.list("prefixListIds", of: rules.filter { $0.prefixListID != nil }) { xml, rule in
                xml.leaf("prefixListId", rule.prefixListID)
                xml.leaf("description", rule.description)
            }
        }
    }

    fileprivate mutating func securityGroup(_ group: SecurityGroupRecord, _ tags: [String: String], _ network: EC2Network) {
        leaf("groupId", group.id)
        leaf("securityGroupArn", network.arn("security-group/\(group.id)"))
        leaf("groupName", group.name)
        leaf("groupDescription", group.description)
        leaf("vpcId", group.vpcID)
        leaf("ownerId", network.account)
        permissions("ipPermissions", group.rules.filter { !$0.isEgress }, account: network.account)
        permissions("ipPermissionsEgress", group.rules.filter(\.isEgress), account: network.account)
        ec2Tags(tags)
    }
}

extension EC2Service {
    static let securityGroupOperations: [String: EC2Operation] = [
        "CreateSecurityGroup": EC2Operation("security-group/*") { call in
            let (name, description) = (try call.required("GroupName"), try call.required("GroupDescription"))
            let (vpcID, tags) = (call.parameters["VpcId"], try call.tags(for: "security-group"))
            let group = try await call.update { tables in
                guard let vpc = vpcID ?? tables.vpcs.values.first(where: { $0.isDefault })?.id else {
                    throw AWSError("VPCIdNotSpecified", "No default VPC for this user")
                }
                let group = try tables.createSecurityGroup(name: name, description: description, vpcID: vpc)
                tables.setTags(tags, on: group.id)
                return group
            }
            return { xml in
                xml.success()
                xml.leaf("groupId", group.id)
                xml.leaf("securityGroupArn", call.network.arn("security-group/\(group.id)"))
                xml.ec2Tags(tags)
            }
        },
        "DescribeSecurityGroups": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let names = call.parameters.strings("GroupName")
            for name in names where !tables.securityGroups.values.contains(where: { $0.name == name }) {
                throw AWSError("InvalidGroup.NotFound", "The security group '\(name)' does not exist")
            }
            let found = try call.describe(
                tables.securityGroups.rows.filter { names.isEmpty || names.contains($0.value.name) }, ids: call.parameters.strings("GroupId"),
                tags: tables.tags.rows, missing: { AWSError("InvalidGroup.NotFound", "The security group '\($0)' does not exist") }
            ) { group, filter in
                switch filter {
                case "group-id": [group.id]
                case "group-name": [group.name]
                case "vpc-id": [group.vpcID]
                case "description": [group.description]
                case "owner-id": [call.network.account]
                case "ip-permission.cidr": group.rules.filter { !$0.isEgress }.compactMap(\.cidrIPv4)
                case "ip-permission.group-id": group.rules.filter { !$0.isEgress }.compactMap(\.groupID)
                case "ip-permission.from-port": group.rules.filter { !$0.isEgress }.compactMap { $0.fromPort.map { String($0) } }
                case "ip-permission.to-port": group.rules.filter { !$0.isEgress }.compactMap { $0.toPort.map { String($0) } }
                case "ip-permission.protocol": group.rules.filter { !$0.isEgress }.map(\.ipProtocol)
                case "egress.ip-permission.cidr": group.rules.filter(\.isEgress).compactMap(\.cidrIPv4)
                case "egress.ip-permission.group-id": group.rules.filter(\.isEgress).compactMap(\.groupID)
                default: nil
                }
            }
            return { xml in
                xml.list("securityGroupInfo", of: found.rows) { $0.securityGroup($1.row, tables.tags(of: $1.id), call.network) }
                found.finish(&xml)
            }
        },
        "DeleteSecurityGroup": EC2Operation("security-group/{GroupId}") { call in
            let id = try await call.groupID()
            try await call.update { try $0.deleteSecurityGroup(id) }
            return { xml in
                xml.success()
                xml.leaf("groupId", id)
            }
        },
        "AuthorizeSecurityGroupIngress": EC2Operation("security-group/{GroupId}") { try await $0.change(isEgress: false, isRevoke: false) },
        "AuthorizeSecurityGroupEgress": EC2Operation("security-group/{GroupId}") { try await $0.change(isEgress: true, isRevoke: false) },
        "RevokeSecurityGroupIngress": EC2Operation("security-group/{GroupId}") { try await $0.change(isEgress: false, isRevoke: true) },
        "RevokeSecurityGroupEgress": EC2Operation("security-group/{GroupId}") { try await $0.change(isEgress: true, isRevoke: true) },
    ]
}
