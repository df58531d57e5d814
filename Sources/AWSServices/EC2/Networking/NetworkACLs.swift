import AWSProtocol

extension NetworkACLRecord {
    /// A VPC's own list: it lets all through. Its id is derived from the VPC's, as it lives as long.
    static func standard(of vpcID: String) -> NetworkACLRecord {
        let entries = [false, true].flatMap { isEgress in
            [
                Entry(number: 100, isEgress: isEgress, ipProtocol: "-1", action: "allow", cidr: "0.0.0.0/0"),
                Entry(number: last, isEgress: isEgress, ipProtocol: "-1", action: "deny", cidr: "0.0.0.0/0"),
            ]
        }
        return NetworkACLRecord(id: "acl-" + vpcID.dropFirst(4), vpcID: vpcID, isDefault: true, entries: entries)
    }
}

extension EC2Tables {
    func networkACL(_ id: String) throws(AWSError) -> NetworkACLRecord {
        guard let found = networkACLs[id] else { throw EC2Fault.missing("InvalidNetworkAclID.NotFound", "networkAcl", id) }
        return found
    }

    /// The association of a subnet: its own, or the one with the VPC's list.
    fileprivate func aclAssociation(of subnet: SubnetRecord) -> NetworkACLAssociationRecord {
        aclAssociations[subnet.id]
            ?? NetworkACLAssociationRecord(id: "aclassoc-" + subnet.id.dropFirst(7), aclID: "acl-" + subnet.vpcID.dropFirst(4))
    }

    /// Throws InvalidAssociationID.NotFound.
    fileprivate mutating func replaceACL(_ association: String, _ aclID: String) throws(AWSError) -> String {
        guard let subnet = subnets.values.first(where: { aclAssociation(of: $0).id == association }) else {
            throw EC2Fault.missing("InvalidAssociationID.NotFound", "association", association)
        }
        guard try networkACL(aclID).vpcID == subnet.vpcID else {
            throw EC2Fault.invalidValue("networkAcl \(aclID) and subnet \(subnet.id) belong to different networks")
        }
        let record = NetworkACLAssociationRecord(id: AWSIdentifier.resource("aclassoc"), aclID: aclID)
        aclAssociations[subnet.id] = record
        return record.id
    }

    fileprivate mutating func deleteACL(_ id: String) throws(AWSError) {
        guard try !networkACL(id).isDefault else { throw EC2Fault.invalidValue("cannot delete default network ACL \(id)") }
        guard !aclAssociations.values.contains(where: { $0.aclID == id }) else {
            throw EC2Fault.dependency("The networkAcl '\(id)' has dependencies and cannot be deleted.")
        }
        networkACLs[id] = nil
        tags[id] = nil
    }

    fileprivate mutating func putEntry(_ id: String, _ entry: NetworkACLRecord.Entry, isReplacing: Bool) throws(AWSError) {
        var list = try networkACL(id)
        let index = list.entries.firstIndex { $0.number == entry.number && $0.isEgress == entry.isEgress }
        switch (index, isReplacing) {
        case (nil, true):
            throw AWSError("InvalidNetworkAclEntry.NotFound", "The network acl entry identified by \(entry.number) does not exist.")
        case (.some, false):
            throw AWSError("NetworkAclEntryAlreadyExists", "The network acl entry identified by \(entry.number) already exists.")
        case (let index?, true): list.entries[index] = entry
        case (nil, false):
            guard list.entries.count(where: { $0.isEgress == entry.isEgress }) <= 20 else {
                throw AWSError("NetworkAclEntryLimitExceeded", "The maximum number of network acl entries has been reached.")
            }
            list.entries.append(entry)
        }
        networkACLs[id] = list
    }
}

extension EC2Call {
    fileprivate func entryKey() throws(AWSError) -> (number: Int, isEgress: Bool) {
        guard let number = try integer("RuleNumber", in: 1...32_766) else { throw EC2Fault.missingParameter("ruleNumber") }
        return (number, parameters["Egress"] == "true")
    }

