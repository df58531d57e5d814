import AWSProtocol
import Testing

@testable import AWSServices
@testable import ClusterLifecycle

@Suite struct LaunchTemplateTests {
    private func ready(_ world: World) async throws -> [String] {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets)
        try await world.cluster(.active)
        return subnets
    }

    /// A template with this data; the id.
    private func template(_ world: World, _ data: [String: String], name: String = "nodes") async throws -> String {
        let parameters = Dictionary(uniqueKeysWithValues: data.map { ("LaunchTemplateData.\($0.key)", $0.value) })
        let answer = try await world.call(world.ec2, "CreateLaunchTemplate", parameters.merging(["LaunchTemplateName": name]) { $1 })
        return try #require(world.text("launchTemplateId", answer))
    }

    private func version(_ world: World, _ id: String, _ data: [String: String]) async throws {
        let parameters = Dictionary(uniqueKeysWithValues: data.map { ("LaunchTemplateData.\($0.key)", $0.value) })
        _ = try await world.call(
            world.ec2, "CreateLaunchTemplateVersion", parameters.merging(["LaunchTemplateId": id, "SourceVersion": "1"]) { $1 })
    }

    private func image(_ version: String) throws -> EKSImages.Image {
        let release = try #require(KubernetesVersions.named(version)).nodeReleaseVersion
        return try #require(EKSImages.image(release: release, architecture: "x86_64"))
    }

    private func userData(_ maxPods: Int) -> String {
        let config =
            "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  kubelet:\n    config: {maxPods: \(maxPods)}\n    flags: [--node-labels=team=a]\n"
        let text = "Content-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: application/node.eks.aws\n\n\(config)--B--\n"
        return Base64URL.encodeStandard(Array(text.utf8))
    }

    private func reference(_ id: String, _ version: String? = nil) -> LaunchTemplateReference {
        LaunchTemplateReference(id: id, name: nil, version: version)
    }

    @Test("instances are launched as their template says: type, security groups, tags, metadata options, kubelet")
    func launching() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            let vpc = try await #require(world.network.subnets(subnets).first).vpcID
            let made = try await world.call(world.ec2, "CreateSecurityGroup", ["GroupName": "own", "GroupDescription": "d", "VpcId": vpc])
            let group = try #require(world.text("groupId", made))
            let id = try await template(
                world,
                [
                    "InstanceType": "t3.small", "SecurityGroupId.1": group, "UserData": userData(5), "MetadataOptions.HttpPutResponseHopLimit": "1",
                    "MetadataOptions.HttpTokens": "optional", "MetadataOptions.InstanceMetadataTags": "enabled",
                    "TagSpecification.1.ResourceType": "instance", "TagSpecification.1.Tag.1.Key": "Name", "TagSpecification.1.Tag.1.Value": "n1",
                    "TagSpecification.2.ResourceType": "network-interface", "TagSpecification.2.Tag.1.Key": "eni",
                    "TagSpecification.2.Tag.1.Value": "1",
                ])
            let created = try await world.createNodegroup(subnets) { $0.launchTemplate = reference(id, "$Latest") }
            #expect(created.template?.json == ["id": .string(id), "name": "nodes", "version": "1"] && created.instanceTypes.isEmpty)
            try await world.nodegroup(.active)
            let instance = try #require(try await world.service.instances("demo", "ng").first)
            #expect(instance.instanceType == "t3.small" && instance.maxPods == 5 && instance.labels["team"] == "a")
            #expect(instance.securityGroupIDs == [group] && instance.templateVersion == 1)
            #expect(instance.metadataOptions?.hopLimit == 1 && instance.metadataOptions?.requiresTokens == false)
            let metadata = try #require(await world.service.instanceMetadata(primaryAddress: instance.primaryAddress))
            #expect(metadata.userData == Base64URL.decodeStandard(userData(5)))
            #expect(metadata.tags?["Name"] == "n1" && metadata.tags?["aws:ec2launchtemplate:version"] == "1")
            let described = try await world.call(world.ec2, "DescribeInstances", ["InstanceId.1": instance.instanceID])
            #expect(
                described.contains("<httpPutResponseHopLimit>1</httpPutResponseHopLimit>") && described.contains("<httpTokens>optional</httpTokens>"))
            let interfaces = try await world.call(
                world.ec2, "DescribeNetworkInterfaces",
                ["Filter.1.Name": "tag:eni", "Filter.1.Value.1": "1", "Filter.2.Name": "group-id", "Filter.2.Value.1": group])
            #expect(interfaces.contains(instance.networkInterfaceIDs[0]))
        }
    }

    @Test("simulated nodes follow their template's versions, too")
    func simulated() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            let id = try await template(world, ["UserData": userData(5)])
            _ = try await world.createNodegroup(subnets) {
                $0.tags = [SimulatedInstancesStep.tag: SimulatedInstancesStep.runtime]
                $0.launchTemplate = reference(id, "1")
            }
            try await world.nodegroup(.active)
            let old = try await world.service.instances("demo", "ng")
            try await version(world, id, ["UserData": userData(7)])
            var input = UpdateNodegroupVersionInput(clusterName: "demo", name: "ng")
            input.launchTemplate = reference(id, "2")
            let update = try await world.service.updateNodegroupVersion(input, caller: world.caller)
            try await until("the update") {
                try await world.service.describeUpdate("demo", id: update.id, of: .nodegroup("ng")).status == .successful
            }
            let new = try await world.service.instances("demo", "ng")
            #expect(new.count == old.count && Set(new.map(\.instanceID)).isDisjoint(with: old.map(\.instanceID)))
            #expect(new.allSatisfy { $0.templateVersion == 2 })
        }
    }

    @Test("an update to another version of the template replaces all nodes; the group says which it has")
    func newVersion() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            let id = try await template(world, ["UserData": userData(5)])
            _ = try await world.createNodegroup(subnets) { $0.launchTemplate = LaunchTemplateReference(id: nil, name: "nodes", version: nil) }
            try await world.nodegroup(.active)
            let old = try await world.service.instances("demo", "ng")
            try await version(world, id, ["InstanceType": "t3.large", "UserData": userData(7)])
            func update(_ change: (inout UpdateNodegroupVersionInput) -> Void) async throws -> UpdateRecord {
                var input = UpdateNodegroupVersionInput(clusterName: "demo", name: "ng")
                change(&input)
                return try await world.service.updateNodegroupVersion(input, caller: world.caller)
            }
            #expect(await refusal { _ = try await update { _ in } }?.message.contains("already at release version") == true)
            let other = try await template(world, ["UserData": userData(6)], name: "other")
            #expect(await refusal { _ = try await update { $0.launchTemplate = reference(other) } }?.message.contains("cannot be changed") == true)
            let token = IdempotencyToken(token: "one", parameters: [:], createdAt: world.service.now)
            let begun = try await update {
                $0.launchTemplate = reference(id, "2")
                $0.token = token
            }
            #expect(begun.type == "VersionUpdate" && begun.parameters.contains(UpdateParameter(type: "LaunchTemplateVersion", value: "2")))
            // The group goes on without the user's template, and the request's repetition has its answer.
            _ = try await world.call(world.ec2, "DeleteLaunchTemplate", ["LaunchTemplateId": id])
            let again = try await update {
                $0.launchTemplate = reference(id, "2")
                $0.token = token
            }
            #expect(again.id == begun.id)
            try await until("the update") {
                try await world.service.describeUpdate("demo", id: begun.id, of: .nodegroup("ng")).status == .successful
            }
            let new = try await world.service.instances("demo", "ng")
            #expect(new.count == 2 && Set(new.map(\.instanceID)).isDisjoint(with: old.map(\.instanceID)))
            #expect(new.allSatisfy { $0.instanceType == "t3.large" && $0.maxPods == 7 && $0.templateVersion == 2 })
            #expect(try await world.service.describeNodegroup("demo", "ng").template?.version == 2)
        }
    }

    @Test("a failed update to a new version leaves the old one, and its nodes")
    func failedUpdate() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            let id = try await template(world, ["InstanceType": "t3.small"])
            _ = try await world.createNodegroup(subnets) { $0.launchTemplate = reference(id) }
            try await world.nodegroup(.active)
            let old = try await world.service.instances("demo", "ng")
            try await version(world, id, ["UserData": Base64URL.encodeStandard(Array("#!/bin/sh".utf8))])
            var input = UpdateNodegroupVersionInput(clusterName: "demo", name: "ng")
            input.launchTemplate = reference(id, "$Latest")
            let begun = try await world.service.updateNodegroupVersion(input, caller: world.caller)
            try await until("the failure") {
                try await world.service.describeUpdate("demo", id: begun.id, of: .nodegroup("ng")).status == .failed
            }
            #expect(
                try await world.service.describeUpdate("demo", id: begun.id, of: .nodegroup("ng")).errors.first?.message
                    == "User data was not in the MIME multipart format.")
            try await world.nodegroup(.active)
            #expect(try await world.service.describeNodegroup("demo", "ng").template?.version == 1)
            #expect(try await world.service.instances("demo", "ng").map(\.instanceID) == old.map(\.instanceID))
        }
    }

    @Test("a group whose user data is no archive fails with EKS's code; so does one whose key is not there")
    func asynchronousFailures() async throws {
        for (data, message) in [
            (["UserData": "IyEvYmluL3No"], "User data was not in the MIME multipart format."),
            (["KeyName": "none"], "The key pair 'none' does not exist"),
        ] {
            let world = try await World()
            try await world.running {
                let subnets = try await ready(world)
                let id = try await template(world, data)
                _ = try await world.createNodegroup(subnets) { $0.launchTemplate = reference(id) }
                try await world.nodegroup(.createFailed)
                let issue = try #require(try await world.service.describeNodegroup("demo", "ng").health.first)
                #expect(issue.code == "Ec2LaunchTemplateInvalidConfiguration" && issue.message == message)
            }
        }
    }

    @Test("what request and template both say, and what templates may not say, is refused in EKS's words")
    func refusals() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            let image = try image("1.36")
            let plain = try await template(world, ["InstanceType": "t3.small"], name: "plain")
            let custom = try await template(world, ["ImageId": image.id], name: "custom")
            func message(_ change: (inout CreateNodegroupInput) -> Void) async -> String? {
                await refusal { _ = try await world.createNodegroup(subnets, change) }?.message
            }
            func message(_ data: [String: String]) async throws -> String? {
                let id = try await template(world, data, name: "t-\(data.keys.sorted().joined(separator: "."))")
                return await message { $0.launchTemplate = reference(id) }
            }
            let both = LaunchTemplateReference(id: plain, name: "plain", version: nil)
            #expect(await message { $0.launchTemplate = both } == "Either provide launch template ID or launch template name in the request.")
            #expect(
                await message {
                    $0.launchTemplate = reference(plain); $0.instanceTypes = ["t3.small"]
                }
                    == "Cannot specify instance types in launch template and API request")
            #expect(
                await message {
                    $0.launchTemplate = reference(plain); $0.diskSize = 20
                } == "Disk size must be specified within the launch template.")
            #expect(
                await message {
                    $0.launchTemplate = reference(custom); $0.amiType = "AL2023_x86_64_STANDARD"
                }
                    == "You cannot specify an AMI Type other than CUSTOM, when specifying an image id in your launch template.")
            #expect(
                await message {
                    $0.launchTemplate = reference(custom); $0.version = "1.36"
                }
                    == "You cannot specify a kubernetes version to use when specifying an image id to use within the launch template.")
            #expect(await message { $0.amiType = "CUSTOM" } == "Launch template details can't be null for Custom ami type node group")
            #expect(await message { $0.launchTemplate = reference("lt-0") }?.contains("does not exist") == true)
            #expect(await message { $0.launchTemplate = reference(plain, "7") }?.contains("Could not find the specified version 7") == true)
            #expect(try await message(["IamInstanceProfile.Name": "p"])?.hasPrefix("Launch template should not specify an instance profile") == true)
            #expect(
                try await message(["NetworkInterface.1.SubnetId": "subnet-1"])
                    == "You must not specify a subnet in your launch template. All subnets must be specified in the API.")
            #expect(try await message(["InstanceMarketOptions.MarketType": "spot"])?.contains("market options") == true)
            #expect(try await message(["HibernationOptions.Configured": "true"])?.contains("hibernation") == true)
            #expect(try await message(["InstanceInitiatedShutdownBehavior": "stop"])?.contains("shutdown behavior") == true)
            #expect(
                try await message(["SecurityGroupId.1": "sg-1", "NetworkInterface.1.SecurityGroupId.1": "sg-2"])?.contains("not at both") == true)
            #expect(try await message(["ImageId": "ami-0"]) == "The image id '[ami-0]' does not exist")
            #expect(try await message(["MetadataOptions.HttpPutResponseHopLimit": "65"])?.contains("from 1 to 64") == true)
        }
    }

    @Test("a template's image makes the group CUSTOM, its release is the image, and only another version of the template updates it")
    func customImage() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            let (old, new) = (try image("1.35").id, try image("1.36").id)
            let id = try await template(world, ["ImageId": old])
            let created = try await world.createNodegroup(subnets) { $0.launchTemplate = reference(id) }
            #expect(created.amiType == "CUSTOM" && created.version == "1.35" && created.releaseVersion == old)
            try await world.nodegroup(.active)
            let instance = try #require(try await world.service.instances("demo", "ng").first)
            #expect(instance.version == "1.35" && instance.labels["eks.amazonaws.com/nodegroup-image"] == old)
            try await version(world, id, ["ImageId": new])
            func update(_ change: (inout UpdateNodegroupVersionInput) -> Void) async throws -> UpdateRecord {
                var input = UpdateNodegroupVersionInput(clusterName: "demo", name: "ng")
                change(&input)
                return try await world.service.updateNodegroupVersion(input, caller: world.caller)
            }
            #expect(
                await refusal { _ = try await update { _ in } }?.message == "Launch template details can't be null for Custom ami type node group")
            #expect(
                await refusal {
                    _ = try await update {
                        $0.launchTemplate = reference(id, "2"); $0.version = "1.36"
                    }
                }?.message
                    == "You cannot specify the field kubernetesVersion when using custom AMIs")
            let begun = try await update { $0.launchTemplate = reference(id, "2") }
            try await until("the update") {
                try await world.service.describeUpdate("demo", id: begun.id, of: .nodegroup("ng")).status == .successful
            }
            #expect(try await world.service.describeNodegroup("demo", "ng").version == "1.36")
        }
    }

    @Test("who may not run instances may not have nodes launched by a template")
    func authorisation() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            let id = try await template(world, ["InstanceType": "t3.small"])
            _ = try await world.call(world.iam, "CreateUser", ["UserName": "eve"])
            let allow = #"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["eks:*","iam:PassRole"],"Resource":"*"}]}"#
            _ = try await world.call(world.iam, "PutUserPolicy", ["UserName": "eve", "PolicyName": "p", "PolicyDocument": allow])
            let key = try #require(world.text("AccessKeyId", try await world.call(world.iam, "CreateAccessKey", ["UserName": "eve"])))
            let eve = try #require(await world.identities.credential(accessKeyID: key)).caller
            var input = CreateNodegroupInput(clusterName: "demo", name: "ng", subnetIDs: subnets, nodeRoleARN: World.nodeRole)
            input.launchTemplate = reference(id)
            let asked = input
            let denial = await #expect(throws: AccessDenial.self) { try await world.service.createNodegroup(asked, caller: eve) }
            #expect(denial?.action == "ec2:RunInstances")
        }
    }
}

