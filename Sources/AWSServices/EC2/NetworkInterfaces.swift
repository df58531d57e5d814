import AWSProtocol

extension EC2Tables {
    /// The next free addresses of a subnet, going on after those given out last: an address that came free is not soon another's, so that nobody
    /// takes a new instance for the old one. Throws InsufficientFreeAddressesInSubnet when there are fewer.
    func takeAddresses(_ count: Int, in subnet: SubnetRecord) throws(AWSError) -> [IPv4Address] {
        guard let block = IPv4Block(subnet.cidr), count >= 0, count <= freeAddresses(subnet) else { throw EC2Fault.noFreeAddresses(subnet.id) }
        let used = usedAddresses[subnet.id] ?? []
        let assignable = IPv4Block.reservedFirst..<max(IPv4Block.reservedFirst, block.size - 1)
        let last = lastGiven[subnet.id].map { Int($0.value &- block.base.value) } ?? IPv4Block.reservedFirst - 1
        let start = assignable.contains(last + 1) ? last + 1 : assignable.lowerBound
        var found: [IPv4Address] = []
        for offset in [start..<assignable.upperBound, assignable.lowerBound..<start].joined() {
            if found.count == count { break }
            if let address = block.address(at: offset), !used.contains(address) { found.append(address) }
        }
        guard found.count == count else { throw EC2Fault.noFreeAddresses(subnet.id) }
        return found
    }

    /// An interface with its own address and `secondary` more. Throws what the subnet or the groups lack.
    mutating func createInterface(
        subnetID: String, description: String, groupIDs: [String], secondary: Int, ownerToken: String? = nil, isRequesterManaged: Bool = false
    ) throws(AWSError) -> NetworkInterfaceRecord {
        let subnet = try subnet(subnetID)
        try requireGroups(groupIDs, of: subnet)
        let addresses = try takeAddresses(1 + secondary, in: subnet)
        guard let primary = addresses.first else { throw EC2Fault.noFreeAddresses(subnetID) }
        var groups = groupIDs
        if groups.isEmpty, let standard = securityGroups.values.first(where: { $0.vpcID == subnet.vpcID && $0.name == "default" }) {
            groups = [standard.id]
        }
        let interface = NetworkInterfaceRecord(
            id: AWSIdentifier.resource("eni"), subnetID: subnetID, vpcID: subnet.vpcID, zone: subnet.zone, description: description,
            primaryAddress: primary.description, secondaryAddresses: addresses.dropFirst().map(\.description),
            macAddress: EC2Tables.macAddress(vpcID: subnet.vpcID, address: primary), groupIDs: groups, isRequesterManaged: isRequesterManaged,
            ownerToken: ownerToken)
        put(interface)
        return interface
    }

    /// Throws InvalidGroup.NotFound, InvalidParameter for a group of another VPC than the subnet's.
    private func requireGroups(_ groupIDs: [String], of subnet: SubnetRecord) throws(AWSError) {
        for group in groupIDs {
            guard try securityGroup(group).vpcID == subnet.vpcID else {
                throw AWSError("InvalidParameter", "Security group \(group) and subnet \(subnet.id) belong to different networks.")
            }
        }
    }

    /// Gives an interface other groups; an instance has those of its first. Throws as `requireGroups`, OperationNotPermitted for a service's.
    fileprivate mutating func changeGroups(ofInterface id: String, _ groupIDs: [String]) throws(AWSError) {
        var interface = try interface(id)
        if interface.isRequesterManaged { throw EC2Fault.requesterManaged(id) }
        try requireGroups(groupIDs, of: subnet(interface.subnetID))
        interface.groupIDs = groupIDs
        put(interface)
        guard let attachment = interface.attachment, attachment.deviceIndex == 0, let owner = attachment.instanceID, var instance = instances[owner]
        else { return }
        instance.groupIDs = groupIDs
        instances[owner] = instance
    }

    /// Locally administered, unicast, and unique in the VPC as the address is.
    private static func macAddress(vpcID: String, address: IPv4Address) -> String {
        let byte = Hexadecimal.encode([UInt8(truncatingIfNeeded: vpcID.utf8.reduce(0) { $0 &* 31 &+ Int($1) })])
        let tail = stride(from: 24, through: 0, by: -8).map { Hexadecimal.encode([UInt8(truncatingIfNeeded: address.value >> UInt32($0))]) }
        return (["06", byte] + tail).joined(separator: ":")
    }
}

extension XMLWriter {
    mutating func groupSet(_ ids: [String], _ tables: EC2Tables) {
        list("groupSet", of: ids) { xml, id in
            xml.leaf("groupId", id)
            xml.leaf("groupName", tables.securityGroups[id]?.name)
        }
    }

    mutating func privateAddresses(_ interface: NetworkInterfaceRecord, _ network: EC2Network) {
        list("privateIpAddressesSet", of: interface.addresses) { xml, address in
            xml.leaf("privateIpAddress", address)
            xml.leaf("privateDnsName", IPv4Address(address).map(network.privateDNSName))
            xml.leaf("primary", address == interface.primaryAddress)
        }
    }

