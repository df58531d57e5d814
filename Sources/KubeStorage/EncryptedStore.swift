internal import Synchronization

/// A store in which the values of some keys are sealed: what is on the disk is of no use without the key. Who uses it sees plain values. Upstream:
/// apiserver's value.Transformer, with the prefix `k8s:enc:` for what is sealed.
package struct EncryptedStore: Store {
    /// Seals values and opens them. The key of an entry is bound to its value: one cannot stand for another.
    package struct Cipher: Sendable {
        /// Begins the values that are sealed. No JSON object begins so.
        package static let mark = Array("k8s:enc:".utf8)

        package var seal: @Sendable (_ value: [UInt8], _ key: String) throws -> [UInt8]
        package var open: @Sendable (_ sealed: [UInt8], _ key: String) throws -> [UInt8]

        package init(
            seal: @escaping @Sendable ([UInt8], String) throws -> [UInt8], open: @escaping @Sendable ([UInt8], String) throws -> [UInt8]
        ) {
            self.seal = seal
            self.open = open
        }
    }

    private let inner: any Store
    private let prefix: String
    private let cipher: Cipher

    /// Keys that begin with `prefix` are sealed.
    package init(_ inner: any Store, prefix: String, cipher: Cipher) {
        self.inner = inner
        self.prefix = prefix
        self.cipher = cipher
    }

    /// Seals what was written before there was a key; returns how many values. Begun again after a crash it goes on. Throws `StoreError`.
    package func sealAll() async throws -> Int {
        let plain = Mutex<[StoreWrite]>([])
        let prefix = prefix
        _ = try await inner.scan { key, value, revision in
            guard key.hasPrefix(prefix), !Self.isSealed(value) else { return }
            plain.withLock { $0.append(StoreWrite(key: key, value: Array(value), condition: .revision(revision))) }
        }
        let writes = plain.withLock { $0 }
        for write in writes { _ = try await self.write(write) }
        return writes.count
    }

    package func load(prefix: String) async throws -> (entries: [StoredEntry], revision: Int64) {
        var (entries, revision) = try await inner.load(prefix: prefix)
        for index in entries.indices { entries[index].value = try opened(entries[index].value, entries[index].key) }
        return (entries, revision)
    }

    package func scan(_ visit: @escaping @Sendable (String, UnsafeRawBufferPointer, Int64) throws -> Void) async throws -> Int64 {
        let (prefix, cipher) = (prefix, cipher)
        return try await inner.scan { key, value, revision in
            guard key.hasPrefix(prefix), Self.isSealed(value) else { return try visit(key, value, revision) }
            let plain = try Self.checked { try cipher.open(Array(value), key) }
            try plain.withUnsafeBytes { try visit(key, $0, revision) }
        }
    }

    package func write(_ write: StoreWrite) async throws -> Int64 {
        guard let value = write.value, write.key.hasPrefix(prefix) else { return try await inner.write(write) }
        var sealed = write
        sealed.value = try Self.checked { try cipher.seal(value, write.key) }
        return try await inner.write(sealed)
    }

    package var revision: Int64 { inner.revision }

    package func observe(_ observer: @escaping @Sendable ([StoreEvent]) -> Void) {
        let (prefix, cipher) = (prefix, cipher)
        inner.observe { events in
            observer(
                events.map { event in
                    guard event.entry.key.hasPrefix(prefix), event.entry.value.starts(with: Cipher.mark) else { return event }
                    var event = event
                    // What was sealed with this key opens with it; a value that somebody else wrote stays as it is and is no object.
                    event.entry.value = (try? cipher.open(event.entry.value, event.entry.key)) ?? event.entry.value
                    return event
                })
        }
    }

    package func close() async { await inner.close() }

    private static func isSealed(_ value: UnsafeRawBufferPointer) -> Bool { value.starts(with: Cipher.mark) }

    private func opened(_ value: [UInt8], _ key: String) throws -> [UInt8] {
        guard key.hasPrefix(prefix), value.starts(with: Cipher.mark) else { return value }
        return try Self.checked { try cipher.open(value, key) }
    }

    /// Errors of the cipher, as those of a store.
    private static func checked(_ body: () throws -> [UInt8]) throws -> [UInt8] {
        do { return try body() } catch { throw StoreError.unavailable("\(error)") }
    }
}
