/// One change of a collection: a row written, or removed when `value` is nil.
package struct RowChange: Sendable {
    package var collection: String
    package var id: String
    package var value: (any Codable & Sendable)?
}

/// Where rows of durable state are kept. Implemented by the record store and, for tests, by memory.
package protocol RowStorage: Sendable {
    /// All rows of a collection by id.
    func load<Row: Codable & Sendable>(_ type: Row.Type, collection: String) async throws -> [String: Row]
    /// All changes, or none; durable when it returns.
    func commit(_ changes: [RowChange]) async throws
}

/// The rows of one collection in memory, noting which have changed since the last commit.
package struct Table<Row: Codable & Sendable & Equatable>: Sendable {
    package let collection: String
    package private(set) var rows: [String: Row] = [:]
    private var changed: Set<String> = []

    package init(_ collection: String) { self.collection = collection }

    /// The row `id`. Setting it writes the row, setting nil removes it.
    package subscript(id: String) -> Row? {
        get { rows[id] }
        set {
            guard rows[id] != newValue else { return }
            rows[id] = newValue
            changed.insert(id)
        }
    }

    package var values: Dictionary<String, Row>.Values { rows.values }
    package var isEmpty: Bool { rows.isEmpty }

    /// Fills the table from storage; nothing counts as changed.
    package mutating func load(from storage: any RowStorage) async throws { rows = try await storage.load(Row.self, collection: collection) }

    /// The changes since the last call.
    package mutating func takeChanges() -> [RowChange] {
        defer { changed.removeAll() }
        return changed.sorted().map { RowChange(collection: collection, id: $0, value: rows[$0]) }
    }
}

/// A service's state: tables, and whatever is derived from them.
package protocol DurableTables: Sendable {
    init()
    mutating func load(from storage: any RowStorage) async throws
    mutating func takeChanges() -> [RowChange]
}

/// State that is durable before it is visible. Updates run one after another: each works on a copy, its changes are committed, and only then do
/// readers see them. An update that throws, or whose commit fails, leaves nothing behind.
package actor DurableState<Tables: DurableTables> {
    private let storage: any RowStorage
    private var tables: Tables
    private var isUpdating = false
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var observers: [(collections: Set<String>, input: AsyncStream<Void>.Continuation)] = []

    /// Loads the state. Throws what `storage` throws.
    package init(storage: any RowStorage) async throws {
        var tables = Tables()
        try await tables.load(from: storage)
        self.tables = tables
        self.storage = storage
    }

    /// Looks at the committed state.
    package func read<Result: Sendable>(_ body: @Sendable (Tables) throws -> Result) rethrows -> Result { try body(tables) }

    /// Changes the state. `body` decides on a copy; what it throws is rethrown and nothing changes. Also throws what the storage throws.
    package func update<Result: Sendable>(_ body: @Sendable (inout Tables) throws -> Result) async throws -> Result {
        while isUpdating { await withCheckedContinuation { waiting.append($0) } }
        isUpdating = true
        defer {
            isUpdating = false
            if !waiting.isEmpty { waiting.removeFirst().resume() }
        }
        var draft = tables
        let result = try body(&draft)
        let changes = draft.takeChanges()
        if !changes.isEmpty { try await storage.commit(changes) }
        tables = draft
        for observer in observers where changes.contains(where: { observer.collections.contains($0.collection) }) { observer.input.yield() }
        return result
    }

    /// Tells that rows of these collections have changed, once readers see them: many changes are told as one while nobody listens.
    package func changes(of collections: Set<String>) -> AsyncStream<Void> {
        let (stream, input) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        observers.append((collections, input))
        return stream
    }
}

/// Rows in memory only: for tests.
package actor MemoryRowStorage: RowStorage {
    private var collections: [String: [String: any Codable & Sendable]] = [:]

    package init() {}

    package func load<Row: Codable & Sendable>(_ type: Row.Type, collection: String) -> [String: Row] {
        (collections[collection] ?? [:]).compactMapValues { $0 as? Row }
    }

    package func commit(_ changes: [RowChange]) {
        for change in changes { collections[change.collection, default: [:]][change.id] = change.value }
    }
}
