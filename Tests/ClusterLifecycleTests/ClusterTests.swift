import AWSProtocol
import Testing

@testable import ClusterLifecycle

@Suite struct ClusterTests {
    @Test("a cluster passes CREATING, decided by its control plane, and becomes ACTIVE with its group and interfaces")
    func creation() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        try await world.running {
            var faults = SimulatedHosts.Faults()
            faults.holdsControlPlaneStart = true
            await world.hosts.set(faults)
            let created = try await world.createCluster(subnets)
            #expect(
                created.status == .creating && created.endpoint == nil && created.version == "1.36"
                    && created.network.serviceIPv4CIDR == "172.20.0.0/16")
            try await until("the start") { await world.hosts.calls.contains("start demo") }
            let waiting = try await world.service.describeCluster("demo")
            #expect(waiting.status == .creating && waiting.endpoint == nil && waiting.network.networkInterfaceIDs.count == 2)
            await world.hosts.set(SimulatedHosts.Faults())
            try await world.cluster(.active)
            let active = try await world.service.describeCluster("demo")
            #expect(active.endpoint?.url.hasPrefix("https://127.0.0.1:") == true)
            let group = try #require(active.network.clusterSecurityGroupID)
            let described = try await world.call(world.ec2, "DescribeSecurityGroups", ["GroupId.1": group])
            #expect(described.contains("<groupName>eks-cluster-sg-demo-") && described.contains("<key>aws:eks:cluster-name</key><value>demo</value>"))
            let efa = "<groupId>\(group)</groupId><userId>000000000000</userId><description>Allows EFA traffic, which is not matched by CIDR rules."
            #expect(described.split(separator: efa).count == 3, "to and from its members")
            let interfaces = try await world.call(
                world.ec2, "DescribeNetworkInterfaces", ["Filter.1.Name": "description", "Filter.1.Value.1": "Amazon EKS demo"])
            #expect(
                interfaces.split(separator: "<networkInterfaceId>").count == 3 && interfaces.contains("<requesterManaged>true</requesterManaged>"))
            _ = try await world.service.deleteCluster("demo")
            try await world.gone { _ = try await world.service.describeCluster("demo") }
            let after = try await world.call(world.ec2, "DescribeSubnets", ["SubnetId.1": subnets[0]])
            #expect(after.contains("<availableIpAddressCount>251</availableIpAddressCount>"))
            let groups = await refusal { _ = try await world.call(world.ec2, "DescribeSecurityGroups", ["GroupId.1": group]) }
            #expect(groups?.code == "InvalidGroup.NotFound")
        }
    }

    @Test("CreateCluster refuses in the words that clients match on")
    func refusals() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        func message(_ change: (inout CreateClusterInput) -> Void, subnets ids: [String]? = nil) async -> String {
            await refusal { _ = try await world.createCluster(ids ?? subnets, name: "x", change) }?.message ?? ""
        }
        #expect(await message({ _ in }, subnets: [subnets[0]]) == "Subnets specified must be in at least two different AZs")
        #expect(await message({ _ in }, subnets: [subnets[0], "subnet-0"]) == "The subnet ID 'subnet-0' does not exist")
        let other = try await world.subnets()
        #expect(await message({ _ in }, subnets: [subnets[0], other[1]]).hasPrefix("Subnets specified must belong to the same VPC"))
        #expect(await message { $0.version = "1.12" }.hasPrefix("unsupported Kubernetes version"))
        #expect(await message { $0.roleARN = "nonsense" }.contains("Error in role params"))
        #expect(await message { $0.roleARN = "arn:aws:iam::000000000000:role/none" }.contains("does not exist"))
        #expect(await message { $0.roleARN = World.nodeRole }.contains("Role could not be assumed because the trusted entity is not correct"))
        try await world.role("bare", service: "eks.amazonaws.com", policies: [])
        #expect(
            await message { $0.roleARN = "arn:aws:iam::000000000000:role/bare" }.contains(
                "The provided role doesn't have the Amazon EKS Managed Policies associated with it"))
        try await world.role("wrong", service: "eks.amazonaws.com", policies: ["AmazonEKSFargatePodExecutionRolePolicy"])
        #expect(
            await message { $0.roleARN = "arn:aws:iam::000000000000:role/wrong" } == "IAM role's policy must include the `ec2:DescribeSubnets` action"
        )
        #expect(await message { $0.securityGroupIDs = ["sg-0"] } == "The security group 'sg-0' does not exist")
        #expect(await message { $0.endpointPublicAccess = false }.hasPrefix("Private and public endpoint access cannot both be false"))
        #expect(await message { $0.endpointPrivateAccess = true }.contains("enableDnsHostnames"))
        #expect(await message { $0.serviceIPv4CIDR = "10.0.0.0/16" }.contains("must not overlap"))
        #expect(await message { $0.serviceIPv4CIDR = "8.8.0.0/16" }.contains("must be a range within"))
        #expect(await message { $0.publicAccessCIDRs = ["x"] }.hasPrefix("The following CIDRs are invalid"))
        #expect(await message { $0.publicAccessCIDRs = ["::/0"] } == "The following CIDRs are invalid in publicAccessCidrs: [::/0]")
        let missing = await refusal { _ = try await world.service.describeCluster("x") }
        #expect(missing?.code == "ResourceNotFoundException" && missing?.message == "No cluster found for name: x." && missing?.status == 404)
    }

    @Test("a cluster without a public endpoint keeps the ranges that were sent, has none by itself, and lets nobody in by them")
    func privateRanges() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        let described = try await world.call(world.ec2, "DescribeSubnets", ["SubnetId.1": subnets[0]])
        let vpc = try #require(world.text("vpcId", described))
        _ = try await world.call(world.ec2, "ModifyVpcAttribute", ["VpcId": vpc, "EnableDnsHostnames.Value": "true"])
        func network(_ name: String, _ ranges: [String]) async throws -> ClusterNetwork {
            try await world.createCluster(subnets, name: name) {
                ($0.endpointPublicAccess, $0.endpointPrivateAccess) = (false, true)
                $0.publicAccessCIDRs = ranges
            }.network
        }
        let kept = try await network("kept", ["0.0.0.0/0"])
        #expect(kept.publicAccessCIDRs == ["0.0.0.0/0"] && !LocalControlPlaneHost.publicAccess(kept)("127.0.0.1"))
        let none = try await network("none", [])
        #expect(none.publicAccessCIDRs.isEmpty && !LocalControlPlaneHost.publicAccess(none)("127.0.0.1"))
        let invalid = await refusal { _ = try await network("invalid", ["x"]) }
        #expect(invalid?.code == "InvalidParameterException")
    }

    @Test("a subnet with too few addresses is refused, naming what to do")
    func addresses() async throws {
        let world = try await World()
        let subnets = try await world.subnets(["10.0.0.0/24", "10.0.1.0/28"])
        for _ in 0..<6 { _ = try await world.call(world.ec2, "CreateNetworkInterface", ["SubnetId": subnets[1]]) }
        let error = await refusal { _ = try await world.createCluster(subnets) }
        #expect(error?.message == "subnet \(subnets[1]) has 5 free addresses, EKS needs 6: use a larger subnet or free some")
    }

    @Test("the same request with the same token is answered the same, another name or token is not")
    func idempotency() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        func token(_ name: String, _ text: String) -> IdempotencyToken {
            IdempotencyToken(token: text, parameters: ["name": .string(name)], createdAt: world.service.now)
        }
        let first = try await world.createCluster(subnets) { $0.token = token("demo", "t") }
        let again = try await world.createCluster(subnets) { $0.token = token("demo", "t") }
        #expect(first.id == again.id)
        let conflict = await refusal { _ = try await world.createCluster(subnets, name: "other") { $0.token = token("other", "t") } }
        #expect(conflict?.code == "InvalidParameterException")
        let inUse = await refusal { _ = try await world.createCluster(subnets) { $0.token = token("demo", "u") } }
        #expect(inUse?.code == "ResourceInUseException" && inUse?.message == "Cluster already exists with name: demo" && inUse?.status == 409)
    }

    @Test("two that ask for the same name at once make one cluster")
    func race() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        let made = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<20 { group.addTask { await refusal { _ = try await world.createCluster(subnets) } == nil } }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(made == 1)
        #expect(await world.service.listClusters() == ["demo"])
    }

    @Test("a control plane that does not start makes the cluster FAILED, with the reason, and it can be deleted")
    func failure() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        var faults = SimulatedHosts.Faults()
        faults.controlPlaneStart = "the disk is full"
        await world.hosts.set(faults)
        try await world.running {
            _ = try await world.createCluster(subnets)
            try await world.cluster(.failed)
            #expect(try await world.service.describeCluster("demo").health.first?.message == "the disk is full")
            _ = try await world.service.deleteCluster("demo")
            try await world.gone { _ = try await world.service.describeCluster("demo") }
        }
    }

    @Test("a cluster that hangs in CREATING can be deleted")
    func deletionWhileCreating() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        var faults = SimulatedHosts.Faults()
        faults.holdsControlPlaneStart = true
        await world.hosts.set(faults)
        try await world.running {
            _ = try await world.createCluster(subnets)
            try await until("the start") { await world.hosts.calls.contains("start demo") }
            #expect(try await world.service.deleteCluster("demo").status == .deleting)
            try await world.gone { _ = try await world.service.describeCluster("demo") }
            #expect(await world.network.subnets(subnets).map(\.freeAddresses) == [251, 251])
        }
    }

    @Test("deletion protection and attached node groups keep a cluster")
    func protection() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        try await world.running {
            _ = try await world.createCluster(subnets) { $0.deletionProtection = true }
            _ = try await world.createCluster(subnets, name: "other")
            try await world.cluster(.active)
            #expect(await refusal { _ = try await world.service.deleteCluster("demo") }?.code == "InvalidRequestException")
            _ = try await world.createNodegroup(subnets)
            let inUse = await refusal { _ = try await world.service.deleteCluster("demo") }
            #expect(inUse?.code == "InvalidRequestException")
        }
    }

    @Test("a restart finishes a half-made cluster, once, and starts an active one again")
    func restart() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        var faults = SimulatedHosts.Faults()
        faults.holdsControlPlaneStart = true
        await world.hosts.set(faults)
        try await world.running {
            _ = try await world.createCluster(subnets)
            try await until("the start") { await world.hosts.calls.contains("start demo") }
        }
        let hosts = SimulatedHosts()
        let second = try await World(storage: world.storage, hosts: hosts, isNew: false)
        #expect(try await second.service.describeCluster("demo").status == .creating)
        try await second.running {
            try await second.cluster(.active)
            #expect(await second.network.subnets(subnets).map(\.freeAddresses) == [250, 250])
        }
        #expect(await hosts.calls == ["start demo", "stop demo"])
        let third = try await World(storage: world.storage, hosts: hosts, isNew: false)
        try await third.running { try await until("the start") { await hosts.calls.filter { $0 == "start demo" }.count == 2 } }
        #expect(try await third.service.describeCluster("demo").status == .active)
    }

    @Test("a control plane that fails to start after a restart is tried again and said to be unreachable")
    func retry() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        try await world.running {
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
        }
        var faults = SimulatedHosts.Faults()
        faults.controlPlaneStart = "port in use"
        await world.hosts.set(faults)
        let second = try await World(storage: world.storage, hosts: world.hosts, isNew: false)
        try await second.running {
            try await until("the issue") { try await second.service.describeCluster("demo").health.first?.code == "ClusterUnreachable" }
            await second.hosts.set(SimulatedHosts.Faults())
            try await until("recovery") { try await second.service.describeCluster("demo").health.isEmpty }
        }
    }
}