    fileprivate mutating func interface(_ interface: NetworkInterfaceRecord, _ tables: EC2Tables, _ network: EC2Network) {
        leaf("networkInterfaceId", interface.id)
        leaf("subnetId", interface.subnetID)
        leaf("vpcId", interface.vpcID)
        leaf("availabilityZone", interface.zone)
        leaf("description", interface.description)
        leaf("ownerId", network.account)
        leaf("requesterId", interface.isRequesterManaged ? network.account : nil)
        leaf("requesterManaged", interface.isRequesterManaged)
        leaf("status", interface.attachment == nil ? "available" : "in-use")
        leaf("macAddress", interface.macAddress)
        leaf("privateIpAddress", interface.primaryAddress)
        leaf("privateDnsName", IPv4Address(interface.primaryAddress).map(network.privateDNSName))
        leaf("sourceDestCheck", true)
        leaf("interfaceType", interface.interfaceType)
        groupSet(interface.groupIDs, tables)
        if let attachment = interface.attachment {
            element("attachment") { xml in
                xml.leaf("attachmentId", attachment.id)
                xml.leaf("instanceId", attachment.instanceID)
                xml.leaf("instanceOwnerId", attachment.instanceID == nil ? "amazon-aws" : network.account)
                xml.leaf("deviceIndex", attachment.deviceIndex)
                xml.leaf("status", "attached")
                xml.leaf("attachTime", AWSTimestamp.extendedMilliseconds(attachment.attachedAt))
                xml.leaf("deleteOnTermination", attachment.instanceID != nil)
            }
        }
        privateAddresses(interface, network)
        element("ipv6AddressesSet") { _ in }
        ec2Tags(tables.tags(of: interface.id))
    }
}

extension EC2Service {
    static let interfaceOperations: [String: EC2Operation] = [
        "CreateNetworkInterface": EC2Operation("network-interface/*") { call in
            let (subnetID, tags) = (try call.required("SubnetId"), try call.tags(for: "network-interface"))
            let (groups, description) = (call.parameters.strings("SecurityGroupId"), call.parameters["Description"] ?? "")
            let count = call.parameters["SecondaryPrivateIpAddressCount"].map { Int($0) ?? -1 } ?? 0
            guard (0...49).contains(count) else {
                throw EC2Fault.invalidValue("Value for parameter secondaryPrivateIpAddressCount is invalid. It must be from 0 to 49.")
            }
            let (interface, tables) = try await call.update { tables in
                let interface = try tables.createInterface(subnetID: subnetID, description: description, groupIDs: groups, secondary: count)
                tables.setTags(tags, on: interface.id)
                return (interface, tables)
            }
            return { $0.element("networkInterface") { $0.interface(interface, tables, call.network) } }
        },
        "DescribeNetworkInterfaces": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let found = try call.describe(
                tables.interfaces.rows, ids: call.parameters.strings("NetworkInterfaceId"), tags: tables.tags.rows,
                missing: { EC2Fault.missing("InvalidNetworkInterfaceID.NotFound", "networkInterface", $0) }
            ) { interface, filter in
                switch filter {
                case "network-interface-id": [interface.id]
                case "subnet-id": [interface.subnetID]
                case "vpc-id": [interface.vpcID]
                case "availability-zone": [interface.zone]
                case "description": [interface.description]
                case "group-id": interface.groupIDs
                case "group-name": interface.groupIDs.compactMap { tables.securityGroups[$0]?.name }
                case "attachment.instance-id": [interface.attachment?.instanceID].compactMap { $0 }
                case "attachment.attachment-id": [interface.attachment?.id].compactMap { $0 }
                case "attachment.status": interface.attachment == nil ? [] : ["attached"]
                case "private-ip-address": [interface.primaryAddress]
                case "addresses.private-ip-address": interface.addresses
                case "mac-address": [interface.macAddress]
                case "interface-type": [interface.interfaceType]
                case "requester-managed": ["\(interface.isRequesterManaged)"]
                case "status": [interface.attachment == nil ? "available" : "in-use"]
                case "owner-id": [call.network.account]
                default: nil
                }
            }
            return { xml in
                xml.list("networkInterfaceSet", of: found.rows) { $0.interface($1.row, tables, call.network) }
                found.finish(&xml)
            }
        },
        "ModifyNetworkInterfaceAttribute": EC2Operation("network-interface/{NetworkInterfaceId}") { call in
            let (id, groups) = (try call.required("NetworkInterfaceId"), call.parameters.strings("SecurityGroupId"))
            let others = [
                "Attachment", "Description", "SourceDestCheck", "EnaSrdSpecification", "EnablePrimaryIpv6", "ConnectionTrackingSpecification",
            ]
            if let other = others.first(where: call.parameters.has) {
                throw AWSError("UnsupportedOperation", "Eyrie changes the security groups of a network interface, not its \(other).")
            }
            guard !groups.isEmpty else { throw EC2Fault.missingParameter("SecurityGroupId") }
            let distinct = groups.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
            try await call.update { try $0.changeGroups(ofInterface: id, distinct) }
            return { $0.success() }
        },
        "DeleteNetworkInterface": EC2Operation("network-interface/{NetworkInterfaceId}") { call in
            let id = try call.required("NetworkInterfaceId")
            try await call.update { tables in
                let interface = try tables.interface(id)
                if interface.isRequesterManaged { throw EC2Fault.requesterManaged(id) }
                if interface.attachment != nil { throw EC2Fault.invalidValue("Network interface '\(id)' is currently in use.") }
                tables.removeInterface(id)
            }
            return { $0.success() }
        },
    ]
}
