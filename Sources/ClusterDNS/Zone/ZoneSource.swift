import KubeAPI

/// What the zone knows of a Service.
struct ZoneService: Sendable, Equatable {
    struct Port: Sendable, Equatable {
        var name: String
        var `protocol`: String
        var port: UInt16
    }

    var name: String
    var namespace: String
    var clusterIPs: [IPAddress]
    var isHeadless: Bool
    /// The other name, of a Service of type ExternalName.
    var externalName: String?
    var ports: [Port]
}

/// An endpoint of a Service that is ready, or published though it is not.
struct ZoneEndpoint: Sendable, Equatable {
    var address: IPAddress
    /// Its host name, or its address with dashes. Upstream: CoreDNS's endpointHostname.
    var hostname: String
    var ports: [ZoneService.Port]
}

/// Where the zone's contents come from.
protocol ZoneSource: Sendable {
    func service(namespace: String, name: String) -> ZoneService?
    func endpoints(namespace: String, name: String) -> [ZoneEndpoint]
    func hasNamespace(_ name: String) -> Bool
    /// Services with this ClusterIP.
    func services(at address: IPAddress) -> [(namespace: String, name: String)]
    /// Endpoints with this address, of all Services.
    func endpointNames(at address: IPAddress) -> [(namespace: String, name: String, hostname: String)]
}
