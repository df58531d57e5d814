import KubeAPI
import Testing

@testable import KubeScheduler

@Suite("Scheduler: filters and what they say")
struct FilterTests {
    @Test("the message counts nodes by reason, in upstream's words and order")
    func message() throws {
        let taint: Value = ["key": "dedicated", "value": "gpu", "effect": "NoSchedule"]
        let cache = cache([try node("a", cpu: "1"), try node("b", taints: [taint]), try node("c", taints: [taint])])
        #expect(
            KubeSchedulerTests.message(schedule(try pod("p", cpu: "2"), cache))
                == "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s).")
    }

    @Test("without nodes there is another message")
    func noNodes() throws {
        #expect(schedule(try pod("p"), cache([])) == .noNodes)
        #expect(SchedulingCycle.noNodesMessage == "no nodes available to schedule pods")
    }

    @Test("one node can lack several things, each counted")
    func severalReasons() throws {
        let cache = cache([try node("a", cpu: "1", memory: "1Gi", pods: "0")])
        #expect(
            KubeSchedulerTests.message(schedule(try pod("p", cpu: "2", memory: "2Gi"), cache))
                == "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 Too many pods.")
    }

    @Test("what bound and assumed pods take is gone, and is free again when they go")
    func resources() throws {
        var cache = cache([try node("a", cpu: "1")], [try pod("x", cpu: "600m", node: "a")])
        #expect(KubeSchedulerTests.message(schedule(try pod("p", cpu: "500m"), cache)) == "0/1 nodes are available: 1 Insufficient cpu.")
        cache.remove("uid-x")
        #expect(schedule(try pod("p", cpu: "500m"), cache) == .node("a"))
        cache.assume(try pod("y", cpu: "900m"), on: "a")
        #expect(schedule(try pod("p", cpu: "500m"), cache) != .node("a"))
        cache.forget("uid-y")
        #expect(schedule(try pod("p", cpu: "500m"), cache) == .node("a"))
    }

    @Test("requests: init containers count by the most at a time, sidecars and overhead on top, pod-level requests instead")
    func requests() throws {
        let info = try pod("p", cpu: "100m") { spec in
            spec["initContainers"] = [
                ["name": "i", "resources": ["requests": ["cpu": "500m"]]],
                ["name": "s", "restartPolicy": "Always", "resources": ["requests": ["cpu": "50m"]]],
                ["name": "j", "resources": ["requests": ["cpu": "300m"]]],
            ]
            spec["overhead"] = ["cpu": "10m"]
        }
        #expect(info.requests.milliCPU == 510)
        let whole = try pod("p", cpu: "100m") { $0["resources"] = ["requests": ["cpu": "2"]] }
        #expect(whole.requests.milliCPU == 2000)
        let huge = try pod("p", cpu: "9999999999999999999", memory: "-5")
        #expect(huge.requests.milliCPU == Resource.limit)
        #expect(huge.requests.memory == 0)
        #expect(try pod("p").nonZeroRequests.milliCPU == 100)
    }

    @Test("a pod that is resized takes the most of what it wishes for, was granted and has; a wish that is infeasible does not count")
    func resized() throws {
        func info(_ reason: String?) throws -> (Object, PodInfo) {
            var value = try podObject("p", cpu: "3", memory: "1Gi", node: "a").value
            let has: Value = ["name": "c", "allocatedResources": ["cpu": "500m", "memory": "2Gi"], "resources": ["requests": ["cpu": "700m"]]]
            value["status"] = ["phase": "Running", "containerStatuses": [has]]
            if let reason { value[path: "status", "conditions"] = [["type": "PodResizePending", "status": "True", "reason": .string(reason)]] }
            return (try object(value), PodInfo(try object(value)))
        }
        let (waiting, deferred) = try info("Deferred")
        #expect(deferred.requests.milliCPU == 3000 && deferred.requests.memory == 2 << 30)
        let (refused, infeasible) = try info("Infeasible")
        #expect(infeasible.requests.milliCPU == 700 && infeasible.requests.memory == 2 << 30)
        let done = try info(nil).0
        for (old, new) in [(waiting, refused), (refused, done), (done, waiting)] { #expect(PodChange.of(old, new, schedulers: ["s"]) == .bound) }
        #expect(PodChange.of(done, done, schedulers: ["s"]) == .none)
    }

    @Test("extended resources")
    func extended() throws {
        let gpu = try pod("p") { $0["containers"] = [["name": "c", "resources": ["requests": ["nvidia.com/gpu": "1"]]]] }
        #expect(KubeSchedulerTests.message(schedule(gpu, cache([try node("a")]))) == "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
    }

    @Test(
        "taints and tolerations",
        arguments: [
            ("NoSchedule", [], false), ("NoExecute", [], false), ("PreferNoSchedule", [], true),
            ("NoSchedule", [["key": "k", "operator": "Exists"]], true), ("NoSchedule", [["key": "k", "value": "v", "effect": "NoSchedule"]], true),
            ("NoSchedule", [["key": "k", "value": "w"]], false), ("NoSchedule", [["key": "k", "operator": "Exists", "effect": "NoExecute"]], false),
            ("NoExecute", [["operator": "Exists"]], true),
        ] as [(String, [Value], Bool)])
    func taints(effect: String, tolerations: [Value], fits: Bool) throws {
        let cache = cache([try node("a", taints: [["key": "k", "value": "v", "effect": .string(effect)]])])
        let pod = try pod("p") { $0["tolerations"] = .array(tolerations) }
        #expect((schedule(pod, cache) == .node("a")) == fits)
    }

    @Test("a cordoned node takes only pods that tolerate it")
    func cordon() throws {
        let cache = cache([try node("a", unschedulable: true)])
        #expect(KubeSchedulerTests.message(schedule(try pod("p"), cache)) == "0/1 nodes are available: 1 node(s) were unschedulable.")
        let daemon = try pod("p") { $0["tolerations"] = [["key": "node.kubernetes.io/unschedulable", "operator": "Exists"]] }
        #expect(schedule(daemon, cache) == .node("a"))
    }

    @Test(
        "node affinity's operators",
        arguments: [
            ("In", ["ssd", "nvme"], true), ("In", ["hdd"], false), ("NotIn", ["hdd"], true), ("NotIn", ["ssd"], false), ("Exists", [], true),
            ("DoesNotExist", [], false), ("Gt", ["1"], false),
        ])
    func nodeAffinity(op: String, values: [String], fits: Bool) throws {
        let cache = cache([try node("a", labels: ["disk": "ssd", "cores": "8"])])
        let pod = try pod("p") {
            $0[path: "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"] = [
                ["matchExpressions": [["key": "disk", "operator": .string(op), "values": Value(values)]]]
            ]
        }
        #expect((schedule(pod, cache) == .node("a")) == fits)
    }

    @Test("a node selector that matches nothing, and a number compared")
    func nodeSelector() throws {
        let cache = cache([try node("a", labels: ["cores": "8"])])
        let selecting = try pod("p") { $0["nodeSelector"] = ["disk": "ssd"] }
        #expect(
            KubeSchedulerTests.message(schedule(selecting, cache)) == "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")
        let comparing = try pod("p") {
            $0[path: "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"] = [
                ["matchExpressions": [["key": "cores", "operator": "Gt", "values": ["4"]]]]
            ]
        }
        #expect(schedule(comparing, cache) == .node("a"))
    }

    @Test("a pod that names its node, as a DaemonSet's do, is checked against that node alone")
    func matchFields() throws {
        func daemon(_ node: String) throws -> PodInfo {
            try pod("p") {
                $0[path: "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"] = [
                    ["matchFields": [["key": "metadata.name", "operator": "In", "values": [.string(node)]]]]
                ]
            }
        }
        let cache = cache([try node("a"), try node("b", pods: "0"), try node("c")])
        #expect(schedule(try daemon("c"), cache) == .node("c"))
        #expect(
            KubeSchedulerTests.message(schedule(try daemon("b"), cache))
                == "0/3 nodes are available: 1 Too many pods, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].")
    }

    @Test("host ports are exclusive by protocol and address")
    func ports() throws {
        func withPort(_ name: String, _ port: Int64, _ proto: String = "TCP", ip: String? = nil, node: String = "") throws -> PodInfo {
            try pod(name, node: node) {
                var entry: Value = ["containerPort": 80, "hostPort": .int(port), "protocol": .string(proto)]
                if let ip { entry["hostIP"] = .string(ip) }
                $0["containers"] = [["name": "c", "ports": [entry]]]
            }
        }
        let cache = cache([try node("a")], [try withPort("x", 8080, ip: "10.0.0.1", node: "a")])
        #expect(
            KubeSchedulerTests.message(schedule(try withPort("p", 8080), cache))
                == "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.")
        #expect(schedule(try withPort("p", 8080, ip: "10.0.0.2"), cache) == .node("a"))
        #expect(schedule(try withPort("p", 8080, "UDP"), cache) == .node("a"))
        #expect(schedule(try withPort("p", 8081), cache) == .node("a"))
    }
}

