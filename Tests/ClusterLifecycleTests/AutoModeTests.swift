import AWSProtocol
import AWSServices
import Testing

@testable import AutoMode
@testable import ClusterLifecycle

@Suite("EKS Auto Mode: its API, and the instances of its claims") struct AutoModeTests {
    private static func on(_ pools: [String] = ["general-purpose", "system"], role: String? = World.nodeRole) -> AutoModeRequest {
        var request = AutoModeRequest()
        (request.compute, request.blockStorage, request.loadBalancing) = (true, true, true)
        (request.nodePools, request.nodeRoleARN) = (pools, role)
        return request
    }

    private static var off: AutoModeRequest {
        var request = AutoModeRequest()
        (request.compute, request.blockStorage, request.loadBalancing) = (false, false, false)
        return request
    }

    private func create(_ world: World, _ request: AutoModeRequest, mode: String? = "API", addons: Bool? = nil) async throws -> ClusterRecord {
        try await world.createCluster(try await world.subnets()) { input in
            input.autoMode = request
            input.authenticationMode = mode
            input.bootstrapSelfManagedAddons = addons
        }
    }

    static let refused: [(String, AutoModeRequest, String?, Bool?)] = {
        var half = on()
        half.blockStorage = nil
        var idle = off
        idle.nodePools = ["system"]
        return [
            ("all either fully enabled or fully disabled", half, "API", nil), ("cannot be provided", idle, "API", nil),
            ("bootstrapSelfManagedAddons must be set to false", on(), "API", true), ("authentication mode", on(), "CONFIG_MAP", nil),
            ("authentication mode", on(), nil, nil), ("nodePool list cannot be populated", on(role: nil), "API", nil),
            ("nodePool value(s) must be provided", on([]), "API", nil), ("case-sensitive", on(["General-Purpose"]), "API", nil),
            ("does not exist", on(role: "arn:aws:iam::000000000000:role/none"), "API", nil),
        ]
    }()

    @Test("what EKS refuses is refused in its words", arguments: refused.indices)
    func refusals(_ index: Int) async throws {
        let world = try await World()
        let (text, request, mode, addons) = Self.refused[index]
        let refusal = await refusal { _ = try await create(world, request, mode: mode, addons: addons) }
        #expect(refusal?.code == "InvalidParameterException" && refusal?.message.contains(text) == true, "\(refusal?.message ?? "accepted")")
    }

    @Test("a cluster has Auto Mode with its pools and role, and an access entry for its nodes")
    func created() async throws {
        let world = try await World()
        let cluster = try await create(world, Self.on(["system", "general-purpose"]))
        #expect(cluster.autoMode == AutoModeConfig(nodePools: ["general-purpose", "system"], nodeRoleARN: World.nodeRole))
        #expect(!cluster.bootstrapSelfManagedAddons)
        try await world.running {
            try await world.cluster(.active)
            let entry = try await world.service.describeAccessEntry("demo", World.nodeRole)
            #expect(entry.type == .ec2 && entry.policies.map { $0.arn.hasSuffix("AmazonEKSAutoNodePolicy") } == [true])
        }
    }

    @Test("it is switched on and off by one update, whose role stays")
    func updated() async throws {
        let world = try await World()
        _ = try await world.createCluster(try await world.subnets()) { $0.authenticationMode = "API" }
        try await world.running {
            try await world.cluster(.active)
            func update(_ request: AutoModeRequest) async throws -> UpdateRecord {
                let update = try await world.service.updateClusterConfig("demo", .autoMode(AutoModeUpdate(request)), token: nil, caller: world.caller)
                try await world.cluster(.active)
                return try await world.service.describeUpdate("demo", id: update.id, nodegroup: nil)
            }
            let idle = await refusal { _ = try await update(Self.off) }
            #expect(idle?.code == "InvalidRequestException" && idle?.message.hasSuffix("Auto Mode is not enabled on this cluster.") == true)
            #expect(try await world.service.describeCluster("demo").showsAutoMode == false, "nobody has named it with success")
            let on = try await update(Self.on(["system"]))
            #expect(on.type == "AutoModeUpdate" && on.status == .successful)
            #expect(on.parameters.map(\.type) == ["ComputeConfig", "StorageConfig", "KubernetesNetworkConfig"])
            #expect(try await world.service.describeCluster("demo").autoMode?.nodePools == ["system"])
            let same = await refusal { _ = try await update(Self.on(["system"])) }
            #expect(same?.code == "InvalidRequestException" && same?.message == "No changes needed for EKS Auto Mode configuration provided")
            try await world.role("other", service: "ec2.amazonaws.com", policies: [])
            let other = Self.on(role: "arn:aws:iam::000000000000:role/other")
            #expect(await refusal { _ = try await update(other) }?.message.contains("cannot be changed") == true)
            _ = try await update(Self.on())
            #expect(try await world.service.describeCluster("demo").autoMode?.nodePools == ["general-purpose", "system"])
            var half = Self.off
            half.loadBalancing = nil
            let partly = half
            #expect(await refusal { _ = try await update(partly) }?.message.contains("fully disabled") == true)
            _ = try await update(Self.off)
            let cluster = try await world.service.describeCluster("demo")
            #expect(cluster.autoMode == nil && cluster.showsAutoMode)
        }
    }

