import AWSProtocol

extension EC2Tables {
    /// A VPC with its main route table and default security group. Throws InvalidVpc.Range and the like.
    mutating func createVPC(cidr: String) throws(AWSError) -> VPCRecord {
        guard let block = IPv4Block(cidr) else {
            throw EC2Fault.invalidValue("Value (\(cidr.prefix(64))) for parameter cidrBlock is invalid. This is not a valid CIDR block.")
        }
        guard (16...28).contains(block.prefixLength) else { throw AWSError("InvalidVpc.Range", "The CIDR '\(cidr)' is invalid.") }
        let vpc = VPCRecord(id: AWSIdentifier.resource("vpc"), cidr: block.description)
        vpcs[vpc.id] = vpc
        let table = RouteTableRecord(
            id: AWSIdentifier.resource("rtb"), vpcID: vpc.id,
            routes: [RouteRecord(destination: vpc.cidr, gatewayID: "local", origin: "CreateRouteTable")],
            associations: [RouteTableRecord.Association(id: AWSIdentifier.resource("rtbassoc"), subnetID: nil)])
        routeTables[table.id] = table
        var group = SecurityGroupRecord(id: AWSIdentifier.resource("sg"), name: "default", description: "default VPC security group", vpcID: vpc.id)
        group.rules = [
            SecurityGroupRuleRecord(id: AWSIdentifier.resource("sgr"), isEgress: false, ipProtocol: "-1", groupID: group.id),
            SecurityGroupRuleRecord(id: AWSIdentifier.resource("sgr"), isEgress: true, ipProtocol: "-1", cidrIPv4: "0.0.0.0/0"),
        ]
        securityGroups[group.id] = group
        let list = NetworkACLRecord.standard(of: vpc.id)
        networkACLs[list.id] = list
        return vpc
    }

    /// Removes a VPC that nothing depends on, with its main route table and default group. Throws DependencyViolation.
    mutating func deleteVPC(_ id: String) throws(AWSError) {
        _ = try vpc(id)
        let isUsed =
            subnets.values.contains { $0.vpcID == id } || internetGateways.values.contains { $0.vpcID == id }
            || routeTables.values.contains { $0.vpcID == id && !$0.isMain }
            || securityGroups.values.contains { $0.vpcID == id && $0.name != "default" }
            || interfaces.values.contains { $0.vpcID == id } || egressOnlyGateways.values.contains { $0.vpcID == id }
            || endpoints.values.contains { $0.vpcID == id } || networkACLs.values.contains { $0.vpcID == id && !$0.isDefault }
        guard !isUsed else { throw EC2Fault.dependency("The vpc '\(id)' has dependencies and cannot be deleted.") }
        for table in routeTables.values where table.vpcID == id { routeTables[table.id] = nil }
        for group in securityGroups.values where group.vpcID == id {
            securityGroups[group.id] = nil
            tags[group.id] = nil
        }
        for list in networkACLs.values where list.vpcID == id {
            networkACLs[list.id] = nil
            tags[list.id] = nil
        }
        vpcs[id] = nil
        tags[id] = nil
    }
}

extension XMLWriter {
    mutating func vpc(_ vpc: VPCRecord, _ tags: [String: String], _ network: EC2Network) {
        leaf("vpcId", vpc.id)
        leaf("ownerId", network.account)
        leaf("state", "available")
        leaf("cidrBlock", vpc.cidr)
        element("cidrBlockAssociationSet") {
            $0.element("item") { xml in
                xml.leaf("cidrBlock", vpc.cidr)
                // Derived from the VPC's own id: there is one association for its life.
                xml.leaf("associationId", "vpc-cidr-assoc-" + vpc.id.dropFirst(4))
                xml.element("cidrBlockState") { $0.leaf("state", "associated") }
            }
        }
        list("ipv6CidrBlockAssociationSet", of: vpc.ipv6Ranges ?? []) { $0.vpcIPv6Range($1, network) }
        leaf("dhcpOptionsId", vpc.dhcpOptionsID ?? network.standardDHCPOptions.id)
        leaf("instanceTenancy", vpc.instanceTenancy)
        leaf("isDefault", vpc.isDefault)
        ec2Tags(tags)
    }
}

