import AWSProtocol
import AWSServices
import Testing

@testable import ClusterLifecycle

@Suite("Node groups whose nodes are simulated")
struct SimulatedGroupTests {
    private static let tags = [SimulatedInstancesStep.tag: SimulatedInstancesStep.runtime]

    /// A cluster with a group of `size` simulated nodes, ACTIVE.
    private func group(_ world: World, _ size: Int) async throws -> [String] {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets)
        try await world.cluster(.active)
        _ = try await world.createNodegroup(subnets) {
            $0.tags = Self.tags
            $0.scaling = ScalingConfig(minSize: 0, maxSize: 5000, desiredSize: size)
        }
        try await world.nodegroup(.active)
        return subnets
    }

    @Test("more nodes than the subnets have addresses: over the zones, each with a name and an address, and no machine")
    func creation() async throws {
        let world = try await World()
        try await world.running {
            let free = await world.network.subnets(try await group(world, 700)).map(\.freeAddresses)
            let instances = try await world.service.instances("demo", "ng")
            #expect(instances.count == 700 && instances.allSatisfy { $0.phase == .ready })
            #expect(Set(instances.map(\.primaryAddress)).count == 700 && Set(instances.map(\.nodeName)).count == 700)
            #expect(instances.count { $0.zone == "eu-central-1a" } == 350)
            #expect(free == [250, 250])
            #expect(await world.hosts.running().isEmpty)
            #expect(await world.service.isSimulated(instance: instances[0].instanceID))
        }
    }

    @Test("scaling down drains the nodes that go, scaling up takes addresses that are free again; deletion leaves nothing")
    func scaling() async throws {
        let world = try await World()
        try await world.running {
            _ = try await group(world, 80)
            for size in [3, 10] {
                var input = UpdateNodegroupConfigInput(clusterName: "demo", name: "ng")
                input.desiredSize = size
                let update = try await world.service.updateNodegroupConfig(input)
                try await until("the update") { try await world.service.describeUpdate("demo", id: update.id, nodegroup: "ng").status == .successful }
                try await until("the instances") { try await world.service.instances("demo", "ng").count == size }
            }
            let calls = await world.hosts.calls
            #expect(calls.count { $0.hasPrefix("drain ") } == 77)
            #expect(calls.count { $0.hasPrefix("delete node ") } == 77)
            let addresses = try await world.service.instances("demo", "ng").compactMap { IPv4Address($0.primaryAddress) }
            #expect(Set(addresses).count == 10)
            _ = try await world.service.deleteNodegroup("demo", "ng")
            try await world.gone { _ = try await world.service.describeNodegroup("demo", "ng") }
            #expect(await world.hosts.calls.last { $0.hasPrefix("simulate") } == "simulate 0 of ng")
        }
    }

    @Test("after a restart the fleet is told anew")
    func restart() async throws {
        let world = try await World()
        try await world.running { _ = try await group(world, 5) }
        await world.hosts.crashHost()
        let second = try await World(storage: world.storage, hosts: world.hosts, isNew: false)
        try await second.running {
            try await until("the nodes") {
                let instances = try await second.service.instances("demo", "ng")
                let told = await second.hosts.calls.count { $0 == "simulate 5 of ng" }
                return instances.count == 5 && instances.allSatisfy { $0.phase == .ready } && told > 1
            }
            #expect(try await second.service.describeNodegroup("demo", "ng").status == .active)
        }
    }

    @Test("the tag decides when the group is made, and names no other runtime; machines keep EKS's limit")
    func refusals() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await world.subnets()
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
            let other = await refusal { _ = try await world.createNodegroup(subnets) { $0.tags = [SimulatedInstancesStep.tag: "docker"] } }
            #expect(other?.message == "The tag eyrie.dev/runtime must be \"simulated\", not \"docker\"")
            let many = ScalingConfig(minSize: 0, maxSize: 451, desiredSize: 0)
            #expect(await refusal { _ = try await world.createNodegroup(subnets) { $0.scaling = many } }?.code == "InvalidParameterException")
            let most = ScalingConfig(minSize: 0, maxSize: 20_001, desiredSize: 0)
            let refused = await refusal {
                _ = try await world.createNodegroup(subnets) {
                    $0.tags = Self.tags
                    $0.scaling = most
                }
            }
            #expect(refused?.message == "maxSize 20001 exceeds the limit of 20000 nodes per node group")
        }
    }
}
