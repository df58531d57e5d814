import AWSProtocol
import SQLite

/// The tables of log groups, streams and events. An event is one row of a table ordered by stream, time and arrival: writing one costs a page at the
/// end of its stream, reading a page of them reads a page. Used on its store's queue only.
final class LogDatabase {
    private let connection: Connection
    private var lastSequence: Int64
    /// When a group's events were last looked through for those past its retention, by group.
    private var lastExpiry: [Int64: Int64] = [:]

    /// Milliseconds between two removals of a group's old events; reading leaves them out at once.
    private static let expiryInterval: Int64 = 3_600_000
    private static let checkpointPages = 1_000

    /// Throws `SQLiteError`.
    init(path: String) throws {
        connection = try Connection(path: path)
        try connection.execute(
            """
            CREATE TABLE IF NOT EXISTS groups(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, retention INTEGER,
              bytes INTEGER NOT NULL DEFAULT 0, class TEXT NOT NULL, tags TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS streams(id INTEGER PRIMARY KEY, groupId INTEGER NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL,
              first INTEGER, last INTEGER, ingested INTEGER, UNIQUE(groupId, name));
            CREATE TABLE IF NOT EXISTS events(stream INTEGER NOT NULL, time INTEGER NOT NULL, sequence INTEGER NOT NULL, ingested INTEGER NOT NULL,
              message TEXT NOT NULL, PRIMARY KEY(stream, time, sequence)) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
            """)
        let rows = try connection.statement("SELECT value FROM counters WHERE name = 'sequence'")
        lastSequence = try rows.step() ? rows.int64(0) : 0
        rows.reset()
    }

    func close() { connection.close() }

    /// Makes all of `body`'s changes or none, and keeps the log of changes short. Throws `SQLiteError` and what `body` throws.
    func change<Result>(_ body: () throws -> Result) throws -> Result {
        let sequence = lastSequence
        do {
            let result = try connection.transaction(body)
            if connection.walPages >= Self.checkpointPages {
                // What was committed is safe in the log; a checkpoint that fails is tried again after the next commit.
                try? connection.checkpoint()
            }
            return result
        } catch {
            lastSequence = sequence
            throw error
        }
    }

    // MARK: - Groups

    private static let groupColumns = "id, name, created, retention, bytes, class, tags"

    private func group(_ row: Statement) -> LogGroup {
        let tags = (try? AWSJSON(parsing: row.blob(6)))?.stringMap ?? [:]
        return LogGroup(
            id: row.int64(0), name: row.text(1), createdAt: row.int64(2), retention: row.isNull(3) ? nil : Int(row.int64(3)),
            storedBytes: row.int64(4), storageClass: row.text(5), tags: tags)
    }

    func group(named name: String) throws -> LogGroup? {
        let rows = try connection.statement("SELECT \(Self.groupColumns) FROM groups WHERE name = ?").bind(1, name)
        defer { rows.reset() }
        return try rows.step() ? group(rows) : nil
    }

    /// All groups after `name`, in order, as far as `isWanted` takes them, `limit` at most.
    func groups(after name: String, limit: Int, _ isWanted: (LogGroup) -> Bool) throws -> [LogGroup] {
        let rows = try connection.statement("SELECT \(Self.groupColumns) FROM groups WHERE name > ? ORDER BY name").bind(1, name)
        defer { rows.reset() }
        var found: [LogGroup] = []
        while found.count < limit, try rows.step() {
            let one = group(rows)
            if isWanted(one) { found.append(one) }
        }
        return found
    }

    func insertGroup(_ name: String, createdAt: Int64, storageClass: String, tags: [String: String]) throws {
        try connection.statement("INSERT INTO groups(name, created, class, tags) VALUES(?, ?, ?, ?)").bind(1, name).bind(2, createdAt)
            .bind(3, storageClass).bind(4, AWSJSON.map(tags).encoded).run()
    }

    func updateGroup(_ group: LogGroup) throws {
        try connection.statement("UPDATE groups SET retention = ?, tags = ? WHERE id = ?").bind(1, group.retention.map { Int64($0) })
            .bind(2, AWSJSON.map(group.tags).encoded).bind(3, group.id).run()
    }

    func countGroups() throws -> Int64 {
        let rows = try connection.statement("SELECT count(*) FROM groups")
        defer { rows.reset() }
        return try rows.step() ? rows.int64(0) : 0
    }

    func deleteGroup(_ group: LogGroup) throws {
        try connection.statement("DELETE FROM events WHERE stream IN (SELECT id FROM streams WHERE groupId = ?)").bind(1, group.id).run()
        try connection.statement("DELETE FROM streams WHERE groupId = ?").bind(1, group.id).run()
        try connection.statement("DELETE FROM groups WHERE id = ?").bind(1, group.id).run()
        lastExpiry[group.id] = nil
    }

    // MARK: - Streams

    private static let streamColumns = "id, name, created, first, last, ingested"

    private func stream(_ row: Statement) -> LogStream {
        func optional(_ index: Int32) -> Int64? { row.isNull(index) ? nil : row.int64(index) }
        return LogStream(
            id: row.int64(0), name: row.text(1), createdAt: row.int64(2), firstEvent: optional(3), lastEvent: optional(4), lastIngestion: optional(5))
    }

