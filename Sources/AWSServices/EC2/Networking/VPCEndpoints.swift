import AWSProtocol

/// The services that a VPC's endpoints lead to. They are names: nothing answers at them but what Eyrie serves itself.
enum EndpointServices {
    static let gateways = ["s3", "dynamodb"]
    static let interfaces = [
        "autoscaling", "ec2", "ec2messages", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing", "kms", "logs", "monitoring", "sqs",
        "ssm",
        "ssmmessages", "sts",
    ]

    static func names(_ services: [String], region: String) -> [String] { services.map { "com.amazonaws.\(region).\($0)" } }

    static let openPolicy = #"{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}],"Version":"2008-10-17"}"#
}

extension EC2Tables {
    func endpoint(_ id: String) throws(AWSError) -> VPCEndpointRecord {
        guard let found = endpoints[id] else { throw AWSError("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '\(id)' does not exist") }
        return found
    }

    /// Makes an endpoint's routes, or its interfaces, follow its record. Throws what route tables, subnets and groups lack.
    fileprivate mutating func realise(_ endpoint: VPCEndpointRecord, prefixListID: String?, now: Double) throws(AWSError) {
        var endpoint = endpoint
        _ = try vpc(endpoint.vpcID)
        for id in endpoint.routeTableIDs {
            guard try routeTable(id).vpcID == endpoint.vpcID else {
                throw EC2Fault.invalidValue("route table \(id) and endpoint \(endpoint.id) belong to different networks")
            }
        }
        if let prefixListID {
            for var table in routeTables.values {
                let isWanted = endpoint.routeTableIDs.contains(table.id)
                guard isWanted != table.routes.contains(where: { $0.gatewayID == endpoint.id }) else { continue }
                if isWanted {
                    table.routes.append(RouteRecord(destination: prefixListID, gatewayID: endpoint.id))
                } else {
                    table.routes.removeAll { $0.gatewayID == endpoint.id }
                }
                routeTables[table.id] = table
            }
        }
        for id in endpoint.interfaceIDs where !endpoint.subnetIDs.contains(interfaces[id]?.subnetID ?? "") { removeInterface(id) }
        endpoint.interfaceIDs.removeAll { interfaces[$0] == nil }
        for subnetID in endpoint.subnetIDs where !endpoint.interfaceIDs.contains(where: { interfaces[$0]?.subnetID == subnetID }) {
            guard try subnet(subnetID).vpcID == endpoint.vpcID else {
                throw EC2Fault.invalidValue("subnet \(subnetID) and endpoint \(endpoint.id) belong to different networks")
            }
            var interface = try createInterface(
                subnetID: subnetID, description: "VPC Endpoint Interface \(endpoint.id)", groupIDs: endpoint.groupIDs, secondary: 0,
                isRequesterManaged: true)
            interface.interfaceType = "vpc_endpoint"
            interface.attachment = NetworkInterfaceRecord.Attachment(id: AWSIdentifier.resource("ela-attach"), deviceIndex: 1, attachedAt: now)
            put(interface)
            endpoint.interfaceIDs.append(interface.id)
        }
        for id in endpoint.interfaceIDs {
            guard var interface = interfaces[id], interface.groupIDs != endpoint.groupIDs, !endpoint.groupIDs.isEmpty else { continue }
            for group in endpoint.groupIDs { _ = try securityGroup(group) }
            interface.groupIDs = endpoint.groupIDs
            put(interface)
        }
        if endpoint.groupIDs.isEmpty { endpoint.groupIDs = endpoint.interfaceIDs.first.flatMap { interfaces[$0]?.groupIDs } ?? [] }
        endpoints[endpoint.id] = endpoint
    }

    fileprivate mutating func deleteEndpoint(_ id: String) throws(AWSError) {
        let endpoint = try endpoint(id)
        for interface in endpoint.interfaceIDs { removeInterface(interface) }
        for var table in routeTables.values where table.routes.contains(where: { $0.gatewayID == id }) {
            table.routes.removeAll { $0.gatewayID == id }
            routeTables[table.id] = table
        }
        endpoints[id] = nil
        tags[id] = nil
    }
}

