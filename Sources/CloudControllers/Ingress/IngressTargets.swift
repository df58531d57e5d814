import KubeAPI

/// What is known of a cluster when its balancers are made.
struct IngressFacts {
    /// By `namespace/name`.
    var service: (String) -> Object?
    /// The slices of the Service `namespace/name`.
    var slices: (String) -> [Object]
    /// Secrets of type kubernetes.io/tls, by `namespace/name`.
    var secret: (String) -> Object?
    var nodes: [Object]
}

/// Target groups of Services: their endpoints, or the nodes with their node ports. Upstream: model_build_target_group, pkg/targetgroupbinding.
struct IngressTargets {
    private typealias Group = ApplicationBalancer.TargetGroup

    let facts: IngressFacts

    /// The target group of a Service's port (a number or a name) for an Ingress. The Service's annotations come before the Ingress's.
    func group(_ member: IngressGroup.Member, _ service: Object, port: String) throws(IngressModelError) -> ApplicationBalancer.TargetGroup {
        let (ingress, name) = (member.ingress.metadata, service.metadata.name)
        guard let row = service["spec"]["ports"].elements.first(where: { Self.isCalled($0, port) }) else {
            throw IngressModelError("unable to find port \(port) on service \(service.metadata.key)")
        }
        let annotations = IngressAnnotations(member.ingress, service)
        let isByInstance: Bool
        switch annotations.string("target-type") ?? (member.isAutoMode ? "ip" : "instance") {
        case "ip": isByInstance = false
        case "instance": isByInstance = true
        case let other: throw IngressModelError("unknown targetType: \(other)")
        }
        var group = Group(
            name: "tg:\(ingress.namespace)_\(ingress.name):\(name):\(row["port"]?.int ?? 0)",
            targets: isByInstance ? try nodes(service, row) : endpoints(service, row))
        group.isSecure = try Self.isSecure(annotations, "backend-protocol") ?? false
        if let text = annotations.string("backend-protocol-version") {
            guard let version = ApplicationBalancer.Version(rawValue: text) else {
                throw IngressModelError("unsupported backend protocol version: \(text)")
            }
            group.version = version
        }
        group.check = try check(annotations, group, service, isByInstance)
        try applyAttributes(annotations, &group)
        return group
    }

    private static func isCalled(_ row: JSONView, _ port: String) -> Bool {
        guard (row["protocol"]?.string ?? "TCP") == "TCP" else { return false }
        return row["name"]?.string == port || Int64(port).map { row["port"]?.int == $0 } ?? false
    }

    /// Nil when it is not said. Upstream: buildTargetGroupProtocol.
    private static func isSecure(_ annotations: IngressAnnotations, _ name: String) throws(IngressModelError) -> Bool? {
        switch annotations.string(name) {
        case .none: return nil
        case "HTTP": return false
        case "HTTPS": return true
        case .some(let other): throw IngressModelError("\(name) must be within [HTTP, HTTPS]: \(other)")
        }
    }

    /// The ready endpoints of the Service's first family.
    private func endpoints(_ service: Object, _ row: JSONView) -> [ApplicationBalancer.Target] {
        let name = row["name"]?.string ?? ""
        var targets: Set<ApplicationBalancer.Target> = []
        let isIPv6 = LoadBalancerPlan.isIPv6(service)
        for slice in facts.slices(service.metadata.key) where slice["addressType"].string ?? "IPv4" == (isIPv6 ? "IPv6" : "IPv4") {
            let ports = slice["ports"].elements.filter { ($0["name"]?.string ?? "") == name }
            for port in ports.compactMap({ $0["port"]?.int.flatMap { UInt16(exactly: $0) } }) where port > 0 {
                for endpoint in slice["endpoints"].elements where endpoint["conditions"]?["ready"]?.bool ?? true {
                    guard let text = endpoint["addresses"]?.strings.first, let address = IPAddress(text), address.isIPv6 == isIPv6 else { continue }
                    targets.insert(.init(address: address.description, port: port))
                }
            }
        }
        return targets.sorted()
    }

