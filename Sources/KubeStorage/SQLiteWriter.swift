internal import Glibc
import KubeAPI
import SQLite

/// The database behind a `SQLiteStore`. Confined to the store's serial queue.
final class Writer: @unchecked Sendable {
    private static let schema = """
        CREATE TABLE IF NOT EXISTS entries(
            key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, create_revision INTEGER NOT NULL, mod_revision INTEGER NOT NULL, expires INTEGER);
        CREATE INDEX IF NOT EXISTS entries_expires ON entries(expires) WHERE expires IS NOT NULL;
        CREATE TABLE IF NOT EXISTS meta(name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL);
        """
    /// The form of the tables above.
    private static let schemaVersion: Int64 = 1

    /// Bytes of a page: SQLite's default, and that of the file systems.
    private static let pageSize: Int64 = 4096

    private let connection: Connection
    /// Of the last commit.
    private(set) var revision: Int64
    private(set) var isClosed = false
    /// The time for which a removal of expired keys is armed, in seconds since 1970.
    var armedExpiry: Int64?

    static var now: Int64 { Timestamp.now.seconds }

    /// Throws `SQLiteError`.
    init(path: String, maximumBytes: Int64?) throws {
        connection = try Connection(path: path)
        let connection = connection
        if let maximumBytes { try connection.execute("PRAGMA max_page_count=\(max(1, maximumBytes / Self.pageSize))") }
        revision = try connection.transaction {
            try connection.execute(Self.schema)
            try connection.statement("INSERT OR IGNORE INTO meta(name, value) VALUES('schema', ?), ('revision', ?)")
                .bind(1, Self.schemaVersion).bind(2, MemoryStore.firstRevision).run()
            let schema = try connection.statement("SELECT value FROM meta WHERE name = 'schema'")
            guard try schema.step(), schema.int64(0) == Self.schemaVersion else {
                throw SQLiteError(code: 26, message: "\(path) was written by another version of Eyrie (schema \(schema.int64(0)))")
            }
            let row = try connection.statement("SELECT value FROM meta WHERE name = 'revision'")
            return try row.step() ? row.int64(0) : MemoryStore.firstRevision
        }
    }

    var walPages: Int { connection.walPages }

    func checkpoint() {
        // What was committed is safe in the log; a checkpoint that fails (a full disk) is tried again later.
        try? connection.checkpoint()
    }

