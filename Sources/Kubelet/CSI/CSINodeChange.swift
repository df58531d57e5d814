import KubeAPI

/// What a node's objects say of its drivers: pure. Upstream: pkg/volume/csi/nodeinfomanager.
enum CSINodeChange {
    /// On the Node: the drivers' names for it, as JSON; attachers before CSINode read it there.
    static let nodeIDs = "csi.volume.kubernetes.io/nodeid"

    /// The node's CSINode as it begins.
    static func initial(node: Object) -> Value {
        [
            "apiVersion": "storage.k8s.io/v1", "kind": "CSINode",
            "metadata": [
                "name": .string(node.metadata.name),
                "ownerReferences": [
                    ["apiVersion": "v1", "kind": "Node", "name": .string(node.metadata.name), "uid": .string(node.metadata.uid)]
                ],
            ], "spec": ["drivers": []],
        ]
    }

    /// A CSINode with a driver added, or taken away where `info` is nil; nil when it says so already. Upstream: installDriverToCSINode,
    /// tryUninstallDriverFromCSINode.
    static func change(_ csiNode: Value, driver: String, info: CSINodeInfo?) -> Value? {
        let before = csiNode[path: "spec", "drivers"]?.array ?? []
        var drivers = before.filter { $0["name"]?.string != driver }
        if let info {
            var entry: Value = ["name": .string(driver), "nodeID": .string(info.nodeID), "topologyKeys": Value(info.topology.keys.sorted())]
            if info.maximumVolumes > 0 { entry["allocatable"] = ["count": .int(min(info.maximumVolumes, Int64(Int32.max)))] }
            // An entry with the same content stays in its place.
            if let old = before.first(where: { $0["name"]?.string == driver }), Self.same(old, entry) { return nil }
            drivers.append(entry)
        } else if drivers.count == before.count {
            return nil
        }
        var changed = csiNode
        changed[path: "spec", "drivers"] = .array(drivers)
        return changed
    }

    private static func same(_ a: Value, _ b: Value) -> Bool {
        a["nodeID"] == b["nodeID"] && a["topologyKeys"]?.array ?? [] == b["topologyKeys"]?.array ?? [] && a["allocatable"] == b["allocatable"]
    }

    /// What to patch of a Node for a driver: its labels of where the node is, and the driver's name for it; nil: nothing. Throws `VolumeError` for a
    /// label that stands there otherwise. Upstream: updateTopologyLabels, updateNodeIDInNode, removeNodeIDFromNode.
    static func patch(_ node: Object, driver: String, info: CSINodeInfo?) throws(VolumeError) -> Value? {
        var patch: Value = [:]
        let labels = node.metadata.labels
        var missing: [String: String] = [:]
        for (key, value) in info?.topology ?? [:] {
            guard let have = labels[key] else {
                missing[key] = value
                continue
            }
            guard have == value else {
                throw VolumeError(
                    "detected topology value collision: driver reported \(key.goQuoted):\(value.goQuoted) but existing label is "
                        + "\(key.goQuoted):\(have.goQuoted)")
            }
        }
        if !missing.isEmpty { patch[path: "metadata", "labels"] = Value(missing) }
        let text = node.metadata.annotations[nodeIDs]
        // An annotation that is none of ours' is written anew.
        let before = text.flatMap { try? JSONDocument(Array($0.utf8)).root.stringMap } ?? [:]
        var ids = before
        ids[driver] = info?.nodeID
        if ids != before {
            let written: Value = .object(Members(ids.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
            patch[path: "metadata", "annotations"] = .object(Members([(nodeIDs, ids.isEmpty ? .null : .string(written.jsonString))]))
        }
        // Not `? patch : nil`, which would be null: a Value has a nil of its own.
        guard patch.object?.isEmpty == false else { return nil }
        return patch
    }
}