extension EC2Service {
    static let vpcOperations: [String: EC2Operation] = [
        "CreateVpc": EC2Operation("vpc/*") { call in
            let (cidr, tags, wantsIPv6) = (try call.required("CidrBlock"), try call.tags(for: "vpc"), try call.wantsAmazonIPv6())
            let vpc = try await call.update { tables in
                let vpc = try tables.createVPC(cidr: cidr)
                tables.setTags(tags, on: vpc.id)
                if wantsIPv6 { _ = try tables.addIPv6Range(toVPC: vpc.id) }
                return try tables.vpc(vpc.id)
            }
            return { $0.element("vpc") { $0.vpc(vpc, tags, call.network) } }
        },
        "DescribeVpcs": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let account = call.network.account
            let found = try call.describe(
                tables.vpcs.rows, ids: call.parameters.strings("VpcId"), tags: tables.tags.rows,
                missing: { EC2Fault.missing("InvalidVpcID.NotFound", "vpc", $0) }
            ) { vpc, filter in
                switch filter {
                case "vpc-id": [vpc.id]
                case "cidr", "cidr-block-association.cidr-block": [vpc.cidr]
                case "ipv6-cidr-block-association.ipv6-cidr-block": (vpc.ipv6Ranges ?? []).map(\.cidr)
                case "ipv6-cidr-block-association.association-id": (vpc.ipv6Ranges ?? []).map(\.associationID)
                case "ipv6-cidr-block-association.ipv6-pool": (vpc.ipv6Ranges ?? []).map { _ in IPv6RangeRecord.pool }
                case "ipv6-cidr-block-association.state": (vpc.ipv6Ranges ?? []).map { _ in "associated" }
                case "is-default", "isDefault": ["\(vpc.isDefault)"]
                case "state": ["available"]
                case "owner-id": [account]
                case "dhcp-options-id": [vpc.dhcpOptionsID ?? call.network.standardDHCPOptions.id]
                default: nil
                }
            }
            return { xml in
                xml.list("vpcSet", of: found.rows) { $0.vpc($1.row, tables.tags(of: $1.id), call.network) }
                found.finish(&xml)
            }
        },
        "DeleteVpc": EC2Operation("vpc/{VpcId}") { call in
            let id = try call.required("VpcId")
            try await call.update { try $0.deleteVPC(id) }
            return { $0.success() }
        },
        "ModifyVpcAttribute": EC2Operation("vpc/{VpcId}") { call in
            let (id, support, hostnames) = (
                try call.required("VpcId"), try call.attribute("EnableDnsSupport"), try call.attribute("EnableDnsHostnames")
            )
            let metrics = try call.attribute("EnableNetworkAddressUsageMetrics")
            guard [support, hostnames, metrics].count(where: { $0 != nil }) == 1 else {
                throw AWSError(
                    "InvalidParameterCombination",
                    "Exactly one of the attributes enableDnsSupport, enableDnsHostnames and enableNetworkAddressUsageMetrics must be given.")
            }
            try await call.update { tables in
                var vpc = try tables.vpc(id)
                if let support { vpc.enableDNSSupport = support }
                if let hostnames { vpc.enableDNSHostnames = hostnames }
                if let metrics { vpc.enableNetworkAddressUsageMetrics = metrics }
                tables.vpcs[id] = vpc
            }
            return { $0.success() }
        },
        "DescribeVpcAttribute": EC2Operation("*") { call in
            let (id, attribute) = (try call.required("VpcId"), try call.required("Attribute"))
            let vpc = try await call.read { try $0.vpc(id) }
            let value: Bool
            switch attribute {
            case "enableDnsSupport": value = vpc.enableDNSSupport
            case "enableDnsHostnames": value = vpc.enableDNSHostnames
            case "enableNetworkAddressUsageMetrics": value = vpc.enableNetworkAddressUsageMetrics ?? false
            default: throw EC2Fault.invalidValue("Value (\(attribute.prefix(64))) for parameter attribute is invalid. Unknown attribute.")
            }
            return { xml in
                xml.leaf("vpcId", id)
                xml.element(attribute) { $0.leaf("value", value) }
            }
        },
    ]
}
