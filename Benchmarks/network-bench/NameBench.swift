import ClusterDNS
import KubeAPI
import KubeClient
import Logging
import Processes

/// The cluster's DNS as a node has it, on one core, and a program that asks it from the other.
enum NameBench {
    /// As on a node.
    static let address = "169.254.20.10"
    /// Services without an address of their own, beside the others.
    static let headless = 100
    private static let askingCore = "1"

    static func run(services: Int, seconds: Int) async throws {
        try await Command.run(["ip", "address", "add", "\(address)/32", "dev", "lo"])
        guard let own = IPAddress(address) else { throw BenchError("\(address) is no address") }
        var logger = Logger(label: "network-bench")
        logger.logLevel = .warning
        let informers = InformerFactory(client: KubeClient(transport: try ServicesAPI(services: services, headless: headless)), logger: logger)
        var settings = ClusterDNS.Configuration(address: own)
        settings.upstreams = []
        let names = ClusterDNS(configuration: settings, informers: informers, logger: logger)
        let running = Task {
            await withDiscardingTaskGroup { group in
                group.addTask { await informers.run() }
                group.addTask { await names.run() }
            }
        }
        for transport in ["udp", "tcp"] {
            for kind in NameQuestion.allCases {
                let known = kind == .headless ? headless : services
                let output = try await Command.run(
                    ["taskset", "-c", askingCore, CommandLine.arguments[0], "ask", transport, kind.rawValue, String(seconds), String(known)])
                report(output.split(separator: "\n").last.map(String.init) ?? "")
            }
        }
        running.cancel()
    }
}
