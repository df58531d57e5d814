import KubeAPI

extension ResourceVerbs {
    private static var scaleKind: GroupVersionKind { GroupVersionKind(group: "autoscaling", version: "v1", kind: "Scale") }
    private static var scaleType: String { "api.autoscaling.v1.Scale" }

    /// Upstream: the ScaleREST of deployments, replica sets, stateful sets and replication controllers.
    func scale() async throws -> APIResult {
        if info.verb == "get" { return .object(Object(tree: try scaleValue(of: try existing())), status: 200) }
        if isApply { return try await applyScale() }
        let validation = try fieldValidation()
        let note = OwnershipNote.update(manager: try fieldManager(info.verb == "patch" ? "PatchOptions" : "UpdateOptions"))
        let patch: RequestedPatch? = info.verb == "patch" ? try readPatch() : nil
        let sentScale: Value? = info.verb == "patch" ? Value?.none : try decodeOther(Self.scaleKind, typeName: Self.scaleType)
        let written = try await write(subresource: "scale", dryRun: try dryRun(), note: note) { old in
            let scale: Value
            if let patch {
                let type = environment.schema.type(named: Self.scaleType)
                let patched = try patch.apply(to: try scaleValue(of: old), type: type, in: environment.schema)
                scale = try decodePatched(patched, kind: Self.scaleKind, typeName: Self.scaleType, validation: validation).0
            } else {
                scale = sentScale ?? .null
            }
            return try scaled(old, scale, at: ["spec", "replicas"])
        }
        return .object(Object(tree: try scaleValue(of: written)), status: 200)
    }

    /// The object with the replicas of a Scale that was sent for it, at the place where its kind has them.
    func scaled(_ old: Object, _ scale: Value, at place: [String]) throws -> Value {
        try checkName(scale)
        let replicas = scale[path: "spec", "replicas"]?.int ?? 0
        guard replicas >= 0 else {
            throw StatusError.invalid(
                Self.scaleKind, info.name, [MetadataValidation.invalid("spec.replicas", .int(replicas), "must be greater than or equal to 0")])
        }
        var tree = old.value
        for field in ["resourceVersion", "uid"] { tree[path: "metadata", field] = scale[path: "metadata", field] }
        tree[path: place] = .int(replicas)
        return tree
    }

    /// Server-side apply of a Scale: the owners of its replicas are those of the object's. Upstream: scaleUpdatedObjectInfo.
    private func applyScale() async throws -> APIResult {
        let apply = try readApply(kind: Self.scaleKind)
        let type = environment.schema.type(named: Self.scaleType)
        let ownership = FieldOwnership(
            walk: TypedWalk(type: type, in: environment.schema), apiVersion: Self.scaleKind.apiVersion, subresource: "scale",
            now: environment.now())
        let written = try await write(subresource: "scale", dryRun: try dryRun(), note: .asIs) { old in
            let parent: ScaleOwnership
            do throws(FieldSetError) {
                parent = try ScaleOwnership(old["metadata"]["managedFields"].value, apiVersion: scope.storedKind.apiVersion)
            } catch {
                throw StatusError.internalError("failed to decode managed fields: \(error.message)")
            }
            var live = try scaleValue(of: old)
            live[path: "metadata", "managedFields"] = parent.ofScale
            let applied = try ownership.apply(apply.configuration, to: live, manager: apply.manager, force: apply.force)
            let scale = try decodePatched(applied.object, kind: Self.scaleKind, typeName: Self.scaleType, validation: .ignore).0
            var tree = try scaled(old, scale, at: ["spec", "replicas"])
            do throws(FieldSetError) {
                tree[path: "metadata", "managedFields"] = try parent.afterWrite(applied.object[path: "metadata", "managedFields"])
            } catch { throw StatusError.internalError("failed to decode managed fields: \(error.message)") }
            return tree
        }
        return .object(Object(tree: try scaleValue(of: written)), status: 200)
    }

    /// The Scale of an object. Upstream: scaleFromDeployment and its like.
    func scaleValue(of object: Object) throws -> Value {
        var metadata: Value = .object(Members())
        for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] { metadata[field] = object["metadata"][field].value }
        var spec: Value = .object(Members())
        if let replicas = object["spec"]["replicas"].int, replicas != 0 { spec["replicas"] = .int(replicas) }
        var status: Value = ["replicas": .int(object["status"]["replicas"].int ?? 0)]
        let selector: LabelSelector
        if row.resource == "replicationcontrollers" {
            selector = LabelSelector(matching: object["spec"]["selector"].stringMap)
        } else {
            do { selector = try LabelSelector(object: object["spec"]["selector"]) } catch { throw StatusError.badRequest(error.description) }
        }
        if !selector.isEverything { status["selector"] = .string(selector.description) }
        return [
            "kind": .string(Self.scaleKind.kind), "apiVersion": .string(Self.scaleKind.apiVersion), "metadata": metadata, "spec": spec,
            "status": status,
        ]
    }
}
