import AWSProtocol

/// A running instance as the cloud controllers of its cluster see it.
package struct RunningInstance: Sendable, Equatable {
    package var id: String
    package var privateDNSName: String
    package var instanceType: String
    package var zone: String
    package var privateAddress: String
    /// The first of its addresses; nil when it has none.
    package var ipv6Address: String?
}

/// What an instance was launched with and may learn of itself.
package struct LaunchedInstance: Sendable, Equatable {
    package var isSpot: Bool
    /// Decoded.
    package var userData: [UInt8]?
    package var tags: [String: String]
    package var metadataOptions: InstanceMetadataOptions
    package var interruption: SpotInterruption?
}

extension EC2Network {
    /// Nil when there is no such instance.
    package func launched(_ id: String) async -> LaunchedInstance? {
        await state.read { tables in
            tables.instances[id].map { instance in
                LaunchedInstance(
                    isSpot: instance.isSpot ?? false, userData: instance.userData.flatMap { Base64URL.decodeStandard($0) }, tags: tables.tags(of: id),
                    metadataOptions: instance.metadataOptions ?? InstanceMetadataOptions(),
                    interruption: instance.interruption)
            }
        }
    }

    /// The primary addresses of those of the interfaces that exist, in the given order.
    package func primaryAddresses(ofInterfaces ids: [String]) async -> [String] {
        await state.read { tables in ids.compactMap { tables.interfaces[$0]?.primaryAddress } }
    }

    /// The IPv6 addresses, one each, of those of the interfaces that have any, in the given order.
    package func ipv6Addresses(ofInterfaces ids: [String]) async -> [String] {
        await state.read { tables in ids.compactMap { tables.interfaces[$0]?.ipv6Addresses?.first } }
    }

    /// The primary addresses of the interfaces whose owner's token begins with `prefix`.
    package func primaryAddresses(ownerTokenPrefix prefix: String) async -> [String] {
        await state.read { tables in tables.interfaces.values.filter { $0.ownerToken?.hasPrefix(prefix) ?? false }.map(\.primaryAddress) }
    }

    /// Whether a subnet's route table leads to an internet gateway.
    package func isPublic(subnetID id: String) async -> Bool {
        await state.read { tables in tables.routes(ofSubnet: id).contains { $0.gatewayID?.hasPrefix("igw-") ?? false } }
    }

    /// The addresses of the instances with a tag, each with the one by which the internet sees it: that of the NAT gateway to which its subnet's
    /// default route leads, else its own.
    package func egressAddresses(tagged key: String, value: String) async -> [String: String] {
        await state.read { tables in
            var egress: [String: String] = [:]
            for instance in tables.instances.values where instance.state != "terminated" && tables.tags(of: instance.id)[key] == value {
                let gateway = tables.routes(ofSubnet: instance.subnetID).first { $0.destination == "0.0.0.0/0" }?.natGatewayID
                egress[instance.privateAddress] = gateway.flatMap { tables.natGateways[$0]?.publicAddress } ?? instance.privateAddress
            }
            return egress
        }
    }

    /// The instance of a node that is not terminated: nodes are called by its private DNS name, those of EKS Auto Mode by its id.
    package func instance(ofNode name: String) async -> RunningInstance? {
        await state.read { tables in
            let found = tables.instances[name] ?? tables.instances.values.first { $0.privateDNSName == name && $0.state != "terminated" }
            guard let instance = found, instance.state != "terminated" else { return nil }
            return RunningInstance(
                id: instance.id, privateDNSName: instance.privateDNSName, instanceType: instance.instanceType,
                zone: tables.subnets[instance.subnetID]?.zone ?? "", privateAddress: instance.privateAddress,
                ipv6Address: instance.interfaceIDs.compactMap { tables.interfaces[$0]?.ipv6Addresses?.first }.first)
        }
    }

    /// Whether an instance of this id exists and is not terminated.
    package func instanceExists(_ id: String) async -> Bool {
        await state.read { tables in tables.instances[id].map { $0.state != "terminated" } ?? false }
    }
}

/// Selects resources: by id, or by name and all of some tags. A tag's value `*` stands for any. Upstream: eks.amazonaws.com/v1 SubnetSelectorTerm,
/// SecurityGroupSelectorTerm.
package struct ResourceTerm: Sendable, Equatable {
    package var id: String?
    package var name: String?
    package var tags: [String: String]

    package init(id: String?, name: String?, tags: [String: String]) {
        self.id = id
        self.name = name
        self.tags = tags
    }

    func matches(id: String, name: String, tags: [String: String]) -> Bool {
        if let wanted = self.id { return wanted == id }
        guard self.name != nil || !self.tags.isEmpty, self.name.map({ $0 == name }) ?? true else { return false }
        return self.tags.allSatisfy { key, value in tags[key].map { value == "*" || value == $0 } ?? false }
    }
}

extension EC2Network {
    /// The subnets of a VPC that any of the terms selects, by id.
    package func subnets(in vpcID: String, matching terms: [ResourceTerm]) async -> [SubnetFacts] {
        let ids = await state.read { tables in
            tables.subnets.values.filter { subnet in
                subnet.vpcID == vpcID && terms.contains { $0.matches(id: subnet.id, name: "", tags: tables.tags(of: subnet.id)) }
            }.map(\.id).sorted()
        }
        return await subnets(ids)
    }

    /// The security groups of a VPC that any of the terms selects, by id.
    package func securityGroups(in vpcID: String, matching terms: [ResourceTerm]) async -> [(id: String, name: String)] {
        await state.read { tables in
            tables.securityGroups.values.filter { group in
                group.vpcID == vpcID && terms.contains { $0.matches(id: group.id, name: group.name, tags: tables.tags(of: group.id)) }
            }.map { (id: $0.id, name: $0.name) }.sorted { $0.id < $1.id }
        }
    }
}

extension EC2Tables {
    /// Those of the subnet's own route table, else of its VPC's main one.
    fileprivate func routes(ofSubnet id: String) -> [RouteRecord] {
        guard let subnet = subnets[id] else { return [] }
        let own = routeTables.values.first { $0.associations.contains { $0.subnetID == id } }
        return (own ?? routeTables.values.first { $0.vpcID == subnet.vpcID && $0.isMain })?.routes ?? []
    }
}
