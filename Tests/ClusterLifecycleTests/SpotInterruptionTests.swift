import AWSProtocol
import AWSServices
import Testing

@testable import ClusterLifecycle

@Suite struct SpotInterruptionTests {
    /// A cluster with a group of two nodes; the first.
    private func node(_ world: World, _ capacity: String) async throws -> InstanceRecord {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets)
        try await world.cluster(.active)
        _ = try await world.createNodegroup(subnets) { $0.capacityType = capacity }
        try await world.nodegroup(.active)
        return try #require(try await world.service.instances("demo", "ng").first)
    }

    private func interrupt(_ world: World, _ id: String) async throws {
        _ = try await world.call(world.ec2, "SendSpotInstanceInterruptions", ["InstanceId": id])
    }

    private func replaced(_ world: World, _ old: InstanceRecord) async throws {
        try await until("the replacement") {
            let instances = try await world.service.instances("demo", "ng")
            return instances.count == 2 && instances.allSatisfy { $0.phase == .ready && $0.instanceID != old.instanceID }
        }
    }

    @Test("a spot instance that is taken back is drained and ended, and its group launches another")
    func drained() async throws {
        let world = try await World()
        try await world.running {
            let old = try await node(world, "SPOT")
            try await interrupt(world, old.instanceID)
            let notice = await world.network.launched(old.instanceID)?.interruption
            #expect(notice.map { $0.takenAt == $0.noticedAt + 120 } == true)
            try await replaced(world, old)
            let calls = await world.hosts.calls
            #expect(calls.contains("drain \(old.nodeName)") && calls.contains("terminate \(old.instanceID)"))
            #expect(try await world.service.describeNodegroup("demo", "ng").status == .active)
        }
    }

    @Test("pods that may not be evicted keep it for two minutes, no longer; the other node does not wait")
    func taken() async throws {
        let time = MovableClock(AWSClock.system.now)
        let world = try await World(clock: time.clock)
        try await world.running {
            let old = try await node(world, "SPOT")
            var faults = SimulatedHosts.Faults()
            faults.podsStay = true
            await world.hosts.set(faults)
            try await interrupt(world, old.instanceID)
            try await until("the other node") {
                let instances = try await world.service.instances("demo", "ng")
                return instances.count == 3 && instances.filter { $0.phase == .ready }.count == 2
            }
            #expect(try await world.service.instances("demo", "ng").contains { $0.instanceID == old.instanceID && $0.phase == .draining })
            // EC2 goes by the system's time here.
            time.set(time.clock.now + 600)
            try await replaced(world, old)
        }
    }

    @Test("an instance bought on demand is not taken back, nor one that is not there")
    func refused() async throws {
        let world = try await World()
        try await world.running {
            let old = try await node(world, "ON_DEMAND")
            let onDemand = await #expect(throws: AWSError.self) { try await interrupt(world, old.instanceID) }
            #expect(onDemand?.code == "UnsupportedOperation")
            let missing = await #expect(throws: AWSError.self) { try await interrupt(world, "i-0") }
            #expect(missing?.code == "InvalidInstanceID.NotFound")
            await world.service.settled()
            #expect(try await world.service.instances("demo", "ng").allSatisfy { $0.phase == .ready })
        }
    }
}