    func stream(named name: String, in group: LogGroup) throws -> LogStream? {
        let rows = try connection.statement("SELECT \(Self.streamColumns) FROM streams WHERE groupId = ? AND name = ?").bind(1, group.id).bind(
            2, name)
        defer { rows.reset() }
        return try rows.step() ? stream(rows) : nil
    }

    /// The group's streams whose names begin with `prefix`, by name.
    func streams(in group: LogGroup, prefix: String = "") throws -> [LogStream] {
        let rows = try connection.statement("SELECT \(Self.streamColumns) FROM streams WHERE groupId = ? AND name >= ? ORDER BY name").bind(
            1, group.id
        )
        .bind(2, prefix)
        defer { rows.reset() }
        var found: [LogStream] = []
        while try rows.step() {
            let one = stream(rows)
            guard one.name.hasPrefix(prefix) else { break }
            found.append(one)
        }
        return found
    }

    func insertStream(_ name: String, in group: LogGroup, createdAt: Int64) throws {
        try connection.statement("INSERT INTO streams(groupId, name, created) VALUES(?, ?, ?)").bind(1, group.id).bind(2, name).bind(3, createdAt)
            .run()
    }

    func deleteStream(_ stream: LogStream, in group: LogGroup) throws {
        let rows = try connection.statement("SELECT coalesce(sum(length(CAST(message AS BLOB)) + 26), 0) FROM events WHERE stream = ?").bind(
            1, stream.id)
        let bytes = try rows.step() ? rows.int64(0) : 0
        rows.reset()
        try connection.statement("DELETE FROM events WHERE stream = ?").bind(1, stream.id).run()
        try connection.statement("DELETE FROM streams WHERE id = ?").bind(1, stream.id).run()
        try connection.statement("UPDATE groups SET bytes = max(0, bytes - ?) WHERE id = ?").bind(1, bytes).bind(2, group.id).run()
    }

    // MARK: - Events

    /// Adds events to a stream. In a transaction.
    func append(_ events: some Collection<LogEvent>, to stream: LogStream, of group: LogGroup, now: Int64) throws {
        guard let first = events.map(\.timestamp).min(), let last = events.map(\.timestamp).max() else { return }
        var bytes: Int64 = 0
        for event in events {
            lastSequence += 1
            bytes += Int64(event.message.utf8.count) + Int64(LogLimits.eventOverhead)
            try connection.statement("INSERT INTO events(stream, time, sequence, ingested, message) VALUES(?, ?, ?, ?, ?)").bind(1, stream.id)
                .bind(2, event.timestamp).bind(3, lastSequence).bind(4, now).bind(5, event.message).run()
        }
        try connection.statement("INSERT OR REPLACE INTO counters(name, value) VALUES('sequence', ?)").bind(1, lastSequence).run()
        try connection.statement("UPDATE groups SET bytes = bytes + ? WHERE id = ?").bind(1, bytes).bind(2, group.id).run()
        try connection.statement(
            "UPDATE streams SET first = min(coalesce(first, ?1), ?1), last = max(coalesce(last, ?2), ?2), ingested = ?3 WHERE id = ?4"
        )
        .bind(1, first).bind(2, last).bind(3, now).bind(4, stream.id).run()
        try expire(group, now: now)
    }

    /// Removes what is past the group's retention, once an hour. In a transaction.
    private func expire(_ group: LogGroup, now: Int64) throws {
        guard group.retention != nil, now - (lastExpiry[group.id] ?? 0) >= Self.expiryInterval else { return }
        lastExpiry[group.id] = now
        let horizon = group.horizon(now: now)
        for stream in try streams(in: group) where stream.firstEvent ?? Int64.max < horizon {
            let rows = try connection.statement(
                "SELECT coalesce(sum(length(CAST(message AS BLOB)) + 26), 0) FROM events WHERE stream = ? AND time < ?"
            ).bind(1, stream.id).bind(2, horizon)
            let bytes = try rows.step() ? rows.int64(0) : 0
            rows.reset()
            try connection.statement("DELETE FROM events WHERE stream = ? AND time < ?").bind(1, stream.id).bind(2, horizon).run()
            try connection.statement("UPDATE streams SET first = (SELECT min(time) FROM events WHERE stream = ?1) WHERE id = ?1").bind(1, stream.id)
                .run()
            try connection.statement("UPDATE groups SET bytes = max(0, bytes - ?) WHERE id = ?").bind(1, bytes).bind(2, group.id).run()
        }
    }

    /// Events of a stream strictly between two positions: the first of them, or the last when `isBackward`; always in that direction's order.
    func events(of stream: Int64, after: LogPosition, before: LogPosition, isBackward: Bool, limit: Int) throws -> [StoredEvent] {
        let order = isBackward ? "time DESC, sequence DESC" : "time, sequence"
        let rows = try connection.statement(
            "SELECT time, sequence, ingested, message FROM events WHERE stream = ?1 AND (time, sequence) > (?2, ?3) AND (time, sequence) < (?4, ?5) "
                + "ORDER BY \(order) LIMIT ?6"
        ).bind(1, stream).bind(2, after.time).bind(3, after.sequence).bind(4, before.time).bind(5, before.sequence).bind(6, Int64(limit))
        defer { rows.reset() }
        var found: [StoredEvent] = []
        while try rows.step() {
            found.append(
                StoredEvent(
                    position: LogPosition(time: rows.int64(0), sequence: rows.int64(1)), streamID: stream, ingestedAt: rows.int64(2),
                    message: rows.text(3)))
        }
        return found
    }
}
