import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import HTTPTransport

@Suite("Streaming, upgrades and cancellation", .timeLimit(.minutes(1)))
struct StreamingTests {
    /// Streams zeros for ever; counts what was accepted and notes the end.
    final class Fountain: Sendable {
        let written = Mutex(0)
        let log = Log()
        var responder: TestResponder {
            TestResponder(later: { [self] _, _ in
                HTTPResponse(
                    status: 200,
                    body: .stream { [self] writer in
                        do {
                            let piece = [UInt8](repeating: 0, count: 65_536)
                            while true {
                                try await writer.write(piece)
                                written.withLock { $0 += piece.count }
                            }
                        } catch {
                            log.add(Task.isCancelled ? "cancelled" : "failed")
                            throw error
                        }
                    })
            })
        }
        /// Waits until nothing more is accepted, and returns what was.
        func settle() async throws -> Int {
            var last = -1
            try await eventually("the writer waits") {
                let current = written.withLock { $0 }
                defer { last = current }
                if current == last, current > 0 { return true }
                try await Task.sleep(for: .milliseconds(100))
                return false
            }
            return last
        }
    }

    @Test("a client that reads slowly makes the responder wait, and one that leaves ends it", arguments: [false, true])
    func slowReader(tls: Bool) async throws {
        let fountain = Fountain()
        let certificates = try TestCertificates()
        defer { certificates.remove() }
        try await withServer(fountain.responder, tls: tls ? try certificates.tls() : nil) { (server: HTTPServer) async throws -> Void in
            let client = try makeClient(of: server, tls: tls ? HTTPClient.TLS(rootsPEM: certificates.authority.certificatePEM) : nil)
            var response: HTTPClientResponse? = try await client.execute("GET", "/")
            #expect(response?.status == 200)
            let accepted = try await fountain.settle()
            #expect(accepted < 16 << 20)
            var read = 0
            for try await piece in try #require(response).body {
                read += piece.count
                if read > accepted + (4 << 20) { break }
            }
            #expect(fountain.written.withLock { $0 } > accepted)
            response = nil
            try await eventually("the responder ended") { fountain.log.all == ["cancelled"] }
        }
    }

    @Test("HTTP/2 streams have backpressure of their own, and a reset ends the responder")
    func slowHTTP2Reader() async throws {
        let fountain = Fountain()
        try await withServer(fountain.responder) { (server: HTTPServer) async throws -> Void in
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [
                "curl", "-s", "--http2-prior-knowledge", "--limit-rate", "1K", "-o", "/dev/null", "http://127.0.0.1:\(server.port)/",
            ]
            try process.run()
            let accepted = try await fountain.settle()
            #expect(accepted < 64 << 20)
            // Not SIGTERM, which a child may inherit blocked.
            kill(process.processIdentifier, SIGKILL)
            try await eventually("the responder ended") { fountain.log.all == ["cancelled"] }
        }
    }

    @Test("a request body is read as fast as the responder takes it, and arrives whole", arguments: [["--http1.1"], ["--http2-prior-knowledge"]])
    func upload(version: [String]) async throws {
        let responder = TestResponder(later: { _, body in
            var sum = 0
            var count = 0
            do {
                for try await piece in body {
                    count += piece.count
                    sum += piece.withUnsafeBufferPointer { bytes in
                        var sum = 0
                        for byte in bytes { sum &+= Int(byte) }
                        return sum
                    }
                }
            } catch { return text(500, "\(error)") }
            return text(200, "\(count) \(sum)")
        })
        // Not made byte by byte: that would hold a thread of the tests for seconds.
        let bytes = [UInt8](repeating: 3, count: 1_500_000) + [UInt8](repeating: 250, count: 1_500_000)
        let sum = 1_500_000 * 253
        try await withServer(responder) { (server: HTTPServer) async throws -> Void in
            let path = NSTemporaryDirectory() + UUID().uuidString
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            defer { unlink(path) }
            let result = try await run(["curl", "-s", "--data-binary", "@\(path)", "http://127.0.0.1:\(server.port)/"] + version)
            #expect(result.output == "3000000 \(sum)")
        }
    }

    @Test("a stalled reader of a request body stops the sender")
    func uploadBackpressure() async throws {
        let log = Log()
        let responder = TestResponder(later: { _, body in
            await log.wait(for: "read")
            do {
                var count = 0
                for try await piece in body { count += piece.count }
                return text(200, "\(count)")
            } catch { return text(500, "\(error)") }
        })
        try await withServer(responder) { (server: HTTPServer) async throws -> Void in
            let tunnel = try await makeClient(of: server).connect()
            let total = 64 << 20
            try await tunnel.write(Array("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \(total)\r\nConnection: close\r\n\r\n".utf8))
            let sent = SharedCount()
            let sender = Task {
                let piece = [UInt8](repeating: 1, count: 1 << 16)
                for _ in 0..<(total / piece.count) {
                    try await tunnel.write(piece)
                    sent.add(piece.count)
                }
            }
            var last = -1
            try await eventually("the sender waits") {
                let current = sent.value
                defer { last = current }
                if current == last, current > 0 { return true }
                try await Task.sleep(for: .milliseconds(100))
                return false
            }
            #expect(last < 32 << 20)
            log.add("read")
            try await sender.value
            var answer: [UInt8] = []
            while let bytes = try await tunnel.read() { answer += bytes }
            #expect(String(decoding: answer, as: UTF8.self).hasSuffix("\(total)"))
        }
    }

    final class SharedCount: Sendable {
        private let count = Mutex(0)
        var value: Int { count.withLock { $0 } }
        func add(_ number: Int) { count.withLock { $0 += number } }
    }

    @Test("a client that disconnects cancels a responder that has not answered")
    func cancelOnDisconnect() async throws {
        let log = Log()
        let responder = TestResponder(later: { _, _ in
            log.add("started")
            do { try await Task.sleep(for: .seconds(60)) } catch { log.add("cancelled") }
            return text(200, "")
        })
        try await withServer(responder) { (server: HTTPServer) async throws -> Void in
            let client = try makeClient(of: server)
            let request = Task { try await client.execute("GET", "/") }
            try await eventually("it started") { log.all == ["started"] }
            request.cancel()
            await #expect(throws: CancellationError.self) { try await request.value }
            try await eventually("it was cancelled") { log.all == ["started", "cancelled"] }
        }
    }

    /// An echo over an upgraded connection that ends when the client has finished.
    private let echo = TestResponder(
        now: { head in head.path == "/plain" ? text(200, "plain") : nil },
        later: { head, _ in
            guard head.isUpgrade else { return text(400, "upgrade required") }
            if head.path == "/refuse" { return text(403, "no") }
            return HTTPResponse(
                status: 101, fields: ["Connection": "Upgrade", "Upgrade": head.fields["Upgrade"] ?? ""],
                body: .upgrade { tunnel in
                    do {
                        while let bytes = try await tunnel.read() { try await tunnel.write(bytes) }
                        try await tunnel.write(Array("end".utf8))
                    } catch {
                        // A client that has left before the end is no failure of the echo.
                        #expect(error as? HTTPError == .connectionClosed)
                    }
                })
        })

    @Test("an upgraded connection echoes megabytes, half-closes, and keeps the last bytes", arguments: [false, true])
    func upgrade(tls: Bool) async throws {
        let certificates = try TestCertificates()
        defer { certificates.remove() }
        try await withServer(echo, tls: tls ? try certificates.tls() : nil) { (server: HTTPServer) async throws -> Void in
            let client = try makeClient(of: server, tls: tls ? HTTPClient.TLS(rootsPEM: certificates.authority.certificatePEM) : nil)
            let (fields, tunnel) = try await client.upgrade("POST", "/exec", fields: ["Connection": "Upgrade", "Upgrade": "SPDY/3.1"])
            #expect(fields["upgrade"] == "SPDY/3.1")
            let total = 5_000_000
            async let sending: Void = {
                let piece = [UInt8](repeating: 7, count: 50_000)
                for _ in 0..<(total / piece.count) { try await tunnel.write(piece) }
                await tunnel.finishWriting()
            }()
            var received: [UInt8] = []
            while let bytes = try await tunnel.read() { received += bytes }
            try await sending
            #expect(received.count == total + 3 && received.suffix(3) == Array("end".utf8)[...])
            await tunnel.close()
            await #expect(throws: HTTPError.upgradeRefused(status: 403, body: Array("no".utf8))) {
                _ = try await client.upgrade("POST", "/refuse", fields: ["Connection": "Upgrade", "Upgrade": "x"])
            }
        }
    }

    @Test("a later request of a connection can be upgraded, and bytes sent along with it are not lost")
    func upgradeAfterRequests() async throws {
        try await withServer(echo) { (server: HTTPServer) async throws -> Void in
            let answer = try await exchange(
                server,
                "GET /plain HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\nearly bytes",
                finishWriting: true)
            // The half-close may overtake the upgrade, which then is refused: both are complete answers.
            #expect(answer.contains("plain"))
            let tunnel = try await makeClient(of: server).connect()
            let requests = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\nearly"
            try await tunnel.write(Array(requests.utf8))
            var all = ""
            while !all.hasSuffix("early"), let bytes = try await tunnel.read() { all += String(decoding: bytes, as: UTF8.self) }
            #expect(all.contains("101 Switching Protocols") && all.hasSuffix("\r\n\r\nearly"))
            await tunnel.close()
        }
    }

    @Test("what comes with the answer to an upgrade is not lost when the end comes at once, too")
    func upgradeWithEarlyEnd() async throws {
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nlast words"
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(AnswerAndEnd(answer)) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        for _ in 0..<20 {
            let client = try HTTPClient(configuration: HTTPClient.Configuration(address: .tcp(host: "127.0.0.1", port: port)))
            let (_, tunnel) = try await client.upgrade("GET", "/", fields: ["Connection": "Upgrade", "Upgrade": "x"])
            var received = ""
            while let bytes = try await tunnel.read() { received += String(decoding: bytes, as: UTF8.self) }
            #expect(received == "last words")
            await tunnel.close()
            await client.close()
        }
        try await listener.close().get()
    }

    @Test("a tunnel's slow reader stops its writer")
    func tunnelBackpressure() async throws {
        let log = Log()
        let responder = TestResponder(later: { _, _ in
            HTTPResponse(
                status: 101, fields: ["Connection": "Upgrade", "Upgrade": "x"],
                body: .upgrade { tunnel in
                    // Reads nothing until it is told that the other side waits; then all.
                    await log.wait(for: "read")
                    do { while try await tunnel.read() != nil {} } catch { log.add("\(error)") }
                })
        })
        try await withServer(responder) { (server: HTTPServer) async throws -> Void in
            let (_, tunnel) = try await makeClient(of: server).upgrade("GET", "/", fields: ["Connection": "Upgrade", "Upgrade": "x"])
            let sent = SharedCount()
            let writer = Task {
                let piece = [UInt8](repeating: 1, count: 1 << 16)
                for _ in 0..<1024 {
                    try await tunnel.write(piece)
                    sent.add(piece.count)
                }
            }
            var last = -1
            try await eventually("the writer waits") {
                let current = sent.value
                defer { last = current }
                if current == last, current > 0 { return true }
                try await Task.sleep(for: .milliseconds(50))
                return false
            }
            #expect(last < 32 << 20)
            log.add("read")
            try await writer.value
            await tunnel.close()
        }
    }
}

/// Answers whatever comes first with a text, and closes.
private final class AnswerAndEnd: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let answer: String

    init(_ answer: String) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        context.close(promise: nil)
    }
}
