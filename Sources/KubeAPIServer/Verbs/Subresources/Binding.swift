import KubeAPI

extension ResourceVerbs {
    /// Assigns a pod to a node. `POST pods/NAME/binding`, and the older `POST bindings` with the pod's name inside.
    /// Upstream: core/pod/storage.BindingREST.Create and assignPod.
    func bind(_ binding: Value, pod name: String, dryRun: Bool) async throws -> APIResult {
        let pods = try podVerbs()
        let kind = GroupVersionKind(group: "", version: "v1", kind: "Binding")
        let sentName = binding[path: "metadata", "name"]?.string ?? ""
        guard sentName.isEmpty || sentName == name else {
            throw StatusError.badRequest("name in URL does not match name in Binding object")
        }
        let target = binding["target"]
        let targetKind = target?["kind"]?.string ?? ""
        let node = target?["name"]?.string ?? ""
        var causes: [StatusError.Cause] = []
        if !targetKind.isEmpty, targetKind != "Node" {
            causes.append(
                .init(
                    reason: "FieldValueNotSupported", message: "Unsupported value: \(targetKind.goQuoted): supported values: \"Node\", \"<empty>\"",
                    field: "target.kind"))
        }
        if node.isEmpty { causes.append(MetadataValidation.required("target.name", "")) }
        guard causes.isEmpty else { throw StatusError.invalid(kind, name, causes) }

        var attributes = admissionAttributes(.create, binding, old: nil, name: name, subresource: "binding", kind: kind, dryRun: dryRun)
        try await admit(&attributes)
        warnings.add(attributes.warnings)
        attributes.warnings = []
        try await validateAdmission(attributes)
        let admitted = attributes.object
        let now = environment.now()
        _ = try await pods.write(name: name, subresource: "binding", dryRun: dryRun, note: .asIs, admitting: false) { old in
            func conflict(_ why: String) -> StatusError { .conflict(GroupResource(group: "", resource: "pods/binding"), name, why) }
            var pod = old.value
            for field in ["uid", "resourceVersion"] { pod[path: "metadata", field] = binding[path: "metadata", field] }
            if old.metadata.isBeingDeleted { throw conflict("pod \(name) is being deleted, cannot be assigned to a host") }
            if let present = old["spec"]["nodeName"].string, !present.isEmpty {
                throw conflict("pod \(name) is already assigned to node \(present.goQuoted)")
            }
            if !old["spec"]["schedulingGates"].elements.isEmpty { throw conflict("pod \(name) has non-empty .spec.schedulingGates") }
            pod[path: "spec", "nodeName"] = .string(node)
            for (key, value) in admitted[path: "metadata", "annotations"]?.object ?? Members() { pod[path: "metadata", "annotations", key] = value }
            // The node's zone and region, put there by PodTopologyLabels.
            for (key, value) in admitted[path: "metadata", "labels"]?.object ?? Members() { pod[path: "metadata", "labels", key] = value }
            let scheduled: Value = [
                "type": "PodScheduled", "status": "True", "lastProbeTime": .null, "lastTransitionTime": .string(now.rfc3339),
            ]
            var conditions = pod[path: "status", "conditions"]?.array ?? []
            if let place = conditions.firstIndex(where: { $0["type"]?.string == "PodScheduled" }) {
                conditions[place] = scheduled
            } else {
                conditions.append(scheduled)
            }
            pod[path: "status", "conditions"] = .array(conditions)
            return pod
        }
        return .object(Object(tree: Self.created), status: 201)
    }

    /// The answer of requests that make nothing to be shown.
    static var created: Value { ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "code": 201] }

    /// These verbs on pods, when the request is on `bindings`.
    private func podVerbs() throws -> ResourceVerbs {
        if row.resource == "pods" { return self }
        guard let scope = environment.registry.scope(GroupVersionResource(group: "", version: "v1", resource: "pods")) else {
            throw Responses.unknownResource
        }
        return ResourceVerbs(environment: environment, scope: scope, request: request)
    }
}
