import KubeAPI
import Logging
import Synchronization
import Testing

@testable import ControlPlane

/// Keeps what is delivered, by stream; refuses the first `failures` deliveries.
private final class Delivered: Sendable {
    private let state = Mutex((streams: [String: [String]](), failures: 0))
    init(failures: Int = 0) { state.withLock { $0.failures = failures } }

    var streams: [String: [String]] { state.withLock { $0.streams } }

    func take(_ stream: String, _ lines: [ControlPlaneLogLine]) throws {
        try state.withLock { state in
            guard state.failures == 0 else {
                state.failures -= 1
                throw ControlPlaneError.notReady("full")
            }
            state.streams[stream, default: []] += lines.map(\.text)
        }
    }
}

@Suite struct ControlPlaneLogsTests {
    private func logs(_ delivered: Delivered) -> ControlPlaneLogs {
        ControlPlaneLogs(cluster: "demo", streamID: "0123") { try delivered.take($0, $1) }
    }

    @Test("lines of types that are on come to streams of their names, in order; others are not even made")
    func types() async {
        let delivered = Delivered()
        let logs = logs(delivered)
        logs.enable(["audit", "scheduler", "nonsense"])
        for index in 0..<3 { logs.write(.audit, "audit \(index)") }
        logs.write(.scheduler, "scheduled")
        let isMade = Mutex(false)
        func made() -> String {
            isMade.withLock { $0 = true }
            return "x"
        }
        logs.write(.api, made())
        logs.enable(["scheduler"])
        logs.write(.audit, made())
        await logs.close()
        #expect(delivered.streams == ["kube-apiserver-audit-0123": ["audit 0", "audit 1", "audit 2"], "kube-scheduler-0123": ["scheduled"]])
        #expect(!isMade.withLock { $0 })
    }

    @Test("what cannot be delivered is tried again, in its order")
    func retries() async throws {
        let delivered = Delivered(failures: 1)
        let logs = logs(delivered)
        logs.enable(["api"])
        logs.write(.api, "first")
        let deadline = ContinuousClock.now + .seconds(10)
        while delivered.streams.isEmpty, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
        logs.write(.api, "second")
        await logs.close()
        #expect(delivered.streams["kube-apiserver-0123"] == ["first", "second"])
    }

    @Test("more than fits is lost, and the writer told")
    func limit() async {
        let logs = ControlPlaneLogs(cluster: "demo", streamID: "0") { _, _ in try await Task.sleep(for: .seconds(60)) }
        logs.enable(["audit"])
        let line = String(repeating: "x", count: 1 << 20)
        var taken = 0
        while logs.write(.audit, line), taken < 20 { taken += 1 }
        #expect(taken <= ControlPlaneLogs.limit >> 20 + 1)
        await logs.close()
    }

    @Test("a component's lines have the form of klog's")
    func klog() throws {
        let now = try #require(Timestamp(rfc3339: "2026-11-28T20:29:57.123456Z"))
        let line = KlogHandler.line(
            level: .debug, message: "Successfully bound pod to node", fields: ["pod": "default/web", "node": "a \"b\""],
            file: "KubeScheduler/Scheduler.swift", line: 163, now: now)
        #expect(
            line == #"I1128 20:29:57.123456       1 Scheduler.swift:163] "Successfully bound pod to node" node="a \"b\"" pod="default/web""#)
    }

    @Test("a logger's debug lines go to the log while it is on, and its own output stays as it was")
    func handler() async {
        let delivered = Delivered()
        let logs = logs(delivered)
        var logger = logs.logger("test", .scheduler)
        logger.logLevel = .critical
        logger.debug("before")
        logs.enable(["scheduler"])
        logger.debug("while", metadata: ["a": "b"])
        logger.trace("too much")
        await logs.close()
        logger.debug("after")
        #expect(delivered.streams["kube-scheduler-0123"]?.count == 1)
        #expect(delivered.streams["kube-scheduler-0123"]?.first?.hasSuffix(#"] "while" a="b""#) == true)
    }
}
