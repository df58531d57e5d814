import KubeAPI
import Testing

@testable import KubeControllers

private func statefulSet(
    replicas: Int64 = 3, parallel: Bool = false, partition: Int64? = nil, onDelete: Bool = false, start: Int64 = 0, status: Value = [:],
    maxUnavailable: Value? = nil
) throws -> StatefulSetState {
    var spec: Value = [
        "replicas": .int(replicas), "serviceName": "db", "selector": ["matchLabels": ["app": "db"]],
        "podManagementPolicy": parallel ? "Parallel" : "OrderedReady",
        "template": ["metadata": ["labels": ["app": "db"]], "spec": ["containers": [["name": "c", "image": "db:2"]]]],
        "volumeClaimTemplates": [["metadata": ["name": "data"], "spec": ["resources": ["requests": ["storage": "1Gi"]]]]],
        "updateStrategy": onDelete ? ["type": "OnDelete"] : ["type": "RollingUpdate", "rollingUpdate": ["partition": .int(partition ?? 0)]],
    ]
    if start > 0 { spec[path: "ordinals", "start"] = .int(start) }
    if let maxUnavailable { spec[path: "updateStrategy", "rollingUpdate", "maxUnavailable"] = maxUnavailable }
    return StatefulSetState(
        try object([
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": ["name": "db", "namespace": "default", "uid": "ss", "generation": 2],
            "spec": spec, "status": status,
        ]))
}

private func member(_ ordinal: Int, revision: String = "db-new", ready: Bool = true, phase: String = "Running", deleting: Bool = false) throws
    -> Object
{
    try pod(
        "db-\(ordinal)", phase: phase, ready: ready,
        labels: [
            "app": "db", ControllerHistory.hashLabel: revision, "statefulset.kubernetes.io/pod-name": "db-\(ordinal)",
            "apps.kubernetes.io/pod-index": "\(ordinal)",
        ], deleting: deleting)
}

private func plan(_ set: StatefulSetState, _ pods: [Object], current: String = "db-new") -> StatefulSetPlan {
    StatefulSetPlanner(
        set: set, pods: pods, currentRevision: current, updateRevision: "db-new", currentTemplate: ["spec": ["containers": [["image": "db:1"]]]],
        updateTemplate: ["spec": ["containers": [["image": "db:2"]]]], now: epoch
    ).plan()
}

private func created(_ plan: StatefulSetPlan) -> [Int] {
    plan.changes.compactMap { if case .create(let ordinal, _, _) = $0 { ordinal } else { nil } }
}

private func deleted(_ plan: StatefulSetPlan) -> [String] {
    plan.changes.compactMap { if case .delete(let pod, _) = $0 { pod.metadata.name } else { nil } }
}

@Suite("StatefulSet")
struct StatefulSetTests {
    @Test("the revision has one name before and after the first status, which a cache that is behind must not show as two; a collision gives another")
    func revisionName() throws {
        func name(_ status: Value) throws -> String? {
            StatefulSetController.historyPlan(try statefulSet(status: status), revisions: [], pods: []).create?[path: "metadata", "name"]?.string
        }
        let first = try #require(try name([:]))
        #expect(try name(["collisionCount": 0]) == first)
        #expect(try name(["collisionCount": 1]) != first)
    }

    @Test("pods come one after the other, each when the one before is ready; in parallel all at once")
    func order() throws {
        #expect(created(plan(try statefulSet(), [])) == [0])
        #expect(created(plan(try statefulSet(), [try member(0, ready: false)])).isEmpty)
        #expect(created(plan(try statefulSet(), [try member(0)])) == [1])
        #expect(created(plan(try statefulSet(parallel: true), [])) == [0, 1, 2])
        #expect(created(plan(try statefulSet(start: 5), [try member(5)])) == [6])
    }

    @Test("a pod has a name, a host, claims of its own, and labels of its identity")
    func identity() throws {
        guard case .create(0, let value, let claims)? = plan(try statefulSet(), []).changes.first else {
            Issue.record("the first pod is not created")
            return
        }
        #expect(value[path: "metadata", "name"]?.string == "db-0")
        #expect(value[path: "metadata", "labels", "statefulset.kubernetes.io/pod-name"]?.string == "db-0")
        #expect(value[path: "metadata", "labels", ControllerHistory.hashLabel]?.string == "db-new")
        #expect(value[path: "spec", "hostname"]?.string == "db-0")
        #expect(value[path: "spec", "subdomain"]?.string == "db")
        #expect(value[path: "spec", "volumes"]?.array?.first?[path: "persistentVolumeClaim", "claimName"]?.string == "data-db-0")
        #expect(claims.first?[path: "metadata", "name"]?.string == "data-db-0")
        #expect(claims.first?[path: "metadata", "labels"] == ["app": "db"])
    }

    @Test("scaling down takes the highest first and waits until it is gone")
    func scaleDown() throws {
        let pods = try (0..<3).map { try member($0) }
        #expect(deleted(plan(try statefulSet(replicas: 1), pods)) == ["db-2"])
        #expect(deleted(plan(try statefulSet(replicas: 1), [pods[0], pods[1], try member(2, deleting: true)])).isEmpty)
        #expect(deleted(plan(try statefulSet(replicas: 1, parallel: true), pods)) == ["db-2", "db-1"])
    }

