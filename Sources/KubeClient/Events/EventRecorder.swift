package import KubeAPI
package import Logging
import Synchronization

/// Writes core/v1 Events about objects: what `kubectl describe` shows. `event` never waits: events are queued and written by `run`; when the queue is
/// full, events are dropped, which the log tells from time to time. Upstream: client-go/tools/record.
package final class EventRecorder: Sendable {
    /// Events waiting to be written, in each lane: a burst of ten thousand bindings loses none. Upstream: record.maxQueuedEvents is 1000.
    static let queueLimit = 8192
    /// Events are written side by side, those of one object one after the other. Few at once: they can wait, what they tell of cannot.
    static let lanes = 2
    /// Attempts to write one event. Upstream: record.maxTriesPerEvent.
    static let attempts = 12
    /// Between attempts. Upstream: record.defaultSleepDuration.
    static let pause = Duration.seconds(10)
    /// The log tells of dropped events no more often: a burst drops thousands, and the time they would have taken is not spent on lines.
    static let reportPause = Duration.seconds(10)

    /// Upstream: core/v1 EventTypeNormal, EventTypeWarning.
    package enum EventType: String, Sendable {
        case normal = "Normal"
        case warning = "Warning"
    }

    struct Occurrence: Sendable {
        var regarding: ObjectReference
        var type: EventType
        var reason: String
        var message: String
        var time: Timestamp
    }

    /// How many events were dropped, and when the log told it last.
    private struct Drops: Sendable {
        var count = 0
        var reported: Duration?
    }

    private let client: KubeClient
    private let component: String
    private let host: String
    private let time: TimeSource
    private let wallClock: @Sendable () -> Timestamp
    private let logger: Logger
    private let drops = Mutex(Drops())
    private let queues: [(occurrences: AsyncStream<Occurrence>, input: AsyncStream<Occurrence>.Continuation)]

    /// `component` names the writer (`kubelet`, `default-scheduler`), `host` the node it runs on.
    package init(
        client: KubeClient, component: String, host: String = "", clock: any Clock<Duration> = ContinuousClock(),
        wallClock: @escaping @Sendable () -> Timestamp = { .now }, logger: Logger = Logger(label: "events")
    ) {
        self.client = client
        self.component = component
        self.host = host
        self.wallClock = wallClock
        self.logger = logger
        time = TimeSource(clock)
        queues = (0..<Self.lanes).map { _ in
            let (stream, input) = AsyncStream.makeStream(of: Occurrence.self, bufferingPolicy: .bufferingOldest(Self.queueLimit))
            return (occurrences: stream, input: input)
        }
    }

    /// Records that something happened to `object`.
    package func event(_ object: Object, _ type: EventType, reason: String, message: String) {
        event(regarding: ObjectReference(object), type, reason: reason, message: message)
    }

    /// Records that something happened to what `regarding` names.
    package func event(regarding: ObjectReference, _ type: EventType, reason: String, message: String) {
        let occurrence = Occurrence(regarding: regarding, type: type, reason: reason, message: message, time: wallClock())
        logger.debug(
            "Event occurred",
            metadata: [
                "object": "\(regarding.namespace.isEmpty ? "" : regarding.namespace + "/")\(regarding.name)", "kind": "\(regarding.kind)",
                "apiVersion": "\(regarding.apiVersion)", "type": "\(type.rawValue)", "reason": "\(reason)", "message": "\(message)",
            ])
        let lane = Int(UInt(bitPattern: "\(regarding.namespace)/\(regarding.name)".hashValue) % UInt(Self.lanes))
        if case .dropped = queues[lane].input.yield(occurrence) { dropped(occurrence) }
    }

    private func dropped(_ occurrence: Occurrence) {
        let now = time.now()
        let count = drops.withLock { drops -> Int? in
            drops.count += 1
            if let reported = drops.reported, now - reported < Self.reportPause { return nil }
            drops.reported = now
            return drops.count
        }
        guard let count else { return }
        logger.warning(
            "events dropped: too many are waiting to be written",
            metadata: ["droppedSinceStart": "\(count)", "reason": "\(occurrence.reason)", "object": "\(occurrence.regarding.name)"])
    }

    /// Writes events until the task is cancelled. Run once.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for queue in queues {
                group.addTask {
                    var correlator = EventCorrelator()
                    for await occurrence in queue.occurrences {
                        await self.write(occurrence, &correlator)
                        if Task.isCancelled { return }
                    }
                }
            }
        }
    }

    private func write(_ occurrence: Occurrence, _ correlator: inout EventCorrelator) async {
        guard let correlated = correlator.correlate(occurrence) else { return }
        let namespace = occurrence.regarding.namespace.isEmpty ? "default" : occurrence.regarding.namespace
        for attempt in 1...Self.attempts {
            do {
                if let known = correlated.known {
                    let change: Value = [
                        "count": .int(known.count), "lastTimestamp": .string(occurrence.time.rfc3339), "message": .string(correlated.message),
                    ]
                    do {
                        try await client.patch(.events, namespace: namespace, name: known.name, type: .merge, change)
                        return
                    } catch let error as StatusError where error.isNotFound {
                        // The event has expired: written anew below.
                    }
                }
                let name =
                    "\(occurrence.regarding.name).\(String(UInt64(bitPattern: occurrence.time.microseconds) &* 1000 &+ correlated.serial, radix: 16))"
                try await client.create(
                    .events, namespace: namespace, event(occurrence, named: name, namespace: namespace, message: correlated.message, correlated.known)
                )
                correlator.wrote(correlated, name: name)
                return
            } catch is CancellationError {
                return
            } catch let error as StatusError where error.code < 500 && error.code != 429 {
                logger.debug("event refused", metadata: ["reason": "\(occurrence.reason)", "error": "\(error.message)"])
                return
            } catch {
                guard attempt < Self.attempts else {
                    logger.warning("event given up", metadata: ["reason": "\(occurrence.reason)", "error": "\(error)"])
                    return
                }
                do { try await time.sleep(Self.pause) } catch { return }
            }
        }
    }

    private func event(_ occurrence: Occurrence, named name: String, namespace: String, message: String, _ known: EventCorrelator.Known?) -> Value {
        var source: Value = ["component": .string(component)]
        if !host.isEmpty { source["host"] = .string(host) }
        let first = known?.firstTime ?? occurrence.time
        return [
            "apiVersion": "v1", "kind": "Event", "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "involvedObject": occurrence.regarding.value, "reason": .string(occurrence.reason), "message": .string(message), "source": source,
            "firstTimestamp": .string(first.rfc3339), "lastTimestamp": .string(occurrence.time.rfc3339), "count": .int(known?.count ?? 1),
            "type": .string(occurrence.type.rawValue), "eventTime": nil, "reportingComponent": .string(component),
            "reportingInstance": .string(host),
        ]
    }
}
