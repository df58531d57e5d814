import Glibc
import RecordStore
import Testing

private struct Role: Codable, Sendable, Equatable {
    var name: String
    var policies: [String]
}

/// A folder that is removed with its content at the end of a test.
private final class Folder: Sendable {
    let path: String
    init() throws {
        var template = Array("/tmp/eyrie-records-XXXXXX".utf8CString)
        path = try template.withUnsafeMutableBufferPointer { buffer in
            let address = try #require(buffer.baseAddress)
            return String(cString: try #require(mkdtemp(address)))
        }
    }
    deinit {
        for name in ["records", "records-wal", "records-shm"] { unlink("\(path)/\(name)") }
        rmdir(path)
    }
    var store: String { "\(path)/records" }
}

struct RecordStoreTests {
    private let role = Role(name: "node", policies: ["a/b", "ü"])

    @Test("what was put is read back, also by the next process; the file is private")
    func durability() async throws {
        let folder = try Folder()
        var store = try RecordStore(path: folder.store)
        try await store.put("roles", "node", role)
        try await store.put("roles", "admin", Role(name: "admin", policies: []))
        try await store.put("users", "node", ["plain"])
        try await store.delete("roles", "never-there")
        await store.close()
        await #expect(throws: RecordStoreError.closed) { try await store.put("roles", "x", role) }
        var status = stat()
        #expect(stat(folder.store, &status) == 0 && status.st_mode & 0o777 == 0o600)

        store = try RecordStore(path: folder.store)
        #expect(try store.get("roles", "node") == role)
        #expect(try store.get("roles", "none", as: Role.self) == nil)
        #expect(try store.list("roles", as: Role.self).map(\.id) == ["admin", "node"])
        #expect(try store.list("none", as: Role.self).isEmpty)
        try await store.delete("roles", "node")
        #expect(try store.get("roles", "node", as: Role.self) == nil)
        await store.close()
        store = try RecordStore(path: folder.store)
        #expect(try store.list("roles", as: Role.self).map(\.id) == ["admin"])
        await store.close()
    }

    @Test("a transaction is made whole or not at all")
    func atomicity() async throws {
        let folder = try Folder()
        let store = try RecordStore(path: folder.store)
        try await store.transaction([.put("roles", "a", role, ifVersion: 0), .put("roles", "b", role)])
        let version = try #require(try store.versioned("roles", "b", as: Role.self)?.version)
        await #expect(throws: RecordStoreError.versionMismatch(collection: "roles", id: "b", current: version)) {
            try await store.transaction([.delete("roles", "a"), .put("roles", "c", role), .put("roles", "b", role, ifVersion: version + 1)])
        }
        #expect(try store.list("roles", as: Role.self).map(\.id) == ["a", "b"])
        try await store.transaction([.delete("roles", "a"), .put("roles", "c", role), .put("roles", "b", role, ifVersion: version)])
        #expect(try store.list("roles", as: Role.self).map(\.id) == ["b", "c"])
        await store.close()
    }

    @Test("a version is not used twice: a record made anew is not taken for the deleted one")
    func recreation() async throws {
        let folder = try Folder()
        let store = try RecordStore(path: folder.store)
        try await store.put("roles", "a", role)
        let version = try #require(try store.versioned("roles", "a", as: Role.self)?.version)
        try await store.delete("roles", "a")
        try await store.put("roles", "a", role)
        await #expect(throws: RecordStoreError.self) { try await store.transaction([.put("roles", "a", role, ifVersion: version)]) }
        await store.close()
    }

    @Test("of concurrent changes by version none is lost")
    func concurrency() async throws {
        let folder = try Folder()
        let store = try RecordStore(path: folder.store)
        try await store.put("counters", "c", 0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var made = 0
                    while made < 10 {
                        let current = try #require(try store.versioned("counters", "c", as: Int.self))
                        do {
                            try await store.transaction([.put("counters", "c", current.value + 1, ifVersion: current.version)])
                            made += 1
                        } catch RecordStoreError.versionMismatch {}
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try store.get("counters", "c") == 40)
        await store.close()
    }

    @Test("a record of another type is an error that names it")
    func undecodable() async throws {
        let folder = try Folder()
        let store = try RecordStore(path: folder.store)
        try await store.put("roles", "a", "not a role")
        let error = #expect(throws: RecordStoreError.self) { try store.get("roles", "a", as: Role.self) }
        #expect(error?.description.contains("roles/a") == true)
        await store.close()
    }

    @Test("a file that is no database is refused with what is wrong")
    func damaged() throws {
        let folder = try Folder()
        let file = open(folder.store, O_WRONLY | O_CREAT, 0o600)
        let text = [UInt8](repeating: UInt8(ascii: "x"), count: 8192)
        #expect(write(file, text, text.count) == text.count)
        close(file)
        let error = #expect(throws: RecordStoreError.self) { try RecordStore(path: folder.store) }
        #expect(error?.description.contains("not a database") == true)
    }
}
