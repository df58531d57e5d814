import KubeAPI

/// One endpoint of a slice: a pod of the Service. Upstream: discovery/v1 Endpoint.
struct PodEndpoint: Sendable, Equatable {
    var address: String
    var ready: Bool
    var serving: Bool
    var terminating: Bool
    var hostname: String?
    var nodeName: String
    var zone: String?
    var podName: String
    var podNamespace: String
    var podUID: String

    var value: Value {
        var entry: Value = [
            "addresses": [.string(address)], "conditions": ["ready": .bool(ready), "serving": .bool(serving), "terminating": .bool(terminating)],
        ]
        if let hostname { entry["hostname"] = .string(hostname) }
        entry["targetRef"] = ["kind": "Pod", "namespace": .string(podNamespace), "name": .string(podName), "uid": .string(podUID)]
        if !nodeName.isEmpty { entry["nodeName"] = .string(nodeName) }
        if let zone { entry["zone"] = .string(zone) }
        return entry
    }
}

/// What the EndpointSlice controller has to write for one Service.
struct EndpointSlicePlan: Sendable {
    var creates: [Value] = []
    /// Whole objects, with the resourceVersion they were read at.
    var updates: [Value] = []
    /// Names.
    var deletes: [String] = []
    /// What became of the topology hints, by address family.
    var topology: [String: TopologyOutcome] = [:]
}

/// Packs a Service's endpoints into slices with as few writes as can be. Upstream: endpointslice.Reconciler.
enum EndpointSlicePlanner {
    static let managedBy = "endpointslice-controller.k8s.io"
    static let managedByLabel = "endpointslice.kubernetes.io/managed-by"
    static let serviceNameLabel = "kubernetes.io/service-name"
    /// Endpoints in one slice. Upstream: --max-endpoints-per-slice.
    static let maxEndpoints = 100

    /// - Parameters:
    ///   - pods: those the Service selects.
    ///   - zones: zone by node name.
    ///   - existing: the Service's slices that this controller manages.
    ///   - ratios: each zone's part of the nodes' CPU, for proportional hints; nil when it is not known.
    ///   - excludedZones: those whose endpoints get no connections, while there is a ready endpoint elsewhere.
    static func plan(
        service: ServiceState, pods: [Object], zones: [String: String], existing: [Object], ratios: [String: Double]? = nil,
        excludedZones: Set<String> = [], maxEndpoints: Int = EndpointSlicePlanner.maxEndpoints
    ) -> EndpointSlicePlan {
        var plan = EndpointSlicePlan()
        if service.type == "ExternalName" {
            plan.deletes = existing.map(\.metadata.name)
            return plan
        }
        for family in service.ipFamilies {
            let slices = existing.filter { $0["addressType"].string == family && !$0.metadata.isBeingDeleted }
            var drafts: [SliceDraft] = []
            let candidates = candidates(family, service, pods, zones, without: excludedZones)
            planFamily(family, service, candidates, slices, maxEndpoints, &drafts, &plan)
            plan.topology[family] = TopologyHints.apply(service.topologyMode, to: &drafts, ratios: ratios)
            for draft in drafts where draft.isChanged {
                if draft.before == nil { plan.creates.append(draft.value) } else { plan.updates.append(draft.value) }
            }
        }
        // Slices of a family the Service no longer has.
        plan.deletes += existing.filter { !service.ipFamilies.contains($0["addressType"].string ?? "") && !$0.metadata.isBeingDeleted }.map(
            \.metadata.name)
        return plan
    }

    static func endpoint(for pod: Object, service: ServiceState, zones: [String: String], family: String) -> PodEndpoint? {
        let view = PodView(pod)
        guard !view.isTerminal, let address = ServiceState.address(of: pod, family: family) else { return nil }
        let serving = view.isReady
        let terminating = view.meta.isBeingDeleted
        let hostname = view.spec["hostname"].string ?? ""
        let named = !hostname.isEmpty && view.spec["subdomain"].string == service.name && view.meta.namespace == service.namespace
        return PodEndpoint(
            address: address, ready: service.publishNotReadyAddresses || (serving && !terminating), serving: serving, terminating: terminating,
            hostname: named ? hostname : nil, nodeName: view.nodeName, zone: zones[view.nodeName], podName: view.meta.name,
            podNamespace: view.meta.namespace, podUID: view.meta.uid)
    }

    private typealias Candidate = (ports: [ResolvedPort], endpoint: PodEndpoint)

    /// The family's endpoints with their ports. Those in `excludedZones` are left out when others are ready.
    private static func candidates(
        _ family: String, _ service: ServiceState, _ pods: [Object], _ zones: [String: String], without excludedZones: Set<String>
    ) -> [Candidate] {
        let all = pods.compactMap { pod -> Candidate? in
            guard let endpoint = endpoint(for: pod, service: service, zones: zones, family: family) else { return nil }
            let ports = service.resolvedPorts(on: pod).sorted()
            if ports.isEmpty, !service.isHeadless || !service.ports.isEmpty { return nil }
            return (ports, endpoint)
        }
        guard !excludedZones.isEmpty else { return all }
        let rest = all.filter { candidate in !(candidate.endpoint.zone.map(excludedZones.contains) ?? false) }
        return rest.contains { $0.endpoint.ready } ? rest : all
    }

