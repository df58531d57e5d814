import AWSProtocol
import AWSServices
import Testing

@testable import ClusterLifecycle

extension World {
    /// The subnets of a VPC of both families; new interfaces have IPv6 addresses.
    fileprivate func dualStackSubnets(assigns: Bool = true) async throws -> [String] {
        let made = try await call(ec2, "CreateVpc", ["CidrBlock": "10.0.0.0/16", "AmazonProvidedIpv6CidrBlock": "true"])
        let vpc = try #require(text("vpcId", made))
        let range = try #require(text("ipv6CidrBlock", made).flatMap { IPv6Block($0) })
        var ids: [String] = []
        for (index, zone) in ["eu-central-1a", "eu-central-1b"].enumerated() {
            let part = IPv6Address(range.base.value + UInt128(index) << 64)
            let input = ["VpcId": vpc, "CidrBlock": "10.0.\(index).0/24", "Ipv6CidrBlock": "\(part)/64", "AvailabilityZone": zone]
            let id = try #require(text("subnetId", try await call(ec2, "CreateSubnet", input)))
            if assigns { _ = try await call(ec2, "ModifySubnetAttribute", ["SubnetId": id, "AssignIpv6AddressOnCreation.Value": "true"]) }
            ids.append(id)
        }
        return ids
    }
}

@Suite struct IPv6Tests {
    @Test("an IPv6 cluster has a unique-local service range; its nodes an address and a prefix of their subnets")
    func cluster() async throws {
        let world = try await World()
        let subnets = try await world.dualStackSubnets()
        try await world.running {
            let cluster = try await world.createCluster(subnets) { $0.isIPv6 = true }
            let services = try #require(cluster.network.serviceIPv6CIDR.flatMap { IPv6Block($0) })
            #expect(services.prefixLength == 108 && IPv6Block("fc00::/7")?.contains(services) == true && cluster.network.serviceIPv4CIDR.isEmpty)
            #expect(cluster.network.serviceCIDR == services.description && cluster.network.vpcIPv6CIDRs?.count == 1)
            try await world.cluster(.active)
            let active = try await world.service.describeCluster("demo")
            #expect(await world.network.ipv6Addresses(ofInterfaces: active.network.networkInterfaceIDs).count == 2)
            _ = try await world.createNodegroup(subnets)
            try await world.nodegroup(.active)
            let specs = await world.hosts.specs.values
            #expect(!specs.isEmpty)
            for spec in specs {
                let ipv6 = try #require(spec.ipv6)
                let (subnet, prefix) = (try #require(IPv6Block(ipv6.subnetCIDR)), try #require(IPv6Block(ipv6.prefix)))
                #expect(subnet.contains(prefix) && prefix.prefixLength == 80 && spec.podAddresses.isEmpty)
                #expect(IPv6Address(ipv6.address).map(subnet.contains) == true && IPv4Block(spec.subnetCIDR) != nil)
            }
        }
    }

    @Test("the public endpoint's ranges are of both families, and those of IPv6 let nobody in: the listener has an IPv4 address only")
    func publicRanges() async throws {
        let world = try await World()
        let subnets = try await world.dualStackSubnets()
        try await world.running {
            let cluster = try await world.createCluster(subnets) { $0.isIPv6 = true }
            #expect(cluster.network.publicAccessCIDRs == ["0.0.0.0/0", "::/0"])
            try await world.cluster(.active)
            let ranges = EndpointAccessUpdate(publicCIDRs: ["2001:DB8::7/32", "127.0.0.2/32"])
            _ = try await world.service.updateClusterConfig("demo", .endpointAccess(ranges), token: nil, caller: world.caller)
            try await world.cluster(.active)
            let changed = try await world.service.describeCluster("demo").network
            #expect(changed.publicAccessCIDRs == ["2001:db8::/32", "127.0.0.2/32"])
            let admits = LocalControlPlaneHost.publicAccess(changed)
            #expect(admits("127.0.0.2") && !admits("127.0.0.1") && !admits("2001:db8::1"))
            let bad = EndpointAccessUpdate(publicCIDRs: ["::/129"])
            let error = await refusal {
                _ = try await world.service.updateClusterConfig("demo", .endpointAccess(bad), token: nil, caller: world.caller)
            }
            #expect(error?.message == "The following CIDRs are invalid in publicAccessCidrs: [::/129]")
        }
    }

    @Test("an IPv4 cluster takes no part in it, whatever its subnets have")
    func ipv4() async throws {
        let world = try await World()
        let subnets = try await world.dualStackSubnets(assigns: false)
        let cluster = try await world.createCluster(subnets)
        #expect(!cluster.network.isIPv6 && cluster.network.serviceCIDR == "172.20.0.0/16" && cluster.network.vpcIPv6CIDRs == nil)
    }

    @Test("CreateCluster refuses what an IPv6 cluster cannot have")
    func refusals() async throws {
        let world = try await World()
        let (plain, dual) = (try await world.subnets(), try await world.dualStackSubnets())
        func message(_ subnets: [String], _ change: @escaping (inout CreateClusterInput) -> Void = { _ in }) async -> String {
            let error = await refusal {
                _ = try await world.createCluster(subnets, name: "x") {
                    $0.isIPv6 = true
                    change(&$0)
                }
            }
            return error.map { "\($0.code): \($0.message)" } ?? ""
        }
        #expect(await message(plain).contains("has no IPv6 CIDR block"))
        #expect(await message(plain).hasPrefix("InvalidParameterException"))
        #expect(await message(dual) { $0.serviceIPv4CIDR = "10.100.0.0/16" }.contains("serviceIpv4Cidr cannot be specified"))
        let described = try await world.call(world.ec2, "DescribeSubnets", ["SubnetId.1": dual[0]])
        let association = try #require(world.text("associationId", described))
        _ = try await world.call(world.ec2, "DisassociateSubnetCidrBlock", ["AssociationId": association])
        #expect(await message(dual).contains("must have an IPv6 CIDR block: \(dual[0]) have none"))
    }

    @Test("nodes need subnets that assign IPv6 addresses: the group says so")
    func assignment() async throws {
        let world = try await World()
        let subnets = try await world.dualStackSubnets(assigns: false)
        try await world.running {
            _ = try await world.createCluster(subnets) { $0.isIPv6 = true }
            try await world.cluster(.active)
            _ = try await world.createNodegroup(subnets)
            try await until("the group's issue") {
                let group = try? await world.service.describeNodegroup("demo", "ng")
                return group?.health.contains { $0.code == "Ec2SubnetMissingIpv6Assignment" } == true
            }
        }
    }
}
