import AWSProtocol
import Testing

@testable import AWSServices
@testable import ClusterLifecycle

@Suite struct NodeRepairTests {
    /// A cluster with a group of `size` nodes that are repaired as `change` says.
    private func repaired(_ world: World, size: Int = 2, _ change: (inout NodeRepairConfig) -> Void = { _ in }) async throws -> [InstanceRecord] {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets)
        try await world.cluster(.active)
        var config = NodeRepairConfig()
        config.isEnabled = true
        change(&config)
        let wanted = config
        _ = try await world.createNodegroup(subnets) {
            $0.nodeRepair = wanted
            $0.scaling = ScalingConfig(minSize: 0, maxSize: 10, desiredSize: size)
        }
        try await world.nodegroup(.active)
        return try await world.service.instances("demo", "ng")
    }

    private func look(_ world: World) async throws {
        await world.service.reconciler.wake(.nodegroup(cluster: "demo", name: "ng"))
        await world.service.settled()
    }

    /// Has a node tell of its problems, and waits until that is known.
    private func report(_ world: World, _ node: InstanceRecord, isReady: Bool = true, _ problems: [NodeProblem]) async throws {
        await world.hosts.report(node.nodeName, isReady: isReady, problems)
        try await until("the report") { await world.service.reconciler.problems["demo"]?[node.nodeName] == problems }
        await world.service.settled()
    }

    @Test("a node that is not Ready for half an hour is drained, ended and replaced; the group stays ACTIVE")
    func replaced() async throws {
        let time = MovableClock(AWSClock.system.now)
        let world = try await World(clock: time.clock)
        try await world.running {
            let sick = try await repaired(world)[0]
            let problem = NodeProblem(condition: "Ready", reason: "NodeStatusUnknown", since: time.clock.now)
            try await report(world, sick, isReady: false, [problem])
            time.set(time.clock.now + 1_790)
            try await look(world)
            #expect(try await world.service.instances("demo", "ng").contains { $0.instanceID == sick.instanceID && $0.phase == .ready })
            time.set(time.clock.now + 20)
            try await look(world)
            try await until("the replacement") {
                let instances = try await world.service.instances("demo", "ng")
                return instances.count == 2 && instances.allSatisfy { $0.phase == .ready && $0.instanceID != sick.instanceID }
            }
            let calls = await world.hosts.calls
            #expect(calls.contains("drain \(sick.nodeName)") && calls.contains("delete node \(sick.nodeName)"))
            #expect(try await world.service.describeNodegroup("demo", "ng").status == .active)
        }
    }

    @Test("a node that recovers in time is left alone, and so is every node of a group without repair")
    func left() async throws {
        let time = MovableClock(AWSClock.system.now)
        let world = try await World(clock: time.clock)
        try await world.running {
            let nodes = try await repaired(world)
            let problem = NodeProblem(condition: "KernelReady", reason: "SoftLockup", since: time.clock.now)
            try await report(world, nodes[0], [problem])
            try await report(world, nodes[0], [])
            time.set(time.clock.now + 7_200)
            try await look(world)
            var input = UpdateNodegroupConfigInput(clusterName: "demo", name: "ng")
            input.nodeRepair = NodeRepairConfig()
            _ = try await world.service.updateNodegroupConfig(input)
            try await world.nodegroup(.active)
            try await report(world, nodes[1], [problem])
            #expect(try await world.service.instances("demo", "ng") == nodes)
        }
    }

    @Test("a reboot drains the node, starts its machine again under the same id, and lets pods come back")
    func rebooted() async throws {
        let time = MovableClock(AWSClock.system.now)
        let world = try await World(clock: time.clock)
        try await world.running {
            let override = NodeRepairOverride(condition: "StorageReady", reason: "IODelays", waitMinutes: 5, action: .reboot)
            let sick = try await repaired(world) { $0.overrides = [override] }[0]
            let problem = NodeProblem(condition: "StorageReady", reason: "IODelays", since: time.clock.now - 301)
            await world.hosts.report(sick.nodeName, isReady: true, [problem])
            try await until("the reboot") {
                let instance = try await world.service.instances("demo", "ng").first { $0.instanceID == sick.instanceID }
                return instance?.repairedAt != nil && instance?.phase == .ready
            }
            let calls = await world.hosts.calls
            #expect(
                calls.suffix(4) == ["drain \(sick.nodeName)", "halt \(sick.instanceID)", "machine \(sick.instanceID)", "uncordon \(sick.nodeName)"])
            #expect(!calls.contains("delete node \(sick.nodeName)"))
            // The condition that stands there still has its time once more.
            try await report(world, sick, [problem])
            #expect(await world.hosts.calls.count == calls.count)
            time.set(time.clock.now + 302)
            try await look(world)
            try await until("the second reboot") { await world.hosts.calls.filter { $0 == "halt \(sick.instanceID)" }.count == 2 }
        }
    }

    @Test("a repair that the service's end interrupted is finished by the next one")
    func resumed() async throws {
        let world = try await World()
        let sick = try await world.running {
            let sick = try await repaired(world)[0]
            var faults = SimulatedHosts.Faults()
            faults.podsStay = true
            await world.hosts.set(faults)
            let problem = NodeProblem(condition: "NetworkingReady", reason: "IPAMDNotRunning", since: 0)
            await world.hosts.report(sick.nodeName, isReady: true, [problem])
            try await until("the drain") { try await world.service.instances("demo", "ng").contains { $0.phase == .draining } }
            return sick
        }
        await world.hosts.set(SimulatedHosts.Faults())
        let second = try await World(storage: world.storage, hosts: world.hosts, isNew: false)
        try await second.running {
            try await until("the replacement") {
                let instances = try await second.service.instances("demo", "ng")
                return instances.count == 2 && instances.allSatisfy { $0.phase == .ready && $0.instanceID != sick.instanceID }
            }
        }
    }

    @Test("a reboot that the end of the service and of its host interrupted ends with the node back, and schedulable")
    func rebootResumed() async throws {
        let world = try await World()
        let sick = try await world.running {
            let override = NodeRepairOverride(condition: "Ready", reason: "NodeStatusUnknown", waitMinutes: 1, action: .reboot)
            let sick = try await repaired(world) { $0.overrides = [override] }[0]
            var faults = SimulatedHosts.Faults()
            faults.nodesStayAway = true
            await world.hosts.set(faults)
            await world.hosts.report(sick.nodeName, isReady: false, [NodeProblem(condition: "Ready", reason: "NodeStatusUnknown", since: 0)])
            try await until("the reboot") {
                try await world.service.instances("demo", "ng").contains { $0.instanceID == sick.instanceID && $0.phase == .joining }
            }
            return sick
        }
        await world.hosts.crashHost()
        await world.hosts.set(SimulatedHosts.Faults())
        let second = try await World(storage: world.storage, hosts: world.hosts, isNew: false)
        try await second.running {
            try await until("the node is back") {
                let instances = try await second.service.instances("demo", "ng")
                return instances.count == 2 && instances.contains { $0.instanceID == sick.instanceID && $0.phase == .ready && $0.repairedAt != nil }
            }
            #expect(await world.hosts.calls.contains("uncordon \(sick.nodeName)"))
        }
    }

    @Test("counts and percentages exclude one another, and an override needs all its members")
    func configuration() throws {
        let full: AWSJSON = [
            "enabled": true, "maxUnhealthyNodeThresholdPercentage": 10, "maxParallelNodesRepairedCount": 3,
            "nodeRepairConfigOverrides": [
                ["nodeMonitoringCondition": "KernelReady", "nodeUnhealthyReason": "X", "minRepairWaitTimeMins": 5, "repairAction": "NoAction"]
            ],
        ]
        #expect(try NodeRepairConfig(full).json == full && NodeRepairConfig([:]).json == ["enabled": false])
        #expect(throws: AWSError.self) { try NodeRepairConfig(["maxParallelNodesRepairedCount": 1, "maxParallelNodesRepairedPercentage": 1]) }
        #expect(throws: AWSError.self) { try NodeRepairConfig(["maxUnhealthyNodeThresholdCount": 1, "maxUnhealthyNodeThresholdPercentage": 1]) }
        #expect(throws: AWSError.self) { try NodeRepairConfig(["nodeRepairConfigOverrides": [["nodeMonitoringCondition": "KernelReady"]]]) }
    }
}

