import AWSProtocol

extension EC2Tables {
    /// Addresses that stand for public ones: the ranges set aside for documentation, which nobody else has. Upstream: RFC 5737.
    private static let publicBlocks = ["203.0.113.0/24", "198.51.100.0/24"].compactMap { IPv4Block($0) }
    /// AWS's quota is 5, and raised on request.
    private static let quota = 50

    func address(_ id: String) throws(AWSError) -> AddressRecord {
        guard let found = addresses[id] else { throw AWSError("InvalidAllocationID.NotFound", "The allocation ID '\(id)' does not exist") }
        return found
    }

    /// Throws AddressLimitExceeded.
    mutating func allocateAddress() throws(AWSError) -> AddressRecord {
        let used = Set(addresses.values.map(\.publicAddress))
        guard used.count < Self.quota else { throw AWSError("AddressLimitExceeded", "The maximum number of addresses has been reached.") }
        for block in Self.publicBlocks {
            for offset in 1..<(block.size - 1) {
                guard let address = block.address(at: offset)?.description, !used.contains(address) else { continue }
                let record = AddressRecord(id: AWSIdentifier.resource("eipalloc"), publicAddress: address)
                addresses[record.id] = record
                return record
            }
        }
        throw AWSError("InsufficientAddressCapacity", "Not enough available addresses to satisfy your request.")
    }

    /// Throws InvalidAllocationID.NotFound, Resource.AlreadyAssociated, InvalidNetworkInterfaceID.NotFound.
    mutating func associate(_ id: String, interfaceID: String, isForced: Bool = false) throws(AWSError) -> AddressRecord {
        var record = try address(id)
        let interface = try interface(interfaceID)
        guard record.associationID == nil || isForced || record.interfaceID == interfaceID else {
            throw AWSError("Resource.AlreadyAssociated", "resource \(id) is already associated with associate-id \(record.associationID ?? "")")
        }
        record.associationID = AWSIdentifier.resource("eipassoc")
        record.interfaceID = interfaceID
        record.privateAddress = interface.primaryAddress
        addresses[id] = record
        return record
    }

    mutating func disassociateAddress(_ id: String) {
        guard var record = addresses[id] else { return }
        record.associationID = nil
        record.interfaceID = nil
        record.privateAddress = nil
        addresses[id] = record
    }
}

extension XMLWriter {
    fileprivate mutating func address(_ address: AddressRecord, _ tables: EC2Tables, _ network: EC2Network) {
        leaf("publicIp", address.publicAddress)
        leaf("allocationId", address.id)
        leaf("domain", "vpc")
        leaf("publicIpv4Pool", "amazon")
        leaf("networkBorderGroup", network.region)
        if let interfaceID = address.interfaceID {
            leaf("associationId", address.associationID)
            leaf("networkInterfaceId", interfaceID)
            leaf("networkInterfaceOwnerId", network.account)
            leaf("privateIpAddress", address.privateAddress)
            leaf("instanceId", tables.interfaces[interfaceID]?.attachment?.instanceID)
        }
        ec2Tags(tables.tags(of: address.id))
    }
}

