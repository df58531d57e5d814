import KubeAPI
import Testing

@testable import KubeControllers

@Suite("Node life cycle: signs of life")
struct NodeHealthTests {
    private func observe(_ node: Object, _ lease: Object?, _ health: NodeHealth?, _ now: Timestamp) -> (health: NodeHealth, verdict: NodeVerdict) {
        NodeHealthMonitor.observe(node: node, lease: lease, health: health, grace: 40, startupGrace: 60, now: now)
    }

    @Test("a node whose lease is renewed stays ready although its status is not posted")
    func lease() throws {
        let node = try node("n1")
        var (health, verdict) = observe(node, try KubeControllersTests.lease("n1", renewed: epoch), nil, epoch)
        for second in stride(from: Int64(10), through: 200, by: 10) {
            let now = epoch.adding(seconds: second)
            (health, verdict) = observe(node, try KubeControllersTests.lease("n1", renewed: now), health, now)
            #expect(verdict.conditions == nil)
            #expect(verdict.ready == "True")
        }
    }

    @Test("a silent node turns Unknown after its grace period, once, and its pods are no longer ready")
    func silence() throws {
        let node = try node("n1")
        let lease = try KubeControllersTests.lease("n1", renewed: epoch)
        let (first, early) = observe(node, lease, nil, epoch)
        #expect(abs((early.checkAfter ?? 0) - 40) < 0.1)
        let (still, patient) = observe(node, lease, first, epoch.adding(seconds: 39))
        #expect(patient.conditions == nil)
        let (gone, verdict) = observe(node, lease, still, epoch.adding(seconds: 41))
        #expect(verdict.ready == "Unknown")
        #expect(verdict.becameNotReady)
        let ready = try #require(verdict.conditions?.first { $0["type"]?.string == "Ready" })
        #expect(ready["reason"]?.string == "NodeStatusUnknown")
        #expect(ready["message"]?.string == "Kubelet stopped posting node status.")
        #expect(ready["lastHeartbeatTime"]?.string == epoch.rfc3339)
        let disk = try #require(verdict.conditions?.first { $0["type"]?.string == "DiskPressure" })
        #expect(disk["reason"]?.string == "NodeStatusNeverUpdated")
        // Written and seen again: nothing more to write.
        var written = node.value
        written[path: "status", "conditions"] = .array(verdict.conditions ?? [])
        let (_, again) = observe(try object(written), lease, gone, epoch.adding(seconds: 50))
        #expect(again.conditions == nil)
        #expect(again.ready == "Unknown")
        #expect(!again.becameNotReady)
    }

    @Test("a node that never reports has the longer grace of a start, from its creation")
    func neverReported() throws {
        let node = try node("n1", ready: nil)
        let (health, early) = observe(node, nil, nil, epoch.adding(seconds: 50))
        #expect(early.conditions == nil)
        let (_, late) = observe(node, nil, health, epoch.adding(seconds: 61))
        #expect(late.conditions?.allSatisfy { $0["reason"]?.string == "NodeStatusNeverUpdated" } == true)
        #expect(late.conditions?.count == 4)
    }

    @Test("a kubelet that says itself that its node is not ready keeps its pods as they are")
    func saysNotReady() throws {
        let (first, _) = observe(try node("n1"), nil, nil, epoch)
        let (second, verdict) = observe(try node("n1", ready: "False", heartbeat: epoch.adding(seconds: 10)), nil, first, epoch.adding(seconds: 10))
        #expect(verdict.ready == "False")
        #expect(!verdict.becameNotReady)
        let (_, silent) = observe(
            try node("n1", ready: "False", heartbeat: epoch.adding(seconds: 10)), nil, second, epoch.adding(seconds: 100))
        #expect(silent.ready == "Unknown" && silent.conditions != nil)
        #expect(!silent.becameNotReady, "it was not ready before")
    }

    @Test("a new heartbeat brings a node back")
    func recovery() throws {
        let (first, _) = observe(try node("n1"), nil, nil, epoch)
        let (gone, _) = observe(try node("n1"), nil, first, epoch.adding(seconds: 100))
        let now = epoch.adding(seconds: 120)
        let (_, verdict) = observe(try node("n1", heartbeat: now), nil, gone, now)
        #expect(verdict.ready == "True")
        #expect(verdict.conditions == nil)
    }
}

@Suite("Node life cycle: taints")
struct NodeTaintTests {
    private func keys(_ taints: [Value]?) -> [String] {
        (taints ?? []).map { "\($0["key"]?.string ?? "")=\($0["effect"]?.string ?? "")" }.sorted()
    }

