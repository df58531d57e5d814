import KubeAPI

extension ResourceVerbs {
    /// Evictions confirmed by no controller yet, per budget. Upstream: MaxDisruptedPodSize.
    private static var maximumDisruptedPods: Int { 2000 }
    /// Tries when another write comes between. Upstream: EvictionsRetry.
    private static var evictionAttempts: Int { 20 }

    /// Deletes a pod if its disruption budget allows. Upstream: core/pod/storage.EvictionREST.Create.
    func evict(_ eviction: Value) async throws -> APIResult {
        guard eviction[path: "metadata", "name"]?.string == info.name else {
            throw StatusError.badRequest("name in URL does not match name in Eviction object")
        }
        var options = DeleteOptions()
        if let sent = eviction["deleteOptions"], case .object = sent {
            options = try DeleteOptions(body: sent.jsonBytes, query: QueryParameters())
        }
        if try dryRun() { options.dryRun = true }
        let kind = GroupVersionKind(group: "policy", version: "v1", kind: "Eviction")
        var attributes = admissionAttributes(.create, eviction, old: nil, name: info.name, kind: kind, dryRun: options.dryRun)
        try await admit(&attributes)
        warnings.add(attributes.warnings)
        attributes.warnings = []
        try await validateAdmission(attributes)

        if let pod = try await deleteIgnoringBudget(options) {
            try await deleteWithinBudget(pod, options)
        }
        return .object(Object(tree: Self.created), status: 201)
    }

    /// Deletes a pod that disturbs nobody by its going. Gives the pod when its budget must be asked.
    private func deleteIgnoringBudget(_ options: DeleteOptions) async throws -> Object? {
        var attempt = 1
        while true {
            let pod = try existing()
            let phase = pod["status"]["phase"].string ?? ""
            let isOver = pod.metadata.isBeingDeleted || phase == "Succeeded" || phase == "Failed"
            guard isOver || phase == "Pending" else { return pod }
            var options = options
            let isNamed = options.preconditionResourceVersion != nil
            // A pending pod must not have become ready since we looked.
            if !isOver, !isNamed { options.preconditionResourceVersion = pod.metadata.resourceVersion }
            do {
                try await markAndDelete(pod, options)
                return nil
            } catch let error as StatusError where error.isConflict && !isNamed && attempt < Self.evictionAttempts {
                attempt += 1
            }
        }
    }