@Suite struct NodeRepairPlanTests {
    private func instance(_ id: Int, _ phase: InstancePhase = .ready) -> InstanceRecord {
        InstanceRecord(
            instanceID: "i-\(id)", clusterName: "c", nodegroup: "g", nodeName: "n\(id)", instanceType: "t3.medium", vcpus: 2, memoryMiB: 1,
            maxPods: 17, vpcID: "v", vpcCIDR: "", subnetID: "s", subnetCIDR: "", zone: "a", region: "r", networkInterfaceIDs: [], primaryAddress: "",
            macAddress: "", podAddresses: [], securityGroupIDs: [], createdAt: 0, phase: phase)
    }

    private func group(_ change: (inout NodeRepairConfig) -> Void = { _ in }) -> NodegroupRecord {
        var group = NodegroupRecord(
            clusterName: "c", name: "g", id: "", arn: "", createdAt: 0, version: "1.36", releaseVersion: "r",
            scaling: ScalingConfig(minSize: 0, maxSize: 10, desiredSize: 10), subnetIDs: [], nodeRoleARN: "", autoScalingGroupName: "",
            status: .active)
        var config = NodeRepairConfig()
        config.isEnabled = true
        change(&config)
        group.nodeRepair = config
        return group
    }

    /// How many of `count` nodes are repaired at once when the first `sick` are unhealthy for long.
    private func repairs(_ count: Int, sick: Int, _ change: (inout NodeRepairConfig) -> Void = { _ in }) -> Int {
        let problems = Dictionary(uniqueKeysWithValues: (0..<sick).map { ("n\($0)", [NodeProblem(condition: "Ready", reason: "x", since: 0)]) })
        return NodeRepairPlan.plan(group(change), (0..<count).map { instance($0) }, problems, now: 10_000).repairs.count
    }

