import KubeAPI
import Synchronization
import Testing

@testable import KubeControllers

@Suite("ReplicaSet: which pods go first")
struct DeletionOrderTests {
    private func order(_ pods: [Object], related: [Object] = [], count: Int? = nil, now: Timestamp = epoch.adding(seconds: 86400)) -> [String] {
        ActivePodsWithRanks.podsToDelete(active: pods, related: related, count: count ?? pods.count - 1, now: now).map(\.metadata.name)
    }

    @Test("sets of usual sizes are looked at after every change, very large ones a few times a second")
    func pause() {
        #expect(ReplicaSetController.pause(replicas: 0) == .zero && ReplicaSetController.pause(replicas: 499) == .zero)
        #expect(ReplicaSetController.pause(replicas: 5000) == .milliseconds(250))
        #expect(ReplicaSetController.pause(replicas: .max) == .milliseconds(500))
    }

    @Test("unassigned before assigned, pending before running, unready before ready")
    func states() throws {
        let pods = [
            try pod("ready"), try pod("unready", ready: false, readySince: nil), try pod("pending", phase: "Pending", ready: false, readySince: nil),
            try pod("unassigned", node: "", phase: "Pending", ready: false, readySince: nil),
            try pod("unknown", phase: "Unknown", ready: false, readySince: nil),
        ]
        #expect(order(pods) == ["unassigned", "pending", "unknown", "unready"])
    }

    @Test("a lower deletion cost goes before a crowded node, a crowded node before a young pod")
    func costAndCrowd() throws {
        let pods = [
            try pod("cheap", node: "n2", cost: "-5"), try pod("crowded", node: "n1"),
            try pod("alone", node: "n2", readySince: epoch.adding(seconds: 86000)),
        ]
        let related = pods + [try pod("other", node: "n1"), try pod("another", node: "n1"), try pod("gone", node: "n2", deleting: true)]
        #expect(order(pods, related: related) == ["cheap", "crowded"])
    }

    @Test("ready for a shorter time goes first by orders of magnitude, then by uid; more restarts before younger")
    func ages() throws {
        let now = epoch.adding(seconds: 86400)
        let young = try pod("young", readySince: now.adding(seconds: -10))
        let old = try pod("old", readySince: now.adding(seconds: -80000))
        #expect(order([old, young], now: now) == ["young"])
        let b = try pod("b", readySince: now.adding(seconds: -79000))
        let a = try pod("a", readySince: now.adding(seconds: -79500))
        #expect(order([b, a], now: now) == ["a"], "about the same age: the uid decides")
        let flaky = try pod("flaky", created: epoch.adding(seconds: -86400), restarts: 4)
        let fresh = try pod("fresh", created: now.adding(seconds: -5))
        #expect(order([fresh, flaky], now: now) == ["flaky"])
        let older = try pod("older", created: epoch.adding(seconds: -86400))
        #expect(order([older, fresh], now: now) == ["fresh"])
    }

    @Test("asked for all, all go")
    func all() throws {
        let pods = [try pod("a"), try pod("b")]
        #expect(order(pods, count: 2).count == 2)
    }
}

@Suite("ReplicaSet: plan and status")
struct ReplicaSetPlanTests {
    private func set(replicas: Int64 = 3, minReadySeconds: Int64 = 0, status: Value = [:]) throws -> Object {
        try object([
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": ["name": "web-1", "namespace": "default", "uid": "rs", "generation": 4],
            "spec": [
                "replicas": .int(replicas), "minReadySeconds": .int(minReadySeconds),
                "template": ["metadata": ["labels": ["app": "web", "hash": "1"]]],
            ], "status": status,
        ])
    }

    @Test("what is missing is created, what is too much is deleted, at most 500 in one go")
    func plan() throws {
        guard case .create(2)? = ReplicaSetPlanner.plan(desired: 3, active: [try pod("a")], related: [], now: epoch) else {
            Issue.record("two pods should be created")
            return
        }
        guard case .create(500)? = ReplicaSetPlanner.plan(desired: 5000, active: [], related: [], now: epoch) else {
            Issue.record("a burst is bounded")
            return
        }
        guard case .delete(let victims)? = ReplicaSetPlanner.plan(desired: 0, active: [try pod("a")], related: [], now: epoch) else {
            Issue.record("the pod should be deleted")
            return
        }
        #expect(victims.count == 1)
        #expect(ReplicaSetPlanner.plan(desired: 1, active: [try pod("a")], related: [], now: epoch) == nil)
    }

