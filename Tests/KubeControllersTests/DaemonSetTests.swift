import KubeAPI
import Testing

@testable import KubeControllers

private func daemonSet(
    unavailable: Value = 1, surge: Value = 0, onDelete: Bool = false, spec extra: (inout Value) -> Void = { _ in }
) throws -> DaemonSetState {
    var spec: Value = [
        "selector": ["matchLabels": ["app": "agent"]],
        "template": ["metadata": ["labels": ["app": "agent"]], "spec": ["containers": [["name": "c", "image": "agent:1"]]]],
        "updateStrategy": onDelete
            ? ["type": "OnDelete"] : ["type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": unavailable, "maxSurge": surge]],
    ]
    extra(&spec)
    return DaemonSetState(
        try object([
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": ["name": "agent", "namespace": "default", "uid": "ds", "generation": 3],
            "spec": spec,
        ]))
}

private func daemon(_ name: String, on node: String, hash: String = "new", ready: Bool = true, phase: String = "Running", deleting: Bool = false)
    throws -> Object
{
    try pod(name, node: node, phase: phase, ready: ready, labels: ["app": "agent", ControllerHistory.hashLabel: hash], deleting: deleting)
}

private func planner(_ set: DaemonSetState, _ nodes: [Object], _ pods: [Object]) -> DaemonSetPlanner {
    DaemonSetPlanner(set: set, hash: "new", nodes: nodes, pods: pods, now: epoch.adding(seconds: 60))
}

@Suite("DaemonSet: placement")
struct DaemonSetPlacementTests {
    @Test("every node gets one, nodes that do not match or are tainted do not, nodes in trouble do")
    func placement() throws {
        let set = try daemonSet { $0[path: "template", "spec", "nodeSelector"] = ["kind": "worker"] }
        let nodes = [
            try node("a", labels: ["kind": "worker"]), try node("b"),
            try node("c", taints: [["key": "gpu", "effect": "NoSchedule"]], labels: ["kind": "worker"]),
            try node("d", ready: "False", taints: [["key": "node.kubernetes.io/not-ready", "effect": "NoExecute"]], labels: ["kind": "worker"]),
            try node(
                "e", taints: [["key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"]], unschedulable: true, labels: ["kind": "worker"]),
        ]
        #expect(planner(set, nodes, []).plan().creates == ["a", "d", "e"])
    }

    @Test("a daemon may stay under a new NoSchedule taint, not under NoExecute, nor where it no longer matches")
    func staying() throws {
        let nodes = [
            try node("a", taints: [["key": "gpu", "effect": "NoSchedule"]]), try node("b", taints: [["key": "gpu", "effect": "NoExecute"]]),
            try node("c"),
        ]
        let pods = [try daemon("p1", on: "a"), try daemon("p2", on: "b"), try daemon("p3", on: "c"), try daemon("p4", on: "c")]
        let plan = planner(try daemonSet(), nodes, pods).plan()
        #expect(plan.creates.isEmpty)
        #expect(plan.deletes.map(\.metadata.name).sorted() == ["p2", "p4"])
    }

    @Test("failed and finished daemons are replaced, with a pause that grows")
    func failed() throws {
        let plan = planner(try daemonSet(), [try node("a")], [try daemon("p", on: "a", ready: false, phase: "Failed")]).plan()
        #expect(plan.deletes.map(\.metadata.name) == ["p"])
        #expect(plan.dead.count == 1)
        var backoff = FailedPodsBackoff()
        #expect(backoff.wait("a", now: epoch) == 0)
        #expect(backoff.wait("a", now: epoch) == 1)
        #expect(backoff.wait("a", now: epoch.adding(seconds: 1)) == 0)
        #expect(backoff.wait("a", now: epoch.adding(seconds: 1)) == 2)
        #expect(backoff.wait("b", now: epoch) == 0)
    }

    @Test("the pod names its node by affinity, tolerates what daemons tolerate, and carries the hash")
    func podOfNode() throws {
        let set = try daemonSet { $0[path: "template", "spec", "hostNetwork"] = true }
        let made = try object(set.pod(for: "a", hash: "h"))
        #expect(DaemonSetState.targetNode(of: made) == "a")
        #expect(made.metadata.labels[ControllerHistory.hashLabel] == "h")
        let tolerated = made["spec"]["tolerations"].elements.compactMap { $0["key"].string }
        #expect(tolerated.contains("node.kubernetes.io/unreachable"))
        #expect(tolerated.contains("node.kubernetes.io/network-unavailable"))
        #expect(made["spec"]["nodeName"] == nil)
    }

