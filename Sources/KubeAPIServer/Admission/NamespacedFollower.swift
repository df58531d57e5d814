import KubeAPI
import Synchronization

/// The objects of a rare resource by namespace, kept by watch: a request in a namespace that has none pays one look into a dictionary.
final class NamespacedFollower: Sendable {
    private let objects = Mutex<[String: [String: Object]]>([:])

    init(_ reader: any ObjectReader, _ resource: GroupResource) {
        ObjectFollower.follow(reader, resource) { [self] old, new in
            guard let object = new ?? old else { return }
            let metadata = object.metadata
            objects.withLock { objects in
                objects[metadata.namespace, default: [:]][metadata.name] = new
                if objects[metadata.namespace]?.isEmpty == true { objects[metadata.namespace] = nil }
            }
        }
    }

    /// Those of a namespace, sorted by name.
    func list(_ namespace: String) -> [Object] {
        let found = objects.withLock { $0[namespace] }
        guard let found else { return [] }
        return found.sorted { $0.key < $1.key }.map(\.value)
    }

    func hasAny(_ namespace: String) -> Bool { objects.withLock { $0[namespace] != nil } }
}

/// Writes what the server itself keeps in the status of objects. Upstream: the loopback clients of admission plug-ins.
protocol ObjectWriter: Sendable {
    /// Puts `object` in the place of `old`. Throws `StatusError` Conflict when `old` is not the present object any more.
    func replace(_ resource: GroupResource, _ old: Object, with object: Value) async throws -> Object
}

/// Resources that admission reads by name.
extension GroupResource {
    static let resourceQuotas = GroupResource(group: "", resource: "resourcequotas")
    static let limitRanges = GroupResource(group: "", resource: "limitranges")
    static let runtimeClasses = GroupResource(group: "node.k8s.io", resource: "runtimeclasses")
    static let ingresses = GroupResource(group: "networking.k8s.io", resource: "ingresses")
    static let ingressClasses = GroupResource(group: "networking.k8s.io", resource: "ingressclasses")
    static let certificateSigningRequests = GroupResource(group: "certificates.k8s.io", resource: "certificatesigningrequests")
    static let podDisruptionBudgets = GroupResource(group: "policy", resource: "poddisruptionbudgets")
}
