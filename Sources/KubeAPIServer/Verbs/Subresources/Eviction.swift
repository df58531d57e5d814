import KubeAPI

extension ResourceVerbs {
    /// Deletes a pod if its disruption budget allows. Upstream: core/pod/storage.EvictionREST.Create.
    func evict(_ eviction: Value) async throws -> APIResult {
        let sentName = eviction[path: "metadata", "name"]?.string ?? ""
        guard sentName.isEmpty || sentName == info.name else { throw StatusError.badRequest("name in URL does not match name in Eviction object") }
        var options = DeleteOptions()
        if let sent = eviction["deleteOptions"], case .object = sent { options = try DeleteOptions(body: sent.jsonBytes, query: QueryParameters()) }
        if try dryRun() { options.dryRun = true }
        let pod = try existing()
        let kind = GroupVersionKind(group: "policy", version: "v1", kind: "Eviction")
        var attributes = admissionAttributes(.create, eviction, old: nil, name: info.name, kind: kind, dryRun: options.dryRun)
        try await admit(&attributes)
        try await validateAdmission(attributes)
        if !Self.mayIgnoreBudget(pod) { try await takeFromBudget(of: pod, dryRun: options.dryRun) }
        _ = try await delete(name: info.name, namespace: objectNamespace, options: options)
        return .object(Object(tree: Self.created), status: 201)
    }

    /// Pods that have ended, have not begun or are going anyway. Upstream: canIgnorePDB.
    private static func mayIgnoreBudget(_ pod: Object) -> Bool {
        pod.metadata.isBeingDeleted || ["Succeeded", "Failed", "Pending"].contains(pod["status"]["phase"].string ?? "")
    }

    /// Takes one of the allowed disruptions, or throws 429.
    private func takeFromBudget(of pod: Object, dryRun: Bool) async throws {
        let resource = GroupVersionResource(group: "policy", version: "v1", resource: "poddisruptionbudgets")
        let budgets = reader.list(resource.groupResource, namespace: objectNamespace).filter { budget in
            // A selector that cannot be read selects nothing; an empty one selects every pod.
            guard let selector = try? LabelSelector(object: budget["spec"]["selector"]) else { return false }
            return selector.matches(pod)
        }
        guard let budget = budgets.first else { return }
        guard budgets.count == 1 else {
            throw StatusError(
                code: 500, reason: "InternalError",
                message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")
        }
        guard let scope = environment.registry.scope(resource) else { throw Responses.unknownResource }
        let verbs = ResourceVerbs(environment: environment, scope: scope, request: request)
        let name = budget.metadata.name
        let podName = info.name
        let now = environment.now()
        _ = try await verbs.write(name: name, subresource: "status", dryRun: dryRun, note: .asIs) { old in
            let allowed = old["status"]["disruptionsAllowed"].int ?? 0
            let observed = old["status"]["observedGeneration"].int ?? 0
            guard observed >= old.metadata.generation else {
                throw Self.budgetExhausted("The disruption budget \(name) is still being processed by the server.", retryAfter: 10)
            }
            guard allowed > 0 else {
                let healthy = old["status"]["currentHealthy"].int ?? 0
                let desired = old["status"]["desiredHealthy"].int ?? 0
                throw Self.budgetExhausted(
                    "The disruption budget \(name) needs \(desired) healthy pods and has \(healthy) currently", retryAfter: 0)
            }
            var tree = old.value
            tree[path: "status", "disruptionsAllowed"] = .int(allowed - 1)
            tree[path: "status", "disruptedPods", podName] = .string(now.rfc3339)
            return tree
        }
    }

    private static func budgetExhausted(_ cause: String, retryAfter: Int) -> StatusError {
        StatusError(
            code: 429, reason: "TooManyRequests", message: "Cannot evict pod as it would violate the pod's disruption budget.",
            details: .init(causes: [.init(reason: "DisruptionBudget", message: cause, field: "")], retryAfterSeconds: retryAfter))
    }
}
