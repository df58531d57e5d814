import KubeAPI

/// What is left of a namespace that is being deleted, and how that reads in its conditions. Upstream: pkg/controller/namespace/deletion.
struct NamespaceContent: Sendable {
    /// Objects left, by resource (`pods.`, `deployments.apps`).
    var remaining: [String: Int] = [:]
    /// Objects left, by finalizer.
    var finalizers: [String: Int] = [:]
    /// What went wrong with the deletion of resources.
    var failures: [String] = []
    /// Why it is not known what a group's version holds, by `group/version`.
    var undiscovered: [String: String] = [:]
    /// Group versions that are none.
    var unparsed: [String] = []
    /// In how many seconds all will have gone, if nothing holds it.
    var estimate: Int64 = 0

    /// Nothing is left, and nothing can have been overlooked.
    var isEmpty: Bool { remaining.isEmpty && failures.isEmpty && undiscovered.isEmpty && unparsed.isEmpty }

    /// The conditions a namespace gets for this. Upstream: namespaceConditionUpdater.
    func conditions(_ existing: [Condition], now: Timestamp) -> [Condition] {
        var conditions = existing
        /// `failure`: reason and message of the condition's status True; nil: it is False for `good`.
        func put(_ type: String, good: (reason: String, message: String), _ failure: (reason: String, message: String)?) {
            let old = conditions.condition(type)
            let status = failure == nil ? "False" : "True"
            let (reason, message) = failure ?? good
            if let old, old.status == status, old.reason == reason, old.message == message { return }
            var new = Condition(type: type, status: status, reason: reason, message: message, lastTransitionTime: now.rfc3339)
            if let old, old.status == status { new.lastTransitionTime = old.lastTransitionTime }
            if let place = conditions.firstIndex(where: { $0.type == type }) { conditions[place] = new } else { conditions.append(new) }
        }
        put(
            "NamespaceDeletionDiscoveryFailure", good: ("ResourcesDiscovered", "All resources successfully discovered"),
            undiscovered.isEmpty ? nil : ("DiscoveryFailed", discoveryMessage))
        put(
            "NamespaceDeletionGroupVersionParsingFailure", good: ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
            unparsed.min().map { ("GroupVersionParsingFailed", "unexpected GroupVersion string: \($0)") })
        put(
            "NamespaceDeletionContentFailure", good: ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
            failures.isEmpty
                ? nil
                : (
                    "ContentDeletionFailed",
                    "Failed to delete all resource types, \(failures.count) remaining: \(failures.sorted().joined(separator: ", "))"
                ))
        let resources = remaining.sorted { $0.key < $1.key }.map { "\($0.key) has \($0.value) resource instances" }
        put(
            "NamespaceContentRemaining", good: ("ContentRemoved", "All content successfully removed"),
            resources.isEmpty ? nil : ("SomeResourcesRemain", "Some resources are remaining: \(resources.joined(separator: ", "))"))
        let held = finalizers.sorted { $0.key < $1.key }.map { "\($0.key) in \($0.value) resource instances" }
        put(
            "NamespaceFinalizersRemaining", good: ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
            held.isEmpty
                ? nil
                : ("SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: \(held.joined(separator: ", "))"))
        return conditions
    }

    /// Upstream: ErrGroupDiscoveryFailed.
    private var discoveryMessage: String {
        let groups = undiscovered.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        return "Discovery failed for some groups, \(groups.count) failing: unable to retrieve the complete list of server APIs: "
            + groups.joined(separator: ", ")
    }

    /// Counts what is left of a resource after everything of it was told to go, pods with their grace.
    /// Upstream: deleteAllContentForGroupVersionResource.
    mutating func count(_ items: [Object], of row: ResourceRow, in namespace: String, grace: Int64 = 0) {
        guard !items.isEmpty else { return }
        // Upstream writes the group resource in its long form, with the dot even for the core group.
        remaining["\(row.resource).\(row.group)"] = items.count
        let held = items.flatMap(\.metadata.finalizers)
        for finalizer in held { finalizers[finalizer, default: 0] += 1 }
        estimate = max(estimate, grace > 0 ? grace : held.isEmpty ? 0 : Self.finalizerEstimate)
        guard grace <= 0, held.isEmpty else { return }
        failures.append(
            "unexpected items still remain in namespace: \(namespace) for gvr: \(row.group)/\(row.version), Resource=\(row.resource)")
    }

    /// How long finalizers are expected to take, in seconds. Upstream: finalizerEstimateSeconds.
    static let finalizerEstimate: Int64 = 15

    /// How many seconds pods may still take to end: the longest grace period of those that run, nothing once the namespace has been going for so
    /// long. Upstream: estimateGracefulTermination.
    static func grace(of pods: [Object], deletedAt: Timestamp, now: Timestamp) -> Int64 {
        let longest = pods.map(PodView.init).filter { !$0.isTerminal }.compactMap { $0.spec["terminationGracePeriodSeconds"].int }.max() ?? 0
        return now.timeInterval(since: deletedAt) >= Double(longest) ? 0 : longest
    }

    /// The resources to empty, one version of each, pods before everything else: what a pod uses must not go before the pod.
    /// Upstream: OrderedNamespaceDeletion.
    static func order(_ rows: [ResourceRow]) -> (pods: [ResourceRow], rest: [ResourceRow]) {
        var seen: Set<GroupResource> = []
        let rows = rows.filter {
            $0.namespaced && $0.supports("list") && $0.supports("delete") && isGroupVersion($0.groupVersion) && seen.insert($0.groupResource).inserted
        }
        return (rows.filter(isPods), rows.filter { !isPods($0) })
    }

    static func isPods(_ row: ResourceRow) -> Bool { row.group.isEmpty && row.resource == "pods" }

    /// Upstream: schema.ParseGroupVersion.
    static func isGroupVersion(_ text: String) -> Bool { text.utf8.count { $0 == UInt8(ascii: "/") } <= 1 }
}