extension EC2Call {
    fileprivate func newEndpoint() throws(AWSError) -> VPCEndpointRecord {
        let (vpcID, service, type) = (try required("VpcId"), try required("ServiceName"), parameters["VpcEndpointType"] ?? "Gateway")
        let gateways = EndpointServices.names(EndpointServices.gateways, region: network.region)
        let interfaces = EndpointServices.names(EndpointServices.interfaces + EndpointServices.gateways, region: network.region)
        guard (type == "Gateway" && gateways.contains(service)) || (type == "Interface" && interfaces.contains(service)) else {
            throw AWSError("InvalidServiceName", "The Vpc Endpoint Service '\(service.prefix(200))' does not exist as \(type.prefix(40))")
        }
        let policy = parameters["PolicyDocument"] ?? EndpointServices.openPolicy
        _ = try PolicyDocument(policy)
        let endpoint = VPCEndpointRecord(
            id: AWSIdentifier.resource("vpce"), type: type, vpcID: vpcID, serviceName: service, policy: policy,
            routeTableIDs: parameters.strings("RouteTableId"), subnetIDs: parameters.strings("SubnetId"),
            groupIDs: parameters.strings("SecurityGroupId"),
            interfaceIDs: [], isPrivateDNSEnabled: type == "Interface" && parameters["PrivateDnsEnabled"] != "false", createdAt: network.clock.now,
            clientToken: parameters["ClientToken"])
        guard type == "Interface" || endpoint.subnetIDs.isEmpty, type == "Gateway" || endpoint.routeTableIDs.isEmpty else {
            throw AWSError("InvalidParameter", "Gateway endpoints have route tables, interface endpoints have subnets.")
        }
        return endpoint
    }

    fileprivate func change(_ endpoint: inout VPCEndpointRecord) throws(AWSError) {
        func changed(_ list: [String], _ name: String) -> [String] {
            let removed = Set(parameters.strings("Remove" + name))
            let kept = list.filter { !removed.contains($0) }
            return kept + parameters.strings("Add" + name).filter { !kept.contains($0) }
        }
        if let policy = parameters["PolicyDocument"] {
            _ = try PolicyDocument(policy)
            endpoint.policy = policy
        }
        if parameters["ResetPolicy"] == "true" { endpoint.policy = EndpointServices.openPolicy }
        if let flag = parameters["PrivateDnsEnabled"] { endpoint.isPrivateDNSEnabled = flag == "true" }
        endpoint.routeTableIDs = changed(endpoint.routeTableIDs, "RouteTableId")
        endpoint.subnetIDs = changed(endpoint.subnetIDs, "SubnetId")
        endpoint.groupIDs = changed(endpoint.groupIDs, "SecurityGroupId")
    }
}

extension XMLWriter {
    fileprivate mutating func vpcEndpoint(_ endpoint: VPCEndpointRecord, _ tables: EC2Tables, _ network: EC2Network) {
        leaf("vpcEndpointId", endpoint.id)
        leaf("vpcEndpointType", endpoint.type)
        leaf("vpcId", endpoint.vpcID)
        leaf("serviceName", endpoint.serviceName)
        leaf("state", "available")
        leaf("policyDocument", endpoint.policy)
        element("routeTableIdSet") { xml in for id in endpoint.routeTableIDs { xml.leaf("item", id) } }
        element("subnetIdSet") { xml in for id in endpoint.subnetIDs { xml.leaf("item", id) } }
        groupSet(endpoint.groupIDs, tables)
        leaf("ipAddressType", "ipv4")
        element("dnsOptions") { $0.leaf("dnsRecordIpType", "ipv4") }
        leaf("privateDnsEnabled", endpoint.isPrivateDNSEnabled)
        leaf("requesterManaged", false)
        element("networkInterfaceIdSet") { xml in for id in endpoint.interfaceIDs { xml.leaf("item", id) } }
        let service = endpoint.serviceName.split(separator: ".").dropFirst(3).joined(separator: ".")
        list("dnsEntrySet", of: endpoint.type == "Interface" ? [""] : []) { xml, _ in
            xml.leaf("dnsName", "\(endpoint.id).\(service).\(network.region).vpce.amazonaws.com")
        }
        leaf("creationTimestamp", AWSTimestamp.extendedMilliseconds(endpoint.createdAt))
        leaf("ownerId", network.account)
        leaf("serviceRegion", network.region)
        ec2Tags(tables.tags(of: endpoint.id))
    }
}

