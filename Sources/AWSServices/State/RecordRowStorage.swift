package import RecordStore

/// Rows in the record store.
package struct RecordRowStorage: RowStorage {
    private let store: RecordStore

    package init(_ store: RecordStore) { self.store = store }

    package func load<Row: Codable & Sendable>(_ type: Row.Type, collection: String) async throws -> [String: Row] {
        Dictionary(uniqueKeysWithValues: try store.list(collection, as: type).map { ($0.id, $0.value) })
    }

    package func commit(_ changes: [RowChange]) async throws {
        try await store.transaction(
            changes.map { change in
                guard let value = change.value else { return .delete(change.collection, change.id) }
                return .put(change.collection, change.id, value)
            })
    }
}
