import AWSProtocol

extension XMLWriter {
    fileprivate mutating func routeTable(_ table: RouteTableRecord, _ tables: EC2Tables, account: String) {
        leaf("routeTableId", table.id)
        leaf("vpcId", table.vpcID)
        leaf("ownerId", account)
        list("routeSet", of: table.routes) { xml, route in
            xml.leaf(route.destinationName, route.destination)
            xml.leaf("gatewayId", route.gatewayID)
            xml.leaf("natGatewayId", route.natGatewayID)
            xml.leaf("networkInterfaceId", route.networkInterfaceID ?? route.instanceID.flatMap { tables.instances[$0]?.interfaceIDs.first })
            xml.leaf("instanceId", route.instanceID)
            xml.leaf("instanceOwnerId", route.instanceID.map { _ in account })
            xml.leaf("egressOnlyInternetGatewayId", route.egressOnlyGatewayID)
            xml.leaf("state", tables.isActive(route) ? "active" : "blackhole")
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
        ec2Tags(tables.tags(of: table.id))
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

    mutating func replaceRoute(_ tableID: String, _ route: RouteRecord) throws(AWSError) {
        var table = try routeTable(tableID)
        guard let index = table.routes.firstIndex(where: { $0.destination == route.destination }) else {
            throw AWSError(
                "InvalidRoute.NotFound", "There is no route defined for '\(route.destination)' in the route table. Use CreateRoute instead.")
        }
        try checkTarget(route, vpcID: table.vpcID)
        table.routes[index] = route
        routeTables[tableID] = table
    }

    /// Whether what a route leads to is there.
    fileprivate func isActive(_ route: RouteRecord) -> Bool {
        if let id = route.natGatewayID { return natGateways[id].map { $0.deletedAt == nil } ?? false }
        if let id = route.networkInterfaceID { return interfaces[id] != nil }
        if let id = route.instanceID { return instances[id].map { $0.state == "running" } ?? false }
        if let id = route.egressOnlyGatewayID { return egressOnlyGateways[id] != nil }
        guard let id = route.gatewayID, id != "local" else { return true }
        return internetGateways[id]?.vpcID != nil || endpoints[id] != nil
    }

    private func checkTarget(_ route: RouteRecord, vpcID: String) throws(AWSError) {
        if let id = route.gatewayID, id != "local" {
            guard try internetGateway(id).vpcID == vpcID else {
                throw EC2Fault.invalidValue("route table's VPC and network gateway \(id) belong to different networks")
            }
        }
        if let id = route.networkInterfaceID { _ = try interface(id) }
        if let id = route.natGatewayID {
            guard let gateway = natGateways[id], gateway.deletedAt == nil else {
                throw AWSError("InvalidNatGatewayID.NotFound", "The natGateway ID '\(id)' does not exist")
            }
            guard gateway.vpcID == vpcID else {
                throw EC2Fault.invalidValue("route table's VPC and NAT gateway \(id) belong to different networks")
            }
        }
        if let id = route.instanceID, instances[id] == nil { throw EC2Fault.missing("InvalidInstanceID.NotFound", "instance", id) }
        if let id = route.egressOnlyGatewayID {
            guard egressOnlyGateways[id]?.vpcID == vpcID else { throw EC2Fault.missing("InvalidGatewayID.NotFound", "egress only gateway", id) }
        }
    }

    mutating func deleteRoute(_ tableID: String, destination: String) throws(AWSError) {
        var table = try routeTable(tableID)
        guard let index = table.routes.firstIndex(where: { $0.destination == destination }) else {
            throw AWSError("InvalidRoute.NotFound", "no route with destination-cidr-block \(destination) in route table \(tableID)")
        }
        guard table.routes[index].gatewayID.map({ $0 != "local" && !$0.hasPrefix("vpce-") }) ?? true else {
            throw EC2Fault.invalidValue("cannot remove local route or endpoint's route \(destination) in route table \(tableID)")
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

extension RouteRecord {
    /// What the destination is called: it is a range of either family, or a prefix list.
    fileprivate var destinationName: String {
        destination.hasPrefix("pl-") ? "destinationPrefixListId" : destination.contains(":") ? "destinationIpv6CidrBlock" : "destinationCidrBlock"
    }
}

extension EC2Tables {
    /// Moves an association, the main one too, to another table. Returns its new id. Throws InvalidAssociationID.NotFound.
    fileprivate mutating func replaceAssociation(_ id: String, _ tableID: String) throws(AWSError) -> String {
        guard var old = routeTables.values.first(where: { $0.associations.contains { $0.id == id } }),
            let index = old.associations.firstIndex(where: { $0.id == id })
        else { throw EC2Fault.missing("InvalidAssociationID.NotFound", "association", id) }
        guard try routeTable(tableID).vpcID == old.vpcID else {
            throw EC2Fault.invalidValue("route table \(tableID) and association \(id) belong to different networks")
        }
        var association = old.associations.remove(at: index)
        association.id = AWSIdentifier.resource("rtbassoc")
        routeTables[old.id] = old
        var table = try routeTable(tableID)
        table.associations.append(association)
        routeTables[tableID] = table
        return association.id
    }
}

extension EC2Call {
    /// The one destination a call names. Throws MissingParameter, InvalidParameterValue.
    fileprivate func destination() throws(AWSError) -> String {
        let given = [parameters["DestinationCidrBlock"], parameters["DestinationIpv6CidrBlock"], parameters["DestinationPrefixListId"]].compactMap {
            $0
        }
        guard let text = given.first, given.count == 1 else { throw EC2Fault.missingParameter("destinationCidrBlock") }
        if parameters["DestinationCidrBlock"] == nil { return text }
        guard let block = IPv4Block(text) else {
            throw EC2Fault.invalidValue("Value (\(text.prefix(64))) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.")
        }
        return block.description
    }

    /// The route a call describes. Throws InvalidParameterCombination unless it has one target.
    fileprivate func route() throws(AWSError) -> RouteRecord {
        for name in ["TransitGatewayId", "VpcPeeringConnectionId", "LocalGatewayId", "CarrierGatewayId", "CoreNetworkArn", "VpcEndpointId"]
        where parameters.has(name) {
            throw AWSError("UnsupportedOperation", "Routes to \(name.replacing("Id", with: "")) are not implemented by Eyrie.")
        }
        let gateway = parameters["LocalTarget"] == "true" ? "local" : parameters["GatewayId"]
        let route = RouteRecord(
            destination: try destination(), gatewayID: gateway, natGatewayID: parameters["NatGatewayId"],
            networkInterfaceID: parameters["NetworkInterfaceId"], instanceID: parameters["InstanceId"],
            egressOnlyGatewayID: parameters["EgressOnlyInternetGatewayId"])
        guard route.targets.count == 1 else {
            throw AWSError(
                "InvalidParameterCombination",
                "Of the parameters gatewayId, natGatewayId, networkInterfaceId, instanceId and egressOnlyInternetGatewayId exactly one must be given."
            )
        }
        return route
    }
}

extension EC2Service {
    private static let one = "route-table/{RouteTableId}"

    static let routeOperations: [String: EC2Operation] = [
        "CreateRouteTable": EC2Operation("route-table/*") { call in
            let (vpcID, tags) = (try call.required("VpcId"), try call.tags(for: "route-table"))
            let (table, all) = try await call.update { tables in
                let vpc = try tables.vpc(vpcID)
                let local = ([vpc.cidr] + (vpc.ipv6Ranges ?? []).map(\.cidr)).map {
                    RouteRecord(destination: $0, gatewayID: "local", origin: "CreateRouteTable")
                }
                let table = RouteTableRecord(id: AWSIdentifier.resource("rtb"), vpcID: vpcID, routes: local)
                tables.routeTables[table.id] = table
                tables.setTags(tags, on: table.id)
                return (table, tables)
            }
            return { $0.element("routeTable") { $0.routeTable(table, all, account: call.network.account) } }
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
                case "route.nat-gateway-id": table.routes.compactMap(\.natGatewayID)
                case "route.egress-only-internet-gateway-id": table.routes.compactMap(\.egressOnlyGatewayID)
                case "route.instance-id": table.routes.compactMap(\.instanceID)
                case "route.destination-prefix-list-id": table.routes.map(\.destination).filter { $0.hasPrefix("pl-") }
                case "route.destination-ipv6-cidr-block": table.routes.map(\.destination).filter { $0.contains(":") }
                case "route.origin": table.routes.map(\.origin)
                case "owner-id": [call.network.account]
                default: nil
                }
            }
            return { xml in
                xml.list("routeTableSet", of: found.rows) { $0.routeTable($1.row, tables, account: call.network.account) }
                found.finish(&xml)
            }
        },
        "DeleteRouteTable": EC2Operation(one) { call in
            let id = try call.required("RouteTableId")
            try await call.update { try $0.deleteRouteTable(id) }
            return { $0.success() }
        },
        "CreateRoute": EC2Operation(one) { call in
            let (id, route) = (try call.required("RouteTableId"), try call.route())
            try await call.update { try $0.createRoute(id, route) }
            return { $0.success() }
        },
        "ReplaceRoute": EC2Operation(one) { call in
            let (id, route) = (try call.required("RouteTableId"), try call.route())
            try await call.update { try $0.replaceRoute(id, route) }
            return { $0.success() }
        },
        "ReplaceRouteTableAssociation": EC2Operation(one) { call in
            let (id, table) = (try call.required("AssociationId"), try call.required("RouteTableId"))
            let new = try await call.update { try $0.replaceAssociation(id, table) }
            return { xml in
                xml.leaf("newAssociationId", new)
                xml.element("associationState") { $0.leaf("state", "associated") }
            }
        },
        "DeleteRoute": EC2Operation(one) { call in
            let (id, destination) = (try call.required("RouteTableId"), try call.destination())
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
