import Glibc
import KubeAPI
import Logging

/// A line for each question of a server block that has the plug-in `log`. Upstream: plugin/log's format `{common}`.
struct QueryLog: Sendable {
    private static let typeNames: [UInt16: String] = [
        1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 65: "HTTPS", 255: "ANY",
    ]
    private static let codeNames: [UInt8: String] = [0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"]

    let logger: Logger

    /// Wraps `reply` so that the answer is noted.
    func noting(
        _ query: DNSQuery, _ name: DNSName, client: SocketPeer?, isStream: Bool, requestBytes: Int, _ reply: @escaping @Sendable ([UInt8]) -> Void
    ) -> @Sendable ([UInt8]) -> Void {
        let start = ContinuousClock.now
        return { [logger] answer in
            reply(answer)
            let line = Self.line(
                query, name, client: client?.description ?? "-", transport: isStream ? "tcp" : "udp", requestBytes: requestBytes, answer: answer,
                elapsed: start.duration(to: .now))
            logger.info("\(line)")
        }
    }

    /// `10.0.0.7:40000 - 4660 "A IN example.com. udp 41 false 512" NOERROR qr,rd,ra 57 0.002s`
    static func line(
        _ query: DNSQuery, _ name: DNSName, client: String, transport: String, requestBytes: Int, answer: [UInt8], elapsed: Duration
    ) -> String {
        let type = typeNames[query.type] ?? "TYPE\(query.type)"
        let question = "\(type) IN \(name.labels.joined(separator: ".")). \(transport) \(requestBytes) \(query.dnssecOK) \(query.payloadBytes)"
        guard answer.count >= DNSNumber.headerBytes else { return "\(client) - \(query.id) \"\(question)\" - - \(answer.count)" }
        let flags = [
            (answer[2], UInt8(0x80), "qr"), (answer[2], 0x04, "aa"), (answer[2], 0x02, "tc"), (answer[2], 0x01, "rd"), (answer[3], 0x80, "ra"),
        ]
        let set = flags.filter { $0.0 & $0.1 != 0 }.map { $0.2 }.joined(separator: ",")
        let microseconds =
            elapsed.components.seconds.multipliedReportingOverflow(by: 1_000_000).partialValue &+ elapsed.components.attoseconds / 1_000_000_000_000
        let seconds = Double(microseconds) / 1_000_000
        return "\(client) - \(query.id) \"\(question)\" \(codeNames[answer[3] & 0xF] ?? "\(answer[3] & 0xF)") \(set) \(answer.count) \(seconds)s"
    }
}

/// Who asked, by the kernel's word.
struct SocketPeer: Sendable, CustomStringConvertible {
    private let storage: sockaddr_storage

    init(_ storage: sockaddr_storage) { self.storage = storage }

    /// The other end of a connection; nil when it is gone.
    init?(of descriptor: Int32) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
        }
        guard result == 0 else { return nil }
        self.storage = storage
    }

    var description: String {
        withUnsafeBytes(of: storage) { bytes in
            // The port is at the same place in both families' addresses, the address behind it or behind the flow label.
            let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
            let isIPv6 = storage.ss_family == sa_family_t(AF_INET6)
            let number = bytes[isIPv6 ? 8..<24 : 4..<8].reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
            let address = IPAddress(number: number, isIPv6: isIPv6)
            return isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)"
        }
    }
}