extension EC2Service {
    static let addressOperations: [String: EC2Operation] = [
        "AllocateAddress": EC2Operation("elastic-ip/*") { call in
            let tags = try call.tags(for: "elastic-ip")
            if let pool = call.parameters["PublicIpv4Pool"], pool != "amazon" {
                throw EC2Fault.missing("InvalidPublicIpv4PoolID.NotFound", "pool", pool)
            }
            for name in ["Address", "CustomerOwnedIpv4Pool", "IpamPoolId"] where call.parameters.has(name) {
                throw AWSError("UnsupportedOperation", "The parameter \(name) is not implemented by Eyrie.")
            }
            let address = try await call.update { tables in
                let address = try tables.allocateAddress()
                tables.setTags(tags, on: address.id)
                return address
            }
            return { xml in
                xml.leaf("publicIp", address.publicAddress)
                xml.leaf("allocationId", address.id)
                xml.leaf("domain", "vpc")
                xml.leaf("publicIpv4Pool", "amazon")
                xml.leaf("networkBorderGroup", call.network.region)
            }
        },
        "ReleaseAddress": EC2Operation("elastic-ip/{AllocationId}") { call in
            let id = try call.required("AllocationId")
            try await call.update { tables in
                guard try tables.address(id).associationID == nil else {
                    throw AWSError("InvalidIPAddress.InUse", "The address with allocation id [\(id)] cannot be released because it is associated.")
                }
                tables.addresses[id] = nil
                tables.tags[id] = nil
            }
            return { $0.success() }
        },
        "AssociateAddress": EC2Operation("elastic-ip/{AllocationId}") { call in
            let (id, interface, instance) = (try call.required("AllocationId"), call.parameters["NetworkInterfaceId"], call.parameters["InstanceId"])
            let isForced = call.parameters["AllowReassociation"] == "true"
            let association = try await call.update { tables in
                if let instance, tables.instances[instance] == nil {
                    throw EC2Fault.missing("InvalidInstanceID.NotFound", "instance", instance)
                }
                guard let target = interface ?? instance.flatMap({ tables.instances[$0]?.interfaceIDs.first }) else {
                    throw EC2Fault.missingParameter("networkInterfaceId")
                }
                return try tables.associate(id, interfaceID: target, isForced: isForced).associationID
            }
            return { xml in
                xml.success()
                xml.leaf("associationId", association)
            }
        },
        "DisassociateAddress": EC2Operation("elastic-ip/*") { call in
            let association = try call.required("AssociationId")
            try await call.update { tables in
                guard let address = tables.addresses.values.first(where: { $0.associationID == association }) else {
                    throw EC2Fault.missing("InvalidAssociationID.NotFound", "association", association)
                }
                guard !tables.natGateways.values.contains(where: { $0.allocationID == address.id && $0.deletedAt == nil }) else {
                    throw AWSError("AuthFailure", "You do not have permission to access the specified resource.", status: 403)
                }
                tables.disassociateAddress(address.id)
            }
            return { $0.success() }
        },
        "DescribeAddresses": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let addresses = Set(call.parameters.strings("PublicIp"))
            for address in addresses where !tables.addresses.values.contains(where: { $0.publicAddress == address }) {
                throw AWSError("InvalidAddress.NotFound", "Address '\(address)' not found.")
            }
            let found = try call.describe(
                tables.addresses.rows.filter { addresses.isEmpty || addresses.contains($0.value.publicAddress) },
                ids: call.parameters.strings("AllocationId"), tags: tables.tags.rows,
                missing: { AWSError("InvalidAllocationID.NotFound", "The allocation ID '\($0)' does not exist") }
            ) { address, filter in
                switch filter {
                case "allocation-id": [address.id]
                case "association-id": [address.associationID].compactMap { $0 }
                case "domain": ["vpc"]
                case "public-ip": [address.publicAddress]
                case "private-ip-address": [address.privateAddress].compactMap { $0 }
                case "network-interface-id": [address.interfaceID].compactMap { $0 }
                case "instance-id": [address.interfaceID.flatMap { tables.interfaces[$0]?.attachment?.instanceID }].compactMap { $0 }
                default: nil
                }
            }
            return { xml in xml.list("addressesSet", of: found.rows) { $0.address($1.row, tables, call.network) } }
        },
        // No address has a name of its own.
        "DescribeAddressesAttribute": EC2Operation("*") { call in
            let ids = call.parameters.strings("AllocationId")
            let addresses = try await call.read { tables in try ids.map { try tables.address($0) } }
            return { xml in
                xml.list("addressSet", of: addresses) { xml, address in
                    xml.leaf("publicIp", address.publicAddress)
                    xml.leaf("allocationId", address.id)
                }
            }
        },
    ]
}
