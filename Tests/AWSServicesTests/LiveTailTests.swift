import Glibc
import HTTPTransport
import Synchronization
import Testing

@testable import AWSProtocol
@testable import AWSServices

@Suite struct LiveTailTests {
    private struct Ended: Error {}

    private func event(_ message: String) -> LogEvent { LogEvent(timestamp: 1, message: message) }

    private func filter(_ pattern: String, streams: Set<String> = [], prefixes: [String] = []) throws -> LiveTailFilter {
        LiveTailFilter(groups: ["g": "arn"], streamNames: streams, streamPrefixes: prefixes, pattern: try LogFilterPattern(pattern))
    }

    @Test("a session is told of the events of its groups and streams that its pattern takes, and samples what is too much")
    func hub() throws {
        let tails = LiveTails()
        tails.begin("all", try filter(""))
        tails.begin("some", try filter("\"loud\"", prefixes: ["a"]))
        tails.publish([event("quiet"), event("loud one")], group: "g", stream: "a1", ingestedAt: 2)
        tails.publish([event("loud two")], group: "g", stream: "b1", ingestedAt: 2)
        tails.publish([event("loud three")], group: "other", stream: "a1", ingestedAt: 2)
        #expect(tails.take("all").events.map(\.event.message) == ["quiet", "loud one", "loud two"])
        #expect(tails.take("some").events.map(\.event.message) == ["loud one"])
        #expect(tails.take("all").events.isEmpty)
        tails.publish((0..<600).map { event("\($0)") }, group: "g", stream: "b", ingestedAt: 2)
        let much = tails.take("all")
        #expect(much.events.count == LiveTails.mostEvents && much.isSampled)
        #expect(!tails.take("all").isSampled)
        tails.end("all")
        tails.publish([event("x")], group: "g", stream: "b", ingestedAt: 2)
        #expect(tails.take("all").events.isEmpty)
        for index in 0..<LiveTails.mostSessions { tails.begin("\(index)", try filter("")) }
        #expect(throws: AWSError.self) { try tails.checkRoom() }
    }

    @Test("a session's answer is a stream that begins with the session and goes on with what is written, in frames that hold")
    func session() async throws {
        let path = "/tmp/tail-test-\(AWSIdentifier.hex(16)).db"
        defer { for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) } }
        let account = try await Account()
        let store = try LogStore(path: path)
        let service = LogsService(store: store, authorizer: account.identities, account: "000000000000", region: "eu-central-1")
        try await store.put(group: "g", stream: "s", events: [LogEvent(timestamp: store.now, message: "before")])
        let head = HTTPRequestHead(
            method: "POST", target: "/", fields: ["X-Amz-Target": "Logs_20140328.StartLiveTail"], authority: "x",
            connection: ConnectionInfo(remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2"))
        let input: AWSJSON = ["logGroupIdentifiers": ["g"]]
        let request = AWSRequest(
            head: head, service: "logs", region: "eu-central-1", requestID: "r", caller: try await account.caller(), query: [], body: input.encoded)
        let response = try await service.handle(request)
        #expect(response.fields["Content-Type"] == "application/vnd.amazon.eventstream")
        let stream = try #require(response.stream)
        let (frames, frame) = AsyncStream.makeStream(of: [UInt8].self)
        let writer = HTTPBodyWriter { bytes in frame.yield(bytes) }
        let session = Task { try await stream(writer) }
        var bytes: [UInt8] = []
        var isWritten = false
        for await more in frames {
            bytes += more
            let text = String(decoding: bytes, as: UTF8.self)
            if text.contains("sessionStart"), !isWritten {
                isWritten = true
                try await store.put(group: "g", stream: "s", events: [LogEvent(timestamp: store.now, message: "after")])
            }
            if text.contains("\"after\"") { break }
        }
        session.cancel()
        _ = await session.result
        let messages = try Self.frames(bytes)
        #expect(
            messages.prefix(2).map(\.type) == ["initial-response", "sessionStart"] && messages.dropFirst(2).allSatisfy { $0.type == "sessionUpdate" })
        #expect(messages.allSatisfy { !$0.payload.contains("before") })
        #expect(messages.last?.payload.contains("log-group:g") == true)
    }

    /// Frames, with their checksums looked at.
    private static func frames(_ bytes: [UInt8]) throws -> [(type: String, payload: String)] {
        func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) } }
        var (rest, found): (ArraySlice<UInt8>, [(String, String)]) = (bytes[...], [])
        while !rest.isEmpty {
            let (total, headers) = (number(rest), number(rest.dropFirst(4)))
            guard total >= 16 + headers, rest.count >= total else { throw Ended() }
            let frame = Array(rest.prefix(total))
            #expect(
                number(frame[8...]) == Int(CRC32.of(Array(frame[..<8])))
                    && number(frame[(total - 4)...]) == Int(CRC32.of(Array(frame[..<(total - 4)]))))
            let text = String(decoding: frame[12..<(12 + headers)], as: UTF8.self)
            let types = ["initial-response", "sessionStart", "sessionUpdate"]
            found.append((types.first { text.contains($0) } ?? text, String(decoding: frame[(12 + headers)..<(total - 4)], as: UTF8.self)))
            rest = rest.dropFirst(total)
        }
        return found
    }
}
