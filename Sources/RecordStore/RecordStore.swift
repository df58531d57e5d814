internal import Dispatch
internal import FoundationEssentials
internal import SQLite
internal import Synchronization

/// Why a record was not read or written.
package enum RecordStoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The record's version is another than the write names; 0 stands for a record that does not exist. Nothing was changed.
    case versionMismatch(collection: String, id: String, current: Int64)
    /// The bytes of a record are not of the type asked for.
    case undecodable(collection: String, id: String, why: String)
    case unencodable(collection: String, id: String, why: String)
    /// The disk is full, an I/O error. Nothing was changed.
    case unavailable(String)
    case closed

    package var description: String {
        switch self {
        case .versionMismatch(let collection, let id, let current): "record \(collection)/\(id) has version \(current): someone else changed it"
        case .undecodable(let collection, let id, let why): "record \(collection)/\(id) cannot be read: \(why)"
        case .unencodable(let collection, let id, let why): "record \(collection)/\(id) cannot be written: \(why)"
        case .unavailable(let why): "the record store cannot be written: \(why)"
        case .closed: "the record store is closed"
        }
    }
}

/// A record with its version, which grows with each change and is not used twice while the store is open.
package struct VersionedRecord<T: Sendable>: Sendable {
    package var id: String
    package var value: T
    package var version: Int64
}

/// One change of a transaction.
package struct RecordWrite: Sendable {
    enum Content: Sendable {
        case delete
        case put([UInt8])
        case failed(RecordStoreError)
    }

    let collection: String
    let id: String
    let content: Content
    let ifVersion: Int64?

    /// Sets a record. `ifVersion` is the version it must have now: 0, it must not exist; nil, any.
    package static func put<T: Codable & Sendable>(_ collection: String, _ id: String, _ value: T, ifVersion: Int64? = nil) -> RecordWrite {
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            encoder.dateEncodingStrategy = .iso8601
            return RecordWrite(collection: collection, id: id, content: .put(Array(try encoder.encode(value))), ifVersion: ifVersion)
        } catch {
            let failure = RecordStoreError.unencodable(collection: collection, id: id, why: "\(error)")
            return RecordWrite(collection: collection, id: id, content: .failed(failure), ifVersion: ifVersion)
        }
    }

    /// Removes a record; one that does not exist is no error, unless `ifVersion` asks for it.
    package static func delete(_ collection: String, _ id: String, ifVersion: Int64? = nil) -> RecordWrite {
        RecordWrite(collection: collection, id: id, content: .delete, ifVersion: ifVersion)
    }
}

