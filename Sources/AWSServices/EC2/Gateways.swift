import AWSProtocol

extension XMLWriter {
    fileprivate mutating func internetGateway(_ gateway: InternetGatewayRecord, _ tags: [String: String], account: String) {
        leaf("internetGatewayId", gateway.id)
        leaf("ownerId", account)
        list("attachmentSet", of: [gateway.vpcID].compactMap { $0 }) { xml, vpc in
            xml.leaf("vpcId", vpc)
            xml.leaf("state", "available")
        }
        ec2Tags(tags)
    }
}

extension EC2Service {
    static let gatewayOperations: [String: EC2Operation] = [
        "CreateInternetGateway": EC2Operation("internet-gateway/*") { call in
            let tags = try call.tags(for: "internet-gateway")
            let gateway = InternetGatewayRecord(id: AWSIdentifier.resource("igw"))
            try await call.update { tables in
                tables.internetGateways[gateway.id] = gateway
                tables.setTags(tags, on: gateway.id)
            }
            return { $0.element("internetGateway") { $0.internetGateway(gateway, tags, account: call.network.account) } }
        },
        "AttachInternetGateway": EC2Operation("internet-gateway/{InternetGatewayId}") { call in
            let (id, vpcID) = (try call.required("InternetGatewayId"), try call.required("VpcId"))
            try await call.update { tables in
                var gateway = try tables.internetGateway(id)
                _ = try tables.vpc(vpcID)
                if let attached = gateway.vpcID {
                    throw AWSError("Resource.AlreadyAssociated", "resource \(id) is already attached to network \(attached)")
                }
                if tables.internetGateways.values.contains(where: { $0.vpcID == vpcID }) {
                    throw EC2Fault.invalidValue("Network \(vpcID) already has an internet gateway attached")
                }
                gateway.vpcID = vpcID
                tables.internetGateways[id] = gateway
            }
            return { $0.success() }
        },
        "DetachInternetGateway": EC2Operation("internet-gateway/{InternetGatewayId}") { call in
            let (id, vpcID) = (try call.required("InternetGatewayId"), try call.required("VpcId"))
            try await call.update { tables in
                var gateway = try tables.internetGateway(id)
                _ = try tables.vpc(vpcID)
                guard gateway.vpcID == vpcID else { throw AWSError("Gateway.NotAttached", "resource \(id) is not attached to network \(vpcID)") }
                gateway.vpcID = nil
                tables.internetGateways[id] = gateway
            }
            return { $0.success() }
        },
        "DeleteInternetGateway": EC2Operation("internet-gateway/{InternetGatewayId}") { call in
            let id = try call.required("InternetGatewayId")
            try await call.update { tables in
                guard try tables.internetGateway(id).vpcID == nil else {
                    throw EC2Fault.dependency("The internetGateway '\(id)' has dependencies and cannot be deleted.")
                }
                tables.internetGateways[id] = nil
                tables.tags[id] = nil
            }
            return { $0.success() }
        },
        "DescribeInternetGateways": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let found = try call.describe(
                tables.internetGateways.rows, ids: call.parameters.strings("InternetGatewayId"), tags: tables.tags.rows,
                missing: { EC2Fault.missing("InvalidInternetGatewayID.NotFound", "internetGateway", $0) }
            ) { gateway, filter in
                switch filter {
                case "internet-gateway-id": [gateway.id]
                case "attachment.vpc-id": [gateway.vpcID].compactMap { $0 }
                case "attachment.state": gateway.vpcID == nil ? [] : ["available"]
                case "owner-id": [call.network.account]
                default: nil
                }
            }
            return { xml in
                xml.list("internetGatewaySet", of: found.rows) { $0.internetGateway($1.row, tables.tags(of: $1.id), account: call.network.account) }
                found.finish(&xml)
            }
        },
    ]
}
