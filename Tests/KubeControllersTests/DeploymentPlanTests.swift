import KubeAPI
import Testing

@testable import KubeControllers

private func template(_ image: String) -> Value {
    ["metadata": ["labels": ["app": "web"]], "spec": ["containers": [["name": "c", "image": .string(image)]]]]
}

private func deployment(
    replicas: Int, surge: Value = "25%", unavailable: Value = "25%", recreate: Bool = false, image: String = "v2", paused: Bool = false,
    deadline: Int64? = 600, history: Int64? = 10, annotations: [String: String] = ["deployment.kubernetes.io/revision": "2"], status: Value = [:],
    minReadySeconds: Int64 = 0
) throws -> DeploymentState {
    var spec: Value = [
        "replicas": .int(Int64(replicas)), "selector": ["matchLabels": ["app": "web"]], "template": template(image),
        "strategy": recreate
            ? ["type": "Recreate"] : ["type": "RollingUpdate", "rollingUpdate": ["maxSurge": surge, "maxUnavailable": unavailable]],
    ]
    if paused { spec["paused"] = true }
    if let deadline { spec["progressDeadlineSeconds"] = .int(deadline) }
    if let history { spec["revisionHistoryLimit"] = .int(history) }
    if minReadySeconds > 0 { spec["minReadySeconds"] = .int(minReadySeconds) }
    return DeploymentState(
        try object([
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": ["name": "web", "namespace": "default", "uid": "d", "generation": 1, "annotations": Value(annotations)], "spec": spec,
            "status": status,
        ]))
}

private func replicaSet(
    _ name: String, image: String, replicas: Int, ready: Int? = nil, available: Int? = nil, status: Int? = nil, revision: String? = nil,
    age: Int64 = 0,
    annotations: [String: String] = [:]
) throws -> ReplicaSetState {
    var marks = annotations
    if let revision { marks[DeploymentAnnotation.revision] = revision }
    var pods = template(image)
    pods[path: "metadata", "labels", DeploymentAnnotation.podTemplateHash] = .string("hash-\(name)")
    let available = available ?? replicas
    return ReplicaSetState(
        try object([
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": [
                "name": .string(name), "namespace": "default", "uid": .string("uid-\(name)"), "generation": 1,
                "creationTimestamp": .string(epoch.adding(seconds: -age).rfc3339), "annotations": Value(marks),
            ], "spec": ["replicas": .int(Int64(replicas)), "template": pods],
            "status": [
                "observedGeneration": 1, "replicas": .int(Int64(status ?? replicas)), "readyReplicas": .int(Int64(ready ?? available)),
                "availableReplicas": .int(Int64(available)), "terminatingReplicas": 0,
            ],
        ]))
}

private func sizes(_ plan: DeploymentPlan) -> [String: Int] {
    var sizes: [String: Int] = [:]
    for change in plan.changes {
        switch change {
        case .create(let name, let replicas, _): sizes[name] = replicas
        case .update(let name, let replicas, _, _, .some): sizes[name] = replicas
        default: break
        }
    }
    return sizes
}

private func status(_ plan: DeploymentPlan) -> DeploymentStatus? {
    for change in plan.changes { if case .updateStatus(let status) = change { return status } }
    return nil
}

private func creation(_ plan: DeploymentPlan) -> (name: String, replicas: Int, object: Value)? {
    for change in plan.changes { if case .create(let name, let replicas, let object) = change { return (name, replicas, object) } }
    return nil
}

@Suite("Deployment: the arithmetic of a rolling update")
struct RollingUpdateTests {
    @Test(
        "surge rounds up, unavailable rounds down, and both zero lets one be unavailable",
        arguments: [
            ("25%", "25%", 10, 3, 2), ("0%", "0%", 10, 0, 1), ("0", "0", 10, 0, 1), ("1", "0", 10, 1, 0), ("50%", "50%", 1, 1, 0),
            ("25%", "25%", 1, 1, 0),
            ("100%", "100%", 4, 4, 4),
        ])
    func fenceposts(surge: String, unavailable: String, replicas: Int, maxSurge: Int, maxUnavailable: Int) throws {
        func value(_ text: String) -> Value { Int64(text).map { .int($0) } ?? .string(text) }
        let deployment = try deployment(replicas: replicas, surge: value(surge), unavailable: value(unavailable))
        #expect(deployment.maxSurge == maxSurge)
        #expect(deployment.maxUnavailable == maxUnavailable)
    }

