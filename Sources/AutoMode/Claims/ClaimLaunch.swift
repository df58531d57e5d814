import KubeAPI
import KubeClient
import Logging

/// Launches the instance of a NodeClaim: of the first of its types that can be had. Upstream: karpenter nodeclaim/lifecycle.Launch.
struct ClaimLaunch: Sendable {
    let client: KubeClient
    let caches: Caches
    let provider: any NodeProvider
    let recorder: EventRecorder
    let now: @Sendable () -> Timestamp
    let logger: Logger

    /// Throws what keeps the cloud from launching: it is tried again.
    func run(_ claim: NodeClaim) async throws {
        guard let object = caches.classes.indexer.get(claim.nodeClass), StatusCondition.isTrue("Ready", object) else {
            // Heard of again when the class changes.
            return try await note(claim, reason: "NodeClassNotReady", "NodeClass \"\(claim.nodeClass)\" is not ready")
        }
        let nodeClass = NodeClass(object)
        let types = claim.requirements.first { $0.key == Names.instanceType && $0.op == "In" }?.values ?? []
        var shortage = "the claim names no instance type that is known here"
        for type in types.compactMap({ caches.type($0) }) {
            do {
                let launched = try await provider.launch(Self.launch(claim, type, nodeClass))
                return try await record(claim, launched, type)
            } catch let error as InsufficientCapacity {
                shortage = error.description
            } catch let error as LaunchRefused {
                try await note(claim, reason: "LaunchFailed", error.description)
                throw error
            }
        }
        recorder.event(claim.object, .warning, reason: "InsufficientCapacityError", message: "NodeClaim \(claim.name) event: \(shortage)")
        logger.warning("nodeclaim could not be launched", metadata: ["nodeclaim": "\(claim.name)", "reason": "\(shortage)"])
        // Its pods are provided for anew, elsewhere.
        caches.shortages.note(claim.zone ?? "", until: now().adding(seconds: Self.shortageSeconds))
        do {
            try await client.delete(.nodeClaims, name: claim.name, options: DeleteOptions(preconditionUID: claim.uid))
        } catch let error as StatusError where error.isNotFound {}
    }

    /// How long a zone without room is passed over. Upstream: karpenter-provider-aws cache.UnavailableOfferingsTTL.
    private static let shortageSeconds: Int64 = 180

    private static func launch(_ claim: NodeClaim, _ type: InstanceType, _ nodeClass: NodeClass) -> NodeLaunch {
        var labels = claim.labels(type)
        labels[Names.hostname] = nil
        let zone = claim.zone ?? ""
        var taints = (claim.taints + claim.startupTaints).map { taint in
            (key: taint["key"]?.string ?? "", value: taint["value"]?.string ?? "", effect: taint["effect"]?.string ?? "NoSchedule")
        }
        taints.append((key: Names.unregisteredTaint, value: "", effect: "NoExecute"))
        var tags = nodeClass.tags
        tags["eks:kubernetes-node-class-name"] = nodeClass.object.metadata.name
        tags["eks:kubernetes-node-pool-name"] = claim.pool
        tags["karpenter.sh/nodepool"] = claim.pool
        return NodeLaunch(
            claimName: claim.name, claimUID: claim.uid, nodePool: claim.pool, nodeClass: nodeClass.object.metadata.name, instanceType: type.name,
            zone: zone, subnetIDs: nodeClass.subnets(in: zone), securityGroupIDs: nodeClass.securityGroups, role: nodeClass.role, tags: tags,
            labels: labels, taints: taints)
    }

    private func record(_ claim: NodeClaim, _ launched: ProvidedNode, _ type: InstanceType) async throws {
        var labels = claim.labels(type)
        labels[Names.hostname] = nil
        labels[Names.zone] = launched.zone
        labels[Names.instanceType] = launched.instanceType
        try await client.patch(.nodeClaims, name: claim.name, type: .merge, ["metadata": ["labels": Value(labels)]])
        var status: Value = [
            "providerID": .string(launched.providerID), "imageID": .string(launched.imageID), "capacity": NodeModel.value(type.capacity),
            "allocatable": NodeModel.value(type.allocatable),
        ]
        let conditions = [
            StatusCondition("Launched"),
            StatusCondition("Registered", "Unknown", reason: "NodeNotFound", message: "Node not registered with cluster"),
            StatusCondition("Initialized", "Unknown", reason: "NodeNotFound", message: "Node not registered with cluster"),
            StatusCondition("Ready", "Unknown", reason: "ReconcilingDependents"),
        ]
        if let merged = StatusCondition.merged(conditions, into: claim.object, now: now()) { status["conditions"] = merged }
        try await client.patch(.nodeClaims, name: claim.name, type: .merge, ["status": status], subresource: "status")
        logger.info(
            "launched nodeclaim",
            metadata: ["nodeclaim": "\(claim.name)", "provider-id": "\(launched.providerID)", "instance-type": "\(launched.instanceType)"])
    }

    private func note(_ claim: NodeClaim, reason: String, _ message: String) async throws {
        let conditions = [
            StatusCondition("Launched", "Unknown", reason: reason, message: message),
            StatusCondition("Ready", "Unknown", reason: "ReconcilingDependents"),
        ]
        guard let merged = StatusCondition.merged(conditions, into: claim.object, now: now()) else { return }
        try await client.patch(.nodeClaims, name: claim.name, type: .merge, ["status": ["conditions": merged]], subresource: "status")
    }
}
