import AWSProtocol
import ControlPlane
import Testing

@testable import ClusterLifecycle

@Suite struct AccessEntryTests {
    private static let role = "arn:aws:iam::000000000000:role/dev"
    private static let policy = "arn:aws:eks::aws:cluster-access-policy/"

    /// A cluster with entries, and a role that may have one.
    private func world(mode: String = "API") async throws -> (World, [String]) {
        let world = try await World()
        let subnets = try await world.subnets()
        try await world.role("dev", service: "ec2.amazonaws.com", policies: [])
        _ = try await world.createCluster(subnets) { $0.authenticationMode = mode }
        return (world, subnets)
    }

    private func create(_ world: World, _ change: (inout CreateAccessEntryInput) -> Void = { _ in }) async throws -> AccessEntryRecord {
        var input = CreateAccessEntryInput(clusterName: "demo", principalARN: Self.role)
        change(&input)
        return try await world.service.createAccessEntry(input, caller: world.caller)
    }

    @Test("CreateAccessEntry refuses in AWS's words")
    func refusals() async throws {
        let (world, _) = try await world()
        func message(_ change: (inout CreateAccessEntryInput) -> Void) async -> String {
            await refusal { _ = try await create(world, change) }?.message ?? ""
        }
        #expect(await message { $0.principalARN = "dev" } == "The principalArn parameter format is not valid")
        #expect(
            await message { $0.principalARN = "arn:aws:iam::000000000000:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS" }
                == "The caller is not allowed to modify access entries with a principalArn value of a Service Linked Role")
        for arn in [
            "arn:aws:iam::000000000000:role/none", "arn:aws:iam::000000000000:group/g", "arn:aws:sts::000000000000:assumed-role/dev/s",
            "arn:aws:iam::000000000000:role/path/dev", "arn:aws:iam::000000000000:user/",
        ] {
            #expect(await message { $0.principalARN = arn } == "The specified principalArn is invalid: invalid principal.", "\(arn)")
        }
        #expect(
            await message { $0.groups = ["system:masters"] }
                == "The kubernetes group name system:masters is invalid, it cannot start with system:")
        for prefix in ["system:", "eks:", "aws:", "amazon:", "iam:"] {
            #expect(await message { $0.userName = "\(prefix)x" } == "The username must not begin with \(prefix)")
        }
        #expect(await message { $0.userName = "john{{SessionName}}" } == "The username must contain a colon before {{SessionName}}")
        #expect(await message { $0.type = "NONE" }.hasPrefix("The specified type is invalid"))
        #expect(await message { $0.tags = ["aws:x": "y"] } == "Tag keys must not begin with aws:")
        #expect(await message { $0.clusterName = "none" } == "No cluster found for name: none.")
        let types = "[EC2_LINUX, EC2_WINDOWS, FARGATE_LINUX, HYBRID_LINUX, EC2, HYPERPOD_LINUX]"
        for type in AccessEntryType.allCases where type != .standard {
            #expect(
                await message {
                    $0.type = type.rawValue
                    $0.groups = ["g"]
                } == "The specified kubernetesGroups is invalid: setting kubernetesGroups is not allowed when the type is \"\(type.rawValue)\"")
            #expect(
                await message {
                    $0.type = type.rawValue
                    $0.userName = "u"
                } == "The specified username is invalid: setting username is not allowed when the type is \"\(type.rawValue)\"")
            #expect(
                await message {
                    $0.type = type.rawValue
                    $0.principalARN = "arn:aws:iam::000000000000:user/admin"
                } == "AccessEntry principalArn must be IAM role when using types \(types)")
            #expect(
                await message {
                    $0.type = type.rawValue
                    $0.principalARN = "arn:aws:iam::111122223333:role/dev"
                } == "AccessEntry principalArn must be from the same account as the cluster when using types \(types)")
        }
        _ = try await create(world)
        let second = await refusal { _ = try await create(world) }
        #expect(
            second?.code == "ResourceInUseException"
                && second?.message == "The specified access entry resource is already in use on this cluster.")
    }

    @Test("each type has its user name and groups; another account's principal may have a STANDARD entry")
    func types() async throws {
        let (world, _) = try await world()
        let names: [AccessEntryType: String] = [
            .standard: "arn:aws:sts::000000000000:assumed-role/dev/{{SessionName}}", .ec2Linux: "system:node:{{EC2PrivateDNSName}}",
            .ec2Windows: "system:node:{{EC2PrivateDNSName}}", .ec2: "system:node:{{EC2PrivateDNSName}}", .fargateLinux: "system:node:{{SessionName}}",
            .hybridLinux: "system:node:{{SessionName}}", .hyperpodLinux: "system:node:{{SessionName}}",
        ]
        for type in AccessEntryType.allCases {
            let entry = try await create(world) { $0.type = type.rawValue }
            #expect(entry.userName == names[type] && entry.groups.contains("system:nodes") == (type != .standard))
            #expect(entry.arn.hasPrefix("arn:aws:eks:eu-central-1:000000000000:access-entry/demo/role/000000000000/dev/"))
            #expect(entry.principalID?.hasPrefix("AROA") == true)
            try await world.service.deleteAccessEntry("demo", Self.role)
        }
        let user = try await create(world) { $0.principalARN = "arn:aws:iam::111122223333:user/path/jane" }
        #expect(user.userName == "arn:aws:iam::111122223333:user/path/jane" && user.principalID == nil)
    }

    @Test("an entry's groups and name change, its type does not; tokens are answered the same; entries of nodes are EKS's")
    func update() async throws {
        let (world, _) = try await world()
        let token = IdempotencyToken(token: "t", parameters: ["a": 1], createdAt: world.service.now)
        let entry = try await create(world) { $0.token = token }
        #expect(try await create(world) { $0.token = token } == entry)
        let other = IdempotencyToken(token: "t", parameters: ["a": 2], createdAt: world.service.now)
        #expect(await refusal { _ = try await create(world) { $0.token = other } }?.code == "InvalidParameterException")
        let changed = try await world.service.updateAccessEntry("demo", Self.role, groups: ["a", "b"], userName: nil, token: nil)
        #expect(changed.groups == ["a", "b"] && changed.userName == entry.userName)
        let renamed = try await world.service.updateAccessEntry("demo", Self.role, groups: nil, userName: "x:{{SessionName}}", token: nil)
        #expect(renamed.groups == ["a", "b"] && renamed.userName == "x:{{SessionName}}")
        #expect(
            await refusal { _ = try await world.service.updateAccessEntry("demo", Self.role, groups: ["eks:x"], userName: nil, token: nil) }?.message
                == "The kubernetes group name eks:x is invalid, it cannot start with eks:")
        let missing = await refusal { _ = try await world.service.describeAccessEntry("demo", World.nodeRole) }
        #expect(missing?.code == "ResourceNotFoundException")
        #expect(
            missing?.message
                == "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.")
        _ = try await create(world) {
            $0.principalARN = World.nodeRole
            $0.type = "EC2_LINUX"
        }
        #expect(
            await refusal { _ = try await world.service.updateAccessEntry("demo", World.nodeRole, groups: ["g"], userName: nil, token: nil) }?.message
                == "This operation can only be performed on Access Entries with a type of \"STANDARD\".")
    }

    @Test("policies are associated with a scope, changed, listed by, and taken away; the control plane hears of each change")
    func policies() async throws {
        let (world, _) = try await world()
        _ = try await create(world)
        func associate(_ name: String, _ scope: String, _ namespaces: [String] = [], principal: String = Self.role) async throws -> AssociatedPolicy {
            try await world.service.associateAccessPolicy(
                "demo", principal, policyARN: name.hasPrefix("arn:") ? name : Self.policy + name, scopeType: scope, namespaces: namespaces)
        }
        func message(_ name: String, _ scope: String, _ namespaces: [String] = []) async -> String {
            await refusal { _ = try await associate(name, scope, namespaces) }?.message ?? ""
        }
        #expect(await message("arn:aws:iam::aws:policy/AmazonEKSViewPolicy", "cluster") == "The policyArn parameter format is not valid")
        for arn in ["arn:aws:eks:::cluster-access-policy/AmazonEKSViewPolicy", Self.policy + "None", "arn:aws-cn:eks::aws:cluster-access-policy/x"] {
            #expect(await message(arn, "cluster") == "The specified policyArn could not be found.")
        }
        #expect(
            await message("AmazonEKSComputeClusterPolicy", "cluster") == "The specified policyArn can only be associated with service-linked roles")
        #expect(
            await message("AmazonEKSViewPolicy", "cluster", ["a"])
                == "accessScope should not include namespaces if the type is not set as namespace")
        #expect(await message("AmazonEKSViewPolicy", "namespace") == "At least 1 namespace must be provided if the type is set as namespace")
        #expect(await message("AmazonEKSViewPolicy", "namespace", ["A_b"]).hasPrefix("The namespace 'A_b' is invalid"))
        let first = try await associate("AmazonEKSViewPolicy", "cluster")
        let second = try await associate("AmazonEKSViewPolicy", "namespace", ["dev-*", "dev-*"])
        #expect(first.namespaces == nil && second.namespaces == ["dev-*"] && second.associatedAt == first.associatedAt)
        _ = try await associate("AmazonEKSEditPolicy", "cluster")
        let told = await world.hosts.access["demo"]?.entries.first { $0.principalARN == Self.role }
        #expect(told?.policies.map(\.namespaces) == [["dev-*"], nil])
        #expect(try await world.service.listAccessEntries("demo", policyARN: Self.policy + "AmazonEKSEditPolicy") == [Self.role])
        #expect(try await world.service.listAccessEntries("demo", policyARN: Self.policy + "AmazonEKSAdminPolicy") == [])
        try await world.service.disassociateAccessPolicy("demo", Self.role, policyARN: Self.policy + "AmazonEKSEditPolicy")
        #expect(
            await refusal {
                try await world.service.disassociateAccessPolicy("demo", Self.role, policyARN: Self.policy + "AmazonEKSEditPolicy")
            }?.code == "ResourceNotFoundException")
        try await world.service.deleteAccessEntry("demo", Self.role)
        #expect(await world.hosts.access["demo"]?.entries.map(\.principalARN) == [world.caller.principalARN])
        _ = try await create(world) { $0.type = "EC2" }
        #expect(
            await message("AmazonEKSViewPolicy", "cluster") == "This operation can only be performed on Access Entries with a type of \"STANDARD\".")
        _ = try await associate("AmazonEKSAutoNodePolicy", "cluster")
    }

    @Test("the creator is a member of system:masters, or has an entry with the administrators' policy, or nothing, as mode and bootstrap say")
    func creator() async throws {
        let (world, subnets) = try await world()
        let entry = try await world.service.describeAccessEntry("demo", world.caller.principalARN)
        #expect(
            entry.policies.map(\.arn) == [Self.policy + "AmazonEKSClusterAdminPolicy"] && entry.groups.isEmpty && entry.userName == entry.principalARN
        )
        _ = try await world.createCluster(subnets, name: "bare") {
            $0.authenticationMode = "API_AND_CONFIG_MAP"
            $0.bootstrapClusterCreatorAdminPermissions = false
        }
        #expect(try await world.service.listAccessEntries("bare", policyARN: nil).isEmpty)
        _ = try await world.createCluster(subnets, name: "old")
        #expect(
            await refusal { _ = try await world.service.listAccessEntries("old", policyARN: nil) }?.message
                == "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.")
        #expect(
            await refusal { _ = try await world.createCluster(subnets, name: "no") { $0.bootstrapClusterCreatorAdminPermissions = false } }?.message
                == "bootstrapClusterCreatorAdminPermissions must be true if cluster authentication mode is set to CONFIG_MAP")
        try await world.running {
            try await world.cluster(.active, "old")
            #expect(await world.hosts.access["old"]?.administratorARN == world.caller.principalARN)
            let update = try await world.service.updateAuthenticationMode("old", to: "API_AND_CONFIG_MAP", token: nil)
            try await until("the update") { try await world.service.describeUpdate("old", id: update.id, nodegroup: nil).status == .successful }
            #expect(try await world.service.listAccessEntries("old", policyARN: nil) == [world.caller.principalARN])
            let told = await world.hosts.access["old"]
            #expect(told?.administratorARN == nil && told?.usesConfigMap == true && told?.entries.count == 1)
        }
    }

    @Test("a managed node group's role has an entry where there are entries, else a place in aws-auth, and loses it with the last group")
    func nodegroups() async throws {
        for mode in ["CONFIG_MAP", "API"] {
            let (world, subnets) = try await world(mode: mode)
            try await world.running {
                try await world.cluster(.active)
                _ = try await world.createNodegroup(subnets)
                try await world.nodegroup(.active)
                if mode == "API" {
                    let entry = try await world.service.describeAccessEntry("demo", World.nodeRole)
                    #expect(entry.type == .ec2Linux && entry.groups == ["system:nodes"] && entry.isOfNodegroups)
                } else {
                    #expect(await world.hosts.calls.contains("map \(World.nodeRole)"))
                }
                _ = try await world.service.deleteNodegroup("demo", "ng")
                try await world.gone { _ = try await world.service.describeNodegroup("demo", "ng") }
                if mode == "API" {
                    try await world.gone { _ = try await world.service.describeAccessEntry("demo", World.nodeRole) }
                } else {
                    try await until("the role to go") { await world.hosts.calls.contains("unmap \(World.nodeRole)") }
                }
            }
        }
    }

    @Test("entries have tags, go with their cluster, and are there after a restart")
    func lives() async throws {
        let (world, _) = try await world()
        let entry = try await create(world) { $0.tags = ["a": "1"] }
        try await world.service.changeTags(of: entry.arn, add: ["b": "2"], remove: ["a"])
        #expect(try await world.service.tags(of: entry.arn) == ["b": "2"])
        #expect(await refusal { _ = try await world.service.tags(of: entry.arn + "x") }?.code == "NotFoundException")
        let next = try await World(storage: world.storage, isNew: false)
        #expect(try await next.service.describeAccessEntry("demo", Self.role).tags == ["b": "2"])
        try await next.running {
            try await next.cluster(.active)
            #expect(await next.hosts.access["demo"]?.entries.count == 2)
            _ = try await next.service.deleteCluster("demo")
            try await next.gone { _ = try await next.service.describeCluster("demo") }
        }
        #expect(await refusal { _ = try await next.service.tags(of: entry.arn) }?.code == "NotFoundException")
    }
}
