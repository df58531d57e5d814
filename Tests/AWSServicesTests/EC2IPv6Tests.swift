import AWSProtocol
import Testing

@testable import AWSServices

extension Account {
    fileprivate func id(_ name: String, _ action: String, _ parameters: [String: String] = [:]) async throws -> String {
        try #require(element(name, in: try await ec2(action, parameters)))
    }

    /// A VPC with an IPv6 range, and the first of its /64 ranges.
    fileprivate func dualStack() async throws -> (vpc: String, range: IPv6Block, first: String) {
        let made = try await ec2("CreateVpc", ["CidrBlock": "10.0.0.0/16", "AmazonProvidedIpv6CidrBlock": "true"])
        let range = try #require(element("ipv6CidrBlock", in: made).flatMap { IPv6Block($0) })
        return (try #require(element("vpcId", in: made)), range, "\(range.base)/64")
    }
}

@Suite struct EC2IPv6Tests {
    @Test("IPv6 ranges are read, compared and cut")
    func blocks() throws {
        #expect(IPv6Block("2001:DB8:0:0::7/56")?.description == "2001:db8::/56")
        let outer = try #require(IPv6Block("2001:db8::/56"))
        let inner = try #require(IPv6Block("2001:db8:0:ff::/64"))
        #expect(outer.contains(inner) && !inner.contains(outer) && outer.overlaps(inner))
        #expect(inner.last.description == "2001:db8:0:ff:ffff:ffff:ffff:ffff")
        #expect(IPv6Block("::/0")?.contains(IPv6Address(.max)) == true && IPv6Block("::1/128")?.last.description == "::1")
        for _ in 0..<100 { #expect(inner.contains(inner.randomBlock(80)) && inner.randomBlock(80).prefixLength == 80) }
        #expect(inner.isReserved(IPv6Address(inner.base.value + 3)) && !inner.isReserved(IPv6Address(inner.base.value + 4)))
        for text in ["::", "::/129", "::/-1", "::/08", "10.0.0.0/8", "x/8", "", "::/64/1"] { #expect(IPv6Block(text) == nil) }
    }

    @Test("a VPC's range is its own: unique-local, with a local route in each table and a way out for its groups")
    func ranges() async throws {
        let account = try await Account()
        let (vpc, range, first) = try await account.dualStack()
        #expect(range.prefixLength == 56 && range.description.hasPrefix("fd"))
        let own = ["Filter.1.Name": "vpc-id", "Filter.1.Value.1": vpc]
        #expect(try await account.ec2("DescribeRouteTables", own).contains("<destinationIpv6CidrBlock>\(range)</destinationIpv6CidrBlock>"))
        _ = try await account.ec2("CreateSecurityGroup", ["GroupName": "g", "GroupDescription": "d", "VpcId": vpc])
        #expect(try await account.ec2("DescribeSecurityGroups", own).split(separator: "<cidrIpv6>::/0</cidrIpv6>").count == 3)
        let second = try await account.ec2("AssociateVpcCidrBlock", ["VpcId": vpc, "AmazonProvidedIpv6CidrBlock": "true"])
        let association = try #require(element("associationId", in: second))
        let subnet = try await account.id("subnetId", "CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.0.0/24", "Ipv6CidrBlock": first])
        #expect(try await account.ec2("DescribeSubnets", ["SubnetId.1": subnet]).contains("<ipv6CidrBlock>\(first)</ipv6CidrBlock>"))
        _ = try await account.ec2("DisassociateVpcCidrBlock", ["AssociationId": association])
        #expect(try await account.code("ec2", "DisassociateVpcCidrBlock", ["AssociationId": association]).hasSuffix(".NotFound"))
        let described = try await account.ec2("DescribeVpcs", ["VpcId.1": vpc])
        #expect(described.split(separator: "<ipv6CidrBlock>").count == 2 && described.contains("<ipv6Pool>Amazon</ipv6Pool>"))
        let left = try #require(described.split(separator: "ipv6CidrBlockAssociationSet>").dropFirst().first)
        let kept = try #require(element("associationId", in: String(left)))
        #expect(try await account.code("ec2", "DisassociateVpcCidrBlock", ["AssociationId": kept]) == "DependencyViolation")
    }

    @Test(
        "a subnet takes a part of its VPC's range, once, which no other has",
        arguments: [
            ("AssociateSubnetCidrBlock", "fd99::/64", "InvalidSubnet.Range"), ("AssociateSubnetCidrBlock", "x", "InvalidParameterValue"),
            ("CreateSubnet", "10.0.0.0/8", "InvalidParameterValue"),
        ])
    func refusals(action: String, range: String, code: String) async throws {
        let account = try await Account()
        let (vpc, _, first) = try await account.dualStack()
        let subnet = try await account.id("subnetId", "CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.0.0/24"])
        let bad = ["SubnetId": subnet, "VpcId": vpc, "CidrBlock": "10.0.9.0/24", "Ipv6CidrBlock": range]
        #expect(try await account.code("ec2", action, bad) == code)
        let switched = ["SubnetId": subnet, "AssignIpv6AddressOnCreation.Value": "true"]
        #expect(try await account.code("ec2", "ModifySubnetAttribute", switched) == "InvalidParameterValue")
        let good = ["SubnetId": subnet, "Ipv6CidrBlock": first]
        _ = try await account.ec2("AssociateSubnetCidrBlock", good)
        #expect(try await account.code("ec2", "AssociateSubnetCidrBlock", good) == "InvalidSubnet.Conflict")
        let other = ["VpcId": vpc, "CidrBlock": "10.0.8.0/24", "Ipv6CidrBlock": first]
        #expect(try await account.code("ec2", "CreateSubnet", other) == "InvalidSubnet.Conflict")
        _ = try await account.ec2("ModifySubnetAttribute", switched)
        #expect(try await account.ec2("DescribeSubnets", ["SubnetId.1": subnet]).contains("<assignIpv6AddressOnCreation>true"))
    }