    @Test("the status counts labelled, ready, available and terminating pods")
    func status() throws {
        let now = epoch.adding(seconds: 100)
        let set = try set(minReadySeconds: 30)
        let pods = [
            try pod("a", labels: ["app": "web", "hash": "1"]), try pod("b", readySince: now.adding(seconds: -10)),
            try pod("c", ready: false, readySince: nil),
        ]
        let status = ReplicaSetPlanner.status(of: set, active: pods, terminating: 2, failure: nil, now: now)
        #expect(status.replicas == 3)
        #expect(status.fullyLabeledReplicas == 1)
        #expect(status.readyReplicas == 2)
        #expect(status.availableReplicas == 1)
        #expect(status.terminatingReplicas == 2)
        #expect(status.observedGeneration == 4)
        #expect(ReplicaSetPlanner.nextAvailability(of: set, active: pods, now: now) == 20)
    }

    @Test("a failure to create becomes a condition and goes away again")
    func failure() throws {
        let failing = ReplicaSetPlanner.status(
            of: try set(), active: [], terminating: 0, failure: .init(creating: true, message: "quota"), now: epoch)
        #expect(failing.conditions.first?.reason == "FailedCreate")
        let healed = ReplicaSetPlanner.status(of: try set(status: failing.value), active: [], terminating: 0, failure: nil, now: epoch)
        #expect(healed.conditions.isEmpty)
    }

    @Test("the status round-trips through JSON, so that nothing is written twice")
    func roundTrip() throws {
        let status = ReplicaSetPlanner.status(of: try set(), active: [try pod("a")], terminating: 0, failure: nil, now: epoch)
        let again = ReplicaSetPlanner.status(of: try set(status: status.value), active: [try pod("a")], terminating: 0, failure: nil, now: epoch)
        #expect(status == again)
        #expect(ReplicaSetStatus(try set(status: status.value)["status"]) == status)
    }

    @Test("a pod of a template has its labels, an owner and a prefix for a name")
    func podOfTemplate() throws {
        let template = try object(["metadata": ["labels": ["app": "web"], "annotations": ["a": "b"]], "spec": ["containers": []]])
        let owner = OwnerReference(apiVersion: "apps/v1", kind: "ReplicaSet", name: "web-1", uid: "rs")
        let pod = PodFactory.pod(template: template.root, namespace: "default", prefix: PodFactory.prefix(of: "web-1"), owner: owner)
        #expect(pod[path: "metadata", "generateName"]?.string == "web-1-")
        #expect(pod[path: "metadata", "labels"] == ["app": "web"])
        #expect(pod[path: "metadata", "ownerReferences"]?.array?.first?["controller"]?.bool == true)
    }
}

@Suite("Expectations and slow start")
struct ExpectationsTests {
    @Test("the cache is not trusted until all that was asked for was seen")
    func expectations() {
        let expectations = Expectations()
        #expect(expectations.satisfied("a", now: epoch))
        expectations.expectCreations("a", 2, now: epoch)
        expectations.creationObserved("a")
        #expect(!expectations.satisfied("a", now: epoch))
        expectations.creationObserved("a")
        #expect(expectations.satisfied("a", now: epoch))
        expectations.expectDeletions("a", ["x", "y"], now: epoch)
        expectations.deletionObserved("a", "x")
        expectations.deletionObserved("a", "x")
        #expect(!expectations.satisfied("a", now: epoch), "one deletion seen twice is one deletion")
        #expect(expectations.satisfied("a", now: epoch.adding(seconds: 301)), "after five minutes the cache counts again")
    }

    @Test("slow start doubles while it succeeds and stops at the first batch that fails")
    func slowStart() async {
        struct Refused: Error {}
        let calls = Mutex(0)
        let (made, none) = await slowStartBatch(20) { calls.withLock { $0 += 1 } }
        #expect(made == 20)
        #expect(none == nil)
        let failing = Mutex(0)
        let (succeeded, error) = await slowStartBatch(1000) {
            failing.withLock { $0 += 1 }
            throw Refused()
        }
        #expect(succeeded == 0)
        #expect(error is Refused)
        #expect(failing.withLock { $0 } == 1)
    }
}
