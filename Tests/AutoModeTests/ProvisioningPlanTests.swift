import KubeAPI
import KubeScheduler
import Testing

@testable import AutoMode

@Suite("Which nodes are made for pods") struct ProvisioningPlanTests {
    private func plan(_ pools: [NodePool], _ pods: [SimulatedPod], nodes: [NodeState] = []) throws -> ProvisioningPlan {
        try ProvisioningPlan.plan(Fixtures.snapshot(pools: pools, pending: pods, nodes: nodes), for: pods)
    }

    private func types(_ plan: ProvisioningPlan) -> [String] { plan.nodes.compactMap { $0.choice?.type.name } }

    @Test("small pods share the cheapest node that has room for all; burstable ones are not in the pool")
    func packing() throws {
        let plan = try plan([try Fixtures.pool()], try (1...3).map { try Fixtures.pod("p\($0)") })
        #expect(types(plan) == ["c6a.large"] && plan.nodes.first?.pods.count == 3 && plan.failures.isEmpty)
    }

    @Test("a node grows with what is put on it, as far as there are types", arguments: [(4, ["c6a.xlarge"]), (11, ["c6a.2xlarge", "c6a.xlarge"])])
    func growth(_ count: Int, _ expected: [String]) throws {
        let plan = try plan([try Fixtures.pool()], try (1...count).map { try Fixtures.pod("p\($0)", cpu: "900m") })
        #expect(types(plan) == expected)
    }

    @Test("what needs memory gets a type with memory")
    func memory() throws {
        #expect(types(try plan([try Fixtures.pool()], [try Fixtures.pod("p", memory: "6Gi")])) == ["m5.large"])
        #expect(types(try plan([try Fixtures.pool()], [try Fixtures.pod("p", memory: "12Gi")])) == ["r5.large"])
    }

    @Test("a pod goes where its selector, its affinity and its tolerations lead")
    func selection() throws {
        let plain = try Fixtures.pool()
        let special = try Fixtures.pool("special") {
            $0[path: "spec", "template", "metadata"] = ["labels": ["team": "a"]]
            $0[path: "spec", "template", "spec", "taints"] = [["key": "only", "value": "a", "effect": "NoSchedule"]]
        }
        let cpu = try Fixtures.pod("cpu") { $0[path: "spec", "nodeSelector"] = ["eks.amazonaws.com/instance-cpu": "8"] }
        #expect(types(try plan([plain], [cpu])) == ["c6a.2xlarge"])
        let zone = try Fixtures.pod("zone") { $0[path: "spec", "nodeSelector"] = ["topology.kubernetes.io/zone": "eu-1b"] }
        #expect(try plan([plain], [zone]).nodes.map(\.zone) == ["eu-1b"])
        let team = try Fixtures.pod("team") {
            $0[path: "spec", "nodeSelector"] = ["team": "a"]
            $0[path: "spec", "tolerations"] = [["key": "only", "operator": "Exists"]]
        }
        #expect(try plan([plain, special], [team]).nodes.map(\.pool.name) == ["special"])
        let shutOut = try Fixtures.pod("out") { $0[path: "spec", "nodeSelector"] = ["team": "a"] }
        #expect(try plan([plain, special], [shutOut]).failures.keys.sorted() == ["default/out"])
    }

    @Test("a label that a pool leaves open has the value that the pod asks for")
    func customLabels() throws {
        let pool = try Fixtures.pool {
            let open: Value = ["key": "team", "operator": "In", "values": ["a", "b"]]
            $0[path: "spec", "template", "spec", "requirements"] = .array(
                ($0[path: "spec", "template", "spec", "requirements"]?.array ?? []) + [open])
        }
        let pod = try Fixtures.pod("p") { $0[path: "spec", "nodeSelector"] = ["team": "b"] }
        #expect(try plan([pool], [pod]).nodes.first?.labels["team"] == "b")
        #expect(try plan([pool], [try Fixtures.pod("q")]).nodes.first?.labels["team"] == "a")
    }

