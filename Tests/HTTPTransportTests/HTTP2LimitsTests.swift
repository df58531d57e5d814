import Foundation
import Synchronization
import Testing

@testable import HTTPTransport

/// Raw HTTP/2 with prior knowledge: what no client library sends.
private enum Frame {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let length = payload.count
        let head = [UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF), type, flags]
        return head + (0..<4).map { UInt8(stream >> (24 - 8 * UInt32($0)) & 0xFF) } + payload
    }
    static let settings = frame(4)
    static let settingsACK = frame(4, flags: 1)
    /// GET / with HPACK's static table.
    static func headers(_ stream: UInt32, flags: UInt8 = 5, more: [UInt8] = []) -> [UInt8] {
        frame(1, flags: flags, stream: stream, [0x82, 0x86, 0x84, 0x41, 1, UInt8(ascii: "a")] + more)
    }
    static func reset(_ stream: UInt32) -> [UInt8] { frame(3, stream: stream, [0, 0, 0, 8]) }
    static let ping = frame(6, [0, 0, 0, 0, 0, 0, 0, 0])
    static func continuation(_ stream: UInt32, _ payload: [UInt8]) -> [UInt8] { frame(9, stream: stream, payload) }
}

@Suite("HTTP/2 under attack", .timeLimit(.minutes(1)))
struct HTTP2LimitsTests {
    private static let waits = TestResponder(now: { $0.path == "/ok" ? text(200, "fine") : nil }, later: { _, _ in text(200, "ok") })

    /// Sends `bytes` until the server closes or all is sent, and tells whether it closed. Another client is served meanwhile.
    private func attack(_ limits: HTTPServer.Limits, of responder: TestResponder = waits, _ pieces: [[UInt8]]) async throws -> Bool {
        try await withServer(responder, limits: limits) { server in
            let tunnel = try await makeClient(of: server).connect()
            var isClosed = false
            do {
                try await tunnel.write(Frame.preface + Frame.settings + Frame.settingsACK)
                for piece in pieces { try await tunnel.write(piece) }
            } catch { isClosed = true }
            do {
                while !isClosed {
                    let answer = try await withThrowingTaskGroup(of: [UInt8]??.self) { group in
                        group.addTask { .some(try await tunnel.read()) }
                        group.addTask {
                            try await Task.sleep(for: .seconds(2))
                            return .none
                        }
                        defer { group.cancelAll() }
                        return try await group.next() ?? .none
                    }
                    guard let answer else { break }
                    if answer == nil { isClosed = true }
                }
            } catch { isClosed = true }
            let other = try await exchange(server, "GET /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(other.hasSuffix("fine"))
            await tunnel.close()
            return isClosed
        }
    }

    @Test("a client that resets its streams as fast as it opens them is cut off (CVE-2023-44487)")
    func rapidReset() async throws {
        var limits = HTTPServer.Limits()
        limits.maximumStreamResets = 100
        let started = Atomic(0)
        let responder = TestResponder(
            now: { $0.path == "/ok" ? text(200, "fine") : nil },
            later: { _, _ in
                started.add(1, ordering: .relaxed)
                return text(200, "ok")
            })
        let pieces = (0..<100).map { group in
            (0..<100).flatMap { number -> [UInt8] in
                let stream = UInt32(2 * (100 * group + number) + 1)
                return Frame.headers(stream) + Frame.reset(stream)
            }
        }
        #expect(try await attack(limits, of: responder, pieces))
        #expect(started.load(ordering: .relaxed) < 1000)
    }

    @Test("floods of PING and of SETTINGS end the connection", arguments: [Frame.ping, Frame.settings])
    func controlFrames(frame: [UInt8]) async throws {
        var limits = HTTPServer.Limits()
        limits.maximumControlFrames = 500
        #expect(try await attack(limits, (0..<20).map { _ in (0..<100).flatMap { _ in frame } }))
    }

    @Test("headers that go on for ever in CONTINUATION frames end the connection")
    func continuations() async throws {
        let filler: [UInt8] = [0x40, 1, UInt8(ascii: "x"), 100] + [UInt8](repeating: UInt8(ascii: "y"), count: 100)
        let pieces = [Frame.headers(1, flags: 1)] + (0..<2000).map { _ in Frame.continuation(1, filler) }
        #expect(try await attack(HTTPServer.Limits(), pieces))
    }

    @Test("a header list beyond the limit is refused, in HTTP/2 and in HTTP/1.1")
    func manyHeaders() async throws {
        let field: [UInt8] = [0x40, 1, UInt8(ascii: "x"), 1, UInt8(ascii: "y")]
        // One frame of 16 KB whose fields take far more: each counts 32 bytes beside its text.
        let many = (0..<3000).flatMap { _ in field }
        #expect(try await attack(HTTPServer.Limits(), [Frame.headers(1, more: many)]))
        try await withServer(Self.waits) { server in
            let lines = (0..<100_000).map { "X-\($0): y\r\n" }.joined()
            let answer = try await exchange(server, "GET /ok HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 431 ") || answer.isEmpty)
        }
    }

