/// What a request to the kubelet's port asks for, in the API's terms, all of them about the node's own object: pure.
/// Upstream: server.NewNodeAuthorizerAttributesGetter with KubeletFineGrainedAuthz.
struct KubeletAccess: Sendable, Equatable {
    var verb: String
    /// The right to any of them suffices; the narrow ones stand first.
    var subresources: [String]

    /// - Parameters:
    ///   - segments: the path's, decoded, by which the request is served as well.
    ///   - isUpgrade: the request begins a stream, such as a command in a container, which takes more than the right to read.
    init(method: String, segments: [String], isUpgrade: Bool) {
        verb = isUpgrade ? "create" : Self.verbs[method] ?? ""
        subresources =
            switch segments.first ?? "" {
            case "pods", "runningpods": ["pods", "proxy"]
            case "healthz", "configz", "statusz": [segments.first ?? "", "proxy"]
            case "stats": ["stats"]
            case "metrics": ["metrics"]
            case "logs": ["log"]
            case "checkpoint": ["checkpoint"]
            default: ["proxy"]
            }
    }

    private static let verbs = ["POST": "create", "GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"]

    /// Upstream: InstallAuthFilter's texts.
    func forbidden(_ caller: KubeletCaller) -> String {
        "Forbidden (user=\(caller.name), verb=\(verb), resource=nodes, subresource(s)=[\(subresources.joined(separator: " "))])\n"
    }

    func undecided(_ caller: KubeletCaller, _ subresource: String) -> String {
        "Authorization error (user=\(caller.name), verb=\(verb), resource=nodes, subresource=\(subresource))"
    }
}

/// Values that are believed for a while. It keeps two generations, and drops the former when the recent one is full.
struct ExpiringCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private var recent: [Key: (value: Value, end: ContinuousClock.Instant)] = [:]
    private var former: [Key: (value: Value, end: ContinuousClock.Instant)] = [:]
    private let limit: Int

    /// - Parameter limit: values kept at most.
    init(limit: Int) { self.limit = limit }

    func value(_ key: Key, now: ContinuousClock.Instant) -> Value? {
        guard let entry = recent[key] ?? former[key], entry.end > now else { return nil }
        return entry.value
    }

    mutating func keep(_ value: Value, for key: Key, until end: ContinuousClock.Instant) {
        if recent.count >= max(1, limit / 2) { (recent, former) = ([:], recent) }
        recent[key] = (value, end)
    }
}
