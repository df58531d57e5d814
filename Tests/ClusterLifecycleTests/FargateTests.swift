import AWSProtocol
import AWSServices
import CloudControllers
import Testing

@testable import ClusterLifecycle

/// Pods on Fargate over simulated hosts: a machine for each, and none without.
@Suite struct FargateTests {
    private static let role = "arn:aws:iam::000000000000:role/pods"

    private func pod(_ name: String, profile: String = "fp", node: String? = nil, isWanted: Bool = true) -> FargatePod {
        FargatePod(
            uid: "uid-\(name)", namespace: "default", name: name, profile: profile, capacity: FargateCapacity(milliCPU: 250, memoryMiB: 512),
            nodeName: node, isWanted: isWanted)
    }

    /// A cluster with an active profile.
    private func ready(_ world: World, mode: String? = nil, blocks: [String] = ["10.0.0.0/24", "10.0.1.0/24"]) async throws -> [String] {
        try await world.role("pods", service: "eks-fargate-pods.amazonaws.com", policies: ["AmazonEKSFargatePodExecutionRolePolicy"])
        let subnets = try await world.subnets(blocks)
        _ = try await world.createCluster(subnets) { $0.authenticationMode = mode }
        try await world.cluster(.active)
        try await profile(world, "fp", subnets)
        return subnets
    }

    private func profile(_ world: World, _ name: String, _ subnets: [String]) async throws {
        var input = CreateFargateProfileInput(clusterName: "demo", name: name, roleARN: Self.role)
        input.subnetIDs = subnets
        input.selectors = [FargateSelector(namespace: "default", labels: ["a": "*"])]
        _ = try await world.service.createFargateProfile(input, caller: world.caller)
        try await until("the profile") { try await world.service.describeFargateProfile("demo", name).status == .active }
    }

    private func bound(_ world: World, _ count: Int) async throws {
        try await until("\(count) bound pods") { await world.hosts.pods["demo"]?.count { $0.nodeName != nil } == count }
    }

    private func nothingLeft(_ world: World, _ subnets: [String]) async throws {
        try await until("no machines") { await world.hosts.running().isEmpty }
        try await until("no records") { await world.service.state.read { $0.instances.rows.isEmpty } }
        try await until("no addresses") { await world.network.subnets(subnets).allSatisfy { $0.freeAddresses == 250 } }
    }

