import KubeAPI
import Nftables

/// Where a proxy runs.
struct ProxyNode: Sendable, Equatable {
    var name: String
    var zone: String?

    init(name: String, zone: String?) {
        self.name = name
        self.zone = zone
    }
}

/// What one Service has in the table of one family: a pure function of the Service, its endpoints and the node.
/// Upstream: proxier.go's syncProxyRules, the body of its loop.
struct ServiceRules {
    /// A group of endpoints with its mark.
    private struct Pool {
        var mark: UInt32
        var endpoints: [EndpointFacts]
    }

    private let service: ServiceFacts
    private let family: IPFamily
    private var fragment = RuleFragment()

    static func fragment(
        _ service: ServiceFacts, _ endpoints: [EndpointPortKey: [EndpointFacts]], node: ProxyNode, family: IPFamily, marks: inout MarkTable
    ) -> RuleFragment {
        var rules = ServiceRules(service: service, family: family)
        for port in service.ports {
            let key = EndpointPortKey(family: family, name: port.name, transport: port.transport)
            let choice = EndpointChoice(endpoints[key] ?? [], nodeName: node.name, zone: node.zone)
            rules.add(port, choice, &marks)
        }
        for address in rules.own(service.clusterIPs) { rules.fragment.elements[NftElement(ProxyTable.clusterIPs, address)] = "" }
        return rules.fragment
    }

    private init(service: ServiceFacts, family: IPFamily) {
        self.service = service
        self.family = family
    }

    /// The addresses of this family, as nft writes them.
    private func own(_ addresses: [IPAddress]) -> [String] { addresses.filter { IPFamily(of: $0) == family }.map(\.description) }

    private mutating func add(_ port: ServiceFacts.Port, _ choice: EndpointChoice, _ marks: inout MarkTable) {
        let external = own(service.externalIPs + service.loadBalancerIPs)
        let isExternal = !external.isEmpty || port.nodePort > 0
        let usesCluster = !service.internalIsLocal || isExternal
        let usesLocal = service.internalIsLocal || (service.externalIsLocal && isExternal)
        let cluster = usesCluster ? pool(port, "cluster", choice.cluster, &marks) : nil
        let local = usesLocal ? pool(port, "local", choice.local, &marks) : nil
        // Endpoints elsewhere: silence, so that a load balancer tries another node. None at all: a refusal, so that clients need not wait.
        let verdict = choice.hasAny ? "drop" : "goto reject-chain"

        let inner = service.internalIsLocal ? local : cluster
        for address in own(service.clusterIPs) { lead(to(address, port), to: inner?.mark, orElse: verdict) }

        let outer = service.externalIsLocal ? local?.mark : cluster.map { $0.mark | MarkTable.masquerade }
        for address in external {
            lead(to(address, port), to: outer, orElse: verdict)
            guard service.externalIsLocal, let cluster else { continue }
            set(ProxyTable.hostFrontends, to(address, port), MarkTable.text(cluster.mark | MarkTable.masquerade))
        }
        if port.nodePort > 0 {
            let target = "\(port.transport.word) . \(port.nodePort)"
            if let outer {
                set(ProxyTable.nodePorts, target, MarkTable.text(outer))
            } else {
                set(ProxyTable.noEndpointNodePorts, target, verdict)
            }
            if service.externalIsLocal, let cluster {
                set(ProxyTable.hostNodePorts, target, MarkTable.text(cluster.mark | MarkTable.masquerade))
            }
        }
        addFirewall(port, &marks)
    }

    private func to(_ address: String, _ port: ServiceFacts.Port) -> String { "\(address) . \(port.transport.word) . \(port.port)" }

    private mutating func set(_ map: String, _ key: String, _ value: String) { fragment.elements[NftElement(map, key)] = value }

    private mutating func lead(_ target: String, to mark: UInt32?, orElse verdict: String) {
        if let mark { set(ProxyTable.frontends, target, MarkTable.text(mark)) } else { set(ProxyTable.noEndpoints, target, verdict) }
    }

