import KubeAPI

extension ResourceVerbs {
    private static var scaleKind: GroupVersionKind { GroupVersionKind(group: "autoscaling", version: "v1", kind: "Scale") }
    private static var scaleType: String { "api.autoscaling.v1.Scale" }

    /// The scale of a custom resource, read and written where its definition says. Upstream: registry/customresource.ScaleREST.
    func customScale(_ paths: CustomResourceVersion.ScalePaths) async throws -> APIResult {
        if info.verb == "get" { return .object(Object(tree: try customScale(of: try await presentObject(), paths)), status: 200) }
        let dryRun = try dryRun()
        if isApply { return try await applyCustomScale(paths, dryRun: dryRun) }
        let validation = try fieldValidation()
        let note = OwnershipNote.update(manager: try fieldManager(info.verb == "patch" ? "PatchOptions" : "UpdateOptions"))
        let patch: RequestedPatch? = info.verb == "patch" ? try readPatch() : nil
        let sent: Value? = info.verb == "patch" ? Value?.none : try decodeOther(Self.scaleKind, typeName: Self.scaleType)
        let written = try await write(subresource: "scale", dryRun: dryRun, note: note) { old in
            let scale: Value
            if let patch {
                let type = environment.schema.type(named: Self.scaleType)
                let patched = try patch.apply(to: try customScale(of: old, paths), type: type, in: environment.schema)
                scale = try decodePatched(patched, kind: Self.scaleKind, typeName: Self.scaleType, validation: validation).0
            } else {
                scale = sent ?? .null
            }
            return try scaled(old, scale, at: paths.specReplicas)
        }
        return .object(Object(tree: try customScale(of: written, paths)), status: 200)
    }

    /// Upstream: scaleFromCustomResource.
    private func customScale(of object: Object, _ paths: CustomResourceVersion.ScalePaths) throws -> Value {
        func view(_ path: [String]) -> JSONView? {
            var view: JSONView? = object.root
            for step in path { view = view[step] }
            return view
        }
        var metadata: Value = .object(Members())
        for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] { metadata[field] = object["metadata"][field].value }
        guard let replicas = view(paths.specReplicas).int else {
            throw StatusError.internalError("the spec replicas field \(paths.specReplicasPath.goQuoted) does not exist")
        }
        var spec: Value = .object(Members())
        if replicas != 0 { spec["replicas"] = .int(replicas) }
        var status: Value = ["replicas": .int(view(paths.statusReplicas).int ?? 0)]
        if let path = paths.labelSelector, let selector = view(path).string, !selector.isEmpty { status["selector"] = .string(selector) }
        return [
            "kind": .string(Self.scaleKind.kind), "apiVersion": .string(Self.scaleKind.apiVersion), "metadata": metadata, "spec": spec,
            "status": status,
        ]
    }

    private func applyCustomScale(_ paths: CustomResourceVersion.ScalePaths, dryRun: Bool) async throws -> APIResult {
        let apply = try readApply(kind: Self.scaleKind)
        let ownership = FieldOwnership(
            walk: TypedWalk(type: environment.schema.type(named: Self.scaleType), in: environment.schema), apiVersion: Self.scaleKind.apiVersion,
            subresource: "scale", now: environment.now())
        let written = try await write(subresource: "scale", dryRun: dryRun, note: .asIs) { old in
            do {
                let parent = try ScaleOwnership(old["metadata"]["managedFields"].value, apiVersion: row.groupVersion, replicas: paths.specReplicas)
                var live = try customScale(of: old, paths)
                live[path: "metadata", "managedFields"] = parent.ofScale
                let applied = try ownership.apply(apply.configuration, to: live, manager: apply.manager, force: apply.force)
                let scale = try decodePatched(applied.object, kind: Self.scaleKind, typeName: Self.scaleType, validation: .ignore).0
                var tree = try scaled(old, scale, at: paths.specReplicas)
                tree[path: "metadata", "managedFields"] = try parent.afterWrite(applied.object[path: "metadata", "managedFields"])
                return tree
            } catch let error as FieldSetError {
                throw StatusError.internalError("failed to decode managed fields: \(error.message)")
            }
        }
        return .object(Object(tree: try customScale(of: written, paths)), status: 200)
    }
}