    @Test("each pod gets a machine of its size in the profile's subnets, and is bound to its node; both go with the pod")
    func lifecycle() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            #expect(await world.hosts.fargateProfiles["demo"]?.selectors["fp"]?.map(\.namespace) == ["default"])
            await world.hosts.set(pods: [pod("a"), pod("b"), pod("refused", isWanted: false)], of: "demo")
            try await bound(world, 2)
            let specs = await world.hosts.specs.values
            #expect(specs.count == 2 && Set(specs.map(\.subnetID)) == Set(subnets))
            for spec in specs {
                #expect(spec.hostName.hasPrefix("fargate-ip-10-0-") && spec.hostName.hasSuffix(".eu-central-1.compute.internal"))
                #expect(spec.milliCPU == 250 && spec.vcpus == 1 && spec.memoryMiB == 512 && spec.maxPods == 1 && spec.podAddresses.count == 1)
                #expect(spec.labels["eks.amazonaws.com/compute-type"] == "fargate" && spec.labels["topology.kubernetes.io/zone"] == spec.zone)
                #expect(spec.taints == [NodeTaint(key: "eks.amazonaws.com/compute-type", value: "fargate", effect: "NoSchedule")])
                #expect(spec.labels["node.kubernetes.io/instance-type"] == nil)
            }
            let described = try await world.call(world.ec2, "DescribeInstances", [:])
            #expect(!described.contains("<instanceId>"), "EC2 does not show Fargate's machines")
            let nodes = specs.map(\.hostName)
            #expect(await world.network.instance(ofNode: nodes[0])?.privateDNSName == nodes[0])
            #expect(await world.service.instanceMetadata(primaryAddress: specs.first?.primaryAddress ?? "") == nil)
            await world.hosts.set(pods: [], of: "demo")
            try await nothingLeft(world, subnets)
            #expect(Set(nodes).isSubset(of: await deleted(world)))
        }
    }

    private func deleted(_ world: World) async -> Set<String> {
        Set(await world.hosts.calls.filter { $0.hasPrefix("delete node ") }.map { String($0.dropFirst("delete node ".count)) })
    }

    @Test("the role of a profile is a node's while there is one: by an access entry, or in aws-auth")
    func roles() async throws {
        for (mode, isEntry) in [("API", true), ("CONFIG_MAP", false)] {
            let world = try await World()
            try await world.running {
                let subnets = try await ready(world, mode: mode)
                if isEntry {
                    let entry = try await world.service.describeAccessEntry("demo", Self.role)
                    #expect(entry.type == .fargateLinux && entry.userName == "system:node:{{SessionName}}")
                }
                #expect(await world.hosts.calls.contains("map \(Self.role)") == !isEntry)
                try await profile(world, "second", subnets)
                for name in ["fp", "second"] {
                    _ = try await world.service.deleteFargateProfile("demo", name)
                    try await world.gone { _ = try await world.service.describeFargateProfile("demo", name) }
                    let isLast = name == "second"
                    #expect(await world.hosts.calls.contains("unmap \(Self.role)") == (isLast && !isEntry))
                    if isEntry {
                        let refusal = await refusal { _ = try await world.service.describeAccessEntry("demo", Self.role) }
                        #expect((refusal?.code == "ResourceNotFoundException") == isLast)
                    }
                }
            }
        }
    }

    @Test("a profile that is deleted is DELETING until its pods and machines are gone; meanwhile no other is made or deleted")
    func profileDeletion() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            try await profile(world, "other", subnets)
            await world.hosts.set(pods: [pod("a"), pod("b", profile: "other")], of: "demo")
            try await bound(world, 2)
            var faults = SimulatedHosts.Faults()
            faults.podsStay = true
            await world.hosts.set(faults)
            #expect(try await world.service.deleteFargateProfile("demo", "fp").status == .deleting)
            try await until("the profile out of use") { await world.hosts.fargateProfiles["demo"]?.selectors.keys.sorted() == ["other"] }
            let delete = await refusal { _ = try await world.service.deleteFargateProfile("demo", "other") }
            #expect(delete?.code == "ResourceInUseException")
            #expect(
                delete?.message
                    == "Cannot delete Fargate Profile other because cluster demo currently has Fargate profile fp in status DELETING")
            await world.hosts.set(SimulatedHosts.Faults())
            // The pods' end is heard of, whoever brings it.
            await world.hosts.set(pods: await world.hosts.pods["demo"]?.filter { $0.name == "b" } ?? [], of: "demo")
            try await world.gone { _ = try await world.service.describeFargateProfile("demo", "fp") }
            #expect(await world.hosts.running().count == 1)
            _ = try await world.service.deleteFargateProfile("demo", "other")
            try await world.gone { _ = try await world.service.describeFargateProfile("demo", "other") }
            try await nothingLeft(world, subnets)
            _ = try await world.service.deleteCluster("demo")
            try await world.gone { _ = try await world.service.describeCluster("demo") }
        }
    }

    @Test("after a crash pods that went lose their machines, and pods that wait get theirs")
    func resumed() async throws {
        let world = try await World()
        let subnets = try await world.running {
            let subnets = try await ready(world)
            await world.hosts.set(pods: [pod("a"), pod("b")], of: "demo")
            try await bound(world, 2)
            return subnets
        }
        let kept = try #require(await world.hosts.pods["demo"]?.first { $0.name == "a" })
        // While nobody looks: one pod goes, another comes, and a machine is launched whose record was not written.
        await world.hosts.set(pods: [kept, pod("c")], of: "demo")
        var orphan = InstanceLaunch(
            instanceID: "i-0123456789abcdef0", instanceType: "", imageID: "", subnetID: subnets[0], groupIDs: [], podAddresses: 1,
            tags: [LaunchInstancesStep.clusterTag: "demo"])
        orphan.isFargate = true
        _ = try await world.network.launch(orphan)
        let next = try await World(storage: world.storage, hosts: world.hosts, isNew: false)
        try await next.running {
            try await bound(next, 2)
            try await until("two machines") { await next.hosts.running().count == 2 }
            try await until("the orphan gone") { await !next.network.instanceExists("i-0123456789abcdef0") }
            #expect(await next.hosts.pods["demo"]?.first { $0.name == "a" } == kept)
            await next.hosts.set(pods: [], of: "demo")
            try await nothingLeft(next, subnets)
        }
    }

    @Test("a machine that does not start is tried again, and the pod says why it waits")
    func launchFailures() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world)
            var faults = SimulatedHosts.Faults()
            faults.machineStart = "no cgroups"
            await world.hosts.set(faults)
            await world.hosts.set(pods: [pod("a")], of: "demo")
            try await until("the reason") {
                await world.hosts.calls.contains { $0.hasPrefix("report a: instance i-") && $0.hasSuffix("could not be started: no cgroups") }
            }
            await world.hosts.set(SimulatedHosts.Faults())
            try await bound(world, 1)
            await world.hosts.set(pods: [], of: "demo")
            try await nothingLeft(world, subnets)
        }
    }

    @Test("a subnet without addresses keeps a pod waiting, which says so, until there are some")
    func noAddresses() async throws {
        let world = try await World()
        try await world.running {
            let subnets = try await ready(world, blocks: ["10.0.0.0/28", "10.0.1.0/28"])
            var taken: [String] = []
            for subnet in subnets {
                for _ in 0..<9 {
                    let answer = try await world.call(world.ec2, "CreateNetworkInterface", ["SubnetId": subnet])
                    taken.append(try #require(world.text("networkInterfaceId", answer)))
                }
            }
            await world.hosts.set(pods: [pod("a")], of: "demo")
            try await until("the reason") { await world.hosts.calls.contains { $0.hasPrefix("report a: subnet subnet-") } }
            for id in taken { _ = try await world.call(world.ec2, "DeleteNetworkInterface", ["NetworkInterfaceId": id]) }
            try await bound(world, 1)
        }
    }

    @Test("a machine that dies before its pod is bound is replaced; after that its node goes, and the pod is its owner's to replace")
    func deadMachines() async throws {
        let world = try await World()
        try await world.running {
            _ = try await ready(world)
            var faults = SimulatedHosts.Faults()
            faults.nodesStayAway = true
            await world.hosts.set(faults)
            await world.hosts.set(pods: [pod("a")], of: "demo")
            try await until("a machine") { await world.hosts.running().count == 1 }
            let first = try #require(await world.hosts.specs.first)
            try await until("joining") { await world.service.state.read { $0.instances[first.key]?.phase == .joining } }
            await world.hosts.set(SimulatedHosts.Faults())
            await world.hosts.kill(first.key)
            try await bound(world, 1)
            let second = try #require(await world.hosts.specs.first)
            #expect(second.key != first.key)
            await world.hosts.kill(second.key)
            try await until("the node gone") { await deleted(world).contains(second.value.hostName) }
            try await until("no record") { await world.service.state.read { $0.instances.rows.isEmpty } }
        }
    }

    @Test("the plan for a pod: one instance, bound once its node is known; what is too much is ended")
    func plan() {
        func instance(_ id: String, _ phase: InstancePhase) -> InstanceRecord {
            InstanceRecord(
                instanceID: id, clusterName: "c", nodegroup: "", nodeName: "n-\(id)", instanceType: "", vcpus: 1, memoryMiB: 1, maxPods: 1, vpcID: "",
                vpcCIDR: "", subnetID: "", subnetCIDR: "", zone: "", region: "", networkInterfaceIDs: [], primaryAddress: "", macAddress: "",
                podAddresses: [], securityGroupIDs: [], createdAt: 0, phase: phase)
        }
        func plan(_ pod: FargatePod?, _ instances: [InstanceRecord], registered: Bool = false) -> FargatePodPlan {
            FargatePodPlan.plan(pod, instances) { _ in registered }
        }
        #expect(plan(pod("a"), []) == FargatePodPlan(launches: true))
        #expect(plan(pod("a"), [instance("1", .terminating)]) == FargatePodPlan(launches: true))
        #expect(plan(pod("a"), [instance("1", .joining)]) == FargatePodPlan())
        #expect(plan(pod("a"), [instance("1", .launching)], registered: true) == FargatePodPlan())
        #expect(plan(pod("a"), [instance("1", .joining)], registered: true) == FargatePodPlan(node: "n-1"))
        #expect(plan(pod("a"), [instance("1", .ready), instance("2", .ready)], registered: true) == FargatePodPlan(node: "n-1", terminate: ["2"]))
        #expect(plan(pod("a", node: "n-2"), [instance("1", .ready), instance("2", .ready)]) == FargatePodPlan(terminate: ["1"]))
        #expect(plan(pod("a", isWanted: false), [instance("1", .ready)]) == FargatePodPlan(terminate: ["1"]))
        #expect(plan(nil, [instance("1", .joining), instance("2", .terminating)]) == FargatePodPlan(terminate: ["1"]))
    }
}