    @Test("by default small groups are repaired whatever happens, larger ones while no more than a fifth is unhealthy")
    func threshold() {
        #expect(repairs(5, sick: 5) == 5 && repairs(10, sick: 2) == 2 && repairs(10, sick: 3) == 0)
        #expect(repairs(10, sick: 3) { $0.unhealthyCount = 3 } == 3 && repairs(10, sick: 4) { $0.unhealthyCount = 3 } == 0)
        #expect(repairs(10, sick: 5) { $0.unhealthyPercentage = 50 } == 5 && repairs(10, sick: 6) { $0.unhealthyPercentage = 50 } == 0)
        #expect(repairs(2, sick: 1) { $0.unhealthyPercentage = 10 } == 0)
    }

    @Test("no more nodes are repaired at once than may be; those under way count")
    func parallel() {
        #expect(repairs(5, sick: 4) { $0.parallelCount = 2 } == 2 && repairs(5, sick: 4) { $0.parallelPercentage = 50 } == 2)
        #expect(repairs(5, sick: 4) { $0.parallelPercentage = 1 } == 1)
        var busy = instance(1, .draining)
        busy.repair = NodeRepair(action: .replace, problem: NodeProblem(condition: "Ready", reason: "x", since: 0))
        let problems = ["n0": [NodeProblem(condition: "Ready", reason: "x", since: 0)]]
        func plan(_ most: Int) -> NodeRepairPlan {
            NodeRepairPlan.plan(group { $0.parallelCount = most }, [instance(0), busy], problems, now: 10_000)
        }
        #expect(plan(1).repairs.isEmpty && plan(2).repairs.keys.sorted() == ["i-0"])
    }

    @Test(
        "each condition has its time and action",
        arguments: [
            ("Ready", "KubeletNotReady", RepairAction.replace, 30.0), ("KernelReady", "x", .replace, 30),
            ("AcceleratedHardwareReady", "x", .replace, 10),
            ("AcceleratedHardwareReady", "NvidiaXID64Error", .reboot, 10),
        ])
    func rules(_ condition: String, _ reason: String, _ action: RepairAction, _ minutes: Double) {
        let rule = NodeRepairPlan.rule(NodeProblem(condition: condition, reason: reason, since: 0), NodeRepairConfig())
        #expect(rule?.action == action && rule?.wait == minutes * 60)
    }

    @Test("overrides hold for their reason alone; NoAction and conditions nobody knows are left; the next moment is told")
    func overrides() {
        let settings = group {
            $0.overrides = [
                NodeRepairOverride(condition: "KernelReady", reason: "a", waitMinutes: 1, action: .reboot),
                NodeRepairOverride(condition: "KernelReady", reason: "b", waitMinutes: 1, action: .none),
            ]
        }
        let problems = ["a", "b", "c"].enumerated().map { ("n\($0.offset)", [NodeProblem(condition: "KernelReady", reason: $0.element, since: 100)]) }
        var all = Dictionary(uniqueKeysWithValues: problems)
        all["n3"] = [NodeProblem(condition: "StrangeReady", reason: "x", since: 0)]
        let plan = NodeRepairPlan.plan(settings, (0..<4).map { instance($0) }, all, now: 200)
        #expect(plan.repairs.mapValues(\.action) == ["i-0": .reboot] && plan.next == 1_900)
    }

