import AWSProtocol
import Testing

@testable import ClusterLifecycle

@Suite struct NodegroupUpdateTests {
    /// A cluster of 1.36 with a group whose nodes are of 1.35.
    private func behind(_ world: World, _ change: (inout CreateNodegroupInput) -> Void = { _ in }) async throws {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets) { $0.version = "1.35" }
        try await world.cluster(.active)
        _ = try await world.createNodegroup(subnets, change)
        try await world.nodegroup(.active)
        let update = try await world.service.updateClusterVersion(UpdateClusterVersionInput(name: "demo", version: "1.36"))
        try await until("1.36") { try await world.service.describeUpdate("demo", id: update.id, of: .cluster).status == .successful }
    }

    private func update(_ world: World, _ id: String) async throws -> UpdateRecord {
        try await world.service.describeUpdate("demo", id: id, of: .nodegroup("ng"))
    }

    private func begin(_ world: World, force: Bool = false) async throws -> UpdateRecord {
        var input = UpdateNodegroupVersionInput(clusterName: "demo", name: "ng")
        input.force = force
        return try await world.service.updateNodegroupVersion(input, caller: world.caller)
    }

    @Test("all nodes are replaced by ones of the cluster's version: new ones come first, old ones are drained")
    func rollout() async throws {
        let world = try await World()
        try await world.running {
            try await behind(world)
            let old = try await world.service.instances("demo", "ng")
            let begun = try await begin(world)
            #expect(begun.type == "VersionUpdate" && begun.status == .inProgress)
            #expect(begun.parameters.map(\.value) == ["1.36", try #require(KubernetesVersions.named("1.36")).nodeReleaseVersion])
            #expect(await refusal { _ = try await begin(world) }?.code == "ResourceInUseException")
            try await until("the update") { try await update(world, begun.id).status == .successful }
            let group = try await world.service.describeNodegroup("demo", "ng")
            let new = try await world.service.instances("demo", "ng")
            #expect(group.version == "1.36" && group.status == .active && group.rollout == nil)
            #expect(new.count == 2 && new.allSatisfy { $0.version == "1.36" && $0.phase == .ready })
            #expect(Set(new.map(\.instanceID)).isDisjoint(with: old.map(\.instanceID)))
            let calls = await world.hosts.calls
            let launches = calls.indices.filter { calls[$0].hasPrefix("machine ") }
            let firstDrain = try #require(calls.firstIndex { $0.hasPrefix("drain ") })
            #expect(launches.count == 4 && launches[2] < firstDrain)
            #expect(old.allSatisfy { calls.contains("drain \($0.nodeName)") && calls.contains("delete node \($0.nodeName)") })
            #expect(await refusal { _ = try await begin(world) }?.message.contains("already at release version") == true)
        }
    }

    @Test("pods that may not be evicted fail the update: the nodes stay and what was launched goes")
    func evictionFailure() async throws {
        let world = try await World(evictionTimeout: .milliseconds(20))
        try await world.running {
            try await behind(world)
            let old = try await world.service.instances("demo", "ng")
            var faults = SimulatedHosts.Faults()
            faults.podsStay = true
            await world.hosts.set(faults)
            let begun = try await begin(world)
            try await until("the failure") { try await update(world, begun.id).status == .failed }
            let error = try #require(try await update(world, begun.id).errors.first)
            #expect(error.code == "PodEvictionFailure")
            #expect(error.message == "Reached max retries while trying to evict pods from nodes in node group ng")
            #expect(old.map(\.nodeName).contains(error.resourceIDs.first ?? ""))
            await world.hosts.set(SimulatedHosts.Faults())
            try await until("the old size") {
                let instances = try await world.service.instances("demo", "ng")
                return instances.count == 2 && instances.allSatisfy { $0.phase == .ready }
            }
            let group = try await world.service.describeNodegroup("demo", "ng")
            #expect(group.version == "1.35" && group.status == .active)
            #expect(try await world.service.instances("demo", "ng").map(\.instanceID) == old.map(\.instanceID))
            #expect(await world.hosts.calls.contains("uncordon \(error.resourceIDs.first ?? "")"))
        }
    }

    @Test("a forced update ends nodes whose pods may not be evicted")
    func forced() async throws {
        let time = MovableClock(AWSClock.system.now)
        let world = try await World(clock: time.clock)
        try await world.running {
            try await behind(world)
            var faults = SimulatedHosts.Faults()
            faults.podsStay = true
            await world.hosts.set(faults)
            let begun = try await begin(world, force: true)
            try await until("the update") {
                time.set(time.clock.now + 30)
                return try await update(world, begun.id).status == .successful
            }
            #expect(try await world.service.describeNodegroup("demo", "ng").version == "1.36")
        }
    }

    @Test("a rollout that the service's end interrupted is finished by the next one")
    func resumed() async throws {
        let world = try await World()
        try await world.running { try await behind(world) }
        let begun = try await begin(world)
        var faults = SimulatedHosts.Faults()
        faults.nodesStayAway = true
        await world.hosts.set(faults)
        let second = try await World(storage: world.storage, hosts: world.hosts, isNew: false)
        try await second.running {
            try await until("a new instance") {
                try await second.service.instances("demo", "ng").contains { $0.version == "1.36" && $0.phase == .joining }
            }
        }
        // As a host's restart would.
        await world.hosts.crashHost()
        await world.hosts.set(SimulatedHosts.Faults())
        let third = try await World(storage: world.storage, hosts: world.hosts, isNew: false)
        try await third.running { try await until("the update") { try await update(third, begun.id).status == .successful } }
        #expect(try await third.service.instances("demo", "ng").allSatisfy { $0.version == "1.36" })
    }

    @Test("labels and taints come to the nodes, and to the machines that follow; the update waits for the API server")
    func labels() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await world.subnets()
            _ = try await world.createCluster(subnets)
            try await world.cluster(.active)
            _ = try await world.createNodegroup(subnets) {
                $0.labels = ["team": "a", "old": "1"]
                $0.taints = [NodeTaint(key: "k", value: "v", effect: "NoSchedule")]
            }
            try await world.nodegroup(.active)
            var faults = SimulatedHosts.Faults()
            faults.nodesRefuseChanges = true
            await world.hosts.set(faults)
            var input = UpdateNodegroupConfigInput(clusterName: "demo", name: "ng")
            input.nodes.setLabels = ["team": "b"]
            input.nodes.removeLabels = ["old"]
            input.nodes.removeTaints = [NodeTaint(key: "k", effect: "NoSchedule")]
            input.nodes.setTaints = [NodeTaint(key: "n", value: "1", effect: "NoExecute")]
            let begun = try await world.service.updateNodegroupConfig(input)
            #expect(begun.parameters.map(\.type) == ["LabelsToAdd", "LabelsToRemove", "TaintsToAdd", "TaintsToRemove"])
            #expect(begun.parameters.first?.value == #"{"team":"b"}"#)
            #expect(try await update(world, begun.id).status == .inProgress)
            await world.hosts.set(SimulatedHosts.Faults())
            try await until("the update") { try await update(world, begun.id).status == .successful }
            let instances = try await world.service.instances("demo", "ng")
            #expect(instances.allSatisfy { $0.labels["team"] == "b" && $0.labels["old"] == nil && $0.taints.map(\.key) == ["n"] })
            let changes = await world.hosts.changes
            #expect(instances.allSatisfy { changes[$0.nodeName] == input.nodes })
            let group = try await world.service.describeNodegroup("demo", "ng")
            #expect(group.labels == ["team": "b"] && group.taints == input.nodes.setTaints && group.nodeChange == nil)
            input.nodes.setLabels = ["eks.amazonaws.com/x": "y"]
            #expect(await refusal { _ = try await world.service.updateNodegroupConfig(input) }?.code == "InvalidParameterException")
        }
    }

    @Test("what an update's updateConfig leaves out stays: the strategy, and how many nodes are taken at once")
    func updateConfig() throws {
        var group = NodegroupRecord(
            clusterName: "demo", name: "ng", id: "id", arn: "", createdAt: 0, version: "1.36", releaseVersion: "r",
            scaling: ScalingConfig(minSize: 0, maxSize: 1, desiredSize: 0), subnetIDs: [], nodeRoleARN: "", autoScalingGroupName: "")
        group.updateConfig = NodegroupUpdateConfig(updateStrategy: "MINIMAL").orOneNode
        #expect(group.updateConfig == NodegroupUpdateConfig(maxUnavailable: 1, updateStrategy: "MINIMAL"))
        let changes: [(NodegroupUpdateConfig, [String], NodegroupUpdateConfig)] = [
            (.init(maxUnavailablePercentage: 50), ["MaxUnavailablePercentage"], .init(maxUnavailablePercentage: 50, updateStrategy: "MINIMAL")),
            (.init(updateStrategy: "DEFAULT"), ["UpdateStrategy"], .init(maxUnavailablePercentage: 50, updateStrategy: "DEFAULT")),
            (.init(maxUnavailable: 2), ["MaxUnavailable"], .init(maxUnavailable: 2, updateStrategy: "DEFAULT")),
            (.init(), [], .init(maxUnavailable: 2, updateStrategy: "DEFAULT")),
        ]
        for (change, parameters, result) in changes {
            var input = UpdateNodegroupConfigInput(clusterName: "demo", name: "ng")
            input.updateConfig = change
            let types = try group.apply(input).map(\.type)
            #expect(types == parameters && group.updateConfig == result)
        }
    }

    @Test("a version is refused that is newer than the cluster's, older than the group's, or another release than its own")
    func rules() async throws {
        let world = try await World()
        try await world.running {
            try await behind(world)
            func error(_ change: (inout UpdateNodegroupVersionInput) -> Void) async -> AWSError? {
                var input = UpdateNodegroupVersionInput(clusterName: "demo", name: "ng")
                change(&input)
                return await refusal { _ = try await world.service.updateNodegroupVersion(input, caller: world.caller) }
            }
            #expect(await error { $0.version = "1.34" }?.message.contains("cannot be rolled back") == true)
            #expect(await error { $0.version = "1.99" }?.code == "InvalidParameterException")
            #expect(await error { $0.releaseVersion = "1.36.0-20200101" }?.message.contains("is not valid for kubernetes version 1.36") == true)
            #expect(await error { $0.name = "none" }?.code == "ResourceNotFoundException")
        }
    }
}

