import Foundation
import Synchronization
import Testing

@testable import HTTPTransport

@Suite("HTTP client", .timeLimit(.minutes(1)))
struct HTTPClientTests {
    private let remote = TestResponder(later: { head, body in
        do {
            let bytes = try await body.collect(limit: 1 << 20)
            let length = head.fields["Content-Length"] ?? "-"
            return text(200, "\(head.connection.remoteAddress) \(head.method) \(head.authority) \(length) \(bytes.count)")
        } catch { return text(500, "\(error)") }
    })

    private func body(_ response: HTTPClientResponse) async throws -> [String] {
        String(decoding: try await response.body.collect(limit: 1 << 20), as: UTF8.self).components(separatedBy: " ")
    }

    @Test("requests one after another share a connection, requests at once do not")
    func pooling() async throws {
        try await withServer(remote) { (server: HTTPServer) async throws -> Void in
            let client = try makeClient(of: server)
            let first = try await body(client.execute("GET", "/"))
            let second = try await body(client.execute("POST", "/", body: [1, 2, 3]))
            #expect(first[0] == second[0])
            #expect(first[1...] == ["GET", "127.0.0.1:\(server.port)", "-", "0"])
            #expect(second[1...] == ["POST", "127.0.0.1:\(server.port)", "3", "3"])
            let answers = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<20 { group.addTask { try await body(client.execute("GET", "/"))[0] } }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(answers.count >= 1)
            await client.close()
            await #expect(throws: HTTPError.connectionClosed) { _ = try await client.execute("GET", "/") }
        }
    }

    @Test("a kept connection that the server has closed does not fail the next request")
    func staleConnection() async throws {
        let first = try await HTTPServer.start(HTTPServer.Configuration(address: .tcp(host: "127.0.0.1", port: 0)), responder: remote)
        let port = first.port
        let client = try makeClient(of: first)
        _ = try await body(client.execute("GET", "/"))
        await first.stop(grace: .zero)
        let second = try await HTTPServer.start(HTTPServer.Configuration(address: .tcp(host: "127.0.0.1", port: port)), responder: remote)
        #expect(try await client.execute("GET", "/").status == 200)
        await second.stop(grace: .zero)
    }