    /// The nodes that are ready, with the node port. With external traffic policy Local those without endpoints would not answer.
    private func nodes(_ service: Object, _ row: JSONView) throws(IngressModelError) -> [ApplicationBalancer.Target] {
        guard let port = row["nodePort"]?.int.flatMap({ UInt16(exactly: $0) }), port > 0 else {
            throw IngressModelError(
                "TargetGroup port is empty. When using Instance targets, your service must be of type 'NodePort' or 'LoadBalancer'")
        }
        var usable = facts.nodes.filter(LoadBalancerPlan.isUsable)
        if service["spec"]["externalTrafficPolicy"].string == "Local" {
            let having = LoadBalancerPlan.nodesWithEndpoints(facts.slices(service.metadata.key))
            usable = usable.filter { having.contains($0.metadata.name) }
        }
        let isIPv6 = LoadBalancerPlan.isIPv6(service)
        return usable.compactMap { LoadBalancerPlan.address($0, isIPv6: isIPv6) }.map { .init(address: $0, port: port) }.sorted()
    }

    /// Upstream: buildTargetGroupHealthCheckConfig.
    private func check(
        _ annotations: IngressAnnotations, _ group: ApplicationBalancer.TargetGroup, _ service: Object, _ isByInstance: Bool
    ) throws(IngressModelError) -> ApplicationBalancer.HealthCheck {
        var check = ApplicationBalancer.HealthCheck()
        check.isSecure = try Self.isSecure(annotations, "healthcheck-protocol") ?? group.isSecure
        if let path = annotations.string("healthcheck-path") {
            guard path.hasPrefix("/"), path.utf8.count <= 1024, path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw IngressModelError("healthcheck-path must begin with / and be visible ASCII characters: \(path)")
            }
            check.path = path
        }
        if let text = annotations.string("healthcheck-port"), text != "traffic-port" {
            let rows = service["spec"]["ports"].elements
            let named = rows.first { $0["name"]?.string == text }.flatMap { $0[isByInstance ? "nodePort" : "targetPort"]?.int }
            guard let port = UInt16(text) ?? named.flatMap({ UInt16(exactly: $0) }), port > 0 else {
                throw IngressModelError("failed to resolve healthcheck-port: \(text)")
            }
            check.port = port
        }
        check.interval = try annotations.int("healthcheck-interval-seconds", in: 5...300) ?? check.interval
        check.timeout = try annotations.int("healthcheck-timeout-seconds", in: 2...120) ?? check.timeout
        check.healthy = try annotations.int("healthy-threshold-count", in: 2...10) ?? check.healthy
        check.unhealthy = try annotations.int("unhealthy-threshold-count", in: 2...10) ?? check.unhealthy
        if let codes = annotations.string("success-codes") {
            guard Self.areCodes(codes) else { throw IngressModelError("success-codes must be codes and ranges within [200, 499]: \(codes)") }
            check.codes = codes
        }
        return check
    }

    /// `200,202-204`.
    private static func areCodes(_ text: String) -> Bool {
        text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { part in
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { $0.utf8.count == 3 ? Int($0) : nil }
            guard ends.count <= 2, let first = ends.first, let low = first, let last = ends.last, let high = last else { return false }
            return low <= high && low >= 200 && high <= 499
        }
    }

    /// Those of `target-group-attributes` that mean something here. Upstream: elbv2 TargetGroupAttribute.
    private func applyAttributes(_ annotations: IngressAnnotations, _ group: inout ApplicationBalancer.TargetGroup) throws(IngressModelError) {
        let attributes = try annotations.map("target-group-attributes")
        if attributes["stickiness.enabled"] == "true" {
            let type = attributes["stickiness.type"] ?? "lb_cookie"
            guard type == "lb_cookie" else { throw IngressModelError("stickiness.type \(type) is not served, lb_cookie is") }
            let seconds = Int(attributes["stickiness.lb_cookie.duration_seconds"] ?? "86400")
            guard let seconds, (1...604_800).contains(seconds) else {
                throw IngressModelError("stickiness.lb_cookie.duration_seconds must be within [1, 604800]")
            }
            group.stickiness = seconds
        }
        if let text = attributes["load_balancing.algorithm.type"] {
            guard let balance = ApplicationBalancer.Balance(rawValue: text) else {
                throw IngressModelError("unknown load_balancing.algorithm.type: \(text)")
            }
            group.balance = balance
        }
    }
}
