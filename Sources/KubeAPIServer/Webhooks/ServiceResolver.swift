package import HTTPTransport
import KubeAPI

/// Finds an address behind a Service. Service addresses are the node proxies' business and lead nowhere from the control plane, so a request goes
/// to one of the ready endpoints directly. Upstream: k8s.io/apiserver/pkg/util/proxy.ResolveEndpoint.
package struct ServiceResolver: Sendable {
    private let reader: any ObjectReader

    package init(reader: any ObjectReader) { self.reader = reader }

    /// One address that serves `port` of a service, another each time. Throws `StatusError`: 404 when there is no such service, 503 when it has no
    /// such port or no ready endpoint.
    package func resolve(namespace: String, name: String, port: Int) throws -> HTTPAddress {
        guard let service = reader.get(.services, namespace: namespace, name: name) else {
            throw StatusError.notFound(GroupResource(group: "", resource: "service"), name)
        }
        if service["spec"]["type"].string == "ExternalName" {
            return .tcp(host: service["spec"]["externalName"].string ?? "", port: port)
        }
        guard let servicePort = service["spec"]["ports"].elements.first(where: { $0["port"].int == Int64(port) }) else {
            throw StatusError.serviceUnavailable("no service port \(port) found for service \(name.goQuoted)")
        }
        let found = endpoints(namespace: namespace, name: name, portName: servicePort["name"].string ?? "")
        guard let one = found.ready.randomElement() else {
            throw StatusError.serviceUnavailable("no endpoints available for service \(name.goQuoted)")
        }
        return one
    }

    /// The endpoints of a service.
    struct Endpoints {
        /// Those that take traffic.
        var ready: [HTTPAddress] = []
        /// Whether any slice (or Endpoints object) of the service exists.
        var exist = false
        /// Whether the wanted port is among the slices' ports.
        var hasPort = false
    }

    /// The endpoints of a service for the port of this name (empty for the only, unnamed one).
    func endpoints(namespace: String, name: String, portName: String) -> Endpoints {
        var found = Endpoints()
        for slice in reader.list(.endpointSlices, namespace: namespace) {
            guard let label = slice["metadata"]["labels"]["kubernetes.io/service-name"], label.equals(name) else { continue }
            found.exist = true
            guard let port = Self.port(slice["ports"], portName) else { continue }
            found.hasPort = true
            for endpoint in slice["endpoints"].elements where endpoint["conditions"]["ready"].bool ?? true {
                // The addresses of one endpoint are the same target: the first is enough.
                if let address = endpoint["addresses"].elements.first.string { found.ready.append(.tcp(host: address, port: port)) }
            }
        }
        guard !found.exist, let legacy = reader.get(.endpoints, namespace: namespace, name: name) else { return found }
        // Endpoints somebody wrote by hand and nobody has mirrored.
        found.exist = true
        for subset in legacy["subsets"].elements {
            guard let port = Self.port(subset["ports"], portName) else { continue }
            found.hasPort = true
            found.ready += subset["addresses"].elements.compactMap { $0["ip"].string.map { .tcp(host: $0, port: port) } }
        }
        return found
    }

    private static func port(_ ports: JSONView?, _ name: String) -> Int? {
        let port = ports.elements.first { ($0["name"].string ?? "") == name }
        return port["port"].int.flatMap { Int(exactly: $0) }.flatMap { (1...65535).contains($0) ? $0 : nil }
    }
}

extension GroupResource {
    static let endpointSlices = GroupResource(group: "discovery.k8s.io", resource: "endpointslices")
    static let endpoints = GroupResource(group: "", resource: "endpoints")
}