    @Test("not ready and unreachable are tainted against scheduling and for eviction, others' taints stay")
    func taints() throws {
        let other: Value = ["key": "mine", "effect": "NoSchedule"]
        let notReady = NodeTaints.plan(
            node: try node("n", ready: "False", taints: [other]), ready: "False", mayEvict: true, forbidEvict: false, now: epoch)
        #expect(keys(notReady) == ["mine=NoSchedule", "node.kubernetes.io/not-ready=NoExecute", "node.kubernetes.io/not-ready=NoSchedule"])
        let unreachable = NodeTaints.plan(
            node: try node("n", ready: "Unknown", taints: notReady ?? []), ready: "Unknown", mayEvict: false, forbidEvict: false, now: epoch)
        #expect(keys(unreachable) == ["mine=NoSchedule", "node.kubernetes.io/unreachable=NoExecute", "node.kubernetes.io/unreachable=NoSchedule"])
        let healed = NodeTaints.plan(node: try node("n", taints: unreachable ?? []), ready: "True", mayEvict: false, forbidEvict: false, now: epoch)
        #expect(keys(healed) == ["mine=NoSchedule"])
        #expect(NodeTaints.plan(node: try node("n", taints: [other]), ready: "True", mayEvict: true, forbidEvict: false, now: epoch) == nil)
    }

    @Test("eviction waits for its turn, and is taken back when the whole cluster is silent")
    func eviction() throws {
        let waiting = NodeTaints.plan(node: try node("n", ready: "Unknown"), ready: "Unknown", mayEvict: false, forbidEvict: false, now: epoch)
        #expect(keys(waiting) == ["node.kubernetes.io/unreachable=NoSchedule"])
        let tainted = NodeTaints.plan(node: try node("n", ready: "Unknown"), ready: "Unknown", mayEvict: true, forbidEvict: false, now: epoch)
        let cut = NodeTaints.plan(
            node: try node("n", ready: "Unknown", taints: tainted ?? []), ready: "Unknown", mayEvict: true, forbidEvict: true, now: epoch)
        #expect(keys(cut) == ["node.kubernetes.io/unreachable=NoSchedule"])
    }

    @Test("a node that has not reported takes no pods and is not evicted")
    func notReported() throws {
        let (_, verdict) = NodeHealthMonitor.observe(
            node: try node("n", ready: nil), lease: nil, health: nil, grace: 40, startupGrace: 60, now: epoch.adding(seconds: 1))
        #expect(verdict.ready.isEmpty)
        let taints = NodeTaints.plan(node: try node("n", ready: nil), ready: verdict.ready, mayEvict: true, forbidEvict: false, now: epoch)
        #expect(keys(taints) == ["node.kubernetes.io/not-ready=NoSchedule"])
    }

    @Test("a cordoned node is tainted")
    func cordon() throws {
        let taints = NodeTaints.plan(node: try node("n", unschedulable: true), ready: "True", mayEvict: false, forbidEvict: false, now: epoch)
        #expect(keys(taints) == ["node.kubernetes.io/unschedulable=NoSchedule"])
    }
}

@Suite("Node life cycle: zones")
struct ZoneDisruptionTests {
    private func zones() -> ZoneDisruption {
        ZoneDisruption(evictionRate: 0.1, secondaryRate: 0.01, largeClusterThreshold: 50, unhealthyThreshold: 0.55)
    }

    @Test("one node in ten seconds is evicted from a zone")
    func rate() {
        var zones = zones()
        for index in 0..<10 { zones.observe(node: "n\(index)", zone: "a", ready: index > 1) }
        #expect(zones.acquire(node: "n0", now: epoch) == 0)
        #expect(zones.acquire(node: "n1", now: epoch.adding(seconds: 4)) == 6)
        #expect(zones.acquire(node: "n1", now: epoch.adding(seconds: 10)) == 0)
    }

    @Test("a small zone with most nodes silent is not evicted from; when all are silent, none is")
    func disruption() {
        var zones = zones()
        for index in 0..<5 { zones.observe(node: "n\(index)", zone: "a", ready: index >= 3) }
        #expect(zones.state(of: "a") == .partialDisruption)
        #expect(zones.acquire(node: "n0", now: epoch) == nil)
        for index in 3..<5 { zones.observe(node: "n\(index)", zone: "a", ready: false) }
        #expect(zones.allFullyDisrupted)
        #expect(zones.acquire(node: "n0", now: epoch) == nil)
        zones.observe(node: "m", zone: "b", ready: true)
        #expect(!zones.allFullyDisrupted)
        #expect(zones.acquire(node: "n0", now: epoch) == 0, "another zone lives: this one is evicted")
        zones.remove(node: "m")
        #expect(zones.allFullyDisrupted)
    }

