import AWSProtocol

extension XMLWriter {
    fileprivate mutating func egressOnlyGateway(_ gateway: EgressOnlyGatewayRecord, _ tags: [String: String]) {
        leaf("egressOnlyInternetGatewayId", gateway.id)
        list("attachmentSet", of: [gateway.vpcID]) { xml, vpc in
            xml.leaf("vpcId", vpc)
            xml.leaf("state", "attached")
        }
        ec2Tags(tags)
    }
}

extension EC2Service {
    static let egressOnlyGatewayOperations: [String: EC2Operation] = [
        "CreateEgressOnlyInternetGateway": EC2Operation("egress-only-internet-gateway/*") { call in
            let (vpcID, tags) = (try call.required("VpcId"), try call.tags(for: "egress-only-internet-gateway"))
            let gateway = EgressOnlyGatewayRecord(id: AWSIdentifier.resource("eigw"), vpcID: vpcID)
            try await call.update { tables in
                _ = try tables.vpc(vpcID)
                tables.egressOnlyGateways[gateway.id] = gateway
                tables.setTags(tags, on: gateway.id)
            }
            return { $0.element("egressOnlyInternetGateway") { $0.egressOnlyGateway(gateway, tags) } }
        },
        "DeleteEgressOnlyInternetGateway": EC2Operation("egress-only-internet-gateway/{EgressOnlyInternetGatewayId}") { call in
            let id = try call.required("EgressOnlyInternetGatewayId")
            try await call.update { tables in
                guard tables.egressOnlyGateways[id] != nil else { throw EC2Fault.missing("InvalidGatewayID.NotFound", "egress only gateway", id) }
                tables.egressOnlyGateways[id] = nil
                tables.tags[id] = nil
            }
            return { $0.leaf("returnCode", true) }
        },
        "DescribeEgressOnlyInternetGateways": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let found = try call.describe(
                tables.egressOnlyGateways.rows, ids: call.parameters.strings("EgressOnlyInternetGatewayId"), tags: tables.tags.rows,
                missing: { EC2Fault.missing("InvalidGatewayID.NotFound", "egress only gateway", $0) }
            ) { gateway, filter in
                switch filter {
                case "attachment.vpc-id": [gateway.vpcID]
                case "attachment.state": ["attached"]
                default: nil
                }
            }
            return { xml in
                xml.list("egressOnlyInternetGatewaySet", of: found.rows) { $0.egressOnlyGateway($1.row, tables.tags(of: $1.id)) }
                found.finish(&xml)
            }
        },
    ]
}