    @Test("no server, and a server that does not answer, are named")
    func failures() async throws {
        let silent = TestResponder(later: { _, _ in
            do { try await Task.sleep(for: .seconds(60)) } catch {}
            return text(200, "")
        })
        let port = try await withServer(silent) { (server: HTTPServer) async throws -> Int in
            let client = try makeClient(of: server)
            do {
                _ = try await client.execute("GET", "/slow", timeout: .milliseconds(50))
                Issue.record("no timeout")
            } catch HTTPError.timeout(let text) {
                #expect(text.contains("127.0.0.1:\(server.port) did not answer GET /slow"))
            }
            return server.port
        }
        let client = try HTTPClient(configuration: .init(address: .tcp(host: "127.0.0.1", port: port)))
        await #expect(throws: HTTPError.connectFailed("cannot connect to 127.0.0.1:\(port): connection refused")) {
            _ = try await client.execute("GET", "/")
        }
        let nowhere = try HTTPClient(configuration: .init(address: .unix(path: "/nowhere/at/all.sock")))
        await #expect(throws: HTTPError.connectFailed("cannot connect to unix:/nowhere/at/all.sock: no such file or directory")) {
            _ = try await nowhere.execute("GET", "/")
        }
    }

    @Test("a body is sent as it comes, by its length or in chunks, as fast as the server takes it")
    func streamedBody() async throws {
        let log = Log()
        let responder = TestResponder(later: { head, body in
            if head.path == "/early" { return text(413, "too much") }
            log.add("began")
            if head.path == "/slow" { await log.wait(for: "read") }
            var count = 0
            do { for try await piece in body { count += piece.count } } catch { return text(500, "\(error)") }
            return text(200, "\(count) \(head.fields["Content-Length"] ?? head.fields["Transfer-Encoding"] ?? "")")
        })
        func pieces(_ count: Int) -> HTTPBodyStream {
            let left = Mutex(count)
            return HTTPBodyStream {
                let isMore = left.withLock { left in
                    left -= 1
                    return left >= 0
                }
                guard isMore else { return nil }
                return [UInt8](repeating: 7, count: 1 << 16)
            }
        }
        try await withServer(responder) { server in
            let client = try makeClient(of: server)
            func answer(_ path: String, _ fields: HTTPFields, _ stream: HTTPBodyStream) async throws -> String {
                let response = try await client.execute("POST", path, fields: fields, stream: stream)
                return String(decoding: try await response.body.collect(limit: 1 << 20), as: UTF8.self)
            }
            #expect(try await answer("/", [:], pieces(160)) == "\(160 << 16) chunked")
            #expect(try await answer("/", ["Content-Length": "\(3 << 16)"], pieces(3)) == "\(3 << 16) \(3 << 16)")
            // What was announced must come, and no more of it: the server may have answered before more was there to be refused.
            if let short = try? await answer("/", ["Content-Length": "\(2 << 16)"], pieces(3)) { #expect(short == "\(2 << 16) \(2 << 16)") }
            for wrong in [4 << 16, nil] {
                // The server may answer the broken body before the client learns of it, but has never seen a whole one.
                let reply = try? await answer("/", ["Content-Length": wrong.map { "\($0)" } ?? "x"], pieces(3))
                #expect(reply?.hasPrefix("\(3 << 16)") != true && reply?.hasPrefix("\(4 << 16)") != true)
            }
            // Before the server reads, the sender has to wait.
            let taken = Mutex(0)
            let endless = HTTPBodyStream {
                let count = taken.withLock { taken in
                    taken += 1
                    return taken
                }
                return count <= 1024 ? [UInt8](repeating: 7, count: 1 << 16) : nil
            }
            async let slow = answer("/slow", [:], endless)
            var last = -1
            try await eventually("the sender waits") {
                let current = taken.withLock { $0 }
                defer { last = current }
                if current == last, current > 0 { return true }
                try await Task.sleep(for: .milliseconds(100))
                return false
            }
            #expect(last < 512)
            log.add("read")
            #expect(try await slow == "\(1024 << 16) chunked")
            // A server that answers first is heard.
            let early = try await client.execute("POST", "/early", stream: pieces(4))
            #expect(early.status == 413)
        }
    }

    @Test("the address that a name leads to is judged after the look-up, and the one that was judged is dialled (CVE-2020-8562)")
    func admittedAddress() async throws {
        try await withServer(TestResponder(later: { _, _ in text(200, "reached") })) { server in
            let judged = Log()
            func client(_ host: String, admits: Bool) throws -> HTTPClient {
                var configuration = HTTPClient.Configuration(address: .tcp(host: host, port: server.port))
                configuration.admitsAddress = { address in
                    judged.add(address)
                    return admits
                }
                return try HTTPClient(configuration: configuration)
            }
            // A name, as one that a rebinding resolver answers differently each time: what is judged is an address, never the name.
            for host in ["localhost", "127.0.0.1"] {
                await #expect(throws: HTTPError.self) { _ = try await client(host, admits: false).execute("GET", "/") }
                let response = try await client(host, admits: true).execute("GET", "/")
                #expect(response.status == 200)
            }
            #expect(!judged.all.isEmpty && judged.all.allSatisfy { $0 == "127.0.0.1" || $0 == "::1" })
        }
    }

    @Test("a cancelled reader of a body closes its connection: the server's stream ends")
    func cancelledReader() async throws {
        let log = Log()
        let watch = TestResponder(later: { _, _ in
            HTTPResponse(
                status: 200,
                body: .stream { writer in
                    try await writer.write(Array("event\n".utf8))
                    do { try await Task.sleep(for: .seconds(60)) } catch { log.add("cancelled") }
                })
        })
        try await withServer(watch) { (server: HTTPServer) async throws -> Void in
            let client = try makeClient(of: server)
            let reader = Task {
                let response = try await client.execute("GET", "/")
                for try await piece in response.body { log.add(String(decoding: piece, as: UTF8.self)) }
            }
            try await eventually("the event arrived") { log.all == ["event\n"] }
            reader.cancel()
            await #expect(throws: CancellationError.self) { try await reader.value }
            try await eventually("the server noticed") { log.all.last == "cancelled" }
        }
    }

    @Test("Python's server is understood: HTTP/1.0, length by close, redirects left alone")
    func foreignServer() async throws {
        let script = """
            import http.server, sys
            class H(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    if self.path == '/moved':
                        self.send_response(302); self.send_header('Location', '/'); self.send_header('Content-Length', '0')
                        self.end_headers(); return
                    self.send_response(200); self.end_headers(); self.wfile.write(b'x' * 100000)
                def log_message(self, *a): pass
            s = http.server.HTTPServer(('127.0.0.1', 0), H)
            print(s.server_port, flush=True)
            s.serve_forever()
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", script]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        defer { kill(process.processIdentifier, SIGKILL) }
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        let client = try HTTPClient(configuration: .init(address: .tcp(host: "127.0.0.1", port: try #require(Int(line)))))
        let moved = try await client.execute("GET", "/moved")
        #expect(moved.status == 302 && moved.fields["location"] == "/")
        #expect(try await client.execute("GET", "/").body.collect(limit: 200_000).count == 100_000)
    }
}