@Suite("Scheduler: pods near and away from pods")
struct InterPodAffinityTests {
    private func term(_ app: String, key: String = "zone") -> Value {
        ["labelSelector": ["matchLabels": ["app": .string(app)]], "topologyKey": .string(key)]
    }

    private func near(_ name: String, _ app: String, labels: [String: String] = [:]) throws -> PodInfo {
        try pod(name, labels: labels) { $0[path: "affinity", "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution"] = [term(app)] }
    }

    private func away(_ name: String, _ app: String, labels: [String: String] = [:], node: String = "") throws -> PodInfo {
        try pod(name, node: node, labels: labels) {
            $0[path: "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"] = [term(app)]
        }
    }

    private func nodes() throws -> [Object] { [try node("a", labels: ["zone": "z1"]), try node("b", labels: ["zone": "z2"]), try node("c")] }

    @Test("affinity puts a pod into the zone of its friend")
    func affinity() throws {
        let cache = cache(try nodes(), [try pod("db", node: "b", labels: ["app": "db"])])
        #expect(schedule(try near("p", "db"), cache) == .node("b"))
        #expect(message(schedule(try near("p", "nobody"), cache)) == "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.")
    }

    @Test("the first of a group that wants its own kind near may go anywhere with the label")
    func firstOfGroup() throws {
        let outcome = schedule(try near("p", "db", labels: ["app": "db"]), cache(try nodes()))
        #expect(outcome == .node("a") || outcome == .node("b"))
    }

