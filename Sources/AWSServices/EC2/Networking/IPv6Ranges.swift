import AWSProtocol

extension IPv6RangeRecord {
    /// Where VPCs' ranges come from. Upstream: ec2 VpcIpv6CidrBlockAssociation.ipv6Pool.
    static let pool = "Amazon"
}

extension EC2Tables {
    /// Upstream: Amazon VPC quotas, "IPv6 CIDR blocks per VPC".
    private static let rangesPerVPC = 5
    /// Lengths of ranges. Upstream: VPC User Guide, "VPC CIDR blocks", "Subnet sizing for IPv6".
    private static let vpcLength = 56
    private static let subnetLengths: Set<Int> = [56, 60, 64]
    /// Tries to find a range that no VPC has: with 48 bits by chance the first is one.
    private static let attempts = 100

    /// Gives a VPC a /56 of its own, with its routes and the rules of its default group. It is unique-local (RFC 4193): this host's addresses are
    /// nobody's on the internet. Throws CidrLimitExceeded.
    mutating func addIPv6Range(toVPC id: String) throws(AWSError) -> IPv6RangeRecord {
        var vpc = try vpc(id)
        guard (vpc.ipv6Ranges ?? []).count < EC2Tables.rangesPerVPC, let block = freeIPv6Range() else {
            throw AWSError("CidrLimitExceeded", "This network '\(id)' has met its maximum number of allowed CIDRs: \(EC2Tables.rangesPerVPC)")
        }
        let range = IPv6RangeRecord(associationID: AWSIdentifier.resource("vpc-cidr-assoc"), cidr: block.description)
        let isFirst = vpc.ipv6Ranges?.isEmpty ?? true
        vpc.ipv6Ranges = (vpc.ipv6Ranges ?? []) + [range]
        vpcs[id] = vpc
        for var table in routeTables.values where table.vpcID == id {
            table.routes.append(RouteRecord(destination: range.cidr, gatewayID: "local", origin: "CreateRouteTable"))
            routeTables[table.id] = table
        }
        let everywhere = SecurityGroupRuleRecord(id: AWSIdentifier.resource("sgr"), isEgress: true, ipProtocol: "-1", cidrIPv6: "::/0")
        if isFirst, var group = securityGroups.values.first(where: { $0.vpcID == id && $0.name == "default" }),
            !group.rules.contains(where: { $0.isSame(as: everywhere) })
        {
            group.rules.append(everywhere)
            securityGroups[group.id] = group
        }
        return range
    }

    private func freeIPv6Range() -> IPv6Block? {
        guard let local = IPv6Block("fd00::/8") else { return nil }
        let taken = vpcs.values.flatMap { $0.ipv6Ranges ?? [] }.compactMap { IPv6Block($0.cidr) }
        return (0..<EC2Tables.attempts).lazy.map { _ in local.randomBlock(EC2Tables.vpcLength) }.first { block in
            !taken.contains { $0.overlaps(block) } && !EC2Network.reservedIPv6.contains { $0.overlaps(block) }
        }
    }

    /// Gives a subnet a range of its VPC's. Throws InvalidSubnet.Range, InvalidSubnet.Conflict.
    mutating func addIPv6Range(_ text: String, toSubnet id: String) throws(AWSError) -> IPv6RangeRecord {
        var subnet = try subnet(id)
        guard let block = IPv6Block(text) else {
            throw EC2Fault.invalidValue("Value (\(text.prefix(64))) for parameter ipv6CidrBlock is invalid. This is not a valid IPv6 CIDR block.")
        }
        let ranges = (try vpc(subnet.vpcID).ipv6Ranges ?? []).compactMap { IPv6Block($0.cidr) }
        guard EC2Tables.subnetLengths.contains(block.prefixLength), ranges.contains(where: { $0.contains(block) }) else {
            throw AWSError("InvalidSubnet.Range", "The CIDR '\(block)' is invalid.")
        }
        guard subnet.ipv6Range == nil else {
            throw AWSError("InvalidSubnet.Conflict", "The subnet '\(id)' has an IPv6 CIDR block already: \(subnet.ipv6Range?.cidr ?? "")")
        }
        let others = subnets.values.filter { $0.vpcID == subnet.vpcID }.compactMap { $0.ipv6Range.flatMap { IPv6Block($0.cidr) } }
        guard !others.contains(where: { $0.overlaps(block) }) else {
            throw AWSError("InvalidSubnet.Conflict", "The CIDR '\(block)' conflicts with another subnet")
        }
        let range = IPv6RangeRecord(associationID: AWSIdentifier.resource("subnet-cidr-assoc"), cidr: block.description)
        subnet.ipv6Range = range
        subnets[id] = subnet
        return range
    }

    /// Takes a range from a VPC that no subnet has a part of. Throws InvalidVpcCidrBlockAssociationID.NotFound, DependencyViolation.
    mutating func removeVPCRange(_ associationID: String) throws(AWSError) -> (vpcID: String, range: IPv6RangeRecord) {
        guard var vpc = vpcs.values.first(where: { $0.ipv6Ranges?.contains { $0.associationID == associationID } ?? false }),
            let range = vpc.ipv6Ranges?.first(where: { $0.associationID == associationID })
        else {
            throw AWSError(
                "InvalidVpcCidrBlockAssociationID.NotFound", "The vpc CIDR block association ID '\(associationID.prefix(64))' does not exist")
        }
        let block = IPv6Block(range.cidr)
        let isUsed = subnets.values.contains { subnet in
            guard subnet.vpcID == vpc.id, let block, let own = subnet.ipv6Range.flatMap({ IPv6Block($0.cidr) }) else { return false }
            return block.contains(own)
        }
        guard !isUsed else { throw EC2Fault.dependency("The CIDR block '\(range.cidr)' has dependencies and cannot be disassociated.") }
        vpc.ipv6Ranges?.removeAll { $0.associationID == associationID }
        vpcs[vpc.id] = vpc
        for var table in routeTables.values where table.vpcID == vpc.id {
            table.routes.removeAll { $0.destination == range.cidr && $0.gatewayID == "local" }
            routeTables[table.id] = table
        }
        return (vpc.id, range)
    }