    @Test("nothing is repaired while the group is updated, made or deleted, nor nodes that are not there yet")
    func states() {
        let problems = ["n0": [NodeProblem(condition: "Ready", reason: "x", since: 0)]]
        for status in [NodegroupStatus.creating, .updating, .deleting, .createFailed] {
            var changed = group()
            changed.status = status
            #expect(NodeRepairPlan.plan(changed, [instance(0)], problems, now: 10_000) == NodeRepairPlan(), "\(status)")
        }
        #expect(NodeRepairPlan.plan(group(), [instance(0, .joining)], problems, now: 10_000) == NodeRepairPlan())
    }

    @Test("a node that is rebooted counts as one of its group's, one that is replaced does not")
    func counting() {
        var settings = group()
        settings.scaling.desiredSize = 2
        for (action, launched) in [(RepairAction.reboot, 0), (.replace, 1)] {
            var busy = instance(1, .draining)
            busy.repair = NodeRepair(action: action, problem: NodeProblem(condition: "Ready", reason: "x", since: 0))
            let plan = NodegroupPlan.plan(settings, [instance(0), busy])
            #expect(plan.launch == launched && !plan.isSettled, "\(action)")
        }
    }
}

@Suite struct RemoteAccessTests {
    private static let key = "c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFBSUtIRUNoQVhpTkRaN2JobFR2bDlZWXpJdlA4V0pqUlAwUzZXVFk4YktYMEMgdA=="

    @Test("a group of its own opens port 22, its nodes have it beside the cluster's, and it goes with the node group")
    func group() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await world.subnets()
            let cluster = try await world.createCluster(subnets)
            try await world.cluster(.active)
            _ = try await world.call(world.ec2, "ImportKeyPair", ["KeyName": "mine", "PublicKeyMaterial": Self.key])
            let bastion = try #require(
                world.text(
                    "groupId",
                    try await world.call(
                        world.ec2, "CreateSecurityGroup", ["GroupName": "b", "GroupDescription": "b", "VpcId": cluster.network.vpcID])))
            for access in [RemoteAccessConfig(keyName: "none", sourceGroupIDs: []), RemoteAccessConfig(keyName: "mine", sourceGroupIDs: ["sg-0"])] {
                let error = await refusal { _ = try await world.createNodegroup(subnets) { $0.remoteAccess = access } }
                #expect(error?.code == "InvalidParameterException" && error?.message.contains("does not exist") == true)
            }
            _ = try await world.createNodegroup(subnets) { $0.remoteAccess = RemoteAccessConfig(keyName: "mine", sourceGroupIDs: [bastion]) }
            try await world.nodegroup(.active)
            let id = try #require(try await world.service.describeNodegroup("demo", "ng").remoteAccess?.groupID)
            let described = try await world.call(world.ec2, "DescribeSecurityGroups", ["GroupId.1": id])
            #expect(
                described.contains("<groupName>eks-remoteAccess-") && described.contains("<fromPort>22</fromPort>") && described.contains(bastion))
            #expect(try await world.service.instances("demo", "ng").allSatisfy { $0.securityGroupIDs.count == 2 && $0.securityGroupIDs.last == id })
            // Somebody else uses it.
            let answer = try await world.call(world.ec2, "CreateNetworkInterface", ["SubnetId": subnets[0], "SecurityGroupId.1": id])
            let interface = try #require(world.text("networkInterfaceId", answer))
            _ = try await world.service.deleteNodegroup("demo", "ng")
            try await world.nodegroup(.deleteFailed)
            #expect(try await world.service.describeNodegroup("demo", "ng").health.first?.code == "Ec2SecurityGroupDeletionFailure")
            _ = try await world.call(world.ec2, "DeleteNetworkInterface", ["NetworkInterfaceId": interface])
            _ = try await world.service.deleteNodegroup("demo", "ng")
            try await world.gone { _ = try await world.service.describeNodegroup("demo", "ng") }
            #expect(await world.network.vpcID(ofSecurityGroup: id) == nil)
        }
    }
}
