import KubeAPI

/// Addresses, node ports and families of Services. Upstream: pkg/registry/core/service/storage (alloc.go, storage.go) and its strategy.
struct ServiceStrategy: ResourceStrategy {
    let allocator: ServiceAddressAllocator

    private var family: String { allocator.cidr.isIPv6 ? "IPv6" : "IPv4" }
    static let kind = GroupVersionKind(group: "", version: "v1", kind: "Service")

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = ["loadBalancer": [:]]
        let owner = owner(object)
        var spec = object["spec"] ?? .object(Members())
        do {
            try fill(&spec, owner, name: object[path: "metadata", "name"]?.string ?? "", labels: object[path: "metadata", "labels"])
        } catch {
            allocator.releaseUnconfirmed(owner)
            throw error
        }
        object["spec"] = spec
    }

    func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws {
        guard subresource.isEmpty else { return }
        let owner = ServiceAddressAllocator.Owner(old.metadata)
        var spec = object["spec"] ?? .object(Members())
        let before = old["spec"].value ?? .object(Members())
        keepAllocated(&spec, before)
        dropUnused(&spec, before)
        do {
            try fill(&spec, owner, name: old.metadata.name, labels: nil)
        } catch {
            allocator.releaseUnconfirmed(owner)
            throw error
        }
        object["spec"] = spec
    }

    func warnings(_ object: Object, old: Object?) -> [String] { ServiceWarnings.warnings(object) }

    func release(_ object: Object) { allocator.release(ServiceAddressAllocator.Owner(object.metadata)) }

    private func owner(_ object: Value) -> ServiceAddressAllocator.Owner {
        let name = object[path: "metadata", "name"]?.string ?? ""
        let namespace = object[path: "metadata", "namespace"]?.string ?? ""
        return .init(key: namespace.isEmpty ? name : "\(namespace)/\(name)", uid: object[path: "metadata", "uid"]?.string ?? "")
    }

    // MARK: Allocation

    private static func isExternalName(_ spec: Value) -> Bool { spec["type"]?.string == "ExternalName" }

    private static func isHeadless(_ spec: Value) -> Bool {
        spec["clusterIP"]?.string == "None" || spec["clusterIPs"]?.array?.first?.string == "None"
    }

    private static func needsNodePorts(_ spec: Value) -> Bool {
        switch spec["type"]?.string {
        case "NodePort": true
        case "LoadBalancer": spec["allocateLoadBalancerNodePorts"]?.bool ?? true
        default: false
        }
    }

    private static func needsHealthCheckPort(_ spec: Value) -> Bool {
        spec["type"]?.string == "LoadBalancer" && spec["externalTrafficPolicy"]?.string == "Local"
    }

    /// Gives the spec what it lacks: families, address, node ports.
    private func fill(_ spec: inout Value, _ owner: ServiceAddressAllocator.Owner, name: String, labels: Value?) throws {
        guard !Self.isExternalName(spec) else { return }
        try families(&spec, name)
        try clusterIP(&spec, owner, name)
        try nodePorts(&spec, owner, name)
    }

    private func families(_ spec: inout Value, _ name: String) throws {
        var errors = FieldErrors()
        // A headless service without selector may point anywhere: it has both families, whatever the cluster has.
        if Self.isHeadless(spec), spec["selector"]?.object?.isEmpty ?? true {
            if spec["ipFamilyPolicy"] == nil { spec["ipFamilyPolicy"] = "RequireDualStack" }
            if (spec["ipFamilies"]?.array ?? []).isEmpty {
                let other = family == "IPv4" ? "IPv6" : "IPv4"
                spec["ipFamilies"] = spec["ipFamilyPolicy"]?.string == "SingleStack" ? [.string(family)] : [.string(family), .string(other)]
            }
            return
        }
        if spec["ipFamilyPolicy"] == nil { spec["ipFamilyPolicy"] = "SingleStack" }
        if spec["ipFamilyPolicy"]?.string == "RequireDualStack" {
            errors.invalid("spec.ipFamilyPolicy", "RequireDualStack", "this cluster is not configured for dual-stack services")
        }
        for (index, asked) in (spec["ipFamilies"]?.array ?? []).enumerated() where asked.string != family {
            errors.invalid("spec.ipFamilies[\(index)]", asked, "not configured on this cluster")
        }
        guard errors.causes.isEmpty else { throw StatusError.invalid(Self.kind, name, errors.causes) }
        spec["ipFamilies"] = [.string(family)]
    }

    private func clusterIP(_ spec: inout Value, _ owner: ServiceAddressAllocator.Owner, _ name: String) throws {
        let asked = spec["clusterIP"]?.string ?? spec["clusterIPs"]?.array?.first?.string ?? ""
        if asked.isEmpty {
            do {
                let address = try allocator.allocateAddress(for: owner)
                spec["clusterIP"] = .string(address)
            } catch {
                throw StatusError.internalError("failed to allocate a serviceIP: range is full")
            }
        } else if asked != "None" {
            do { try allocator.allocate(address: asked, for: owner) } catch {
                let why =
                    error == .notInRange
                    ? "the provided IP (\(asked)) is not in the valid range. The range of valid IPs is \(allocator.cidr.description)"
                    : "provided IP is already allocated"
                var errors = FieldErrors()
                errors.invalid("spec.clusterIPs", [.string(asked)], "failed to allocate IP \(asked): \(why)")
                throw StatusError.invalid(Self.kind, name, errors.causes)
            }
            spec["clusterIP"] = .string(asked)
        } else {
            spec["clusterIP"] = "None"
        }
        if (spec["clusterIPs"]?.array ?? []).isEmpty { spec["clusterIPs"] = [spec["clusterIP"] ?? ""] }
    }

    private func nodePorts(_ spec: inout Value, _ owner: ServiceAddressAllocator.Owner, _ name: String) throws {
        guard var ports = spec["ports"]?.array else { return }
        let isNeeded = Self.needsNodePorts(spec)
        guard isNeeded || ports.contains(where: { ($0["nodePort"]?.int ?? 0) > 0 }) else { return }
        guard ["NodePort", "LoadBalancer"].contains(spec["type"]?.string ?? "") else { return }
        var chosen: [Int64: Int64] = [:]
        // Those the user names first, so that none of them is given away.
        for index in ports.indices {
            guard let port = ports[index]["nodePort"]?.int, port > 0 else { continue }
            do { try allocator.allocate(port: port, for: owner) } catch { throw portError("spec.ports[\(index)].nodePort", port, error, name) }
            chosen[ports[index]["port"]?.int ?? 0] = port
        }
        if isNeeded {
            for index in ports.indices where (ports[index]["nodePort"]?.int ?? 0) == 0 {
                let servicePort = ports[index]["port"]?.int ?? 0
                let taken = ports.compactMap { $0["protocol"] == ports[index]["protocol"] ? $0["nodePort"]?.int : nil }
                // The same port for another protocol gets the same node port.
                if let same = chosen[servicePort], !taken.contains(same) {
                    ports[index]["nodePort"] = .int(same)
                } else {
                    let port = try allocatePort(owner)
                    ports[index]["nodePort"] = .int(port)
                    chosen[servicePort] = port
                }
            }
        }
        spec["ports"] = .array(ports)
        guard Self.needsHealthCheckPort(spec) else { return }
        if let port = spec["healthCheckNodePort"]?.int, port > 0 {
            do { try allocator.allocate(port: port, for: owner) } catch { throw portError("spec.healthCheckNodePort", port, error, name) }
        } else {
            spec["healthCheckNodePort"] = .int(try allocatePort(owner))
        }
    }

    private func allocatePort(_ owner: ServiceAddressAllocator.Owner) throws -> Int64 {
        do { return try allocator.allocatePort(for: owner) } catch { throw StatusError.internalError("failed to allocate a nodePort: range is full") }
    }

    private func portError(_ field: String, _ port: Int64, _ failure: ServiceAddressAllocator.Failure, _ name: String) -> StatusError {
        let range = ServiceAddressAllocator.nodePorts
        let why =
            failure == .notInRange
            ? "provided port is not in the valid range. The range of valid ports is \(range.lowerBound)-\(range.upperBound)"
            : "provided port is already allocated"
        var errors = FieldErrors()
        errors.invalid(field, .int(port), why)
        return StatusError.invalid(Self.kind, name, errors.causes)
    }

    // MARK: Updates

    /// A user who replaces a Service without its allocated fields keeps them. Upstream: patchAllocatedValues.
    private func keepAllocated(_ spec: inout Value, _ before: Value) {
        guard !Self.isExternalName(spec), !Self.isExternalName(before) else { return }
        if (spec["clusterIP"]?.string ?? "").isEmpty, (spec["clusterIPs"]?.array ?? []).isEmpty {
            spec["clusterIP"] = before["clusterIP"]
            spec["clusterIPs"] = before["clusterIPs"]
        } else if (spec["clusterIPs"]?.array ?? []).isEmpty, spec["clusterIP"] == before["clusterIP"] {
            spec["clusterIPs"] = before["clusterIPs"]
        } else if (spec["clusterIP"]?.string ?? "").isEmpty, spec["clusterIPs"] == before["clusterIPs"] {
            spec["clusterIP"] = before["clusterIP"]
        } else if spec["clusterIPs"] == before["clusterIPs"], spec["clusterIP"] != before["clusterIP"] {
            // The old field was changed by a client that does not know the list.
            spec["clusterIPs"] = [spec["clusterIP"] ?? ""]
        }
        for field in ["ipFamilyPolicy", "ipFamilies"] where spec[field] == nil { spec[field] = before[field] }
        if Self.needsNodePorts(spec), Self.needsNodePorts(before), var ports = spec["ports"]?.array {
            let old = before["ports"]?.array ?? []
            for index in ports.indices where (ports[index]["nodePort"]?.int ?? 0) == 0 {
                let same = old.first { $0["port"] == ports[index]["port"] && $0["protocol"] == ports[index]["protocol"] }
                if let port = same?["nodePort"]?.int, port > 0,
                    !ports.contains(where: { $0["nodePort"]?.int == port && $0["protocol"] == same?["protocol"] })
                {
                    ports[index]["nodePort"] = .int(port)
                }
            }
            spec["ports"] = .array(ports)
        }
        if Self.needsHealthCheckPort(spec), Self.needsHealthCheckPort(before), (spec["healthCheckNodePort"]?.int ?? 0) == 0 {
            spec["healthCheckNodePort"] = before["healthCheckNodePort"]
        }
    }

    /// A type that changed leaves behind what only the old one had, where the user did not set it anew. Upstream: dropTypeDependentFields.
    private func dropUnused(_ spec: inout Value, _ before: Value) {
        if Self.isExternalName(spec), !Self.isExternalName(before) {
            for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] where spec[field] == before[field] { spec[field] = nil }
        }
        let hasNodePorts = ["NodePort", "LoadBalancer"].contains(spec["type"]?.string ?? "")
        if !hasNodePorts, let ports = spec["ports"]?.array {
            let old = (before["ports"]?.array ?? []).compactMap { $0["nodePort"]?.int }
            spec["ports"] = .array(
                ports.map { port in
                    var port = port
                    if let number = port["nodePort"]?.int, old.contains(number) { port["nodePort"] = nil }
                    return port
                })
        }
        if !Self.needsHealthCheckPort(spec), spec["healthCheckNodePort"] == before["healthCheckNodePort"] { spec["healthCheckNodePort"] = nil }
        if spec["type"]?.string != "LoadBalancer" {
            for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] where spec[field] == before[field] { spec[field] = nil }
        }
        if !hasNodePorts, (spec["externalIPs"]?.array ?? []).isEmpty, spec["externalTrafficPolicy"] == before["externalTrafficPolicy"] {
            spec["externalTrafficPolicy"] = nil
        }
    }

    // MARK: Validation

    func validate(_ object: Object) -> [StatusError.Cause] { ServiceValidation.validate(object) }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        subresource.isEmpty ? ServiceValidation.validateUpdate(object, old: old) : ServiceValidation.validateStatus(object)
    }
}
