import ClusterDNS
import HTTPTransport
import KubeAPI
import KubeClient
import KubeProxy
import Logging
import NetworkPolicies

/// What a node does for the addresses and names of Services, beside its kubelet and as an identity of its own: the service proxy,
/// the cluster's DNS and the network policies.
struct NodeNetwork: Sendable {
    /// The service proxy's way to the API server.
    let transport: NetworkTransport
    private let informers: InformerFactory
    private let proxy: KubeProxy
    private let dns: ClusterDNS
    private let policies: PolicyAgent

    /// Services, for the kubelet too: one copy on a node.
    let services: SharedInformer

    /// 169.254.20.10, on the machine's loopback. Upstream: NodeLocal DNSCache's address.
    private static let dnsAddress = IPAddress(number: 0xA9FE_140A, isIPv6: false)
    /// fd00:ec2::2010, beside it, where Services have IPv6 addresses: the proxy leads within one family.
    private static let dnsIPv6Address = IPAddress(number: 0xFD00_0EC2 << 96 | 0x2010, isIPv6: true)
    private static let dnsPort: UInt16 = 53

    /// Nil for a machine whose files do not hold the proxy's identity. Throws when the identity is not usable.
    init?(_ bootstrap: NodeBootstrapFiles) throws {
        let logger = Logger(label: "eyrie.network")
        guard let identity = bootstrap.certificates.proxy else {
            logger.warning("this machine was made without an identity for the service proxy: Services lead nowhere from here")
            return nil
        }
        transport = try bootstrap.transport(identity, userAgent: "kube-proxy")
        informers = InformerFactory(client: KubeClient(transport: transport), logger: logger)
        services = informers.informer(for: .services)
        let presence = informers.informer(for: .configMaps, namespace: "kube-system", fieldSelector: "metadata.name=kube-proxy-config")
        let addresses = [bootstrap.root["nodeIP"].string ?? ""].compactMap { IPAddress($0) }
        let isIPv6 = addresses.first?.isIPv6 ?? false
        let dnsAddress = isIPv6 ? Self.dnsIPv6Address : Self.dnsAddress
        var settings = KubeProxy.Configuration(nodeName: bootstrap.nodeName, nodeAddresses: addresses)
        settings.standIn = .init(service: "kube-system/kube-dns", address: dnsAddress, port: Self.dnsPort)
        proxy = KubeProxy(configuration: settings, informers: informers, presence: presence, logger: Logger(label: "eyrie.kube-proxy"))
        policies = PolicyAgent(
            nodeName: settings.nodeName, family: isIPv6 ? .ipv6 : .ipv4, nodeAddresses: addresses, dnsAddress: dnsAddress, informers: informers,
            logger: Logger(label: "eyrie.policies"))
        var names = ClusterDNS.Configuration(address: dnsAddress)
        names.clusterAddress = bootstrap.root["clusterDNS"].strings.first.flatMap { IPAddress($0) }
        dns = ClusterDNS(configuration: names, informers: informers, logger: Logger(label: "eyrie.dns"))
    }

    /// Runs until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await informers.run() }
            group.addTask { await proxy.run() }
            group.addTask { await dns.run() }
            group.addTask { await policies.run() }
        }
    }
}