    @Test("the first ReplicaSet is created at full size, with owner, labels, hash and revision 1")
    func firstReplicaSet() throws {
        let state = try deployment(replicas: 3, annotations: ["note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"])
        let plan = DeploymentPlanner.plan(deployment: state, replicaSets: [], now: epoch)
        let made = try #require(creation(plan))
        #expect(made.replicas == 3)
        let hash = try #require(made.object[path: "metadata", "labels", "pod-template-hash"]?.string)
        #expect(made.name == "web-\(hash)")
        #expect(hash.allSatisfy { "bcdfghjklmnpqrstvwxz2456789".contains($0) })
        #expect(made.object[path: "spec", "selector", "matchLabels", "pod-template-hash"]?.string == hash)
        #expect(made.object[path: "spec", "template", "metadata", "labels", "pod-template-hash"]?.string == hash)
        #expect(made.object[path: "metadata", "ownerReferences"]?.array?.first?["uid"]?.string == "d")
        #expect(
            made.object[path: "metadata", "annotations"] == [
                "note": "x", "deployment.kubernetes.io/revision": "1", "deployment.kubernetes.io/desired-replicas": "3",
                "deployment.kubernetes.io/max-replicas": "4",
            ])
        #expect(plan.changes.contains(.setRevision("1")))
        let progressing = try #require(status(plan)?.conditions.condition("Progressing"))
        #expect(progressing.reason == "NewReplicaSetCreated")
        #expect(progressing.message == "Created new replica set \"\(made.name)\"")
        #expect(status(plan)?.conditions.condition("Available")?.reason == "MinimumReplicasUnavailable")
    }

    @Test("the hash depends on the template and the collisions, not on the order of its fields")
    func hash() {
        let a: Value = ["spec": ["x": 1, "y": [:]], "metadata": ["labels": ["a": "b"]]]
        let b: Value = ["metadata": ["labels": ["a": "b"]], "spec": ["x": 1]]
        #expect(DeploymentPlanner.templateHash(a, collisionCount: nil) == DeploymentPlanner.templateHash(b, collisionCount: nil))
        #expect(DeploymentPlanner.templateHash(a, collisionCount: nil) != DeploymentPlanner.templateHash(a, collisionCount: 1))
        #expect(DeploymentPlanner.templateHash(a, collisionCount: nil) != DeploymentPlanner.templateHash(["spec": ["x": 2]], collisionCount: nil))
    }

    @Test("a new template starts with what surge allows while the old pods stay")
    func startsWithSurge() throws {
        let old = try replicaSet("old", image: "v1", replicas: 10, revision: "2", age: 100)
        let plan = DeploymentPlanner.plan(deployment: try deployment(replicas: 10, surge: 3, unavailable: 0), replicaSets: [old], now: epoch)
        #expect(creation(plan)?.replicas == 3)
        #expect(sizes(plan).count == 1)
        #expect(plan.changes.contains(.setRevision("3")))
    }

    // Upstream: TestDeploymentController_reconcileOldReplicaSets, scaleDownOldReplicaSetsForRollingUpdate, cleanupUnhealthyReplicas.
    @Test(
        "old pods go down only as far as availability allows, unhealthy ones first",
        arguments: [
            // The first: neither surge nor unavailable is allowed, so one may be unavailable after all.
            // replicas, maxUnavailable, old (size, available), new (size, available), old size afterwards or nil
            (10, 0, 10, 10, 0, 0, 9 as Int?), (10, 2, 10, 10, 0, 0, 8), (10, 2, 10, 8, 0, 0, 8), (10, 2, 10, 9, 0, 0, 8), (10, 2, 8, 8, 2, 0, nil),
            (10, 2, 8, 8, 2, 2, 6), (10, 0, 8, 7, 3, 3, 7), (10, 10, 10, 10, 0, 0, 0),
        ])
    func scaleDown(replicas: Int, unavailable: Int, oldSize: Int, oldAvailable: Int, newSize: Int, newAvailable: Int, expected: Int?) throws {
        // Surge nothing beyond what is there, so that the new ReplicaSet cannot grow in the same step.
        let surge = max(0, oldSize + newSize - replicas)
        let state = try deployment(replicas: replicas, surge: .int(Int64(surge)), unavailable: .int(Int64(unavailable)))
        let old = try replicaSet("old", image: "v1", replicas: oldSize, available: oldAvailable, revision: "1", age: 100)
        let new = try replicaSet("new", image: "v2", replicas: newSize, available: newAvailable, revision: "2")
        let plan = DeploymentPlanner.plan(deployment: state, replicaSets: [old, new], now: epoch)
        #expect(sizes(plan)["old"] == expected)
    }

    @Test(
        "a rolling update ends, never has too many pods, and never too few available",
        arguments: [(10, "25%", "25%"), (10, "1", "0"), (10, "0", "1"), (1, "25%", "25%"), (7, "100%", "0"), (3, "0", "100%"), (50, "10%", "10%")])
    func converges(replicas: Int, surge: String, unavailable: String) throws {
        func value(_ text: String) -> Value { Int64(text).map { .int($0) } ?? .string(text) }
        let state = try deployment(replicas: replicas, surge: value(surge), unavailable: value(unavailable))
        var sets = [try replicaSet("old", image: "v1", replicas: replicas, revision: "2", age: 100)]
        var steps = 0
        while true {
            steps += 1
            try #require(steps < 500, "the rollout stands still")
            let plan = DeploymentPlanner.plan(deployment: state, replicaSets: sets, now: epoch)
            var changed = false
            for change in plan.changes {
                switch change {
                case .create(let name, let size, let made):
                    changed = true
                    sets.append(
                        ReplicaSetState(
                            name: name, annotations: [:], replicas: size, minReadySeconds: 0, template: made[path: "spec", "template"] ?? [:],
                            created: epoch))
                case .update(let name, let size, _, let annotations, _):
                    let place = try #require(sets.firstIndex { $0.name == name })
                    if sets[place].replicas != size { changed = true }
                    sets[place].replicas = size
                    sets[place].annotations = annotations
                default: break
                }
            }
            #expect(sets.reduce(0) { $0 + $1.replicas } <= replicas + state.maxSurge)
            // Pods that were asked to go are gone; then one new pod becomes available.
            for place in sets.indices { sets[place].availableReplicas = min(sets[place].availableReplicas, sets[place].replicas) }
            let available = sets.reduce(0) { $0 + $1.availableReplicas }
            #expect(available >= replicas - state.maxUnavailable)
            if let place = sets.firstIndex(where: { $0.availableReplicas < $0.replicas }) {
                sets[place].availableReplicas += 1
                changed = true
            }
            for place in sets.indices { sets[place].statusReplicas = sets[place].replicas }
            if !changed { break }
        }
        #expect(sets.first { $0.name == "old" }?.replicas == 0)
        #expect(sets.last?.replicas == replicas)
        #expect(sets.last?.availableReplicas == replicas)
    }

    @Test("going back to an old template raises the old ReplicaSet and gives it the next revision, its former one in the history")
    func rollback() throws {
        let first = try replicaSet("first", image: "v2", replicas: 0, revision: "1", age: 200)
        let second = try replicaSet("second", image: "v3", replicas: 3, revision: "2", age: 100)
        let plan = DeploymentPlanner.plan(
            deployment: try deployment(replicas: 3, surge: 1, unavailable: 0), replicaSets: [first, second], now: epoch)
        guard case .update("first", 1, _, let annotations, .some(0))? = plan.changes.first else {
            Issue.record("the first ReplicaSet is not scaled up: \(plan.changes)")
            return
        }
        #expect(annotations[DeploymentAnnotation.revision] == "3")
        #expect(annotations[DeploymentAnnotation.revisionHistory] == "1")
        #expect(plan.changes.contains(.setRevision("3")))
    }

    @Test("Recreate takes all old pods down, waits until they are gone, then makes the new ones")
    func recreate() throws {
        let state = try deployment(replicas: 3, recreate: true)
        let old = try replicaSet("old", image: "v1", replicas: 3, revision: "1", age: 100)
        let down = DeploymentPlanner.plan(deployment: state, replicaSets: [old], livePodsByReplicaSet: ["uid-old": 3], now: epoch)
        #expect(sizes(down) == ["old": 0])
        let gone = try replicaSet("old", image: "v1", replicas: 0, revision: "1", age: 100)
        let waiting = DeploymentPlanner.plan(deployment: state, replicaSets: [gone], livePodsByReplicaSet: ["uid-old": 1], now: epoch)
        #expect(creation(waiting) == nil)
        let up = DeploymentPlanner.plan(deployment: state, replicaSets: [gone], livePodsByReplicaSet: ["uid-old": 0], now: epoch)
        #expect(creation(up)?.replicas == 3)
    }
}

