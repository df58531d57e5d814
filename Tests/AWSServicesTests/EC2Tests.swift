import AWSProtocol
import Testing

@testable import AWSServices

@Suite struct EC2Tests {
    @Test("ranges are read, compared and counted")
    func blocks() {
        #expect(IPv4Block("10.0.0.7/16")?.description == "10.0.0.0/16")
        #expect(IPv4Block("10.0.0.0/24")?.usable == 251 && IPv4Block("10.0.0.0/28")?.usable == 11)
        #expect(IPv4Block("0.0.0.0/0")?.contains(IPv4Address(0xFFFF_FFFF)) == true)
        #expect(IPv4Block("10.0.1.0/24")?.overlaps(IPv4Block("10.0.0.0/16")!) == true)
        for text in ["10.0.0.0", "10.0.0/8", "10.0.0.256/8", "10.0.0.0/33", "10.0.0.0/-1", "010.0.0.0/8", "10.0.0.0/08", ""] {
            #expect(IPv4Block(text) == nil)
        }
    }

    @Test("a new region has its default VPC with a subnet in each zone")
    func defaults() async throws {
        let account = try await Account()
        let vpcs = try await account.ec2("DescribeVpcs", ["Filter.1.Name": "is-default", "Filter.1.Value.1": "true"])
        #expect(element("cidrBlock", in: vpcs) == "172.31.0.0/16")
        let subnets = try await account.ec2("DescribeSubnets")
        #expect(subnets.split(separator: "<subnetId>").count == 4 && subnets.contains("<availableIpAddressCount>4091</availableIpAddressCount>"))
        #expect(subnets.contains("<availabilityZoneId>euc1-az1</availabilityZoneId>"))
    }

