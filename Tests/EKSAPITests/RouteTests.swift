import AWSProtocol
import ClusterLifecycle
import Testing

@testable import EKSAPI

@Suite struct RouteTests {
    @Test("the table has every operation of the service model, and every shape it names")
    func table() {
        let model = EKSModel.shared
        #expect(model.operations.count == 71 && model.operations.count { $0.service == "eks" } == 70)
        for operation in model.operations { if let input = operation.input { #expect(model.shapes[input] != nil, "\(operation.name)") } }
        for (name, shape) in model.shapes {
            switch shape {
            case .structure(let members): for member in members { #expect(model.shapes[member.shape] != nil, "\(name).\(member.name)") }
            case .list(let element, _): #expect(model.shapes[element] != nil, "\(name)")
            case .map(let key, let value, _): #expect(model.shapes[key] != nil && model.shapes[value] != nil, "\(name)")
            default: break
            }
        }
        #expect(EKSAPI.handlers.keys.allSatisfy { name in model.operations.contains { $0.name == name } })
    }

    @Test("the patterns of the model are those checked by hand")
    func patterns() {
        let patterns = Set(
            EKSModel.shared.shapes.compactMap { name, shape -> String? in
                if case .string(_, let pattern) = shape, name != "JwtToken" { pattern } else { nil }
            })
        #expect(patterns == [InputBinding.namePattern, InputBinding.ackServicePattern, InputBinding.endpointPrefixPattern])
        let built = ["StartZonalShiftRequest", "UpdateZonalShiftRequest", "CancelZonalShiftRequest", "ListZonalShiftsRequest"]
        for input in built {
            guard case .structure(let members)? = EKSModel.zonalShift.shapes[input] else { return #expect(Bool(false), "\(input)") }
            for member in members {
                guard case .string(_, let pattern?)? = EKSModel.zonalShift.shapes[member.shape] else { continue }
                #expect([InputBinding.shiftIDPattern, InputBinding.expiresInPattern].contains(pattern), "\(input).\(member.name)")
            }
        }
        #expect(ZonalShiftAPI.handlers.keys.allSatisfy { name in EKSModel.zonalShift.operations.contains { $0.name == name } })
    }

    @Test(
        "paths lead to their operations, ARNs in them decoded",
        arguments: [
            ("GET", "/clusters", "ListClusters"), ("POST", "/clusters", "CreateCluster"), ("GET", "/clusters/demo", "DescribeCluster"),
            ("DELETE", "/clusters/demo", "DeleteCluster"), ("POST", "/clusters/demo/node-groups", "CreateNodegroup"),
            ("POST", "/clusters/demo/node-groups/ng/update-config", "UpdateNodegroupConfig"),
            ("POST", "/clusters/demo/updates", "UpdateClusterVersion"), ("POST", "/clusters/demo/updates/1/cancel-update", "CancelUpdate"),
            ("GET", "/clusters/demo/updates/1", "DescribeUpdate"), ("GET", "/tags/arn%3Aaws%3Aeks%3A%3A%3Acluster%2Fdemo", "ListTagsForResource"),
            ("GET", "/clusters/demo/access-entries/arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx/access-policies", "ListAssociatedAccessPolicies"),
            ("GET", "/cluster-versions", "DescribeClusterVersions"), ("GET", "/addons/supported-versions", "DescribeAddonVersions"),
            ("POST", "/clusters/demo/identity-provider-configs/describe", "DescribeIdentityProviderConfig"),
        ])
    func routes(_ method: String, _ path: String, _ operation: String) {
        #expect(EKSModel.shared.route(method: method, path: path)?.operation.name == operation)
    }

    @Test("an ARN in a path is one parameter")
    func arn() {
        #expect(
            EKSModel.shared.route(method: "GET", path: "/tags/arn%3Aaws%3Aeks%3A%3A%3Acluster%2Fdemo")?.parameters["resourceArn"]
                == "arn:aws:eks:::cluster/demo")
        #expect(EKSModel.shared.route(method: "PATCH", path: "/clusters") == nil)
        #expect(EKSModel.shared.route(method: "GET", path: "/clusters/%zz") == nil)
    }

    @Test("what the model forbids is refused, all at once, in the form of AWS's validation")
    func validation() throws {
        let create = try #require(EKSModel.shared.route(method: "POST", path: "/clusters")?.operation)
        func message(_ body: AWSJSON) -> String {
            do {
                _ = try InputBinding.bind(create, parameters: [:], query: [], body: body.encoded)
                return ""
            } catch { return error.message }
        }
        #expect(message([:]).hasPrefix("3 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null"))
        let rest: [String: AWSJSON] = ["roleArn": "r", "resourcesVpcConfig": [:]]
        #expect(
            message(.object(rest.merging(["name": "a b"]) { $1 })).contains(
                "Value 'a b' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern"))
        #expect(
            message(.object(rest.merging(["name": .string(String(repeating: "a", count: 101))]) { $1 })).contains(
                "Member must have length less than or equal to 100"))
        #expect(message(.object(rest.merging(["name": 1]) { $1 })).contains("Member must be a string"))
        let mode: AWSJSON = ["authenticationMode": "NONE"]
        #expect(
            message(.object(rest.merging(["name": "a", "accessConfig": mode]) { $1 })).contains(
                "enum value set: [API, API_AND_CONFIG_MAP, CONFIG_MAP]"))
        #expect(message(.object(rest.merging(["name": "a"]) { $1 })).isEmpty)
        let list = try #require(EKSModel.shared.route(method: "GET", path: "/clusters")?.operation)
        #expect(throws: AWSError.self) { try InputBinding.bind(list, parameters: [:], query: [("maxResults", "0")], body: []) }
        #expect(throws: AWSError.self) { try InputBinding.bind(list, parameters: [:], query: [("maxResults", "x")], body: []) }
        #expect(try InputBinding.bind(list, parameters: [:], query: [("maxResults", "7"), ("include", "all")], body: [])["maxResults"] == 7)
    }

