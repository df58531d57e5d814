import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

@Suite("ResourceQuota and LimitRanger")
struct QuotaTests {
    /// A server whose writes pass LimitRanger and ResourceQuota.
    private func server() async throws -> TestServer {
        try await TestServer { configuration in
            configuration.components = { reader in
                var plugins: [any AdmissionPlugin] = [LimitRanger(reader: reader)]
                if let writer = reader as? any ObjectWriter { plugins.append(ResourceQuotaAdmission(reader: reader, writer: writer)) }
                return APIServer.Components(authenticators: [TestAuthenticator()], authorizers: [AllowEverything()], admission: plugins)
            }
        }
    }

    /// A quota with the status its controller would give it.
    private func quota(_ test: TestServer, _ name: String, _ hard: [String: String], used: [String: String] = [:], spec: Value = [:]) async throws {
        var spec = spec
        spec["hard"] = Value(hard)
        try await test.create("resourcequotas", ["apiVersion": "v1", "kind": "ResourceQuota", "metadata": ["name": .string(name)], "spec": spec])
        var all = hard.mapValues { _ in "0" }
        all.merge(used) { $1 }
        try await test.patch("resourcequotas", name, ["status": ["hard": Value(hard), "used": Value(all)]], subresource: "status")
    }

    private func used(_ test: TestServer, _ name: String) async throws -> ResourceList {
        try await test.get("resourcequotas", name)["status"]["used"].resourceList
    }

    private func pod(_ name: String, requests: [String: String] = [:], limits: [String: String] = [:]) -> Value {
        var value = KubeAPIServerTests.pod(name)
        var container: Value = ["name": "main", "image": "nginx"]
        if !requests.isEmpty { container[path: "resources", "requests"] = Value(requests) }
        if !limits.isEmpty { container[path: "resources", "limits"] = Value(limits) }
        value[path: "spec", "containers"] = [container]
        return value
    }