    @Test("a connection has no more streams at once than it is told")
    func streams() async throws {
        var limits = HTTPServer.Limits()
        limits.maximumStreams = 10
        let running = Atomic(0)
        let most = Atomic(0)
        let responder = TestResponder(
            now: { $0.path == "/ok" ? text(200, "fine") : nil },
            later: { _, _ in
                let now = running.add(1, ordering: .relaxed).newValue
                most.max(now, ordering: .relaxed)
                try? await Task.sleep(for: .seconds(5))
                running.subtract(1, ordering: .relaxed)
                return text(200, "ok")
            })
        _ = try await attack(limits, of: responder, [(0..<50).flatMap { Frame.headers(UInt32(2 * $0 + 1)) }])
        #expect(most.load(ordering: .relaxed) <= 10)
    }
}

@Suite("Bodies that connections take", .timeLimit(.minutes(1)))
struct HTTPBodySourceTests {
    /// Has what a test puts in.
    private final class Source: HTTPBodySource {
        private struct State {
            var pieces: [HTTPBodyPiece] = []
            var wake: (@Sendable () -> Void)?
            var isExpired = false
        }
        private let state = Mutex(State())
        let log = Log()
        let lifetime: Duration?

        init(lifetime: Duration? = nil) { self.lifetime = lifetime }

        func put(_ piece: HTTPBodyPiece) {
            let wake = state.withLock { state in
                state.pieces.append(piece)
                defer { state.wake = nil }
                return state.wake
            }
            wake?()
        }

        func next() -> HTTPBodyPiece {
            state.withLock { state in
                if !state.pieces.isEmpty { return state.pieces.removeFirst() }
                return state.isExpired ? .end : .wait
            }
        }
        func whenReady(_ wake: @escaping @Sendable () -> Void) {
            let isReady = state.withLock { state in
                if !state.pieces.isEmpty { return true }
                state.wake = wake
                return false
            }
            log.add("waits")
            if isReady { wake() }
        }
        func expire() { state.withLock { $0.isExpired = true } }
        func cancel() { log.add("cancelled") }
    }

    private func responder(_ source: Source) -> TestResponder {
        TestResponder(
            now: { _ in
                var response = HTTPResponse(status: 200, body: .stream { _ in })
                response.source = source
                return response
            }, later: { _, _ in text(500, "not asked") })
    }

    private func shared(_ text: String) -> HTTPBodyPiece { .bytes(HTTPSharedBytes(Array(text.utf8))) }

    @Test("pieces are sent as they come, the end ends the response", arguments: [["--http1.1"], ["--http2-prior-knowledge"]])
    func pieces(version: [String]) async throws {
        let source = Source()
        source.put(shared("one "))
        try await withServer(responder(source)) { server in
            async let answer = run(["curl", "-sN"] + version + ["http://127.0.0.1:\(server.port)/"])
            await source.log.wait(for: "waits")
            source.put(shared("two "))
            source.put(shared(String(repeating: "x", count: 40_000)))
            source.put(.end)
            let output = try await answer.output
            #expect(output.hasPrefix("one two xxx") && output.utf8.count == 8 + 40_000)
            await source.log.wait(for: "cancelled")
        }
    }

    @Test("a source whose time is over is asked for its end", arguments: [["--http1.1"], ["--http2-prior-knowledge"]])
    func lifetime(version: [String]) async throws {
        let source = Source(lifetime: .milliseconds(50))
        source.put(shared("bye"))
        try await withServer(responder(source)) { server in
            let output = try await run(["curl", "-sN"] + version + ["http://127.0.0.1:\(server.port)/"]).output
            #expect(output == "bye")
        }
    }

