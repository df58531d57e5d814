/// What filtering the traffic of a VPC needs of its records: its security groups, and which network interfaces have them.
package struct SecurityFacts: Sendable, Equatable {
    /// A rule with its prefix list resolved.
    package struct Rule: Sendable, Equatable {
        package var isEgress: Bool
        /// `-1`, `tcp`, `udp`, `icmp`, or a number.
        package var ipProtocol: String
        /// A port, or ICMP's type; -1 and nil: all.
        package var fromPort: Int?
        /// A port, or ICMP's code; -1 and nil: all.
        package var toPort: Int?
        /// The other side's IPv4 addresses, none of which overlap.
        package var ranges: [IPv4Block]
        /// Or the other side's group.
        package var groupID: String?
    }

    /// A group; its rules of IPv6 are left out.
    package struct Group: Sendable, Equatable {
        package var id: String
        package var rules: [Rule]
    }

    /// A network interface.
    package struct Interface: Sendable, Equatable {
        package var id: String
        package var addresses: [IPv4Address]
        package var groupIDs: [String]
        /// Nil: it is no instance's.
        package var instanceID: String?
        /// Whether it is a load balancer's, which lets in by its own rules.
        package var isBalancer: Bool
    }

    package var vpcID: String
    package var groups: [Group]
    package var interfaces: [Interface]
}

extension EC2Network {
    /// Tells that something of `security(ofVPCs:)` may have changed.
    package func securityChanges() async -> AsyncStream<Void> {
        let tables = EC2Tables()
        return await state.changes(of: [tables.securityGroups.collection, tables.interfaces.collection, tables.prefixLists.collection])
    }

    /// The facts of those of the VPCs that exist, all of one moment, in order.
    package func security(ofVPCs ids: Set<String>) async -> [SecurityFacts] {
        let lists = awsPrefixLists
        return await state.read { tables in
            let groups = Dictionary(grouping: tables.securityGroups.values) { $0.vpcID }
            let interfaces = Dictionary(grouping: tables.interfaces.values) { $0.vpcID }
            let all = tables.prefixLists.rows.merging(lists) { first, _ in first }
            return ids.sorted().filter { tables.vpcs[$0] != nil }.map { id in
                SecurityFacts(
                    vpcID: id, groups: (groups[id] ?? []).map { SecurityFacts.Group($0, all) }.sorted { $0.id < $1.id },
                    interfaces: (interfaces[id] ?? []).map { SecurityFacts.Interface($0) }.sorted { $0.id < $1.id })
            }
        }
    }
}

extension SecurityFacts.Group {
    fileprivate init(_ record: SecurityGroupRecord, _ lists: [String: PrefixListRecord]) {
        self.init(
            id: record.id,
            rules: record.rules.filter { $0.cidrIPv6 == nil }.map { rule in
                let listed = rule.prefixListID.flatMap { lists[$0] }?.entries.compactMap { IPv4Block($0.cidr) } ?? []
                let own = rule.cidrIPv4.flatMap { IPv4Block($0) }.map { [$0] } ?? []
                return SecurityFacts.Rule(
                    isEgress: rule.isEgress, ipProtocol: rule.ipProtocol, fromPort: rule.fromPort, toPort: rule.toPort,
                    ranges: IPv4Block.outermost(own + listed), groupID: rule.groupID)
            })
    }
}

extension SecurityFacts.Interface {
    fileprivate init(_ record: NetworkInterfaceRecord) {
        // Upstream: the descriptions of Elastic Load Balancing's interfaces, `ELB net/…`, which only a service's can bear.
        let isBalancer = record.isRequesterManaged && record.description.hasPrefix("ELB ")
        self.init(
            id: record.id, addresses: record.addresses.compactMap { IPv4Address($0) }, groupIDs: record.groupIDs,
            instanceID: record.attachment?.instanceID, isBalancer: isBalancer)
    }
}
