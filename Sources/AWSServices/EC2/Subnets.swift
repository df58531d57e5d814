import AWSProtocol

extension EC2Tables {
    /// A subnet. Throws InvalidSubnet.Range, InvalidSubnet.Conflict and the like.
    mutating func createSubnet(vpcID: String, cidr: String, zone: (name: String, id: String)) throws(AWSError) -> SubnetRecord {
        let vpc = try vpc(vpcID)
        guard let block = IPv4Block(cidr) else {
            throw EC2Fault.invalidValue("Value (\(cidr.prefix(64))) for parameter cidrBlock is invalid. This is not a valid CIDR block.")
        }
        guard (16...28).contains(block.prefixLength), let outer = IPv4Block(vpc.cidr), outer.contains(block) else {
            throw AWSError("InvalidSubnet.Range", "The CIDR '\(cidr)' is invalid.")
        }
        let conflict = subnets.values.contains { $0.vpcID == vpcID && IPv4Block($0.cidr)?.overlaps(block) ?? false }
        guard !conflict else { throw AWSError("InvalidSubnet.Conflict", "The CIDR '\(cidr)' conflicts with another subnet") }
        let subnet = SubnetRecord(id: AWSIdentifier.resource("subnet"), vpcID: vpcID, cidr: block.description, zone: zone.name, zoneID: zone.id)
        subnets[subnet.id] = subnet
        return subnet
    }

    /// Removes a subnet without network interfaces. Throws DependencyViolation.
    mutating func deleteSubnet(_ id: String) throws(AWSError) {
        _ = try subnet(id)
        guard !interfaces.values.contains(where: { $0.subnetID == id }) else {
            throw EC2Fault.dependency("The subnet '\(id)' has dependencies and cannot be deleted.")
        }
        for var table in routeTables.values where table.associations.contains(where: { $0.subnetID == id }) {
            table.associations.removeAll { $0.subnetID == id }
            routeTables[table.id] = table
        }
        aclAssociations[id] = nil
        subnets[id] = nil
        tags[id] = nil
    }
}

extension XMLWriter {
    mutating func subnet(_ subnet: SubnetRecord, _ tables: EC2Tables, _ network: EC2Network) {
        leaf("subnetId", subnet.id)
        leaf("subnetArn", network.arn("subnet/\(subnet.id)"))
        leaf("state", "available")
        leaf("ownerId", network.account)
        leaf("vpcId", subnet.vpcID)
        leaf("cidrBlock", subnet.cidr)
        list("ipv6CidrBlockAssociationSet", of: [subnet.ipv6Range].compactMap { $0 }) { $0.subnetIPv6Range($1) }
        leaf("availableIpAddressCount", tables.freeAddresses(subnet))
        leaf("availabilityZone", subnet.zone)
        leaf("availabilityZoneId", subnet.zoneID)
        leaf("defaultForAz", subnet.isDefault)
        leaf("mapPublicIpOnLaunch", subnet.mapPublicIPOnLaunch)
        leaf("mapCustomerOwnedIpOnLaunch", false)
        leaf("assignIpv6AddressOnCreation", subnet.assignsIPv6OnCreation ?? false)
        leaf("ipv6Native", false)
        leaf("enableDns64", subnet.enableDNS64 ?? false)
        element("privateDnsNameOptionsOnLaunch") { xml in
            xml.leaf("hostnameType", subnet.privateDNSHostnameType)
            xml.leaf("enableResourceNameDnsARecord", subnet.enableResourceNameDNSARecord ?? false)
            xml.leaf("enableResourceNameDnsAAAARecord", subnet.enableResourceNameDNSAAAARecord ?? false)
        }
        ec2Tags(tables.tags(of: subnet.id))
    }
}

extension EC2Call {
    /// The zone asked for by name or id, or the first. Throws InvalidParameterValue.
    fileprivate func zone() throws(AWSError) -> (name: String, id: String) {
        let zones = network.zones.zones
        guard let wanted = parameters["AvailabilityZone"] ?? parameters["AvailabilityZoneId"], !wanted.isEmpty else {
            guard let first = zones.first else { throw EC2Fault.invalidValue("The region has no availability zones.") }
            return first
        }
        guard let zone = zones.first(where: { $0.name == wanted || $0.id == wanted }) else {
            throw EC2Fault.invalidValue(
                "Value (\(wanted.prefix(64))) for parameter availabilityZone is invalid. Subnets can currently only be created in "
                    + "the following availability zones: \(zones.map(\.name).joined(separator: ", "))."
            )
        }
        return zone
    }
}

