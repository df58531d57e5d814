import KubeAPI
import KubeStorage

extension ResourceVerbs {
    /// Tries of a write whose client named no resourceVersion, each on the newest object: beyond any contention that ends. Upstream's
    /// GuaranteedUpdate has no limit.
    static var maximumWriteAttempts: Int { 64 }

    /// Upstream: handlers.UpdateResource.
    func update(subresource: String) async throws -> APIResult {
        try requireJSON()
        let dryRun = try dryRun()
        let object = try decode(request.body, validation: try fieldValidation())
        try checkName(object)
        let note = OwnershipNote.update(manager: try fieldManager("UpdateOptions"))
        if subresource.isEmpty, ObjectPreparation.allowsCreateOnUpdate(row), scope.storage.get(namespace: objectNamespace, name: info.name) == nil {
            try authorizeCreate()
            guard (object[path: "metadata", "resourceVersion"]?.string ?? "").isEmpty, (object[path: "metadata", "uid"]?.string ?? "").isEmpty else {
                throw StatusError.notFound(scope.resource, info.name)
            }
            return .object(scope.external(try await store(new: object, dryRun: dryRun, note: note)), status: 201)
        }
        let written = try await write(subresource: subresource, dryRun: dryRun, note: note) { _ in object }
        return .object(scope.external(written), status: 200)
    }

    /// An update that makes an object needs the right to create it too. Upstream: withAuthorization in handlers.UpdateResource.
    func authorizeCreate() throws {
        var info = info
        info.verb = "create"
        try Authorization.require(info.attributes(request.user), environment.authorizers)
    }

    /// The name and namespace in a body must be those of the URL. Upstream: handlers.checkName.
    func checkName(_ object: Value) throws {
        let name = object[path: "metadata", "name"]?.string ?? ""
        guard name == info.name else {
            throw StatusError.badRequest("the name of the object (\(name)) does not match the name on the URL (\(info.name))")
        }
        let namespace = object[path: "metadata", "namespace"]?.string ?? ""
        guard namespace.isEmpty || namespace == objectNamespace else {
            throw StatusError.badRequest(
                "the namespace of the object (\(namespace)) does not match the namespace on the request (\(objectNamespace))")
        }
    }

    /// Changes the object of the URL: `change` makes the wanted object of the present one, and is called again when another write comes between and
    /// the wanted object names no resourceVersion. `admitting`: false where another request was admitted for it (a binding, an eviction).
    /// Upstream: genericregistry.Store.Update with storage.GuaranteedUpdate.
    func write(
        name: String? = nil, subresource: String, dryRun: Bool, note: OwnershipNote, admitting: Bool = true,
        _ change: (Object) async throws -> Value
    ) async throws -> Object {
        let name = name ?? info.name
        var attempt = 1
        while true {
            guard let old = try await scope.present(namespace: objectNamespace, name: name) else {
                throw StatusError.notFound(scope.resource, name)
            }
            do {
                return try await writeOnce(
                    old, name: name, subresource: subresource, dryRun: dryRun, note: note, admitting: admitting, change)
            } catch let error as StoreError {
                guard case .conflict = error, attempt < Self.maximumWriteAttempts else { throw statusError(error, name: name) }
                attempt += 1
            }
        }
    }