@Suite("Deployment: scaling, pausing, history")
struct DeploymentScalingTests {
    private func sized(_ name: String, _ image: String, _ replicas: Int, desired: Int, most: Int, age: Int64) throws -> ReplicaSetState {
        try replicaSet(
            name, image: image, replicas: replicas, revision: image == "v2" ? "2" : "1", age: age,
            annotations: [DeploymentAnnotation.desiredReplicas: String(desired), DeploymentAnnotation.maxReplicas: String(most)])
    }

    // Upstream: TestScale in sync_test.go.
    @Test(
        "scaling in the middle of a rollout keeps the proportions",
        arguments: [
            // new replicas, old desired, surge, new RS, old RS, then new and old afterwards
            (12, 10, 0, 5, 5, 6, 6), (6, 10, 0, 5, 5, 3, 3), (20, 10, 0, 8, 2, 16, 4), (0, 10, 0, 5, 5, 0, 0), (15, 10, 3, 7, 6, 10, 8),
        ])
    func proportional(replicas: Int, before: Int, surge: Int, newSize: Int, oldSize: Int, newAfter: Int, oldAfter: Int) throws {
        let state = try deployment(
            replicas: replicas, surge: .int(Int64(surge)), unavailable: 2, status: ["replicas": .int(Int64(newSize + oldSize))])
        let new = try sized("new", "v2", newSize, desired: before, most: before + surge, age: 0)
        let old = try sized("old", "v1", oldSize, desired: before, most: before + surge, age: 100)
        let plan = DeploymentPlanner.plan(deployment: state, replicaSets: [new, old], now: epoch)
        #expect(sizes(plan)["new"] ?? newSize == newAfter)
        #expect(sizes(plan)["old"] ?? oldSize == oldAfter)
    }