    @Test("anti-affinity keeps a pod away, and so does that of the pods there")
    func antiAffinity() throws {
        let mine = cache(try nodes(), [try pod("db", node: "b", labels: ["app": "db"]), try pod("db2", node: "a", labels: ["app": "db"])])
        #expect(schedule(try away("p", "db"), mine) == .node("c"))
        let two = cache([try node("a", labels: ["zone": "z1"])], [try pod("db", node: "a", labels: ["app": "db"])])
        #expect(message(schedule(try away("p", "db"), two)) == "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.")
        let theirs = cache([try node("a", labels: ["zone": "z1"])], [try away("db", "web", node: "a")])
        #expect(
            message(schedule(try pod("p", labels: ["app": "web"]), theirs))
                == "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.")
    }

    @Test("terms speak of their own namespace unless they say otherwise, by name or label")
    func namespaces() throws {
        var cache = cache(try nodes(), [try pod("db", namespace: "data", node: "b", labels: ["app": "db"])])
        cache.setNamespace("data", labels: ["team": "db"])
        #expect(schedule(try near("p", "db"), cache) != .node("b"))
        let named = try pod("p") {
            var term = term("db")
            term["namespaces"] = ["data"]
            $0[path: "affinity", "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution"] = [term]
        }
        #expect(schedule(named, cache) == .node("b"))
        let labelled = try pod("p") {
            var term = term("db")
            term["namespaceSelector"] = ["matchLabels": ["team": "db"]]
            $0[path: "affinity", "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution"] = [term]
        }
        #expect(schedule(labelled, cache) == .node("b"))
    }

    @Test("preferences of the pod and of those there decide between nodes")
    func preferred() throws {
        let friendly = try pod("p") {
            $0[path: "affinity", "podAffinity", "preferredDuringSchedulingIgnoredDuringExecution"] = [["weight": 10, "podAffinityTerm": term("db")]]
        }
        let cache1 = cache(try nodes(), [try pod("db", node: "b", labels: ["app": "db"])])
        #expect(schedule(friendly, cache1) == .node("b"))
        let shy = try pod("shy", node: "a") {
            $0[path: "affinity", "podAntiAffinity", "preferredDuringSchedulingIgnoredDuringExecution"] = [
                ["weight": 100, "podAffinityTerm": term("web")]
            ]
        }
        let scores = totals(try pod("p", labels: ["app": "web"]), cache(try nodes(), [shy]))
        #expect((scores["a"] ?? 0) < (scores["b"] ?? 0))
    }
}