    @Test("an update goes from the highest ordinal down, one at a time, not below the partition")
    func update() throws {
        let old = try (0..<3).map { try member($0, revision: "db-old") }
        #expect(deleted(plan(try statefulSet(), old, current: "db-old")) == ["db-2"])
        #expect(deleted(plan(try statefulSet(), [old[0], old[1], try member(2)], current: "db-old")) == ["db-1"])
        #expect(deleted(plan(try statefulSet(parallel: true), [old[0], old[1], try member(2, ready: false)], current: "db-old")).isEmpty)
        #expect(deleted(plan(try statefulSet(partition: 2), [old[0], old[1], try member(2)], current: "db-old")).isEmpty)
        #expect(deleted(plan(try statefulSet(onDelete: true), old, current: "db-old")).isEmpty)
    }

    @Test("with maxUnavailable an update takes as many as may be unavailable, those that are already counted in")
    func maxUnavailable() throws {
        let old = try (0..<4).map { try member($0, revision: "db-old") }
        func going(_ pods: [Object], _ most: Value, partition: Int64? = nil) throws -> [String] {
            deleted(plan(try statefulSet(replicas: 4, parallel: true, partition: partition, maxUnavailable: most), pods, current: "db-old"))
        }
        #expect(try going(old, 2) == ["db-3", "db-2"])
        #expect(try going(old, "75%") == ["db-3", "db-2", "db-1"])
        #expect(try going(old, "10%") == ["db-3"], "one at least")
        #expect(try going(old, 4, partition: 2) == ["db-3", "db-2"])
        #expect(try going(Array(old[..<3]) + [try member(3, ready: false)], 2) == ["db-2"])
        #expect(try going([try member(0, ready: false)] + old[1...], 1).isEmpty, "a pod that is down below counts, too")
        #expect(try going(Array(old[..<3]) + [try member(3, deleting: true)], 2) == ["db-2"])
    }

    @Test("a pod below the partition is made anew of the old revision")
    func partition() throws {
        let set = try statefulSet(partition: 2, status: ["currentReplicas": 2])
        guard case .create(0, let value, _)? = plan(set, [try member(2)], current: "db-old").changes.first else {
            Issue.record("the pod is not made anew")
            return
        }
        #expect(value[path: "metadata", "labels", ControllerHistory.hashLabel]?.string == "db-old")
        #expect(value[path: "spec", "containers"]?.array?.first?["image"]?.string == "db:1")
    }

    @Test("without a partition a pod that went is made anew of the new revision, whatever the status counted last")
    func updated() throws {
        let set = try statefulSet(status: ["currentReplicas": 3])
        let old = try (0..<2).map { try member($0, revision: "db-old") }
        guard case .create(2, let value, _)? = plan(set, old, current: "db-old").changes.first else {
            Issue.record("the pod is not made anew")
            return
        }
        #expect(value[path: "metadata", "labels", ControllerHistory.hashLabel]?.string == "db-new")
    }

    @Test("failed pods are made anew, and the update that is complete becomes the current revision")
    func failedAndComplete() throws {
        #expect(deleted(plan(try statefulSet(), [try member(0, ready: false, phase: "Failed")])) == ["db-0"])
        let done = plan(try statefulSet(), try (0..<3).map { try member($0) }, current: "db-old")
        #expect(done.status.currentRevision == "db-new")
        #expect(done.status.currentReplicas == 3)
        #expect(done.status.readyReplicas == 3)
        #expect(done.changes.isEmpty)
    }

    @Test("an update is not complete while pods are missing or too many")
    func incomplete() throws {
        let few = plan(try statefulSet(partition: 2), [try member(2)], current: "db-old")
        #expect(few.status.currentRevision == "db-old", "one new pod of three is no complete update")
        #expect(few.status.currentReplicas == 0)
        let many = plan(try statefulSet(replicas: 2), try (0..<3).map { try member($0) }, current: "db-old")
        #expect(many.status.currentRevision == "db-old")
        #expect(plan(try statefulSet(replicas: 0), [], current: "db-old").status.currentRevision == "db-new")
    }

    @Test("claims of a pending pod that are missing are made for its ordinal")
    func pendingClaims() throws {
        let changes = plan(try statefulSet(), [try member(0, ready: false, phase: "Pending")]).changes
        guard case .ensureClaims(0, let claims)? = changes.first else {
            Issue.record("the claims are not looked after")
            return
        }
        #expect(claims.compactMap { $0[path: "metadata", "name"]?.string } == ["data-db-0"])
    }

    @Test("only names with a plain ordinal are this set's")
    func ordinals() throws {
        let set = try statefulSet()
        #expect(set.ordinal(of: try pod("db-7")) == 7)
        #expect(set.ordinal(of: try pod("db-07")) == nil)
        #expect(set.ordinal(of: try pod("db-x")) == nil)
        #expect(set.ordinal(of: try pod("db-2-1")) == nil)
        #expect(set.ordinal(of: try pod("other-1")) == nil)
    }
}