    private func deleteWithinBudget(_ pod: Object, _ options: DeleteOptions) async throws {
        let budgets = reader.list(.podDisruptionBudgets, namespace: objectNamespace).filter { budget in
            // A selector that cannot be read selects nothing; an empty one selects every pod.
            guard let selector = try? LabelSelector(object: budget["spec"]["selector"]) else { return false }
            return selector.matches(pod)
        }
        guard budgets.count <= 1 else {
            throw StatusError(
                code: 500, reason: "",
                message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")
        }
        guard let budget = budgets.first else { return try await markAndDelete(pod, options) }
        guard Self.mayGoUnhealthy(pod, budget) else {
            try await takeFromBudget(budget, pod: pod.metadata.name, dryRun: options.dryRun)
            return try await markAndDelete(pod, options)
        }
        var guarded = options
        if guarded.preconditionResourceVersion == nil { guarded.preconditionResourceVersion = pod.metadata.resourceVersion }
        do {
            try await markAndDelete(pod, guarded)
        } catch let error as StatusError where error.isConflict && options.preconditionResourceVersion == nil {
            // It may have become ready meanwhile: the client tries again.
            throw Self.stillProcessing(budget.metadata.name)
        }
    }

    /// Whether a pod that is not ready may go without taking from the budget. Upstream: the unhealthyPodEvictionPolicy.
    private static func mayGoUnhealthy(_ pod: Object, _ budget: Object) -> Bool {
        let ready = pod["status"]["conditions"].elements.first { $0["type"]?.equals("Ready") ?? false }
        if ready["status"].string == "True" { return false }
        if budget["spec"]["unhealthyPodEvictionPolicy"].string == "AlwaysAllow" { return true }
        let desired = budget["status"]["desiredHealthy"].int ?? 0
        return (budget["status"]["currentHealthy"].int ?? 0) >= desired && desired > 0
    }

    /// Notes on the pod why it goes, and deletes it. Upstream: addConditionAndDeletePod.
    private func markAndDelete(_ pod: Object, _ options: DeleteOptions) async throws {
        var options = options
        if !options.dryRun {
            let now = environment.now()
            let wanted = options
            let marked = try await write(subresource: "status", dryRun: false, note: .asIs, admitting: false) { latest in
                let metadata = latest.metadata
                try Self.check(wanted, metadata)
                var tree = latest.value
                tree[path: "metadata", "resourceVersion"] = .string(metadata.resourceVersion)
                var conditions = tree[path: "status", "conditions"]?.array ?? []
                let old = conditions.firstIndex { $0["type"]?.string == "DisruptionTarget" }
                var condition: Value = ["type": "DisruptionTarget", "status": "True", "lastProbeTime": .null]
                if metadata.generation > 0 { condition["observedGeneration"] = .int(metadata.generation) }
                condition["reason"] = "EvictionByEvictionAPI"
                condition["message"] = "Eviction API: evicting"
                let isSame = old.map { conditions[$0]["status"]?.string == "True" } ?? false
                condition["lastTransitionTime"] = isSame ? old.flatMap { conditions[$0]["lastTransitionTime"] } : .string(now.rfc3339)
                if let old { conditions[old] = condition } else { conditions.append(condition) }
                tree[path: "status", "conditions"] = .array(conditions)
                return tree
            }
            if options.preconditionResourceVersion != nil { options.preconditionResourceVersion = marked.metadata.resourceVersion }
        }
        // Admission has seen the eviction; the deletion it stands for is not asked about again.
        _ = try await delete(name: info.name, namespace: objectNamespace, options: options, admitting: false)
    }

    private static func check(_ options: DeleteOptions, _ metadata: ObjectMeta) throws {
        let resource = GroupResource(group: "", resource: "Pod")
        if let uid = options.preconditionUID, !uid.isEmpty, uid != metadata.uid {
            throw StatusError.conflict(
                resource, metadata.name,
                "the UID in the precondition (\(uid)) does not match the UID in record (\(metadata.uid)). The object might have been deleted "
                    + "and then recreated")
        }
        if let version = options.preconditionResourceVersion, !version.isEmpty, version != metadata.resourceVersion {
            throw StatusError.conflict(
                resource, metadata.name,
                "the ResourceVersion in the precondition (\(version)) does not match the ResourceVersion in record (\(metadata.resourceVersion)). "
                    + "The object might have been modified")
        }
    }

    // MARK: The budget

    /// Takes one of the allowed disruptions, or throws 429. Upstream: checkAndDecrement.
    private func takeFromBudget(_ budget: Object, pod podName: String, dryRun: Bool) async throws {
        let resource = GroupVersionResource(group: "policy", version: "v1", resource: "poddisruptionbudgets")
        guard let scope = environment.registry.scope(resource) else { throw Responses.unknownResource }
        var request = request
        // The server itself keeps the budget: who evicts needs no right to it.
        request.user = .apiServer
        let verbs = ResourceVerbs(environment: environment, scope: scope, request: request)
        let now = environment.now()
        _ = try await verbs.write(
            name: budget.metadata.name, subresource: "status", dryRun: dryRun, note: .asIs, admitting: false
        ) { old in
            let allowed = try Self.allowedDisruptions(old)
            var tree = old.value
            tree[path: "metadata", "resourceVersion"] = nil
            tree[path: "status", "disruptionsAllowed"] = .int(allowed - 1)
            tree[path: "status", "disruptedPods", podName] = .string(now.rfc3339)
            if allowed == 1 { Self.setInsufficient(&tree, old, now) }
            return tree
        }
    }

    private static func allowedDisruptions(_ budget: Object) throws -> Int64 {
        let name = budget.metadata.name
        let status = budget["status"]
        let refused = GroupResource(group: "policy", resource: "poddisruptionbudget")
        guard (status["observedGeneration"].int ?? 0) >= budget.metadata.generation else { throw stillProcessing(name) }
        let allowed = status["disruptionsAllowed"].int ?? 0
        func forbidden(_ why: String, _ cause: String) -> StatusError {
            var error = StatusError.forbidden(refused, name, why)
            error.details?.causes.append(
                .init(
                    reason: "DisruptionBudget", message: "The disruption budget \(name) does not allow evicting pods currently: \(cause)", field: ""))
            return error
        }
        if allowed < 0 { throw forbidden("pdb disruptions allowed is negative", "pdb disruptions allowed is negative") }
        if let disrupted = status["disruptedPods"], disrupted.members.reduce(0, { count, _ in count + 1 }) > maximumDisruptedPods {
            throw forbidden(
                "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
                "too many pending evictions not confirmed by PDB controller")
        }
        guard allowed > 0 else { throw budgetExhausted(whyNot(budget, name), retryAfter: 0) }
        return allowed
    }

    private static func whyNot(_ budget: Object, _ name: String) -> String {
        let healthy = budget["status"]["currentHealthy"].int ?? 0
        let desired = budget["status"]["desiredHealthy"].int ?? 0
        let condition = budget["status"]["conditions"].elements.first { $0["type"]?.equals("DisruptionAllowed") ?? false }
        let message = condition["status"].string == "False" ? condition["message"].string ?? "" : ""
        let reason = condition["reason"].string ?? ""
        if !message.isEmpty, reason == "SyncFailed" {
            return "The disruption budget \(name) does not allow evicting pods currently because it failed sync: \(message)"
        }
        if healthy <= desired { return "The disruption budget \(name) needs \(desired) healthy pods and has \(healthy) currently" }
        if !message.isEmpty { return "The disruption budget \(name) does not allow evicting pods currently (\(reason)): \(message)" }
        return "The disruption budget \(name) does not allow evicting pods currently"
    }

    /// Upstream: pdbhelper.UpdateDisruptionAllowedCondition for a budget that is used up.
    private static func setInsufficient(_ tree: inout Value, _ old: Object, _ now: Timestamp) {
        var conditions = tree[path: "status", "conditions"]?.array ?? []
        let condition: Value = [
            "type": "DisruptionAllowed", "status": "False", "observedGeneration": .int(old["status"]["observedGeneration"].int ?? 0),
            "lastTransitionTime": .string(now.rfc3339), "reason": "InsufficientPods", "message": "",
        ]
        if let place = conditions.firstIndex(where: { $0["type"]?.string == "DisruptionAllowed" }) {
            conditions[place] = condition
        } else {
            conditions.append(condition)
        }
        tree[path: "status", "conditions"] = .array(conditions)
    }

    private static func stillProcessing(_ name: String) -> StatusError {
        budgetExhausted("The disruption budget \(name) is still being processed by the server.", retryAfter: 10)
    }

    private static func budgetExhausted(_ cause: String, retryAfter: Int) -> StatusError {
        StatusError(
            code: 429, reason: "TooManyRequests", message: "Cannot evict pod as it would violate the pod's disruption budget.",
            details: .init(causes: [.init(reason: "DisruptionBudget", message: cause, field: "")], retryAfterSeconds: retryAfter))
    }
}
