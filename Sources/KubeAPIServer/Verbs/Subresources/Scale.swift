import KubeAPI

extension ResourceVerbs {
    private static var scaleKind: GroupVersionKind { GroupVersionKind(group: "autoscaling", version: "v1", kind: "Scale") }
    private static var scaleType: String { "api.autoscaling.v1.Scale" }

    /// Upstream: the ScaleREST of deployments, replica sets, stateful sets and replication controllers.
    func scale() async throws -> APIResult {
        if info.verb == "get" { return .object(Object(tree: try scaleValue(of: try existing())), status: 200) }
        let validation = try fieldValidation()
        let patch: RequestedPatch? = info.verb == "patch" ? try readPatch() : nil
        let sentScale: Value? = info.verb == "patch" ? Value?.none : try decodeOther(Self.scaleKind, typeName: Self.scaleType)
        let written = try await write(subresource: "scale", dryRun: try dryRun()) { old in
            let scale: Value
            if let patch {
                let type = environment.schema.type(named: Self.scaleType)
                let patched = try patch.apply(to: try scaleValue(of: old), type: type, in: environment.schema)
                scale = try decodePatched(patched, kind: Self.scaleKind, typeName: Self.scaleType, validation: validation).0
            } else {
                scale = sentScale ?? .null
            }
            try checkName(scale)
            let replicas = scale[path: "spec", "replicas"]?.int ?? 0
            guard replicas >= 0 else {
                throw StatusError.invalid(
                    Self.scaleKind, info.name, [MetadataValidation.invalid("spec.replicas", .int(replicas), "must be greater than or equal to 0")])
            }
            var tree = old.value
            for field in ["resourceVersion", "uid"] { tree[path: "metadata", field] = scale[path: "metadata", field] }
            tree[path: "spec", "replicas"] = .int(replicas)
            return tree
        }
        return .object(Object(tree: try scaleValue(of: written)), status: 200)
    }

    /// The Scale of an object. Upstream: scaleFromDeployment and its like.
    private func scaleValue(of object: Object) throws -> Value {
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
