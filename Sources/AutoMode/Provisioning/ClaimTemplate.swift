import KubeAPI

/// The NodeClaim of a planned node. Upstream: karpenter provisioning/scheduling.NodeClaimTemplate.ToNodeClaim.
enum ClaimTemplate {
    /// Instance types that a claim names at most. Upstream: MaxInstanceTypes.
    private static let mostTypes = 60
    /// Of the letters that names made by the API server end in. Upstream: utilrand.String.
    private static let letters = Array("bcdfghjklmnpqrstvwxz2456789")

    static func claim(for node: PlannedNode, nodeClass: Object?) throws -> Value {
        let pool = node.pool
        let capacityType = node.choice?.capacityType ?? "on-demand"
        // The rest of the same kind: dearer, and taken when there is none of the first.
        let types = node.offerings.filter { $0.capacityType == capacityType }.map(\.type.name).prefix(mostTypes)
        var requirements = pool.requirements.filter { requirement in
            ![Names.instanceType, Names.zone, Names.capacityType].contains(requirement.key)
        }
        requirements += [
            Requirement(key: Names.instanceType, op: "In", values: Array(types)), Requirement(key: Names.zone, op: "In", values: [node.zone]),
            Requirement(key: Names.capacityType, op: "In", values: [capacityType]),
        ]
        var annotations = pool.annotations
        annotations[Names.poolHash] = pool.hash
        annotations[Names.poolHashVersion] = NodePool.hashVersion
        if let hash = nodeClass?.metadata.annotations[Names.classHash] {
            annotations[Names.classHash] = hash
            annotations[Names.classHashVersion] = NodeClass.hashVersion
        }
        let owner = OwnerReference(
            apiVersion: "karpenter.sh/v1", kind: "NodePool", name: pool.name, uid: pool.object.metadata.uid, controller: false)
        var spec: Value = [
            "nodeClassRef": pool.template["spec"]["nodeClassRef"].value ?? [:], "requirements": .array(requirements.map(\.value)),
            "terminationGracePeriod": .string(pool.terminationGracePeriod), "resources": ["requests": NodeModel.value(requests(node))],
        ]
        if let expireAfter = pool.expireAfter { spec["expireAfter"] = .string(expireAfter) }
        if !pool.taints.isEmpty { spec["taints"] = .array(pool.taints) }
        if !pool.startupTaints.isEmpty { spec["startupTaints"] = .array(pool.startupTaints) }
        return [
            "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
            "metadata": [
                "name": .string("\(pool.name)-\(suffix())"), "labels": Value(node.labels), "annotations": Value(annotations),
                "finalizers": [.string(Names.finalizer)], "ownerReferences": .array([owner.value]),
            ],
            "spec": spec,
        ]
    }

    private static func suffix() -> String { String((0..<5).map { _ in letters.randomElement() ?? "b" }) }

    private static func requests(_ node: PlannedNode) -> ResourceList {
        [
            "cpu": Quantity(milli: node.pods.reduce(0) { $0 &+ $1.milliCPU }),
            "memory": Quantity(node.pods.reduce(0) { $0 &+ $1.memory }, .binarySI), "pods": Quantity(Int64(node.pods.count)),
        ]
    }
}
