import KubeAPI
import KubeClient

/// Follows the node of a launched NodeClaim until it is ready for pods. Upstream: karpenter nodeclaim/lifecycle: registration, initialization.
struct ClaimRegistration: Sendable {
    let client: KubeClient
    let caches: Caches
    let now: @Sendable () -> Timestamp

    func run(_ claim: NodeClaim) async throws {
        guard let name = claim.nodeName ?? claim.providerID?.split(separator: "/").last.map(String.init),
            let node = caches.nodes.indexer.get(name)
        else { return }
        if !claim.isRegistered || NodeFacts.hasTaint(Names.unregisteredTaint, node) { return try await register(claim, node) }
        if !claim.isInitialized { try await initialize(claim, node) }
    }

    /// The node is known as the claim's: it gets the finalizer by which its end is Auto Mode's, and pods may come as far as it is concerned.
    private func register(_ claim: NodeClaim, _ node: Object) async throws {
        let finalizers = node.metadata.finalizers.filter { $0 != Names.finalizer } + [Names.finalizer]
        let taints = node["spec"]["taints"].elements.filter { $0["key"].string != Names.unregisteredTaint }.map(\.value)
        let owner = OwnerReference(apiVersion: "karpenter.sh/v1", kind: "NodeClaim", name: claim.name, uid: claim.uid, controller: false)
        try await client.patch(
            .nodes, name: node.metadata.name, type: .merge,
            [
                "metadata": [
                    "resourceVersion": .string(node.metadata.resourceVersion), "finalizers": Value(finalizers),
                    "labels": [Names.registered: "true"], "ownerReferences": .array([owner.value]),
                    "annotations": Value(claim.object.metadata.annotations.filter { $0.key == Names.doNotDisrupt }),
                ],
                "spec": ["taints": taints.isEmpty ? .null : .array(taints)],
            ])
        var status: Value = ["nodeName": .string(node.metadata.name)]
        let conditions = [
            StatusCondition("Registered"),
            StatusCondition("Initialized", "Unknown", reason: "NodeNotReady", message: "Node status is NotReady"),
        ]
        if let merged = StatusCondition.merged(conditions, into: claim.object, now: now()) { status["conditions"] = merged }
        try await client.patch(.nodeClaims, name: claim.name, type: .merge, ["status": status], subresource: "status")
    }

    private func initialize(_ claim: NodeClaim, _ node: Object) async throws {
        guard let problem = Self.whyNotInitialized(claim, node) else {
            try await client.patch(
                .nodes, name: node.metadata.name, type: .merge, ["metadata": ["labels": [Names.initialized: "true"]]])
            var status: Value = [
                "capacity": node["status"]["capacity"].value ?? [:], "allocatable": node["status"]["allocatable"].value ?? [:],
            ]
            let conditions = [StatusCondition("Initialized"), StatusCondition("Ready")]
            if let merged = StatusCondition.merged(conditions, into: claim.object, now: now()) { status["conditions"] = merged }
            try await client.patch(.nodeClaims, name: claim.name, type: .merge, ["status": status], subresource: "status")
            return
        }
        let conditions = [StatusCondition("Initialized", "Unknown", reason: problem.reason, message: problem.message)]
        guard let merged = StatusCondition.merged(conditions, into: claim.object, now: now()) else { return }
        try await client.patch(.nodeClaims, name: claim.name, type: .merge, ["status": ["conditions": merged]], subresource: "status")
    }

    /// Upstream: lifecycle.Initialization: ready, without startup taints and those that go by themselves.
    static func whyNotInitialized(_ claim: NodeClaim, _ node: Object) -> (reason: String, message: String)? {
        guard NodeFacts.isReady(node) else { return ("NodeNotReady", "Node status is NotReady") }
        for taint in node["spec"]["taints"].elements {
            let key = taint["key"].string ?? ""
            if Names.ephemeralTaints.contains(key) { return ("KnownEphemeralTaintsExist", "KnownEphemeralTaint \"\(key)\" still exists") }
            let isStartup = claim.startupTaints.contains { $0["key"]?.string == key && $0["effect"]?.string == taint["effect"].string }
            if isStartup { return ("StartupTaintsExist", "StartupTaint \"\(key)\" still exists") }
        }
        return nil
    }

    /// Notes when a pod last came to its node or went.
    func notePods(_ claim: NodeClaim) async throws {
        guard claim.isInitialized, let name = claim.nodeName else { return }
        let mark = PodEvents.mark(caches.pods(on: name))
        guard caches.marks.change(claim.uid, to: mark) else { return }
        let last = claim.object["status"]["lastPodEventTime"].string.flatMap(Timestamp.init(rfc3339:))
        if let last, now().timeInterval(since: last) < PodEvents.dedupeSeconds { return }
        try await client.patch(
            .nodeClaims, name: claim.name, type: .merge, ["status": ["lastPodEventTime": .string(now().rfc3339)]], subresource: "status")
    }
}
