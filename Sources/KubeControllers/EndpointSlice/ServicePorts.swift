import KubeAPI

/// One port of a Service as it resolves on one pod. Upstream: discovery/v1 EndpointPort.
struct ResolvedPort: Sendable, Hashable, Comparable {
    var name: String
    var `protocol`: String
    var port: Int
    var appProtocol: String?

    static func < (a: ResolvedPort, b: ResolvedPort) -> Bool {
        (a.name, a.protocol, a.port, a.appProtocol ?? "") < (b.name, b.protocol, b.port, b.appProtocol ?? "")
    }

    var value: Value {
        var entry: Value = ["name": .string(name), "port": .int(Int64(port)), "protocol": .string(self.protocol)]
        if let appProtocol { entry["appProtocol"] = .string(appProtocol) }
        return entry
    }

    init(name: String, protocol: String, port: Int, appProtocol: String?) {
        self.name = name
        self.protocol = `protocol`
        self.port = port
        self.appProtocol = appProtocol
    }

    init(view: JSONView) {
        name = view["name"].string ?? ""
        self.protocol = view["protocol"].string ?? "TCP"
        port = Int(clamping: view["port"].int ?? 0)
        appProtocol = view["appProtocol"].string
    }
}

/// What the endpoint controllers read of a Service. Upstream: core/v1 Service.
struct ServiceState: Sendable {
    struct Port: Sendable {
        var name: String
        var `protocol`: String
        /// Nil when the target is a container port's name.
        var targetPort: Int?
        var targetName: String
        var appProtocol: String?
    }

    var name: String
    var namespace: String
    var uid: String
    var labels: [String: String]
    var selector: [String: String]
    var type: String
    var isHeadless: Bool
    var publishNotReadyAddresses: Bool
    var ports: [Port]
    /// `IPv4`, `IPv6`.
    var ipFamilies: [String]
    var topologyMode: TopologyMode

    init(_ object: Object) {
        let spec = object["spec"]
        let meta = object.metadata
        name = meta.name
        namespace = meta.namespace
        uid = meta.uid
        labels = meta.labels
        selector = spec["selector"].stringMap
        type = spec["type"].string ?? "ClusterIP"
        isHeadless = spec["clusterIP"].string == "None"
        publishNotReadyAddresses = spec["publishNotReadyAddresses"].bool ?? false
        ports = spec["ports"].elements.map { port in
            let target = port["targetPort"]
            let name = target.string ?? ""
            // A missing target is the port itself. Upstream: the API's defaults.
            let number = target.int.map { Int(clamping: $0) } ?? (name.isEmpty ? Int(clamping: port["port"].int ?? 0) : nil)
            return Port(
                name: port["name"].string ?? "", protocol: port["protocol"].string ?? "TCP", targetPort: number, targetName: name,
                appProtocol: port["appProtocol"].string)
        }
        let families = spec["ipFamilies"].strings
        ipFamilies = families.isEmpty ? ["IPv4"] : families
        topologyMode = TopologyMode(annotations: meta.annotations, trafficDistribution: spec["trafficDistribution"].string ?? "")
    }

    var ownerReference: OwnerReference { OwnerReference(apiVersion: "v1", kind: "Service", name: name, uid: uid) }

    func selects(_ labels: [String: String]) -> Bool { !selector.isEmpty && selector.allSatisfy { labels[$0.key] == $0.value } }

    /// The Service's ports on a pod. A port whose target names no port of the pod is left out. Upstream: getEndpointPorts, podutil.FindPort.
    func resolvedPorts(on pod: Object) -> [ResolvedPort] {
        ports.compactMap { port in
            guard let number = port.targetPort ?? Self.containerPort(pod, name: port.targetName, protocol: port.protocol) else { return nil }
            return ResolvedPort(name: port.name, protocol: port.protocol, port: number, appProtocol: port.appProtocol)
        }
    }

    private static func containerPort(_ pod: Object, name: String, protocol: String) -> Int? {
        let spec = pod["spec"]
        let sidecars = spec["initContainers"].elements.filter { $0["restartPolicy"].string == "Always" }
        for container in spec["containers"].elements + sidecars {
            for port in container["ports"]?.elements.map({ $0 }) ?? []
            where port["name"].string == name && (port["protocol"].string ?? "TCP") == `protocol` {
                return port["containerPort"].int.map { Int(clamping: $0) }
            }
        }
        return nil
    }

    /// The pod's address of a family, or nil.
    static func address(of pod: Object, family: String) -> String? {
        let status = pod["status"]
        var addresses = status["podIPs"].elements.compactMap { $0["ip"].string }
        if addresses.isEmpty, let address = status["podIP"].string { addresses = [address] }
        return addresses.first { !$0.isEmpty && $0.utf8.contains(UInt8(ascii: ":")) == (family == "IPv6") }
    }

    /// Labels for the objects made of a Service: its own, then what the controllers add.
    func derivedLabels(adding added: [String: String]) -> [String: String] {
        let reserved: Set<String> = [
            "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by", "endpoints.kubernetes.io/managed-by", Self.headlessLabel,
        ]
        var result = labels.filter { !reserved.contains($0.key) }
        result.merge(added) { $1 }
        if isHeadless { result[Self.headlessLabel] = "" }
        return result
    }

    static let headlessLabel = "service.kubernetes.io/headless"
}