@Suite("Scheduler: spreading")
struct PodTopologySpreadTests {
    private func spread(_ name: String, key: String = "zone", skew: Int64 = 1, minDomains: Int64? = nil, hard: Bool = true) throws -> PodInfo {
        try pod(name, labels: ["app": "web"]) {
            var constraint: Value = [
                "maxSkew": .int(skew), "topologyKey": .string(key), "whenUnsatisfiable": hard ? "DoNotSchedule" : "ScheduleAnyway",
                "labelSelector": ["matchLabels": ["app": "web"]],
            ]
            if let minDomains { constraint["minDomains"] = .int(minDomains) }
            $0["topologySpreadConstraints"] = [constraint]
        }
    }

    private func web(_ name: String, _ node: String) throws -> PodInfo { try pod(name, node: node, labels: ["app": "web"]) }

    @Test("a zone that is ahead by the skew takes no more")
    func hard() throws {
        let nodes = [try node("a", labels: ["zone": "z1"]), try node("b", labels: ["zone": "z2"])]
        #expect(schedule(try spread("p"), cache(nodes, [try web("x", "a")])) == .node("b"))
        let full = cache([nodes[0], try node("b", pods: "0", labels: ["zone": "z2"])], [try web("x", "a")])
        #expect(
            message(schedule(try spread("p"), full))
                == "0/2 nodes are available: 1 Too many pods, 1 node(s) didn't match pod topology spread constraints.")
        #expect(
            message(schedule(try spread("p"), cache([try node("a")])))
                == "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label).")
    }

    @Test("with fewer zones than asked for, the least is none")
    func minDomains() throws {
        let cache = cache([try node("a", labels: ["zone": "z1"])], [try web("x", "a")])
        #expect(schedule(try spread("p"), cache) == .node("a"))
        #expect(schedule(try spread("p", minDomains: 2), cache) != .node("a"))
    }

    @Test("pods that are being deleted do not count")
    func terminating() throws {
        var value = try podObject("x", node: "a", labels: ["app": "web"]).value
        value[path: "metadata", "deletionTimestamp"] = .string(epoch.rfc3339)
        let nodes = [try node("a", labels: ["zone": "z1"]), try node("b", pods: "0", labels: ["zone": "z2"])]
        #expect(schedule(try spread("p"), cache(nodes, [PodInfo(try object(value))])) == .node("a"))
    }

    @Test("pods of a Service are spread over nodes and zones without being told to")
    func defaults() throws {
        let nodes = [
            try node("a", labels: ["topology.kubernetes.io/zone": "z1"]), try node("b", labels: ["topology.kubernetes.io/zone": "z1"]),
            try node("c", labels: ["topology.kubernetes.io/zone": "z2"]),
        ]
        let cache = cache(nodes, [try web("x", "a"), try web("y", "a")])
        let scores = totals(try pod("p", labels: ["app": "web"]), cache, workload: LabelSelector(matching: ["app": "web"]))
        let (a, b, c) = (scores["a"] ?? 0, scores["b"] ?? 0, scores["c"] ?? 0)
        #expect(a < b && b < c)
    }

    @Test("three replicas land on three nodes")
    func threeReplicas() throws {
        var cache = cache(try (0..<3).map { try node("n\($0)") })
        var cycle = SchedulingCycle()
        var used: Set<String> = []
        for index in 0..<3 {
            let pod = try pod("p\(index)", labels: ["app": "web"])
            guard case .node(let name) = cycle.schedule(CycleInput(pod: pod, workloadSelector: LabelSelector(matching: ["app": "web"])), &cache)
            else {
                Issue.record("no node")
                continue
            }
            cache.assume(pod, on: name)
            used.insert(name)
        }
        #expect(used.count == 3)
    }
}

