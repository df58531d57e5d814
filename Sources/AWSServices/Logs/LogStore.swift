package import AWSProtocol
import Dispatch
import SQLite

/// Limits of CloudWatch Logs. Upstream: "CloudWatch Logs quotas", logs PutLogEvents.
enum LogLimits {
    static let groups = 1_000_000
    /// What counts of an event beside its message.
    static let eventOverhead = 26
    static let messageBytes = 1_048_576 - eventOverhead
    static let batchBytes = 1_048_576
    static let batchEvents = 10_000
    /// Milliseconds that a batch may span, and that events may lie in the past or in the future.
    static let batchSpan: Int64 = 86_400_000
    static let past: Int64 = 14 * 86_400_000
    static let future: Int64 = 2 * 3_600_000
    /// Of an answer.
    static let pageEvents = 10_000
    static let pageBytes = 1_048_576
    static let retentions: Set<Int> = [
        1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1_096, 1_827, 2_192, 2_557, 2_922, 3_288, 3_653,
    ]
}

/// Log groups, streams and events in a file of their own: a write that returned is on the disk. Everything runs one after another off the
/// cooperative pool.
package final class LogStore: Sendable {
    /// Confined to the serial queue.
    private final class Confined: @unchecked Sendable {
        let database: LogDatabase
        init(_ database: LogDatabase) { self.database = database }
    }

    private let confined: Confined
    private let queue = DispatchQueue(label: "log-store")
    let tails = LiveTails()
    let clock: AWSClock

    /// Opens or creates the store at `path` (mode 0600). Throws `ServiceUnavailable`.
    package init(path: String, clock: AWSClock = .system) throws {
        do { confined = Confined(try LogDatabase(path: path)) } catch { throw ServiceUnavailable("the logs \(path) cannot be opened: \(error)") }
        self.clock = clock
    }

    /// Milliseconds since 1970.
    var now: Int64 { Int64(clock.now * 1_000) }

    /// Looks. Throws `ServiceUnavailable` for what SQLite says, and what `body` throws.
    func read<Result: Sendable>(_ body: @escaping @Sendable (LogDatabase) throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Result, any Error>) in
            queue.async {
                continuation.resume(
                    with: Swift.Result {
                        do { return try body(self.confined.database) } catch let error as SQLiteError {
                            throw ServiceUnavailable(error.isFull ? "no space left for the logs: \(error)" : "\(error)")
                        }
                    })
            }
        }
    }

    /// Changes, all or nothing; durable when it returns. Throws as `read`.
    func change<Result: Sendable>(_ body: @escaping @Sendable (LogDatabase) throws -> Result) async throws -> Result {
        try await read { database in try database.change { try body(database) } }
    }

    /// Writes events of the service's own into a stream; group and stream are made when they are not there. Events may come in any order; nothing
    /// is refused but what lies past the group's retention, which is left out. Throws `ServiceUnavailable`.
    package func put(group groupName: String, stream streamName: String, events: [LogEvent]) async throws {
        guard !events.isEmpty else { return }
        let now = now
        let kept = try await change { database in
            let group = try database.ensureGroup(groupName, now: now)
            let stream = try database.ensureStream(streamName, in: group, now: now)
            let horizon = group.horizon(now: now)
            let kept = events.lazy.filter { $0.timestamp >= horizon }.map { event in
                guard event.message.utf8.count > LogLimits.messageBytes else { return event }
                return LogEvent(
                    timestamp: event.timestamp, message: String(decoding: event.message.utf8.prefix(LogLimits.messageBytes), as: UTF8.self))
            }
            let written = Array(kept)
            try database.append(written, to: stream, of: group, now: now)
            return written
        }
        tails.publish(kept, group: groupName, stream: streamName, ingestedAt: now)
    }

    /// Finishes what is queued and closes the file; later calls throw.
    package func close() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            queue.async {
                self.confined.database.close()
                continuation.resume()
            }
        }
    }
}

extension LogDatabase {
    fileprivate func ensureGroup(_ name: String, now: Int64) throws -> LogGroup {
        if let known = try group(named: name) { return known }
        try insertGroup(name, createdAt: now, storageClass: "STANDARD", tags: [:])
        return try requireGroup(name)
    }

    fileprivate func ensureStream(_ name: String, in group: LogGroup, now: Int64) throws -> LogStream {
        if let known = try stream(named: name, in: group) { return known }
        try insertStream(name, in: group, createdAt: now)
        return try requireStream(name, in: group)
    }

    /// Throws ResourceNotFoundException.
    func requireGroup(_ name: String) throws -> LogGroup {
        guard let group = try group(named: name) else {
            throw AWSError("ResourceNotFoundException", "The specified log group does not exist.")
        }
        return group
    }

    /// Throws ResourceNotFoundException.
    func requireStream(_ name: String, in group: LogGroup) throws -> LogStream {
        guard let stream = try stream(named: name, in: group) else {
            throw AWSError("ResourceNotFoundException", "The specified log stream does not exist.")
        }
        return stream
    }
}