@Suite struct RolloutPlanTests {
    private func instance(_ id: String, _ release: String, _ phase: InstancePhase = .ready) -> InstanceRecord {
        var record = InstanceRecord(
            instanceID: id, clusterName: "c", nodegroup: "g", nodeName: id, instanceType: "t3.medium", vcpus: 2, memoryMiB: 1, maxPods: 17,
            vpcID: "v", vpcCIDR: "", subnetID: "s", subnetCIDR: "", zone: "a", region: "r", networkInterfaceIDs: [], primaryAddress: "",
            macAddress: "", podAddresses: [], securityGroupIDs: [], createdAt: 0, phase: phase)
        record.releaseVersion = release
        return record
    }

    private func plan(_ desired: Int, _ config: NodegroupUpdateConfig, _ instances: [InstanceRecord]) -> NodegroupPlan {
        var group = NodegroupRecord(
            clusterName: "c", name: "g", id: "", arn: "", createdAt: 0, version: "1.35", releaseVersion: "old",
            scaling: ScalingConfig(minSize: 0, maxSize: 10, desiredSize: desired), subnetIDs: [], nodeRoleARN: "", autoScalingGroupName: "",
            status: .updating)
        group.updateConfig = config
        group.rollout = NodegroupRollout(version: "1.36", releaseVersion: "new", isForced: false, updateID: "u")
        return NodegroupPlan.plan(group, instances)
    }

