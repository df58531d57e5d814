import KubeAPI
import Testing

@testable import SimulatedNodes

private let epoch = Timestamp(seconds: 1_767_225_600)

/// A pod on a node: its annotations (without their prefix), its phase and what else is said of it.
private func pod(
    _ annotations: [String: String] = [:], phase: String = "Pending", policy: String = "Always", started: Timestamp? = nil,
    deleted: (at: Timestamp, grace: Int64)? = nil
) throws -> Object {
    var metadata: Value = ["name": "p", "namespace": "default", "uid": "u", "resourceVersion": "1"]
    metadata["annotations"] = Value(Dictionary(uniqueKeysWithValues: annotations.map { ("eyrie.dev/simulated-\($0.key)", $0.value) }))
    if let deleted {
        metadata["deletionTimestamp"] = .string(deleted.at.adding(seconds: deleted.grace).rfc3339)
        metadata["deletionGracePeriodSeconds"] = .int(deleted.grace)
    }
    var status: Value = [
        "phase": .string(phase), "conditions": [["type": "PodScheduled", "status": "True", "lastTransitionTime": .string(epoch.rfc3339)]],
    ]
    if let started {
        status["containerStatuses"] = [["name": "c", "restartCount": 2, "state": ["running": ["startedAt": .string(started.rfc3339)]]]]
    }
    let spec: Value = [
        "nodeName": "n", "restartPolicy": .string(policy), "containers": [["name": "c", "image": "busybox"]],
        "initContainers": [["name": "i", "image": "busybox"], ["name": "s", "image": "busybox", "restartPolicy": "Always"]],
    ]
    return try Object(["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status])
}

@Suite("Simulated nodes: a pod's life")
struct PodLifeTests {
    @Test("a pod without annotations starts at once and runs on")
    func plain() throws {
        #expect(PodLife.next(try pod(), now: epoch) == .start)
        #expect(PodLife.next(try pod(phase: "Running", started: epoch), now: epoch.adding(seconds: 9999)) == .nothing)
    }

    @Test("a start that takes time is waited for from the binding on")
    func slowStart() throws {
        let slow = try pod(["start-seconds": "5"])
        #expect(PodLife.next(slow, now: epoch.adding(seconds: 2)) == .wait(3))
        #expect(PodLife.next(slow, now: epoch.adding(seconds: 5)) == .start)
    }

    @Test(
        "containers exit after their time, and run again as the restart policy has it",
        arguments: [
            ("Never", "0", PodLife.Step.finish(code: 0)), ("Never", "3", .finish(code: 3)), ("OnFailure", "0", .finish(code: 0)),
            ("OnFailure", "3", .restart(code: 3)), ("Always", "0", .restart(code: 0)), ("Never", "9999", .finish(code: 255)),
            ("Never", "-1", .finish(code: 0)), ("Never", "x", .finish(code: 0)),
        ])
    func exits(policy: String, code: String, step: PodLife.Step) throws {
        let pod = try pod(["run-seconds": "10", "exit-code": code], phase: "Running", policy: policy, started: epoch)
        #expect(PodLife.next(pod, now: epoch.adding(seconds: 4)) == .wait(6))
        #expect(PodLife.next(pod, now: epoch.adding(seconds: 10)) == step)
    }

    @Test("one that exits at once is not restarted more than once a second; a time that is no number is none")
    func oddTimes() throws {
        let hasty = try pod(["run-seconds": "0"], phase: "Running", started: epoch)
        #expect(PodLife.next(hasty, now: epoch) == .wait(1))
        #expect(PodLife.next(try pod(["run-seconds": "soon"], phase: "Running", started: epoch), now: epoch.adding(seconds: 99)) == .nothing)
        #expect(PodLife.next(try pod(["start-seconds": "-7"]), now: epoch) == .start)
        #expect(PodLife.next(try pod(["start-seconds": "9223372036854775807"]), now: epoch) == .wait(365 * 86_400))
    }

    @Test("a deleted pod goes at once, or after the time it takes to end, but never later than its grace")
    func deletion() throws {
        func next(_ stop: String?, grace: Int64, after: Int64, phase: String = "Running") throws -> PodLife.Step {
            let annotations = stop.map { ["stop-seconds": $0] } ?? [:]
            let gone = try pod(annotations, phase: phase, started: epoch, deleted: (epoch, grace))
            return PodLife.next(gone, now: epoch.adding(seconds: after))
        }
        #expect(try next(nil, grace: 30, after: 0) == .remove)
        #expect(try next("10", grace: 30, after: 4) == .wait(6))
        #expect(try next("10", grace: 30, after: 10) == .remove)
        #expect(try next("60", grace: 30, after: 29) == .wait(1))
        #expect(try next("60", grace: 30, after: 30) == .remove)
        #expect(try next("60", grace: 30, after: 0, phase: "Succeeded") == .remove)
        #expect(try next("60", grace: 30, after: 0, phase: "Pending") == .remove)
    }

    @Test("what has ended stays as it is")
    func over() throws {
        #expect(PodLife.next(try pod(["run-seconds": "1"], phase: "Failed", started: epoch), now: epoch.adding(seconds: 50)) == .nothing)
    }

    @Test("the status tells of init containers, sidecars, restarts and exits")
    func status() throws {
        let running = PodStatus.running(try pod(), podIP: "100.80.0.1", hostIP: "100.64.0.1", now: epoch)
        #expect(running[path: "status", "phase"] == "Running")
        let inits = running[path: "status", "initContainerStatuses"]?.array ?? []
        #expect(inits.map { $0[path: "state", "terminated"] != nil } == [true, false])
        #expect(inits.map { $0[path: "state", "running"] != nil } == [false, true])
        let live = try pod(phase: "Running", started: epoch)
        let again = PodStatus.restarted(live, code: 3, now: epoch.adding(seconds: 9))[path: "status", "containerStatuses"]?.array?.first
        #expect(again?["restartCount"] == 3)
        #expect(again?[path: "lastState", "terminated", "exitCode"] == 3)
        let done = PodStatus.finished(live, code: 1, now: epoch.adding(seconds: 9))
        #expect(done[path: "status", "phase"] == "Failed")
        #expect(done[path: "status", "containerStatuses"]?.array?.first?[path: "state", "terminated", "startedAt"] == .string(epoch.rfc3339))
    }
}

@Suite("Simulated nodes: addresses and leases")
struct FleetPartTests {
    @Test("addresses are each somebody's only, are kept as seen, and come back")
    func addresses() {
        var range = AddressRange(base: 10 << 24, count: 4)
        #expect(range.address(of: "a") == "10.0.0.1")
        #expect(range.address(of: "a") == "10.0.0.1")
        #expect(range.address(of: "b", seen: "10.0.0.3") == "10.0.0.3")
        #expect(range.address(of: "c", seen: "10.0.0.3") == "10.0.0.2")
        #expect(range.address(of: "d") == nil)
        range.release("a")
        #expect(range.address(of: "d", seen: "not an address") == "10.0.0.1")
    }

    @Test("the wheel spreads nodes evenly, and forgets those that go")
    func wheel() {
        var wheel = LeaseWheel()
        for number in 0..<250 { wheel.insert("n\(number)") }
        wheel.insert("n0")
        #expect(wheel.count == 250)
        let sizes = (0..<LeaseWheel.slotCount).map { wheel.names($0).count }
        // Whole groups, but for the last; a commit serves each.
        #expect(sizes.filter { $0 == LeaseWheel.groupSize }.count == 31)
        #expect(sizes.sorted(by: >).dropFirst(31).prefix(2) == [2, 0])
        for number in 250..<5000 { wheel.insert("n\(number)") }
        let full = (0..<LeaseWheel.slotCount).map { wheel.names($0).count }
        #expect(full.max() == 56 && full.min() == 48)
        for number in 0..<5000 { wheel.remove("n\(number)") }
        #expect(wheel.count == 0 && wheel.names(0).isEmpty && wheel.names(-1).isEmpty)
    }

    @Test("a node has what its instance type has, less what EKS keeps back")
    func node() throws {
        let node = SimulatedNode(
            name: "n", address: "100.64.0.1", providerID: "aws:///a/i-1", vcpus: 2, memoryMiB: 4096, maxPods: 17, labels: ["a": "b"],
            taints: [("k", "", "NoSchedule")], kubeletVersion: "v1.36.2")
        let object = try Object(NodeObjects.node(node, now: epoch))
        #expect(NodeObjects.isReady(object))
        #expect(object["status"]["allocatable"]["cpu"].string == "1930m")
        #expect(object["status"]["allocatable"]["memory"].string == "3654Mi")
        #expect(object.metadata.labels == ["a": "b", "eyrie.dev/runtime": "simulated"])
    }
}
