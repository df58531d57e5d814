import Glibc
import HTTPTransport
import KubeAPI
import KubeAPIServer
import KubeStorage

/// The measurements that need no client: of the store alone, of a start, and of the path of one request (for callgrind).
enum Measurements {
    /// A pod of about 2.5 KB as clients send it.
    static func pod(_ name: String) -> String {
        let env = (0..<8).map { "{\"name\":\"SETTING_\($0)\",\"value\":\"\(String(repeating: "v", count: 24))\"}" }.joined(separator: ",")
        func container(_ name: String) -> String {
            "{\"env\":[\(env)],\"image\":\"registry.example/app/\(name):1.2.3\",\"name\":\"\(name)\","
                + "\"ports\":[{\"containerPort\":8080,\"name\":\"http\"}],"
                + "\"readinessProbe\":{\"httpGet\":{\"path\":\"/healthz\",\"port\":8080},\"periodSeconds\":10},"
                + "\"resources\":{\"limits\":{\"memory\":\"128Mi\"},\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}},"
                + "\"volumeMounts\":[{\"mountPath\":\"/data\",\"name\":\"data\"}]}"
        }
        return "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"annotations\":{\"example.com/checksum\":\""
            + String(repeating: "a", count: 64)
            + "\"},\"labels\":{\"app\":\"bench\",\"release\":\"stable\",\"tier\":\"backend\"},\"name\":\"\(name)\"},"
            + "\"spec\":{\"automountServiceAccountToken\":false,\"containers\":[\(container("web")),\(container("sidecar"))],"
            + "\"schedulerName\":\"bench-none\",\"terminationGracePeriodSeconds\":0,\"volumes\":[{\"emptyDir\":{},\"name\":\"data\"}]}}"
    }

    static func seconds(since start: ContinuousClock.Instant) -> Double {
        let elapsed = ContinuousClock.now - start
        return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
    }

