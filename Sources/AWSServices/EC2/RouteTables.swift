import AWSProtocol

extension XMLWriter {
    fileprivate mutating func routeTable(_ table: RouteTableRecord, _ tags: [String: String], account: String) {
        leaf("routeTableId", table.id)
        leaf("vpcId", table.vpcID)
        leaf("ownerId", account)
        list("routeSet", of: table.routes) { xml, route in
            xml.leaf("destinationCidrBlock", route.destination)
            xml.leaf("gatewayId", route.gatewayID)
            xml.leaf("natGatewayId", route.natGatewayID)
            xml.leaf("networkInterfaceId", route.networkInterfaceID)
            xml.leaf("state", "active")
            xml.leaf("origin", route.origin)
        }
        list("associationSet", of: table.associations) { xml, association in
            xml.leaf("routeTableAssociationId", association.id)
            xml.leaf("routeTableId", table.id)
            xml.leaf("subnetId", association.subnetID)
            xml.leaf("main", association.subnetID == nil)
            xml.element("associationState") { $0.leaf("state", "associated") }
        }
        element("propagatingVgwSet") { _ in }
        ec2Tags(tags)
    }
}

extension EC2Tables {
    mutating func createRoute(_ tableID: String, _ route: RouteRecord) throws(AWSError) {
        var table = try routeTable(tableID)
        guard !table.routes.contains(where: { $0.destination == route.destination }) else {
            throw AWSError("RouteAlreadyExists", "The route identified by \(route.destination) already exists.")
        }
        try checkTarget(route, vpcID: table.vpcID)
        table.routes.append(route)
        routeTables[tableID] = table
    }

    private func checkTarget(_ route: RouteRecord, vpcID: String) throws(AWSError) {
        if let id = route.gatewayID, id != "local" {
            guard try internetGateway(id).vpcID == vpcID else {
                throw EC2Fault.invalidValue("route table's VPC and network gateway \(id) belong to different networks")
            }
        }
        if let id = route.networkInterfaceID { _ = try interface(id) }
        if let id = route.natGatewayID { throw AWSError("InvalidNatGatewayID.NotFound", "The NatGateway ID '\(id)' does not exist") }
    }

    mutating func deleteRoute(_ tableID: String, destination: String) throws(AWSError) {
        var table = try routeTable(tableID)
        guard let index = table.routes.firstIndex(where: { $0.destination == destination }) else {
            throw AWSError("InvalidRoute.NotFound", "no route with destination-cidr-block \(destination) in route table \(tableID)")
        }
        guard table.routes[index].gatewayID != "local" else {
            throw EC2Fault.invalidValue("cannot remove local route \(destination) in route table \(tableID)")
        }
        table.routes.remove(at: index)
        routeTables[tableID] = table
    }

    mutating func associate(_ tableID: String, subnetID: String) throws(AWSError) -> String {
        var table = try routeTable(tableID)
        guard try subnet(subnetID).vpcID == table.vpcID else {
            throw EC2Fault.invalidValue("route table \(tableID) and subnet \(subnetID) belong to different networks")
        }
        if let other = routeTables.values.first(where: { $0.associations.contains { $0.subnetID == subnetID } }) {
            if other.id == tableID, let known = other.associations.first(where: { $0.subnetID == subnetID }) { return known.id }
            throw AWSError(
                "Resource.AlreadyAssociated", "the specified association for route table \(tableID) conflicts with an existing association")
        }
        let association = RouteTableRecord.Association(id: AWSIdentifier.resource("rtbassoc"), subnetID: subnetID)
        table.associations.append(association)
        routeTables[tableID] = table
        return association.id
    }

    mutating func disassociate(_ associationID: String) throws(AWSError) {
        guard var table = routeTables.values.first(where: { $0.associations.contains { $0.id == associationID } }) else {
            throw EC2Fault.missing("InvalidAssociationID.NotFound", "association", associationID)
        }
        guard let index = table.associations.firstIndex(where: { $0.id == associationID && $0.subnetID != nil }) else {
            throw EC2Fault.invalidValue("cannot disassociate the main route table association \(associationID)")
        }
        table.associations.remove(at: index)
        routeTables[table.id] = table
    }

