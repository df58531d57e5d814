import KubeAPI

/// Pods carry the zone and region of their node as labels, from their binding on. Upstream: plugin/podtopologylabels.
struct PodTopologyLabels: AdmissionPlugin {
    let name = "PodTopologyLabels"
    let reader: any ObjectReader
    private static let keys = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"]

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.operation == .create else { return }
        let node: String?
        if attributes.subresource == "binding" && attributes.resource.groupResource == .pods
            || attributes.resource.groupResource == GroupResource(group: "", resource: "bindings")
        {
            let kind = attributes.object[path: "target", "kind"]?.string ?? ""
            node = kind.isEmpty || kind == "Node" ? attributes.object[path: "target", "name"]?.string : nil
        } else if attributes.resource.groupResource == .pods, attributes.subresource.isEmpty {
            node = attributes.object[path: "spec", "nodeName"]?.string
        } else {
            return
        }
        guard let node, !node.isEmpty, let labels = reader.get(.nodes, namespace: "", name: node)?["metadata"]["labels"] else { return }
        for key in Self.keys { if let value = labels[key].string { attributes.object[path: "metadata", "labels", key] = .string(value) } }
    }
}
