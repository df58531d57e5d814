import AWSProtocol

extension EC2Network {
    /// The security group of this name in the VPC, made when it is not there. It lets TCP port 22 in from the members of the source groups; from
    /// everywhere when there are none. Throws `AWSError` or what the storage throws.
    package func ensureSSHGroup(
        name: String, description: String, vpcID: String, sourceGroupIDs: [String], tags: [String: String]
    ) async throws -> String {
        try await state.update { tables in
            let known = tables.securityGroups.values.first { $0.vpcID == vpcID && $0.name == name }
            let group = try known ?? tables.createSecurityGroup(name: name, description: description, vpcID: vpcID)
            func rule() -> SecurityGroupRuleRecord {
                SecurityGroupRuleRecord(id: AWSIdentifier.resource("sgr"), isEgress: false, ipProtocol: "tcp", fromPort: 22, toPort: 22)
            }
            var wanted = sourceGroupIDs.map { id in
                var rule = rule()
                rule.groupID = id
                return rule
            }
            if wanted.isEmpty {
                var everywhere = rule()
                everywhere.cidrIPv4 = "0.0.0.0/0"
                wanted = [everywhere]
            }
            try tables.authorize(group.id, wanted.filter { rule in !group.rules.contains { $0.isSame(as: rule) } })
            tables.setTags(tags, on: group.id)
            return group.id
        }
    }
}
