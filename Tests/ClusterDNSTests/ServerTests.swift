import Glibc
import KubeAPI
import Testing

@testable import ClusterDNS

/// The server on real sockets, with one like it as the server that it asks.
@Suite struct ServerTests {
    private static let loopback = IPAddress(number: 0x7F00_0001, isIPv6: false)

    private func server(_ upstreamPort: UInt16? = nil) throws -> DNSServer {
        let forwarder = Forwarder(targets: upstreamPort.map { [(Self.loopback, $0)] } ?? [], timeoutSeconds: 1)
        return try DNSServer(address: Self.loopback, port: 0, responder: Responder([block(zone, forwarder)]))
    }

    /// Knows one name outside the cluster's domain.
    private func other() throws -> DNSServer {
        let zone = ClusterZone(domain: "example.com", source: OneName(), serverAddress: nil)
        return try DNSServer(address: Self.loopback, port: 0, responder: Responder([block(zone, Forwarder(targets: []))]))
    }

    private struct OneName: ZoneSource {
        func service(namespace: String, name: String) -> ZoneService? { nil }
        func endpoints(namespace: String, name: String) -> [ZoneEndpoint] { [] }
        func hasNamespace(_ name: String) -> Bool { true }
        func services(at address: IPAddress) -> [(namespace: String, name: String)] { [] }
        func endpointNames(at address: IPAddress) -> [(namespace: String, name: String, hostname: String)] { [] }
    }

    private func ask(_ server: DNSServer, _ message: [UInt8], byTCP: Bool = false) throws -> [UInt8] {
        let descriptor = try DNSSocket.make(Self.loopback, byTCP ? DNSSocket.stream : DNSSocket.datagram)
        defer { close(descriptor) }
        DNSSocket.setTimeout(descriptor, seconds: 10)
        _ = SocketAddress.with(Self.loopback, server.port) { connect(descriptor, $0, $1) }
        if byTCP {
            #expect(DNSSocket.writeMessage(descriptor, message))
            return DNSSocket.readMessage(descriptor) ?? []
        }
        send(descriptor, message, message.count, 0)
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return Array(buffer.prefix(max(0, count)))
    }

    @Test("a Service's name is answered by UDP and by TCP") func zoneNames() throws {
        let server = try server()
        defer { server.stop() }
        for byTCP in [false, true] {
            #expect(try ask(server, message("web.default.svc.cluster.local"), byTCP: byTCP).suffix(4) == [10, 100, 0, 20])
        }
    }

    @Test("other names are asked for and remembered; denials are, too") func forwarding() throws {
        let upstream = try other()
        let server = try server(upstream.port)
        defer { server.stop() }
        let name = "1-2-3-4.any.pod.example.com"
        #expect(try ask(server, message(name)).suffix(4) == [1, 2, 3, 4])
        let denied = try ask(server, message("no.such.example.com"))
        #expect(denied.count > 12 && denied[3] & 0xF == ResponseCode.nameError.rawValue)
        upstream.stop()
        #expect(try ask(server, message(name, id: 5)).suffix(4) == [1, 2, 3, 4], "from memory")
        #expect(try ask(server, message("no.such.example.com")).count == denied.count)
    }

    @Test("an alias that leads outside is answered with what the other server says") func alias() throws {
        let upstream = try other()
        let server = try server(upstream.port)
        defer {
            server.stop()
            upstream.stop()
        }
        // `www.example.com` is not there: the alias is all there is.
        let answer = try ask(server, message("outside.default.svc.cluster.local"))
        #expect(answer.count > 12 && answer[7] == 1 && answer[3] & 0xF == 0)
    }

    @Test("without a server to ask the answer is a failure, and nonsense gets none") func failure() throws {
        let server = try server()
        defer { server.stop() }
        let answer = try ask(server, message("www.example.com"))
        #expect(answer.count > 12 && answer[3] & 0xF == ResponseCode.serverFailure.rawValue)
        #expect(try ask(server, message("www.example.com"), byTCP: true).dropFirst(3).first.map { $0 & 0xF } == ResponseCode.serverFailure.rawValue)
    }
}
