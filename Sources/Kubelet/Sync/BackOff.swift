import KubeAPI

/// Doubling pauses by key. A pure record: times are given. Upstream: client-go/util/flowcontrol.Backoff.
struct BackOff: Sendable {
    struct Entry: Sendable {
        /// Seconds.
        var delay: Double
        var updated: Timestamp
    }

    let initial: Double
    let limit: Double
    private(set) var entries: [String: Entry] = [:]

    /// Both in seconds.
    init(initial: Double, limit: Double) {
        self.initial = initial
        self.limit = limit
    }

    /// An entry untouched for twice the longest pause begins anew.
    private func hasExpired(_ entry: Entry, at time: Timestamp) -> Bool { time.timeInterval(since: entry.updated) > 2 * limit }

    /// Seconds still to wait after something that happened at `event`; nil when there is nothing to wait for. Upstream: IsInBackOffSince.
    func remaining(_ key: String, since event: Timestamp, now: Timestamp) -> (left: Double, delay: Double)? {
        guard let entry = entries[key], !hasExpired(entry, at: event) else { return nil }
        let left = entry.delay - now.timeInterval(since: event)
        return left > 0 ? (left, entry.delay) : nil
    }

    /// Seconds still to wait since the entry's own last step. Upstream: IsInBackOffSinceUpdate.
    func remainingSinceUpdate(_ key: String, now: Timestamp) -> (left: Double, delay: Double)? {
        guard let entry = entries[key], !hasExpired(entry, at: now) else { return nil }
        let left = entry.delay - now.timeInterval(since: entry.updated)
        return left > 0 ? (left, entry.delay) : nil
    }

    /// Takes the next step for something that happened at `event`. Upstream: Next.
    mutating func next(_ key: String, event: Timestamp, now: Timestamp) {
        if let entry = entries[key], !hasExpired(entry, at: event) {
            entries[key] = Entry(delay: min(entry.delay * 2, limit), updated: now)
        } else {
            entries[key] = Entry(delay: initial, updated: now)
        }
    }

    mutating func reset(_ key: String) { entries[key] = nil }
}

extension Duration {
    /// The duration in seconds, with its fraction.
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}

/// Seconds as Go prints a time.Duration of them: `10s`, `2m40s`, `5m0s`.
func goDuration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e15 else { return "\(seconds)s" }
    if seconds < 60 { return seconds == seconds.rounded() ? "\(Int64(seconds))s" : "\(seconds)s" }
    let whole = Int64(seconds)
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    return hours > 0 ? "\(hours)h\(minutes)m\(rest)s" : "\(minutes)m\(rest)s"
}
