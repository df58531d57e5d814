import Machines
import Testing

@testable import AWSServices
@testable import ClusterLifecycle

/// The way from EC2's records to the host's firewall.
@Suite struct SecurityGroupFilterTests {
    private static let vpc = VPCNetwork(vpcID: "vpc-1", cidr: "10.0.0.0/16")

    @Test("a VPC that stands has a firewall of its records, or an empty one") func firewalls() throws {
        let facts = SecurityFacts(
            vpcID: "vpc-1",
            groups: [
                SecurityFacts.Group(
                    id: "sg-1",
                    rules: [
                        .init(isEgress: false, ipProtocol: "tcp", fromPort: 80, toPort: 80, ranges: [try #require(IPv4Block("10.0.0.0/8"))]),
                        .init(isEgress: true, ipProtocol: "-1", ranges: [], groupID: "sg-2"),
                        .init(isEgress: false, ipProtocol: "icmp", fromPort: 999, toPort: -1, ranges: []),
                    ])
            ],
            interfaces: [
                .init(
                    id: "eni-1", addresses: [try #require(IPv4Address("10.0.0.4"))], groupIDs: ["sg-1"], instanceID: "i-1", isBalancer: false)
            ])
        let other = VPCNetwork(vpcID: "vpc-2", cidr: "10.2.0.0/16")
        let firewalls = SecurityGroupFilter.firewalls([Self.vpc, other], [facts])
        #expect(
            firewalls == [
                Firewall(
                    network: Self.vpc,
                    groups: [
                        .init(
                            id: "sg-1",
                            rules: [
                                .init(isEgress: false, traffic: .ports(transport: "tcp", 80...80), peer: .ranges(["10.0.0.0/8"])),
                                .init(isEgress: true, traffic: .all, peer: .group("sg-2")),
                            ])
                    ],
                    interfaces: [.init(id: "eni-1", addresses: ["10.0.0.4"], groupIDs: ["sg-1"], instanceID: "i-1")]),
                Firewall(network: other, groups: [], interfaces: []),
            ])
    }

    @Test("a VPC with IPv6 has a second firewall, of the rules and addresses of IPv6") func ipv6() throws {
        let six = VPCNetwork(vpcID: "vpc-1", cidr: "10.0.0.0/16", ipv6CIDRs: ["2001:db8::/56"])
        let facts = SecurityFacts(
            vpcID: "vpc-1",
            groups: [
                SecurityFacts.Group(
                    id: "sg-1",
                    rules: [
                        .init(isEgress: true, ipProtocol: "-1", ranges: [try #require(IPv4Block("0.0.0.0/0"))]),
                        .init(isEgress: true, ipProtocol: "-1", ranges: [], ipv6Ranges: [try #require(IPv6Block("::/0"))]),
                        .init(isEgress: false, ipProtocol: "icmpv6", fromPort: 128, toPort: -1, ranges: [], groupID: "sg-1"),
                    ])
            ],
            interfaces: [
                .init(
                    id: "eni-1", addresses: [try #require(IPv4Address("10.0.0.4"))], groupIDs: ["sg-1"], instanceID: "i-1", isBalancer: false,
                    ipv6Ranges: [try #require(IPv6Block("2001:db8::7/128")), try #require(IPv6Block("2001:db8:0:0:9::/80"))])
            ])
        let firewalls = SecurityGroupFilter.firewalls([six], [facts])
        #expect(firewalls.count == 2 && firewalls[0].groups[0].rules == [.init(isEgress: true, traffic: .all, peer: .ranges(["0.0.0.0/0"]))])
        #expect(firewalls[0].interfaces[0].addresses == ["10.0.0.4"])
        #expect(
            firewalls[1].groups[0].rules == [
                .init(isEgress: true, traffic: .all, peer: .ranges(["::/0"])),
                .init(isEgress: false, traffic: .icmp(type: 128, code: nil), peer: .group("sg-1")),
            ])
        #expect(firewalls[1].interfaces[0].addresses == ["2001:db8::7/128", "2001:db8:0:0:9::/80"])
    }

    @Test("a cluster's control plane and its nodes have the cluster's group, which lets all its members in") func clusterGroup() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        let cluster = try await world.running {
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
            return try await world.service.describeCluster("demo")
        }
        let facts = try #require(await world.network.security(ofVPCs: [cluster.network.vpcID]).first)
        let own = try #require(cluster.network.clusterSecurityGroupID)
        let firewall = try #require(
            SecurityGroupFilter.firewalls([VPCNetwork(vpcID: cluster.network.vpcID, cidr: cluster.network.vpcCIDR)], [facts]).first)
        let group = try #require(firewall.groups.first { $0.id == own })
        #expect(group.rules.contains(.init(isEgress: false, traffic: .all, peer: .group(own))))
        #expect(group.rules.contains(.init(isEgress: true, traffic: .all, peer: .ranges(["0.0.0.0/0"]))))
        #expect(group.rules.contains(.init(isEgress: true, traffic: .all, peer: .group(own))) && group.rules.count == 3)
        let interfaces = firewall.interfaces.filter { cluster.network.networkInterfaceIDs.contains($0.id) }
        #expect(!interfaces.isEmpty && interfaces.allSatisfy { $0.groupIDs.contains(own) && !$0.isBalancer })
    }
}