@Suite("Scheduler: scores")
struct ScoreTests {
    @Test("the emptier node wins")
    func leastAllocated() throws {
        let cache = cache([try node("a"), try node("b")], [try pod("x", cpu: "2", memory: "4Gi", node: "a")])
        #expect(schedule(try pod("p", cpu: "100m", memory: "100Mi"), cache) == .node("b"))
    }

    @Test("a node where cpu and memory would be even is preferred to one where they are not")
    func balanced() throws {
        let pod = try pod("p", cpu: "1", memory: "2Gi")
        var cache = cache([try node("even"), try node("odd", cpu: "4", memory: "64Gi")])
        let nodes = cache.nodes
        let scorer = try #require(NodeResourcesBalancedAllocation().prepareScore(CycleInput(pod: pod), Array(nodes.indices), &cache))
        #expect(nodes.map { scorer.score($0) } == [75, 69])
    }

    @Test("what counts is how much more even a node becomes: 75 for no change, 50 at worst, 100 at best")
    func moreBalanced() throws {
        let wanted = try pod("p", cpu: "0", memory: "8Gi")
        var all = cache(
            [try node("full"), try node("half"), try node("empty")],
            [try pod("x", cpu: "4", node: "full"), try pod("y", cpu: "2", memory: "1Gi", node: "half")])
        let places = Array(all.nodes.indices)
        let plain = try #require(NodeResourcesBalancedAllocation().prepareScore(CycleInput(pod: wanted), places, &all))
        #expect(all.nodes.map { plain.score($0) } == [100, 72, 50])
        let arguments = BalancedAllocationArguments(resources: [.cpu, .memory, .scalar("a.io/gpu")])
        let general = try #require(NodeResourcesBalancedAllocation(arguments).prepareScore(CycleInput(pod: wanted), places, &all))
        #expect(all.nodes.map { general.score($0) } == [100, 72, 50])
    }

    @Test("preferred node affinity and disliked taints")
    func preferences() throws {
        let taint: Value = ["key": "k", "effect": "PreferNoSchedule"]
        let cache1 = cache([try node("a", taints: [taint]), try node("b")])
        #expect(schedule(try pod("p"), cache1) == .node("b"))
        let liking = try pod("p") {
            $0[path: "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution"] = [
                ["weight": 50, "preference": ["matchExpressions": [["key": "disk", "operator": "In", "values": ["ssd"]]]]]
            ]
        }
        #expect(schedule(liking, cache([try node("a"), try node("b", labels: ["disk": "ssd"])])) == .node("b"))
    }

    @Test("a node that holds a large image is preferred")
    func image() throws {
        let cache = cache([try node("a"), try node("b", images: [("nginx:1.15", 900 << 20)])])
        #expect(schedule(try pod("p"), cache) == .node("b"))
        #expect(ImageLocality.normalized("registry:5000/nginx") == "registry:5000/nginx:latest")
        #expect(ImageLocality.normalized("nginx:1") == "nginx:1")
    }

    @Test("of many nodes only some are looked at, and all get their turn")
    func sampling() throws {
        #expect(SchedulingCycle.enough(of: 50) == 50)
        #expect(SchedulingCycle.enough(of: 1000) == 420)
        #expect(SchedulingCycle.enough(of: 6000) == 300)
        #expect(SchedulingCycle.enough(of: 150) == 100)
    }
}
