import AWSProtocol
import Testing

@testable import ClusterLifecycle

/// Resources that are records: Fargate profiles, capabilities, subscriptions, registered clusters.
@Suite struct RecordTests {
    private func role(_ world: World, _ name: String, _ service: String) async throws -> String {
        try await world.role(name, service: service, policies: [])
        return "arn:aws:iam::000000000000:role/\(name)"
    }

    private func active(_ world: World) async throws -> [String] {
        let subnets = try await world.subnets()
        _ = try await world.createCluster(subnets)
        try await world.cluster(.active)
        return subnets
    }

    @Test("a Fargate profile is created, shown and deleted; while it is there its cluster is not deleted")
    func fargate() async throws {
        let world = try await World()
        let role = try await role(world, "pods", "eks-fargate-pods.amazonaws.com")
        try await world.running {
            let subnets = try await active(world)
            @Sendable func create(_ change: (inout CreateFargateProfileInput) -> Void = { _ in }) async throws -> FargateProfileRecord {
                var input = CreateFargateProfileInput(clusterName: "demo", name: "fp", roleARN: role)
                input.subnetIDs = subnets
                input.selectors = [FargateSelector(namespace: "default", labels: ["a": "b"])]
                change(&input)
                return try await world.service.createFargateProfile(input, caller: world.caller)
            }
            func error(_ change: (inout CreateFargateProfileInput) -> Void) async -> AWSError? { await refusal { _ = try await create(change) } }
            #expect(await error { $0.selectors = [] }?.code == "InvalidParameterException")
            #expect(await error { $0.selectors = [FargateSelector(namespace: "")] }?.code == "InvalidParameterException")
            let many = (0..<6).map { FargateSelector(namespace: "n\($0)") }
            #expect(await error { $0.selectors = many }?.message == "A Fargate profile can have 5 selectors at most")
            let labels = Dictionary(uniqueKeysWithValues: (0..<6).map { ("l\($0)", "") })
            #expect(await error { $0.selectors = [FargateSelector(namespace: "n", labels: labels)] }?.code == "InvalidParameterException")
            #expect(
                await error { $0.roleARN = World.nodeRole }?.message
                    == "Misconfigured PodExecutionRole Trust Policy; Please add the eks-fargate-pods.amazonaws.com Service Principal")
            #expect(await error { $0.subnetIDs = ["subnet-x"] }?.message == "The subnet ID 'subnet-x' does not exist")
            #expect(await error { $0.clusterName = "none" }?.code == "ResourceNotFoundException")
            #expect(try await create().status == .creating)
            try await until("ACTIVE") { try await world.service.describeFargateProfile("demo", "fp").status == .active }
            #expect(await error { _ in }?.message == "A Fargate Profile already exists with this name in this cluster.")
            #expect(await refusal { _ = try await world.service.deleteCluster("demo") }?.message == "Cluster has Fargate profiles attached")
            for index in 1..<10 {
                _ = try await create { $0.name = "fp\(index)" }
                try await until("ACTIVE") { try await world.service.describeFargateProfile("demo", "fp\(index)").status == .active }
            }
            #expect(await error { $0.name = "fp10" }?.code == "ResourceLimitExceededException")
            let arn = try await world.service.describeFargateProfile("demo", "fp").arn
            try await world.service.changeTags(of: arn, add: ["k": "v"], remove: [])
            #expect(try await world.service.tags(of: arn) == ["k": "v"])
            for name in try await world.service.listFargateProfiles("demo") {
                #expect(try await world.service.deleteFargateProfile("demo", name).status == .deleting)
                try await world.gone { _ = try await world.service.describeFargateProfile("demo", name) }
            }
            try await until("all gone") { try await world.service.listFargateProfiles("demo").isEmpty }
            _ = try await world.service.deleteCluster("demo")
        }
    }

    @Test("a Fargate profile takes no subnet that leads to an internet gateway")
    func publicSubnet() async throws {
        let world = try await World()
        let role = try await role(world, "pods", "eks-fargate-pods.amazonaws.com")
        try await world.running {
            let subnets = try await active(world)
            let vpc = try await world.service.describeCluster("demo").network.vpcID
            let gateway = try #require(world.text("internetGatewayId", try await world.call(world.ec2, "CreateInternetGateway", [:])))
            _ = try await world.call(world.ec2, "AttachInternetGateway", ["InternetGatewayId": gateway, "VpcId": vpc])
            let table = try #require(world.text("routeTableId", try await world.call(world.ec2, "CreateRouteTable", ["VpcId": vpc])))
            _ = try await world.call(
                world.ec2, "CreateRoute", ["RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway])
            _ = try await world.call(world.ec2, "AssociateRouteTable", ["RouteTableId": table, "SubnetId": subnets[0]])
            var input = CreateFargateProfileInput(clusterName: "demo", name: "fp", roleARN: role)
            input.selectors = [FargateSelector(namespace: "default")]
            input.subnetIDs = [subnets[0]]
            let wrong = input
            let error = await refusal { _ = try await world.service.createFargateProfile(wrong, caller: world.caller) }
            #expect(error?.message == "Subnet \(subnets[0]) provided in Fargate Profile is not a private subnet")
            input.subnetIDs = [subnets[1]]
            _ = try await world.service.createFargateProfile(input, caller: world.caller)
        }
    }

    @Test("capabilities: one of a type, updated as an update of their own, deleted with their updates")
    func capabilities() async throws {
        let world = try await World()
        let role = try await role(world, "capability", "capabilities.eks.amazonaws.com")
        try await world.running {
            _ = try await active(world)
            func input(_ name: String, _ type: String) -> CreateCapabilityInput {
                CreateCapabilityInput(clusterName: "demo", name: name, type: type, roleARN: role, deletePropagationPolicy: "RETAIN")
            }
            var argo = input("cd", "ARGOCD")
            let without = argo
            #expect(
                await refusal { _ = try await world.service.createCapability(without, caller: world.caller) }?.code == "InvalidParameterException")
            let ada = ArgoRoleMapping.Identity(id: "ada", type: "SSO_USER")
            argo.argo = ArgoConfiguration(
                namespace: "argocd", idcInstanceARN: "arn:aws:sso:::instance/x", idcRegion: nil,
                roleMappings: [ArgoRoleMapping(role: "VIEWER", identities: [ada])], vpceIDs: [], endpointPrefix: nil)
            #expect(try await world.service.createCapability(argo, caller: world.caller).status == .creating)
            try await until("ACTIVE") { try await world.service.describeCapability("demo", "cd").status == .active }
            var second = argo
            second.name = "other"
            let twice = second
            #expect(await refusal { _ = try await world.service.createCapability(twice, caller: world.caller) }?.code == "ResourceInUseException")
            var change = UpdateCapabilityInput(clusterName: "demo", name: "cd")
            let empty = change
            #expect(await refusal { _ = try await world.service.updateCapability(empty, caller: world.caller) }?.code == "InvalidParameterException")
            change.setMappings = [ArgoRoleMapping(role: "ADMIN", identities: [ada])]
            let update = try await world.service.updateCapability(change, caller: world.caller)
            #expect(update.type == "CapabilityUpdate" && update.parameters.map(\.type) == ["RoleMappingsToAddOrUpdate"])
            try await until("the update") {
                try await world.service.describeUpdate("demo", id: update.id, of: .capability("cd")).status == .successful
            }
            #expect(try await world.service.listUpdates("demo", of: .capability("cd")) == [update.id])
            #expect(try await world.service.listUpdates("demo", of: .cluster).isEmpty)
            #expect(try await world.service.describeCapability("demo", "cd").argo?.roleMappings == change.setMappings)
            #expect(await refusal { _ = try await world.service.deleteCluster("demo") }?.message == "Cluster has capabilities attached")
            _ = try await world.service.deleteCapability("demo", "cd")
            try await world.gone { _ = try await world.service.describeCapability("demo", "cd") }
        }
    }

    @Test("a subscription expires by the clock, or renews itself; only an expired one is deleted")
    func subscriptions() async throws {
        let time = MovableClock(1_000_000_000)
        let world = try await World(clock: time.clock)
        try await world.running {
            let bad = CreateAnywhereSubscriptionInput(name: "s", duration: 13, unit: "MONTHS")
            #expect(await refusal { _ = try await world.service.createAnywhereSubscription(bad) }?.code == "InvalidParameterException")
            let record = try await world.service.createAnywhereSubscription(CreateAnywhereSubscriptionInput(name: "s", duration: 12, unit: "MONTHS"))
            let id = record.id
            #expect(record.status(at: time.clock.now) == "CREATING")
            func status() async throws -> String { try await world.service.describeAnywhereSubscription(id).status(at: time.clock.now) }
            try await until("ACTIVE") { try await status() == "ACTIVE" }
            #expect(await refusal { _ = try await world.service.deleteAnywhereSubscription(id) }?.code == "InvalidRequestException")
            time.set(record.createdAt + 350 * 86_400)
            #expect(try await status() == "EXPIRING")
            _ = try await world.service.updateAnywhereSubscription(id, autoRenew: true)
            try await until("ACTIVE") { try await status() == "ACTIVE" }
            time.set(record.createdAt + 400 * 86_400)
            #expect(try await status() == "ACTIVE")
            #expect(try await world.service.describeAnywhereSubscription(id).expiration(at: time.clock.now) > time.clock.now + 300 * 86_400)
            _ = try await world.service.updateAnywhereSubscription(id, autoRenew: false)
            try await until("EXPIRED") { try await status() == "EXPIRED" }
            #expect(await world.service.listAnywhereSubscriptions(statuses: ["ACTIVE"]).isEmpty)
            _ = try await world.service.deleteAnywhereSubscription(id)
            #expect(await refusal { _ = try await world.service.describeAnywhereSubscription(id) }?.code == "ResourceNotFoundException")
        }
    }

    @Test("a cluster is registered under a name of its own, described as PENDING, tagged and deregistered")
    func registration() async throws {
        let world = try await World()
        let role = try await role(world, "connector", "ssm.amazonaws.com")
        @Sendable func register(_ name: String) async throws -> RegisteredClusterRecord {
            try await world.service.registerCluster(name, roleARN: role, provider: "GKE", tags: [:], token: nil, caller: world.caller)
        }
        try await world.running {
            let subnets = try await active(world)
            #expect(await refusal { _ = try await register("demo") }?.message == "Cluster already exists with name: demo")
            let record = try await register("far")
            #expect(await refusal { _ = try await world.createCluster(subnets, name: "far") }?.code == "ResourceInUseException")
            guard case .registered(let shown) = try await world.service.describeAnyCluster("far") else { throw TimedOut(what: "far") }
            #expect(shown == record && record.activationExpiry - record.createdAt == 3 * 86_400)
            try await world.service.changeTags(of: record.arn, add: ["k": "v"], remove: [])
            #expect(try await world.service.tags(of: record.arn) == ["k": "v"])
            #expect(await world.service.listRegisteredClusters() == ["far"])
            _ = try await world.service.deregisterCluster("far")
            #expect(await refusal { _ = try await world.service.deregisterCluster("far") }?.message == "No cluster found for name: far.")
        }
    }
}
