/// Add-ons are looked at when they, or the readiness of nodes, have changed.
extension Reconciler {
    func reconcileAddon(_ cluster: String, _ name: String) async throws {
        guard let addon = await context.state.read({ $0.addons[LifecycleTables.key(cluster, name)] }), serving.contains(cluster) else { return }
        let ready = readiness[cluster]?.values.count { $0 } ?? 0
        if case .again(let delay) = try await AddonStep(context: context).run(addon, readyNodes: ready) {
            wake(.addon(cluster: cluster, name: name), after: .seconds(delay))
        }
    }

    func wakeAddons(of cluster: String) async {
        for name in await context.state.read({ tables in tables.addons(of: cluster).map(\.name) }) { wake(.addon(cluster: cluster, name: name)) }
    }
}
