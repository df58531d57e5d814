import Glibc
import KubeAPI
import KubeStorage
import Testing

struct DiskFullTests {
    /// Fills the store until a write is refused; gives the keys that were acknowledged.
    private func fill(_ store: any Store) async throws -> [String: Int64] {
        let value = try Value(json: "{\"data\":\"\(String(repeating: "x", count: 8000))\"}").jsonBytes
        var acknowledged: [String: Int64] = [:]
        for number in 0..<5000 {
            do {
                acknowledged[key("n\(number)")] = try await store.write(StoreWrite(key: key("n\(number)"), value: value, condition: .absent))
            } catch StoreError.unavailable(let why) {
                #expect(why.contains("no space left"))
                return acknowledged
            }
        }
        Issue.record("the disk never became full")
        return acknowledged
    }

    @Test("R3: a full database refuses writes as unavailable, keeps all it has acknowledged, and works again when space returns")
    func quota() async throws {
        let folder = try Folder()
        var store = try SQLiteStore(path: folder.database, maximumBytes: 1 << 20)
        let acknowledged = try await fill(store)
        #expect(acknowledged.count > 20)
        let before = store.revision
        #expect(try await store.load(prefix: "").entries.count == acknowledged.count)
        for name in ["n0", "n1", "n2", "n3", "n4"] {
            _ = try await store.write(StoreWrite(key: key(name), value: nil, condition: .revision(try #require(acknowledged[key(name)]))))
        }
        #expect(try await store.write(StoreWrite(key: key("again"), value: Array("{}".utf8), condition: .absent)) == before + 6)
        await store.close()
        store = try SQLiteStore(path: folder.database)
        #expect(try await store.load(prefix: "").entries.count == acknowledged.count - 5 + 1)
        await store.close()
    }

    @Test("R3: a full file system refuses writes as unavailable, and works again when space returns", .enabled(if: Mount.isPossible))
    func fileSystem() async throws {
        let mount = try Mount(megabytes: 2)
        let ballast = open("\(mount.path)/ballast", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        try #require(posix_fallocate(ballast, 0, 1 << 20) == 0)
        var store = try SQLiteStore(path: "\(mount.path)/db")
        let acknowledged = try await fill(store)
        #expect(try await store.load(prefix: "").entries.count == acknowledged.count)
        close(ballast)
        unlink("\(mount.path)/ballast")
        let revision = try await store.write(StoreWrite(key: key("again"), value: Array("{}".utf8), condition: .absent))
        #expect(revision == Int64(acknowledged.count) + 2)
        await store.close()
        store = try SQLiteStore(path: "\(mount.path)/db")
        #expect(store.revision == revision)
        #expect(try await store.load(prefix: "").entries.count == acknowledged.count + 1)
        await store.close()
    }
}

/// A small file system in memory, where the user may mount one.
final class Mount: Sendable {
    let path: String

    static let isPossible = (try? Mount(megabytes: 1)) != nil  // Not root, or a sandbox: the test is skipped.

    init(megabytes: Int) throws {
        struct Refused: Error {}
        var template = Array("/tmp/eyrie-full-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } }
        guard let made else { throw Refused() }
        path = made
        guard mount("tmpfs", made, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
            rmdir(made)
            throw Refused()
        }
    }

    deinit {
        umount2(path, 2)  // MNT_DETACH
        rmdir(path)
    }
}