    @Test("a client that leaves cancels the source, and one that does not read stops it")
    func leaves() async throws {
        let source = Source()
        try await withServer(responder(source)) { server in
            let tunnel = try await makeClient(of: server).connect()
            try await tunnel.write(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
            await source.log.wait(for: "waits")
            await tunnel.close()
            await source.log.wait(for: "cancelled")
        }
    }

    /// What the sources of one test share.
    private final class Crowd: Sendable {
        struct State {
            var wakes: [@Sendable () -> Void] = []
            var woken = 0
            var begun = 0
            var served = 0
            /// How many were served when `/ask` was.
            var servedBefore: Int?
        }
        let state = Mutex(State())
        let size: Int
        init(size: Int) { self.size = size }
    }

    /// Once all are woken, which the first one waits for, each keeps its event loop until `/ask` was answered, for 40 ms at most.
    private final class Slow: HTTPBodySource {
        let crowd: Crowd
        let lifetime: Duration? = nil
        private let isWoken = Mutex(false)

        init(_ crowd: Crowd) { self.crowd = crowd }

        func next() -> HTTPBodyPiece {
            guard isWoken.withLock({ $0 }) else { return .wait }
            let start = ContinuousClock.now
            crowd.state.withLock { $0.begun += 1 }
            while ContinuousClock.now < start + .seconds(10), crowd.state.withLock({ $0.woken < crowd.size }) {}
            let end = ContinuousClock.now + .milliseconds(40)
            while ContinuousClock.now < end, crowd.state.withLock({ $0.servedBefore == nil }) {}
            crowd.state.withLock { $0.served += 1 }
            return .end
        }
        func whenReady(_ wake: @escaping @Sendable () -> Void) {
            crowd.state.withLock { state in
                state.wakes.append {
                    self.isWoken.withLock { $0 = true }
                    wake()
                    self.crowd.state.withLock { $0.woken += 1 }
                }
            }
        }
        func expire() {}
        func cancel() {}
    }

    @Test("a request is answered between those of very many streams that are served")
    func answeredBetween() async throws {
        let streams = 100
        let crowd = Crowd(size: streams)
        let responder = TestResponder(
            now: { head in
                if head.path == "/ask" {
                    crowd.state.withLock { $0.servedBefore = $0.served }
                    return text(200, "fine")
                }
                var response = HTTPResponse(status: 200, body: .stream { _ in })
                response.source = Slow(crowd)
                return response
            }, later: { _, _ in text(500, "not asked") })
        try await withServer(responder) { server in
            let tunnel = try await makeClient(of: server).connect()
            let opened = (0..<streams).flatMap { Frame.headers(UInt32(2 * $0 + 1)) }
            try await tunnel.write(Frame.preface + Frame.settings + Frame.settingsACK + opened)
            try await eventually("all streams wait") { crowd.state.withLock { $0.wakes.count == streams } }
            let wakes = crowd.state.withLock { $0.wakes }
            wakes.first?()
            try await eventually("the first one keeps the loop") { crowd.state.withLock { $0.begun == 1 } }
            for wake in wakes.dropFirst() { wake() }
            // All that the first one kept waiting are served one after the other now.
            try await eventually("they are served") { crowd.state.withLock { $0.served >= 10 } }
            // The same connection, so the same event loop. Literal :path.
            let ask = [0x82, 0x86, 0x04, 4] + Array("/ask".utf8) + [0x41, 1, UInt8(ascii: "a")]
            try await tunnel.write(Frame.frame(1, flags: 5, stream: UInt32(2 * streams + 1), ask))
            try await eventually("it was answered") { crowd.state.withLock { $0.servedBefore != nil } }
            try await eventually("all were served") { crowd.state.withLock { $0.served == streams } }
            let before = try #require(crowd.state.withLock { $0.servedBefore })
            #expect(before < streams)
            await tunnel.close()
        }
    }

    @Test("a source that is cut off lets the client notice")
    func aborts() async throws {
        let source = Source()
        source.put(shared("half"))
        source.put(.abort)
        try await withServer(responder(source)) { server in
            let status = try await run(["curl", "-sN", "--http1.1", "http://127.0.0.1:\(server.port)/"]).status
            #expect(status == 18)
        }
    }
}
