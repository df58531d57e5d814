import KubeAPI

/// What the proxy reads of a Service, in values that were parsed. Upstream: proxy.BaseServicePortInfo.
struct ServiceFacts: Sendable, Equatable {
    /// One port of the Service.
    struct Port: Sendable, Equatable {
        var name: String
        var transport: TransportProtocol
        var port: UInt16
        /// 0: none.
        var nodePort: UInt16
    }

    /// `namespace/name`.
    var key: String
    var ports: [Port]
    var clusterIPs: [IPAddress]
    var externalIPs: [IPAddress]
    /// Addresses of the load balancer that lead to the nodes. Upstream: ipMode VIP.
    var loadBalancerIPs: [IPAddress]
    /// Who may use the load balancer; empty: everybody.
    var sourceRanges: [IPRange]
    /// Seconds; nil: no affinity.
    var affinitySeconds: Int?
    var internalIsLocal: Bool
    var externalIsLocal: Bool
    /// 0: none.
    var healthCheckNodePort: UInt16

    /// Nil for Services that the proxy has nothing to do for: headless, external names, those of other proxies. Upstream: proxy/util.ShouldSkipService.
    init?(_ object: Object) {
        let spec = object["spec"]
        let meta = object.metadata
        guard spec["type"].string != "ExternalName", let first = spec["clusterIP"].string, first != "None", !first.isEmpty else { return nil }
        if meta.labels["service.kubernetes.io/service-proxy-name"] != nil { return nil }
        key = meta.key
        let listed = spec["clusterIPs"].strings
        clusterIPs = (listed.isEmpty ? [first] : listed).compactMap(IPAddress.init)
        externalIPs = spec["externalIPs"].strings.compactMap(IPAddress.init)
        let isLoadBalancer = spec["type"].string == "LoadBalancer"
        loadBalancerIPs =
            isLoadBalancer
            ? object["status"]["loadBalancer"]["ingress"].elements.filter { ($0["ipMode"].string ?? "VIP") == "VIP" }.compactMap {
                $0["ip"].string.flatMap(IPAddress.init)
            } : []
        sourceRanges = isLoadBalancer ? Self.sourceRanges(spec, meta) : []
        let seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"].int ?? Self.defaultAffinitySeconds
        affinitySeconds = spec["sessionAffinity"].string == "ClientIP" ? Int(min(max(seconds, 1), Self.maximumAffinitySeconds)) : nil
        internalIsLocal = spec["internalTrafficPolicy"].string == "Local"
        externalIsLocal = spec["externalTrafficPolicy"].string == "Local"
        healthCheckNodePort = spec["healthCheckNodePort"].int.flatMap(UInt16.init(exactly:)) ?? 0
        ports = spec["ports"].elements.compactMap(Port.init)
    }

    /// Upstream: core/v1 DefaultClientIPServiceAffinitySeconds and MaxClientIPServiceAffinitySeconds.
    private static let defaultAffinitySeconds: Int64 = 10800
    private static let maximumAffinitySeconds: Int64 = 86400

    /// The field, or the older annotation. Upstream: proxy.newBaseServiceInfo.
    private static func sourceRanges(_ spec: JSONView?, _ meta: ObjectMeta) -> [IPRange] {
        var texts = spec["loadBalancerSourceRanges"].strings
        if texts.isEmpty, let annotation = meta.annotations["service.beta.kubernetes.io/load-balancer-source-ranges"] {
            texts = annotation.split(separator: ",").map { String($0.filter { !$0.isWhitespace }) }
        }
        let ranges = texts.compactMap { IPRange(String($0.filter { !$0.isWhitespace })) }
        // Everybody is no restriction.
        return ranges.contains { $0.length == 0 && !$0.isIPv6 } ? [] : ranges
    }
}

extension ServiceFacts.Port {
    init?(_ view: JSONView) {
        guard let transport = TransportProtocol(rawValue: view["protocol"]?.string ?? "TCP"),
            let port = view["port"]?.int.flatMap({ UInt16(exactly: $0) }), port > 0
        else { return nil }
        self.init(
            name: view["name"]?.string ?? "", transport: transport, port: port,
            nodePort: view["nodePort"]?.int.flatMap { UInt16(exactly: $0) } ?? 0)
    }
}
