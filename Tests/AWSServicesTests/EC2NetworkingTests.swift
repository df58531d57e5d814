import AWSProtocol
import Testing

@testable import AWSServices

extension Account {
    /// A VPC with one subnet.
    fileprivate func network() async throws -> (vpc: String, subnet: String) {
        let vpc = try #require(element("vpcId", in: try await ec2("CreateVpc", ["CidrBlock": "10.0.0.0/16"])))
        return (vpc, try #require(element("subnetId", in: try await ec2("CreateSubnet", ["VpcId": vpc, "CidrBlock": "10.0.0.0/24"]))))
    }

    fileprivate func id(_ name: String, _ action: String, _ parameters: [String: String] = [:]) async throws -> String {
        try #require(element(name, in: try await ec2(action, parameters)))
    }
}

@Suite struct EC2NetworkingTests {
    @Test("a NAT gateway holds its address and interface until it is deleted, and its routes then lead nowhere")
    func natGateways() async throws {
        let account = try await Account()
        let (vpc, subnet) = try await account.network()
        let address = try await account.id("allocationId", "AllocateAddress")
        let input = ["SubnetId": subnet, "AllocationId": address, "ClientToken": "t"]
        let gateway = try await account.id("natGatewayId", "CreateNatGateway", input)
        #expect(try await account.id("natGatewayId", "CreateNatGateway", input) == gateway)
        #expect(try await account.code("ec2", "CreateNatGateway", ["SubnetId": subnet, "AllocationId": address]) == "Resource.AlreadyAssociated")
        #expect(try await account.code("ec2", "CreateNatGateway", ["SubnetId": subnet]) == "MissingParameter")
        #expect(try await account.code("ec2", "ReleaseAddress", ["AllocationId": address]) == "InvalidIPAddress.InUse")
        #expect(try await account.code("ec2", "DeleteSubnet", ["SubnetId": subnet]) == "DependencyViolation")
        let table = try await account.id("routeTableId", "CreateRouteTable", ["VpcId": vpc])
        _ = try await account.ec2("CreateRoute", ["RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": gateway])
        _ = try await account.ec2("DeleteNatGateway", ["NatGatewayId": gateway])
        #expect(try await account.ec2("DescribeRouteTables", ["RouteTableId.1": table]).contains("<state>blackhole</state>"))
        #expect(try await account.ec2("DescribeNatGateways", ["NatGatewayId.1": gateway]).contains("<state>deleted</state>"))
        #expect(
            try await account.code("ec2", "CreateRoute", ["RouteTableId": table, "DestinationCidrBlock": "1.0.0.0/8", "NatGatewayId": gateway])
                == "InvalidNatGatewayID.NotFound")
        _ = try await account.ec2("ReleaseAddress", ["AllocationId": address])
        _ = try await account.ec2("DeleteSubnet", ["SubnetId": subnet])
    }

    @Test("every subnet has a network ACL: its VPC's, or the one it was given")
    func networkACLs() async throws {
        let account = try await Account()
        let (vpc, subnet) = try await account.network()
        let own = ["Filter.1.Name": "association.subnet-id", "Filter.1.Value.1": subnet]
        let standard = try await account.ec2("DescribeNetworkAcls", own)
        #expect(standard.contains("<default>true</default>") && standard.contains("<ruleNumber>32767</ruleNumber>"))
        let list = try await account.id("networkAclId", "CreateNetworkAcl", ["VpcId": vpc])
        let rule = ["NetworkAclId": list, "RuleNumber": "100", "Protocol": "6", "RuleAction": "allow", "Egress": "false", "CidrBlock": "10.0.0.0/8"]
        #expect(try await account.code("ec2", "CreateNetworkAclEntry", rule) == "InvalidParameterValue")
        let full = rule.merging(["PortRange.From": "80", "PortRange.To": "80"]) { $1 }
        _ = try await account.ec2("CreateNetworkAclEntry", full)
        #expect(try await account.code("ec2", "CreateNetworkAclEntry", full) == "NetworkAclEntryAlreadyExists")
        _ = try await account.ec2("ReplaceNetworkAclEntry", full.merging(["RuleAction": "deny"]) { $1 })
        let association = try #require(element("networkAclAssociationId", in: standard))
        _ = try await account.ec2("ReplaceNetworkAclAssociation", ["AssociationId": association, "NetworkAclId": list])
        #expect(try await account.ec2("DescribeNetworkAcls", own).contains(list))
        #expect(try await account.code("ec2", "DeleteNetworkAcl", ["NetworkAclId": list]) == "DependencyViolation")
        #expect(try await account.code("ec2", "DeleteVpc", ["VpcId": vpc]) == "DependencyViolation")
    }

