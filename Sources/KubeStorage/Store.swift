package import KubeAPI

/// A key with its value as of one revision. The value is the object's canonical JSON without a resourceVersion: the revision is the truth.
package struct StoredEntry: Sendable {
    package var key: String
    package var value: [UInt8]
    package var createRevision: Int64
    /// The revision of the last change: the object's resourceVersion.
    package var modRevision: Int64

    package init(key: String, value: [UInt8], createRevision: Int64, modRevision: Int64) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
    }
}

/// One committed change.
package struct StoreEvent: Sendable {
    package enum Kind: Sendable { case created, updated, deleted }
    package var kind: Kind
    /// The entry after the change; for a deletion its last value, with `modRevision` the revision of the deletion.
    package var entry: StoredEntry
    /// What `entry.value` is the bytes of, when the writer had it: its index spares the caches another.
    package var object: Object?
    package var revision: Int64 { entry.modRevision }

    package init(kind: Kind, entry: StoredEntry, object: Object? = nil) {
        self.kind = kind
        self.entry = entry
        self.object = object
    }

    /// The object as a cache keeps it, with its resourceVersion.
    var cachedObject: Object { object?.cached(revision: revision) ?? Object(stored: entry.value, revision: revision) }
}

/// One write. Upstream: an etcd transaction comparing one key's mod revision.
package struct StoreWrite: Sendable {
    package enum Condition: Sendable, Equatable {
        /// The key must not exist.
        case absent
        /// The key's mod revision must be this.
        case revision(Int64)
    }
    package var key: String
    /// Nil deletes.
    package var value: [UInt8]?
    package var condition: Condition
    /// Seconds after which the key is removed, for events; nil keeps it.
    package var timeToLive: Int64?
    /// What `value` is the bytes of, if the writer has it.
    package var object: Object?

    package init(key: String, value: [UInt8]?, condition: Condition, timeToLive: Int64? = nil, object: Object? = nil) {
        self.key = key
        self.value = value
        self.object = object
        self.condition = condition
        self.timeToLive = timeToLive
    }
}

/// Why a write was not made. Nothing was changed.
package enum StoreError: Error, Sendable, Equatable {
    case alreadyExists(key: String)
    case notFound(key: String)
    /// The key's mod revision is another than the condition names.
    case conflict(key: String, currentRevision: Int64)
    /// The disk is full, an I/O error: what failed, for the operator.
    case unavailable(String)
    case closed
}

/// Keys, revisions, compare-and-swap and ordered events: etcd's semantics. Two implementations: `SQLiteStore`, `MemoryStore`.
///
/// Invariants: revisions only grow, by one for each committed write; a write that returned is durable (SQLite: WAL, synchronous=FULL, one fsync for
/// a group of concurrent writers); events reach the observer inside the commit, in revision order, before the writer is answered.
package protocol Store: Sendable {
    /// Loads everything under `prefix` with the revision as of which it is complete, off the cooperative pool.
    func load(prefix: String) async throws -> (entries: [StoredEntry], revision: Int64)
    /// Shows every entry to `visit`, in no particular order, and returns the revision as of which they are complete. The bytes live only during the
    /// call: a cache makes its own of them, and nothing is in memory twice. Runs off the cooperative pool. Throws `StoreError` and what `visit`
    /// throws.
    func scan(_ visit: @escaping @Sendable (_ key: String, _ value: UnsafeRawBufferPointer, _ modRevision: Int64) throws -> Void) async throws
        -> Int64
    /// Makes the write durable and returns its revision. Throws `StoreError`.
    func write(_ write: StoreWrite) async throws -> Int64
    /// The revision of the last commit.
    var revision: Int64 { get }
    /// Bytes on the disk; nil for a store that has none.
    var sizeInBytes: Int64? { get }
    /// Registers the observer of all commits. It is called on the writer, in order, and must not block.
    func observe(_ observer: @escaping @Sendable ([StoreEvent]) -> Void)
    /// Finishes what is queued and closes the files.
    func close() async
}

extension Store {
    package var sizeInBytes: Int64? { nil }
}