    @Test("an update without computeConfig's enabled is none of a type that EKS knows, whatever else it says")
    func untyped() async throws {
        let world = try await World()
        _ = try await world.createCluster(try await world.subnets()) { $0.authenticationMode = "API" }
        try await world.running {
            try await world.cluster(.active)
            var (balancing, unsaid, pools) = (AutoModeRequest(), Self.off, AutoModeRequest())
            balancing.loadBalancing = true
            unsaid.compute = nil
            (pools.nodePools, pools.nodeRoleARN) = (["system"], "arn:aws:iam::000000000000:role/none")
            for request in [balancing, unsaid, pools] {
                let refusal = await refusal {
                    _ = try await world.service.updateClusterConfig("demo", .autoMode(AutoModeUpdate(request)), token: nil, caller: world.caller)
                }
                #expect(refusal?.code == "InvalidParameterException" && refusal?.message == "The type for cluster update was not provided.")
            }
        }
    }

    @Test("computeConfig and storageConfig are shown once a request has named them, and by older records once they are on")
    func shown() async throws {
        let world = try await World()
        let subnets = try await world.subnets()
        #expect(try await !world.createCluster(subnets, name: "plain").showsAutoMode)
        #expect(try await world.createCluster(subnets, name: "off") { $0.autoMode = Self.off }.showsAutoMode)
        var balancing = AutoModeRequest()
        balancing.loadBalancing = false
        let request = balancing
        var old = try await world.createCluster(subnets, name: "balancing") { $0.autoMode = request }
        #expect(!old.showsAutoMode, "elasticLoadBalancing is always shown, and does not bring the others")
        old.autoMode = AutoModeConfig(nodePools: [], nodeRoleARN: nil)
        #expect(old.autoModeAsked == nil && old.showsAutoMode)
    }

    private static func launch(_ provider: any NodeProvider, claim: String = "uid-1", zone: String = "eu-central-1a") async throws -> ProvidedNode {
        try await provider.launch(try await request(provider, claim: claim, zone: zone))
    }

    private static func request(_ provider: any NodeProvider, claim: String, zone: String = "eu-central-1a") async throws -> NodeLaunch {
        let selection = NodeClassSelection(
            subnets: [.init(id: nil, name: nil, tags: ["kind": "nodes"])], securityGroups: [.init(id: nil, name: "default", tags: [:])], role: "node")
        // The role's access entry comes with the cluster, a moment after it is ACTIVE.
        try await until("a role that nodes may have") { await provider.facts(selection).roleProblem == nil }
        let facts = await provider.facts(selection)
        #expect(facts.securityGroups.count == 1)
        return NodeLaunch(
            claimName: "general-x", claimUID: claim, nodePool: "general-purpose", nodeClass: "default", instanceType: "c6a.large", zone: zone,
            subnetIDs: facts.subnets.map(\.id), securityGroupIDs: facts.securityGroups.map(\.id), role: "node", tags: ["team": "a"],
            labels: ["karpenter.sh/nodepool": "general-purpose"], taints: [(key: "only", value: "a", effect: "NoSchedule")])
    }

    private func withCluster(_ world: World, _ body: @Sendable (any NodeProvider) async throws -> Void) async throws {
        try await world.role("auto", service: "eks.amazonaws.com", policies: ["AmazonEKSClusterPolicy", "AmazonEKSComputePolicy"])
        let subnets = try await world.subnets()
        for subnet in subnets {
            _ = try await world.call(world.ec2, "CreateTags", ["ResourceId.1": subnet, "Tag.1.Key": "kind", "Tag.1.Value": "nodes"])
        }
        var input = CreateClusterInput(name: "demo", roleARN: "arn:aws:iam::000000000000:role/auto", subnetIDs: subnets)
        (input.autoMode, input.authenticationMode) = (Self.on(), "API")
        _ = try await world.service.createCluster(input, caller: world.caller)
        try await world.running {
            try await world.cluster(.active)
            try await body(world.service.nodeProvider(cluster: "demo"))
        }
    }

