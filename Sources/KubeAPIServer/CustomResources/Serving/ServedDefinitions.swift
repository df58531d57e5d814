import KubeAPI
import KubeStorage

extension ResourceRegistry {
    /// Serves the versions of definitions, in the place of those that were served of them. Watches of what changed end. An empty list: the
    /// definition is gone or not yet served.
    func serve(_ changes: [(definition: String, versions: [CustomResourceVersion])]) {
        var retired: [CustomResourceVersion] = []
        state.withLock { state in
            var removed: Set<GroupVersionResource> = []
            var added: [ResourceRow] = []
            for (name, versions) in changes {
                for old in state.definitions.removeValue(forKey: name) ?? [] {
                    retired.append(old)
                    let resource = old.row.groupVersionResource
                    guard state.custom[resource] === old else { continue }
                    state.custom[resource] = nil
                    state.scopes[resource] = nil
                    state.storages[old.row.groupResource] = nil
                    removed.insert(resource)
                }
                if versions.isEmpty { continue }
                state.definitions[name] = versions
                // Of several versions the preferred one comes first.
                for version in versions.sorted(by: { KubernetesVersion.isPreferred($0.row.version, $1.row.version) }) {
                    let resource = version.row.groupVersionResource
                    let isBuiltIn = state.table[resource].map { !$0.isCustom } ?? false
                    // A definition does not take the place of what the server has code for.
                    guard !isBuiltIn, state.custom[resource] == nil || removed.contains(resource) else { continue }
                    let scope = RequestScope(
                        row: version.row, storage: storage(version.row),
                        strategy: CustomResourceStrategy(version: version), conversion: nil, nameRule: .dnsSubdomain, custom: version)
                    if version.isStorage { state.storages[version.row.groupResource] = scope }
                    guard version.isServed else { continue }
                    state.scopes[resource] = scope
                    state.custom[resource] = version
                    // While only the names are accepted requests are answered, but nobody is told. Upstream: the discovery controller.
                    if version.definition.isEstablished { added.append(version.row) }
                }
            }
            state.table.replace(removing: removed, adding: added)
            state.generation &+= 1
        }
        for version in retired { version.retirement.end() }
    }

    /// The scope of the version that objects of a resource are stored in, served or not.
    func storageScope(_ resource: GroupResource) -> RequestScope? { state.withLock { $0.storages[resource] } }

    /// The table with the versions behind its custom rows. `generation` grows with every change.
    var served: (generation: UInt64, table: ResourceTable, custom: [GroupVersionResource: CustomResourceVersion]) {
        state.withLock { ($0.generation, $0.table, $0.custom) }
    }

    /// How often what is served has changed.
    var generation: UInt64 { state.withLock(\.generation) }
}
