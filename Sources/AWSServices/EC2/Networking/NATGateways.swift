import AWSProtocol

extension EC2Tables {
    /// Seconds a deleted gateway is still described. Upstream: VPC User Guide, "Delete a NAT gateway".
    private static let visibility: Double = 3_600

    func natGateway(_ id: String) throws(AWSError) -> NATGatewayRecord {
        guard let found = natGateways[id] else { throw AWSError("NatGatewayNotFound", "The Nat Gateway \(id) was not found") }
        return found
    }

    fileprivate mutating func createNATGateway(
        subnetID: String, connectivity: String, allocationID: String?, token: String?, now: Double
    ) throws(AWSError) -> NATGatewayRecord {
        for old in natGateways.values { if let end = old.deletedAt, end + Self.visibility < now { natGateways[old.id] = nil } }
        if let token, let known = natGateways.values.first(where: { $0.clientToken == token && $0.deletedAt == nil }) { return known }
        let id = AWSIdentifier.resource("nat")
        if let allocationID {
            guard try address(allocationID).associationID == nil else {
                throw AWSError("Resource.AlreadyAssociated", "Elastic IP address [\(allocationID)] is already associated")
            }
        }
        var interface = try createInterface(
            subnetID: subnetID, description: "Interface for NAT Gateway \(id)", groupIDs: [], secondary: 0, isRequesterManaged: true)
        interface.groupIDs = []
        interface.interfaceType = "nat_gateway"
        interface.attachment = NetworkInterfaceRecord.Attachment(id: AWSIdentifier.resource("ela-attach"), deviceIndex: 1, attachedAt: now)
        put(interface)
        var gateway = NATGatewayRecord(
            id: id, subnetID: subnetID, vpcID: interface.vpcID, connectivity: connectivity, allocationID: allocationID, interfaceID: interface.id,
            privateAddress: interface.primaryAddress, createdAt: now, clientToken: token)
        if let allocationID { gateway.publicAddress = try associate(allocationID, interfaceID: interface.id).publicAddress }
        natGateways[id] = gateway
        return gateway
    }

    fileprivate mutating func deleteNATGateway(_ id: String, now: Double) throws(AWSError) {
        var gateway = try natGateway(id)
        guard gateway.deletedAt == nil else { return }
        if let allocation = gateway.allocationID { disassociateAddress(allocation) }
        removeInterface(gateway.interfaceID)
        gateway.deletedAt = now
        natGateways[id] = gateway
    }
}

extension XMLWriter {
    fileprivate mutating func natGateway(_ gateway: NATGatewayRecord, _ tables: EC2Tables, isNew: Bool = false) {
        let isDeleted = gateway.deletedAt != nil
        leaf("natGatewayId", gateway.id)
        leaf("subnetId", gateway.subnetID)
        leaf("vpcId", gateway.vpcID)
        leaf("state", isDeleted ? "deleted" : isNew ? "pending" : "available")
        leaf("connectivityType", gateway.connectivity)
        leaf("availabilityMode", "zonal")
        leaf("createTime", AWSTimestamp.extendedMilliseconds(gateway.createdAt))
        if let end = gateway.deletedAt { leaf("deleteTime", AWSTimestamp.extendedMilliseconds(end)) }
        element("natGatewayAddressSet") {
            $0.element("item") { xml in
                xml.leaf("allocationId", gateway.allocationID)
                xml.leaf("networkInterfaceId", gateway.interfaceID)
                xml.leaf("privateIp", gateway.privateAddress)
                xml.leaf("publicIp", gateway.publicAddress)
                xml.leaf("associationId", gateway.allocationID.flatMap { tables.addresses[$0]?.associationID })
                xml.leaf("isPrimary", true)
                xml.leaf("status", "succeeded")
            }
        }
        ec2Tags(tables.tags(of: gateway.id))
    }
}

extension EC2Service {
    static let natGatewayOperations: [String: EC2Operation] = [
        "CreateNatGateway": EC2Operation("natgateway/*") { call in
            let (subnet, tags, token) = (try call.required("SubnetId"), try call.tags(for: "natgateway"), call.parameters["ClientToken"])
            let (connectivity, allocation, now) = (
                call.parameters["ConnectivityType"] ?? "public", call.parameters["AllocationId"], call.network.clock.now
            )
            for name in ["SecondaryAllocationId", "SecondaryPrivateIpAddress", "SecondaryPrivateIpAddressCount", "PrivateIpAddress"]
            where call.parameters.has(name) {
                throw AWSError("UnsupportedOperation", "The parameter \(name) is not implemented by Eyrie.")
            }
            guard call.parameters["AvailabilityMode"] ?? "zonal" == "zonal" else {
                throw AWSError("UnsupportedOperation", "Regional NAT gateways are not implemented by Eyrie.")
            }
            guard connectivity == "public" || connectivity == "private" else {
                throw EC2Fault.invalidValue("Value (\(connectivity.prefix(20))) for parameter ConnectivityType is invalid.")
            }
            guard (connectivity == "public") == (allocation != nil) else {
                throw connectivity == "public"
                    ? EC2Fault.missingParameter("AllocationId")
                    : AWSError("InvalidParameterCombination", "A private NAT gateway has no elastic IP address.")
            }
            let (gateway, tables) = try await call.update { tables in
                let gateway = try tables.createNATGateway(
                    subnetID: subnet, connectivity: connectivity, allocationID: allocation, token: token, now: now)
                tables.setTags(tags, on: gateway.id)
                return (gateway, tables)
            }
            return { xml in
                xml.element("natGateway") { $0.natGateway(gateway, tables, isNew: true) }
                xml.leaf("clientToken", token)
            }
        },
        "DeleteNatGateway": EC2Operation("natgateway/{NatGatewayId}") { call in
            let (id, now) = (try call.required("NatGatewayId"), call.network.clock.now)
            try await call.update { try $0.deleteNATGateway(id, now: now) }
            return { $0.leaf("natGatewayId", id) }
        },
        "DescribeNatGateways": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let found = try call.describe(
                tables.natGateways.rows, ids: call.parameters.strings("NatGatewayId"), tags: tables.tags.rows,
                missing: { AWSError("NatGatewayNotFound", "The Nat Gateway \($0) was not found") }
            ) { gateway, filter in
                switch filter {
                case "nat-gateway-id": [gateway.id]
                case "subnet-id": [gateway.subnetID]
                case "vpc-id": [gateway.vpcID]
                case "state": [gateway.deletedAt == nil ? "available" : "deleted"]
                default: nil
                }
            }
            return { xml in
                xml.list("natGatewaySet", of: found.rows) { $0.natGateway($1.row, tables) }
                found.finish(&xml)
            }
        },
    ]
}
