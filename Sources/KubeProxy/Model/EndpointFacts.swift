import KubeAPI
import Nftables

/// Where a connection can go: an address and a port of a pod. Upstream: proxy.Endpoint.
struct EndpointFacts: Sendable, Hashable {
    var address: IPAddress
    var port: UInt16
    var isReady: Bool
    var isServing: Bool
    var isTerminating: Bool
    /// On this node.
    var isLocal: Bool
    /// Nil: without a hint.
    var hintedZones: [String]?
    var hintedNodes: [String]?

    init(
        address: IPAddress, port: UInt16, isReady: Bool = true, isServing: Bool = true, isTerminating: Bool = false, isLocal: Bool = false,
        hintedZones: [String]? = nil, hintedNodes: [String]? = nil
    ) {
        self.address = address
        self.port = port
        self.isReady = isReady
        self.isServing = isServing
        self.isTerminating = isTerminating
        self.isLocal = isLocal
        self.hintedZones = hintedZones
        self.hintedNodes = hintedNodes
    }
}

/// Which port of which Service endpoints belong to.
struct EndpointPortKey: Hashable, Sendable {
    var family: IPFamily
    var name: String
    var transport: TransportProtocol
}

/// Reads EndpointSlices. Upstream: proxy.EndpointSliceCache.
enum EndpointReader {
    /// The label that names a slice's Service.
    static let serviceLabel = "kubernetes.io/service-name"
    /// Services whose slices are for others than the proxy. Upstream: discovery's headless label.
    static let headlessLabel = "service.kubernetes.io/headless"

    /// All endpoints of a Service by its ports. An address that stands in two slices counts once, as the newer slice has it.
    static func endpoints(_ slices: [Object], node: String) -> [EndpointPortKey: [EndpointFacts]] {
        var found: [EndpointPortKey: [String: EndpointFacts]] = [:]
        let ordered = slices.sorted { ($0.metadata.generation, $0.metadata.name) < ($1.metadata.generation, $1.metadata.name) }
        for slice in ordered {
            guard let family = IPFamily(rawValue: slice["addressType"].string ?? "") else { continue }
            let ports = slice["ports"].elements.compactMap { port -> (EndpointPortKey, UInt16)? in
                guard let number = port["port"]?.int.flatMap({ UInt16(exactly: $0) }), number > 0,
                    let transport = TransportProtocol(rawValue: port["protocol"]?.string ?? "TCP")
                else { return nil }
                return (EndpointPortKey(family: family, name: port["name"]?.string ?? "", transport: transport), number)
            }
            for endpoint in slice["endpoints"].elements {
                // Of several addresses the first counts: they are one endpoint's. Upstream: standardizeEndpointInfo reads Addresses[0].
                guard let address = endpoint["addresses"].strings.first.flatMap(IPAddress.init),
                    IPFamily(of: address) == family
                else { continue }
                let conditions = endpoint["conditions"]
                let isReady = conditions["ready"].bool ?? true
                var facts = EndpointFacts(
                    address: address, port: 0, isReady: isReady, isServing: conditions["serving"].bool ?? isReady,
                    isTerminating: conditions["terminating"].bool ?? false, isLocal: endpoint["nodeName"].string == node,
                    hintedZones: names(endpoint["hints"]?["forZones"]), hintedNodes: names(endpoint["hints"]?["forNodes"]))
                for (key, number) in ports {
                    facts.port = number
                    found[key, default: [:]]["\(address) \(number)"] = facts
                }
            }
        }
        return found.mapValues { $0.values.sorted { ($0.address.number, $0.port) < ($1.address.number, $1.port) } }
    }

    private static func names(_ hints: JSONView?) -> [String]? {
        let names = hints.elements.compactMap { $0["name"]?.string }
        return names.isEmpty ? nil : names
    }
}