/// Durable collections of Codable records, for the AWS side: clusters, node groups, roles, keys. A write that returned is on the disk (WAL,
/// synchronous=FULL). All records are kept in memory as well, so reads do not touch the disk and never wait for it.
///
/// Records are JSON with sorted keys; dates are ISO 8601 in whole seconds.
package final class RecordStore: Sendable {
    private struct Record {
        var bytes: [UInt8]
        var version: Int64
    }

    /// Owns the connection; used on `queue` only.
    private final class Disk: @unchecked Sendable {  // Confined to the serial queue.
        let connection: Connection
        var lastVersion: Int64
        var isClosed = false
        init(_ connection: Connection, lastVersion: Int64) {
            self.connection = connection
            self.lastVersion = lastVersion
        }
    }

    /// Pages of log after which they are merged into the database. SQLite's own default.
    static let checkpointPages = 1000

    private let disk: Disk
    private let queue = DispatchQueue(label: "record-store")
    private let records: Mutex<[String: [String: Record]]>

    /// Opens or creates the store at `path` (mode 0600) and reads it into memory; blocks for that time. Throws `RecordStoreError.unavailable`.
    package init(path: String) throws {
        do {
            let connection = try Connection(path: path)
            try connection.execute(
                "CREATE TABLE IF NOT EXISTS records(collection TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL, "
                    + "PRIMARY KEY(collection, id))")
            var loaded: [String: [String: Record]] = [:]
            let rows = try connection.statement("SELECT collection, id, version, value FROM records")
            var lastVersion: Int64 = 0
            while try rows.step() {
                loaded[rows.text(0), default: [:]][rows.text(1)] = Record(bytes: rows.blob(3), version: rows.int64(2))
                lastVersion = max(lastVersion, rows.int64(2))
            }
            rows.reset()
            disk = Disk(connection, lastVersion: lastVersion)
            records = Mutex(loaded)
        } catch {
            throw RecordStoreError.unavailable(error.description)
        }
    }

    /// Sets a record. Throws `RecordStoreError`.
    package func put<T: Codable & Sendable>(_ collection: String, _ id: String, _ value: T) async throws {
        try await transaction([.put(collection, id, value)])
    }

    /// Removes a record, if it exists. Throws `RecordStoreError`.
    package func delete(_ collection: String, _ id: String) async throws { try await transaction([.delete(collection, id)]) }

    /// The record `id`; nil when there is none. Throws `RecordStoreError.undecodable`.
    package func get<T: Codable & Sendable>(_ collection: String, _ id: String, as type: T.Type = T.self) throws -> T? {
        try versioned(collection, id, as: type)?.value
    }

    /// The record `id` with its version, for a transaction's `ifVersion`. Throws `RecordStoreError.undecodable`.
    package func versioned<T: Codable & Sendable>(_ collection: String, _ id: String, as type: T.Type = T.self) throws -> VersionedRecord<T>? {
        guard let record = records.withLock({ $0[collection]?[id] }) else { return nil }
        return VersionedRecord(id: id, value: try Self.decode(record.bytes, collection, id), version: record.version)
    }

    /// All records of a collection, sorted by id. Throws `RecordStoreError.undecodable`.
    package func list<T: Codable & Sendable>(_ collection: String, as type: T.Type = T.self) throws -> [(id: String, value: T)] {
        let found = records.withLock { $0[collection] ?? [:] }
        return try found.sorted { $0.key < $1.key }.map { ($0.key, try Self.decode($0.value.bytes, collection, $0.key)) }
    }

    /// Makes all of `writes` or, when one's version does not fit or the disk fails, none. Throws `RecordStoreError`.
    package func transaction(_ writes: [RecordWrite]) async throws {
        for write in writes { if case .failed(let error) = write.content { throw error } }
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            queue.async {
                continuation.resume(with: Result { try self.commit(writes) })
            }
        }
    }

    /// Finishes what is queued and closes the file. Reads go on from memory; writes throw `RecordStoreError.closed`.
    package func close() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            queue.async {
                self.disk.isClosed = true
                self.disk.connection.close()
                continuation.resume()
            }
        }
    }

    /// On the queue.
    private func commit(_ writes: [RecordWrite]) throws {
        guard !disk.isClosed else { throw RecordStoreError.closed }
        // Only the collections touched are copied; the queue is the only writer, so the copies stay true until they are put back.
        var after: [String: [String: Record]] = [:]
        let before = records.withLock { $0 }
        for write in writes where after[write.collection] == nil { after[write.collection] = before[write.collection] ?? [:] }
        let connection = disk.connection
        var version = disk.lastVersion
        do {
            try connection.transaction {
                for write in writes {
                    let current = after[write.collection]?[write.id]?.version ?? 0
                    if let wanted = write.ifVersion, wanted != current {
                        throw RecordStoreError.versionMismatch(collection: write.collection, id: write.id, current: current)
                    }
                    if case .put(let bytes) = write.content {
                        version += 1
                        try connection.statement("INSERT OR REPLACE INTO records(collection, id, version, value) VALUES(?, ?, ?, ?)")
                            .bind(1, write.collection).bind(2, write.id).bind(3, version).bind(4, bytes).run()
                        after[write.collection]?[write.id] = Record(bytes: bytes, version: version)
                    } else {
                        try connection.statement("DELETE FROM records WHERE collection = ? AND id = ?")
                            .bind(1, write.collection).bind(2, write.id).run()
                        after[write.collection]?[write.id] = nil
                    }
                }
            }
        } catch let error as SQLiteError {
            throw RecordStoreError.unavailable(error.isFull ? "no space left for the records: \(error)" : error.description)
        }
        disk.lastVersion = version
        records.withLock { records in for (collection, content) in after { records[collection] = content } }
        if connection.walPages >= Self.checkpointPages {
            // What was committed is in the log and safe; a checkpoint that fails is tried again after the next commit.
            try? connection.checkpoint()
        }
    }

    private static func decode<T: Codable & Sendable>(_ bytes: [UInt8], _ collection: String, _ id: String) throws -> T {
        do {
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .iso8601
            return try decoder.decode(T.self, from: Data(bytes))
        } catch {
            throw RecordStoreError.undecodable(collection: collection, id: id, why: "\(error)")
        }
    }
}
