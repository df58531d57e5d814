import KubeAPI

/// What a Service's load balancer should be. Upstream: cloud-provider/controllers/service.
enum LoadBalancerPlan {
    /// Keeps a Service's object until its balancer is gone. Upstream: servicehelper.LoadBalancerCleanupFinalizer.
    static let finalizer = "service.kubernetes.io/load-balancer-cleanup"
    private static let excluded = "node.kubernetes.io/exclude-from-external-load-balancers"

    /// A class names another controller. Upstream: wantsLoadBalancer.
    static func isWanted(_ service: Object) -> Bool {
        service["spec"]["type"].string == "LoadBalancer" && service["spec"]["loadBalancerClass"].string == nil && !service.metadata.isBeingDeleted
    }

    static func hasFinalizer(_ service: Object) -> Bool { service.metadata.finalizers.contains(finalizer) }

    /// `slices` are the Service's: with external traffic policy Local only nodes that have an endpoint are used, as a balancer's health checks find
    /// out elsewhere.
    static func balancer(for service: Object, nodes: [Object], slices: [Object]) -> LoadBalancer {
        let spec = service["spec"]
        let isIPv6 = isIPv6(service)
        var usable = nodes.filter(isUsable)
        if spec["externalTrafficPolicy"].string == "Local" {
            let having = nodesWithEndpoints(slices)
            usable = usable.filter { having.contains($0.metadata.name) }
        }
        let ports = spec["ports"].elements.compactMap { port -> LoadBalancer.Port? in
            guard let number = port["port"]?.int.flatMap({ UInt16(exactly: $0) }), number > 0,
                let nodePort = port["nodePort"]?.int.flatMap({ UInt16(exactly: $0) }), nodePort > 0
            else { return nil }
            return LoadBalancer.Port(transport: port["protocol"]?.string ?? "TCP", port: number, nodePort: nodePort)
        }
        return LoadBalancer(
            id: service.metadata.uid, service: service.metadata.key, ports: ports, nodes: usable.compactMap { address($0, isIPv6: isIPv6) }.sorted(),
            sourceRanges: sourceRanges(spec["loadBalancerSourceRanges"].strings, isIPv6: isIPv6))
    }

    /// The ranges of the family; nothing when everybody may connect. Ranges that name nobody of the family shut all of it out.
    private static func sourceRanges(_ texts: [String], isIPv6: Bool) -> [String] {
        let ranges = texts.compactMap { IPRange(String($0.filter { !$0.isWhitespace })) }.filter { $0.isIPv6 == isIPv6 }
        if texts.isEmpty || ranges.contains(where: { $0.length == 0 }) { return [] }
        return ranges.isEmpty ? [isIPv6 ? "::/128" : "255.255.255.255/32"] : ranges.map(\.description).sorted()
    }

    /// Upstream: cloud-provider/controllers/service.nodeReadyPredicate and its like.
    static func isUsable(_ node: Object) -> Bool {
        CloudNodePlan.isReady(node) && !node.metadata.isBeingDeleted && node.metadata.labels[excluded] == nil
            && !node["spec"]["taints"].elements.contains { $0["key"]?.string == "ToBeDeletedByClusterAutoscaler" }
    }

    /// Names of nodes that have a ready endpoint.
    static func nodesWithEndpoints(_ slices: [Object]) -> Set<String> {
        var names: Set<String> = []
        for slice in slices {
            for endpoint in slice["endpoints"].elements where endpoint["conditions"]?["ready"]?.bool ?? true {
                if let name = endpoint["nodeName"]?.string { names.insert(name) }
            }
        }
        return names
    }

    /// Whether a Service's endpoints have IPv6 addresses.
    static func isIPv6(_ service: Object) -> Bool { service["spec"]["ipFamilies"].strings.first == "IPv6" }

    /// The first internal address of the family.
    static func address(_ node: Object, isIPv6: Bool = false) -> String? {
        let addresses = node["status"]["addresses"].elements.filter { $0["type"]?.string == "InternalIP" }
        return addresses.compactMap { $0["address"]?.string.flatMap { IPAddress($0) } }.first { $0.isIPv6 == isIPv6 }?.description
    }
}