    fileprivate func entry() throws(AWSError) -> NetworkACLRecord.Entry {
        let key = try entryKey()
        let (action, given) = (try required("RuleAction"), try required("Protocol"))
        guard action == "allow" || action == "deny" else {
            throw EC2Fault.invalidValue("Value (\(action.prefix(20))) for parameter ruleAction is invalid.")
        }
        let names = ["all": "-1", "tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58"]
        let ipProtocol = names[given.lowercased()] ?? given
        guard ipProtocol == "-1" || UInt8(ipProtocol) != nil else {
            throw EC2Fault.invalidValue("Value (\(given.prefix(20))) for parameter protocol is invalid.")
        }
        var entry = NetworkACLRecord.Entry(number: key.number, isEgress: key.isEgress, ipProtocol: ipProtocol, action: action)
        entry.cidr = parameters["CidrBlock"]
        entry.ipv6CIDR = parameters["Ipv6CidrBlock"]
        if let cidr = entry.cidr {
            guard let block = IPv4Block(cidr) else { throw EC2Fault.invalidValue("CIDR block \(cidr.prefix(64)) is malformed") }
            entry.cidr = block.description
        }
        guard (entry.cidr == nil) != (entry.ipv6CIDR == nil) else { throw EC2Fault.missingParameter("cidrBlock") }
        let (ports, icmp) = (parameters.structure("PortRange"), parameters.structure("Icmp"))
        entry.fromPort = ports["From"].flatMap { Int($0) }
        entry.toPort = ports["To"].flatMap { Int($0) }
        if ipProtocol == "6" || ipProtocol == "17" {
            guard let from = entry.fromPort, let to = entry.toPort, (0...65_535).contains(from), (0...65_535).contains(to), from <= to else {
                throw EC2Fault.invalidValue("Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
            }
        }
        entry.icmpType = icmp["Type"].flatMap { Int($0) }
        entry.icmpCode = icmp["Code"].flatMap { Int($0) }
        return entry
    }
}

extension XMLWriter {
    fileprivate mutating func networkACL(_ list: NetworkACLRecord, _ tables: EC2Tables, account: String) {
        leaf("networkAclId", list.id)
        leaf("vpcId", list.vpcID)
        leaf("default", list.isDefault)
        leaf("ownerId", account)
        self.list("entrySet", of: list.entries.sorted { $0.number < $1.number }) { xml, entry in
            xml.leaf("ruleNumber", entry.number)
            xml.leaf("protocol", entry.ipProtocol)
            xml.leaf("ruleAction", entry.action)
            xml.leaf("egress", entry.isEgress)
            xml.leaf("cidrBlock", entry.cidr)
            xml.leaf("ipv6CidrBlock", entry.ipv6CIDR)
            if let type = entry.icmpType {
                xml.element("icmpTypeCode") { xml in
                    xml.leaf("type", type)
                    xml.leaf("code", entry.icmpCode ?? -1)
                }
            }
            if let from = entry.fromPort, let to = entry.toPort {
                xml.element("portRange") { xml in
                    xml.leaf("from", from)
                    xml.leaf("to", to)
                }
            }
        }
        self.list("associationSet", of: tables.subnetsOfACL(list)) { xml, association in
            xml.leaf("networkAclAssociationId", association.id)
            xml.leaf("networkAclId", list.id)
            xml.leaf("subnetId", association.subnetID)
        }
        ec2Tags(tables.tags(of: list.id))
    }
}

extension EC2Tables {
    fileprivate func subnetsOfACL(_ list: NetworkACLRecord) -> [(id: String, subnetID: String)] {
        subnets.values.filter { $0.vpcID == list.vpcID && aclAssociation(of: $0).aclID == list.id }.sorted { $0.id < $1.id }
            .map { (aclAssociation(of: $0).id, $0.id) }
    }

