import KubeAPI
import KubeClient

/// Room for new volumes of a storage class, on the nodes that a selector matches. Upstream: storage/v1 CSIStorageCapacity.
struct StorageCapacity: Sendable {
    /// Bytes, and the largest volume that can be made of them.
    var capacity: Int64
    var largest: Int64
    private var nodes: LabelSelector

    /// Nil for an object that offers nothing to any node. Upstream: capacitySufficient, nodeHasAccess.
    init?(_ object: Object) {
        guard let topology = object["nodeTopology"], !topology.isNull, let nodes = try? LabelSelector(object: topology) else { return nil }
        let capacity = object["capacity"].quantity
        guard let largest = object["maximumVolumeSize"].quantity ?? capacity else { return nil }
        (self.nodes, self.largest, self.capacity) = (nodes, largest.value, capacity?.value ?? 0)
    }

    /// Whether a volume of so many bytes can be made for a node.
    func isEnough(for bytes: Int64, on node: NodeInfo) -> Bool { largest >= bytes && nodes.matches(node.labels) }
}

extension VolumeLookup {
    /// The room that a class's driver tells of; nil: it tells of none, or the claim asks for nothing. Upstream: hasEnoughCapacity.
    func capacities(for claim: Object, _ storageClass: Object) -> [StorageCapacity]? {
        guard claim["spec"]["resources"]["requests"]["storage"] != nil, let driver = drivers.get(storageClass["provisioner"].string ?? ""),
            driver["spec"]["storageCapacity"].bool == true
        else { return nil }
        let name = storageClass.metadata.name
        return capacities.list().filter { $0["storageClassName"].string == name }.compactMap { StorageCapacity($0) }
    }
}
