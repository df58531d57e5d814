import AWSProtocol
import Testing

@testable import AWSServices

/// What security groups' filter is told of the records.
@Suite struct SecurityFactsTests {
    @Test("groups come with their rules, prefix lists with their ranges, interfaces with all their addresses")
    func facts() async throws {
        let account = try await Account()
        let vpc = try #require(element("vpcId", in: try await account.ec2("CreateVpc", ["CidrBlock": "10.0.0.0/16"])))
        let subnet = try #require(element("subnetId", in: try await account.ec2("CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.0.0/24"])))
        let created = try await account.ec2("CreateSecurityGroup", ["GroupName": "g", "GroupDescription": "g", "VpcId": vpc])
        let group = try #require(element("groupId", in: created))
        let list = try #require(
            element(
                "prefixListId",
                in: try await account.ec2(
                    "CreateManagedPrefixList",
                    [
                        "PrefixListName": "l", "AddressFamily": "IPv4", "MaxEntries": "3", "Entry.1.Cidr": "10.9.0.0/16",
                        "Entry.2.Cidr": "10.9.1.0/24",
                        "Entry.3.Cidr": "10.8.0.0/16",
                    ])))
        for rule in [
            [
                "IpPermissions.1.IpProtocol": "tcp", "IpPermissions.1.FromPort": "80", "IpPermissions.1.ToPort": "81",
                "IpPermissions.1.IpRanges.1.CidrIp": "10.0.0.7/8",
            ],
            ["IpPermissions.1.IpProtocol": "-1", "IpPermissions.1.PrefixListIds.1.PrefixListId": list],
            ["IpPermissions.1.IpProtocol": "-1", "IpPermissions.1.Groups.1.GroupId": group],
            ["IpPermissions.1.IpProtocol": "-1", "IpPermissions.1.Ipv6Ranges.1.CidrIpv6": "::/0"],
        ] { _ = try await account.ec2("AuthorizeSecurityGroupIngress", rule.merging(["GroupId": group]) { $1 }) }
        let launch = InstanceLaunch(
            instanceID: "i-1", instanceType: "t3.small", imageID: "ami", subnetID: subnet, groupIDs: [group], podAddresses: 2, tags: [:])
        let instance = try await account.network.launch(launch)
        let balancer = try await account.network.ensureInterface(
            ownerToken: "b", subnetID: subnet, description: "ELB net/x", groupIDs: [], tags: [:])
        _ = try await account.ec2("CreateNetworkInterface", ["SubnetId": subnet, "Description": "ELB net/mine"])

        let all = await account.network.security(ofVPCs: [vpc, "vpc-none"])
        let facts = try #require(all.first)
        #expect(all.count == 1 && facts.vpcID == vpc)
        let rules = try #require(facts.groups.first { $0.id == group }).rules
        #expect(rules.map(\.isEgress) == [true, false, false, false], "the rule of IPv6 is no concern of it")
        #expect(rules[1].ranges.map(\.description) == ["10.0.0.0/8"] && rules[1].fromPort == 80 && rules[1].toPort == 81)
        #expect(rules[2].ranges.map(\.description) == ["10.8.0.0/16", "10.9.0.0/16"] && rules[2].ipProtocol == "-1")
        #expect(rules[3].groupID == group && rules[3].ranges.isEmpty)
        let own = facts.interfaces.filter { $0.instanceID == "i-1" }
        #expect(Set(own.flatMap(\.addresses).map(\.description)) == Set([instance.primaryAddress] + instance.podAddresses))
        #expect(own.allSatisfy { $0.groupIDs == [group] && !$0.isBalancer })
        #expect(facts.interfaces.filter(\.isBalancer).map(\.id) == [balancer.id], "a user's interface is none, whatever it is called")
    }

    @Test("an interface can be given other groups, of its VPC, and its instance has them")
    func otherGroups() async throws {
        let account = try await Account()
        let vpc = try #require(element("vpcId", in: try await account.ec2("CreateVpc", ["CidrBlock": "10.0.0.0/16"])))
        let subnet = try #require(element("subnetId", in: try await account.ec2("CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.0.0/24"])))
        let created = try await account.ec2("CreateSecurityGroup", ["GroupName": "g", "GroupDescription": "g", "VpcId": vpc])
        let group = try #require(element("groupId", in: created))
        let foreign = try #require(
            element("groupId", in: try await account.ec2("CreateSecurityGroup", ["GroupName": "g", "GroupDescription": "g"])))
        let launch = InstanceLaunch(
            instanceID: "i-1", instanceType: "t3.small", imageID: "ami", subnetID: subnet, groupIDs: [], podAddresses: 2, tags: [:])
        let interface = try #require(try await account.network.launch(launch).interfaceIDs.first)
        let service = try await account.network.ensureInterface(ownerToken: "s", subnetID: subnet, description: "x", groupIDs: [], tags: [:])
        func change(_ id: String, _ parameters: [String: String]) async throws -> String {
            try await account.code("ec2", "ModifyNetworkInterfaceAttribute", parameters.merging(["NetworkInterfaceId": id]) { $1 })
        }
        #expect(try await change(interface, ["SecurityGroupId.1": foreign]) == "InvalidParameter")
        #expect(try await change(interface, ["SecurityGroupId.1": "sg-none"]) == "InvalidGroup.NotFound")
        #expect(try await change(interface, [:]) == "MissingParameter")
        #expect(try await change(interface, ["SourceDestCheck.Value": "false"]) == "UnsupportedOperation")
        #expect(try await change("eni-none", ["SecurityGroupId.1": group]) == "InvalidNetworkInterfaceID.NotFound")
        #expect(try await change(service.id, ["SecurityGroupId.1": group]) == "OperationNotPermitted")
        _ = try await change(interface, ["SecurityGroupId.1": group, "SecurityGroupId.2": group])
        let facts = try #require(await account.network.security(ofVPCs: [vpc]).first)
        #expect(facts.interfaces.first { $0.id == interface }?.groupIDs == [group])
        #expect(try await account.ec2("DescribeInstances", ["InstanceId.1": "i-1"]).contains(group))
    }

    @Test("what filters is told of groups, interfaces and prefix lists, and of nothing else")
    func changes() async throws {
        let account = try await Account()
        let changes = await account.network.securityChanges()
        let vpc = try #require(element("vpcId", in: try await account.ec2("CreateVpc", ["CidrBlock": "10.0.0.0/16"])))
        var iterator = changes.makeAsyncIterator()
        await iterator.next()  // The VPC's default group.
        _ = try await account.ec2("CreateTags", ["ResourceId.1": vpc, "Tag.1.Key": "a", "Tag.1.Value": "b"])
        _ = try await account.ec2("CreateManagedPrefixList", ["PrefixListName": "l", "AddressFamily": "IPv4", "MaxEntries": "3"])
        await iterator.next()
        _ = try await account.ec2("CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.0.0/24"])
        #expect(await !isTold(changes))
    }

    @Test(
        "of ranges those that lie in others are left out",
        arguments: [
            (["10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/8"], ["10.0.0.0/8", "11.0.0.0/8"]), ([], []),
            (["0.0.0.0/0", "255.255.255.255/32"], ["0.0.0.0/0"]),
            (["10.0.1.0/24", "10.0.0.0/24", "10.0.1.0/24"], ["10.0.0.0/24", "10.0.1.0/24"]), (["10.0.0.0/16", "10.0.0.0/8"], ["10.0.0.0/8"]),
        ])
    func outermost(given: [String], expected: [String]) {
        #expect(IPv4Block.outermost(given.compactMap { IPv4Block($0) }).map(\.description) == expected)
    }
}
