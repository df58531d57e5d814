import AWSProtocol
import Testing

@testable import ClusterLifecycle

@Suite struct NodegroupTests {
    private func ready(_ world: World) async throws -> [String] {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets)
        try await world.cluster(.active)
        return subnets
    }

    @Test("a node group launches its instances over its subnets and is ACTIVE when all are Ready")
    func creation() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            let created = try await world.createNodegroup(subnets) {
                $0.labels = ["team": "a"]
                $0.taints = [NodeTaint(key: "k", value: "v", effect: "NoSchedule")]
            }
            #expect(created.status == .creating && created.instanceTypes == ["t3.medium"] && created.diskSize == 20)
            try await world.nodegroup(.active)
            let instances = try await world.service.instances("demo", "ng")
            #expect(
                instances.count == 2 && Set(instances.map(\.subnetID)) == Set(subnets)
                    && instances.allSatisfy { $0.phase == .ready && $0.maxPods == 17 })
            let spec = try #require(await world.hosts.specs[instances[0].instanceID])
            #expect(
                spec.vcpus == 2 && spec.memoryMiB == 4_096 && spec.prefixLength == 24 && spec.gatewayAddress.hasSuffix(".1")
                    && spec.podAddresses.count == 15)
            #expect(
                spec.hostName.hasSuffix(".eu-central-1.compute.internal") && spec.labels["team"] == "a"
                    && spec.labels["eks.amazonaws.com/nodegroup"] == "ng")
            #expect(spec.labels["topology.kubernetes.io/zone"] == spec.zone && spec.taints.count == 1 && spec.bootstrap.files["node"] != nil)
            let described = try await world.call(
                world.ec2, "DescribeInstances",
                [
                    "Filter.1.Name": "tag:eks:nodegroup-name", "Filter.1.Value.1": "ng", "Filter.2.Name": "instance-state-name",
                    "Filter.2.Value.1": "running",
                ])
            #expect(described.split(separator: "<instanceId>").count == 3)
        }
    }

    @Test("a node group is deleted: nodes drained, machines ended, addresses given back; the cluster only then")
    func deletion() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            _ = try await world.createNodegroup(subnets)
            try await world.nodegroup(.active)
            #expect(await refusal { _ = try await world.service.deleteCluster("demo") }?.message == "Cluster has nodegroups attached")
            let nodes = try await world.service.instances("demo", "ng").map(\.nodeName)
            #expect(try await world.service.deleteNodegroup("demo", "ng").status == .deleting)
            try await world.gone { _ = try await world.service.describeNodegroup("demo", "ng") }
            let calls = await world.hosts.calls
            #expect(nodes.allSatisfy { calls.contains("drain \($0)") })
            #expect(await world.hosts.running().isEmpty)
            #expect(await world.network.subnets(subnets).map(\.freeAddresses) == [250, 250])
            _ = try await world.service.deleteCluster("demo")
            try await world.gone { _ = try await world.service.describeCluster("demo") }
        }
    }

    @Test("scaling up and down is an update that succeeds when the nodes follow")
    func scaling() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            _ = try await world.createNodegroup(subnets)
            try await world.nodegroup(.active)
            for size in [4, 1] {
                var input = UpdateNodegroupConfigInput(clusterName: "demo", name: "ng")
                input.desiredSize = size
                let update = try await world.service.updateNodegroupConfig(input)
                #expect(
                    update.status == .inProgress && update.type == "ConfigUpdate"
                        && update.parameters.contains(UpdateParameter(type: "DesiredSize", value: "\(size)")))
                try await until("the update") { try await world.service.describeUpdate("demo", id: update.id, nodegroup: "ng").status == .successful }
                try await until("the instances") { try await world.service.instances("demo", "ng").count == size }
            }
            #expect(try await world.service.listUpdates("demo", nodegroup: "ng").count == 2)
            #expect(try await world.service.listUpdates("demo", nodegroup: nil).isEmpty)
        }
    }

    @Test("a machine that dies is replaced")
    func replacement() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            _ = try await world.createNodegroup(subnets)
            try await world.nodegroup(.active)
            let victim = try await world.service.instances("demo", "ng")[0]
            await world.hosts.kill(victim.instanceID)
            try await until("the replacement") {
                let instances = try await world.service.instances("demo", "ng")
                return instances.count == 2 && instances.allSatisfy { $0.phase == .ready && $0.instanceID != victim.instanceID }
            }
            #expect(await world.hosts.calls.contains("delete node \(victim.nodeName)"))
            #expect(try await world.service.describeNodegroup("demo", "ng").status == .active)
        }
    }

    @Test("a new group without addresses fails, saying which subnet lacks them")
    func noAddresses() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await world.subnets(["10.0.0.0/28", "10.0.1.0/28"])
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
            for subnet in subnets { for _ in 0..<9 { _ = try await world.call(world.ec2, "CreateNetworkInterface", ["SubnetId": subnet]) } }
            _ = try await world.createNodegroup(subnets)
            try await world.nodegroup(.createFailed)
            let issue = try #require(try await world.service.describeNodegroup("demo", "ng").health.first)
            #expect(issue.code == "InsufficientFreeAddresses" && issue.resourceIDs == subnets && issue.message.contains("free addresses"))
            _ = try await world.service.deleteNodegroup("demo", "ng")
            try await world.gone { _ = try await world.service.describeNodegroup("demo", "ng") }
        }
    }

    @Test("small subnets are shared among the instances that come")
    func smallSubnets() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await world.subnets(["10.0.0.0/28", "10.0.1.0/28"])
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
            _ = try await world.createNodegroup(subnets) { $0.scaling = ScalingConfig(minSize: 1, maxSize: 4, desiredSize: 4) }
            try await world.nodegroup(.active)
            #expect(try await world.service.instances("demo", "ng").allSatisfy { $0.podAddresses.count >= 1 })
        }
    }

    @Test("nodes that do not join in time fail a new group")
    func joinTimeout() async throws {
        let world = try await World(joinTimeout: .milliseconds(30))
        var faults = SimulatedHosts.Faults()
        faults.nodesStayAway = true
        await world.hosts.set(faults)
        try await world.running {
            let subnets = try await ready(world)
            _ = try await world.createNodegroup(subnets)
            try await world.nodegroup(.createFailed)
            #expect(try await world.service.describeNodegroup("demo", "ng").health.first?.code == "NodeCreationFailure")
            try await until("the machines' end") { await world.hosts.running().isEmpty }
        }
    }

    @Test("machines that do not start degrade a group that was well, and heal it when they do again")
    func degraded() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            _ = try await world.createNodegroup(subnets)
            try await world.nodegroup(.active)
            var faults = SimulatedHosts.Faults()
            faults.machineStart = "containerd is missing"
            await world.hosts.set(faults)
            await world.hosts.kill(try await world.service.instances("demo", "ng")[0].instanceID)
            try await world.nodegroup(.degraded)
            #expect(try await world.service.describeNodegroup("demo", "ng").health.first?.message.contains("containerd is missing") == true)
            await world.hosts.set(SimulatedHosts.Faults())
            try await world.nodegroup(.active)
            #expect(try await world.service.describeNodegroup("demo", "ng").health.isEmpty)
        }
    }

    @Test("a restart keeps machines that run, starts those again that went with the host, and ends those nobody knows")
    func restart() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            _ = try await world.createNodegroup(subnets)
            try await world.nodegroup(.active)
        }
        let before = try await world.service.instances("demo", "ng")
        let machineCalls = await world.hosts.calls.filter { $0.hasPrefix("machine ") }.count
        let second = try await World(storage: world.storage, hosts: world.hosts, isNew: false)
        try await second.running {
            try await until("the start") { await second.hosts.calls.filter { $0 == "start demo" }.count == 2 }
            await second.service.settled()
        }
        #expect(await world.hosts.calls.filter { $0.hasPrefix("machine ") }.count == machineCalls)
        #expect(try await second.service.instances("demo", "ng") == before)
        await world.hosts.crashHost()
        let third = try await World(storage: world.storage, hosts: world.hosts, isNew: false)
        try await third.running {
            try await until("the machines") { await third.hosts.running() == Set(before.map(\.instanceID)) }
            try await until("the nodes") { try await third.service.instances("demo", "ng").allSatisfy { $0.phase == .ready } }
        }
    }

    @Test("CreateNodegroup refuses what cannot be")
    func refusals() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            func error(_ change: (inout CreateNodegroupInput) -> Void) async -> AWSError? {
                await refusal { _ = try await world.createNodegroup(subnets, change) }
            }
            #expect(await error { $0.clusterName = "none" }?.message == "No cluster found for name: none.")
            #expect(
                await error { $0.scaling = ScalingConfig(minSize: 3, maxSize: 4, desiredSize: 2) }?.message
                    == "Minimum capacity 3 can't be greater than desired size 2")
            #expect(await error { $0.scaling = ScalingConfig(minSize: 1, maxSize: 2, desiredSize: 3) }?.code == "InvalidParameterException")
            #expect(await error { $0.subnetIDs = ["subnet-0"] }?.message == "The subnet ID 'subnet-0' does not exist")
            #expect(
                await error { $0.nodeRoleARN = World.clusterRole }?.message.hasPrefix("Following required service principals [ec2.amazonaws.com]")
                    == true)
            #expect(await error { $0.nodeRoleARN = "arn:aws:iam::000000000000:role/none" }?.message.contains("does not exist") == true)
            #expect(await error { $0.instanceTypes = ["x9.huge"] }?.code == "InvalidParameterException")
            #expect(await error { $0.labels = ["eks.amazonaws.com/x": "y"] }?.message.hasPrefix("Label cannot contain reserved prefixes") == true)
            #expect(await error { $0.labels = ["a b": "y"] }?.code == "InvalidParameterException")
            #expect(await error { $0.version = "1.33" }?.code == "InvalidParameterException")
            _ = try await world.createNodegroup(subnets)
            #expect(await error { _ in }?.message == "NodeGroup already exists with name ng and cluster name demo")
            #expect(await refusal { _ = try await world.service.describeNodegroup("demo", "x") }?.message == "No node group found for name: x.")
        }
    }

    @Test("who goes first: not Ready, then the fullest zone, then the oldest")
    func victims() {
        func instance(_ id: String, _ zone: String, _ at: Double, _ phase: InstancePhase = .ready) -> InstanceRecord {
            InstanceRecord(
                instanceID: id, clusterName: "c", nodegroup: "g", nodeName: id, instanceType: "t3.medium", vcpus: 2, memoryMiB: 1, maxPods: 17,
                vpcID: "v",
                vpcCIDR: "", subnetID: "s", subnetCIDR: "", zone: zone, region: "r", networkInterfaceIDs: [], primaryAddress: "", macAddress: "",
                podAddresses: [], securityGroupIDs: [], createdAt: at, phase: phase)
        }
        let live = [instance("1", "a", 1), instance("2", "a", 2), instance("3", "b", 0), instance("4", "b", 3, .joining), instance("5", "a", 5)]
        #expect(NodegroupPlan.victims(live, 3).map(\.instanceID) == ["4", "1", "2"])
    }
}