    /// The lists, those of VPCs made before there were lists among them.
    fileprivate var allACLs: [String: NetworkACLRecord] {
        var all = networkACLs.rows
        for vpc in vpcs.values {
            let standard = NetworkACLRecord.standard(of: vpc.id)
            if all[standard.id] == nil { all[standard.id] = standard }
        }
        return all
    }
}

extension EC2Service {
    private static let one = "network-acl/{NetworkAclId}"

    static let networkACLOperations: [String: EC2Operation] = [
        "CreateNetworkAcl": EC2Operation("network-acl/*") { call in
            let (vpcID, tags) = (try call.required("VpcId"), try call.tags(for: "network-acl"))
            let entries = [false, true].map {
                NetworkACLRecord.Entry(number: NetworkACLRecord.last, isEgress: $0, ipProtocol: "-1", action: "deny", cidr: "0.0.0.0/0")
            }
            let list = NetworkACLRecord(id: AWSIdentifier.resource("acl"), vpcID: vpcID, isDefault: false, entries: entries)
            let tables = try await call.update { tables in
                _ = try tables.vpc(vpcID)
                tables.networkACLs[list.id] = list
                tables.setTags(tags, on: list.id)
                return tables
            }
            return { $0.element("networkAcl") { $0.networkACL(list, tables, account: call.network.account) } }
        },
        "DeleteNetworkAcl": EC2Operation(one) { call in
            let id = try call.required("NetworkAclId")
            try await call.update { try $0.deleteACL(id) }
            return { $0.success() }
        },
        "CreateNetworkAclEntry": EC2Operation(one) { call in
            let (id, entry) = (try call.required("NetworkAclId"), try call.entry())
            try await call.update { try $0.putEntry(id, entry, isReplacing: false) }
            return { $0.success() }
        },
        "ReplaceNetworkAclEntry": EC2Operation(one) { call in
            let (id, entry) = (try call.required("NetworkAclId"), try call.entry())
            try await call.update { try $0.putEntry(id, entry, isReplacing: true) }
            return { $0.success() }
        },
        "DeleteNetworkAclEntry": EC2Operation(one) { call in
            let (id, key) = (try call.required("NetworkAclId"), try call.entryKey())
            try await call.update { tables in
                var list = try tables.networkACL(id)
                guard let index = list.entries.firstIndex(where: { $0.number == key.number && $0.isEgress == key.isEgress }) else {
                    throw AWSError("InvalidNetworkAclEntry.NotFound", "The network acl entry identified by \(key.number) does not exist.")
                }
                list.entries.remove(at: index)
                tables.networkACLs[id] = list
            }
            return { $0.success() }
        },
        "ReplaceNetworkAclAssociation": EC2Operation(one) { call in
            let (association, id) = (try call.required("AssociationId"), try call.required("NetworkAclId"))
            let new = try await call.update { try $0.replaceACL(association, id) }
            return { $0.leaf("newAssociationId", new) }
        },
        "DescribeNetworkAcls": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let found = try call.describe(
                tables.allACLs, ids: call.parameters.strings("NetworkAclId"), tags: tables.tags.rows,
                missing: { EC2Fault.missing("InvalidNetworkAclID.NotFound", "networkAcl", $0) }
            ) { list, filter in
                switch filter {
                case "network-acl-id", "association.network-acl-id": [list.id]
                case "vpc-id": [list.vpcID]
                case "default": ["\(list.isDefault)"]
                case "association.subnet-id": tables.subnetsOfACL(list).map(\.subnetID)
                case "association.association-id": tables.subnetsOfACL(list).map(\.id)
                case "owner-id": [call.network.account]
                default: nil
                }
            }
            return { xml in
                xml.list("networkAclSet", of: found.rows) { $0.networkACL($1.row, tables, account: call.network.account) }
                found.finish(&xml)
            }
        },
    ]
}