    @Test("a pod beyond a quota is refused with what it asks, what is used and what is allowed")
    func exceeded() async throws {
        let test = try await server()
        try await quota(test, "q", ["pods": "2", "requests.cpu": "1"])
        try await test.create("pods", pod("a", requests: ["cpu": "300m"]))
        try await test.create("pods", pod("b", requests: ["cpu": "300m"]))
        #expect(try await used(test, "q") == ["pods": Quantity(2), "requests.cpu": Quantity(milli: 600)])
        let refused = await failure { try await test.create("pods", pod("c", requests: ["cpu": "500m"])) }
        #expect(refused?.code == 403)
        #expect(
            refused?.message
                == "pods \"c\" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=500m, used: pods=2,requests.cpu=600m, limited: pods=2,requests.cpu=1"
        )
        #expect(try await used(test, "q")["pods"] == Quantity(2), "what was refused is not booked")
    }

    @Test("a quota on cpu and memory makes every container say them")
    func mustSpecify() async throws {
        let test = try await server()
        try await quota(test, "q", ["limits.cpu": "2", "requests.memory": "1Gi"])
        let refused = await failure { try await test.create("pods", pod("p")) }
        #expect(refused?.message == "pods \"p\" is forbidden: failed quota: q: must specify limits.cpu for: main; requests.memory for: main")
    }

    @Test("a quota whose use is not known yet lets nothing through")
    func unknown() async throws {
        let test = try await server()
        try await test.create(
            "resourcequotas", ["apiVersion": "v1", "kind": "ResourceQuota", "metadata": ["name": "q"], "spec": ["hard": ["pods": "2"]]])
        try await test.create("pods", pod("before"))
        try await test.patch("resourcequotas", "q", ["status": ["hard": ["pods": "2"]]], subresource: "status")
        let refused = await failure { try await test.create("pods", pod("p")) }
        #expect(refused?.message == "pods \"p\" is forbidden: status unknown for quota: q, resources: pods")
    }

    @Test("of many clients at once exactly as many succeed as the quota allows")
    func concurrent() async throws {
        let test = try await server()
        try await quota(test, "q", ["count/configmaps": "10", "configmaps": "12"])
        let created = await withTaskGroup(of: Bool.self) { group in
            for index in 0..<60 { group.addTask { await failure { try await test.create("configmaps", configMap("c\(index)")) } == nil } }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(created == 10)
        #expect(try await used(test, "q") == ["count/configmaps": Quantity(10), "configmaps": Quantity(10)])
        #expect(try await test.list("configmaps")["items"].elements.count == 10)
    }

    @Test("a dry run is held to the quota and books nothing")
    func dryRun() async throws {
        let test = try await server()
        try await quota(test, "q", ["pods": "1"])
        try await test.create("pods", pod("a"), query: [("dryRun", "All")])
        #expect(try await used(test, "q")["pods"] == Quantity(0))
        try await test.create("pods", pod("a"))
        #expect(await failure { try await test.create("pods", pod("b"), query: [("dryRun", "All")]) }?.code == 403)
    }

    @Test("a service that becomes a NodePort takes its ports, one that is deleted or shrinks takes nothing")
    func services() async throws {
        let test = try await server()
        try await quota(test, "q", ["services": "2", "services.nodeports": "1", "services.loadbalancers": "0"])
        func service(_ name: String, _ type: String, ports: Int) -> Value {
            let list = (0..<ports).map { (index: Int) -> Value in ["name": .string("p\(index)"), "port": .int(Int64(80 + index))] }
            return [
                "apiVersion": "v1", "kind": "Service", "metadata": ["name": .string(name)], "spec": ["type": .string(type), "ports": .array(list)],
            ]
        }
        try await test.create("services", service("a", "ClusterIP", ports: 1))
        #expect(try await used(test, "q")["services.nodeports"] == Quantity(0))
        try await test.patch("services", "a", ["spec": ["type": "NodePort"]])
        #expect(try await used(test, "q")["services.nodeports"] == Quantity(1))
        let refused = await failure { try await test.create("services", service("b", "LoadBalancer", ports: 1)) }
        #expect(
            refused?.message
                == "services \"b\" is forbidden: exceeded quota: q, requested: services.loadbalancers=1,services.nodeports=1, "
                + "used: services.loadbalancers=0,services.nodeports=1, limited: services.loadbalancers=0,services.nodeports=1")
    }

    @Test(
        "scopes choose the pods that count",
        arguments: [
            ("Terminating", #"{"activeDeadlineSeconds":5}"#, true), ("Terminating", "{}", false), ("NotTerminating", "{}", true),
            ("BestEffort", "{}", true), ("NotBestEffort", "{}", false),
            ("BestEffort", #"{"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":"1"}}}]}"#, false),
            ("PriorityClass", #"{"priorityClassName":"high"}"#, true), ("PriorityClass", "{}", false),
            (
                "CrossNamespacePodAffinity",
                #"{"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"z","namespaces":["x"]}]}}}"#, true
            ), ("CrossNamespacePodAffinity", "{}", false),
        ])
    func scopes(scope: String, spec: String, counts: Bool) async throws {
        let quota = QuotaView(try Object(json: #"{"spec":{"hard":{"pods":"1"},"scopes":["\#(scope)"]},"status":{"hard":{"pods":"1"}}}"#))
        var pod: Value = ["spec": ["containers": [["name": "c", "image": "i"]]]]
        for (key, value) in try Value(json: spec).object ?? Members() { pod[path: "spec", key] = value }
        #expect(quota.matches(try Object(pod), .pods, ["pods"]) == counts)
        #expect(!quota.matches(try Object(pod), .services, ["services"]), "only pods have scopes")
    }

    @Test("a selector on priority classes counts the named ones")
    func priorityClasses() throws {
        let quota = QuotaView(
            try Object(
                json: #"{"spec":{"scopeSelector":{"matchExpressions":[{"scopeName":"PriorityClass","operator":"In","values":["high","low"]}]}}}"#))
        func pod(_ name: String) throws -> Object { try Object(json: #"{"spec":{"priorityClassName":"\#(name)"}}"#) }
        #expect(quota.includes(try pod("high"), .pods))
        #expect(!quota.includes(try pod("other"), .pods))
    }

    @Test("claims count by class, extended resources by their requests, custom resources by number")
    func measures() throws {
        let claim = try Object(
            json:
                #"{"spec":{"storageClassName":"gold","resources":{"requests":{"storage":"1500m"}}},"status":{"allocatedResources":{"storage":"3Gi"}}}"#
        )
        let usage = QuotaMeasure.claims.usage(claim, now: .now)
        #expect(usage["requests.storage"]?.description == "3Gi")
        #expect(usage["gold.storageclass.storage.k8s.io/persistentvolumeclaims"] == Quantity(1))
        #expect(QuotaMeasure.claims.matching(["gold.storageclass.storage.k8s.io/requests.storage", "pods"]).count == 1)
        let pod = try Object(
            json: #"{"spec":{"containers":[{"resources":{"requests":{"nvidia.com/gpu":"2","hugepages-2Mi":"4Mi"}}}]},"status":{"phase":"Running"}}"#)
        let asked = QuotaMeasure.pods.usage(pod, now: .now)
        #expect(asked["requests.nvidia.com/gpu"] == Quantity(2))
        #expect(asked["hugepages-2Mi"]?.description == "4Mi" && asked["requests.hugepages-2Mi"]?.description == "4Mi")
        #expect(QuotaMeasure.pods.matching(["requests.nvidia.com/gpu", "limits.nvidia.com/gpu"]) == ["requests.nvidia.com/gpu"])
        let crd = QuotaMeasure(GroupResource(group: "example.com", resource: "widgets"))
        #expect(crd.usage(pod, now: .now) == ["count/widgets.example.com": Quantity(1)])
        let over = try Object(json: #"{"spec":{"containers":[{"resources":{"requests":{"cpu":"1"}}}]},"status":{"phase":"Succeeded"}}"#)
        #expect(QuotaMeasure.pods.usage(over, now: .now) == ["count/pods": Quantity(1)], "a pod that has ended takes no more resources")
    }

    @Test("a pod asks for its containers or the most that starting needs, and its overhead")
    func podResources() throws {
        let pod = try Object(
            json: """
                {"spec":{"initContainers":[{"resources":{"requests":{"cpu":"1"}}},
                {"restartPolicy":"Always","resources":{"requests":{"cpu":"100m"}}},{"resources":{"requests":{"cpu":"2","memory":"1Gi"}}}],
                "containers":[{"resources":{"requests":{"cpu":"500m","memory":"64Mi"},"limits":{"cpu":"1"}}}],"overhead":{"cpu":"10m","memory":"1Mi"}}}
                """)
        let requests = PodResources.requests(pod)
        #expect(requests["cpu"]?.description == "2110m")
        #expect(requests["memory"]?.description == "1025Mi")
        #expect(PodResources.limits(pod) == ["cpu": Quantity(milli: 1010)])
    }

    // MARK: LimitRanger

    private func limits(_ test: TestServer, _ item: Value) async throws {
        try await test.create(
            "limitranges", ["apiVersion": "v1", "kind": "LimitRange", "metadata": ["name": "l"], "spec": ["limits": .array([item])]])
    }

    @Test("containers get a namespace's defaults, and the pod a note of it")
    func defaults() async throws {
        let test = try await server()
        try await limits(test, ["type": "Container", "default": ["cpu": "500m"], "defaultRequest": ["cpu": "100m", "memory": "64Mi"]])
        let made = try await test.create("pods", pod("p"))
        let resources = made["spec"]["containers"].elements.first?["resources"]
        #expect(resources["limits"]["cpu"].string == "500m")
        #expect(resources["requests"].resourceList == ["cpu": Quantity(milli: 100), "memory": try Quantity("64Mi")])
        #expect(
            made.metadata.annotations[LimitRanger.annotation]
                == "LimitRanger plugin set: cpu, memory request for container main; cpu limit for container main")
    }

    @Test("what is below a minimum, above a maximum or out of proportion is refused, all faults together")
    func bounds() async throws {
        let test = try await server()
        try await limits(
            test, ["type": "Container", "min": ["cpu": "100m"], "max": ["memory": "1Gi"], "maxLimitRequestRatio": ["cpu": "2"]])
        let refused = await failure {
            try await test.create("pods", pod("p", requests: ["cpu": "50m", "memory": "1Gi"], limits: ["cpu": "150m", "memory": "2Gi"]))
        }
        #expect(
            refused?.message
                == "pods \"p\" is forbidden: [minimum cpu usage per Container is 100m, but request is 50m, "
                + "maximum memory usage per Container is 1Gi, but limit is 2Gi, "
                + "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000]")
        try await test.create("pods", pod("q", requests: ["cpu": "100m", "memory": "1Gi"], limits: ["cpu": "200m", "memory": "1Gi"]))
    }

    @Test("limits of pods count all containers, limits of claims their request")
    func otherTypes() async throws {
        let test = try await server()
        try await limits(test, ["type": "Pod", "max": ["cpu": "1"]])
        var two = pod("p")
        two[path: "spec", "containers"] = [
            ["name": "a", "image": "i", "resources": ["limits": ["cpu": "600m"]]],
            ["name": "b", "image": "i", "resources": ["limits": ["cpu": "600m"]]],
        ]
        #expect(
            await failure { try await test.create("pods", two) }?.message
                == "pods \"p\" is forbidden: maximum cpu usage per Pod is 1, but limit is 1200m")
        let range = try Object(json: #"{"spec":{"limits":[{"type":"PersistentVolumeClaim","min":{"storage":"1Gi"},"max":{"storage":"5Gi"}}]}}"#)
        let item = try #require(range["spec"]["limits"].elements.first.map(LimitRangeItem.init))
        #expect(
            item.belowMinimum("storage", try Quantity("1Gi"), ["storage": try Quantity("1Mi")], [:])
                == "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi")
        #expect(
            item.requestAboveMaximum("storage", try Quantity("5Gi"), ["storage": try Quantity("6Gi")])
                == "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi")
    }
}