    @Test("pods that may not share a node get one each, and pods that must spread over zones do")
    func spreading() throws {
        let selector: Value = ["matchLabels": ["app": "web"]]
        let apart = try (1...3).map { number in
            try Fixtures.pod("p\(number)") {
                $0[path: "spec", "affinity"] = [
                    "podAntiAffinity": [
                        "requiredDuringSchedulingIgnoredDuringExecution": [["labelSelector": selector, "topologyKey": "kubernetes.io/hostname"]]
                    ]
                ]
            }
        }
        #expect(try plan([try Fixtures.pool()], apart).nodes.count == 3)
        let spread = try (1...4).map { number in
            try Fixtures.pod("p\(number)") {
                $0[path: "spec", "topologySpreadConstraints"] = [
                    [
                        "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector,
                        "minDomains": 2,
                    ]
                ]
            }
        }
        let plan = try plan([try Fixtures.pool()], spread)
        #expect(plan.failures.isEmpty && Set(plan.nodes.map(\.zone)) == ["eu-1a", "eu-1b"] && plan.nodes.map(\.pods.count) == [2, 2])
    }

    @Test("nodes that are there, and those on their way, are used before new ones")
    func present() throws {
        let pool = try Fixtures.pool()
        let coming = try Fixtures.node("n1", of: pool) { $0["status"] = ["conditions": []] }
        let plan = try plan([pool], [try Fixtures.pod("p")], nodes: [coming])
        #expect(plan.nodes.isEmpty && plan.nominations["default/p"] == "n1")
    }

    @Test("a pool's limits bound what is made, and a pod that is too large for all types is told so")
    func limits() throws {
        let pool = try Fixtures.pool { $0[path: "spec", "limits"] = ["cpu": "4"] }
        let nodes = [try Fixtures.node("n1", of: pool, pods: [try Fixtures.pod("full", cpu: "1900m")])]
        let two = try plan([pool], [try Fixtures.pod("a", cpu: "1500m"), try Fixtures.pod("b", cpu: "1500m")], nodes: nodes)
        #expect(types(two) == ["c6a.large"] && two.failures["default/b"]?.contains("limits") == true)
        #expect(try plan([try Fixtures.pool()], [try Fixtures.pod("huge", cpu: "64")]).failures.count == 1)
    }

    @Test("the heavier pool is asked first; daemons' room is kept")
    func weightAndDaemons() throws {
        let heavy = try Fixtures.pool("heavy") { $0[path: "spec", "weight"] = 10 }
        var snapshot = Fixtures.snapshot(pools: [heavy, try Fixtures.pool("a")])
        snapshot.daemons = [try Fixtures.pod("daemon", cpu: "1500m")]
        let plan = try ProvisioningPlan.plan(snapshot, for: [try Fixtures.pod("p", cpu: "1")])
        #expect(plan.nodes.map(\.pool.name) == ["heavy"] && types(plan) == ["c6a.xlarge"])
    }

    @Test("spot is chosen where the pool has both")
    func spot() throws {
        let pool = try Fixtures.pool {
            $0[path: "spec", "template", "spec", "requirements"] = [
                ["key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand", "spot"]]
            ]
        }
        let node = try #require(try plan([pool], [try Fixtures.pod("p")]).nodes.first)
        #expect(node.choice?.capacityType == "spot")
        let claim = NodeClaim(try Object(try ClaimTemplate.claim(for: node, nodeClass: nil)))
        #expect(claim.capacityType == "spot" && claim.zone == node.zone && claim.instanceType == node.choice?.type.name)
        #expect(claim.object.metadata.labels["eks.amazonaws.com/compute-type"] == "auto" && claim.pool == "general")
        #expect(claim.object["spec"]["terminationGracePeriod"].string == "24h0m0s")
    }
}
