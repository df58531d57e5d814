import HTTPTransport
import KubeAPI
import Synchronization
import Testing

@testable import KubeAPIServer

/// A client's frame, masked.
private func clientFrame(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true, mask: [UInt8] = [1, 2, 3, 4]) -> [UInt8] {
    var frame: [UInt8] = [isFinal ? 0x80 | opcode : opcode]
    switch payload.count {
    case ..<126: frame.append(0x80 | UInt8(payload.count))
    case ..<65536: frame += [0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
    default: frame += [0xFF] + stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: payload.count >> $0) }
    }
    return frame + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
}

@Suite("WebSocket messages of a client")
struct WebSocketDecoderTests {
    @Test("messages are the same however their bytes are cut", arguments: [1, 2, 3, 7, 64, 5000, 200_000])
    func cuts(size: Int) throws {
        let long = (0..<70_000).map { UInt8(truncatingIfNeeded: $0) }
        let bytes =
            clientFrame(2, [0, 1, 2]) + clientFrame(1, Array(repeating: 5, count: 126)) + clientFrame(2, [9], isFinal: false)
            + clientFrame(9, [7, 7])
            + clientFrame(0, [8], isFinal: false) + clientFrame(10, []) + clientFrame(0, [7]) + clientFrame(2, long) + clientFrame(2, [])
            + clientFrame(8, [3, 0xE8])
            + clientFrame(2, [1])
        var decoder = WebSocketDecoder()
        var events: [WebSocketDecoder.Event] = []
        for start in stride(from: 0, to: bytes.count, by: size) where events.last != .closing {
            events += try decoder.feed(Array(bytes[start..<min(bytes.count, start + size)]))
        }
        #expect(
            events == [
                .message([0, 1, 2]), .message(Array(repeating: 5, count: 126)), .ping([7, 7]), .message([9, 8, 7]), .message(long), .message([]),
                .closing,
            ])
    }

    @Test("what RFC 6455 forbids ends the connection")
    func violations() {
        let forbidden: [[UInt8]] = [
            [0x82, 1, 5], [0xC2, 0x81, 1, 2, 3, 4, 5], clientFrame(0, [1]), clientFrame(2, [1], isFinal: false) + clientFrame(2, [1]),
            clientFrame(3, []),
            clientFrame(9, [], isFinal: false), [0x89, 0xFE, 0, 126],
        ]
        for bytes in forbidden {
            var decoder = WebSocketDecoder()
            #expect { try decoder.feed(bytes) } throws: { ($0 as? WebSocketDecoder.Failure)?.code == 1002 }
        }
    }

    @Test("a message is bounded, also one of many fragments, and one whose length is beyond counting")
    func bounded() {
        var decoder = WebSocketDecoder()
        #expect(throws: WebSocketDecoder.Failure.tooLarge) { try decoder.feed([0x82, 0xFF] + Array(repeating: 0xFF, count: 8)) }
        decoder = WebSocketDecoder()
        #expect(throws: WebSocketDecoder.Failure.tooLarge) {
            let piece = Array(repeating: UInt8(1), count: 1 << 20)
            _ = try decoder.feed(clientFrame(2, piece, isFinal: false))
            for _ in 0..<5 { _ = try decoder.feed(clientFrame(0, piece, isFinal: false)) }
        }
    }
}

@Suite("SPDY frames")
struct SPDYFrameTests {
    @Test("a stream is opened by the bytes of the draft, its fields stored by zlib")
    func opening() {
        let block: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 10] + Array("streamtype".utf8) + [0, 0, 0, 5] + Array("error".utf8)
        let stored: [UInt8] = [0, UInt8(block.count), 0, ~UInt8(block.count), 0xFF] + block + [0, 0, 0, 0xFF, 0xFF]
        let fields = [("streamtype", "error")]
        #expect(
            SPDYFrame.open(1, fields, isFirst: true) == [0x80, 3, 0, 1, 0, 0, 0, UInt8(12 + stored.count), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x78, 1]
                + stored)
        #expect(
            SPDYFrame.open(3, fields, isFirst: false) == [0x80, 3, 0, 1, 0, 0, 0, UInt8(10 + stored.count), 0, 0, 0, 3, 0, 0, 0, 0, 0, 0] + stored)
    }

    @Test("data goes out in frames of 32 KiB, the last of which ends the stream")
    func data() {
        #expect(SPDYFrame.data(5, [1, 2]) == [0, 0, 0, 5, 0, 0, 0, 2, 1, 2])
        #expect(SPDYFrame.data(5, [], isLast: true) == [0, 0, 0, 5, 1, 0, 0, 0])
        let frames = SPDYFrame.data(5, Array(repeating: 7, count: SPDYFrame.dataLimit + 1), isLast: true)
        #expect(frames.prefix(8) == [0, 0, 0, 5, 0, 0, 0x80, 0])
        #expect(frames.suffix(9) == [0, 0, 0, 5, 1, 0, 0, 1, 7])
    }

    @Test("data and control frames are the same however their bytes are cut", arguments: [1, 3, 8, 9, 100, 100_000])
    func cuts(size: Int) throws {
        let data = (0..<40_000).map { UInt8(truncatingIfNeeded: $0) }
        let reply: [UInt8] = [0x80, 3, 0, 2, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0]
        let bytes =
            reply + SPDYFrame.data(3, data) + SPDYFrame.ping(0x8000_0002) + SPDYFrame.data(5, [], isLast: true) + [
                0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 7, 0, 0, 0, 5,
            ]
            + SPDYFrame.data(3, [1], isLast: true) + [0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]
        var decoder = SPDYDecoder()
        var events: [SPDYDecoder.Event] = []
        for start in stride(from: 0, to: bytes.count, by: size) { events += try decoder.feed(Array(bytes[start..<min(bytes.count, start + size)])) }
        let ofThree = events.reduce(into: [UInt8]()) { all, event in if case .data(3, let piece, _) = event { all += piece } }
        #expect(ofThree == data + [1])
        let ends = events.filter { event in
            if case .data(_, _, let isLast) = event { return isLast }
            return true
        }
        #expect(ends == [.ping(0x8000_0002), .data(stream: 5, [], isLast: true), .reset(stream: 7), .data(stream: 3, [1], isLast: true), .goAway])
    }

    @Test("a control frame beyond any that is of use ends the connection, before it is kept")
    func bounded() {
        var decoder = SPDYDecoder()
        #expect(throws: SPDYDecoder.Failure.self) { try decoder.feed([0x80, 3, 0, 4, 0, 0xFF, 0xFF, 0xFF]) }
    }
}

