import Synchronization
import Testing

@testable import HTTPTransport

@Suite("Who may connect", .timeLimit(.minutes(1)))
struct AdmittedAddressTests {
    private final class Gate: Sendable {
        let isOpen = Mutex(true)
        let seen = Mutex<Set<String>>([])
        func admits(_ address: String) -> Bool {
            seen.withLock { _ = $0.insert(address) }
            return isOpen.withLock { $0 }
        }
    }

    @Test("a client that is not admitted is cut off, one that no longer is loses its connection, and comes back when it is again")
    func gate() async throws {
        let gate = Gate()
        let responder = TestResponder(now: { _ in text(200, "in") }, later: { _, _ in text(200, "in") })
        let server = try await HTTPServer.start(
            .init(address: .tcp(host: "127.0.0.1", port: 0), admits: { gate.admits($0) }), responder: responder)
        let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        #expect(try await exchange(server, request).hasSuffix("in"))
        #expect(gate.seen.withLock { $0 } == ["127.0.0.1"])
        let client = try makeClient(of: server)
        _ = try await client.execute("GET", "/").body.collect(limit: 100)
        // The server hears of the first exchange's end on a loop of its own.
        try await eventually("its connection alone") { server.connections.count == 1 }
        gate.isOpen.withLock { $0 = false }
        server.dismissUnwelcome()
        try await eventually("the connection's end") { server.connections.count == 0 }
        let refused = try? await exchange(server, request)
        #expect(refused.map(\.isEmpty) ?? true)
        gate.isOpen.withLock { $0 = true }
        #expect(try await exchange(server, request).hasSuffix("in"))
        await client.close()
        await server.stop(grace: .zero)
    }
}
