import Glibc
import KubeAPI
import KubeAPIServer
import KubeClient
import KubeStorage
import Synchronization

/// An API server on a SQLite store with one fsync a commit group, and clients of it in this process: everything passes authorisation, flow control and
/// admission.
struct BenchCluster: Sendable {
    private static let serviceRange = "10.96.0.0/16"

    let server: APIServer
    let admin: KubeClient

    init(store: any Store) throws {
        let issuer = try ServiceAccountTokenIssuer(
            issuer: "https://bench.invalid", privateKeyPEM: ServiceAccountTokenIssuer.makePrivateKeyPEM())
        guard let range = ServiceCIDR(Self.serviceRange) else { throw BenchError("\(Self.serviceRange) is no range") }
        let settings = ClusterSettings(serviceCIDR: range, tokenIssuer: issuer)
        server = APIServer(
            .init(store: store, version: VersionInfo(minor: "36", gitVersion: "v1.36.0"), serverAddress: "127.0.0.1:6443") {
                APIServer.Components.standard(settings, reader: $0)
            })
        admin = KubeClient(transport: InProcessTransport(server, user: UserInfo(name: "bench", groups: ["system:masters"])))
    }

    func start() async throws {
        try await server.start()
        guard let range = ServiceCIDR(Self.serviceRange) else { throw BenchError("\(Self.serviceRange) is no range") }
        try await server.bootstrap(.init(serviceCIDR: range))
    }

    func client(_ user: String) -> KubeClient { KubeClient(transport: InProcessTransport(server, user: UserInfo(name: user, groups: []))) }

    /// A namespace with the account that pods need; its pods get no tokens, as scheduler_perf has no such admission.
    func makeNamespace(_ name: String) async throws {
        do {
            try await admin.create(.namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(name)]])
        } catch let error as StatusError where error.isConflict {}
        try await admin.create(
            .serviceAccounts,
            [
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "default", "namespace": .string(name)],
                "automountServiceAccountToken": false,
            ])
    }

    /// New nodes are tainted as not ready; no controller takes that off here.
    func makeNodes(_ nodes: [Value]) async throws {
        try await concurrently(nodes.count) { number in
            var made = try await admin.create(.nodes, nodes[number]).value
            guard made[path: "spec", "taints"] != nil else { return }
            made[path: "spec", "taints"] = nil
            try await admin.update(.nodes, made)
        }
    }

    /// Does something `count` times, 128 at once.
    func concurrently(_ count: Int, writers: Int = 128, _ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<min(writers, count) {
                group.addTask { for number in stride(from: writer, to: count, by: writers) { try await body(number) } }
            }
            try await group.waitForAll()
        }
    }
}

/// Counts the pods of each namespace that were given a node, and wakes who waits for so many.
final class BoundCounter: Sendable {
    private struct State {
        var counts: [String: Int] = [:]
        var waiting: [(namespace: String, count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }
    private let state = Mutex(State())

    func follow(_ pods: SharedInformer) {
        @Sendable func isBound(_ pod: Object) -> Bool { pod["spec"]["nodeName"].string != nil }
        pods.addHandler(
            InformerHandler(
                added: { [self] in if isBound($0) { add($0.metadata.namespace) } },
                updated: { [self] in if !isBound($0), isBound($1) { add($1.metadata.namespace) } }))
    }

    private func add(_ namespace: String) {
        let ready = state.withLock { state in
            let count = (state.counts[namespace] ?? 0) + 1
            state.counts[namespace] = count
            let ready = state.waiting.filter { $0.namespace == namespace && $0.count <= count }
            state.waiting.removeAll { $0.namespace == namespace && $0.count <= count }
            return ready
        }
        for waiter in ready { waiter.continuation.resume() }
    }

    func wait(for count: Int, in namespace: String) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if (state.counts[namespace] ?? 0) >= count { return true }
                state.waiting.append((namespace, count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}

/// What this process used and how long it took.
enum Usage {
    static func seconds(since start: ContinuousClock.Instant) -> Double {
        let elapsed = ContinuousClock.now - start
        return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
    }

    /// Processor time of this process so far.
    static func cpuSeconds() -> Double {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    /// Resident bytes of this process.
    static func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 128)
        guard fgets(&buffer, Int32(buffer.count), file) != nil else { return 0 }
        let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}

/// Why a measurement could not be made.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
