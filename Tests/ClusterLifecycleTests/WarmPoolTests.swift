import AWSProtocol
import AWSServices
import Testing

@testable import ClusterLifecycle

/// What a warm pool is and needs, decided.
@Suite struct WarmPoolPlanTests {
    private func group(_ change: (inout WarmPoolConfig) -> Void = { _ in }, desired: Int = 2, max: Int = 4) -> NodegroupRecord {
        var group = NodegroupRecord(
            clusterName: "c", name: "g", id: "id", arn: "", createdAt: 0, version: "1.36", releaseVersion: "r1",
            scaling: ScalingConfig(minSize: 0, maxSize: max, desiredSize: desired), subnetIDs: [], nodeRoleARN: "", autoScalingGroupName: "",
            status: .active)
        var config = WarmPoolConfig()
        change(&config)
        group.warmPool = config
        return group
    }

    private func instance(
        _ id: String, _ phase: InstancePhase, zone: String = "a", at moment: Double = 0, release: String = "r1", pool: WarmPoolState? = nil
    ) -> InstanceRecord {
        var instance = InstanceRecord(
            instanceID: id, clusterName: "c", nodegroup: "g", nodeName: id, instanceType: "t3.medium", vcpus: 2, memoryMiB: 1, maxPods: 17,
            vpcID: "v", vpcCIDR: "", subnetID: zone, subnetCIDR: "", zone: zone, region: "r", networkInterfaceIDs: [], primaryAddress: "",
            macAddress: "", podAddresses: [], securityGroupIDs: [], createdAt: moment, phase: phase)
        instance.releaseVersion = release
        instance.pool = pool ?? (instance.isInPool ? .stopped : nil)
        return instance
    }

    @Test(
        "the pool has what is left of the maximum, or of the prepared capacity, and never less than its minimum",
        arguments: [(0, nil, 4), (0, 8, 2), (0, 6, 0), (0, 5, 0), (3, 8, 3), (1, 0, 1), (12, 8, 12)] as [(Int, Int?, Int)])
    func size(minSize: Int, maxPrepared: Int?, expected: Int) {
        var config = WarmPoolConfig()
        (config.minSize, config.maxPrepared) = (minSize, maxPrepared)
        let scaling = ScalingConfig(minSize: 0, maxSize: 10, desiredSize: 6)
        #expect(WarmPoolPlan.size(config, scaling) == expected)
        config.isEnabled = false
        #expect(WarmPoolPlan.size(config, scaling) == 0)
    }

    @Test("a pool is filled; those that come back into it count") func filling() {
        let members = [instance("1", .ready), instance("2", .joining)]
        #expect(WarmPoolPlan.plan(group(), members).launch == 2)
        #expect(WarmPoolPlan.plan(group(), members + [instance("3", .warming)]).launch == 1)
        #expect(WarmPoolPlan.plan(group(), members + [instance("3", .draining, pool: .stopped)]).launch == 1)
        #expect(WarmPoolPlan.plan(group(), members + [instance("3", .draining)]).launch == 2)
        #expect(!WarmPoolPlan.plan(group(), members + [instance("3", .warming), instance("4", .warmed)]).isFilled)
        #expect(WarmPoolPlan.plan(group(), members + [instance("3", .warmed), instance("4", .warmed)]).isFilled)
    }

    @Test("what is too much goes: those not ready, then the oldest; all of a pool that was taken away") func surplus() {
        let pool = [instance("1", .warmed, at: 2), instance("2", .warmed, at: 1), instance("3", .warming, at: 3)]
        #expect(WarmPoolPlan.plan(group(), pool).terminate == ["3"])
        #expect(WarmPoolPlan.plan(group(desired: 3), pool).terminate == ["3", "2"])
        let none = WarmPoolPlan.plan(group { $0.isEnabled = false }, pool)
        #expect(Set(none.terminate) == ["1", "2", "3"] && none.launch == 0)
    }