    /// Takes its range from a subnet whose interfaces have no address of it. Throws InvalidSubnetCidrBlockAssociationID.NotFound, DependencyViolation.
    mutating func removeSubnetRange(_ associationID: String) throws(AWSError) -> (subnetID: String, range: IPv6RangeRecord) {
        guard var subnet = subnets.values.first(where: { $0.ipv6Range?.associationID == associationID }), let range = subnet.ipv6Range else {
            throw AWSError(
                "InvalidSubnetCidrBlockAssociationID.NotFound",
                "The subnet CIDR block association ID '\(associationID.prefix(64))' does not exist")
        }
        let isUsed = interfaces.values.contains { interface in
            interface.subnetID == subnet.id && !((interface.ipv6Addresses ?? []) + (interface.ipv6Prefixes ?? [])).isEmpty
        }
        guard !isUsed else { throw EC2Fault.dependency("The CIDR block '\(range.cidr)' has dependencies and cannot be disassociated.") }
        subnet.ipv6Range = nil
        subnet.assignsIPv6OnCreation = nil
        subnets[subnet.id] = subnet
        return (subnet.id, range)
    }
}

extension EC2Network {
    /// Unique-local addresses with a meaning on instances: instance metadata, time, the VPC's resolver, the Pod Identity agent.
    static let reservedIPv6 = [IPv6Block("fd00:ec2::/32")].compactMap { $0 }
}

extension EC2Call {
    /// Whether the call asks for a range of Amazon's. Throws for ranges of other origins.
    func wantsAmazonIPv6() throws(AWSError) -> Bool {
        try refuseIPv6Pools()
        if parameters["Ipv6CidrBlock"] != nil {
            throw AWSError("UnsupportedOperation", "IPv6 ranges of one's own are not implemented by Eyrie: use AmazonProvidedIpv6CidrBlock.")
        }
        return parameters["AmazonProvidedIpv6CidrBlock"] == "true"
    }

    /// Throws UnsupportedOperation.
    func refuseIPv6Pools() throws(AWSError) {
        for name in ["Ipv6Pool", "Ipv6IpamPoolId", "Ipv4IpamPoolId"] where parameters.has(name) {
            throw AWSError("UnsupportedOperation", "Address pools (\(name)) are not implemented by Eyrie.")
        }
    }
}

extension XMLWriter {
    mutating func vpcIPv6Range(_ range: IPv6RangeRecord, _ network: EC2Network, state: String = "associated") {
        leaf("associationId", range.associationID)
        leaf("ipv6CidrBlock", range.cidr)
        element("ipv6CidrBlockState") { $0.leaf("state", state) }
        leaf("networkBorderGroup", network.region)
        leaf("ipv6Pool", IPv6RangeRecord.pool)
        leaf("ipv6AddressAttribute", "private")
        leaf("ipSource", "amazon")
    }

    mutating func subnetIPv6Range(_ range: IPv6RangeRecord, state: String = "associated") {
        leaf("associationId", range.associationID)
        leaf("ipv6CidrBlock", range.cidr)
        element("ipv6CidrBlockState") { $0.leaf("state", state) }
        leaf("ipv6AddressAttribute", "private")
        leaf("ipSource", "amazon")
    }
}

extension EC2Service {
    static let ipv6RangeOperations: [String: EC2Operation] = [
        "AssociateVpcCidrBlock": EC2Operation("vpc/{VpcId}") { call in
            let id = try call.required("VpcId")
            guard try call.wantsAmazonIPv6() else {
                guard call.parameters.has("CidrBlock") else { throw EC2Fault.missingParameter("amazonProvidedIpv6CidrBlock") }
                throw AWSError("UnsupportedOperation", "Further IPv4 ranges of a VPC are not implemented by Eyrie.")
            }
            let range = try await call.update { try $0.addIPv6Range(toVPC: id) }
            return { xml in
                xml.leaf("vpcId", id)
                xml.element("ipv6CidrBlockAssociation") { $0.vpcIPv6Range(range, call.network) }
            }
        },
        "DisassociateVpcCidrBlock": EC2Operation("*") { call in
            let id = try call.required("AssociationId")
            let (vpcID, range) = try await call.update { try $0.removeVPCRange(id) }
            return { xml in
                xml.leaf("vpcId", vpcID)
                xml.element("ipv6CidrBlockAssociation") { $0.vpcIPv6Range(range, call.network, state: "disassociated") }
            }
        },
        "AssociateSubnetCidrBlock": EC2Operation("subnet/{SubnetId}") { call in
            let (id, text) = (try call.required("SubnetId"), try call.required("Ipv6CidrBlock"))
            try call.refuseIPv6Pools()
            let range = try await call.update { try $0.addIPv6Range(text, toSubnet: id) }
            return { xml in
                xml.leaf("subnetId", id)
                xml.element("ipv6CidrBlockAssociation") { $0.subnetIPv6Range(range) }
            }
        },
        "DisassociateSubnetCidrBlock": EC2Operation("*") { call in
            let id = try call.required("AssociationId")
            let (subnetID, range) = try await call.update { try $0.removeSubnetRange(id) }
            return { xml in
                xml.leaf("subnetId", subnetID)
                xml.element("ipv6CidrBlockAssociation") { $0.subnetIPv6Range(range, state: "disassociated") }
            }
        },
    ]
}