    @Test("a deployment with one ReplicaSet is scaled at once, past surge")
    func scaleOne() throws {
        let set = try sized("new", "v2", 3, desired: 3, most: 4, age: 0)
        let plan = DeploymentPlanner.plan(deployment: try deployment(replicas: 20), replicaSets: [set], now: epoch)
        #expect(sizes(plan) == ["new": 20])
    }

    @Test("a paused deployment makes no ReplicaSet of its new template, but is scaled")
    func paused() throws {
        let old = try sized("old", "v1", 3, desired: 3, most: 4, age: 100)
        let plan = DeploymentPlanner.plan(deployment: try deployment(replicas: 5, paused: true), replicaSets: [old], now: epoch)
        #expect(creation(plan) == nil)
        #expect(sizes(plan) == ["old": 5])
        let progressing = status(plan)?.conditions.condition("Progressing")
        #expect(progressing?.status == "Unknown")
        #expect(progressing?.reason == "DeploymentPaused")
    }

    @Test("old, empty ReplicaSets beyond the history limit go once the rollout is complete, lowest revision first")
    func history() throws {
        let new = try replicaSet("new", image: "v2", replicas: 2, revision: "4")
        let olds = try (1...3).map { try replicaSet("old\($0)", image: "v1.\($0)", replicas: 0, revision: "\($0)", age: Int64(100 - $0)) }
        let complete: Value = ["observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2]
        let plan = DeploymentPlanner.plan(
            deployment: try deployment(replicas: 2, history: 1, annotations: [DeploymentAnnotation.revision: "4"], status: complete),
            replicaSets: olds + [new], now: epoch)
        #expect(plan.changes.contains(.delete(name: "old1")))
        #expect(plan.changes.contains(.delete(name: "old2")))
        #expect(!plan.changes.contains(.delete(name: "old3")))
        let running = DeploymentPlanner.plan(deployment: try deployment(replicas: 2, history: 1), replicaSets: olds + [new], now: epoch)
        #expect(!running.changes.contains(.delete(name: "old1")))
    }
}

@Suite("Deployment: conditions")
struct DeploymentProgressTests {
    private func progressing(_ reason: String, status: String = "True", at time: Timestamp = epoch) -> Value {
        [
            "type": "Progressing", "status": .string(status), "reason": .string(reason), "message": "m", "lastUpdateTime": .string(time.rfc3339),
            "lastTransitionTime": .string(time.rfc3339),
        ]
    }