/// Two ends of a connection in memory.
private func pipe() -> (ByteTunnel, ByteTunnel) {
    func half() -> (read: @Sendable () async throws -> [UInt8]?, continuation: AsyncStream<[UInt8]>.Continuation) {
        let (stream, continuation) = AsyncStream<[UInt8]>.makeStream()
        let iterator = Mutex(UncheckedIterator(stream.makeAsyncIterator()))
        return ({ await iterator.withLock { $0 }.next() }, continuation)
    }
    let (toB, toA) = (half(), half())
    func end(_ incoming: @escaping @Sendable () async throws -> [UInt8]?, _ outgoing: AsyncStream<[UInt8]>.Continuation) -> ByteTunnel {
        ByteTunnel(read: incoming, write: { outgoing.yield($0) }, finishWriting: { outgoing.finish() }, close: { outgoing.finish() })
    }
    return (end(toA.read, toB.continuation), end(toB.read, toA.continuation))
}

/// One reader at a time, as a tunnel has it.
private final class UncheckedIterator: @unchecked Sendable {
    private var iterator: AsyncStream<[UInt8]>.Iterator
    init(_ iterator: AsyncStream<[UInt8]>.Iterator) { self.iterator = iterator }
    func next() async -> [UInt8]? { await iterator.next(isolation: nil) }
}

@Suite("exec and attach by WebSocket, and port-forward")
struct StreamTranslationTests {
    /// What the client of a translation has been sent: whole frames of a server.
    private static func messages(_ client: ByteTunnel) async throws -> [[UInt8]] {
        var bytes: [UInt8] = []
        while let more = try await client.read() { bytes += more }
        var found: [[UInt8]] = []
        while bytes.count >= 2 {
            var (length, header) = (Int(bytes[1]), 2)
            if length == 126 { (length, header) = (Int(bytes[2]) << 8 | Int(bytes[3]), 4) }
            found.append([bytes[0]] + bytes[header..<header + length])
            bytes.removeFirst(header + length)
        }
        return found
    }

    /// The frames by which a server's streams are over.
    private static func resets(_ streams: [UInt8]) -> [UInt8] { streams.flatMap { [0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, $0, 0, 0, 0, 5] } }

    /// A kubelet whose command is `cat`: what comes goes back, and the end of the input ends it.
    private static func cat(_ tunnel: ByteTunnel, stdin: UInt32, stdout: UInt32, status: String) async throws {
        var decoder = SPDYDecoder()
        while let bytes = try await tunnel.read() {
            for case .data(stdin, let piece, let isLast) in try decoder.feed(bytes) {
                if !piece.isEmpty { try await tunnel.write(SPDYFrame.data(stdout, piece)) }
                guard isLast else { continue }
                try await tunnel.write(SPDYFrame.ping(2) + SPDYFrame.data(1, Array(status.utf8)))
                // As upstream's server ends: no stream by itself, then the connection.
                try await tunnel.write(resets([1, 3, 5]))
                return await tunnel.close()
            }
        }
    }