extension EC2Service {
    static let subnetOperations: [String: EC2Operation] = [
        "CreateSubnet": EC2Operation("subnet/*") { call in
            let (vpcID, cidr, zone, tags) = (
                try call.required("VpcId"), try call.required("CidrBlock"), try call.zone(), try call.tags(for: "subnet")
            )
            let range = call.parameters["Ipv6CidrBlock"]
            try call.refuseIPv6Pools()
            if call.parameters["Ipv6Native"] == "true" {
                throw AWSError("UnsupportedOperation", "Subnets without IPv4 addresses are not implemented by Eyrie.")
            }
            let (subnet, tables) = try await call.update { tables in
                let subnet = try tables.createSubnet(vpcID: vpcID, cidr: cidr, zone: zone)
                tables.setTags(tags, on: subnet.id)
                if let range { _ = try tables.addIPv6Range(range, toSubnet: subnet.id) }
                return (try tables.subnet(subnet.id), tables)
            }
            return { $0.element("subnet") { $0.subnet(subnet, tables, call.network) } }
        },
        "DescribeSubnets": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let network = call.network
            let found = try call.describe(
                tables.subnets.rows, ids: call.parameters.strings("SubnetId"), tags: tables.tags.rows,
                missing: { AWSError("InvalidSubnetID.NotFound", "The subnet ID '\($0)' does not exist") }
            ) { subnet, filter in
                switch filter {
                case "subnet-id": [subnet.id]
                case "vpc-id": [subnet.vpcID]
                case "cidr", "cidr-block", "cidrBlock": [subnet.cidr]
                case "availability-zone", "availabilityZone": [subnet.zone]
                case "availability-zone-id", "availabilityZoneId": [subnet.zoneID]
                case "default-for-az", "defaultForAz": ["\(subnet.isDefault)"]
                case "ipv6-cidr-block-association.ipv6-cidr-block": [subnet.ipv6Range?.cidr].compactMap { $0 }
                case "ipv6-cidr-block-association.association-id": [subnet.ipv6Range?.associationID].compactMap { $0 }
                case "ipv6-cidr-block-association.state": subnet.ipv6Range == nil ? [] : ["associated"]
                case "ipv6-native": ["false"]
                case "map-public-ip-on-launch": ["\(subnet.mapPublicIPOnLaunch)"]
                case "available-ip-address-count": ["\(tables.freeAddresses(subnet))"]
                case "subnet-arn": [network.arn("subnet/\(subnet.id)")]
                case "owner-id": [network.account]
                case "state": ["available"]
                default: nil
                }
            }
            return { xml in
                xml.list("subnetSet", of: found.rows) { $0.subnet($1.row, tables, network) }
                found.finish(&xml)
            }
        },
        "DeleteSubnet": EC2Operation("subnet/{SubnetId}") { call in
            let id = try call.required("SubnetId")
            try await call.update { try $0.deleteSubnet(id) }
            return { $0.success() }
        },
        "ModifySubnetAttribute": EC2Operation("subnet/{SubnetId}") { call in
            let (id, publicAddresses) = (try call.required("SubnetId"), try call.attribute("MapPublicIpOnLaunch"))
            let hostnameType = call.parameters["PrivateDnsHostnameTypeOnLaunch"]
            let assignsIPv6 = try call.attribute("AssignIpv6AddressOnCreation")
            let dns64 = try call.attribute("EnableDns64")
            let recordA = try call.attribute("EnableResourceNameDnsARecordOnLaunch")
            let recordAAAA = try call.attribute("EnableResourceNameDnsAAAARecordOnLaunch")
            let unsupported = ["MapCustomerOwnedIpOnLaunch"].first { call.parameters.has($0) }
            if let unsupported { throw AWSError("UnsupportedOperation", "The attribute \(unsupported) is not implemented by Eyrie.") }
            if let hostnameType, hostnameType != "ip-name" {
                throw AWSError("UnsupportedOperation", "Only the hostname type ip-name is implemented by Eyrie.")
            }
            try await call.update { tables in
                var subnet = try tables.subnet(id)
                if let publicAddresses { subnet.mapPublicIPOnLaunch = publicAddresses }
                if let assignsIPv6 {
                    guard !assignsIPv6 || subnet.ipv6Range != nil else {
                        throw EC2Fault.invalidValue("Invalid value 'true' for assignIpv6AddressOnCreation. Subnet \(id) has no IPv6 CIDR block.")
                    }
                    subnet.assignsIPv6OnCreation = assignsIPv6
                }
                if let dns64 { subnet.enableDNS64 = dns64 }
                if let recordA { subnet.enableResourceNameDNSARecord = recordA }
                if let recordAAAA { subnet.enableResourceNameDNSAAAARecord = recordAAAA }
                tables.subnets[id] = subnet
            }
            return { $0.success() }
        },
    ]
}
