import KubeAPI
import Testing

@testable import KubeProxy

/// Old UDP flows.
@Suite struct ConntrackTests {
    /// A flow as the kernel tells it: 10.0.0.5 asked 10.100.0.20:53, which 10.0.0.1:5353 answers.
    private static func datagram(answerer: [UInt8] = [10, 0, 0, 1]) -> [UInt8] {
        func attribute(_ type: UInt16, _ body: [UInt8]) -> [UInt8] {
            let length = UInt16(body.count + 4)
            var bytes = [UInt8(length & 0xFF), UInt8(length >> 8), UInt8(type & 0xFF), UInt8(type >> 8)] + body
            while bytes.count % 4 != 0 { bytes.append(0) }
            return bytes
        }
        func tuple(_ type: UInt16, _ source: [UInt8], _ destination: [UInt8], _ sourcePort: [UInt8], _ destinationPort: [UInt8]) -> [UInt8] {
            attribute(
                type | 0x8000,
                attribute(0x8001, attribute(1, source) + attribute(2, destination))
                    + attribute(0x8002, attribute(1, [17]) + attribute(2, sourcePort) + attribute(3, destinationPort)))
        }
        let body: [UInt8] =
            [2, 0, 0, 0] + tuple(1, [10, 0, 0, 5], [10, 100, 0, 20], [0x80, 0], [0, 53])
            + tuple(2, answerer, [10, 0, 0, 5], [0x14, 0xE9], [0x80, 0]) + attribute(12, [1, 2, 3, 4])
        let length = UInt32(body.count + 16)
        return [UInt8(length & 0xFF), UInt8(length >> 8), 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0] + body
    }

    @Test("a flow is read and named for forgetting") func readsFlow() throws {
        let answer = ConntrackMessages.read(Self.datagram()[...])
        let flow = try require(answer.flows.first)
        #expect(flow.destination.description == "10.100.0.20")
        #expect(flow.destinationPort == 53)
        #expect(flow.answerer.description == "10.0.0.1")
        #expect(flow.answererPort == 5353)
        #expect(!answer.isLast)
        #expect(ConntrackMessages.forget(flow).count == 20 + flow.identity.count)
    }

    @Test("cut and broken datagrams are no trap") func brokenDatagrams() {
        let whole = Self.datagram()
        var random = SystemRandomNumberGenerator()
        for length in 0..<whole.count { _ = ConntrackMessages.read(whole[..<length]) }
        for _ in 0..<2000 {
            var bytes = whole
            for _ in 0..<4 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            _ = ConntrackMessages.read(bytes[...])
        }
    }

    @Test("a flow whose endpoint went is stale, one to a living endpoint or to no Service is not") func staleness() throws {
        let facts = try service(ports: [["name": "dns", "port": 53, "protocol": "UDP"]])
        let flow = try require(ConntrackMessages.read(Self.datagram()[...]).flows.first)
        let living = ConntrackExpectations(facts, [key("dns", .udp): [try endpoint("10.0.0.1", 5353)]], nodeAddresses: [])
        let gone = ConntrackExpectations(facts, [key("dns", .udp): [try endpoint("10.0.0.2", 5353)]], nodeAddresses: [])
        #expect(!living.isStale(flow))
        #expect(gone.isStale(flow))
        #expect(ConntrackExpectations(facts, [:], nodeAddresses: []).isStale(flow))
        #expect(!ConntrackExpectations().isStale(flow))
    }
}
