import Glibc
import KubeAPI
import KubeClient
import KubeStorage
import Testing

@testable import KubeAPIServer

@Suite("A server whose disk is full", .timeLimit(.minutes(1)))
struct DiskFullServerTests {
    /// Removed with its content at the end of a test.
    private final class Folder: Sendable {
        let path: String
        init() throws {
            var template = Array("/tmp/eyrie-diskfull-XXXXXX".utf8CString)
            path = try template.withUnsafeMutableBufferPointer { buffer in
                let address = try #require(buffer.baseAddress)
                return String(cString: try #require(mkdtemp(address)))
            }
        }
        deinit {
            for name in ["db", "db-wal", "db-shm", "db-journal"] { unlink("\(path)/\(name)") }
            rmdir(path)
        }
    }

    private static let databaseBytes: Int64 = 2 << 20

    private func failure(_ work: () async throws -> Void) async -> StatusError? {
        do {
            try await work()
            return nil
        } catch { return error as? StatusError }
    }

    @Test("R3: writes are refused with 503, reads and watches go on, and writes work again when space returns, without a restart")
    func full() async throws {
        let folder = try Folder()
        let store = try SQLiteStore(path: "\(folder.path)/db", maximumBytes: Self.databaseBytes)
        let test = try await TestServer { $0.store = store }
        func map(_ number: Int) -> Value { configMap("n\(number)", ["data": String(repeating: "x", count: 16_000)]) }
        var made = 0
        var refusal: StatusError?
        while refusal == nil, made < 1000 {
            refusal = await failure { try await test.create("configmaps", map(made)) }
            if refusal == nil { made += 1 }
        }
        #expect(made > 20)
        #expect(refusal?.code == 503 && refusal?.reason == "ServiceUnavailable")
        #expect(refusal?.message.contains("no space left") == true)
        // Other verbs that need space are refused alike; nothing they wanted is seen.
        let updated = await failure {
            try await test.patch("configmaps", "n0", ["data": ["more": .string(String(repeating: "y", count: 100_000))]])
        }
        #expect(updated?.code == 503)
        #expect(try await test.get("configmaps", "n0")["data"]["more"] == nil)
        let list = try await test.list("configmaps")
        #expect(list["items"].elements.count == made)
        let revision = try #require(list["metadata"]["resourceVersion"].string)
        #expect(await failure { _ = try await test.get("configmaps", "n\(made)") }?.code == 404)
        // Space returns.
        for number in 0..<10 { try await test.delete("configmaps", "n\(number)") }
        try await test.create("configmaps", configMap("again"))
        let watch = await test.http(
            "GET", "/api/v1/namespaces/default/configmaps?watch=1&resourceVersion=\(revision)&timeoutSeconds=1", ["Accept": "application/json"])
        let kinds = try watch.text.split(separator: "\n").map { try Object(json: String($0))["type"].string }
        #expect(kinds == Array(repeating: "DELETED", count: 10) + ["ADDED"])
        await test.server.stop()
    }
}
