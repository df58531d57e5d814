import KubeAPI
import KubeClient
import KubeProxy
import Logging
import Nftables
import Processes

/// The node's service proxy in a namespace of its own, with the informers it has on a node and an API that answers from memory.
enum ProxyBench {
    /// Runs a proxy until the task is cancelled.
    static func start(_ api: ServicesAPI, nodeAddress: String) -> Task<Void, Never> {
        var logger = Logger(label: "network-bench")
        logger.logLevel = .warning
        let informers = InformerFactory(client: KubeClient(transport: api), logger: logger)
        let settings = KubeProxy.Configuration(nodeName: "bench", nodeAddresses: [nodeAddress].compactMap { IPAddress($0) })
        let proxy = KubeProxy(configuration: settings, informers: informers, logger: logger)
        return Task {
            await withDiscardingTaskGroup { group in
                group.addTask { await informers.run() }
                group.addTask { await proxy.run() }
            }
        }
    }

    /// All Services from nothing, then changes: from the watch's event to the kernel's new rules.
    static func run(services: Int, changes: Int) async throws {
        guard changes <= services else { throw BenchError("each change is of another Service: at most \(services)") }
        let api = try ServicesAPI(services: services)
        let generation = try RuleGeneration()
        let nothing = try generation.read()
        let start = Stopwatch.microseconds()
        let running = Self.start(api, nodeAddress: "192.0.2.1")
        try await generation.wait(beyond: nothing)
        let whole = Stopwatch.microseconds() - start
        try expect(services * ServicesAPI.endpointsOfService, " . \(ServicesAPI.endpointPort)")
        report("{\"what\":\"whole\",\"services\":\(services),\"microseconds\":\(whole),\"resident_bytes\":\(residentBytes())}")

        // The informers' first words to the proxy are over.
        try await Task.sleep(for: .seconds(1))
        var samples: [Int64] = []
        for change in 0..<changes {
            // What follows a change (flows that are forgotten) is over.
            try await Task.sleep(for: .milliseconds(5))
            let before = try generation.read()
            let start = Stopwatch.microseconds()
            try api.changeEndpoint(ofService: change * (services / changes))
            try await generation.wait(beyond: before)
            samples.append(Stopwatch.microseconds() - start)
        }
        try expect(changes, " : \(ServicesAPI.changedPrefix)")
        running.cancel()
        report("{\"what\":\"change\",\"microseconds\":\(samples)}")
    }

    /// Fails when the kernel's map of endpoints does not have `mark` so many times. nft has its own line for each element.
    private static func expect(_ count: Int, _ mark: String) throws {
        let map = try Command.runBlocking(["nft", "list", "map", "ip", "kube-proxy", "endpoints"])
        let found = map.split(separator: mark, omittingEmptySubsequences: false).count - 1
        guard found == count else { throw BenchError("the kernel has \(found) endpoints with \"\(mark)\", not \(count)") }
    }

    /// Resident bytes of this process.
    private static func residentBytes() -> Int {
        let pages = SmallFile.readText("/proc/self/statm")?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * 4096
    }
}
