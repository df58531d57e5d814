import KubeAPI
import Logging
import Synchronization
import Testing

@testable import KubeClient

struct EventTests {
    private let pod = ObjectReference(apiVersion: "v1", kind: "Pod", namespace: "default", name: "web", uid: "u1", resourceVersion: "5")

    private func occurrence(_ message: String, reason: String = "BackOff", at seconds: Int64 = 0) -> EventRecorder.Occurrence {
        EventRecorder.Occurrence(regarding: pod, type: .warning, reason: reason, message: message, time: Timestamp(seconds: 1_000_000 + seconds))
    }

    @Test("an event seen before raises the count of the one written")
    func counts() throws {
        var correlator = EventCorrelator()
        let written = correlator.correlate(occurrence("back-off"))
        let first = try #require(written)
        #expect(first.known == nil)
        correlator.wrote(first, name: "web.1")
        let repeated = correlator.correlate(occurrence("back-off", at: 5))
        let second = try #require(repeated)
        #expect(second.known?.name == "web.1" && second.known?.count == 2)
        #expect(second.known?.firstTime == Timestamp(seconds: 1_000_000))
        let other = correlator.correlate(occurrence("other"))
        #expect(other != nil && other?.known == nil)
    }

    @Test("from the tenth similar event on they are combined into one")
    func combines() throws {
        var correlator = EventCorrelator()
        var messages: [String] = []
        for number in 0..<12 {
            let result = correlator.correlate(occurrence("attempt \(number)"))
            let correlated = try #require(result)
            messages.append(correlated.message)
            correlator.wrote(correlated, name: "web.\(number)")
            if number == 11 { #expect(correlated.known?.count == 3) }
        }
        #expect(messages[8] == "attempt 8")
        #expect(messages[9...].allSatisfy { $0.hasPrefix("(combined from similar events): attempt") })
    }

    @Test("an object that causes more than 25 events at once is cut off, and one more is allowed after five minutes")
    func cutsOff() {
        var correlator = EventCorrelator()
        var passed = 0
        for number in 0..<40 where correlator.correlate(occurrence("m", reason: "R\(number)")) != nil { passed += 1 }
        #expect(passed == 25)
        let later = (0..<2).map { _ in correlator.correlate(occurrence("m", at: 301)) != nil }
        #expect(later == [true, false])
    }

    @Test("the recorder writes core/v1 Events, then patches their count, without holding up its caller")
    func writes() async throws {
        let server = FakeServer()
        let recorder = EventRecorder(
            client: KubeClient(transport: server), component: "kubelet", host: "n1", wallClock: { Timestamp(seconds: 1_700_000_000) })
        for _ in 0..<2 { recorder.event(regarding: pod, .normal, reason: "Pulled", message: "image present") }
        let run = Task { await recorder.run() }
        while server.requests.count < 2 { await Task.yield() }
        run.cancel()
        await run.value
        let created = try Object(bytes: try #require(server.requests[0].body))
        #expect(server.requests[0].verb == .create && server.requests[0].namespace == "default")
        #expect(created.metadata.name.hasPrefix("web."))
        #expect(created["involvedObject"]["uid"].string == "u1" && created["source"]["host"].string == "n1")
        #expect(created["count"].int == 1 && created["firstTimestamp"].string == "2023-11-14T22:13:20Z" && created["type"].string == "Normal")
        let patched = try Object(bytes: try #require(server.requests[1].body))
        #expect(server.requests[1].verb == .patch && server.requests[1].name == created.metadata.name && patched["count"].int == 2)
    }

    @Test("more events than the queue holds are dropped, not waited for; the log tells it every ten seconds, not for each")
    func drops() async throws {
        let (clock, log) = (ManualClock(), WarningLog())
        let recorder = EventRecorder(
            client: KubeClient(transport: FakeServer()), component: "test", clock: clock, logger: Logger(label: "events") { _ in log })
        func burst() {
            for number in 0..<(EventRecorder.queueLimit + 10) { recorder.event(regarding: pod, .normal, reason: "R\(number)", message: "m") }
        }
        burst()
        #expect(log.counts == ["1"])
        burst()
        #expect(log.counts == ["1"])
        clock.advance(by: EventRecorder.reportPause)
        burst()
        // The first burst lost ten, the second all, the third its first then.
        #expect(log.counts == ["1", "\(10 + EventRecorder.queueLimit + 10 + 1)"])
    }
}

/// Keeps how many events the warnings say were dropped.
private struct WarningLog: LogHandler {
    private final class Told: Sendable { let counts = Mutex<[String]>([]) }
    private let told = Told()
    var counts: [String] { told.counts.withLock { $0 } }
    var logLevel = Logger.Level.warning
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        guard let count = event.metadata?["droppedSinceStart"] else { return }
        told.counts.withLock { $0.append("\(count)") }
    }
}