    private static func planFamily(
        _ family: String, _ service: ServiceState, _ candidates: [Candidate], _ existing: [Object], _ maxEndpoints: Int,
        _ drafts: inout [SliceDraft], _ plan: inout EndpointSlicePlan
    ) {
        // Pods on which the Service's named ports resolve differently cannot share a slice.
        var desired = Dictionary(grouping: candidates, by: \.ports).mapValues { $0.map(\.endpoint) }
        // Not even one endpoint: an empty slice stands for the Service, as upstream's placeholder does.
        if desired.isEmpty { desired[[]] = [] }
        let groups = desired.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        var byPorts = Dictionary(grouping: existing) { slice in slice["ports"].elements.map(ResolvedPort.init(view:)).sorted() }
        // A placeholder takes the first real endpoints, instead of being deleted next to a new slice.
        if let first = groups.first, byPorts[first.key] == nil, let placeholders = byPorts.removeValue(forKey: []) {
            byPorts[first.key] = placeholders
        }
        for (ports, endpoints) in groups {
            pack(endpoints, ports, family, service, byPorts.removeValue(forKey: ports) ?? [], maxEndpoints, &drafts, &plan)
        }
        for slices in byPorts.values { plan.deletes += slices.map(\.metadata.name) }
    }

    /// Keeps endpoints where they are, drops those that are gone, fills free places, opens new slices for the rest. Upstream: reconcileByPortMapping.
    private static func pack(
        _ endpoints: [PodEndpoint], _ ports: [ResolvedPort], _ family: String, _ service: ServiceState, _ slices: [Object], _ maxEndpoints: Int,
        _ drafts: inout [SliceDraft], _ plan: inout EndpointSlicePlan
    ) {
        var wanted: [String: Value] = [:]
        var order: [String] = []
        for endpoint in endpoints.sorted(by: { $0.podName < $1.podName }) {
            let key = "\(endpoint.podUID) \(endpoint.address)"
            if wanted.updateValue(endpoint.value, forKey: key) == nil { order.append(key) }
        }
        var contents: [(slice: Object, endpoints: [Value])] = []
        for slice in slices.sorted(by: { $0.metadata.name < $1.metadata.name }) {
            var kept: [Value] = []
            for endpoint in slice["endpoints"].elements {
                let key = "\(endpoint["targetRef"]["uid"].string ?? "") \(endpoint["addresses"].strings.first ?? "")"
                guard kept.count < maxEndpoints, var value = wanted.removeValue(forKey: key) else { continue }
                // Hints are decided when all endpoints have their place; until then they are no difference.
                if let hints = endpoint["hints"] { value["hints"] = hints.value }
                kept.append(value)
            }
            contents.append((slice, kept))
        }
        var rest = order.compactMap { wanted[$0] }[...]
        // The fullest slices that have to be written anyway come first, so that few slices change. Upstream: the same intent by getSliceToFill.
        let places = contents.indices.sorted { a, b in
            let x = isChanged(contents[a])
            let y = isChanged(contents[b])
            return x == y ? contents[a].endpoints.count > contents[b].endpoints.count : x
        }
        for place in places where !rest.isEmpty {
            let room = max(0, maxEndpoints - contents[place].endpoints.count)
            contents[place].endpoints += rest.prefix(room)
            rest = rest.dropFirst(room)
        }
        var kept = contents.filter { !$0.endpoints.isEmpty }
        if kept.isEmpty, rest.isEmpty, let first = contents.first { kept = [first] }
        let keptNames = Set(kept.map(\.slice.metadata.name))
        plan.deletes += contents.map(\.slice.metadata.name).filter { !keptNames.contains($0) }
        for (slice, endpoints) in kept {
            let before = slice.value
            var after = before
            decorate(&after, service: service, ports: ports, endpoints: endpoints)
            drafts.append(SliceDraft(before: before, value: after))
        }
        repeat {
            if rest.isEmpty, !kept.isEmpty { break }
            var slice: Value = [
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": [
                    "generateName": .string(service.name + "-"), "namespace": .string(service.namespace),
                    "ownerReferences": [service.ownerReference.value],
                ], "addressType": .string(family),
            ]
            decorate(&slice, service: service, ports: ports, endpoints: Array(rest.prefix(maxEndpoints)))
            drafts.append(SliceDraft(before: nil, value: slice))
            rest = rest.dropFirst(maxEndpoints)
        } while !rest.isEmpty
    }

    private static func isChanged(_ content: (slice: Object, endpoints: [Value])) -> Bool {
        !Value.semanticallyEqual(content.slice["endpoints"].value, .array(content.endpoints))
    }

    private static func decorate(_ slice: inout Value, service: ServiceState, ports: [ResolvedPort], endpoints: [Value]) {
        slice[path: "metadata", "labels"] = Value(
            service.derivedLabels(adding: [serviceNameLabel: service.name, managedByLabel: managedBy]))
        slice["endpoints"] = .array(endpoints)
        slice["ports"] = .array(ports.map(\.value))
    }
}
