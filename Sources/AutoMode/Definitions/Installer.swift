import KubeAPI
import KubeClient

/// Puts the kinds of Auto Mode and its built-in objects into a cluster, and takes the latter out again.
struct Installer {
    /// What writes the built-in objects' fields.
    static let fieldManager = "eks"
    private static let establishedRetry = Duration.milliseconds(50)
    private static let establishedAttempts = 100

    let client: KubeClient

    /// Definitions that are there already are brought to ours.
    func installDefinitions() async throws {
        for text in Definitions.all {
            let definition = try Definitions.value(text)
            try await client.patch(
                .customResourceDefinitions, name: definition[path: "metadata", "name"]?.string ?? "", type: .apply, definition, force: true)
        }
        for text in Definitions.all {
            let name = try Definitions.value(text)[path: "metadata", "name"]?.string ?? ""
            for attempt in 1... {
                if StatusCondition.isTrue("Established", try await client.get(.customResourceDefinitions, name: name)) { break }
                guard attempt < Self.establishedAttempts else { throw StatusError.internalError("the definition \(name) is not established") }
                try await Task.sleep(for: Self.establishedRetry)
            }
        }
    }

    /// Makes the built-in objects what the settings say. A pool that is not in them any more is deleted, and its nodes go with it; the class goes with
    /// the last pool. Upstream: EKS User Guide, "Enable or Disable Built-in NodePools".
    func apply(_ settings: AutoModeSettings) async throws {
        if let value = BuiltInObjects.nodeClass(settings) { try await apply(.nodeClasses, value) }
        let pools = BuiltInObjects.nodePools(settings)
        for pool in pools { try await apply(.nodePools, pool) }
        let kept = Set(pools.compactMap { $0[path: "metadata", "name"]?.string })
        for name in BuiltInObjects.poolNames where !kept.contains(name) { try await remove(.nodePools, name) }
        if kept.isEmpty { try await remove(.nodeClasses, BuiltInObjects.className) }
    }

    private func apply(_ resource: GroupVersionResource, _ object: Value) async throws {
        try await client.patch(resource, name: object[path: "metadata", "name"]?.string ?? "", type: .apply, object, force: true)
    }

    /// An object of this name that is somebody else's stays.
    private func remove(_ resource: GroupVersionResource, _ name: String) async throws {
        do {
            let object = try await client.get(resource, name: name)
            guard object.metadata.labels[Names.managedBy] == "eks" else { return }
            try await client.delete(resource, name: name)
        } catch let error as StatusError where error.isNotFound {}
    }

    /// After Auto Mode was switched off and its instances have been ended: what waits for its controllers waits no longer. Custom pools and classes stay.
    func release() async throws {
        do {
            try await apply(AutoModeSettings(nodePools: [], nodeRole: nil, subnetIDs: [], securityGroupIDs: []))
            for claim in try await client.list(.nodeClaims).items { try await free(.nodeClaims, claim, isDeleted: true) }
            for node in try await client.list(.nodes).items where node.metadata.finalizers.contains(Names.finalizer) {
                try await free(.nodes, node, isDeleted: true)
            }
            for nodeClass in try await client.list(.nodeClasses).items { try await free(.nodeClasses, nodeClass, isDeleted: false) }
        } catch let error as StatusError where error.isNotFound {}  // Auto Mode was never on.
    }

    private func free(_ resource: GroupVersionResource, _ object: Object, isDeleted: Bool) async throws {
        let name = object.metadata.name
        do {
            if isDeleted { try await client.delete(resource, name: name) }
            let kept = object.metadata.finalizers.filter { $0 != Names.finalizer && $0 != Names.classFinalizer }
            try await client.patch(resource, name: name, type: .merge, ["metadata": ["finalizers": kept.isEmpty ? .null : Value(kept)]])
        } catch let error as StatusError where error.isNotFound {}
    }
}