    private func writeOnce(
        _ old: Object, name: String, subresource: String, dryRun: Bool, note: OwnershipNote, admitting: Bool,
        _ change: (Object) async throws -> Value
    ) async throws -> Object {
        var object = try await change(old)
        try checkPreconditions(object, old: old, subresource: subresource)
        try ObjectPreparation.matchNamespace(&object, request: objectNamespace)
        let oldValue = old.value
        // What admission and the server itself add has no owner.
        self.note(note, in: &object, old: oldValue, subresource: subresource)
        var attributes = admissionAttributes(.update, object, old: old, name: name, subresource: subresource, kind: scope.storedKind, dryRun: dryRun)
        if admitting { try await admit(&attributes) }
        warnings.add(attributes.warnings)
        object = attributes.object
        ObjectPreparation.prepareForUpdate(&object, old: oldValue, row: row, subresource: subresource)
        if subresource.isEmpty { DisabledFields.drop(from: &object, row: row, old: oldValue) }
        // Defaults that are newer than the stored object are no change that was asked for. Upstream reads what is stored with its defaults.
        if subresource.isEmpty, !row.isCustom, object["spec"] != oldValue["spec"] {
            var before = oldValue
            Defaults.apply(&before, row)
            if object["spec"] == before["spec"] { object["spec"] = oldValue["spec"] }
        }
        try scope.strategy?.prepareForUpdate(&object, old: old, subresource: subresource, reader)
        // A binding is no change of what is wanted of the pod. Upstream: BindingREST writes around the pod strategy.
        if subresource != "binding" { ObjectPreparation.countGeneration(&object, old: oldValue, row: row) }
        let stored = try ObjectPreparation.stored(object, kind: scope.storedKind)
        let causes =
            MetadataValidation.validateUpdate(stored.metadata, old: old.metadata, isCustom: row.isCustom)
            + (scope.strategy?.validateUpdate(stored, old: old, subresource: subresource) ?? [])
        guard causes.isEmpty else { throw StatusError.invalid(row.groupVersionKind, name, causes) }
        if subresource.isEmpty { warnings.add(scope.strategy?.warnings(stored, old: old) ?? []) }
        attributes.object = object
        attributes.warnings = []
        if admitting { try await validateAdmission(attributes) }

        if Deletion.isComplete(object, old: old, row: row) {
            if dryRun { return stored.withResourceVersion(old) }
            let removed = try await scope.storage.remove(old)
            scope.strategy?.release(removed)
            return stored.withResourceVersion(removed)
        }
        // A write that changes nothing is not made: no event, the same resourceVersion.
        if try await scope.isSame(stored, as: old, oldValue: oldValue) { return old }
        if dryRun { return stored.withResourceVersion(old) }
        let written = try await scope.storage.replace(old, with: try await scope.kept(stored), timeToLive: scope.timeToLive)
        return try await scope.shown(written)
    }

    /// The resourceVersion and the UID a client names must be the present ones.
    private func checkPreconditions(_ object: Value, old: Object, subresource: String) throws {
        let name = old.metadata.name
        let version = object[path: "metadata", "resourceVersion"]?.string ?? ""
        if version.isEmpty || version == "0" {
            if subresource.isEmpty, !ObjectPreparation.allowsUnconditionalUpdate(row) {
                throw StatusError.invalid(
                    row.groupVersionKind, name, [MetadataValidation.invalid("metadata.resourceVersion", .int(0), "must be specified for an update")])
            }
        } else if version != old.metadata.resourceVersion {
            throw StatusError.staleResourceVersion(scope.resource, name)
        }
        let uid = object[path: "metadata", "uid"]?.string ?? ""
        if !uid.isEmpty, uid != old.metadata.uid {
            throw StatusError.conflict(
                scope.resource, name, "Precondition failed: UID in precondition: \(uid), UID in object meta: \(old.metadata.uid)")
        }
    }
}

extension Object {
    /// With the resourceVersion of `other`.
    func withResourceVersion(_ other: Object) -> Object { Int64(other.metadata.resourceVersion).map { withResourceVersion($0) } ?? self }

    /// Whether this (as it would be stored) and the present object differ in nothing but the resourceVersion and the times of managedFields.
    func isSame(as present: Value) -> Bool {
        var mine = value
        var tree = present
        tree[path: "metadata", "resourceVersion"] = nil
        let managed = (mine[path: "metadata", "managedFields"], tree[path: "metadata", "managedFields"])
        mine[path: "metadata", "managedFields"] = nil
        tree[path: "metadata", "managedFields"] = nil
        return mine == tree && ManagedFields.isSame(managed.0, managed.1)
    }
}
