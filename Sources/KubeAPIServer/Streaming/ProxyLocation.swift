import HTTPTransport
import KubeAPI

/// The name of an object to be proxied to, with how it is to be reached: `name`, `name:port`, `https:name:port`. Upstream: net.SplitSchemeNamePort.
struct ProxyName: Equatable {
    var scheme: String
    var name: String
    /// A number or, for services, a port's name; empty for the default.
    var port: String

    /// Nil for other forms and schemes.
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        switch parts.count {
        case 1: (scheme, name, port) = ("", parts[0], "")
        case 2: (scheme, name, port) = ("", parts[0], parts[1])
        case 3: (scheme, name, port) = (parts[0], parts[1], parts[2])
        default: return nil
        }
        guard !name.isEmpty, ["", "http", "https"].contains(scheme) else { return nil }
    }
}

/// Where a proxied request goes.
struct ProxyLocation {
    var address: HTTPAddress
    var isTLS: Bool

    /// `host:port` as it stands in addresses of the backend's.
    var authority: String {
        guard case .tcp(let host, let port) = address else { return "" }
        let shown = host.contains(":") ? "[\(host)]" : host
        return port == (isTLS ? 443 : 80) ? shown : "\(shown):\(port)"
    }
}

extension ResourceVerbs {
    /// Where `pods/NAME/proxy` goes: the pod's address, the port named or the first its containers declare. Throws 400 for addresses nobody may be
    /// sent to. Upstream: pod.ResourceLocation.
    func podLocation(_ id: String) throws -> ProxyLocation {
        guard let wanted = ProxyName(id) else { throw StatusError.badRequest("invalid pod request \(id.goQuoted)") }
        guard let pod = reader.get(.pods, namespace: info.namespace, name: wanted.name) else { throw StatusError.notFound(.pods, wanted.name) }
        let declared = pod["spec"]["containers"].elements.lazy.compactMap { $0["ports"].elements.first["containerPort"].int }.first
        let port: Int
        if wanted.port.isEmpty {
            port = declared.flatMap { Int(exactly: $0) } ?? (wanted.scheme == "https" ? 443 : 80)
        } else {
            port = try Self.portNumber(wanted.port)
        }
        let address = Self.addresses(of: pod).first ?? ""
        guard environment.proxies.policy.admits(address) else { throw ProxyAddressPolicy.notAllowed }
        return ProxyLocation(address: .tcp(host: address, port: port), isTLS: wanted.scheme == "https")
    }

    /// Where `services/NAME/proxy` goes: a ready endpoint that is an address of one of the namespace's own pods. Upstream: service.REST's
    /// ResourceLocation.
    func serviceLocation(_ id: String) throws -> ProxyLocation {
        guard let wanted = ProxyName(id) else { throw StatusError.badRequest("invalid service request \(id.goQuoted)") }
        var portName = wanted.port
        if let number = Int64(wanted.port) {
            guard let service = reader.get(.services, namespace: info.namespace, name: wanted.name) else {
                throw StatusError.notFound(.services, wanted.name)
            }
            guard let port = service["spec"]["ports"].elements.first(where: { $0["port"].int == number }) else {
                throw StatusError.serviceUnavailable("no service port \(number) found for service \(wanted.name.goQuoted)")
            }
            portName = port["name"].string ?? ""
        }
        var candidates: [HTTPAddress] = []
        var exists = false
        for slice in reader.list(.endpointSlices, namespace: info.namespace) {
            guard let label = slice["metadata"]["labels"]["kubernetes.io/service-name"], label.equals(wanted.name) else { continue }
            exists = true
            guard let port = slice["ports"].elements.first(where: { ($0["name"].string ?? "") == portName })?["port"].int,
                let number = Int(exactly: port), (1...65535).contains(number)
            else { continue }
            for endpoint in slice["endpoints"].elements where endpoint["conditions"]["ready"].bool ?? true {
                guard let address = endpoint["addresses"].elements.first.string, isOwn(address, endpoint["targetRef"]) else { continue }
                candidates.append(.tcp(host: address, port: number))
            }
        }
        guard exists else { throw StatusError.notFound(.endpoints, wanted.name) }
        guard let one = candidates.randomElement() else {
            throw StatusError.serviceUnavailable("no endpoints available for service \(id.goQuoted)")
        }
        return ProxyLocation(address: one, isTLS: wanted.scheme == "https")
    }

    /// Whether an endpoint is an address of a pod of this namespace: an address that anybody wrote down is not gone to. Upstream: isValidAddress.
    private func isOwn(_ address: String, _ target: JSONView?) -> Bool {
        guard environment.proxies.policy.admits(address), target["namespace"].string == info.namespace, let name = target["name"].string,
            let pod = reader.get(.pods, namespace: info.namespace, name: name)
        else { return false }
        return Self.addresses(of: pod).contains(address)
    }

    private static func addresses(of pod: Object) -> [String] {
        let all = pod["status"]["podIPs"].elements.compactMap { $0["ip"].string }
        return all.isEmpty ? [pod["status"]["podIP"].string].compactMap { $0 } : all
    }

    static func portNumber(_ text: String) throws -> Int {
        guard let number = Int(text), (1...65535).contains(number) else { throw StatusError.badRequest("invalid port \(text.goQuoted)") }
        return number
    }
}