    @Test("a complete rollout says so, and a second look writes nothing")
    func complete() throws {
        let new = try replicaSet("new", image: "v2", replicas: 2, revision: "2")
        let first = DeploymentPlanner.plan(
            deployment: try deployment(replicas: 2, status: ["conditions": [progressing("ReplicaSetUpdated")]]), replicaSets: [new], now: epoch)
        let done = try #require(status(first))
        #expect(done.conditions.condition("Progressing")?.reason == "NewReplicaSetAvailable")
        #expect(done.conditions.condition("Progressing")?.message == "ReplicaSet \"new\" has successfully progressed.")
        #expect(done.conditions.condition("Available")?.message == "Deployment has minimum availability.")
        #expect(done.terminatingReplicas == 0)
        let second = DeploymentPlanner.plan(
            deployment: try deployment(replicas: 2, status: done.value), replicaSets: [new], now: epoch.adding(seconds: 60))
        #expect(second.changes.isEmpty)
        #expect(second.requeueAfter == nil)
    }

    @Test("a rollout without progress is looked at again at its deadline, and then has timed out")
    func deadline() throws {
        let new = try replicaSet("new", image: "v2", replicas: 2, ready: 0, available: 0, revision: "2")
        let counts: Value = [
            "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "unavailableReplicas": 2, "terminatingReplicas": 0,
            "conditions": [
                progressing("ReplicaSetUpdated"),
                [
                    "type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable",
                    "message": "Deployment does not have minimum availability.",
                    "lastUpdateTime": .string(epoch.rfc3339), "lastTransitionTime": .string(epoch.rfc3339),
                ],
            ],
        ]
        let state = try deployment(replicas: 2, unavailable: 0, deadline: 60, status: counts)
        let waiting = DeploymentPlanner.plan(deployment: state, replicaSets: [new], now: epoch.adding(seconds: 10))
        #expect(waiting.changes.isEmpty)
        #expect(waiting.requeueAfter == 51)
        let late = DeploymentPlanner.plan(deployment: state, replicaSets: [new], now: epoch.adding(seconds: 61))
        let condition = try #require(status(late)?.conditions.condition("Progressing"))
        #expect(condition.status == "False")
        #expect(condition.reason == "ProgressDeadlineExceeded")
        #expect(condition.message == "ReplicaSet \"new\" has timed out progressing.")
    }

    @Test("each step moves the time the deadline counts from, not the time of transition")
    func step() throws {
        let new = try replicaSet("new", image: "v2", replicas: 2, available: 1, status: 2, revision: "2")
        let state = try deployment(
            replicas: 2, unavailable: 0,
            status: ["observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "conditions": [progressing("ReplicaSetUpdated")]])
        let plan = DeploymentPlanner.plan(deployment: state, replicaSets: [new], now: epoch.adding(seconds: 30))
        let condition = try #require(status(plan)?.conditions.condition("Progressing"))
        #expect(condition.lastUpdateTime == epoch.adding(seconds: 30).rfc3339)
        #expect(condition.lastTransitionTime == epoch.rfc3339)
    }

    @Test("a ReplicaSet that cannot make pods shows in the deployment, and no longer when it can")
    func replicaFailure() throws {
        var new = try replicaSet("new", image: "v2", replicas: 2, available: 0, status: 0, revision: "2")
        new.conditions = [
            Condition(type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: "quota", lastTransitionTime: epoch.rfc3339)
        ]
        let failing = DeploymentPlanner.plan(deployment: try deployment(replicas: 2), replicaSets: [new], now: epoch)
        let seen = try #require(status(failing))
        #expect(seen.conditions.condition("ReplicaFailure")?.message == "quota")
        new.conditions = []
        let healed = DeploymentPlanner.plan(deployment: try deployment(replicas: 2, status: seen.value), replicaSets: [new], now: epoch)
        #expect(status(healed)?.conditions.condition("ReplicaFailure") == nil)
    }
}
