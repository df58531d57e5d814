import KubeAPI
import Testing

@testable import KubeScheduler

@Suite("Scheduler: the queue")
struct SchedulingQueueTests {
    @Test("higher priority first, then the older")
    func order() throws {
        var queue = SchedulingQueue()
        queue.set(try pod("late"), now: epoch.adding(seconds: 2))
        queue.set(try pod("early"), now: epoch.adding(seconds: 1))
        queue.set(try pod("high", priority: 10), now: epoch.adding(seconds: 3))
        #expect((0..<3).compactMap { _ in queue.pop()?.info.name } == ["high", "early", "late"])
        #expect(queue.pop() == nil)
    }

    @Test("backoff is 1, 2, 4, 8, then 10 seconds")
    func backoff() {
        #expect((1...6).map { PodBackoff.standard.seconds(attempts: $0) } == [1, 2, 4, 8, 10, 10])
        #expect(PodBackoff.standard.seconds(attempts: 1_000_000) == 10)
    }

    @Test("an unschedulable pod waits for an event that concerns what rejected it, then sits out its backoff")
    func events() throws {
        var queue = SchedulingQueue()
        queue.set(try pod("p"), now: epoch)
        let popped = queue.pop()
        let tried = try #require(popped)
        _ = queue.addUnschedulable(tried, rejectedBy: ["NodeResourcesFit"], now: epoch)
        #expect(queue.move(.nodeLabelsChanged, now: epoch).isEmpty)
        #expect(queue.unschedulableCount == 1)
        let timers = queue.move(.nodeAllocatableChanged, now: epoch)
        #expect(timers == [.init(uid: "uid-p", after: 1)])
        #expect(queue.backoffCount == 1)
        #expect(queue.flush("uid-p", now: epoch.adding(seconds: 0)) == .init(uid: "uid-p", after: 1))
        #expect(queue.flush("uid-p", now: epoch.adding(seconds: 1)) == nil)
        #expect(queue.pop()?.attempts == 2)
    }

    @Test("an event after the backoff makes the pod ready at once")
    func lateEvent() throws {
        var queue = SchedulingQueue()
        queue.set(try pod("p"), now: epoch)
        let popped = queue.pop()
        let tried = try #require(popped)
        _ = queue.addUnschedulable(tried, rejectedBy: [], now: epoch)
        #expect(queue.move(.nodeAdded, now: epoch.adding(seconds: 30)).isEmpty)
        #expect(queue.activeCount == 1)
    }