    /// The group's elements and what chooses among them; nil when it is empty.
    private mutating func pool(_ port: ServiceFacts.Port, _ name: String, _ endpoints: [EndpointFacts], _ marks: inout MarkTable) -> Pool? {
        guard !endpoints.isEmpty, let mark = marks.mark(service.key, "\(port.name)/\(port.transport.word)#\(name)") else { return nil }
        let text = MarkTable.text(mark)
        if let seconds = service.affinitySeconds {
            addAffinity(mark, port, endpoints, seconds)
        } else {
            for (index, endpoint) in endpoints.enumerated() {
                set(ProxyTable.endpoints, "\(text) . \(MarkTable.text(UInt32(clamping: index)))", "\(endpoint.address) . \(endpoint.port)")
            }
            let balancer = ProxyTable.balancer(family, count: endpoints.count)
            fragment.sharedChains[balancer.name] = balancer.rules
            set(ProxyTable.backends, text, "goto \(balancer.name)")
        }
        for endpoint in endpoints where endpoint.isLocal { set(ProxyTable.hairpins, "\(endpoint.address) . \(endpoint.address)", "") }
        return Pool(mark: mark, endpoints: endpoints)
    }

    /// A chain for the Service and one for each endpoint, which remembers its clients. Upstream: the affinity sets of proxier.go.
    private mutating func addAffinity(_ mark: UInt32, _ port: ServiceFacts.Port, _ endpoints: [EndpointFacts], _ seconds: Int) {
        let number = mark & ~MarkTable.base
        var rules: [String] = []
        var verdicts: [String] = []
        for (index, endpoint) in endpoints.enumerated() {
            let address = endpoint.address.description
            let name = "affinity-\(number)-\(address.replacing(":", with: "_"))-\(endpoint.port)"
            let target = endpoint.address.isIPv6 ? "[\(address)]:\(endpoint.port)" : "\(address):\(endpoint.port)"
            fragment.sets[name] = "type \(family.addressType); size 65535; flags dynamic,timeout; timeout \(seconds)s;"
            fragment.chains["to-\(name)"] = [
                "update @\(name) { \(family.header) saddr }", "meta l4proto \(port.transport.word) dnat \(family.header) to \(target)",
            ]
            rules.append("\(family.header) saddr @\(name) goto to-\(name)")
            verdicts.append("\(index) : goto to-\(name)")
        }
        if endpoints.count == 1 {
            rules += verdicts.map { String($0.dropFirst("0 : ".count)) }
        } else {
            rules.append("numgen random mod \(endpoints.count) vmap { \(verdicts.joined(separator: ", ")) }")
        }
        fragment.chains["affinity-\(number)"] = rules
        set(ProxyTable.backends, MarkTable.text(mark), "goto affinity-\(number)")
    }

    /// Whoever is not in the load balancer's source ranges is not answered. Upstream: the firewall chains of proxier.go.
    private mutating func addFirewall(_ port: ServiceFacts.Port, _ marks: inout MarkTable) {
        let addresses = own(service.loadBalancerIPs)
        guard !service.sourceRanges.isEmpty, !addresses.isEmpty, let mark = marks.mark(service.key, "firewall") else { return }
        let all = Set(service.sourceRanges.filter { $0.isIPv6 == (family == .ipv6) })
        // nft takes no range that lies in another.
        let ranges = all.filter { range in !all.contains { $0 != range && $0.length < range.length && $0.contains(range.network) } }
            .map(\.description).sorted()
        let name = "firewall-\(mark & ~MarkTable.base)"
        fragment.chains[name] = [ranges.isEmpty ? "drop" : "\(family.header) saddr != { \(ranges.joined(separator: ", ")) } drop"]
        for address in addresses { set(ProxyTable.firewalls, to(address, port), "goto \(name)") }
    }
}