    @Test("the status counts nodes, not pods")
    func status() throws {
        let nodes = [try node("a"), try node("b"), try node("c"), try node("d", taints: [["key": "gpu", "effect": "NoSchedule"]])]
        let pods = [try daemon("p1", on: "a"), try daemon("p2", on: "b", hash: "old", ready: false), try daemon("p4", on: "d")]
        let status = planner(try daemonSet(), nodes, pods).status()
        #expect(status.desiredNumberScheduled == 3)
        #expect(status.currentNumberScheduled == 2)
        #expect(status.numberMisscheduled == 1)
        #expect(status.numberReady == 1)
        #expect(status.numberAvailable == 1)
        #expect(status.numberUnavailable == 2)
        #expect(status.updatedNumberScheduled == 1)
        #expect(status.observedGeneration == 3)
    }

    @Test("during a surge the node counts by its older pod")
    func surgeStatus() throws {
        func daemon(_ name: String, _ hash: String, after seconds: Int64, ready: Bool = true) throws -> Object {
            try pod(
                name, node: "a", ready: ready, created: epoch.adding(seconds: seconds), labels: ["app": "agent", ControllerHistory.hashLabel: hash])
        }
        let set = try daemonSet(unavailable: 0, surge: 1)
        let surging = planner(set, [try node("a")], [try daemon("x", "new", after: 20, ready: false), try daemon("y", "old", after: 0)]).status()
        #expect(surging.numberReady == 1 && surging.numberAvailable == 1 && surging.numberUnavailable == 0)
        #expect(surging.updatedNumberScheduled == 0)
        let done = planner(set, [try node("a")], [try daemon("x", "new", after: 20)]).status()
        #expect(done.updatedNumberScheduled == 1)
    }
}

@Suite("DaemonSet: updates")
struct DaemonSetUpdateTests {
    private func nodes() throws -> [Object] { try ["a", "b", "c", "d"].map { try node($0) } }

    @Test("old pods go as far as maxUnavailable allows, broken ones at once")
    func rolling() throws {
        let pods = try ["a", "b", "c", "d"].map { try daemon("old-\($0)", on: $0, hash: "old") }
        #expect(planner(try daemonSet(), try nodes(), pods).plan().deletes.count == 1)
        #expect(planner(try daemonSet(unavailable: "50%"), try nodes(), pods).plan().deletes.count == 2)
        #expect(planner(try daemonSet(onDelete: true), try nodes(), pods).plan().deletes.isEmpty)
        var broken = pods
        broken[2] = try daemon("old-c", on: "c", hash: "old", ready: false)
        #expect(planner(try daemonSet(), try nodes(), broken).plan().deletes.map(\.metadata.name) == ["old-c"])
        // One is being replaced: the others wait.
        var half = pods
        half[0] = try daemon("new-a", on: "a", ready: false)
        #expect(planner(try daemonSet(), try nodes(), half).plan().deletes.isEmpty)
    }

    @Test("with surge a new pod comes first and the old one goes when it is available")
    func surge() throws {
        let pods = try ["a", "b", "c", "d"].map { try daemon("old-\($0)", on: $0, hash: "old") }
        let set = try daemonSet(unavailable: 0, surge: 1)
        let first = planner(set, try nodes(), pods).plan()
        #expect(first.creates == ["a"])
        #expect(first.deletes.isEmpty)
        let waiting = planner(set, try nodes(), pods + [try daemon("new-a", on: "a", ready: false)]).plan()
        #expect(waiting.creates.isEmpty && waiting.deletes.isEmpty)
        let done = planner(set, try nodes(), pods + [try daemon("new-a", on: "a")]).plan()
        #expect(done.deletes.map(\.metadata.name) == ["old-a"])
    }

    @Test("each template gets a revision; an old one that comes back gets the highest number; unused ones beyond the limit go")
    func history() throws {
        let owner = OwnerReference(apiVersion: "apps/v1", kind: "DaemonSet", name: "agent", uid: "ds")
        func plan(_ data: Value, _ revisions: [Object], inUse: Set<String> = []) -> ControllerHistory.Plan {
            ControllerHistory.plan(
                owner: owner, namespace: "default", labels: ["app": "agent"], data: data, revisions: revisions, collisionCount: nil, limit: 1,
                inUse: inUse)
        }
        let first = plan(["spec": 1], [])
        let one = try object(try #require(first.create))
        #expect(one["revision"].int == 1)
        #expect(one.metadata.name == "agent-\(first.hash)")
        let second = plan(["spec": 2], [one])
        let two = try object(try #require(second.create))
        #expect(two["revision"].int == 2)
        #expect(second.hash != first.hash)
        let back = plan(["spec": 1], [one, two])
        #expect(back.create == nil)
        #expect(back.update?["revision"]?.int == 3)
        #expect(back.hash == first.hash)
        let third = plan(["spec": 3], [one, two])
        #expect(third.deletes == [one.metadata.name])
        #expect(plan(["spec": 3], [one, two], inUse: [first.hash]).deletes.isEmpty)
    }
}