    @Test("a gateway endpoint's routes come and go with it, an interface endpoint's interfaces too")
    func endpoints() async throws {
        let account = try await Account()
        let (vpc, subnet) = try await account.network()
        let table = try await account.id("routeTableId", "CreateRouteTable", ["VpcId": vpc])
        let service = "com.amazonaws.eu-central-1.s3"
        let gateway = try await account.id("vpcEndpointId", "CreateVpcEndpoint", ["VpcId": vpc, "ServiceName": service, "RouteTableId.1": table])
        let list = try await account.id("prefixListId", "DescribePrefixLists", ["Filter.1.Name": "prefix-list-name", "Filter.1.Value.1": service])
        #expect(try await account.ec2("DescribeRouteTables", ["RouteTableId.1": table]).contains("<destinationPrefixListId>\(list)<"))
        #expect(try await account.code("ec2", "DeleteRoute", ["RouteTableId": table, "DestinationPrefixListId": list]) == "InvalidParameterValue")
        let inner = ["VpcId": vpc, "ServiceName": "com.amazonaws.eu-central-1.ecr.api", "VpcEndpointType": "Interface", "SubnetId.1": subnet]
        let interface = try await account.id("vpcEndpointId", "CreateVpcEndpoint", inner)
        #expect(try await account.ec2("DescribeNetworkInterfaces").contains("<interfaceType>vpc_endpoint</interfaceType>"))
        #expect(
            try await account.code("ec2", "CreateVpcEndpoint", ["VpcId": vpc, "ServiceName": "com.amazonaws.eu-central-1.none"])
                == "InvalidServiceName")
        _ = try await account.ec2("DeleteVpcEndpoints", ["VpcEndpointId.1": gateway, "VpcEndpointId.2": interface])
        #expect(try await !account.ec2("DescribeRouteTables", ["RouteTableId.1": table]).contains("destinationPrefixListId"))
        #expect(try await account.ec2("DescribeNetworkInterfaces").contains("<networkInterfaceSet></networkInterfaceSet>"))
        #expect(try await account.ec2("DeleteVpcEndpoints", ["VpcEndpointId.1": gateway]).contains("InvalidVpcEndpoint.NotFound"))
    }

    @Test("a launch template's versions are kept, one of them the default")
    func launchTemplates() async throws {
        let account = try await Account()
        let data = [
            "LaunchTemplateName": "ng-1", "LaunchTemplateData.UserData": "eA==", "LaunchTemplateData.NetworkInterface.1.SecurityGroupId.1": "sg-1",
        ]
        let id = try await account.id("launchTemplateId", "CreateLaunchTemplate", data)
        #expect(try await account.code("ec2", "CreateLaunchTemplate", data) == "InvalidLaunchTemplateName.AlreadyExistsException")
        #expect(
            try await account.code("ec2", "CreateLaunchTemplate", ["LaunchTemplateName": "a b", "LaunchTemplateData.UserData": "x"])
                == "InvalidLaunchTemplateName.MalformedException")
        let change = ["LaunchTemplateId": id, "SourceVersion": "1", "LaunchTemplateData.InstanceType": "m5.large"]
        #expect(try await account.ec2("CreateLaunchTemplateVersion", change).contains("<userData>eA==</userData>"))
        let versions = try await account.ec2("DescribeLaunchTemplateVersions", ["LaunchTemplateId": id])
        #expect(versions.contains("<groupSet><item>sg-1</item></groupSet>") && element("versionNumber", in: versions) == "2")
        _ = try await account.ec2("ModifyLaunchTemplate", ["LaunchTemplateName": "ng-1", "SetDefaultVersion": "2"])
        let facts = try await account.network.launchTemplate(id: id, name: nil, version: nil)
        #expect(facts.version == 2 && facts.data["InstanceType"] == "m5.large" && facts.data["UserData"] == "eA==")
        #expect(
            try await account.code("ec2", "ModifyLaunchTemplate", ["LaunchTemplateId": id, "SetDefaultVersion": "9"])
                == "InvalidLaunchTemplateId.VersionNotFound")
        #expect(
            try await account.code("ec2", "DescribeLaunchTemplates", ["LaunchTemplateName.1": "none"])
                == "InvalidLaunchTemplateName.NotFoundException")
    }

    @Test("rules of security groups have ids, tags and descriptions of their own, sixty each way")
    func securityGroupRules() async throws {
        let account = try await Account()
        let group = try await account.id("groupId", "CreateSecurityGroup", ["GroupName": "g", "GroupDescription": "d"])
        let rule = try await account.id(
            "securityGroupRuleId", "AuthorizeSecurityGroupIngress",
            [
                "GroupId": group, "IpPermissions.1.IpProtocol": "tcp", "IpPermissions.1.FromPort": "1", "IpPermissions.1.ToPort": "1",
                "IpPermissions.1.IpRanges.1.CidrIp": "10.0.0.0/8", "TagSpecification.1.ResourceType": "security-group-rule",
                "TagSpecification.1.Tag.1.Key": "k", "TagSpecification.1.Tag.1.Value": "v",
            ])
        #expect(try await account.ec2("DescribeSecurityGroupRules", ["Filter.1.Name": "tag:k", "Filter.1.Value.1": "v"]).contains(rule))
        let change = ["GroupId": group, "SecurityGroupRule.1.SecurityGroupRuleId": rule, "SecurityGroupRule.1.SecurityGroupRule.IpProtocol": "-1"]
        #expect(try await account.code("ec2", "ModifySecurityGroupRules", change) == "InvalidParameterCombination")
        _ = try await account.ec2("ModifySecurityGroupRules", change.merging(["SecurityGroupRule.1.SecurityGroupRule.CidrIpv4": "0.0.0.0/0"]) { $1 })
        #expect(try await account.ec2("DescribeSecurityGroupRules", ["SecurityGroupRuleId.1": rule]).contains("<cidrIpv4>0.0.0.0/0</cidrIpv4>"))
        func open(_ port: Int) async throws -> String {
            try await account.code(
                "ec2", "AuthorizeSecurityGroupIngress",
                ["GroupId": group, "IpProtocol": "tcp", "FromPort": "\(port)", "ToPort": "\(port)", "CidrIp": "10.0.0.0/8"])
        }
        for port in 1..<60 { _ = try await open(port) }
        #expect(try await open(60) == "RulesPerSecurityGroupLimitExceeded")
    }

    @Test("an RSA key's fingerprint is the MD5 of its DER, as EC2's is")
    func fingerprints() {
        let rsa = [
            "ssh-rsa ",
            "AAAAB3NzaC1yc2EAAAADAQABAAABAQCrQrnSRRVZyjXqOCIUGilSyU5Xgwk5iBbAnPQZVvX0tJZeT/2vNcylHu6rf2lMsgi/LPeVtOYH1U6hETxVcJMNeXy5",
            "VsjvF9Kkb25U3tdtm2Kd7VqaFybbMxhPAY7yobd++EHQka/ZpIAu+9XXxPRLzW/Hmxst3YxlPNqsHJ+GOu/E04/Xl/z6NkKI+A3Fr2IgiKnd94sYCCHN044o",
            "I3Rqw59/IhYmV1mgoAcwRW3QhWRCJyFhDpM1ty8JjV2KKNvBCnu7Ece2SEXV2Pjq+sSab1kDIgUS5D7kj4aZ3exkan9SJXKen52gVVKYmIW+G/kp+GaNP367",
            "t7k2fS3qgaKp",
        ].joined()
        #expect(SSHPublicKey(rsa)?.fingerprint == "de:6a:a0:e8:72:e9:ee:ad:eb:bb:04:07:f8:a7:02:c9")
        #expect(SSHPublicKey(String(rsa.dropLast(4))) == nil)
        #expect(SSHPublicKey("ssh-ed25519 AAAA") == nil && SSHPublicKey("") == nil && SSHPublicKey("ssh-dss AAAA") == nil)
        let ed25519 = SSHPublicKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS me")
        #expect(ed25519?.type == "ed25519" && ed25519?.fingerprint.hasSuffix("=") == true)
    }
}
