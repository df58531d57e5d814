import HTTPTransport
import KubeAPI
import KubeClient
import Synchronization

/// Takes audit events, one line of JSON each, with its line break. Upstream: audit.Backend.
package protocol AuditSink: Sendable {
    /// Must not block. False: the event was lost, because the sink is behind.
    func accept(_ line: [UInt8]) -> Bool
    /// Writes what it has taken, and ends.
    func close() async
}

/// What an API server writes down of its requests, and where to.
package struct AuditConfiguration: Sendable {
    package var policy: AuditPolicy
    package var sink: any AuditSink
    /// Whether anything is wanted now: asked with each request.
    package var isWanted: @Sendable () -> Bool

    package init(policy: AuditPolicy, sink: any AuditSink, isWanted: @escaping @Sendable () -> Bool = { true }) {
        self.policy = policy
        self.sink = sink
        self.isWanted = isWanted
    }
}

/// Begins the records of requests and counts what becomes of their events. Upstream: endpoints/filters.WithAudit.
final class Auditor: Sendable {
    private let configuration: AuditConfiguration
    let now: @Sendable () -> Timestamp
    private let events = Atomic<Int>(0)
    private let lost = Atomic<Int>(0)
    private let levels = Mutex<[AuditLevel: Int]>([:])

    init(_ configuration: AuditConfiguration, now: @escaping @Sendable () -> Timestamp) {
        self.configuration = configuration
        self.now = now
    }

    /// Whether requests are noted at present.
    var isWanted: Bool { configuration.isWanted() }

    /// The record of a request by `user`; nil when the policy wants nothing of it. `head`: nil in process.
    func begin(id: String, _ head: HTTPRequestHead?, _ info: RequestInfo, user: UserInfo?, requestURI: String? = nil) -> AuditRecord? {
        guard isWanted else { return nil }
        let verdict = configuration.policy.evaluate(user, info)
        levels.withLock { $0[verdict.level, default: 0] += 1 }
        guard verdict.level != .none else { return nil }
        return AuditRecord(
            id: id, verdict: verdict, auditor: self, requestURI: requestURI ?? head?.target ?? info.path, info: info,
            user: user ?? UserInfo(name: ""), sources: head.map(Self.sources) ?? ["127.0.0.1"], userAgent: head?.fields["User-Agent"] ?? "eyrie",
            received: now())
    }

    func accept(_ line: [UInt8]) {
        events.wrappingAdd(1, ordering: .relaxed)
        if !configuration.sink.accept(line) { lost.wrappingAdd(1, ordering: .relaxed) }
    }

    func close() async { await configuration.sink.close() }

    /// Upstream: utilnet.SourceIPs: who is named by proxies on the way, then who connected.
    private static func sources(_ head: HTTPRequestHead) -> [String] {
        var sources: [String] = []
        func add(_ text: some StringProtocol) {
            let address = String(text.filter { $0 != " " })
            if !address.isEmpty, address.utf8.count <= 64, !sources.contains(address) { sources.append(address) }
        }
        for part in (head.fields["X-Forwarded-For"] ?? "").split(separator: ",").prefix(16) { add(part) }
        if let real = head.fields["X-Real-Ip"] { add(real) }
        let remote = head.connection.remoteAddress
        if remote.hasPrefix("["), let end = remote.firstIndex(of: "]") {
            add(remote[remote.index(after: remote.startIndex)..<end])
        } else {
            add(remote.lastIndex(of: ":").map { remote[..<$0] } ?? remote[...])
        }
        return sources
    }

    /// The identifier of a request: the client's own if it sent one, else a new one. Upstream: WithAuditInit.
    static func identifier(_ head: HTTPRequestHead) -> String {
        guard let sent = head.fields["Audit-ID"], !sent.isEmpty else { return RandomText.uuid() }
        return String(sent.prefix(64))
    }

    func write(to text: inout MetricsText) {
        text.family("apiserver_audit_event_total", "counter", "[ALPHA] Counter of audit events generated and sent to the audit backend.")
        text.sample("apiserver_audit_event_total", [], events.load(ordering: .relaxed))
        text.family("apiserver_audit_error_total", "counter", "[ALPHA] Counter of audit events that failed to be audited properly.")
        text.sample("apiserver_audit_error_total", [("plugin", "log")], lost.load(ordering: .relaxed))
        text.family("apiserver_audit_level_total", "counter", "[ALPHA] Counter of policy levels for audit events (1 per request).")
        for (level, count) in levels.withLock({ $0 }) { text.sample("apiserver_audit_level_total", [("level", level.rawValue)], count) }
    }
}