    mutating func deleteRouteTable(_ id: String) throws(AWSError) {
        guard try routeTable(id).associations.isEmpty else {
            throw EC2Fault.dependency("The routeTable '\(id)' has dependencies and cannot be deleted.")
        }
        routeTables[id] = nil
        tags[id] = nil
    }
}

extension EC2Service {
    private static let one = "route-table/{RouteTableId}"

    static let routeOperations: [String: EC2Operation] = [
        "CreateRouteTable": EC2Operation("route-table/*") { call in
            let (vpcID, tags) = (try call.required("VpcId"), try call.tags(for: "route-table"))
            let table = try await call.update { tables in
                let vpc = try tables.vpc(vpcID)
                let local = RouteRecord(destination: vpc.cidr, gatewayID: "local", origin: "CreateRouteTable")
                let table = RouteTableRecord(id: AWSIdentifier.resource("rtb"), vpcID: vpcID, routes: [local])
                tables.routeTables[table.id] = table
                tables.setTags(tags, on: table.id)
                return table
            }
            return { $0.element("routeTable") { $0.routeTable(table, tags, account: call.network.account) } }
        },
        "DescribeRouteTables": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let found = try call.describe(
                tables.routeTables.rows, ids: call.parameters.strings("RouteTableId"), tags: tables.tags.rows,
                missing: { EC2Fault.missing("InvalidRouteTableID.NotFound", "routeTable", $0) }
            ) { table, filter in
                switch filter {
                case "route-table-id", "association.route-table-id": [table.id]
                case "vpc-id": [table.vpcID]
                case "association.main": table.associations.map { "\($0.subnetID == nil)" }
                case "association.subnet-id": table.associations.compactMap(\.subnetID)
                case "association.route-table-association-id": table.associations.map(\.id)
                case "route.destination-cidr-block": table.routes.map(\.destination)
                case "route.gateway-id": table.routes.compactMap(\.gatewayID)
                case "owner-id": [call.network.account]
                default: nil
                }
            }
            return { xml in
                xml.list("routeTableSet", of: found.rows) { $0.routeTable($1.row, tables.tags(of: $1.id), account: call.network.account) }
                found.finish(&xml)
            }
        },
        "DeleteRouteTable": EC2Operation(one) { call in
            let id = try call.required("RouteTableId")
            try await call.update { try $0.deleteRouteTable(id) }
            return { $0.success() }
        },
        "CreateRoute": EC2Operation(one) { call in
            let (id, destination) = (try call.required("RouteTableId"), try call.required("DestinationCidrBlock"))
            guard let block = IPv4Block(destination) else {
                throw EC2Fault.invalidValue(
                    "Value (\(destination.prefix(64))) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.")
            }
            let route = RouteRecord(
                destination: block.description, gatewayID: call.parameters["GatewayId"], natGatewayID: call.parameters["NatGatewayId"],
                networkInterfaceID: call.parameters["NetworkInterfaceId"])
            guard [route.gatewayID, route.natGatewayID, route.networkInterfaceID].compactMap({ $0 }).count == 1 else {
                throw AWSError(
                    "InvalidParameterCombination", "The parameters gatewayId, natGatewayId and networkInterfaceId: exactly one must be given.")
            }
            try await call.update { try $0.createRoute(id, route) }
            return { $0.success() }
        },
        "DeleteRoute": EC2Operation(one) { call in
            let (id, destination) = (try call.required("RouteTableId"), try call.required("DestinationCidrBlock"))
            try await call.update { try $0.deleteRoute(id, destination: destination) }
            return { $0.success() }
        },
        "AssociateRouteTable": EC2Operation(one) { call in
            let (id, subnetID) = (try call.required("RouteTableId"), try call.required("SubnetId"))
            let association = try await call.update { try $0.associate(id, subnetID: subnetID) }
            return { xml in
                xml.leaf("associationId", association)
                xml.element("associationState") { $0.leaf("state", "associated") }
            }
        },
        "DisassociateRouteTable": EC2Operation("route-table/*") { call in
            let id = try call.required("AssociationId")
            try await call.update { try $0.disassociate(id) }
            return { $0.success() }
        },
    ]
}
