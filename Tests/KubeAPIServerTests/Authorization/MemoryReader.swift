import KubeAPI
import Synchronization

@testable import KubeAPIServer

/// Objects in memory for tests of what reads the watch caches.
final class MemoryReader: ObjectReader {
    private struct State {
        var objects: [GroupResource: [String: Object]] = [:]
        var observers: [GroupResource: [@Sendable (Object?, Object?) -> Void]] = [:]
    }
    private let state = Mutex(State())

    func get(_ resource: GroupResource, namespace: String, name: String) -> Object? {
        state.withLock { $0.objects[resource]?[namespace.isEmpty ? name : "\(namespace)/\(name)"] }
    }

    func list(_ resource: GroupResource, namespace: String?) -> [Object] {
        state.withLock { state in
            (state.objects[resource] ?? [:]).values.filter { namespace == nil || $0.metadata.namespace == namespace }.sorted {
                $0.metadata.key < $1.metadata.key
            }
        }
    }

    func observe(_ resource: GroupResource, _ changed: @escaping @Sendable (Object?, Object?) -> Void) {
        state.withLock { $0.observers[resource, default: []].append(changed) }
    }

    /// Creates or replaces an object, and tells the observers.
    @discardableResult
    func set(_ resource: GroupResource, _ json: String) throws -> Object {
        let object = try Object(json: json)
        let (old, observers) = state.withLock { state in
            let old = state.objects[resource]?[object.metadata.key]
            state.objects[resource, default: [:]][object.metadata.key] = object
            return (old, state.observers[resource] ?? [])
        }
        for observer in observers { observer(old, object) }
        return object
    }

    func remove(_ resource: GroupResource, _ key: String) {
        let (old, observers) = state.withLock { ($0.objects[resource]?.removeValue(forKey: key), $0.observers[resource] ?? []) }
        guard let old else { return }
        for observer in observers { observer(old, nil) }
    }
}

/// A pod bound to `node` that names one object of each kind.
func podJSON(_ name: String, namespace: String = "default", node: String, uid: String = "pod-uid", account: String = "runner") -> String {
    """
    {"apiVersion":"v1","kind":"Pod","metadata":{"name":"\(name)","namespace":"\(namespace)","uid":"\(uid)"},"spec":{"nodeName":"\(node)",
    "serviceAccountName":"\(account)","imagePullSecrets":[{"name":"pull"}],
    "containers":[{"name":"c","image":"i","envFrom":[{"configMapRef":{"name":"from"}}],
    "env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"env-secret","key":"k"}}}]}],
    "volumes":[{"name":"a","secret":{"secretName":"files"}},{"name":"b","configMap":{"name":"settings"}},
    {"name":"c","persistentVolumeClaim":{"claimName":"claim"}},
    {"name":"t","projected":{"sources":[{"serviceAccountToken":{"path":"token"}},{"serviceAccountToken":{"path":"v","audience":"vault"}},
    {"configMap":{"name":"projected"}}]}}]}}
    """
}

func allows(_ decision: AuthorizationDecision) -> Bool { if case .allow = decision { true } else { false } }
