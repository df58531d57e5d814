import KubeAPI
import Nftables

@testable import KubeProxy

/// A Service as the API server stores it.
func service(
    _ name: String = "web", clusterIP: String = "10.100.0.20", ports: [Value] = [["name": "http", "port": 80, "protocol": "TCP"]],
    spec: [(String, Value)] = [], status: Value = ["loadBalancer": [:]]
) throws -> ServiceFacts {
    var whole: Value = ["clusterIP": .string(clusterIP), "clusterIPs": [.string(clusterIP)], "type": "ClusterIP", "ports": .array(ports)]
    for (key, value) in spec { whole[key] = value }
    let object = try Object([
        "apiVersion": "v1", "kind": "Service", "metadata": ["name": .string(name), "namespace": "default"], "spec": whole, "status": status,
    ])
    return try require(ServiceFacts(object))
}

/// Nothing there where a test needs something.
struct Missing: Error {}

func require<T>(_ value: T?) throws -> T {
    guard let value else { throw Missing() }
    return value
}

func key(_ name: String = "http", _ transport: TransportProtocol = .tcp) -> EndpointPortKey {
    EndpointPortKey(family: .ipv4, name: name, transport: transport)
}

func endpoint(
    _ address: String, _ port: UInt16 = 8080, ready: Bool = true, serving: Bool = true, terminating: Bool = false, local: Bool = false,
    zones: [String]? = nil, nodes: [String]? = nil
) throws -> EndpointFacts {
    EndpointFacts(
        address: try require(IPAddress(address)), port: port, isReady: ready, isServing: serving, isTerminating: terminating, isLocal: local,
        hintedZones: zones, hintedNodes: nodes)
}

let here = ProxyNode(name: "node-a", zone: "us-west-2a")

/// The elements of one map, keys to values.
func elements(_ fragment: RuleFragment, of map: String) -> [String: String] {
    var found: [String: String] = [:]
    for (element, value) in fragment.elements where element.set == map { found[element.key] = value }
    return found
}
