import KubeAPI
import KubeClient
import Testing

@testable import KubeControllers

@Suite("Disruption: the budget of evictions")
struct DisruptionTests {
    private func budget(_ spec: Value, status: Value = [:], generation: Int64 = 3) throws -> Object {
        try object([
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": ["name": "b", "namespace": "default", "uid": "u", "generation": .int(generation)], "spec": spec, "status": status,
        ])
    }

    @Test("what should be there: of a number the pods there are, of parts the scale of their controllers")
    func expected() throws {
        func reckon(_ spec: Value, pods: Int, scale: Int64) throws -> [Int64]? {
            DisruptionPlan.expected(DisruptionPlan.wish(try budget(spec)), pods: pods, scale: scale).map { [$0.expected, $0.desired] }
        }
        #expect(try reckon(["minAvailable": 2], pods: 3, scale: 9) == [3, 2])
        #expect(try reckon(["minAvailable": "50%"], pods: 3, scale: 5) == [5, 3], "half of five, rounded up")
        #expect(try reckon(["maxUnavailable": 1], pods: 3, scale: 5) == [5, 4])
        #expect(try reckon(["maxUnavailable": "30%"], pods: 3, scale: 5) == [5, 3])
        #expect(try reckon(["maxUnavailable": 9], pods: 3, scale: 5) == [5, 0])
        #expect(try reckon(["minAvailable": "x"], pods: 3, scale: 5) == nil)
        #expect(try reckon([:], pods: 3, scale: 5) == [0, 0])
    }

    @Test("controllers that want absurd numbers of pods do not trap: of each there are 32 bits")
    func absurdScales() async throws {
        let sets = Indexer()
        var pods: [Object] = []
        for (name, replicas) in [("a", Int64.max), ("b", Int64.min), ("c", Int64.max)] {
            sets.set(
                try object([
                    "apiVersion": "apps/v1", "kind": "StatefulSet",
                    "metadata": ["name": .string(name), "namespace": "default", "uid": .string(name)], "spec": ["replicas": .int(replicas)],
                ]))
            pods.append(try pod("\(name)-0", owner: OwnerReference(apiVersion: "apps/v1", kind: "StatefulSet", name: name, uid: name)))
        }
        let scale = ExpectedScale(
            client: KubeClient(transport: PlayedServer { _ in throw StatusError.badRequest("nobody is asked") }), replicaSets: Indexer(),
            deployments: Indexer(), statefulSets: sets, replicationControllers: Indexer(), resources: { .shared })
        let (sum, hasUnmanaged) = try await scale.sum(of: pods)
        #expect(sum == 2 * Int64(Int32.max) && !hasUnmanaged)
        for spec: Value in [["maxUnavailable": "50%"], ["minAvailable": "50%"], ["maxUnavailable": .int(Int64(Int32.max))]] {
            #expect(DisruptionPlan.expected(DisruptionPlan.wish(try budget(spec)), pods: 3, scale: sum) != nil)
        }
    }

    @Test("pods that are not ready, going or granted to go are not healthy; a grant runs out after two minutes")
    func healthy() throws {
        let pods = [
            try pod("a"), try pod("b"), try pod("unready", ready: false), try pod("going", deleting: true), try pod("granted"), try pod("stuck"),
        ]
        let now = epoch.adding(seconds: 200)
        let granted: Value = [
            "disruptedPods": [
                "granted": .string(now.adding(seconds: -20).rfc3339), "stuck": .string(epoch.rfc3339), "gone": .string(now.rfc3339),
            ]
        ]
        let (status, recheck) = DisruptionPlan.status(
            of: try budget([:], status: granted), pods: pods, expected: 6, desired: 2, now: now)
        #expect(status.currentHealthy == 3, "a, b, and the one that was not deleted in time")
        #expect(status.disruptionsAllowed == 1)
        #expect(status.disruptedPods.keys.sorted() == ["granted"])
        #expect(recheck == 100)
        #expect(status.observedGeneration == 3)
    }

    @Test("a budget without pods allows nothing, so that its first pods are safe")
    func none() throws {
        let (status, _) = DisruptionPlan.status(of: try budget([:]), pods: [], expected: 0, desired: 0, now: epoch)
        #expect(status.disruptionsAllowed == 0)
    }

    @Test("the condition follows the budget, keeps its time, and nothing is written twice")
    func conditions() throws {
        var status = DisruptionStatus()
        status.disruptionsAllowed = 1
        status.observedGeneration = 3
        let first = try #require(DisruptionPlan.plan(try budget([:]), status, now: epoch))
        let condition = first[path: "status", "conditions"]?.array?.first
        #expect(condition?["type"] == "DisruptionAllowed" && condition?["status"] == "True" && condition?["reason"] == "SufficientPods")
        #expect(condition?["message"] == "", "metav1.Condition always has a message")
        let stored = try budget([:], status: first["status"] ?? .null)
        #expect(DisruptionPlan.plan(stored, status, now: epoch.adding(seconds: 5)) == nil)
        status.disruptionsAllowed = 0
        let second = try #require(DisruptionPlan.plan(stored, status, now: epoch.adding(seconds: 5)))
        let changed = second[path: "status", "conditions"]?.array?.first
        #expect(changed?["reason"] == "InsufficientPods" && changed?["lastTransitionTime"] == .string(epoch.adding(seconds: 5).rfc3339))
        let failed = try #require(DisruptionPlan.failSafe(stored, message: "found no controllers", now: epoch))
        #expect(failed[path: "status", "disruptionsAllowed"] == 0)
        #expect(failed[path: "status", "conditions"]?.array?.first?["reason"] == "SyncFailed")
    }

