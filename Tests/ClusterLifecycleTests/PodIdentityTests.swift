import AWSProtocol
import AWSServices
import Testing

@testable import ClusterLifecycle

@Suite struct PodIdentityTests {
    static let trust = #"""
        {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},
        "Action":["sts:AssumeRole","sts:TagSession"]CONDITION}]}
        """#
    private static let condition = "CONDITION"
    static func arn(_ name: String) -> String { "arn:aws:iam::000000000000:role/\(name)" }

    /// An ACTIVE cluster and a role that EKS's pods may take on.
    private func world(condition: String = "") async throws -> World {
        let world = try await World()
        let trust = Self.trust.replacing(Self.condition, with: condition)
        _ = try await world.call(world.iam, "CreateRole", ["RoleName": "app", "AssumeRolePolicyDocument": trust])
        return world
    }

    private func input(_ account: String = "app", role: String = "app") -> CreatePodIdentityInput {
        CreatePodIdentityInput(clusterName: "demo", namespace: "default", serviceAccount: account, roleARN: Self.arn(role))
    }

    private func active(_ world: World) async throws {
        _ = try await world.createCluster(try await world.subnets())
        try await world.cluster(.active)
    }

    @Test("an association is made once for a service account, found by its id, changed and removed")
    func lifecycle() async throws {
        let world = try await world()
        try await world.running {
            try await active(world)
            let made = try await world.service.createPodIdentity(input(), caller: world.caller)
            #expect(made.id.hasPrefix("a-") && made.id.count == 19)
            #expect(made.arn == "arn:aws:eks:eu-central-1:000000000000:podidentityassociation/demo/\(made.id)")
            let again = await refusal { _ = try await world.service.createPodIdentity(input(), caller: world.caller) }
            #expect(again?.code == "ResourceInUseException" && again?.message == "Association already exists: \(made.id)")
            #expect(try await world.service.listPodIdentities("demo", namespace: "default", serviceAccount: nil) == [made])
            #expect(try await world.service.listPodIdentities("demo", namespace: "other", serviceAccount: nil).isEmpty)
            #expect(await world.service.hasPodIdentity("demo", namespace: "default", serviceAccount: "app"))
            var change = UpdatePodIdentityInput(clusterName: "demo", id: made.id)
            change.targetRoleARN = Self.arn("target")
            let changed = try await world.service.updatePodIdentity(change, caller: world.caller)
            #expect(changed.externalID == "eu-central-1/000000000000/demo/default/app" && changed.modifiedAt >= made.createdAt)
            change.targetRoleARN = ""
            #expect(try await world.service.updatePodIdentity(change, caller: world.caller).externalID == nil)
            try await world.service.changeTags(of: made.arn, add: ["team": "a"], remove: [])
            #expect(try await world.service.tags(of: made.arn) == ["team": "a"])
            _ = try await world.service.deletePodIdentity("demo", id: made.id)
            #expect(await refusal { _ = try await world.service.describePodIdentity("demo", id: made.id) }?.code == "ResourceNotFoundException")
        }
    }

    @Test("the same token gives the same association, and another request with it is refused")
    func idempotency() async throws {
        let world = try await world()
        try await world.running {
            try await active(world)
            var first = input()
            first.token = IdempotencyToken(token: "t", parameters: ["serviceAccount": "app"], createdAt: world.service.now)
            let made = try await world.service.createPodIdentity(first, caller: world.caller)
            #expect(try await world.service.createPodIdentity(first, caller: world.caller) == made)
            var other = input("other")
            other.token = IdempotencyToken(token: "t", parameters: ["serviceAccount": "other"], createdAt: world.service.now)
            #expect(await refusal { _ = try await world.service.createPodIdentity(other, caller: world.caller) }?.code == "InvalidParameterException")
        }
    }

    @Test("a role must be there and let EKS's pods assume it with tags; names must be Kubernetes'")
    func roles() async throws {
        let world = try await world()
        try await world.running {
            try await active(world)
            let missing = await refusal { _ = try await world.service.createPodIdentity(input(role: "none"), caller: world.caller) }
            #expect(missing?.code == "InvalidParameterException" && missing?.message.hasPrefix("Role provided in the request does not exist") == true)
            let node = await refusal { _ = try await world.service.createPodIdentity(input(role: "node"), caller: world.caller) }
            #expect(node?.message.hasPrefix("Trust policy of the role provided is invalid") == true)
            for account in ["", "App", "a_b", "-a", String(repeating: "a", count: 254)] {
                #expect(await refusal { _ = try await world.service.createPodIdentity(input(account), caller: world.caller) } != nil, "\(account)")
            }
            #expect(await refusal { _ = try await world.service.listPodIdentities("none", namespace: nil, serviceAccount: nil) } != nil)
        }
    }

    @Test("a pod's token becomes credentials of its role, in a session that names cluster and pod")
    func credentials() async throws {
        let world = try await world()
        try await world.running {
            try await active(world)
            let made = try await world.service.createPodIdentity(input(), caller: world.caller)
            let pod = try await world.service.podCredentials(cluster: "demo", token: "default/app/web-0")
            #expect(pod.association == made && pod.audience == "pods.eks.amazonaws.com")
            #expect(pod.credentials.assumedRoleARN.hasPrefix("arn:aws:sts::000000000000:assumed-role/app/eks-demo-web-0-"))
            let credential = try #require(await world.identities.credential(accessKeyID: pod.credentials.accessKeyID))
            #expect(credential.caller.principalARN == Self.arn("app") && credential.sessionToken == pod.credentials.sessionToken)
            func code(_ token: String) async -> String? {
                await refusal { _ = try await world.service.podCredentials(cluster: "demo", token: token) }?.code
            }
            #expect(await code("nonsense") == "InvalidTokenException")
            #expect(await code("expired") == "ExpiredTokenException")
            #expect(await code("default/app") == "InvalidTokenException", "a token of no pod")
            #expect(await code("default/other/web-0") == "ResourceNotFoundException")
        }
    }

    @Test("a trust policy may ask for the tags of the session", arguments: [("default", true), ("kube-system", false)])
    func conditions(_ namespace: String, _ isAllowed: Bool) async throws {
        let condition = #","Condition":{"StringEquals":{"aws:RequestTag/kubernetes-namespace":"\#(namespace)"}}"#
        let world = try await world(condition: condition)
        try await world.running {
            try await active(world)
            _ = try await world.service.createPodIdentity(input(), caller: world.caller)
            let denied = await refusal { _ = try await world.service.podCredentials(cluster: "demo", token: "default/app/web-0") }
            #expect(denied?.code == (isAllowed ? nil : "AccessDeniedException"))
        }
    }

    @Test("a target role is assumed with the first one's credentials, when it trusts it and knows the external ID")
    func target() async throws {
        let world = try await world()
        func trust(_ externalID: String) -> String {
            #"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"\#(Self.arn("app"))"},"Action":["sts:AssumeRole","#
                + #""sts:TagSession"],"Condition":{"StringEquals":{"sts:ExternalId":"\#(externalID)"}}}]}"#
        }
        for (name, id) in [("right", "eu-central-1/000000000000/demo/default/right"), ("wrong", "other")] {
            _ = try await world.call(world.iam, "CreateRole", ["RoleName": name, "AssumeRolePolicyDocument": trust(id)])
        }
        try await world.running {
            try await active(world)
            for name in ["right", "wrong"] {
                var association = input(name)
                association.targetRoleARN = Self.arn(name)
                _ = try await world.service.createPodIdentity(association, caller: world.caller)
            }
            let pod = try await world.service.podCredentials(cluster: "demo", token: "default/right/web-0")
            #expect(pod.credentials.assumedRoleARN.contains("assumed-role/right/"))
            let denied = await refusal { _ = try await world.service.podCredentials(cluster: "demo", token: "default/wrong/web-0") }
            #expect(denied?.code == "AccessDeniedException")
        }
    }

    @Test("a policy limits what the pods' credentials may; it leaves no room for session tags")
    func policy() async throws {
        let world = try await world()
        _ = try await world.call(
            world.iam, "AttachRolePolicy", ["RoleName": "app", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"])
        let policy = #"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"eks:ListClusters","Resource":"*"}]}"#
        try await world.running {
            try await active(world)
            var wanted = input()
            wanted.policy = policy
            let tags = await refusal { _ = try await world.service.createPodIdentity(wanted, caller: world.caller) }
            #expect(tags?.code == "InvalidParameterException" && tags?.message.contains("disableSessionTags must be set to true") == true)
            wanted.disableSessionTags = true
            wanted.policy = "{"
            let malformed = await refusal { _ = try await world.service.createPodIdentity(wanted, caller: world.caller) }
            #expect(malformed?.code == "InvalidParameterException" && malformed?.message.hasPrefix("Invalid policy") == true)
            wanted.policy = policy
            let made = try await world.service.createPodIdentity(wanted, caller: world.caller)
            #expect(made.policy == policy)
            func may(_ action: String) async throws -> Bool {
                let pod = try await world.service.podCredentials(cluster: "demo", token: "default/app/web-0")
                let caller = try #require(await world.identities.credential(accessKeyID: pod.credentials.accessKeyID)).caller
                do {
                    try await world.identities.authorize(caller, action: action, resource: "*")
                    return true
                } catch is AccessDenial { return false }
            }
            #expect(try await may("eks:ListClusters"))
            #expect(try await !may("eks:CreateCluster"))
            var change = UpdatePodIdentityInput(clusterName: "demo", id: made.id)
            change.disableSessionTags = false
            #expect(
                await refusal { _ = try await world.service.updatePodIdentity(change, caller: world.caller) }?.code == "InvalidParameterException")
            change.policy = ""
            #expect(try await world.service.updatePodIdentity(change, caller: world.caller).policy == nil)
            #expect(try await may("eks:CreateCluster"))
        }
    }

    @Test("associations go with their cluster")
    func deletion() async throws {
        let world = try await world()
        try await world.running {
            try await active(world)
            _ = try await world.service.createPodIdentity(input(), caller: world.caller)
            _ = try await world.service.deleteCluster("demo")
            try await world.gone { _ = try await world.service.describeCluster("demo") }
            #expect(await !world.service.hasPodIdentity("demo", namespace: "default", serviceAccount: "app"))
        }
    }

    @Test("session names fit into STS's 64 characters")
    func sessionNames() {
        let name = EKSService.sessionName(cluster: String(repeating: "c", count: 100), pod: String(repeating: "p", count: 253))
        #expect(name.count <= 64 && name.hasPrefix("eks-cccccccccc-ppppppppppp-"))
    }
}
