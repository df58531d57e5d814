import KubeAPI
import Synchronization

/// The discovery documents of what is served now: when custom resources come or go, new ones take the place of the old. Documents of groups that
/// did not change are kept. Upstream: the discovery and OpenAPI controllers of apiextensions-apiserver with the aggregator's merging.
final class LiveDiscovery: Sendable {
    private struct State {
        var generation: UInt64
        var documents: DiscoveryDocuments
    }

    private let registry: ResourceRegistry
    private let schema: SchemaTable
    private let version: VersionInfo
    private let serverAddress: String
    private let state: Mutex<State?>

    init(registry: ResourceRegistry, schema: SchemaTable, version: VersionInfo, serverAddress: String) {
        self.registry = registry
        self.schema = schema
        self.version = version
        self.serverAddress = serverAddress
        state = Mutex(nil)
    }

    /// The documents of the present generation.
    var current: DiscoveryDocuments {
        let generation = registry.generation
        let old = state.withLock { $0 }
        if let old, old.generation == generation { return old.documents }
        let served = registry.served
        let made = DiscoveryDocuments(
            resources: served.table, custom: served.custom, schema: schema, version: version, serverAddress: serverAddress, after: old?.documents)
        return state.withLock { state in
            if let state, state.generation >= served.generation { return state.documents }
            state = State(generation: served.generation, documents: made)
            return made
        }
    }

    /// As `DiscoveryDocuments.document`.
    func document(path: String, accept: String) throws(StatusError) -> DiscoveryDocuments.Document? {
        try current.document(path: path, accept: accept)
    }
}