    /// Throws `SQLiteError`.
    func vacuum() throws {
        try connection.execute("VACUUM")
        try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    func close() {
        isClosed = true
        connection.close()
    }

    /// All entries whose keys begin with `prefix`, in no particular order. Throws `SQLiteError`.
    func entries(prefix: String) throws -> [StoredEntry] {
        let columns = "SELECT key, value, create_revision, mod_revision FROM entries"
        let rows: Statement
        if prefix.isEmpty {
            // In the order of the file: by key, each row would be looked up on a page of its own.
            rows = try connection.statement(columns)
        } else {
            rows = try connection.statement(columns + " WHERE key >= ? AND key < ?").bind(1, prefix).bind(2, prefix + "\u{10FFFF}")
        }
        var entries: [StoredEntry] = []
        while try rows.step() {
            entries.append(StoredEntry(key: rows.text(0), value: rows.blob(1), createRevision: rows.int64(2), modRevision: rows.int64(3)))
        }
        rows.reset()
        return entries
    }

    /// Shows all entries in the order of the file. Throws `SQLiteError` and what `visit` throws.
    func scan(_ visit: (_ key: String, _ value: UnsafeRawBufferPointer, _ modRevision: Int64) throws -> Void) throws {
        let rows = try connection.statement("SELECT key, value, mod_revision FROM entries")
        defer { rows.reset() }
        while try rows.step() {
            let key = rows.text(0)
            let revision = rows.int64(2)
            try rows.withBlob(1) { try visit(key, $0, revision) }
        }
    }

    /// Makes the writes whose conditions hold, in one commit. Each write's own outcome: its event, or why it was not made.
    func commit(_ writes: [StoreWrite]) -> [Result<StoreEvent, StoreError>] {
        guard !isClosed else { return writes.map { _ in .failure(.closed) } }
        var outcomes: [Result<StoreEvent, StoreError>] = []
        outcomes.reserveCapacity(writes.count)
        var next = revision
        do {
            try connection.transaction {
                for write in writes {
                    let current = try entry(write)
                    do throws(StoreError) {
                        let change = try Change(write, current: current, revision: next + 1)
                        next += 1
                        outcomes.append(.success(change.event))
                    } catch {
                        outcomes.append(.failure(error))
                        continue
                    }
                    try apply(write, createRevision: current?.createRevision ?? next, revision: next)
                }
                guard next != revision else { return }
                try connection.statement("UPDATE meta SET value = ? WHERE name = 'revision'").bind(1, next).run()
            }
            revision = next
            return outcomes
        } catch {
            // Also the writes whose conditions failed: they may have met a neighbour that is not there now.
            let failure: StoreError
            if let error = error as? SQLiteError {
                failure = .unavailable(error.isFull ? "no space left for the database: \(error)" : error.description)
            } else {
                failure = .unavailable("\(error)")
            }
            return writes.map { _ in .failure(failure) }
        }
    }

    /// The entry a write is about; without its value unless the write deletes it, which is when the value is needed.
    private func entry(_ write: StoreWrite) throws -> StoredEntry? {
        let columns = write.value == nil ? "create_revision, mod_revision, value" : "create_revision, mod_revision"
        let row = try connection.statement("SELECT \(columns) FROM entries WHERE key = ?").bind(1, write.key)
        defer { row.reset() }
        guard try row.step() else { return nil }
        return StoredEntry(key: write.key, value: write.value == nil ? row.blob(2) : [], createRevision: row.int64(0), modRevision: row.int64(1))
    }

    private func apply(_ write: StoreWrite, createRevision: Int64, revision: Int64) throws {
        guard let value = write.value else {
            try connection.statement("DELETE FROM entries WHERE key = ?").bind(1, write.key).run()
            return
        }
        let expires = write.timeToLive.map { Self.now.addingReportingOverflow($0) }.flatMap { $0.overflow ? nil : $0.partialValue }
        try connection.statement(
            "INSERT INTO entries(key, value, create_revision, mod_revision, expires) VALUES(?, ?, ?, ?, ?) "
                + "ON CONFLICT(key) DO UPDATE SET value = excluded.value, mod_revision = excluded.mod_revision, expires = excluded.expires"
        ).bind(1, write.key).bind(2, value).bind(3, createRevision).bind(4, revision).bind(5, expires).run()
    }

    /// When the next key expires, in seconds since 1970; nil when none does.
    func nextExpiry() -> Int64? {
        guard !isClosed else { return nil }
        do {
            let row = try connection.statement("SELECT min(expires) FROM entries WHERE expires IS NOT NULL")
            defer { row.reset() }
            return try row.step() && !row.isNull(0) ? row.int64(0) : nil
        } catch {
            // A read that fails says nothing about expiry; the next write with a time to live asks again.
            return nil
        }
    }

    /// Removals of keys that have expired.
    func expired(at now: Int64, limit: Int64) -> [StoreWrite] {
        guard !isClosed else { return [] }
        var writes: [StoreWrite] = []
        do {
            let rows = try connection.statement("SELECT key, mod_revision FROM entries WHERE expires <= ? ORDER BY expires LIMIT ?")
                .bind(1, now).bind(2, limit)
            while try rows.step() { writes.append(StoreWrite(key: rows.text(0), value: nil, condition: .revision(rows.int64(1)))) }
            rows.reset()
        } catch {
            // As in nextExpiry.
        }
        return writes
    }
}
