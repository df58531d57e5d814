import KubeAPI
import KubeStorage
import Synchronization
import Testing

@Suite struct EncryptedStoreTests {
    private struct Wrong: Error {}

    /// Turns every bit over, and notes the key of the entry.
    private static let cipher = EncryptedStore.Cipher(
        seal: { value, key in EncryptedStore.Cipher.mark + Array("\(key)|".utf8) + value.map { ~$0 } },
        open: { sealed, key in
            let head = EncryptedStore.Cipher.mark + Array("\(key)|".utf8)
            guard sealed.starts(with: head) else { throw Wrong() }
            return sealed.dropFirst(head.count).map { ~$0 }
        })

    private func values(_ store: any Store) async throws -> [String: String] {
        Dictionary(uniqueKeysWithValues: try await store.load(prefix: "").entries.map { ($0.key, String(decoding: $0.value, as: UTF8.self)) })
    }

    @Test("values of the prefix are sealed below and plain above: in loads, scans, events and deletions", arguments: StoreKind.allCases)
    func transparent(_ kind: StoreKind) async throws {
        let folder = try Folder()
        let inner = try kind.make(in: folder)
        let store = EncryptedStore(inner, prefix: "/s/", cipher: Self.cipher)
        let seen = Mutex<[String]>([])
        store.observe { events in seen.withLock { $0 += events.map { String(decoding: $0.entry.value, as: UTF8.self) } } }
        let revision = try await store.write(StoreWrite(key: "/s/a", value: Array("secret".utf8), condition: .absent))
        _ = try await store.write(StoreWrite(key: "/p/a", value: Array("plain".utf8), condition: .absent))
        let below = try await values(inner)
        #expect(below["/s/a"]?.hasPrefix("k8s:enc:") == true && below["/p/a"] == "plain")
        #expect(try await values(store) == ["/s/a": "secret", "/p/a": "plain"])
        let scanned = Mutex<[String: String]>([:])
        _ = try await store.scan { key, value, _ in scanned.withLock { $0[key] = String(decoding: value, as: UTF8.self) } }
        #expect(scanned.withLock { $0 } == ["/s/a": "secret", "/p/a": "plain"])
        _ = try await store.write(StoreWrite(key: "/s/a", value: nil, condition: .revision(revision)))
        #expect(seen.withLock { $0 } == ["secret", "plain", "secret"])
        await store.close()
    }

    @Test("what was there in plain is sealed once; a value moved to another key does not open")
    func sealAll() async throws {
        let inner = MemoryStore()
        for name in ["a", "b"] { _ = try await inner.write(StoreWrite(key: "/s/\(name)", value: Array(name.utf8), condition: .absent)) }
        let store = EncryptedStore(inner, prefix: "/s/", cipher: Self.cipher)
        #expect(try await values(store) == ["/s/a": "a", "/s/b": "b"])
        #expect(try await store.sealAll() == 2)
        #expect(try await store.sealAll() == 0)
        #expect(try await values(store) == ["/s/a": "a", "/s/b": "b"])
        #expect(try await values(inner).values.allSatisfy { $0.hasPrefix("k8s:enc:") })
        let sealed = try #require(try await inner.load(prefix: "/s/a").entries.first)
        _ = try await inner.write(StoreWrite(key: "/s/c", value: sealed.value, condition: .absent))
        await #expect(throws: StoreError.self) { try await store.load(prefix: "") }
    }
}
