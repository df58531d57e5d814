import KubeAPI

/// The group metrics.k8s.io: what nodes and pods use, from their kubelets. `kubectl top` and autoscalers read it. An extension server that is
/// registered for the group, such as metrics-server, takes its place. Upstream: kubernetes-sigs/metrics-server, k8s.io/metrics.
struct MetricsAPI: Sendable {
    static let groupVersion = GroupVersion(group: "metrics.k8s.io", version: "v1beta1")
    /// As its group stands in discovery. Upstream: metrics-server's APIService.
    static let service = RegisteredAPIService(local: groupVersion, groupPriority: 100, versionPriority: 100)

    private static let resourceList: Value = [
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1",
        "resources": [
            ["name": "nodes", "singularName": "", "namespaced": false, "kind": "NodeMetrics", "verbs": ["get", "list"]],
            ["name": "pods", "singularName": "", "namespaced": true, "kind": "PodMetrics", "verbs": ["get", "list"]],
        ],
    ]

    /// As in aggregated discovery.
    static let discovery: RemoteDiscovery = {
        // A literal that is an object.
        let list = try? Object(resourceList)
        let resources = list.map { RemoteDiscovery.resources($0.root, group: groupVersion.group, version: groupVersion.version) } ?? []
        return RemoteDiscovery(resources: resources, isFresh: true)
    }()

    let reader: any ObjectReader
    let collector: UsageCollector

    /// The answer to a request for the group; nil when the request is for something else. Throws `StatusError`.
    func answer(_ info: RequestInfo) async throws -> Value? {
        guard info.isResourceRequest else {
            // Not by `?:`, whose nil would be the JSON null.
            guard info.path == Self.groupVersion.path else { return nil }
            return Self.resourceList
        }
        guard info.apiGroup == Self.groupVersion.group, info.apiVersion == Self.groupVersion.version else { return nil }
        guard info.resource == "nodes" || info.resource == "pods", info.subresource.isEmpty else { throw Responses.unknownResource }
        guard info.verb == "get" || info.verb == "list" else { throw StatusError.methodNotSupported(info.groupResource, info.verb) }
        let selector: LabelSelector
        do { selector = try LabelSelector(parsing: info.labelSelector) } catch { throw StatusError.badRequest("\(error)") }
        let items = info.resource == "nodes" ? await nodes(info, selector) : await pods(info, selector)
        if info.verb == "get" {
            guard let item = items.first else { throw StatusError.notFound(info.groupResource, info.name) }
            return item
        }
        let kind = info.resource == "nodes" ? "NodeMetricsList" : "PodMetricsList"
        return ["kind": .string(kind), "apiVersion": "metrics.k8s.io/v1beta1", "metadata": [:], "items": .array(items)]
    }

    private func item(_ kind: String, of object: Object, _ window: UsageWindow) -> Value {
        let meta = object.metadata
        var metadata: Value = ["name": .string(meta.name)]
        if !meta.namespace.isEmpty { metadata["namespace"] = .string(meta.namespace) }
        metadata["creationTimestamp"] = .string(window.newer.time.rfc3339)
        if !meta.labels.isEmpty { metadata["labels"] = Value(meta.labels) }
        return [
            "kind": .string(kind), "apiVersion": "metrics.k8s.io/v1beta1", "metadata": metadata, "timestamp": .string(window.newer.time.rfc3339),
            "window": .string(window.text),
        ]
    }

    private func nodes(_ info: RequestInfo, _ selector: LabelSelector) async -> [Value] {
        let nodes = chosen(.nodes, info, selector)
        let windows = await collector.windows(of: nodes)
        return nodes.compactMap { node in
            guard let window = windows[node.metadata.name], let usage = window.nodeUsage() else { return nil }
            var item = item("NodeMetrics", of: node, window)
            item["usage"] = usage
            return item
        }
    }

    private func pods(_ info: RequestInfo, _ selector: LabelSelector) async -> [Value] {
        let pods = chosen(.pods, info, selector).filter { $0["status"]["phase"].string == "Running" }
        let names = Set(pods.compactMap { $0["spec"]["nodeName"].string })
        let nodes = names.compactMap { reader.get(.nodes, namespace: "", name: $0) }
        let windows = await collector.windows(of: nodes)
        return pods.compactMap { pod in
            guard let window = windows[pod["spec"]["nodeName"].string ?? ""], let containers = window.containers(of: pod.metadata.key) else {
                return nil
            }
            var item = item("PodMetrics", of: pod, window)
            item["containers"] = .array(containers)
            return item
        }
    }

    private func chosen(_ resource: GroupResource, _ info: RequestInfo, _ selector: LabelSelector) -> [Object] {
        if info.verb == "get" { return reader.get(resource, namespace: info.namespace, name: info.name).map { [$0] } ?? [] }
        return reader.list(resource, namespace: info.namespace.isEmpty ? nil : info.namespace).filter { selector.matches($0) }
            .sorted { $0.metadata.key < $1.metadata.key }
    }
}