    /// Plays the plan until it is settled; returns the fewest Ready nodes and the most instances there ever were.
    private func play(_ desired: Int, _ config: NodegroupUpdateConfig) -> (fewestReady: Int, most: Int, rounds: Int) {
        var instances = (0..<desired).map { instance("o\($0)", "old") }
        var (fewest, most, next) = (desired, desired, 0)
        for round in 0..<100 {
            let plan = plan(desired, config, instances)
            if plan.isSettled { return (fewest, most, round) }
            for id in plan.drain { if let at = instances.firstIndex(where: { $0.instanceID == id }) { instances[at].phase = .draining } }
            for _ in 0..<plan.launch {
                instances.append(instance("n\(next)", "new", .launching))
                next += 1
            }
            fewest = min(fewest, instances.count { $0.phase == .ready })
            most = max(most, instances.count)
            // Then the machines: those that drain are gone, those that launched are Ready.
            instances.removeAll { $0.phase == .draining }
            for at in instances.indices { instances[at].phase = .ready }
        }
        return (fewest, most, 100)
    }

    @Test("by default the group never has fewer nodes than it should; at most so many more as may be unavailable")
    func byDefault() {
        #expect(play(3, NodegroupUpdateConfig(maxUnavailable: 1)).fewestReady == 3)
        #expect(play(3, NodegroupUpdateConfig(maxUnavailable: 1)).most == 4)
        let wide = play(6, NodegroupUpdateConfig(maxUnavailable: 3))
        #expect(wide.fewestReady == 6 && wide.most == 9 && wide.rounds < play(6, NodegroupUpdateConfig(maxUnavailable: 1)).rounds)
        #expect(play(0, NodegroupUpdateConfig(maxUnavailable: 1)).rounds == 0)
    }

    @Test("the strategy MINIMAL ends old nodes first and never has more than the group's size")
    func minimal() {
        let narrow = play(3, NodegroupUpdateConfig(maxUnavailable: 1, updateStrategy: "MINIMAL"))
        #expect(narrow.fewestReady == 2 && narrow.most == 3 && narrow.rounds < 100)
        let wide = play(4, NodegroupUpdateConfig(maxUnavailablePercentage: 50, updateStrategy: "MINIMAL"))
        #expect(wide.fewestReady == 2 && wide.most == 4)
    }

    @Test("a share is rounded up, and a hundred is the most at once")
    func width() {
        #expect(RolloutPlan.width(NodegroupUpdateConfig(maxUnavailablePercentage: 33), desired: 4) == 2)
        #expect(RolloutPlan.width(NodegroupUpdateConfig(maxUnavailablePercentage: 1), desired: 4) == 1)
        #expect(RolloutPlan.width(NodegroupUpdateConfig(maxUnavailable: 400), desired: 450) == 100)
    }

    @Test("old nodes that never were Ready are ended without a drain")
    func neverReady() {
        let plan = plan(2, NodegroupUpdateConfig(maxUnavailable: 1), [instance("a", "old", .joining), instance("b", "old")])
        #expect(plan.terminate == ["a"] && plan.drain.isEmpty && plan.launch == 1)
    }
}