    @Test("instances of another release are replaced, during a rollout and after it") func generations() {
        var group = group()
        let pool = [instance("old", .warmed), instance("new", .warmed, release: "r2")]
        let plan = WarmPoolPlan.plan(group, pool)
        #expect(plan.launch == 1 && plan.terminate == ["new"])
        group.rollout = NodegroupRollout(version: "1.36", releaseVersion: "r2", isForced: false, updateID: "")
        #expect(WarmPoolPlan.plan(group, pool).terminate == ["old"])
        #expect(WarmPoolPlan.taken(group, pool, 2, subnets: ["a"]).map(\.instanceID) == ["new"])
    }

    @Test("another state of the pool is for those that stay") func states() {
        let pool = [instance("1", .warmed), instance("2", .warmed, pool: .running)]
        #expect(WarmPoolPlan.plan(group { $0.state = .running }, pool).change == ["1"])
        #expect(WarmPoolPlan.plan(group(), pool).change == ["2"])
    }

    @Test("the group takes ready ones first, from the zones with the fewest in service, the oldest first") func taking() {
        let instances = [
            instance("m", .ready, zone: "a"), instance("1", .warmed, zone: "a", at: 1), instance("2", .warmed, zone: "b", at: 3),
            instance("3", .warmed, zone: "b", at: 2), instance("4", .warming, zone: "c"),
        ]
        let all: Set<String> = ["a", "b", "c"]
        #expect(WarmPoolPlan.taken(group(), instances, 2, subnets: all).map(\.instanceID) == ["3", "1"])
        #expect(WarmPoolPlan.taken(group(), instances, 9, subnets: all).map(\.instanceID) == ["3", "1", "2", "4"])
        #expect(WarmPoolPlan.taken(group(), instances, 9, subnets: ["a", "c"]).map(\.instanceID) == ["1", "4"])
        #expect(WarmPoolPlan.taken(group { $0.isEnabled = false }, instances, 9, subnets: all).isEmpty)
    }

    @Test("the pool's instances are not the group's; when it shrinks, Ready ones go back where the pool reuses them") func members() {
        let instances = [instance("1", .ready, at: 1), instance("2", .ready, at: 2), instance("3", .warmed), instance("4", .warming)]
        #expect(NodegroupPlan.plan(group(), instances).isSettled)
        #expect(NodegroupPlan.plan(group(desired: 3), instances).launch == 1)
        #expect(NodegroupPlan.plan(group(desired: 1), instances).drain == ["1"])
        let reused = NodegroupPlan.plan(group({ $0.reusesOnScaleIn = true }, desired: 1), instances)
        #expect(reused.giveBack == ["1"] && reused.drain.isEmpty && reused.isSettled == false)
        let late = NodegroupPlan.plan(
            group({ $0.reusesOnScaleIn = true }, desired: 0), [instance("1", .joining), instance("2", .ready, release: "r0")])
        #expect(late.giveBack.isEmpty && Set(late.drain) == ["1", "2"])
        var going = group()
        going.status = .deleting
        let end = NodegroupPlan.plan(going, instances)
        #expect(Set(end.drain) == ["1", "2"] && Set(end.terminate) == ["3", "4"] && !end.isGone)
        #expect(!NodegroupPlan.plan(going, [instance("3", .warmed)]).isGone && NodegroupPlan.plan(going, []).isGone)
    }