    @Test("VPCs and subnets are made, described and removed with EC2's refusals")
    func networks() async throws {
        let account = try await Account()
        let vpc = try #require(
            element(
                "vpcId",
                in: try await account.ec2(
                    "CreateVpc",
                    [
                        "CidrBlock": "10.0.0.0/16", "TagSpecification.1.ResourceType": "vpc", "TagSpecification.1.Tag.1.Key": "Name",
                        "TagSpecification.1.Tag.1.Value": "v",
                    ])))
        #expect(try await account.ec2("DescribeVpcs", ["Filter.1.Name": "tag:Name", "Filter.1.Value.1": "v*"]).contains(vpc))
        #expect(try await account.code("ec2", "CreateVpc", ["CidrBlock": "10.0.0.0/8"]) == "InvalidVpc.Range")
        #expect(try await account.code("ec2", "CreateVpc", ["CidrBlock": "x"]) == "InvalidParameterValue")
        #expect(try await account.code("ec2", "CreateVpc") == "MissingParameter")
        let subnet = try #require(
            element(
                "subnetId",
                in: try await account.ec2("CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.1.0/24", "AvailabilityZone": "eu-central-1b"])))
        #expect(try await account.code("ec2", "CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.1.128/25"]) == "InvalidSubnet.Conflict")
        #expect(try await account.code("ec2", "CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.1.0.0/24"]) == "InvalidSubnet.Range")
        #expect(try await account.code("ec2", "CreateSubnet", ["VpcId": "vpc-1", "CidrBlock": "10.0.2.0/24"]) == "InvalidVpcID.NotFound")
        #expect(
            try await account.code("ec2", "CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.2.0/24", "AvailabilityZone": "z"])
                == "InvalidParameterValue")
        #expect(try await account.code("ec2", "DeleteVpc", ["VpcId": vpc]) == "DependencyViolation")
        #expect(try await account.code("ec2", "DescribeSubnets", ["Filter.1.Name": "no-such", "Filter.1.Value.1": "x"]) == "InvalidParameterValue")
        _ = try await account.ec2("ModifyVpcAttribute", ["VpcId": vpc, "EnableDnsHostnames.Value": "true"])
        #expect(
            try await account.ec2("DescribeVpcAttribute", ["VpcId": vpc, "Attribute": "enableDnsHostnames"]).contains(
                "<enableDnsHostnames><value>true</value>"))
        _ = try await account.ec2("DeleteSubnet", ["SubnetId": subnet])
        _ = try await account.ec2("DeleteVpc", ["VpcId": vpc])
        #expect(try await account.code("ec2", "DescribeVpcs", ["VpcId.1": vpc]) == "InvalidVpcID.NotFound")
        #expect(try await account.code("ec2", "CreateVpc", ["CidrBlock": "10.0.0.0/16", "DryRun": "true"]) == "DryRunOperation")
    }

    @Test("attributes of VPCs and subnets that have no effect are kept and shown, those of subnets as Terraform's module sets them")
    func attributes() async throws {
        let account = try await Account()
        let vpc = try #require(element("vpcId", in: try await account.ec2("CreateVpc", ["CidrBlock": "10.0.0.0/16"])))
        let subnet = try #require(element("subnetId", in: try await account.ec2("CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.0.0/24"])))
        let metrics = ["VpcId": vpc, "Attribute": "enableNetworkAddressUsageMetrics"]
        func shows(_ value: Bool) async throws -> Bool {
            try await account.ec2("DescribeVpcAttribute", metrics).contains(
                "<enableNetworkAddressUsageMetrics><value>\(value)</value></enableNetworkAddressUsageMetrics>")
        }
        #expect(try await shows(false))
        let on = ["VpcId": vpc, "EnableNetworkAddressUsageMetrics.Value": "true"]
        _ = try await account.ec2("ModifyVpcAttribute", on)
        #expect(try await shows(true))
        let two = on.merging(["EnableDnsSupport.Value": "true"]) { $1 }
        #expect(try await account.code("ec2", "ModifyVpcAttribute", two) == "InvalidParameterCombination")
        #expect(try await account.code("ec2", "ModifyVpcAttribute", ["VpcId": vpc]) == "InvalidParameterCombination")

        let flags = [
            ("EnableDns64", "enableDns64"), ("EnableResourceNameDnsARecordOnLaunch", "enableResourceNameDnsARecord"),
            ("EnableResourceNameDnsAAAARecordOnLaunch", "enableResourceNameDnsAAAARecord"),
        ]
        for (attribute, element) in flags {
            func described() async throws -> String { try await account.ec2("DescribeSubnets", ["SubnetId.1": subnet]) }
            #expect(try await described().contains("<\(element)>false</\(element)>"))
            for value in ["true", "false"] {
                _ = try await account.ec2("ModifySubnetAttribute", ["SubnetId": subnet, "\(attribute).Value": value])
                #expect(try await described().contains("<\(element)>\(value)</\(element)>"))
            }
            #expect(
                try await account.code("ec2", "ModifySubnetAttribute", ["SubnetId": subnet, "\(attribute).Value": "x"]) == "InvalidParameterValue")
        }
        _ = try await account.ec2("ModifySubnetAttribute", ["SubnetId": subnet, "PrivateDnsHostnameTypeOnLaunch": "ip-name"])
        let named = ["SubnetId": subnet, "PrivateDnsHostnameTypeOnLaunch": "resource-name"]
        #expect(try await account.code("ec2", "ModifySubnetAttribute", named) == "UnsupportedOperation")
    }

    @Test("security groups keep their rules, once each")
    func groups() async throws {
        let account = try await Account()
        let id = try #require(element("groupId", in: try await account.ec2("CreateSecurityGroup", ["GroupName": "web", "GroupDescription": "d"])))
        let rule = [
            "GroupId": id, "IpPermissions.1.IpProtocol": "tcp", "IpPermissions.1.FromPort": "80", "IpPermissions.1.ToPort": "443",
            "IpPermissions.1.IpRanges.1.CidrIp": "0.0.0.0/0", "IpPermissions.1.Groups.1.GroupId": id,
        ]
        #expect(try await account.ec2("AuthorizeSecurityGroupIngress", rule).split(separator: "<securityGroupRuleId>").count == 3)
        #expect(try await account.code("ec2", "AuthorizeSecurityGroupIngress", rule) == "InvalidPermission.Duplicate")
        let described = try await account.ec2("DescribeSecurityGroups", ["GroupId.1": id])
        #expect(
            described.contains("<fromPort>80</fromPort><toPort>443</toPort>")
                && described.contains("<ipPermissionsEgress><item><ipProtocol>-1</ipProtocol>"))
        _ = try await account.ec2("RevokeSecurityGroupIngress", rule)
        #expect(try await account.code("ec2", "RevokeSecurityGroupIngress", rule) == "InvalidPermission.NotFound")
        #expect(try await account.code("ec2", "CreateSecurityGroup", ["GroupName": "web", "GroupDescription": "d"]) == "InvalidGroup.Duplicate")
        let standard = try await account.ec2("DescribeSecurityGroups", ["Filter.1.Name": "group-name", "Filter.1.Value.1": "default"])
        #expect(try await account.code("ec2", "DeleteSecurityGroup", ["GroupId": try #require(element("groupId", in: standard))]) == "CannotDelete")
        _ = try await account.ec2("DeleteSecurityGroup", ["GroupId": id])
    }

    @Test("gateways, routes and associations hold each other")
    func routes() async throws {
        let account = try await Account()
        let vpc = try #require(element("vpcId", in: try await account.ec2("CreateVpc", ["CidrBlock": "10.0.0.0/16"])))
        let subnet = try #require(element("subnetId", in: try await account.ec2("CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.0.0/24"])))
        let gateway = try #require(element("internetGatewayId", in: try await account.ec2("CreateInternetGateway")))
        let table = try #require(element("routeTableId", in: try await account.ec2("CreateRouteTable", ["VpcId": vpc])))
        let route = ["RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway]
        #expect(try await account.code("ec2", "CreateRoute", route) == "InvalidParameterValue")
        _ = try await account.ec2("AttachInternetGateway", ["InternetGatewayId": gateway, "VpcId": vpc])
        #expect(try await account.code("ec2", "AttachInternetGateway", ["InternetGatewayId": gateway, "VpcId": vpc]) == "Resource.AlreadyAssociated")
        _ = try await account.ec2("CreateRoute", route)
        #expect(try await account.code("ec2", "CreateRoute", route) == "RouteAlreadyExists")
        let association = try #require(
            element("associationId", in: try await account.ec2("AssociateRouteTable", ["RouteTableId": table, "SubnetId": subnet])))
        #expect(try await account.code("ec2", "DeleteRouteTable", ["RouteTableId": table]) == "DependencyViolation")
        #expect(try await account.code("ec2", "DeleteInternetGateway", ["InternetGatewayId": gateway]) == "DependencyViolation")
        _ = try await account.ec2("DisassociateRouteTable", ["AssociationId": association])
        _ = try await account.ec2("DeleteRouteTable", ["RouteTableId": table])
        _ = try await account.ec2("DetachInternetGateway", ["InternetGatewayId": gateway, "VpcId": vpc])
        _ = try await account.ec2("DeleteInternetGateway", ["InternetGatewayId": gateway])
    }

    @Test("an instance takes its addresses, the same one when launched again, and gives them back")
    func instances() async throws {
        let account = try await Account()
        let vpc = try #require(element("vpcId", in: try await account.ec2("CreateVpc", ["CidrBlock": "10.0.0.0/16"])))
        let subnet = try #require(element("subnetId", in: try await account.ec2("CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.1.0/26"])))
        let launch = InstanceLaunch(
            instanceID: "i-1", instanceType: "t3.medium", imageID: "ami-1", subnetID: subnet, groupIDs: [], podAddresses: 15, tags: ["Name": "n"])
        let facts = try await account.network.launch(launch)
        #expect(facts.privateDNSName == "ip-10-0-1-4.eu-central-1.compute.internal" && facts.primaryAddress == "10.0.1.4")
        #expect(facts.podAddresses.count == 15 && facts.interfaceIDs.count == 3 && facts.macAddress.hasPrefix("06:"))
        #expect(try await account.network.launch(launch) == facts)
        #expect(await account.network.subnets([subnet]).first?.freeAddresses == 59 - 18)
        #expect(try await account.code("ec2", "DeleteSubnet", ["SubnetId": subnet]) == "DependencyViolation")
        let described = try await account.ec2("DescribeInstances", ["Filter.1.Name": "tag:Name", "Filter.1.Value.1": "n"])
        #expect(element("privateDnsName", in: described) == facts.privateDNSName && described.contains("<name>pending</name>"))
        var second = launch
        second.instanceID = "i-2"
        second.podAddresses = 14
        _ = try await account.network.launch(second)
        var third = launch
        third.instanceID = "i-3"
        third.instanceType = "m5.24xlarge"
        third.podAddresses = 49
        await #expect(throws: AWSError.self) { try await account.network.launch(third) }
        #expect(
            try await account.ec2("DescribeInstances", ["Filter.1.Name": "instance-id", "Filter.1.Value.1": "i-3"]).contains(
                "<reservationSet></reservationSet>"))
        try await account.network.terminate("i-1")
        try await account.network.terminate("i-2")
        #expect(await account.network.subnets([subnet]).first?.freeAddresses == 59)
        let reloaded = try await EC2Network(storage: account.storage, account: "000000000000", region: "eu-central-1")
        #expect(await reloaded.subnets([subnet]).first?.freeAddresses == 59)
    }

    @Test("tags are put on what exists and found again")
    func tags() async throws {
        let account = try await Account()
        let vpc = try #require(element("vpcId", in: try await account.ec2("DescribeVpcs")))
        _ = try await account.ec2("CreateTags", ["ResourceId.1": vpc, "Tag.1.Key": "a", "Tag.1.Value": "<b>"])
        #expect(
            try await account.ec2("DescribeTags", ["Filter.1.Name": "resource-type", "Filter.1.Value.1": "vpc"]).contains("<value>&lt;b&gt;</value>"))
        #expect(try await account.code("ec2", "CreateTags", ["ResourceId.1": "vpc-0", "Tag.1.Key": "a"]) == "InvalidID")
        #expect(try await account.code("ec2", "CreateTags", ["ResourceId.1": vpc, "Tag.1.Key": "aws:x"]) == "InvalidParameterValue")
        _ = try await account.ec2("DeleteTags", ["ResourceId.1": vpc, "Tag.1.Key": "a"])
        #expect(try await account.ec2("DescribeTags").contains("<tagSet></tagSet>"))
    }

    @Test("pages lead through all and end")
    func pages() async throws {
        let account = try await Account()
        var seen = 0
        var token: String?
        repeat {
            var parameters = ["MaxResults": "100"]
            parameters["NextToken"] = token
            let page = try await account.ec2("DescribeInstanceTypes", parameters)
            seen += page.split(separator: "<instanceType>").count - 1
            token = element("nextToken", in: page)
        } while token != nil
        #expect(seen == InstanceTypes.all.count && InstanceTypes.all["t3.medium"]?.maxPods == 17)
        #expect(InstanceTypes.all["m5.large"]?.maxPods == 29 && InstanceTypes.all["c5.4xlarge"]?.maxPods == 234)
    }
}
