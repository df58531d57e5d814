import KubeAPI
import KubeClient
import Synchronization

/// The zone's contents from informers that others use too. What was read of an object is kept until the object changes.
final class InformerZoneSource: ZoneSource {
    private static let addressIndex = "dns-address"
    private static let serviceIndex = "dns-service"
    private static let serviceLabel = "kubernetes.io/service-name"

    private struct Memory {
        var services: [String: ZoneService] = [:]
        var endpoints: [String: [ZoneEndpoint]] = [:]
    }

    private let services: Indexer
    private let slices: Indexer
    private let namespaces: Indexer
    private let memory = Mutex(Memory())

    init(services: SharedInformer, slices: SharedInformer, namespaces: SharedInformer) {
        self.services = services.indexer
        self.slices = slices.indexer
        self.namespaces = namespaces.indexer
        services.addIndex(Self.addressIndex) { Self.clusterIPs($0).map(\.description) }
        slices.addIndex(Self.serviceIndex) { [Self.serviceKey($0)] }
        slices.addIndex(Self.addressIndex) { slice in slice["endpoints"].elements.flatMap { $0["addresses"].strings } }
        services.addHandler(.any { [weak self] object in self?.memory.withLock { _ = $0.services.removeValue(forKey: object.metadata.key) } })
        slices.addHandler(.any { [weak self] object in self?.memory.withLock { _ = $0.endpoints.removeValue(forKey: Self.serviceKey(object)) } })
    }

    private static func serviceKey(_ slice: Object) -> String {
        "\(slice.metadata.namespace)/\(slice["metadata"]["labels"][serviceLabel].string ?? "")"
    }

    private static func clusterIPs(_ service: Object) -> [IPAddress] {
        let spec = service["spec"]
        guard spec["type"].string != "ExternalName" else { return [] }
        let listed = spec["clusterIPs"].strings
        return (listed.isEmpty ? [spec["clusterIP"].string ?? ""] : listed).compactMap { IPAddress($0) }
    }

    func service(namespace: String, name: String) -> ZoneService? {
        let key = "\(namespace)/\(name)"
        if let known = memory.withLock({ $0.services[key] }) { return known }
        guard let object = services.get(key) else { return nil }
        let spec = object["spec"]
        let service = ZoneService(
            name: name, namespace: namespace, clusterIPs: Self.clusterIPs(object), isHeadless: spec["clusterIP"].string == "None",
            externalName: spec["type"].string == "ExternalName" ? spec["externalName"].string ?? "" : nil,
            ports: spec["ports"].elements.compactMap(Self.port))
        memory.withLock { $0.services[key] = service }
        // Changed while it was read: what was kept may be old.
        if services.get(key)?.metadata.resourceVersion != object.metadata.resourceVersion { memory.withLock { $0.services[key] = nil } }
        return service
    }

    func endpoints(namespace: String, name: String) -> [ZoneEndpoint] {
        let key = "\(namespace)/\(name)"
        if let known = memory.withLock({ $0.endpoints[key] }) { return known }
        let objects = slices.byIndex(Self.serviceIndex, key)
        let endpoints = objects.sorted { $0.metadata.name < $1.metadata.name }.flatMap(Self.endpoints)
        memory.withLock { $0.endpoints[key] = endpoints }
        if Set(slices.byIndex(Self.serviceIndex, key).map(\.metadata.resourceVersion)) != Set(objects.map(\.metadata.resourceVersion)) {
            memory.withLock { $0.endpoints[key] = nil }
        }
        return endpoints
    }

    private static func port(_ view: JSONView) -> ZoneService.Port? {
        guard let number = view["port"]?.int.flatMap({ UInt16(exactly: $0) }) else { return nil }
        return ZoneService.Port(name: view["name"]?.string ?? "", protocol: view["protocol"]?.string ?? "TCP", port: number)
    }

    private static func endpoints(_ slice: Object) -> [ZoneEndpoint] {
        let ports = slice["ports"].elements.compactMap(port)
        return slice["endpoints"].elements.flatMap { endpoint -> [ZoneEndpoint] in
            guard endpoint["conditions"]?["ready"]?.bool ?? true else { return [] }
            return endpoint["addresses"].strings.compactMap { IPAddress($0) }.map {
                ZoneEndpoint(address: $0, hostname: hostname(endpoint, $0), ports: ports)
            }
        }
    }

    private static func hostname(_ endpoint: JSONView, _ address: IPAddress) -> String {
        if let name = endpoint["hostname"]?.string, !name.isEmpty { return name.lowercased() }
        return address.description.replacing(address.isIPv6 ? ":" : ".", with: "-")
    }

    func hasNamespace(_ name: String) -> Bool { namespaces.get(name) != nil }

    func services(at address: IPAddress) -> [(namespace: String, name: String)] {
        services.byIndex(Self.addressIndex, address.description).map { ($0.metadata.namespace, $0.metadata.name) }
    }

    func endpointNames(at address: IPAddress) -> [(namespace: String, name: String, hostname: String)] {
        Set(slices.byIndex(Self.addressIndex, address.description).map(Self.serviceKey)).sorted().flatMap { key in
            let parts = key.split(separator: "/", maxSplits: 1).map(String.init)
            guard parts.count == 2, !parts[1].isEmpty else { return [(namespace: String, name: String, hostname: String)]() }
            return endpoints(namespace: parts[0], name: parts[1]).filter { $0.address == address }.map { (parts[0], parts[1], $0.hostname) }
        }
    }
}
