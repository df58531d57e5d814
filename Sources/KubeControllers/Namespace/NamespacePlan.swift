import KubeAPI

/// What is left of a namespace that is being deleted, and how that reads in its conditions. Upstream: pkg/controller/namespace/deletion.
struct NamespaceContent: Sendable {
    /// Objects left, by resource (`pods.`, `deployments.apps`).
    var remaining: [String: Int] = [:]
    /// Objects left, by finalizer.
    var finalizers: [String: Int] = [:]
    /// What went wrong.
    var failures: [String] = []

    var isEmpty: Bool { remaining.isEmpty && failures.isEmpty }

    /// The conditions a namespace gets for this. Upstream: namespaceConditionUpdater.
    func conditions(_ existing: [Condition], now: Timestamp) -> [Condition] {
        var conditions = existing
        func put(_ type: String, _ isTrue: Bool, _ reason: String, _ message: String) {
            let old = conditions.condition(type)
            let status = isTrue ? "True" : "False"
            if let old, old.status == status, old.reason == reason, old.message == message { return }
            var new = Condition(type: type, status: status, reason: reason, message: message, lastTransitionTime: now.rfc3339)
            if let old, old.status == status { new.lastTransitionTime = old.lastTransitionTime }
            if let place = conditions.firstIndex(where: { $0.type == type }) { conditions[place] = new } else { conditions.append(new) }
        }
        put("NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered", "All resources successfully discovered")
        put("NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions", "All legacy kube types successfully parsed")
        if failures.isEmpty {
            put("NamespaceDeletionContentFailure", false, "ContentDeleted", "All content successfully deleted, may be waiting on finalization")
        } else {
            put(
                "NamespaceDeletionContentFailure", true, "ContentDeletionFailed",
                "Failed to delete all resource types, \(failures.count) remaining: \(failures.sorted().joined(separator: ", "))")
        }
        if remaining.isEmpty {
            put("NamespaceContentRemaining", false, "ContentRemoved", "All content successfully removed")
        } else {
            let list = remaining.sorted { $0.key < $1.key }.map { "\($0.key) has \($0.value) resource instances" }
            put("NamespaceContentRemaining", true, "SomeResourcesRemain", "Some resources are remaining: \(list.joined(separator: ", "))")
        }
        if finalizers.isEmpty {
            put("NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers", "All content-preserving finalizers finished")
        } else {
            let list = finalizers.sorted { $0.key < $1.key }.map { "\($0.key) in \($0.value) resource instances" }
            put(
                "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain",
                "Some content in the namespace has finalizers remaining: \(list.joined(separator: ", "))")
        }
        return conditions
    }

    /// The resources to empty, one version of each, pods before everything else: what a pod uses must not go before the pod.
    /// Upstream: OrderedNamespaceDeletion.
    static func order(_ table: ResourceTable) -> (first: [ResourceRow], rest: [ResourceRow]) {
        var seen: Set<GroupResource> = []
        let rows = table.rows.filter { $0.namespaced && $0.supports("list") && $0.supports("delete") && seen.insert($0.groupResource).inserted }
        let isPods = { (row: ResourceRow) in row.group.isEmpty && row.resource == "pods" }
        return (rows.filter(isPods), rows.filter { !isPods($0) })
    }
}