    @Test("a claim's instance runs a machine called after it, is found again, and ends with its addresses")
    func instances() async throws {
        let world = try await World()
        try await withCluster(world) { provider in
            let node = try await Self.launch(provider)
            #expect(node.nodeName.hasPrefix("i-") && node.providerID == "aws:///eu-central-1a/\(node.nodeName)")
            #expect(try await Self.launch(provider) == node)
            try await until("its machine") { await world.hosts.specs[node.nodeName] != nil }
            let spec = try #require(await world.hosts.specs[node.nodeName])
            #expect(spec.hostName == node.nodeName && spec.vcpus == 2 && spec.memoryMiB == 4_096 && spec.taints.map(\.key) == ["only"])
            #expect(spec.labels["kubernetes.io/hostname"] == node.nodeName && spec.labels["karpenter.sh/nodepool"] == "general-purpose")
            #expect(await world.network.instance(ofNode: node.nodeName)?.id == node.nodeName)
            #expect(await world.service.instanceMetadata(primaryAddress: spec.primaryAddress)?.roleName == "node")
            try await provider.terminate(claimUID: "uid-1")
            try await until("gone") { await !provider.isThere(claimUID: "uid-1") }
            let exists = await world.network.instanceExists(node.nodeName)
            #expect(await world.hosts.specs.isEmpty && !exists)
        }
    }

    @Test("a machine that dies takes its instance with it, and who looks after the claim hears of it")
    func death() async throws {
        let world = try await World()
        try await withCluster(world) { provider in
            let node = try await Self.launch(provider)
            try await until("its machine") { await world.hosts.specs[node.nodeName] != nil }
            let changes = provider.changes()
            await world.hosts.kill(node.nodeName)
            for await _ in changes { break }
            #expect(await !provider.isThere(claimUID: "uid-1"))
        }
    }

    @Test("after an instance that could not be started the next waits, and its claim says why")
    func backOff() async throws {
        let world = try await World(firstRetry: .milliseconds(300))
        try await withCluster(world) { provider in
            var faults = SimulatedHosts.Faults()
            faults.machineStart = "no room"
            await world.hosts.set(faults)
            _ = try await Self.launch(provider)
            try await until("gone") { await !provider.isThere(claimUID: "uid-1") }
            let refused = await #expect(throws: LaunchRefused.self) { _ = try await Self.launch(provider, claim: "uid-2") }
            #expect(refused?.description.contains("no room") == true)
            await world.hosts.set(SimulatedHosts.Faults())
            try await until("launched") {
                do { return try await Self.launch(provider, claim: "uid-3").claimUID == "uid-3" } catch is LaunchRefused { return false }
            }
        }
    }

    @Test(
        "a role without an access entry, or no role, is told",
        arguments: [("none", "does not exist"), ("cluster", "does not trust"), ("other", "unauthorized")])
    func roles(_ name: String, _ problem: String) async throws {
        let world = try await World()
        try await world.role("other", service: "ec2.amazonaws.com", policies: [])
        try await withCluster(world) { provider in
            let facts = await provider.facts(
                NodeClassSelection(subnets: [.init(id: "subnet-1", name: nil, tags: [:])], securityGroups: [], role: name))
            #expect(facts.roleProblem?.contains(problem) == true && facts.subnets.isEmpty)
        }
    }

    @Test("a cluster's role that may not run instances launches none")
    func unauthorized() async throws {
        let world = try await World()
        _ = try await create(world, Self.on())
        try await world.running {
            try await world.cluster(.active)
            let provider = world.service.nodeProvider(cluster: "demo")
            let launch = NodeLaunch(
                claimName: "x", claimUID: "x", nodePool: "p", nodeClass: "default", instanceType: "c6a.large", zone: "eu-central-1a", subnetIDs: [],
                securityGroupIDs: [], role: "node", tags: [:], labels: [:], taints: [])
            await #expect(throws: LaunchRefused.self) { try await provider.launch(launch) }
        }
    }

    @Test("switching it off, and deleting the cluster, end all instances; none comes after")
    func ends() async throws {
        let world = try await World()
        try await withCluster(world) { provider in
            _ = try await Self.launch(provider)
            _ = try await world.service.updateClusterConfig("demo", .autoMode(AutoModeUpdate(Self.off)), token: nil, caller: world.caller)
            try await until("gone") { await !provider.isThere(claimUID: "uid-1") }
            try await world.cluster(.active)
            _ = try await world.service.updateClusterConfig("demo", .autoMode(AutoModeUpdate(Self.on())), token: nil, caller: world.caller)
            try await world.cluster(.active)
            _ = try await Self.launch(provider, claim: "uid-2")
            let late = try await Self.request(provider, claim: "uid-3")
            _ = try await world.service.deleteCluster("demo")
            await #expect(throws: LaunchRefused.self) { _ = try await provider.launch(late) }
            try await world.gone { _ = try await world.service.describeCluster("demo") }
            #expect(await world.hosts.specs.isEmpty)
        }
    }
}