    @Test("bad requests are answered in EKS's form")
    func wire() async throws {
        let stack = try await Stack()
        let broken = await stack.eks("POST", "/clusters", bytes: Array("{".utf8))
        #expect(broken.status == 400 && broken.type == "SerializationException")
        let unknown = await stack.eks("GET", "/nothing/here")
        #expect(unknown.status == 404 && unknown.type == "UnknownOperationException")
        #expect(Set(EKSModel.shared.operations.map(\.name)).subtracting(EKSAPI.handlers.keys) == [])
        let missing = await stack.eks("GET", "/clusters/none")
        #expect(missing.status == 404 && missing.type == "ResourceNotFoundException" && missing.body["clusterName"] == "none")
        #expect(missing.body["message"] == "No cluster found for name: none.")
        let token = await stack.eks("GET", "/clusters?nextToken=made-up")
        #expect(token.type == "InvalidParameterException")
    }

    static let unbuiltMembers: [(String, AWSJSON)] = [
        ("outpostConfig", ["outpostArns": [], "controlPlaneInstanceType": "m5.large"]),
        ("kubernetesNetworkConfig", ["elasticLoadBalancing": ["enabled": true, "gatewayApi": ["crds": [:]]]]),
    ]

    @Test("what is not built is refused by name, not ignored", arguments: unbuiltMembers)
    func unbuilt(_ member: String, _ value: AWSJSON) async throws {
        let stack = try await Stack()
        let body = AWSJSON.object(["name": "x", "roleArn": "r", "resourcesVpcConfig": ["subnetIds": ["a", "b"]], member: value])
        let answer = await stack.eks("POST", "/clusters", body)
        #expect(
            answer.type == "InvalidParameterException" && answer.body["message"]?.stringValue?.contains("is not implemented by Eyrie yet") == true)
    }

    @Test("a warm pool's configuration is bound by the service model")
    func warmPool() throws {
        let operation = try #require(EKSModel.shared.route(method: "POST", path: "/clusters/demo/node-groups/ng/update-config")?.operation)
        func message(_ pool: AWSJSON) -> String? {
            do {
                let parameters = ["name": "demo", "nodegroupName": "ng"]
                let body: AWSJSON = ["warmPoolConfig": pool]
                let input = try InputBinding.bind(operation, parameters: parameters, query: [], body: body.encoded)
                return input["warmPoolConfig"] == pool ? nil : "changed"
            } catch { return error.message }
        }
        #expect(message(["enabled": true, "minSize": 0, "maxGroupPreparedCapacity": -1, "poolState": "STOPPED", "reuseOnScaleIn": false]) == nil)
        #expect(message(["poolState": "Stopped"])?.contains("enum value set: [STOPPED, RUNNING, HIBERNATED]") == true)
        #expect(message(["minSize": -1])?.contains("greater than or equal to 0") == true)
        #expect(message(["enabled": "yes"]) != nil)
    }

    @Test("a node group shows its warm pool, and what keeps it from being full")
    func warmPoolShown() {
        var group = NodegroupRecord(
            clusterName: "c", name: "g", id: "id", arn: "", createdAt: 0, version: "1.36", releaseVersion: "r",
            scaling: ScalingConfig(minSize: 0, maxSize: 1, desiredSize: 0), subnetIDs: [], nodeRoleARN: "", autoScalingGroupName: "")
        #expect(group.json["warmPoolConfig"] == nil)
        group.warmPool = WarmPoolConfig()
        group.warmPoolProblem = HealthIssue(code: "InsufficientFreeAddresses", message: "full", resourceIDs: ["subnet-1"])
        #expect(group.json["warmPoolConfig"] == ["enabled": true, "minSize": 0, "poolState": "STOPPED", "reuseOnScaleIn": false])
        #expect(group.json["health"]?["issues"]?.arrayValue?.first?["code"] == "InsufficientFreeAddresses")
    }

    @Test("a node group shows its strategy and its repair, named or not")
    func standards() {
        var group = NodegroupRecord(
            clusterName: "c", name: "g", id: "id", arn: "", createdAt: 0, version: "1.36", releaseVersion: "r",
            scaling: ScalingConfig(minSize: 0, maxSize: 1, desiredSize: 0), subnetIDs: [], nodeRoleARN: "", autoScalingGroupName: "")
        #expect(group.json["updateConfig"] == ["maxUnavailable": 1, "updateStrategy": "DEFAULT"])
        #expect(group.json["nodeRepairConfig"] == ["enabled": false])
        group.updateConfig.updateStrategy = "MINIMAL"
        group.nodeRepair = NodeRepairConfig()
        group.nodeRepair?.isEnabled = true
        #expect(group.json["updateConfig"]?["updateStrategy"] == "MINIMAL" && group.json["nodeRepairConfig"] == ["enabled": true])
    }

    @Test("each operation asks for its own action on its own resource")
    func resources() throws {
        let configuration = EKSConfiguration(region: "eu-central-1", account: "1")
        func resource(_ method: String, _ path: String, _ body: String = "") throws -> String {
            let (operation, parameters) = try #require(EKSModel.shared.route(method: method, path: path))
            return EKSAPI.resource(operation, parameters, Array(body.utf8), configuration)
        }
        #expect(try resource("GET", "/clusters") == "*")
        #expect(try resource("POST", "/clusters", #"{"name":"x"}"#) == "arn:aws:eks:eu-central-1:1:cluster/x")
        #expect(try resource("GET", "/clusters/x/node-groups/n") == "arn:aws:eks:eu-central-1:1:nodegroup/x/n/*")
        #expect(try resource("GET", "/tags/arn%3Ax") == "arn:x")
    }
}