    /// Resident bytes of this process.
    static func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 128)
        guard fgets(&buffer, Int32(buffer.count), file) != nil else { return 0 }
        let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Writes `count` objects by `writers` at once into a store of their own. One line: writes a second.
    static func store(directory: String, count: Int, writers: Int, bytes: Int) async throws {
        let store = try SQLiteStore(path: "\(directory)/group.db")
        let value = Array("{\"metadata\":{},\"data\":\"\(String(repeating: "x", count: bytes))\"}".utf8)
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    for number in stride(from: writer, to: count, by: writers) {
                        _ = try await store.write(StoreWrite(key: "/registry/bench/n/\(number)", value: value, condition: .absent))
                    }
                }
            }
            try await group.waitForAll()
        }
        let elapsed = seconds(since: start)
        print("{\"writes_per_second\":\(Double(count) / elapsed),\"seconds\":\(elapsed),\"writers\":\(writers)}")
        await store.close()
    }

    /// Fills the store of `directory` with pods as a server keeps them.
    static func fill(directory: String, count: Int) async throws {
        // One made by a server, so that the others look like it.
        let template = try BenchServer(store: MemoryStore())
        try await template.start()
        try await makeServiceAccount(template.server)
        let made = try await perform(template.server, "POST", "/api/v1/namespaces/default/pods", body: Array(pod("p-number").utf8), times: 1)
        let text = String(decoding: made, as: UTF8.self)
        guard text.contains("p-number") else { throw BenchError("the template was refused: \(text)") }
        var tree = try Value(json: made)
        tree["metadata"]?["resourceVersion"] = nil
        let parts = tree.jsonString.split(separator: "p-number", omittingEmptySubsequences: false)
        let store = try SQLiteStore(path: "\(directory)/store.db")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<512 {
                group.addTask {
                    for number in stride(from: writer, to: count, by: 512) {
                        let digits = String(number)
                        let name = "p-" + String(repeating: "0", count: max(0, 6 - digits.utf8.count)) + digits
                        let value = Array(parts.joined(separator: name).utf8)
                        _ = try await store.write(StoreWrite(key: "/registry/pods/kbench/\(name)", value: value, condition: .absent))
                    }
                }
            }
            try await group.waitForAll()
        }
        await store.close()
    }

    /// Starts a server on the store of `directory`. One line: seconds until it answers, objects, resident bytes.
    static func open(directory: String) async throws {
        let before = residentBytes()
        let start = ContinuousClock.now
        let bench = try BenchServer(store: try SQLiteStore(path: "\(directory)/store.db"))
        try await bench.server.start()
        let elapsed = seconds(since: start)
        let after = residentBytes()
        let objects = try bench.server.reader.list(GroupResource(group: "", resource: "pods"), namespace: nil)
        let bytes = objects.reduce(0) { $0 + $1.bytes.count }
        print(
            "{\"seconds\":\(elapsed),\"objects\":\(objects.count),\"json_bytes\":\(bytes),\"resident_bytes\":\(after - before),"
                + "\"ratio\":\(Double(after - before) / Double(max(1, bytes)))}")
        await bench.server.stop()
    }

    /// The path of `count` requests through the pipeline without network or disk: what callgrind counts.
    static func path(_ what: String, count: Int) async throws {
        let bench = try BenchServer(store: MemoryStore())
        try await bench.start()
        try await makeServiceAccount(bench.server)
        let pods = "/api/v1/namespaces/default/pods"
        let made = try await perform(bench.server, "POST", pods, body: Array(pod("p-0").utf8), times: 1)
        let start = ContinuousClock.now
        switch what {
        case "create":
            for number in 1...max(1, count) {
                _ = try await perform(bench.server, "POST", pods, body: Array(pod("p-\(number)").utf8), times: 1)
            }
        case "update":
            for number in 1...max(1, count) {
                let patch = "{\"metadata\":{\"annotations\":{\"touched\":\"\(number)\"}}}"
                _ = try await perform(
                    bench.server, "PATCH", pods + "/p-0", body: Array(patch.utf8), contentType: "application/strategic-merge-patch+json", times: 1)
            }
        case "status":
            for number in 1...max(1, count) {
                let patch = "{\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.\(number % 250)\"}}"
                _ = try await perform(
                    bench.server, "PATCH", pods + "/p-0/status", body: Array(patch.utf8), contentType: "application/strategic-merge-patch+json",
                    times: 1)
            }
        case "get": _ = try await perform(bench.server, "GET", pods + "/p-0", times: count)
        case "parse": for _ in 0..<count { _ = try Object(bytes: made) }
        case "tree": for _ in 0..<count { _ = try JSONDocument(made).root.value }
        case "nothing": break
        default: throw BenchError("no path \(what)")
        }
        print("{\"microseconds\":\(seconds(since: start) * 1e6 / Double(max(1, count)))}")
    }

    /// No controller makes it here, and no pod is admitted without.
    private static func makeServiceAccount(_ server: APIServer) async throws {
        let account = "{\"apiVersion\":\"v1\",\"kind\":\"ServiceAccount\",\"metadata\":{\"name\":\"default\"}}"
        _ = try await perform(server, "POST", "/api/v1/namespaces/default/serviceaccounts", body: Array(account.utf8), times: 1)
    }

    /// Sends a request `times` times and gives the last answer's bytes.
    private static func perform(
        _ server: APIServer, _ method: String, _ target: String, body: [UInt8] = [], contentType: String = "application/json", times: Int
    ) async throws -> [UInt8] {
        // As TLS would have it: a certificate whose subject is parsed for every request would be measured, too.
        let head = HTTPRequestHead(
            method: method, target: target,
            fields: ["Content-Type": contentType, "Accept": "application/json", "User-Agent": "kbench/1.0"], authority: "localhost",
            connection: ConnectionInfo(
                remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2", peerCertificates: [try Administrator.certificate.get()]))
        var answer: [UInt8] = []
        for _ in 0..<max(1, times) {
            let once = Once(body)
            let response: HTTPResponse
            if body.isEmpty, let now = server.respondNow(to: head) {
                response = now
            } else {
                response = await server.respond(to: head, body: body.isEmpty ? .empty : HTTPBodyStream { await once.take() })
            }
            guard case .bytes(let bytes) = response.body else { throw BenchError("\(target) answers a stream") }
            guard response.status < 300 else { throw BenchError(String(decoding: bytes, as: UTF8.self)) }
            answer = bytes
        }
        return answer
    }

    private actor Once {
        private var bytes: [UInt8]?
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        func take() -> [UInt8]? {
            defer { bytes = nil }
            return bytes
        }
    }
}
