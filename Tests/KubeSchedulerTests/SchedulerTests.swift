import KubeAPI
import KubeClient
import Testing

@testable import KubeScheduler

@Suite("Scheduler: what it writes", .timeLimit(.minutes(1)))
struct SchedulerTests {
    /// Runs a scheduler over a cluster until `isEnough` of what it writes.
    private func run(_ cluster: StillCluster, until isEnough: @escaping @Sendable (StillCluster.Write) -> Bool) async throws -> [StillCluster.Write] {
        let scheduler = Scheduler(client: KubeClient(transport: cluster))
        return try await withThrowingTaskGroup(of: [StillCluster.Write].self) { group in
            group.addTask {
                await scheduler.run()
                return []
            }
            group.addTask {
                var seen: [StillCluster.Write] = []
                for await write in cluster.writes {
                    seen.append(write)
                    if isEnough(write) { break }
                }
                return seen
            }
            defer { group.cancelAll() }
            return try await group.next() ?? []
        }
    }

    private static func promised(_ pod: Object) throws -> Object {
        var pod = pod.value
        pod[path: "status", "nominatedNodeName"] = "a"
        return try Object(pod)
    }

    @Test("a pod that was promised a node loses the promise when no node could make room for it")
    func promiseWithdrawn() async throws {
        let pod = try Self.promised(try podObject("p", cpu: "9", priority: 5))
        let writes = try await run(StillCluster(["nodes": [try node("a")], "pods": [pod]])) { $0.what == "pods/status" }
        let status = try #require(writes.last?.body["status"])
        #expect(status["nominatedNodeName"] == .null)
        #expect(status["conditions"]?.array?.first?["reason"] == "Unschedulable")
    }

    @Test("a pod that may not make room keeps its promise")
    func promiseKept() async throws {
        let pod = try Self.promised(try podObject("p", cpu: "9", priority: 5) { $0["preemptionPolicy"] = "Never" })
        let writes = try await run(StillCluster(["nodes": [try node("a")], "pods": [pod]])) { $0.what == "pods/status" }
        #expect(writes.last?.body[path: "status", "nominatedNodeName"] == nil)
    }

    @Test("when the node of a place that keeps pods from being spread is gone, they are tried again")
    func nodeGone() async throws {
        let labels = ["app": "web"]
        let waiting = try podObject("p", cpu: "1", labels: labels) {
            $0["topologySpreadConstraints"] = [
                ["maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": ["matchLabels": Value(labels)]]
            ]
        }
        let last = try node("b", cpu: "0", labels: ["zone": "2"])
        let cluster = StillCluster([
            "nodes": [try node("a", labels: ["zone": "1"]), last], "pods": [try podObject("one", node: "a", labels: labels), waiting],
        ])
        let writes = try await run(cluster) { write in
            // It was looked at in vain: now the empty place goes.
            if write.what == "pods/status" { cluster.happen(.deleted, "nodes", last) }
            return write.what == "pods/binding"
        }
        #expect(writes.contains { $0.what == "pods/status" })
        #expect(writes.last?.body[path: "target", "name"] == "a")
    }

    @Test("a node that is gone concerns those whom spreading rejected, and nobody else")
    func concerns() {
        #expect(ClusterEvent.nodeRemoved.concerns(["PodTopologySpread", "NodeResourcesFit"]) && ClusterEvent.nodeRemoved.concerns([]))
        #expect(!ClusterEvent.nodeRemoved.concerns(["NodeResourcesFit"]))
    }
}

@Suite("Scheduler: amounts that no node has")
struct AmountTests {
    @Test("a pod of very many containers that ask for very much fits nowhere, and breaks no node's sums")
    func manyContainers() throws {
        let huge = try pod("huge") { spec in
            spec["containers"] = .array(
                (0..<8192).map {
                    [
                        "name": .string("c\($0)"),
                        "resources": ["requests": ["cpu": "1E", "memory": "1E", "ephemeral-storage": "1E", "a.io/gpu": "1E"]],
                    ]
                })
        }
        #expect(
            huge.requests.memory == Resource.limit && huge.requests.milliCPU == Resource.limit && huge.requests.scalar["a.io/gpu"] == Resource.limit)
        var all = cache([try node("a")])
        let before = all.node("a")?.requested
        #expect(message(schedule(huge, all))?.contains("Insufficient memory") ?? false)
        // Whoever binds it by hand, and how many of them.
        for number in 0..<64 {
            all.assume(
                try pod("p\(number)") { spec in
                    spec["containers"] = .array((0..<16).map { ["name": .string("c\($0)"), "resources": ["requests": ["memory": "1E"]]] })
                }, on: "a")
        }
        #expect(all.node("a")?.requested.memory == 64 * Resource.limit)
        #expect(message(schedule(try pod("small", memory: "1Mi"), all)) == "0/1 nodes are available: 1 Insufficient memory.")
        for number in 0..<64 { all.forget("uid-p\(number)") }
        #expect(all.node("a")?.requested == before)
        #expect(schedule(try pod("small", memory: "1Mi"), all) == .node("a"))
    }
}