@Suite struct InstanceTypeOrderTests {
    @Test("on demand the list's order counts, on the spot market the smallest comes first")
    func order() {
        let names = ["m5.large", "t3.large", "x9.none", "t3.small", "t3a.small"]
        #expect(InstanceTypeOrder.order(names, isSpot: false) == names)
        #expect(InstanceTypeOrder.order(names, isSpot: true) == ["t3.small", "t3a.small", "m5.large", "t3.large", "x9.none"])
    }

    @Test("a type that cannot be had is passed over; when none can be had the group says so")
    func fallback() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await world.subnets()
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
            _ = try await world.createNodegroup(subnets) {
                $0.instanceTypes = ["t3.large", "t3.small"]
                $0.capacityType = "SPOT"
            }
            try await world.nodegroup(.active)
            let instance = try #require(try await world.service.instances("demo", "ng").first)
            #expect(instance.instanceType == "t3.small" && instance.labels["eks.amazonaws.com/capacityType"] == "SPOT")
            let described = try await world.call(world.ec2, "DescribeInstances", ["InstanceId.1": instance.instanceID])
            #expect(described.contains("<instanceLifecycle>spot</instanceLifecycle>"))
            func scale(_ types: [String], _ size: Int) async throws {
                try await world.service.state.update { $0.nodegroups["demo/ng"]?.instanceTypes = types }
                var input = UpdateNodegroupConfigInput(clusterName: "demo", name: "ng")
                input.desiredSize = size
                _ = try await world.service.updateNodegroupConfig(input)
            }
            // As a record of a version that knew more types.
            try await scale(["x9.none", "t3.large"], 3)
            try await until("the third") { try await world.service.instances("demo", "ng").contains { $0.instanceType == "t3.large" } }
            try await world.nodegroup(.active)
            try await scale(["x9.none"], 4)
            try await world.nodegroup(.degraded)
            #expect(try await world.service.describeNodegroup("demo", "ng").health.first?.code == "Ec2InstanceTypeDoesNotExist")
        }
    }
}