    @Test("while room is made for a pod it is not tried, so that it drives out nobody elsewhere; afterwards what has happened counts")
    func preparation() throws {
        var queue = SchedulingQueue()
        func fail() throws {
            queue = SchedulingQueue()
            queue.set(try pod("p"), now: epoch)
            let popped = queue.pop()
            _ = queue.addUnschedulable(try #require(popped), rejectedBy: ["NodeResourcesFit"], isPreparing: true, now: epoch)
        }
        let later = epoch.adding(seconds: 30)
        // One of its victims has gone, another has not been told yet.
        try fail()
        #expect(queue.move(.assignedPodRemoved, now: later).isEmpty && queue.unschedulableCount == 1 && queue.activeCount == 0)
        #expect(queue.endPreparation("uid-p", isFailed: false, now: later) == nil)
        #expect(queue.activeCount == 1)
        // All are told, none has gone: it waits for that.
        try fail()
        #expect(queue.endPreparation("uid-p", isFailed: false, now: later) == nil && queue.unschedulableCount == 1)
        _ = queue.move(.assignedPodRemoved, now: later)
        #expect(queue.activeCount == 1)
        // One could not be told: nothing would come.
        try fail()
        #expect(queue.endPreparation("uid-p", isFailed: true, now: epoch) == .init(uid: "uid-p", after: 1))
        #expect(queue.backoffCount == 1)
        // Gone meanwhile.
        try fail()
        queue.remove("uid-p")
        #expect(queue.endPreparation("uid-p", isFailed: true, now: later) == nil && !queue.contains("uid-p"))
    }

    @Test("a pod that nothing moved is tried again after five minutes")
    func leftover() throws {
        var queue = SchedulingQueue()
        queue.set(try pod("p"), now: epoch)
        let popped = queue.pop()
        let timer = queue.addUnschedulable(try #require(popped), rejectedBy: ["NodeAffinity"], now: epoch)
        #expect(timer.after == 300)
        #expect(queue.flush("uid-p", now: epoch.adding(seconds: 100)) == .init(uid: "uid-p", after: 200))
        _ = queue.flush("uid-p", now: epoch.adding(seconds: 300))
        #expect(queue.activeCount == 1)
    }

    @Test("a gated pod waits until its gates are gone; a removed one is not tried")
    func gates() throws {
        var queue = SchedulingQueue()
        let gated = try pod("p") { $0["schedulingGates"] = [["name": "example.com/wait"]] }
        #expect(SchedulingGates.reasonToWait(gated) == "waiting for scheduling gates: [example.com/wait]")
        queue.set(gated, now: epoch)
        #expect(queue.pop() == nil)
        #expect(queue.gatedCount == 1)
        queue.set(try pod("p"), now: epoch)
        #expect(queue.activeCount == 1)
        queue.remove("uid-p")
        #expect(queue.pop() == nil)
    }

    @Test("a pod whose update makes it ready again keeps its place only once")
    func update() throws {
        var queue = SchedulingQueue()
        queue.set(try pod("p"), now: epoch)
        queue.set(try pod("p", labels: ["a": "b"]), now: epoch)
        #expect(queue.pop()?.info.labels == ["a": "b"])
        #expect(queue.pop() == nil)
    }
}

@Suite("Scheduler: the cache")
struct SchedulerCacheTests {
    @Test("sums are what they would be counted anew, whatever comes and goes")
    func sums() throws {
        var cache = cache([try node("a"), try node("b")])
        var expected: [String: (pods: Int64, cpu: Int64)] = ["a": (0, 0), "b": (0, 0)]
        var present: [String: String] = [:]
        var generator = SplitMix(state: 42)
        for step in 0..<2000 {
            let name = "p\(generator.next() % 50)"
            let uid = "uid-\(name)"
            if let node = present.removeValue(forKey: uid) {
                cache.remove(uid)
                expected[node]?.pods -= 1
                expected[node]?.cpu -= 10
            } else {
                let node = generator.next() % 2 == 0 ? "a" : "b"
                let info = try pod(name, cpu: "10m", node: step % 3 == 0 ? node : "", labels: ["app": "web"])
                if step % 3 == 0 { cache.set(info) } else { cache.assume(info, on: node) }
                present[uid] = node
                expected[node]?.pods += 1
                expected[node]?.cpu += 10
            }
            if step % 100 == 0 {
                let counts = cache.matching(LabelSelector(matching: ["app": "web"]), namespace: "default", skipTerminating: true)
                for (node, place) in [("a", 0), ("b", 1)] {
                    #expect(cache.node(node)?.podCount == expected[node]?.pods)
                    #expect(cache.node(node)?.requested.milliCPU == expected[node]?.cpu)
                    #expect(Int64(place < counts.count ? counts[place] : 0) == expected[node]?.pods)
                }
            }
        }
    }

    @Test("an assumed pod is confirmed by its event and can then no longer be forgotten")
    func assume() throws {
        var cache = cache([try node("a")])
        cache.assume(try pod("p"), on: "a")
        #expect(cache.isAssumed("uid-p"))
        cache.set(try pod("p", node: "a"))
        cache.forget("uid-p")
        #expect(cache.node("a")?.podCount == 1)
    }

    @Test("a node that is gone takes no pods, and comes back with those it had")
    func nodeGone() throws {
        var cache = cache([try node("a"), try node("b")], [try pod("p", node: "a")])
        cache.removeNode("a")
        #expect(cache.nodeCount == 1)
        #expect(cache.node("a") == nil)
        cache.setNode(try node("a"))
        #expect(cache.node("a")?.podCount == 1)
        cache.removeNode("b")
        #expect(cache.nodes.map(\.name) == ["a"])
    }

    @Test("terms of anti-affinity go with their pods")
    func terms() throws {
        let shy = try pod("p", node: "a") {
            $0[path: "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"] = [
                ["labelSelector": ["matchLabels": ["app": "web"]], "topologyKey": "zone"]
            ]
        }
        var cache = cache([try node("a")], [shy])
        #expect(cache.requiredAntiAffinity.count == 1)
        cache.remove("uid-p")
        #expect(cache.requiredAntiAffinity.isEmpty)
    }

    @Test("three hundred pods of one Service on a thousand nodes each get a node of their own")
    func scale() throws {
        var cache = cache(try (0..<1000).map { try node("n\($0)", labels: ["topology.kubernetes.io/zone": "z\($0 % 3)"]) })
        var cycle = SchedulingCycle()
        let selector = LabelSelector(matching: ["app": "web"])
        for index in 0..<300 {
            let info = try pod("p\(index)", cpu: "100m", memory: "64Mi", labels: ["app": "web"])
            guard case .node(let name) = cycle.schedule(CycleInput(pod: info, workloadSelector: selector), &cache) else {
                Issue.record("pod \(index) found no node")
                return
            }
            cache.assume(info, on: name)
        }
        #expect(cache.podCount == 300)
        #expect(cache.nodes.map(\.podCount).max() == 1)
    }
}

@Suite("Scheduler: what changes mean")
struct ChangeTests {
    @Test("pods are ours, bound, finished or unchanged")
    func pods() throws {
        let pending = try podObject("p")
        #expect(PodChange.of(nil, pending, schedulers: ["default-scheduler"]) == .pending)
        #expect(PodChange.of(nil, try podObject("p") { $0["schedulerName"] = "other" }, schedulers: ["default-scheduler"]) == .remove)
        #expect(PodChange.of(pending, try podObject("p", node: "a"), schedulers: ["default-scheduler"]) == .bound)
        #expect(PodChange.of(pending, nil, schedulers: ["default-scheduler"]) == .remove)
        var status = pending.value
        status[path: "status", "conditions"] = [["type": "PodScheduled"]]
        #expect(PodChange.of(pending, try object(status), schedulers: ["default-scheduler"]) == .none)
        status[path: "status", "phase"] = "Failed"
        #expect(PodChange.of(pending, try object(status), schedulers: ["default-scheduler"]) == .remove)
        var deleting = pending.value
        deleting[path: "metadata", "deletionTimestamp"] = .string(epoch.rfc3339)
        #expect(PodChange.of(pending, try object(deleting), schedulers: ["default-scheduler"]) == .remove)
    }

    @Test("a binding is known by its bytes, whatever stands around the node's name")
    func bindings() throws {
        func pod(_ spec: Value, _ labels: Value = [:]) throws -> Object {
            try object(["kind": "Pod", "metadata": ["name": "p", "uid": "u", "labels": labels], "spec": spec])
        }
        let pending = try pod(["enableServiceLinks": true, "nodeSelector": ["a": "b"], "priority": 0])
        let bound: Value = ["enableServiceLinks": true, "nodeName": "node-1", "nodeSelector": ["a": "b"], "priority": 0]
        #expect(PodChange.isBinding(pending, try pod(bound)))
        #expect(PodChange.isBinding(pending, try pod(bound, ["topology.kubernetes.io/zone": "z"])))
        var other = bound
        other["priority"] = 1
        #expect(!PodChange.isBinding(pending, try pod(other)))
        other["priority"] = 10
        #expect(!PodChange.isBinding(pending, try pod(other)))
        #expect(!PodChange.isBinding(try pod(bound), try pod(bound)))
        #expect(!PodChange.isBinding(pending, pending))
        #expect(!PodChange.isBinding(pending, try pod(["nodeName": "nodeSelector"])))
    }

    @Test("what was known of a pod is taken over when it is bound or started, and its status read anew")
    func takenOver() throws {
        let known = try KubeSchedulerTests.pod("p", cpu: "100m", labels: ["a": "b"], priority: 7)
        var value = try podObject("p", cpu: "100m", node: "n", labels: ["a": "b", "zone": "z"], priority: 7).value
        value[path: "status", "startTime"] = .string(epoch.rfc3339)
        let bound = PodInfo(known, as: try object(value), shapes: PodShapes())
        let anew = PodInfo(try object(value))
        #expect(bound.nodeName == "n" && bound.labels == anew.labels && bound.started == epoch && bound.priority == 7)
        #expect(bound.shape === known.shape && bound.requests == anew.requests && bound.tolerations == anew.tolerations)
    }

    @Test("a heartbeat of a node changes nothing")
    func nodes() throws {
        let before = try node("a")
        var value = before.value
        value[path: "status", "conditions"] = [["type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:10Z"]]
        #expect(!NodeChange.of(before, try object(value)).isRelevant)
        #expect(NodeChange.of(before, try node("a", cpu: "8")).events == [.nodeAllocatableChanged])
        #expect(NodeChange.of(before, try node("a", unschedulable: true)).events == [.nodeTaintsChanged])
        #expect(NodeChange.of(nil, before).events == [.nodeAdded])
    }

    @Test("the condition says Unschedulable, keeps its time of transition, and is not written twice")
    func condition() throws {
        let pod = try podObject("p")
        let first = try #require(PodConditions.unscheduled(pod, reason: "Unschedulable", message: "m", now: epoch))
        #expect(first["type"]?.string == "PodScheduled")
        #expect(first["status"]?.string == "False")
        var value = pod.value
        value[path: "status", "conditions"] = [first]
        #expect(PodConditions.unscheduled(try object(value), reason: "Unschedulable", message: "m", now: epoch) == nil)
        let second = try #require(
            PodConditions.unscheduled(try object(value), reason: "Unschedulable", message: "other", now: epoch.adding(seconds: 9)))
        #expect(second["lastTransitionTime"]?.string == epoch.rfc3339)
    }
}

/// A small generator with a fixed seed, so that a failure can be had again.
struct SplitMix {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