    @Test("a request changes what it names; of a pool that was taken away nothing is left") func changes() {
        var change = WarmPoolChange(["minSize": 2, "maxGroupPreparedCapacity": 5, "poolState": "RUNNING", "reuseOnScaleIn": true])
        let made = change.applied(to: nil, isNew: true)
        #expect(made.json == ["enabled": true, "minSize": 2, "maxGroupPreparedCapacity": 5, "poolState": "RUNNING", "reuseOnScaleIn": true])
        #expect(!change.applied(to: nil, isNew: false).isEnabled)
        #expect(change.parameters.map(\.type) == ["WarmPoolMinSize", "WarmPoolMaxGroupPreparedCapacity", "WarmPoolState", "WarmPoolReuseOnScaleIn"])
        change = WarmPoolChange(["maxGroupPreparedCapacity": -1])
        #expect(change.applied(to: made, isNew: false).json == ["enabled": true, "minSize": 2, "poolState": "RUNNING", "reuseOnScaleIn": true])
        let gone = WarmPoolChange(["enabled": false, "minSize": 9]).applied(to: made, isNew: false)
        #expect(gone.json == ["enabled": false])
        #expect(
            WarmPoolChange(["enabled": true]).applied(to: gone, isNew: false).json
                == ["enabled": true, "minSize": 0, "poolState": "STOPPED", "reuseOnScaleIn": false])
    }

    @Test("groups that cannot have a pool, and sizes that cannot be, are refused") func requirements() {
        func message(_ change: (inout NodegroupRecord) -> Void) -> String? {
            var group = group()
            change(&group)
            do {
                try WarmPoolRequirements.check(group)
                return nil
            } catch { return error.message }
        }
        #expect(message { _ in } == nil)
        #expect(message { $0.warmPool?.minSize = 451 }?.contains("from 0 to 450") == true)
        #expect(message { $0.warmPool?.maxPrepared = -2 }?.contains("-1 for the maximum size") == true)
        #expect(message { $0.capacityType = "SPOT" }?.contains("capacity type SPOT") == true)
        #expect(message { $0.amiType = "CUSTOM" }?.contains("custom AMI") == true)
        #expect(message { $0.runtime = SimulatedInstancesStep.runtime }?.contains("not implemented") == true)
        #expect(message { $0.warmPool?.state = .hibernated } == nil)
        let large = message { group in
            group.warmPool?.state = .hibernated
            group.instanceTypes = ["m5.large", "r5.8xlarge"]
        }
        #expect(large?.contains("[r5.8xlarge]") == true)
        #expect(message { group in (group.warmPool, group.capacityType) = (WarmPoolConfig.disabled, "SPOT") } == nil)
        #expect(WarmPoolRequirements.hibernates("c5.large") && !WarmPoolRequirements.hibernates("c5a.large") && !WarmPoolRequirements.hibernates("x"))
    }
}

