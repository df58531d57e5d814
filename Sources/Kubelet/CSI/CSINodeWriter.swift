import KubeAPI
import KubeClient

/// Keeps the node's CSINode, and what its Node says of drivers. Upstream: nodeinfomanager.nodeInfoManager.
actor CSINodeWriter {
    /// Writers of one object: this agent, and drivers that report other limits.
    private static let attempts = 5

    private let client: KubeClient
    private let nodeName: String

    init(client: KubeClient, nodeName: String) {
        self.client = client
        self.nodeName = nodeName
    }

    /// Makes the CSINode of a node that has none: a node without drivers shows that it has none. Throws `StatusError`.
    func begin() async throws { _ = try await csiNode(of: try await client.get(.nodes, name: nodeName)) }

    /// Writes a driver down, or strikes it out. Throws `StatusError` and `VolumeError`.
    func set(_ driver: String, _ info: CSINodeInfo?) async throws {
        let node = try await client.get(.nodes, name: nodeName)
        if let patch = try CSINodeChange.patch(node, driver: driver, info: info) {
            try await client.patch(.nodes, name: nodeName, type: .strategicMerge, patch)
        }
        for attempt in 1...Self.attempts {
            do {
                var csiNode = try await csiNode(of: node).value
                guard CSINodeChange.change(csiNode, driver: driver, info: info) != nil else { return }
                // An entry may not be changed, but go and come anew.
                if let without = CSINodeChange.change(csiNode, driver: driver, info: nil) {
                    csiNode = try await client.update(.csiNodes, without).value
                }
                if let with = CSINodeChange.change(csiNode, driver: driver, info: info) { try await client.update(.csiNodes, with) }
                return
            } catch let error as StatusError where error.isConflict && attempt < Self.attempts {
                // Somebody else wrote meanwhile: again with what it says now.
            }
        }
    }

    private func csiNode(of node: Object) async throws -> Object {
        do { return try await client.get(.csiNodes, name: nodeName) } catch let error as StatusError where error.isNotFound {
            return try await client.create(.csiNodes, CSINodeChange.initial(node: node))
        }
    }
}