    @Test("a pod that was to be disturbed and lives on is cleared after two minutes, but not on the kubelet's word or when it has ended")
    func stale() throws {
        func marked(_ reason: String, phase: String = "Running") throws -> Object {
            var value = try pod("p", phase: phase).value
            value[path: "status", "conditions"] = [
                ["type": "DisruptionTarget", "status": "True", "reason": .string(reason), "lastTransitionTime": .string(epoch.rfc3339)]
            ]
            return try object(value)
        }
        let now = epoch.adding(seconds: 30)
        #expect(DisruptionController.staleAfter(try marked("EvictionByEvictionAPI"), now: now) == 90)
        #expect(DisruptionController.staleAfter(try marked("TerminationByKubelet"), now: now) == nil)
        #expect(DisruptionController.staleAfter(try marked("EvictionByEvictionAPI", phase: "Failed"), now: now) == nil)
        #expect(DisruptionController.staleAfter(try pod("p"), now: now) == nil)
    }
}

@Suite("ResourceQuota: the status")
struct QuotaStatusTests {
    private func quota(_ hard: [String: String], scopes: [String] = [], status: Value? = nil) throws -> QuotaView {
        var value: Value = ["metadata": ["name": "q", "namespace": "default"], "spec": ["hard": Value(hard)]]
        if !scopes.isEmpty { value[path: "spec", "scopes"] = Value(scopes) }
        if let status { value["status"] = status }
        return QuotaView(try object(value))
    }

    private func usage(_ quota: QuotaView, pods: [Object] = [], counts: [GroupResource: Int] = [:]) -> ResourceList {
        QuotaStatusPlan.usage(
            of: quota, objects: { if case .pods = $0 { pods } else { [] } }, count: { counts[$0] },
            counted: QuotaStatusPlan.counted(by: quota, served: .shared), now: epoch)
    }

    @Test("objects are counted by their resource's name, known or not yet")
    func counted() throws {
        let quota = try quota(["count/deployments.apps": "5", "secrets": "3", "count/widgets.example.com": "1", "pods": "1"])
        let deployments = GroupResource(group: "apps", resource: "deployments")
        let secrets = GroupResource(group: "", resource: "secrets")
        #expect(QuotaStatusPlan.counted(by: quota, served: .shared) == [deployments, secrets], "widgets are not served")
        #expect(
            usage(quota, counts: [deployments: 2]) == ["count/deployments.apps": Quantity(2), "pods": Quantity(0)], "secrets are not counted yet")
    }

    @Test("pods count while they live, and only within the scopes")
    func pods() throws {
        let pods = [try pod("a"), try pod("b"), try pod("done", phase: "Succeeded")]
        #expect(usage(try quota(["pods": "5", "count/pods": "5"]), pods: pods) == ["pods": Quantity(2), "count/pods": Quantity(3)])
        #expect(usage(try quota(["pods": "5"], scopes: ["Terminating"]), pods: pods) == ["pods": Quantity(0)])
        #expect(usage(try quota(["pods": "5"], scopes: ["BestEffort"]), pods: pods) == ["pods": Quantity(2)])
    }

    @Test("a new quota gets its limits and use; one that is right is left alone; what is no longer limited goes")
    func plan() throws {
        let fresh = try #require(QuotaStatusPlan.plan(try quota(["pods": "5"]), usage: ["pods": Quantity(2)]))
        #expect(fresh["status"] == ["hard": ["pods": "5"], "used": ["pods": "2"]])
        let stored = try quota(["pods": "5"], status: fresh["status"])
        #expect(QuotaStatusPlan.plan(stored, usage: ["pods": Quantity(2)]) == nil)
        let narrowed = try quota(["secrets": "1"], status: fresh["status"])
        #expect(QuotaStatusPlan.plan(narrowed, usage: ["secrets": Quantity(0)])?["status"] == ["hard": ["secrets": "1"], "used": ["secrets": "0"]])
    }

    @Test("a pod that ends and a service that changes its type give something back")
    func replenishing() throws {
        #expect(QuotaStatusPlan.replenishes(try pod("a"), try pod("a", phase: "Succeeded"), .pods, now: epoch))
        #expect(!QuotaStatusPlan.replenishes(try pod("a"), try pod("a", ready: false), .pods, now: epoch))
        func service(_ type: String) throws -> Object { try object(["spec": ["type": .string(type)]]) }
        #expect(QuotaStatusPlan.replenishes(try service("NodePort"), try service("ClusterIP"), .services, now: epoch))
        #expect(!QuotaStatusPlan.replenishes(try service("NodePort"), try service("NodePort"), .services, now: epoch))
    }
}