    @Test("nodes excluded from disruption checks do not speak for their zone, and are evicted at its pace")
    func excluded() {
        var zones = zones()
        for index in 0..<5 { zones.observe(node: "n\(index)", zone: "a", ready: index >= 3, counts: index > 0) }
        #expect(zones.state(of: "a") == .normal, "two of four, not three of five")
        #expect(zones.acquire(node: "n0", now: epoch) == 0)
        #expect(zones.acquire(node: "n1", now: epoch.adding(seconds: 4)) == 6)
        for index in 3..<5 { zones.observe(node: "n\(index)", zone: "a", ready: false) }
        zones.observe(node: "x", zone: "b", ready: true, counts: false)
        #expect(zones.allFullyDisrupted, "a zone of excluded nodes alone is none")
    }

    @Test("a zone that its last node has left is none")
    func moved() {
        var zones = zones()
        zones.observe(node: "n0", zone: "a", ready: true)
        zones.observe(node: "n1", zone: "b", ready: false)
        #expect(!zones.allFullyDisrupted)
        zones.observe(node: "n0", zone: "b", ready: false)
        #expect(zones.allFullyDisrupted)
    }
}

@Suite("Taint eviction")
struct TaintEvictionTests {
    private func time(_ tolerations: [Value], added: Timestamp = epoch, effect: String = "NoExecute") throws -> EvictionTime {
        let taint = try object(["key": "node.kubernetes.io/unreachable", "effect": .string(effect), "timeAdded": .string(added.rfc3339)])
        return EvictionTime.of(pod: try pod("a", tolerations: tolerations), taints: [Taint(view: taint.root)], now: epoch.adding(seconds: 5))
    }

    @Test("without a toleration at once, with seconds after them from when the taint was added, else never")
    func times() throws {
        #expect(try time([]) == .at(epoch.adding(seconds: 5)))
        #expect(
            try time([["key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300]])
                == .at(epoch.adding(seconds: 300)))
        #expect(try time([["operator": "Exists"]]) == .never)
        #expect(try time([], effect: "NoSchedule") == .never)
        #expect(
            try time([["operator": "Exists"], ["key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 10]])
                == .at(epoch.adding(seconds: 10)))
        #expect(try time([["operator": "Exists", "tolerationSeconds": -1]]) == .at(epoch))
    }

    @Test("the seconds of a taint without a time count from when the pod was first told")
    func since() throws {
        let taint = Taint(view: try object(["key": "own", "effect": "NoExecute"]).root)
        let pod = try pod("a", tolerations: [["operator": "Exists", "tolerationSeconds": 10]])
        let now = epoch.adding(seconds: 5)
        #expect(EvictionTime.of(pod: pod, taints: [taint], now: now) == .at(epoch.adding(seconds: 15)))
        #expect(EvictionTime.of(pod: pod, taints: [taint], now: now, since: epoch) == .at(epoch.adding(seconds: 10)))
    }
}

@Suite("Pod garbage")
struct PodGarbageTests {
    @Test("orphans of nodes that are gone and pods deleted before they were scheduled")
    func kinds() throws {
        let there = try node("n1")
        #expect(PodGarbage.of(try pod("a"), node: { _ in there }) == nil)
        #expect(PodGarbage.of(try pod("a"), node: { _ in nil }) == .orphaned)
        #expect(PodGarbage.of(try pod("a", node: "", deleting: true), node: { _ in nil }) == .unscheduledTerminating)
        #expect(PodGarbage.of(try pod("a", node: ""), node: { _ in nil }) == nil)
    }

    @Test("pods being deleted go at once from a node that is not ready and tainted as out of service")
    func outOfService() throws {
        let taint: Value = ["key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"]
        func garbage(_ pod: Object, ready: String?, taints: [Value]) throws -> PodGarbage? {
            let node = try node("n1", ready: ready, taints: taints)
            return PodGarbage.of(pod, node: { _ in node })
        }
        let going = try pod("a", deleting: true)
        #expect(try garbage(going, ready: "Unknown", taints: [taint]) == .outOfServiceTerminating)
        #expect(try garbage(going, ready: nil, taints: [taint]) == .outOfServiceTerminating)
        #expect(try garbage(going, ready: "True", taints: [taint]) == nil)
        #expect(try garbage(going, ready: "Unknown", taints: []) == nil)
        #expect(try garbage(try pod("b"), ready: "Unknown", taints: [taint]) == nil)
    }

    @Test("of finished pods, the oldest go beyond the threshold")
    func surplus() throws {
        let pods = try (0..<5).map { try pod("p\($0)", phase: "Succeeded", created: epoch.adding(seconds: Int64($0))) } + [try pod("running")]
        #expect(PodGarbage.surplus(of: pods, threshold: 3).map(\.metadata.name) == ["p0", "p1"])
        #expect(PodGarbage.surplus(of: pods, threshold: 5).isEmpty)
    }
}
