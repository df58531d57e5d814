import AWSProtocol
import Testing

@testable import ClusterLifecycle

/// Nodes that do not come, and requests sent twice at once.
@Suite struct JoinTroubleTests {
    private func stayAway(_ world: World) async {
        var faults = SimulatedHosts.Faults()
        faults.nodesStayAway = true
        await world.hosts.set(faults)
    }

    private func ready(_ world: World) async throws -> [String] {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets)
        try await world.cluster(.active)
        return subnets
    }

    @Test("a machine that dies before its node joined fails its new group, which says so")
    func diesWhileJoining() async throws {
        let world = try await World()
        await stayAway(world)
        try await world.running {
            let subnets = try await ready(world)
            _ = try await world.createNodegroup(subnets) { $0.scaling = ScalingConfig(minSize: 1, maxSize: 4, desiredSize: 1) }
            try await until("a machine") { await world.hosts.running().count == 1 }
            let id = try #require(await world.hosts.running().first)
            await world.hosts.kill(id)
            try await world.nodegroup(.createFailed)
            let issue = try #require(try await world.service.describeNodegroup("demo", "ng").health.first)
            #expect(issue.code == "NodeCreationFailure" && issue.message.contains("\(id) died") && issue.resourceIDs == [id])
            try await until("the instance's end") { try await world.service.instances("demo", "ng").isEmpty }
            #expect(await world.hosts.running().isEmpty)
        }
    }

    @Test("a new group whose nodes are slow to join says what it waits for, and forgets it when they do")
    func slow() async throws {
        let world = try await World(slowJoin: .milliseconds(10))
        await stayAway(world)
        try await world.running {
            let subnets = try await ready(world)
            _ = try await world.createNodegroup(subnets) { $0.scaling = ScalingConfig(minSize: 1, maxSize: 4, desiredSize: 1) }
            try await until("a health issue") { try await !world.service.describeNodegroup("demo", "ng").health.isEmpty }
            let group = try await world.service.describeNodegroup("demo", "ng")
            #expect(group.status == .creating && group.health.first?.code == "NodeCreationFailure")
            await world.hosts.set(SimulatedHosts.Faults())
            let id = try #require(await world.hosts.running().first)
            let spec = try #require(await world.hosts.specs[id])
            // Started again it is Ready.
            try await world.hosts.start(spec)
            try await world.nodegroup(.active)
            #expect(try await world.service.describeNodegroup("demo", "ng").health.isEmpty)
        }
    }

    @Test("the same CreateCluster and CreateNodegroup sent many times at once make one of each")
    func sentTwice() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await world.subnets()
            let ids = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        try await world.createCluster(subnets) { $0.token = IdempotencyToken(token: "t", parameters: .object([:]), createdAt: 0) }.id
                    }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(ids.count == 1)
            try await world.cluster(.active)
            let groups = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        try await world.createNodegroup(subnets) { $0.token = IdempotencyToken(token: "t", parameters: .object([:]), createdAt: 0) }
                            .id
                    }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(groups.count == 1)
        }
    }

    @Test("what is wrong with a new cluster's tags is an InvalidParameterException")
    func tags() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        let tooMany = Dictionary(uniqueKeysWithValues: (0..<51).map { ("k\($0)", "v") })
        for tags in [["aws:x": "y"], ["k": String(repeating: "v", count: 257)], tooMany] {
            let error = await refusal { _ = try await world.createCluster(subnets) { $0.tags = tags } }
            #expect(error?.code == "InvalidParameterException")
        }
    }
}
