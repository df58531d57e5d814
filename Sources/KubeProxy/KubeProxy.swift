package import KubeAPI
package import KubeClient
package import Logging
package import Nftables
import Synchronization

/// Makes the addresses of Services lead to their endpoints, on one node: rules in the kernel follow the informers. Upstream: kube-proxy in mode nftables.
package actor KubeProxy {
    /// What a proxy is told.
    package struct Configuration: Sendable {
        package var nodeName: String
        /// The node's own addresses: node ports answer there.
        package var nodeAddresses: [IPAddress]
        /// Those of the node's addresses: Services of a family that the node does not have lead nowhere.
        package var families: [IPFamily]
        /// Answers for a Service that has no endpoints of its own: the cluster's DNS on this node.
        package var standIn: StandIn?

        package init(nodeName: String, nodeAddresses: [IPAddress]) {
            self.nodeName = nodeName
            self.nodeAddresses = nodeAddresses
            let own = IPFamily.allCases.filter { family in nodeAddresses.contains { IPFamily(of: $0) == family } }
            families = own.isEmpty ? [.ipv4] : own
        }
    }

    /// An address of this node that answers for a Service without endpoints.
    package struct StandIn: Sendable {
        /// `kube-system/kube-dns`.
        package var service: String
        package var address: IPAddress
        package var port: UInt16

        package init(service: String, address: IPAddress, port: UInt16) {
            self.service = service
            self.address = address
            self.port = port
        }
    }

    /// The index of EndpointSlices by Service.
    package static let serviceIndex = "service"

    private let configuration: Configuration
    private let services: SharedInformer
    private let slices: SharedInformer
    private let nodes: SharedInformer
    /// The object whose presence says that there is a proxy at all; nil: always.
    private let presence: SharedInformer?
    private let program: NftProgram
    private let conntrack = Conntrack()
    private let health: HealthCheckServers
    private let logger: Logger
    private let changed = ChangedServices()

    private var tables: [IPFamily: NftTable] = [:]
    private var marks: [IPFamily: MarkTable] = [:]
    private var node: ProxyNode
    private var isPresent = true
    /// Services with rules.
    private var written: Set<String> = []
    /// UDP frontends by Service, as last written.
    private var expectations: [String: ConntrackExpectations] = [:]
    private var healthChecked: Set<String> = []

    /// The informers are run by the caller. `presence`: see the field.
    package init(
        configuration: Configuration, informers: InformerFactory, presence: SharedInformer? = nil, program: NftProgram = NftProgram(), logger: Logger
    ) {
        self.configuration = configuration
        self.program = program
        self.logger = logger
        self.presence = presence
        services = informers.informer(for: .services)
        slices = informers.informer(for: .endpointSlices)
        nodes = informers.informer(for: .nodes, fieldSelector: "metadata.name=\(configuration.nodeName)")
        node = ProxyNode(name: configuration.nodeName, zone: nil)
        health = HealthCheckServers(address: configuration.nodeAddresses.first?.description ?? "127.0.0.1", logger: logger)
        slices.addIndex(Self.serviceIndex) { [Self.serviceKey($0)] }
        for family in configuration.families {
            let table = ProxyTable.make(family, nodeAddresses: configuration.nodeAddresses)
            tables[family] = NftTable(table, program: program)
            marks[family] = MarkTable()
        }
        let changed = changed
        services.addHandler(.any { changed.add($0.metadata.key) })
        slices.addHandler(.any { changed.add(Self.serviceKey($0)) })
        // The zone is in its labels; heartbeats change nothing here.
        nodes.addHandler(InformerHandler(added: { _ in changed.addAll() }, updated: { if Self.zone($0) != Self.zone($1) { changed.addAll() } }))
        presence?.addHandler(InformerHandler(added: { _ in changed.addAll() }, deleted: { _ in changed.addAll() }))
    }

    /// `namespace/name` of the Service that a slice belongs to.
    private static func serviceKey(_ slice: Object) -> String {
        "\(slice.metadata.namespace)/\(slice["metadata"]["labels"][EndpointReader.serviceLabel].string ?? "")"
    }

    private static func zone(_ node: Object) -> String? { node.metadata.labels["topology.kubernetes.io/zone"] }

    /// Runs until the task is cancelled; the rules stay, and connections with them.
    package func run() async {
        do {
            for informer in [services, slices, nodes] + (presence.map { [$0] } ?? []) { try await informer.waitForSync() }
        } catch { return }  // Cancelled.
        changed.addAll()
        var pause = Self.firstPause
        for await _ in changed.wakes {
            let (all, keys) = changed.take()
            do {
                try await sync(all ? nil : keys)
                pause = Self.firstPause
            } catch {
                logger.warning("the rules of Services cannot be written", metadata: ["error": "\(error)"])
                changed.put(all, keys)
                do { try await Task.sleep(for: pause) } catch { break }
                pause = min(pause * 2, Self.longestPause)
            }
        }
        await health.stop()
    }

    /// After the kernel refused. Upstream: the proxier's retry after 30 s at most.
    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(30)

    /// Brings the kernel to what the informers say of some Services; nil: of all, those that are gone too.
    private func sync(_ some: Set<String>?) async throws {
        node.zone = nodes.indexer.get(configuration.nodeName).flatMap(Self.zone)
        isPresent = presence?.indexer.count != 0
        var keys = some ?? Set(services.indexer.keys)
        if some == nil { keys.formUnion(written) }
        var fragments: [IPFamily: [(owner: String, fragment: RuleFragment?)]] = [:]
        var stale = ConntrackExpectations()
        let facts = keys.map { key in (key: key, service: self.service(key)) }
        // Services that went give back their marks before others take some.
        for (key, service) in facts.sorted(by: { ($0.service == nil ? 0 : 1, $0.key) < ($1.service == nil ? 0 : 1, $1.key) }) {
            let endpoints = service.map { self.endpoints(of: $0) } ?? [:]
            for family in configuration.families {
                let fragment = service.map { rules(of: $0, endpoints, family) }
                if fragment == nil { marks[family]?.release(key) }
                fragments[family, default: []].append((key, fragment))
            }
            if service == nil { written.remove(key) } else { written.insert(key) }
            remember(key, service, endpoints, &stale)
            await serveHealth(key, service, endpoints)
        }
        for family in configuration.families { try await tables[family]?.apply(fragments[family] ?? []) }
        do { try await conntrack.forget(stale) } catch { logger.warning("old UDP flows stay", metadata: ["error": "\(error)"]) }
    }

    private func rules(of service: ServiceFacts, _ endpoints: [EndpointPortKey: [EndpointFacts]], _ family: IPFamily) -> RuleFragment {
        ServiceRules.fragment(service, endpoints, node: node, family: family, marks: &marks[family, default: MarkTable()])
    }

    private func service(_ key: String) -> ServiceFacts? {
        guard isPresent || key == configuration.standIn?.service else { return nil }
        return services.indexer.get(key).flatMap(ServiceFacts.init)
    }

    private func endpoints(of service: ServiceFacts) -> [EndpointPortKey: [EndpointFacts]] {
        var found = EndpointReader.endpoints(slices.indexer.byIndex(Self.serviceIndex, service.key), node: configuration.nodeName)
        guard let standIn = configuration.standIn, standIn.service == service.key, found.values.allSatisfy(\.isEmpty) else { return found }
        for port in service.ports where port.port == standIn.port {
            let key = EndpointPortKey(family: IPFamily(of: standIn.address), name: port.name, transport: port.transport)
            found[key] = [EndpointFacts(address: standIn.address, port: standIn.port, isLocal: true)]
        }
        return found
    }

    /// Notes the UDP frontends of a Service, and those whose flows have to be looked through because something of it changed.
    private func remember(
        _ key: String, _ service: ServiceFacts?, _ endpoints: [EndpointPortKey: [EndpointFacts]], _ stale: inout ConntrackExpectations
    ) {
        let now = service.map { ConntrackExpectations($0, endpoints, nodeAddresses: configuration.nodeAddresses) } ?? ConntrackExpectations()
        let before = expectations[key] ?? ConntrackExpectations()
        if now != before {
            for target in before.frontends.keys where now.frontends[target] == nil { stale.frontends[target] = [] }
            stale.frontends.merge(now.frontends) { _, new in new }
        }
        expectations[key] = now.frontends.isEmpty ? nil : now
    }

    private func serveHealth(_ key: String, _ service: ServiceFacts?, _ endpoints: [EndpointPortKey: [EndpointFacts]]) async {
        let port = service?.healthCheckNodePort ?? 0
        guard port > 0 || healthChecked.contains(key) else { return }
        if port > 0 { healthChecked.insert(key) } else { healthChecked.remove(key) }
        let local = Set(endpoints.values.joined().filter { $0.isLocal && $0.isReady }.map(\.address)).count
        await health.set(key, port: port, localEndpoints: local)
    }
}

/// The Services that something was heard of since they were last looked at.
private final class ChangedServices: Sendable {
    private struct State {
        var keys: Set<String> = []
        var all = false
    }

    private let state = Mutex(State())
    private let wake: AsyncStream<Void>.Continuation
    /// Yields when there is something to take. One consumer.
    let wakes: AsyncStream<Void>

    init() { (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func add(_ key: String) { put(false, [key]) }
    func addAll() { put(true, []) }

    func put(_ all: Bool, _ keys: Set<String>) {
        state.withLock { state in
            state.all = state.all || all
            state.keys.formUnion(keys)
        }
        wake.yield()
    }

    func take() -> (all: Bool, keys: Set<String>) {
        state.withLock { state in
            defer { state = State() }
            return (state.all, state.keys)
        }
    }
}
