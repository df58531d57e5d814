import KubeAPI

/// Keeps events from flooding the server: an event seen before raises a count, many alike become one combined event, and an object that causes too
/// many
/// is cut off for a while. Upstream: client-go/tools/record.EventCorrelator.
struct EventCorrelator {
    /// Similar events (all but the message alike) within `window` after which they are combined. Upstream: defaultAggregateMaxEvents,
    /// -IntervalInSeconds.
    static let similarLimit = 10
    static let windowMicroseconds: Int64 = 600 * 1_000_000
    /// Events of one source about one object at once, and the seconds after which one more is allowed. Upstream: defaultSpamBurst, defaultSpamQPS.
    static let burst = 25.0
    static let refillSeconds = 300.0
    /// Entries kept in each table; the table is emptied when it is full. Upstream: maxLruCacheEntries.
    static let tableLimit = 4096

    /// An event that was written.
    struct Known {
        var name: String
        var count: Int64
        var firstTime: Timestamp
    }

    struct Correlated {
        /// The message to write.
        var message: String
        /// The event to raise the count of; nil writes a new one.
        var known: Known?
        /// Distinguishes names of events of the same microsecond.
        var serial: UInt64
        fileprivate var key: Key
        fileprivate var time: Timestamp
    }

    fileprivate struct Key: Hashable {
        var regarding: ObjectReference
        var type: String
        var reason: String
        /// Empty in the key of similar events.
        var message: String
    }

    private struct Similar {
        var messages: Set<String> = []
        var last: Timestamp
    }

    private struct Bucket {
        var tokens: Double
        var last: Timestamp
    }

    private var known: [Key: Known] = [:]
    private var similar: [Key: Similar] = [:]
    private var buckets: [ObjectReference: Bucket] = [:]
    private var serial: UInt64 = 0

    /// What to write for `occurrence`; nil when its object has caused too many.
    mutating func correlate(_ occurrence: EventRecorder.Occurrence) -> Correlated? {
        var regarding = occurrence.regarding
        // Events of an object's versions are alike.
        regarding.resourceVersion = ""
        guard takeToken(regarding, occurrence.time) else { return nil }

        var key = Key(regarding: regarding, type: occurrence.type.rawValue, reason: occurrence.reason, message: "")
        var message = occurrence.message
        var alike = similar[key] ?? Similar(last: occurrence.time)
        if occurrence.time.microseconds - alike.last.microseconds > Self.windowMicroseconds { alike.messages = [] }
        alike.last = occurrence.time
        let isNew = alike.messages.count < Self.similarLimit ? alike.messages.insert(message).inserted : !alike.messages.contains(message)
        if similar.count >= Self.tableLimit { similar.removeAll() }
        similar[key] = alike
        if isNew, alike.messages.count >= Self.similarLimit {
            // Combined events share one key, without a message.
            message = "(combined from similar events): \(message)"
        } else {
            key.message = message
        }

        serial &+= 1
        if var seen = known[key] {
            seen.count += 1
            known[key] = seen
            return Correlated(message: message, known: seen, serial: serial, key: key, time: occurrence.time)
        }
        return Correlated(message: message, known: nil, serial: serial, key: key, time: occurrence.time)
    }

    /// Remembers an event that was created.
    mutating func wrote(_ correlated: Correlated, name: String) {
        if known.count >= Self.tableLimit { known.removeAll() }
        known[correlated.key] = Known(name: name, count: correlated.known?.count ?? 1, firstTime: correlated.known?.firstTime ?? correlated.time)
    }

    private mutating func takeToken(_ regarding: ObjectReference, _ now: Timestamp) -> Bool {
        if buckets.count >= Self.tableLimit { buckets.removeAll() }
        var bucket = buckets[regarding] ?? Bucket(tokens: Self.burst, last: now)
        bucket.tokens = min(Self.burst, bucket.tokens + max(0, now.timeInterval(since: bucket.last)) / Self.refillSeconds)
        bucket.last = now
        let allowed = bucket.tokens >= 1
        if allowed { bucket.tokens -= 1 }
        buckets[regarding] = bucket
        return allowed
    }
}
