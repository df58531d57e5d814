import KubeAPI

/// Makes the legacy Endpoints object of a Service. Upstream: pkg/controller/endpoint with endpoints.RepackSubsets.
enum EndpointsPlanner {
    /// Addresses in one Endpoints object. Upstream: maxCapacity.
    static let capacity = 1000
    static let overCapacityAnnotation = "endpoints.kubernetes.io/over-capacity"

    /// The object to write, or nil when `existing` is right as it stands. `pods`: those the Service selects.
    static func plan(service: ServiceState, pods: [Object], existing: Object?) -> Value? {
        var object: Value =
            existing?.value ?? [
                "apiVersion": "v1", "kind": "Endpoints", "metadata": ["name": .string(service.name), "namespace": .string(service.namespace)],
            ]
        let (subsets, truncated) = subsets(service: service, pods: pods)
        var labels = service.derivedLabels(adding: ["endpoints.kubernetes.io/managed-by": "endpoint-controller"])
        // Upstream marks headless services here too, by the same label; EndpointSlice mirroring must leave these objects alone.
        if !service.isHeadless { labels[ServiceState.headlessLabel] = nil }
        object[path: "metadata", "labels"] = Value(labels)
        object[path: "metadata", "annotations", overCapacityAnnotation] = truncated ? "truncated" : nil
        object["subsets"] = subsets.isEmpty ? nil : .array(subsets)
        if let existing, Value.semanticallyEqual(existing.value, object) { return nil }
        return object
    }

    private struct Address: Hashable {
        var pod: Int
        var ready: Bool
    }

    static func subsets(service: ServiceState, pods: [Object]) -> (subsets: [Value], truncated: Bool) {
        let family = service.ipFamilies.first ?? "IPv4"
        let eligible = pods.filter { pod in
            let view = PodView(pod)
            return !view.isTerminal && (service.publishNotReadyAddresses || !view.meta.isBeingDeleted)
                && ServiceState.address(of: pod, family: family) != nil
        }.sorted { $0.metadata.name < $1.metadata.name }
        let truncated = eligible.count > capacity
        // Ready addresses are kept in preference to others.
        let chosen =
            truncated
            ? Array((eligible.filter { PodView($0).isReady } + eligible.filter { !PodView($0).isReady }).prefix(capacity)) : eligible

        // Addresses by port, then ports by their set of addresses.
        var byPort: [ResolvedPort?: Set<Address>] = [:]
        for (index, pod) in chosen.enumerated() {
            let address = Address(pod: index, ready: service.publishNotReadyAddresses || PodView(pod).isReady)
            if service.ports.isEmpty {
                if service.isHeadless { byPort[nil, default: []].insert(address) }
                continue
            }
            for port in service.resolvedPorts(on: pod) { byPort[port, default: []].insert(address) }
        }
        var byAddresses: [Set<Address>: [ResolvedPort]] = [:]
        for (port, addresses) in byPort { byAddresses[addresses, default: []] += port.map { [$0] } ?? [] }
        let subsets = byAddresses.map { addresses, ports -> (ports: [ResolvedPort], value: Value) in
            let sorted = addresses.sorted { $0.pod < $1.pod }
            func values(ready: Bool) -> [Value] {
                sorted.filter { $0.ready == ready }.map { address(of: chosen[$0.pod], service: service, family: family) }
            }
            var subset: Value = [:]
            let ready = values(ready: true)
            let notReady = values(ready: false)
            if !ready.isEmpty { subset["addresses"] = .array(ready) }
            if !notReady.isEmpty { subset["notReadyAddresses"] = .array(notReady) }
            let sortedPorts = ports.sorted()
            if !sortedPorts.isEmpty {
                subset["ports"] = .array(
                    sortedPorts.map { port in
                        var value = port.value
                        if port.name.isEmpty { value["name"] = nil }
                        return value
                    })
            }
            return (sortedPorts, subset)
        }
        return (subsets.sorted { $0.ports.lexicographicallyPrecedes($1.ports) }.map(\.value), truncated)
    }

    private static func address(of pod: Object, service: ServiceState, family: String) -> Value {
        let view = PodView(pod)
        var value: Value = ["ip": .string(ServiceState.address(of: pod, family: family) ?? "")]
        if let hostname = view.spec["hostname"].string, !hostname.isEmpty, view.spec["subdomain"].string == service.name {
            value["hostname"] = .string(hostname)
        }
        if !view.nodeName.isEmpty { value["nodeName"] = .string(view.nodeName) }
        value["targetRef"] = [
            "kind": "Pod", "namespace": .string(view.meta.namespace), "name": .string(view.meta.name), "uid": .string(view.meta.uid),
        ]
        return value
    }
}
