import KubeClient
import Synchronization

/// What happened to the requests of one flow schema at one priority level. Outlives changes of the configuration.
final class FlowStatistics: Sendable {
    /// Why requests were refused. Upstream: the label `reason` of apiserver_flowcontrol_rejected_requests_total.
    enum Refusal: Int, CaseIterable, Sendable {
        case queueFull, concurrencyLimit, timeOut, cancelled

        var label: String {
            switch self {
            case .queueFull: "queue-full"
            case .concurrencyLimit: "concurrency-limit"
            case .timeOut: "time-out"
            case .cancelled: "cancelled"
            }
        }
    }

    /// Seconds. Upstream: requestDurationSecondsBuckets of the flow control metrics.
    static let buckets: [Double] = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30]

    let level: String
    let schema: String
    let dispatched = Atomic<Int>(0)
    let executing = Atomic<Int>(0)
    let seatsInUse = Atomic<Int>(0)
    let waiting = Atomic<Int>(0)
    private let refused = Mutex([Int](repeating: 0, count: Refusal.allCases.count))
    let waits = Histogram(buckets: buckets)
    let executions = Histogram(buckets: buckets)

    init(level: String, schema: String) {
        self.level = level
        self.schema = schema
    }

    func refuse(_ why: Refusal) { refused.withLock { $0[why.rawValue] += 1 } }
    var refusals: [(Refusal, Int)] { refused.withLock { counts in Refusal.allCases.map { ($0, counts[$0.rawValue]) } } }

    func begin(seats: Int, waited: Double) {
        dispatched.wrappingAdd(1, ordering: .relaxed)
        executing.wrappingAdd(1, ordering: .relaxed)
        seatsInUse.wrappingAdd(seats, ordering: .relaxed)
        waits.observe(waited)
    }

    func end(seats: Int, seconds: Double) {
        executing.wrappingSubtract(1, ordering: .relaxed)
        seatsInUse.wrappingSubtract(seats, ordering: .relaxed)
        executions.observe(seconds)
    }
}

/// The seconds to come back after: one, and twice as long for each second in which many were refused, up to 32. Upstream:
/// flowcontrol.droppedRequestsTracker.
struct RetryAfter: Sendable {
    static let maximum = 32
    private(set) var seconds = 1
    private var second: Int64 = 0
    private var dropped = 0

    /// A request was refused in the second `now`.
    mutating func refused(at now: Int64) -> Int {
        if now != second {
            // Quiet seconds between have halved it.
            let quiet = min(6, max(0, now - second - 1))
            if dropped > 3 * seconds { seconds = min(Self.maximum, seconds * 2) } else if dropped < seconds { seconds = max(1, seconds / 2) }
            seconds = max(1, seconds >> Int(quiet))
            second = now
            dropped = 0
        }
        dropped += 1
        return seconds
    }
}
