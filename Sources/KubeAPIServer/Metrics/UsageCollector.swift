import HTTPTransport
import KubeAPI
import Logging

/// Asks kubelets what their containers use, when somebody wants to know: a cluster where nobody does pays nothing. Two samples make a figure; the
/// last ones are kept. Upstream: metrics-server's scraper, which asks every 15 seconds.
actor UsageCollector {
    /// A sample younger than this is not taken anew. Upstream: --metric-resolution is 15 s.
    private static let freshness: Double = 10
    /// An older one says too little about now.
    private static let staleness: Double = 120
    /// Between the first two samples of a node that nothing is known of.
    private static let firstWindow = Duration.seconds(1)
    private static let timeout = Duration.seconds(5)
    /// A summary of 110 pods is some 100 KB.
    private static let maximumBytes = 16 << 20

    private struct History {
        var older: UsageSample?
        var newer: UsageSample
    }

    private let connections: KubeletConnections
    private let now: @Sendable () -> Timestamp
    private let logger = Logger(label: "eyrie.metrics")
    private var histories: [String: History] = [:]
    private var running: [String: Task<Void, Never>] = [:]

    init(connections: KubeletConnections, now: @escaping @Sendable () -> Timestamp) {
        self.connections = connections
        self.now = now
    }

    /// What these nodes use, by name; a node that does not answer is left out.
    func windows(of nodes: [Object]) async -> [String: UsageWindow] {
        let names = Set(nodes.map(\.metadata.name))
        await withDiscardingTaskGroup { group in
            for node in nodes where needsSample(node.metadata.name) { group.addTask { await self.refresh(node) } }
        }
        if nodes.count > 1 { histories = histories.filter { names.contains($0.key) || !isStale($0.value.newer) } }
        return histories.filter { names.contains($0.key) && !isStale($0.value.newer) }.compactMapValues { history in
            history.older.map { UsageWindow(older: $0, newer: history.newer) }
        }
    }

    private func age(_ sample: UsageSample) -> Double { now().timeInterval(since: sample.time) }
    private func isStale(_ sample: UsageSample) -> Bool { age(sample) > Self.staleness }

    private func needsSample(_ name: String) -> Bool {
        guard let history = histories[name], history.older != nil else { return true }
        return age(history.newer) >= Self.freshness
    }

    /// Several who ask at once wait for the same samples.
    private func refresh(_ node: Object) async {
        let name = node.metadata.name
        if let task = running[name] { return await task.value }
        let task = Task { await self.sample(node) }
        running[name] = task
        await task.value
        running[name] = nil
    }

    private func sample(_ node: Object) async {
        let name = node.metadata.name
        do {
            let first = try await fetch(node)
            if let last = histories[name]?.newer, !isStale(last), first.time.timeInterval(since: last.time) >= 1 {
                histories[name] = History(older: last, newer: first)
                return
            }
            try await Task.sleep(for: Self.firstWindow)
            histories[name] = History(older: first, newer: try await fetch(node))
        } catch {
            logger.debug("a kubelet does not tell what it uses", metadata: ["node": "\(name)", "error": "\(error)"])
        }
    }

    private func fetch(_ node: Object) async throws -> UsageSample {
        let client = try connections.client(for: node)
        let response = try await client.execute("GET", "/stats/summary?only_cpu_and_memory=true", timeout: Self.timeout)
        let time = now()
        let bytes = try await response.body.collect(limit: Self.maximumBytes)
        guard response.status == 200 else { throw StatusError.internalError("the kubelet answered \(response.status)") }
        return UsageSample(try JSONDocument(bytes).root, at: time)
    }
}
