import AWSProtocol
package import RecordStore

/// Rows in the record store.
package struct RecordRowStorage: RowStorage {
    private let store: RecordStore

    package init(_ store: RecordStore) { self.store = store }

    package func load<Row: Codable & Sendable>(_ type: Row.Type, collection: String) async throws -> [String: Row] {
        Dictionary(uniqueKeysWithValues: try store.list(collection, as: type).map { ($0.id, $0.value) })
    }

    package func commit(_ changes: [RowChange]) async throws {
        let writes = changes.map { change -> RecordWrite in
            guard let value = change.value else { return .delete(change.collection, change.id) }
            return .put(change.collection, change.id, value)
        }
        do { try await store.transaction(writes) } catch let error as RecordStoreError {
            switch error {
            case .unavailable(let why): throw ServiceUnavailable(why)
            case .closed: throw ServiceUnavailable("it is ending")
            default: throw error
            }
        }
    }
}