/// Warm pools of groups over simulated hosts.
@Suite struct WarmPoolTests {
    /// A group of one node, at most three, with a warm pool.
    private func warmed(_ world: World, _ change: (inout WarmPoolChange) -> Void = { _ in }) async throws {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets)
        try await world.cluster(.active)
        var pool = WarmPoolChange()
        pool.isEnabled = true
        change(&pool)
        let wanted = pool
        _ = try await world.createNodegroup(subnets) {
            $0.scaling = ScalingConfig(minSize: 0, maxSize: 3, desiredSize: 1)
            $0.warmPool = wanted
            $0.tags = ["k": "v"]
        }
        try await world.nodegroup(.active)
    }

    /// Waits until the group has so many nodes, all Ready, and so many prepared instances; these.
    private func settled(_ world: World, ready: Int, warmed: Int) async throws -> [InstanceRecord] {
        try await until("\(ready) nodes and \(warmed) prepared instances") {
            let instances = try await world.service.instances("demo", "ng")
            return instances.count == ready + warmed && instances.count { $0.phase == .ready } == ready
                && instances.count { $0.phase == .warmed } == warmed
        }
        return try await world.service.instances("demo", "ng").filter { $0.phase == .warmed }
    }

    private func update(_ world: World, _ change: (inout UpdateNodegroupConfigInput) -> Void) async throws {
        var input = UpdateNodegroupConfigInput(clusterName: "demo", name: "ng")
        change(&input)
        let update = try await world.service.updateNodegroupConfig(input)
        try await until("the update") { try await world.service.describeUpdate("demo", id: update.id, nodegroup: "ng").status == .successful }
    }

    private func state(_ world: World, _ id: String) async throws -> String? {
        let answer = try await world.call(world.ec2, "DescribeInstances", ["InstanceId.1": id])
        guard let state = answer.firstRange(of: "<instanceState>") else { return nil }
        return world.text("name", String(answer[state.upperBound...]))
    }

    @Test("prepared instances are stopped, without a node; the group grows by them, and the pool is refilled to its minimum")
    func growing() async throws {
        let world = try await World()
        try await world.running {
            try await warmed(world) { $0.minSize = 1 }
            let pool = try await settled(world, ready: 1, warmed: 2)
            let running = await world.hosts.running()
            for instance in pool {
                #expect(!running.contains(instance.instanceID))
                #expect(try await state(world, instance.instanceID) == "stopped")
                #expect(await world.service.reconciler.readiness["demo"]?[instance.nodeName] == nil)
            }
            let answer = try await world.call(world.ec2, "DescribeInstances", ["InstanceId.1": pool[0].instanceID])
            #expect(answer.contains("<key>eks:nodegroup-name</key>") && answer.contains("<key>k</key>"))
            try await update(world) { $0.desiredSize = 3 }
            let after = try await settled(world, ready: 3, warmed: 1)
            let members = try await world.service.instances("demo", "ng").filter { $0.phase == .ready }.map(\.instanceID)
            #expect(Set(pool.map(\.instanceID)).isSubset(of: members) && !pool.map(\.instanceID).contains(after[0].instanceID))
            #expect(try await state(world, pool[0].instanceID) == "running")
        }
    }

    @Test("running ones wait for the files of a node in service; one that dies is replaced")
    func running() async throws {
        let world = try await World()
        try await world.running {
            try await warmed(world) { $0.state = .running }
            let pool = try await settled(world, ready: 1, warmed: 2)
            #expect(await world.hosts.running().isSuperset(of: pool.map(\.instanceID)))
            #expect(try await state(world, pool[0].instanceID) == "running")
            await world.hosts.kill(pool[0].instanceID)
            try await until("the replacement") { try await !world.service.instances("demo", "ng").contains { $0.instanceID == pool[0].instanceID } }
            _ = try await settled(world, ready: 1, warmed: 2)
            try await update(world) { $0.desiredSize = 3 }
            _ = try await settled(world, ready: 3, warmed: 0)
            let calls = await world.hosts.calls
            #expect(calls.count { $0 == "machine \(pool[1].instanceID)" } == 1 && calls.contains("renew \(pool[1].instanceID)"))
        }
    }

    @Test("a group that shrinks gives its nodes back, drained, and can have them again")
    func reuse() async throws {
        let world = try await World()
        try await world.running {
            try await warmed(world) { ($0.reusesOnScaleIn, $0.maxPrepared) = (true, 1) }
            let member = try #require(try await world.service.instances("demo", "ng").first)
            try await update(world) { $0.desiredSize = 0 }
            #expect(try await settled(world, ready: 0, warmed: 1).map(\.instanceID) == [member.instanceID])
            #expect(try await state(world, member.instanceID) == "stopped")
            let calls = await world.hosts.calls
            #expect(calls.suffix(3) == ["drain \(member.nodeName)", "halt \(member.instanceID)", "delete node \(member.nodeName)"])
            try await update(world) { $0.desiredSize = 1 }
            _ = try await settled(world, ready: 1, warmed: 0)
            #expect(try await world.service.instances("demo", "ng").map(\.instanceID) == [member.instanceID])
        }
    }

    @Test("a pool changes its state and goes, without the group's nodes; a group that goes leaves nothing")
    func ending() async throws {
        let world = try await World()
        try await world.running {
            try await warmed(world)
            let pool = try await settled(world, ready: 1, warmed: 2).map(\.instanceID)
            func change(_ input: AWSJSON) async throws { try await update(world) { $0.warmPool = WarmPoolChange(input) } }
            try await change(["poolState": "RUNNING"])
            try await until("running ones") { await world.hosts.running().isSuperset(of: pool) }
            #expect(try await settled(world, ready: 1, warmed: 2).map(\.instanceID) == pool)
            try await change(["poolState": "HIBERNATED"])
            try await until("hibernated ones") { await world.hosts.running().isDisjoint(with: pool) }
            #expect(try await settled(world, ready: 1, warmed: 2).map(\.instanceID) == pool)
            try await change(["enabled": false])
            _ = try await settled(world, ready: 1, warmed: 0)
            #expect(try await world.service.describeNodegroup("demo", "ng").warmPool?.json == ["enabled": false])
            try await change(["enabled": true])
            _ = try await settled(world, ready: 1, warmed: 2)
            _ = try await world.service.deleteNodegroup("demo", "ng")
            try await world.gone { _ = try await world.service.describeNodegroup("demo", "ng") }
            #expect(await world.hosts.running().isEmpty)
            #expect(await world.network.instanceIDs(tagged: LaunchInstancesStep.clusterTag).isEmpty)
        }
    }

    @Test("both requests ask what a pool needs")
    func refusals() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await world.subnets()
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
            let pool = WarmPoolChange(["enabled": true])
            let refused = await refusal {
                _ = try await world.createNodegroup(subnets) { ($0.warmPool, $0.capacityType) = (pool, "SPOT") }
            }
            #expect(refused?.code == "InvalidParameterException" && refused?.message.contains("capacity type SPOT") == true)
            _ = try await world.createNodegroup(subnets) { $0.capacityType = "SPOT" }
            try await world.nodegroup(.active)
            let update = await refusal { try await self.update(world) { $0.warmPool = pool } }
            #expect(update?.message == refused?.message)
            #expect(try await world.service.describeNodegroup("demo", "ng").warmPool == nil)
        }
    }

    @Test("a pool that cannot be filled is a health issue of a group that is ACTIVE, until it can be")
    func trouble() async throws {
        let time = MovableClock(AWSClock.system.now)
        let world = try await World(clock: time.clock)
        var faults = SimulatedHosts.Faults()
        faults.machinesStayCold = true
        await world.hosts.set(faults)
        try await world.running {
            try await warmed(world)
            try await until("machines that start") { try await world.service.instances("demo", "ng").count { $0.startedAt != nil } == 3 }
            time.set(time.clock.now + 901)
            try await until("the issue") { try await world.service.describeNodegroup("demo", "ng").warmPoolProblem?.code == "NodeCreationFailure" }
            #expect(try await world.service.describeNodegroup("demo", "ng").status == .active)
            await world.hosts.set(SimulatedHosts.Faults())
            try await until("a full pool") {
                // The pauses before the next launches pass.
                time.set(time.clock.now + 0.1)
                return try await world.service.instances("demo", "ng").count { $0.phase == .warmed } == 2
            }
            try await until("the end of the issue") { try await world.service.describeNodegroup("demo", "ng").warmPoolProblem == nil }
        }
    }

    @Test("the next service goes on with instances that were being prepared; stopped ones stay stopped, running ones come again with their host")
    func restart() async throws {
        let world = try await World()
        var faults = SimulatedHosts.Faults()
        faults.machinesStayCold = true
        await world.hosts.set(faults)
        try await world.running {
            try await warmed(world)
            try await until("machines that start") { await world.hosts.running().count == 3 }
        }
        await world.hosts.set(SimulatedHosts.Faults())
        await world.hosts.crashHost()
        let second = try await World(storage: world.storage, hosts: world.hosts, isNew: false)
        let pool = try await second.running {
            let pool = try await settled(second, ready: 1, warmed: 2).map(\.instanceID)
            #expect(await second.hosts.running().count == 1)
            try await update(second) { $0.warmPool = WarmPoolChange(["poolState": "RUNNING"]) }
            try await until("running ones") { await second.hosts.running().isSuperset(of: pool) }
            _ = try await settled(second, ready: 1, warmed: 2)
            return pool
        }
        await world.hosts.crashHost()
        let third = try await World(storage: world.storage, hosts: world.hosts, isNew: false)
        try await third.running {
            try await until("the machines") { await third.hosts.running().count == 3 }
            #expect(try await settled(third, ready: 1, warmed: 2).map(\.instanceID) == pool)
        }
    }
}
