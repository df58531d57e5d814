import KubeAPI

/// Rows of services, endpoints, ingresses and what else is about the network. Upstream: printService and its neighbours.
enum ServiceTables {
    static let printers: [(String, String, TablePrinter.Printer)] = [
        ("", "services", service),
        ("", "endpoints", endpoints),
        ("discovery.k8s.io", "endpointslices", endpointSlice),
        ("networking.k8s.io", "ingresses", ingress),
        ("networking.k8s.io", "ingressclasses", ingressClass),
        ("networking.k8s.io", "networkpolicies", { [Cells.name($0), Cells.selector($0["spec"]["podSelector"]), Cells.age($0, $1)] }),
        ("networking.k8s.io", "servicecidrs", { [Cells.name($0), .string($0["spec"]["cidrs"].strings.joined(separator: ",")), Cells.age($0, $1)] }),
        ("networking.k8s.io", "ipaddresses", ipAddress),
    ]

    private static func service(_ object: Object, _ now: Timestamp) -> [Value] {
        let spec = object["spec"]
        let ports = spec["ports"].elements.map { port in
            let number = port["port"].int ?? 0
            let suffix = port["protocol"].string ?? ""
            if let node = port["nodePort"].int, node > 0 { return "\(number):\(node)/\(suffix)" }
            return "\(number)/\(suffix)"
        }
        let clusterIP = spec["clusterIPs"].strings.first ?? spec["clusterIP"].string ?? ""
        return [
            Cells.name(object), Cells.text(spec["type"]), .string(clusterIP.isEmpty ? "<none>" : clusterIP), .string(externalIP(object)),
            .string(ports.isEmpty ? "<none>" : ports.joined(separator: ",")), Cells.age(object, now), Cells.labels(spec["selector"]),
        ]
    }

    private static func externalIP(_ object: Object) -> String {
        let spec = object["spec"]
        let external = spec["externalIPs"].strings
        switch spec["type"].string {
        case "ClusterIP", "NodePort": return external.isEmpty ? "<none>" : external.joined(separator: ",")
        case "LoadBalancer":
            let all = loadBalancer(object) + external
            return all.isEmpty ? "<pending>" : all.joined(separator: ",")
        case "ExternalName": return spec["externalName"].string ?? ""
        default: return "<unknown>"
        }
    }

    /// Addresses or host names of a load balancer, sorted. Upstream: loadBalancerStatusStringer.
    private static func loadBalancer(_ object: Object) -> [String] {
        let names = object["status"]["loadBalancer"]["ingress"].elements.compactMap { entry -> String? in
            if let address = entry["ip"].string, !address.isEmpty { return address }
            return entry["hostname"].string.flatMap { $0.isEmpty ? nil : $0 }
        }
        return Set(names).sorted()
    }

    private static func endpoints(_ object: Object, _ now: Timestamp) -> [Value] {
        [Cells.name(object), .string(addresses(object)), Cells.age(object, now)]
    }

    private static func addresses(_ object: Object) -> String {
        let shown = 3
        let subsets = object["subsets"].elements
        if subsets.isEmpty { return "<none>" }
        var list: [String] = []
        var total = 0
        for subset in subsets {
            let addresses = subset["addresses"].elements.map { $0["ip"].string ?? "" }
            let ports = subset["ports"].elements.map { $0["port"].int ?? 0 }
            total += addresses.count * max(ports.count, 1)
            if ports.isEmpty { list += addresses.prefix(shown) }
            for port in ports { list += addresses.prefix(shown).map { $0.contains(":") ? "[\($0)]:\(port)" : "\($0):\(port)" } }
        }
        let text = list.prefix(shown).joined(separator: ",")
        return total > shown ? "\(text) + \(total - shown) more..." : text
    }

    private static func endpointSlice(_ object: Object, _ now: Timestamp) -> [Value] {
        let shown = 3
        let ports = object["ports"].elements.map { port in port["port"].int.map { String($0) } ?? port["name"].string ?? "*" }
        let addresses = object["endpoints"].elements.flatMap { $0["addresses"].strings }
        return [
            Cells.name(object), Cells.text(object["addressType"]), .string(Cells.list(ports, limit: shown, total: ports.count)),
            .string(Cells.list(addresses, limit: shown, total: addresses.count)), Cells.age(object, now),
        ]
    }

    private static func ingress(_ object: Object, _ now: Timestamp) -> [Value] {
        let shown = 3
        let spec = object["spec"]
        let rules = spec["rules"].elements
        let named = rules.compactMap { $0["host"].string }.filter { !$0.isEmpty }
        var hosts = named.isEmpty ? "*" : named.prefix(shown).joined(separator: ",")
        if named.count >= shown, rules.count > shown { hosts += " + \(rules.count - shown) more..." }
        return [
            Cells.name(object), Cells.text(spec["ingressClassName"], or: "<none>"), .string(hosts),
            .string(loadBalancer(object).joined(separator: ",")),
            Cells.count(spec["tls"]) > 0 ? "80, 443" : "80", Cells.age(object, now),
        ]
    }

    private static func ingressClass(_ object: Object, _ now: Timestamp) -> [Value] {
        var parameters = "<none>"
        if let given = object["spec"]["parameters"] {
            parameters = given["kind"].string ?? ""
            if let group = given["apiGroup"].string { parameters += ".\(group)" }
            parameters += "/\(given["name"].string ?? "")"
        }
        let isDefault = object.metadata.annotations["ingressclass.kubernetes.io/is-default-class"] == "true"
        return [
            .string(object.metadata.name + (isDefault ? " (default)" : "")), Cells.text(object["spec"]["controller"]), .string(parameters),
            Cells.age(object, now),
        ]
    }

    private static func ipAddress(_ object: Object, _ now: Timestamp) -> [Value] {
        var parent = "<none>"
        if let reference = object["spec"]["parentRef"] {
            parent = GroupResource(group: reference["group"].string ?? "", resource: reference["resource"].string ?? "").description.lowercased()
            if let namespace = reference["namespace"].string, !namespace.isEmpty { parent += "/\(namespace)" }
            parent += "/\(reference["name"].string ?? "")"
        }
        return [Cells.name(object), .string(parent), Cells.age(object, now)]
    }
}