extension EC2Service {
    static let endpointOperations: [String: EC2Operation] = [
        "CreateVpcEndpoint": EC2Operation("vpc-endpoint/*") { call in
            let (asked, tags, now) = (try call.newEndpoint(), try call.tags(for: "vpc-endpoint"), call.network.clock.now)
            let list = asked.type == "Gateway" ? call.network.prefixListID(ofService: asked.serviceName) : nil
            let (endpoint, tables) = try await call.update { tables in
                if let token = asked.clientToken, let known = tables.endpoints.values.first(where: { $0.clientToken == token }) {
                    return (known, tables)
                }
                try tables.realise(asked, prefixListID: list, now: now)
                tables.setTags(tags, on: asked.id)
                return (try tables.endpoint(asked.id), tables)
            }
            return { xml in
                xml.element("vpcEndpoint") { $0.vpcEndpoint(endpoint, tables, call.network) }
                xml.leaf("clientToken", endpoint.clientToken)
            }
        },
        "ModifyVpcEndpoint": EC2Operation("vpc-endpoint/{VpcEndpointId}") { call in
            let (id, now) = (try call.required("VpcEndpointId"), call.network.clock.now)
            try await call.update { tables in
                var endpoint = try tables.endpoint(id)
                try call.change(&endpoint)
                let list = endpoint.type == "Gateway" ? call.network.prefixListID(ofService: endpoint.serviceName) : nil
                try tables.realise(endpoint, prefixListID: list, now: now)
            }
            return { $0.success() }
        },
        "DeleteVpcEndpoints": EC2Operation("vpc-endpoint/*") { call in
            let ids = call.parameters.strings("VpcEndpointId")
            guard !ids.isEmpty else { throw EC2Fault.missingParameter("vpcEndpointIds") }
            let missing = try await call.update { tables in
                let missing = ids.filter { tables.endpoints[$0] == nil }
                for id in ids where tables.endpoints[id] != nil { try tables.deleteEndpoint(id) }
                return missing
            }
            return { xml in
                xml.list("unsuccessful", of: missing) { xml, id in
                    xml.leaf("resourceId", id)
                    xml.element("error") { xml in
                        xml.leaf("code", "InvalidVpcEndpoint.NotFound")
                        xml.leaf("message", "The Vpc Endpoint Id '\(id)' does not exist")
                    }
                }
            }
        },
        "DescribeVpcEndpoints": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let found = try call.describe(
                tables.endpoints.rows, ids: call.parameters.strings("VpcEndpointId"), tags: tables.tags.rows,
                missing: { AWSError("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '\($0)' does not exist") }
            ) { endpoint, filter in
                switch filter {
                case "vpc-endpoint-id": [endpoint.id]
                case "vpc-endpoint-type": [endpoint.type]
                case "vpc-id": [endpoint.vpcID]
                case "service-name": [endpoint.serviceName]
                case "vpc-endpoint-state": ["available"]
                case "ip-address-type": ["ipv4"]
                default: nil
                }
            }
            return { xml in
                xml.list("vpcEndpointSet", of: found.rows) { $0.vpcEndpoint($1.row, tables, call.network) }
                found.finish(&xml)
            }
        },
        "DescribeVpcEndpointServices": EC2Operation("*") { try describeServices($0) },
    ]

    private static func describeServices(_ call: EC2Call) throws -> (inout XMLWriter) -> Void {
        let region = call.network.region
        let kinds = [("Gateway", EndpointServices.gateways), ("Interface", EndpointServices.interfaces)]
        var services: [String: String] = [:]
        for (kind, names) in kinds { for name in EndpointServices.names(names, region: region) { services[name] = kind } }
        let found = try call.describe(
            services, ids: call.parameters.strings("ServiceName"), tags: [:],
            missing: { AWSError("InvalidServiceName", "The Vpc Endpoint Service '\($0.prefix(200))' does not exist") }
        ) { kind, filter in
            switch filter {
            case "service-type": [kind]
            case "service-name": services.filter { $0.value == kind }.map(\.key)
            case "owner": ["amazon"]
            default: nil
            }
        }
        return { xml in
            xml.element("serviceNameSet") { xml in for entry in found.rows { xml.leaf("item", entry.id) } }
            xml.list("serviceDetailSet", of: found.rows) { xml, entry in
                xml.leaf("serviceName", entry.id)
                xml.leaf("serviceId", "vpce-svc-" + CanonicalRequest.hash(of: Array(entry.id.utf8)).prefix(17))
                xml.list("serviceType", of: [entry.row]) { $0.leaf("serviceType", $1) }
                xml.leaf("serviceRegion", region)
                xml.element("availabilityZoneSet") { xml in for zone in call.network.zones.zones { xml.leaf("item", zone.name) } }
                xml.leaf("owner", "amazon")
                xml.leaf("vpcEndpointPolicySupported", true)
                xml.leaf("acceptanceRequired", false)
                xml.leaf("managesVpcEndpoints", false)
                xml.element("supportedIpAddressTypeSet") { $0.leaf("item", "ipv4") }
            }
            found.finish(&xml)
        }
    }
}