    @Test("interfaces have addresses and prefixes of their subnet, and the range stays while they do")
    func addresses() async throws {
        let account = try await Account()
        let (vpc, _, first) = try await account.dualStack()
        let block = try #require(IPv6Block(first))
        let subnet = try await account.id("subnetId", "CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.0.0/24", "Ipv6CidrBlock": first])
        _ = try await account.ec2("ModifySubnetAttribute", ["SubnetId": subnet, "AssignIpv6AddressOnCreation.Value": "true"])
        let made = try await account.ec2("CreateNetworkInterface", ["SubnetId": subnet])
        let interface = try #require(element("networkInterfaceId", in: made))
        let address = try #require(element("ipv6Address", in: made).flatMap { IPv6Address($0) })
        #expect(block.contains(address) && !block.isReserved(address))
        let assigned = try await account.ec2("AssignIpv6Addresses", ["NetworkInterfaceId": interface, "Ipv6PrefixCount": "1"])
        let prefix = try #require(element("item", in: assigned))
        #expect(IPv6Block(prefix).map { $0.prefixLength == 80 && block.contains($0) } == true)
        let again = ["NetworkInterfaceId": interface, "Ipv6Prefix.1": prefix]
        #expect(try await account.code("ec2", "AssignIpv6Addresses", again) == "InvalidParameterValue")
        let router = ["NetworkInterfaceId": interface, "Ipv6Addresses.1": "\(IPv6Address(block.base.value + 1))"]
        #expect(try await account.code("ec2", "AssignIpv6Addresses", router) == "InvalidParameterValue")
        let found = try await account.ec2("DescribeNetworkInterfaces", ["NetworkInterfaceId.1": interface])
        #expect(found.contains("<ipv6Prefix>\(prefix)</ipv6Prefix>") && found.contains("<ipv6Address>\(address)</ipv6Address>"))
        let association = try #require(
            element("associationId", in: try await account.ec2("DescribeSubnets", ["SubnetId.1": subnet])))
        #expect(try await account.code("ec2", "DisassociateSubnetCidrBlock", ["AssociationId": association]) == "DependencyViolation")
        _ = try await account.ec2("UnassignIpv6Addresses", again.merging(["Ipv6Addresses.1": "\(address)"]) { $1 })
        #expect(try await account.code("ec2", "UnassignIpv6Addresses", again) == "InvalidParameterValue")
        _ = try await account.ec2("DisassociateSubnetCidrBlock", ["AssociationId": association])
    }

    @Test("an instance with IPv6 pods has an address and a prefix in place of secondary addresses")
    func launch() async throws {
        let account = try await Account()
        let (vpc, _, first) = try await account.dualStack()
        let subnet = try await account.id("subnetId", "CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.0.0/24", "Ipv6CidrBlock": first])
        var launch = InstanceLaunch(
            instanceID: "i-0123456789abcdef0", instanceType: "m5.large", imageID: "ami-1", subnetID: subnet, groupIDs: [], podAddresses: 20, tags: [:]
        )
        launch.hasIPv6Pods = true
        let facts = try await account.network.launch(launch)
        let prefix = try #require(facts.ipv6Prefix.flatMap { IPv6Block($0) })
        let address = try #require(facts.ipv6Address.flatMap { IPv6Address($0) })
        #expect(prefix.prefixLength == 80 && facts.subnetIPv6CIDR == first && !prefix.contains(address))
        #expect(facts.podAddresses.isEmpty && facts.interfaceIDs.count == 1)
        #expect(try await account.network.launch(launch) == facts)
        #expect(await account.network.instance(ofNode: facts.privateDNSName)?.ipv6Address == facts.ipv6Address)
        let plain = InstanceLaunch(
            instanceID: "i-0123456789abcdef1", instanceType: "m5.large", imageID: "ami-1", subnetID: subnet, groupIDs: [], podAddresses: 4, tags: [:])
        let other = try await account.network.launch(plain)
        #expect(other.ipv6Address == nil && other.ipv6Prefix == nil && other.podAddresses.count == 4)
    }
}
