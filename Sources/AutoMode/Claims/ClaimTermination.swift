import KubeAPI
import KubeClient
import Logging

/// Ends a NodeClaim: its node takes no more pods, those on it are evicted as far as budgets allow, then its instance is ended. Upstream: karpenter
/// controllers/node/termination and nodeclaim/lifecycle.finalize.
struct ClaimTermination: Sendable {
    let client: KubeClient
    let caches: Caches
    let provider: any NodeProvider
    let recorder: EventRecorder
    let now: @Sendable () -> Timestamp
    let logger: Logger

    /// Nil: it is gone, or heard of again when something changes; else when to look again.
    func run(_ claim: NodeClaim) async throws -> Duration? {
        guard claim.object.metadata.finalizers.contains(Names.finalizer) else { return nil }
        let isThere = await provider.isThere(claimUID: claim.uid)
        if isThere, let name = claim.nodeName, let node = caches.nodes.indexer.get(name) {
            let deadline = try await deadline(of: claim)
            try await taint(node)
            let left = caches.pods(on: name).filter(PodNeeds.mustGo)
            let isOver = deadline.map { $0 <= now() } ?? false
            if !left.isEmpty, !isOver {
                for pod in left { try await move(pod, deadline) }
                return DrainPlan.recheck(left, deadline: deadline, now: now())
            }
        }
        try await provider.terminate(claimUID: claim.uid)
        // Its end is told by the provider.
        guard await !provider.isThere(claimUID: claim.uid) else { return nil }
        if let name = claim.nodeName, let node = caches.nodes.indexer.get(name) { try await release(.nodes, node) }
        try await release(.nodeClaims, claim.object)
        caches.marks.forget(claim.uid)
        logger.info("deleted nodeclaim", metadata: ["nodeclaim": "\(claim.name)"])
        return nil
    }

    /// When its pods' patience ends: noted when its end begins, so that it holds through restarts.
    private func deadline(of claim: NodeClaim) async throws -> Timestamp? {
        if let noted = claim.object.metadata.annotations[Names.terminationTime] { return Timestamp(rfc3339: noted) }
        guard let grace = DurationText.seconds(claim.object["spec"]["terminationGracePeriod"].string) else { return nil }
        let deadline = (claim.object.metadata.deletionTimestamp ?? now()).adding(seconds: Int64(min(grace, 1e9)))
        try await client.patch(
            .nodeClaims, name: claim.name, type: .merge, ["metadata": ["annotations": [Names.terminationTime: .string(deadline.rfc3339)]]])
        return deadline
    }

    private func taint(_ node: Object) async throws {
        guard !NodeFacts.hasTaint(Names.disruptedTaint, node) else { return }
        let taints = node["spec"]["taints"].elements.map(\.value) + [["key": .string(Names.disruptedTaint), "effect": "NoSchedule"]]
        do {
            try await client.patch(
                .nodes, name: node.metadata.name, type: .merge,
                ["metadata": ["resourceVersion": .string(node.metadata.resourceVersion)], "spec": ["taints": .array(taints)]])
        } catch let error as StatusError where error.isNotFound {}
    }

    private func move(_ pod: Object, _ deadline: Timestamp?) async throws {
        switch DrainPlan.action(pod, deadline: deadline, now: now()) {
        case .wait: return
        case .delete(let grace):
            do {
                try await client.delete(
                    .pods, namespace: pod.metadata.namespace, name: pod.metadata.name,
                    options: DeleteOptions(gracePeriodSeconds: grace, preconditionUID: pod.metadata.uid))
            } catch let error as StatusError where error.isNotFound || error.isConflict {}
        case .evict:
            let eviction: Value = [
                "apiVersion": "policy/v1", "kind": "Eviction",
                "metadata": ["name": .string(pod.metadata.name), "namespace": .string(pod.metadata.namespace)],
            ]
            do {
                try await client.create(.pods, namespace: pod.metadata.namespace, eviction, name: pod.metadata.name, subresource: "eviction")
                recorder.event(pod, .normal, reason: "Evicted", message: "Evicted pod: its node is going")
            } catch let error as StatusError where error.isNotFound || error.code == 429 {}  // Gone already, or a budget says later.
        }
    }

    private func release(_ resource: GroupVersionResource, _ object: Object) async throws {
        let name = object.metadata.name
        do {
            if resource == .nodes, !object.metadata.isBeingDeleted { try await client.delete(.nodes, name: name) }
            let kept = object.metadata.finalizers.filter { $0 != Names.finalizer }
            guard kept.count < object.metadata.finalizers.count else { return }
            try await client.patch(resource, name: name, type: .merge, ["metadata": ["finalizers": kept.isEmpty ? .null : Value(kept)]])
        } catch let error as StatusError where error.isNotFound {}
    }
}
