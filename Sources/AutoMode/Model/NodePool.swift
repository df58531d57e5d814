import KubeAPI

/// A NodePool as it is read. Upstream: karpenter.sh/v1 NodePool.
struct NodePool: Sendable {
    /// The grace that nodes of Auto Mode have when their pool gives none. Upstream: EKS User Guide, "Termination Grace Period".
    static let defaultGrace = "24h0m0s"
    /// Upstream: karpenter.sh/v1 NodePoolHashVersion.
    static let hashVersion = "v3"

    let object: Object
    let name: String
    let template: JSONView?
    let requirements: [Requirement]
    let weight: Int64
    let limits: ResourceList

    init(_ object: Object) {
        self.object = object
        name = object.metadata.name
        template = object["spec"]["template"]
        requirements = template["spec"]["requirements"].elements.map(Requirement.init)
        weight = object["spec"]["weight"].int ?? 0
        limits = object["spec"]["limits"].resourceList
    }

    var labels: [String: String] { template["metadata"]["labels"].stringMap }
    var annotations: [String: String] { template["metadata"]["annotations"].stringMap }
    var taints: [Value] { template["spec"]["taints"].elements.map(\.value) }
    var startupTaints: [Value] { template["spec"]["startupTaints"].elements.map(\.value) }
    var nodeClass: String { template["spec"]["nodeClassRef"]["name"].string ?? "" }
    var expireAfter: String? { template["spec"]["expireAfter"].string }
    var terminationGracePeriod: String { template["spec"]["terminationGracePeriod"].string ?? Self.defaultGrace }
    /// Seconds; nil: never.
    var consolidateAfter: Double? { DurationText.seconds(object["spec"]["disruption"]["consolidateAfter"].string ?? "0s") }
    /// Whether nodes with pods may be consolidated, too.
    var consolidatesUnderutilized: Bool { object["spec"]["disruption"]["consolidationPolicy"].string != "WhenEmpty" }
    var isReady: Bool { StatusCondition.isTrue("Ready", object) }

    /// What nodes are made of apart from what their requirements choose: when it changes, nodes made before have drifted.
    var hash: String {
        var fields: Value = [
            "labels": Value(labels), "annotations": Value(annotations), "taints": .array(taints), "startupTaints": .array(startupTaints),
            "nodeClass": .string(nodeClass), "grace": .string(terminationGracePeriod),
        ]
        if let expireAfter { fields["expireAfter"] = .string(expireAfter) }
        return Fingerprint.of(fields)
    }

    /// Whether so much may be in use by the pool's nodes.
    func allows(_ usage: ResourceList) -> Bool { limits.allSatisfy { name, limit in usage[name].map { $0 <= limit } ?? true } }
}