    @Test("input is passed on until the client says that there is no more; the output, then the status, come back")
    func exec() async throws {
        let (client, ours) = pipe()
        let (theirs, kubelet) = pipe()
        let status = #"{"metadata":{},"status":"Failure","reason":"NonZeroExitCode"}"#
        let translation = StreamTranslation(stdin: true, stdout: true, stderr: true, tty: false)
        async let running: Void = translation.run(ours) { theirs }
        async let command: Void = Self.cat(kubelet, stdin: 3, stdout: 5, status: status)
        try await client.write(clientFrame(2, [0] + Array("hello ".utf8)) + clientFrame(9, [4]) + clientFrame(2, [0] + Array("there".utf8)))
        // Another stream's end, and what comes after the end, are nothing.
        try await client.write(clientFrame(2, [255, 1]) + clientFrame(2, [255, 0]) + clientFrame(2, [255, 0]) + clientFrame(2, [0, 7]))
        let found = try await Self.messages(client)
        _ = try await (running, command)
        #expect(found.first == [0x82, 1])
        #expect(found.filter { $0.starts(with: [0x82, 1]) }.flatMap { $0.dropFirst(2) } == Array("hello there".utf8))
        #expect(found.contains([0x8A, 4]))
        #expect(found.suffix(2) == [[0x82, 3] + Array(status.utf8), [0x88, 0x03, 0xE8]])
    }

    @Test("a terminal has a stream of sizes and none of errors; a command that says nothing has ended well")
    func terminal() async throws {
        let (client, ours) = pipe()
        let (theirs, kubelet) = pipe()
        let translation = StreamTranslation(stdin: false, stdout: true, stderr: true, tty: true)
        async let running: Void = translation.run(ours) { theirs }
        let opening = try await kubelet.read() ?? []
        let text = String(decoding: opening, as: UTF8.self)
        #expect(text.contains("error") && text.contains("stdout") && text.contains("resize") && !text.contains("stdin") && !text.contains("stderr"))
        let size = Array(#"{"Width":80,"Height":24}"#.utf8)
        try await client.write(clientFrame(2, [4] + size) + clientFrame(2, [0, 1, 2]))
        #expect(try await kubelet.read() == SPDYFrame.data(5, size))
        try await kubelet.write(Self.resets([1, 3, 5]))
        await kubelet.close()
        let found = try await Self.messages(client)
        await running
        #expect(found == [[0x82, 1], [0x82, 3] + Array(#"{"metadata":{},"status":"Success"}"#.utf8), [0x88, 0x03, 0xE8]])
    }

    @Test("a connection to the kubelet that ends before the command has is no success")
    func cut() async throws {
        let (client, ours) = pipe()
        let (theirs, kubelet) = pipe()
        async let running: Void = StreamTranslation(stdin: false, stdout: true, stderr: false, tty: false).run(ours) { theirs }
        _ = try await kubelet.read()
        try await kubelet.write(SPDYFrame.data(3, [7]))
        await kubelet.close()
        let found = try await Self.messages(client)
        await running
        #expect(found.prefix(2) == [[0x82, 1], [0x82, 1, 7]] && found.count == 4)
        let status = try Object(bytes: Array(found.dropFirst(2).first?.dropFirst(2) ?? []))
        #expect(status["status"].string == "Failure" && status["code"].int == 500)
    }

    @Test("a kubelet's refusal is how the command ended, in upstream's words")
    func refusal() async throws {
        let (client, ours) = pipe()
        let translation = StreamTranslation(stdin: false, stdout: true, stderr: true, tty: false)
        await translation.run(ours) { throw HTTPError.upgradeRefused(status: 404, body: Array("container not found (\"c\")\n".utf8)) }
        let found = try await Self.messages(client)
        let status = try Object(bytes: Array(found.first?.dropFirst(2) ?? []))
        #expect(found.count == 2 && found.first?.prefix(2) == [0x82, 3])
        #expect(status["message"].string == "Internal error occurred: unable to upgrade connection: container not found (\"c\")")
        #expect(status["code"].int == 500 && status["kind"] == nil)
    }

    @Test("a client that breaks the rules is told so, and one that goes takes the command's connection with it")
    func leaving() async throws {
        for (bytes, closing) in [([0x82, 1, 5], [UInt8(0x88), 0x03, 0xEA]), (clientFrame(8, [3, 0xE8]), nil)] as [([UInt8], [UInt8]?)] {
            let (client, ours) = pipe()
            let (theirs, kubelet) = pipe()
            async let running: Void = StreamTranslation(stdin: true, stdout: true, stderr: false, tty: false).run(ours) { theirs }
            try await client.write(bytes)
            let found = try await Self.messages(client)
            await running
            #expect(found.first == [0x82, 1] && found.dropFirst().first == closing)
            _ = try await kubelet.read()
            #expect(try await kubelet.read() == nil)
        }
    }

    @Test("a forwarded port's bytes are the messages' contents, both ways")
    func portForward() async throws {
        let (client, ours) = pipe()
        let (theirs, kubelet) = pipe()
        async let running: Void = PortForwardTunnel.run(ours, theirs)
        try await client.write(clientFrame(2, [1, 2], isFinal: false) + clientFrame(0, [3]) + clientFrame(9, []))
        #expect(try await kubelet.read() == [1, 2, 3])
        try await kubelet.write([4, 5])
        #expect(try await client.read() == [0x8A, 0])
        #expect(try await client.read() == [0x82, 2, 4, 5])
        await kubelet.close()
        #expect(try await client.read() == WebSocketFrame.closing)
        #expect(try await client.read() == nil)
        await running
    }
}
