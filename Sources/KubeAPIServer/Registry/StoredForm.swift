import KubeAPI
import KubeStorage

/// The border between what is stored and what verbs work with. Verbs work with built-in kinds as they are stored; with custom resources in the
/// version of the request, as upstream does.
extension RequestScope {
    /// A stored object as verbs work with it.
    func shown(_ object: Object) async throws -> Object {
        guard let custom else { return object }
        return try await custom.shown(object)
    }

    /// An object that verbs have made as it is stored.
    func kept(_ object: Object) async throws -> Object {
        guard let custom else { return object }
        return try await custom.kept(object)
    }

    /// The present object as verbs work with it. Throws what a conversion webhook fails with.
    func present(namespace: String, name: String) async throws -> Object? {
        guard let object = storage.get(namespace: namespace, name: name) else { return nil }
        return try await shown(object)
    }

    /// Whether writing `object` in the place of `old` would change nothing that is stored. `old` is as verbs see it: what is stored may be in
    /// another version, or lack defaults that came later, and is then written anew.
    func isSame(_ object: Object, as old: Object, oldValue: Value) async throws -> Bool {
        guard object.isSame(as: oldValue) else { return false }
        guard let custom else { return true }
        let metadata = old.metadata
        guard let raw = storage.get(namespace: metadata.namespace, name: metadata.name) else { return false }
        if raw.document === old.document, custom.isStorage { return true }
        guard raw.metadata.resourceVersion == metadata.resourceVersion else { return false }
        let kept = try await kept(object)
        return kept.apiVersion == raw.apiVersion && kept.isSame(as: raw.value)
    }
}
