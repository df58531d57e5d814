/// Upstream: logs LogGroup.
struct LogGroup: Sendable, Equatable {
    var id: Int64
    var name: String
    /// Milliseconds since 1970.
    var createdAt: Int64
    /// Days; nil for ever.
    var retention: Int?
    var storedBytes: Int64
    /// `STANDARD` or `INFREQUENT_ACCESS`.
    var storageClass: String
    var tags: [String: String]

    /// The time before which its events are gone.
    func horizon(now: Int64) -> Int64 { retention.map { now - Int64($0) * 86_400_000 } ?? Int64.min }
}

/// Upstream: logs LogStream.
struct LogStream: Sendable, Equatable {
    var id: Int64
    var name: String
    var createdAt: Int64
    var firstEvent: Int64?
    var lastEvent: Int64?
    var lastIngestion: Int64?
}

/// An event to be written. Upstream: logs InputLogEvent.
package struct LogEvent: Sendable, Equatable {
    /// Milliseconds since 1970.
    package var timestamp: Int64
    package var message: String

    package init(timestamp: Int64, message: String) {
        self.timestamp = timestamp
        self.message = message
    }
}

/// An event as it is stored.
struct StoredEvent: Sendable, Equatable {
    var position: LogPosition
    var streamID: Int64
    var ingestedAt: Int64
    var message: String
}

/// Where an event stands among the others: by time, then in the order of arrival.
struct LogPosition: Sendable, Equatable, Comparable {
    var time: Int64
    var sequence: Int64

    static func < (a: LogPosition, b: LogPosition) -> Bool { a.time == b.time ? a.sequence < b.sequence : a.time < b.time }

    static let first = LogPosition(time: Int64.min, sequence: Int64.min)
    static let last = LogPosition(time: Int64.max, sequence: Int64.max)
}
