import KubeAPI

@testable import ClusterDNS

/// A cluster with a few Services.
struct FixedSource: ZoneSource {
    static let port = ZoneService.Port(name: "http", protocol: "TCP", port: 80)

    private static let services: [ZoneService] = [
        service("web", ["10.100.0.20"]), service("six", ["10.100.0.21", "fd00::21"]), service("db", [], isHeadless: true),
        service("empty", [], isHeadless: true), service("outside", [], externalName: "www.example.com"),
        service("alias", [], externalName: "web.default.svc.cluster.local"), service("loop", [], externalName: "loop.default.svc.cluster.local"),
    ]

    private static func service(_ name: String, _ addresses: [String], isHeadless: Bool = false, externalName: String? = nil) -> ZoneService {
        ZoneService(
            name: name, namespace: "default", clusterIPs: addresses.compactMap { IPAddress($0) }, isHeadless: isHeadless, externalName: externalName,
            ports: externalName == nil ? [port] : [])
    }

    func service(namespace: String, name: String) -> ZoneService? { Self.services.first { $0.namespace == namespace && $0.name == name } }

    func endpoints(namespace: String, name: String) -> [ZoneEndpoint] {
        guard namespace == "default", name == "db" || name == "web" else { return [] }
        return [("10.0.0.1", "db-0"), ("10.0.0.2", "10-0-0-2")].compactMap { address, host in
            IPAddress(address).map { ZoneEndpoint(address: $0, hostname: host, ports: [ZoneService.Port(name: "http", protocol: "TCP", port: 8080)]) }
        }
    }

    func hasNamespace(_ name: String) -> Bool { name == "default" }

    func services(at address: IPAddress) -> [(namespace: String, name: String)] {
        Self.services.filter { $0.clusterIPs.contains(address) }.map { ($0.namespace, $0.name) }
    }

    func endpointNames(at address: IPAddress) -> [(namespace: String, name: String, hostname: String)] {
        endpoints(namespace: "default", name: "db").filter { $0.address == address }.map { ("default", "db", $0.hostname) }
    }
}

let zone = ClusterZone(domain: "cluster.local", source: FixedSource(), serverAddress: IPAddress("10.100.0.10"))

/// A query as a client sends it.
func message(_ name: String, _ type: UInt16 = DNSNumber.typeA, edns: Int? = nil, id: UInt16 = 0x1234) -> [UInt8] {
    var bytes: [UInt8] = [UInt8(id >> 8), UInt8(id & 0xFF), 0x01, 0, 0, 1, 0, 0, 0, 0, 0, edns == nil ? 0 : 1]
    for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
    bytes += [0, UInt8(type >> 8), UInt8(type & 0xFF), 0, 1]
    if let edns { bytes += [0, 0, 41, UInt8(edns >> 8), UInt8(edns & 0xFF), 0, 0, 0, 0, 0, 0] }
    return bytes
}

/// A server block for all names: the zone, and `forwarder` for what it does not know.
func block(_ zone: ClusterZone, _ forwarder: Forwarder) -> ServerBlock {
    let zones = [zone.domain, DNSName("in-addr.arpa"), DNSName("ip6.arpa")]
    var block = ServerBlock(cache: AnswerCache(Corefile.Cache(success: 30, denial: 30)))
    block.cluster = ServerBlock.Cluster(zone: zone, zones: zones, fallThrough: Array(zones.dropFirst()))
    block.forwardings = [ServerBlock.Forwarding(settings: Corefile.Forward(from: DNSName([]), targets: []), forwarder: forwarder)]
    return block
}
