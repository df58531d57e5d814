import KubeAPI
import KubeStorage

extension ResourceVerbs {
    /// Deletions of a collection under way at once: they share the store's commits.
    static var collectionConcurrency: Int { 16 }

    /// Upstream: handlers.DeleteResource.
    func delete() async throws -> APIResult {
        if !request.body.isEmpty { try requireJSON() }
        let options = try DeleteOptions(body: request.body, query: request.query)
        if let warning = Deletion.warning(row, options) { warnings.add([warning]) }
        let (object, isGone) = try await delete(name: info.name, namespace: objectNamespace, options: options)
        if isGone, !ObjectPreparation.returnsDeletedObject(row) {
            let metadata = object.metadata
            return .object(try Object(Responses.success(name: metadata.name, resource: scope.resource, uid: metadata.uid)), status: 200)
        }
        let accepted = !isGone && (options.orphanDependents == false || options.propagationPolicy == .foreground)
        return .object(scope.external(object), status: accepted ? 202 : 200)
    }

    /// Deletes one object: gone at once, or marked and waiting. `admitting`: false where another request was admitted for it. Upstream:
    /// genericregistry.Store.Delete.
    func delete(
        name: String, namespace: String, options: DeleteOptions, admitting: Bool = true
    ) async throws -> (Object, isGone: Bool) {
        var attempt = 1
        while true {
            guard let old = try await scope.present(namespace: namespace, name: name) else { throw StatusError.notFound(scope.resource, name) }
            if admitting { try await admitDeletion(of: old, name: name, namespace: namespace, dryRun: options.dryRun) }
            do {
                switch try Deletion.plan(old, row: row, options: options, now: environment.now()) {
                case .pending: return (old, false)
                case .remove:
                    if options.dryRun { return (old, true) }
                    let removed = try await scope.storage.remove(old)
                    scope.strategy?.release(removed)
                    return (removed, true)
                case .update(let tree):
                    let stored = try ObjectPreparation.stored(tree, kind: scope.storedKind)
                    if options.dryRun { return (stored.withResourceVersion(old), false) }
                    let marked = try await scope.storage.replace(old, with: try await scope.kept(stored), timeToLive: scope.timeToLive)
                    return (try await scope.shown(marked), false)
                }
            } catch let error as StoreError {
                // Another write came between: decide again on the newest object, unless the client named the version it means.
                guard case .conflict = error, options.preconditionResourceVersion == nil, attempt < Self.maximumWriteAttempts else {
                    throw statusError(error, name: name)
                }
                attempt += 1
            }
        }
    }

    private func admitDeletion(of old: Object, name: String, namespace: String, dryRun: Bool) async throws {
        var attributes = admissionAttributes(.delete, .null, old: old, name: name, subresource: "", kind: scope.storedKind, dryRun: dryRun)
        if row.namespaced { attributes.namespace = namespace }
        try await admit(&attributes)
        try await validateAdmission(attributes)
    }

    /// Upstream: handlers.DeleteCollection. An object that vanishes meanwhile is no error.
    func deleteCollection() async throws -> APIResult {
        if !request.body.isEmpty { try requireJSON() }
        let options = try DeleteOptions(body: request.body, query: request.query)
        if let warning = Deletion.warning(row, options) { warnings.add([warning]) }
        let listOptions = try ListOptions(request.query, row: row, isWatch: false)
        var (objects, revision) = scope.storage.list(namespace: row.namespaced ? info.namespace : nil)
        if let custom = scope.custom, !listOptions.selectsAll { objects = try await custom.shown(objects) }
        let selected = objects.filter { listOptions.matches(scope.external($0)) }
        var deleted: [Object] = []
        for start in stride(from: 0, to: selected.count, by: Self.collectionConcurrency) {
            let batch = selected[start..<min(start + Self.collectionConcurrency, selected.count)]
            try await withThrowingTaskGroup(of: Object?.self) { group in
                for object in batch {
                    let metadata = object.metadata
                    group.addTask {
                        do {
                            return try await delete(name: metadata.name, namespace: metadata.namespace, options: options).0
                        } catch let error as StatusError where error.isNotFound {
                            return nil
                        }
                    }
                }
                for try await object in group { if let object { deleted.append(scope.external(object)) } }
            }
        }
        return .list(
            ObjectList(kind: GroupVersionKind(group: row.group, version: row.version, kind: row.listKind), revision: revision, objects: deleted))
    }
}
