import KubeAPI

/// Slices that say what an Endpoints object says, for Services whose endpoints somebody writes by hand. Upstream: pkg/controller/endpointslicemirroring.
enum MirrorPlanner {
    static let managedBy = "endpointslicemirroring-controller.k8s.io"
    static let skipLabel = "endpointslice.kubernetes.io/skip-mirror"
    private static let leaderAnnotation = "control-plane.alpha.kubernetes.io/leader"
    private static let lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
    /// Addresses mirrored of one subset. Upstream: --mirroring-max-endpoints-per-subset.
    static let maxEndpoints = 1000

    /// Whether an Endpoints object is to be mirrored: its Service selects no pods, and nobody says otherwise. Upstream: shouldMirror.
    static func isMirrored(_ endpoints: Object, service: Object?) -> Bool {
        let meta = endpoints.metadata
        guard let service, meta.labels[skipLabel] != "true", meta.annotations[leaderAnnotation] == nil, !meta.isBeingDeleted else { return false }
        return service["spec"]["selector"].stringMap.isEmpty && service["spec"]["type"].string != "ExternalName"
    }

    /// What of a slice makes it one: its addresses' family and its ports.
    private struct Key: Hashable {
        var family: String
        var ports: [String]
    }

    private struct Content {
        var ports: Value
        var endpoints: [Value] = []
    }

    /// - Parameters:
    ///   - endpoints: nil, or one that is not to be mirrored: its slices go.
    ///   - existing: the slices this controller has made of it.
    static func plan(_ endpoints: Object?, existing: [Object]) -> EndpointSlicePlan {
        var plan = EndpointSlicePlan()
        var left = existing.filter { !$0.metadata.isBeingDeleted }.sorted { $0.metadata.name < $1.metadata.name }
        guard let endpoints else {
            plan.deletes = left.map(\.metadata.name)
            return plan
        }
        for (key, content) in contents(endpoints).sorted(by: { ($0.key.family, $0.key.ports.joined()) < ($1.key.family, $1.key.ports.joined()) }) {
            let place = left.firstIndex { self.key(of: $0) == key }
            let slice = self.slice(endpoints, key, content, existing: place.map { left[$0] })
            guard let place else {
                plan.creates.append(slice)
                continue
            }
            if !Value.semanticallyEqual(left[place].value, slice) { plan.updates.append(slice) }
            left.remove(at: place)
        }
        plan.deletes = left.map(\.metadata.name)
        return plan
    }

    private static func key(of slice: Object) -> Key {
        Key(family: slice["addressType"].string ?? "", ports: slice["ports"].elements.map { $0.value.canonical.jsonString }.sorted())
    }

    private static func contents(_ endpoints: Object) -> [Key: Content] {
        var contents: [Key: Content] = [:]
        for subset in endpoints["subsets"].elements {
            let ports = subset["ports"].elements.map { port -> Value in
                var entry: Value = ["port": port["port"].value ?? .null, "protocol": .string(port["protocol"].string ?? "TCP")]
                entry["name"] = .string(port["name"].string ?? "")
                if let appProtocol = port["appProtocol"].string { entry["appProtocol"] = .string(appProtocol) }
                return entry
            }
            let addresses = subset["addresses"].elements.map { ($0, true) } + subset["notReadyAddresses"].elements.map { ($0, false) }
            for (address, isReady) in addresses.prefix(maxEndpoints) {
                guard let ip = address["ip"].string else { continue }
                let key = Key(family: ip.contains(":") ? "IPv6" : "IPv4", ports: ports.map(\.canonical.jsonString).sorted())
                contents[key, default: Content(ports: .array(ports))].endpoints.append(endpoint(address, ip, isReady))
            }
        }
        return contents
    }

    /// Upstream: addressToEndpoint.
    private static func endpoint(_ address: JSONView, _ ip: String, _ isReady: Bool) -> Value {
        var endpoint: Value = ["addresses": [.string(ip)], "conditions": ["ready": .bool(isReady)]]
        for key in ["hostname", "nodeName", "targetRef"] { if let value = address[key]?.value, !value.isNull { endpoint[key] = value } }
        return endpoint
    }

    private static func slice(_ endpoints: Object, _ key: Key, _ content: Content, existing: Object?) -> Value {
        let meta = endpoints.metadata
        var labels = meta.labels
        labels[EndpointSlicePlanner.serviceNameLabel] = meta.name
        labels[EndpointSlicePlanner.managedByLabel] = managedBy
        var slice: Value =
            existing?.value ?? [
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": [
                    "generateName": .string("\(meta.name)-"), "namespace": .string(meta.namespace),
                    "ownerReferences": [OwnerReference(apiVersion: "v1", kind: "Endpoints", name: meta.name, uid: meta.uid).value],
                ], "addressType": .string(key.family),
            ]
        slice[path: "metadata", "labels"] = Value(labels)
        let annotations = meta.annotations.filter { $0.key != lastApplied && !$0.key.hasPrefix("endpoints.kubernetes.io/") }
        slice[path: "metadata", "annotations"] = annotations.isEmpty ? nil : Value(annotations)
        slice["ports"] = content.ports
        slice["endpoints"] = .array(content.endpoints)
        return slice
    }
}
