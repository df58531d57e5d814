import HTTPTransport
import KubeAPI
import Logging
import Synchronization

/// Answers load balancers that ask a node whether it has endpoints of a Service whose external traffic stays on the node: one port for each such
/// Service. Upstream: pkg/proxy/healthcheck.ServiceHealthServer.
actor HealthCheckServers {
    /// How many endpoints the node has, read by requests.
    private final class Answer: HTTPResponder {
        private let name: String
        private let count: Mutex<Int>

        init(name: String, count: Int) {
            self.name = name
            self.count = Mutex(count)
        }

        func set(_ count: Int) { self.count.withLock { $0 = count } }

        func respondNow(to head: HTTPRequestHead) -> HTTPResponse? {
            let endpoints = count.withLock { $0 }
            let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
            let body: Value = [
                "service": ["namespace": .string(parts.first ?? ""), "name": .string(parts.last ?? "")], "localEndpoints": .int(Int64(endpoints)),
                "serviceProxyHealthy": true,
            ]
            let fields: HTTPFields = [
                "Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "X-Load-Balancing-Endpoint-Weight": "\(endpoints)",
            ]
            return HTTPResponse(status: endpoints > 0 ? 200 : 503, fields: fields, body: .bytes(body.jsonBytes))
        }

        func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
            respondNow(to: head) ?? HTTPResponse(status: 503)
        }
    }

    private struct Entry {
        var port: UInt16
        var answer: Answer
        var server: HTTPServer
    }

    private let address: String
    private let logger: Logger
    private var entries: [String: Entry] = [:]

    init(address: String, logger: Logger) {
        self.address = address
        self.logger = logger
    }

    /// Port 0 or nil: the Service has no health check any more.
    func set(_ service: String, port: UInt16, localEndpoints: Int) async {
        if let entry = entries[service], entry.port == port { return entry.answer.set(localEndpoints) }
        if let old = entries.removeValue(forKey: service) { await old.server.stop(grace: .zero) }
        guard port > 0 else { return }
        let answer = Answer(name: service, count: localEndpoints)
        do {
            let server = try await HTTPServer.start(.init(address: .tcp(host: address, port: Int(port))), responder: answer)
            entries[service] = Entry(port: port, answer: answer, server: server)
        } catch {
            logger.warning("no health check", metadata: ["service": "\(service)", "port": "\(port)", "error": "\(error)"])
        }
    }

    func stop() async {
        for entry in entries.values { await entry.server.stop(grace: .zero) }
        entries = [:]
    }
}
