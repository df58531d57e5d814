package import KubeAPI
package import KubeClient
package import Logging

/// The cluster's DNS on one node: names of Services and pods from informers, all else as its Corefile says, which is the ConfigMap `coredns` in
/// kube-system and acts as soon as it changes. Pods ask it at the cluster's DNS address, which the service proxy leads to `address`, as NodeLocal
/// DNSCache does. Upstream: CoreDNS.
package struct ClusterDNS: Sendable {
    /// What the server is told.
    package struct Configuration: Sendable {
        /// Where it listens. Upstream: NodeLocal DNSCache's 169.254.20.10.
        package var address: IPAddress
        package var port: UInt16 = 53
        /// What clients know it by, for `ns.dns`.
        package var clusterAddress: IPAddress?
        /// Nil: those of the host's resolv.conf.
        package var upstreams: [IPAddress]?

        package init(address: IPAddress) { self.address = address }
    }

    /// The host's resolver configuration as a machine can use it: that of systemd's resolver where /etc/resolv.conf names only the host's loopback.
    package static var hostResolverPath: String { ResolverConfiguration.hostPath }
    /// The servers it names: IPv4 and IPv6 addresses.
    package static var hostResolvers: [String] { ResolverConfiguration.host().map(\.description) }

    private let configuration: Configuration
    private let informers: [SharedInformer]
    private let corefile: SharedInformer
    private let changes: AsyncStream<Void>
    private let source: InformerZoneSource
    private let logger: Logger

    /// The informers are run by the caller.
    package init(configuration: Configuration, informers: InformerFactory, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        let services = informers.informer(for: .services)
        let slices = informers.informer(for: .endpointSlices)
        let namespaces = informers.informer(for: .namespaces)
        source = InformerZoneSource(services: services, slices: slices, namespaces: namespaces)
        corefile = informers.informer(for: .configMaps, namespace: "kube-system", fieldSelector: "metadata.name=\(Self.corefileName)")
        self.informers = [services, slices, namespaces, corefile]
        let (changes, changed) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.changes = changes
        corefile.addHandler(.any { _ in changed.yield() })
    }

    private static let corefileName = "coredns"

    /// Follows the cluster's Corefile; one that cannot be read changes nothing. Upstream: plugin/reload, without its pauses.
    private func follow(_ responder: Responder) async {
        for await _ in changes {
            do { responder.use(try blocks()) } catch {
                logger.error("Corefile changed but reload failed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// The blocks of the cluster's Corefile; those of the standard one where there is none.
    private func blocks() throws(CorefileError) -> [ServerBlock] {
        let text = corefile.indexer.list().first?["data"]["Corefile"].string
        return blocks(text == nil ? .standard : try Corefile(text ?? ""))
    }

    private func blocks(_ corefile: Corefile) -> [ServerBlock] {
        corefile.blocks(source: source, address: configuration.clusterAddress) { configuration.upstreams ?? ResolverConfiguration.host() }
    }

    /// Answers until the task is cancelled, once the informers have synced: before, names that are there would be denied.
    package func run() async {
        var pause = Self.firstPause
        do {
            for informer in informers { try await informer.waitForSync() }
            let responder = Responder((try? blocks()) ?? blocks(.standard))
            async let _: Void = follow(responder)
            while true {
                do {
                    let server = try DNSServer(address: configuration.address, port: configuration.port, responder: responder)
                    defer { server.stop() }
                    logger.debug("DNS answers", metadata: ["address": "\(configuration.address)"])
                    while true { try await Task.sleep(for: .seconds(Self.forever)) }
                } catch let error as SocketFailure {
                    logger.warning("the cluster's DNS cannot listen", metadata: ["error": "\(error)"])
                    try await Task.sleep(for: pause)
                    pause = min(pause * 2, Self.longestPause)
                }
            }
        } catch {}  // Cancelled.
    }

    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(30)
    /// A sleep that only cancellation ends: a year.
    private static let forever: Int64 = 365 * 86400
}
