import KubeAPI
import Testing

@testable import KubeScheduler

/// What one decision costs on a large cluster, without API and binding. The figure is of the build that runs: a debug build is many times slower.
@Suite("Scheduler: throughput", .serialized)
struct ThroughputTests {
    private static func bigCache(_ count: Int) throws -> SchedulerCache {
        var all = SchedulerCache()
        for index in 0..<count {
            all.setNode(try node("node-\(index)", cpu: "4", memory: "32Gi", labels: ["topology.kubernetes.io/zone": "zone-\(index % 3)"]))
        }
        return all
    }

    private static func run(_ what: String, _ all: inout SchedulerCache, _ pods: [PodInfo]) -> Int {
        var cycle = SchedulingCycle()
        var placed = 0
        let time = ContinuousClock().measure {
            for pod in pods {
                guard case .node(let name) = cycle.schedule(CycleInput(pod: pod, workloadSelector: nil), &all) else { continue }
                all.assume(pod, on: name)
                placed += 1
            }
        }
        let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
        print("scheduler, \(what): \(Int(Double(pods.count) / seconds)) pods/s on \(all.nodeCount) nodes")
        return placed
    }

    @Test("plain pods are spread over a thousand nodes, none of which takes more than its share")
    func basic() throws {
        var all = try Self.bigCache(1000)
        let pods = try (0..<300).map { try pod("p\($0)", cpu: "100m", memory: "500Mi") }
        #expect(Self.run("basic", &all, pods) == 300)
        #expect(all.nodes.allSatisfy { $0.podCount <= 2 })
    }

    @Test("pods that keep apart from each other get a node each")
    func antiAffinity() throws {
        var all = try Self.bigCache(1000)
        let term: Value = ["labelSelector": ["matchLabels": ["color": "green"]], "topologyKey": "kubernetes.io/hostname"]
        let pods = try (0..<200).map { number in
            try pod("p\(number)", cpu: "100m", labels: ["color": "green"]) {
                $0[path: "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"] = [term]
            }
        }
        #expect(Self.run("anti-affinity", &all, pods) == 200)
        #expect(all.nodes.allSatisfy { $0.podCount <= 1 })
    }

    @Test("pods spread over zones differ by no more than their skew")
    func spread() throws {
        var all = try Self.bigCache(1000)
        let constraint: Value = [
            "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": ["matchLabels": ["app": "web"]],
        ]
        let pods = try (0..<100).map { try pod("p\($0)", cpu: "100m", labels: ["app": "web"]) { $0["topologySpreadConstraints"] = [constraint] } }
        #expect(Self.run("spreading", &all, pods) == 100)
        var zones: [String: Int64] = [:]
        for node in all.nodes { zones[node.labels["topology.kubernetes.io/zone"] ?? "", default: 0] += node.podCount }
        #expect((zones.values.max() ?? 0) - (zones.values.min() ?? 0) <= 1)
    }
}
