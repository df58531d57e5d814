import KubeAPI

/// A NodeClaim as it is read. Upstream: karpenter.sh/v1 NodeClaim.
struct NodeClaim: Sendable {
    let object: Object
    let name: String
    let uid: String

    init(_ object: Object) {
        self.object = object
        name = object.metadata.name
        uid = object.metadata.uid
    }

    var pool: String { object.metadata.labels[Names.nodePool] ?? "" }
    var nodeClass: String { object["spec"]["nodeClassRef"]["name"].string ?? "" }
    var requirements: [Requirement] { object["spec"]["requirements"].elements.map(Requirement.init) }
    var taints: [Value] { object["spec"]["taints"].elements.map(\.value) }
    var startupTaints: [Value] { object["spec"]["startupTaints"].elements.map(\.value) }
    var nodeName: String? { object["status"]["nodeName"].string }
    var providerID: String? { object["status"]["providerID"].string }
    var isLaunched: Bool { StatusCondition.isTrue("Launched", object) }
    var isRegistered: Bool { StatusCondition.isTrue("Registered", object) }
    var isInitialized: Bool { StatusCondition.isTrue("Initialized", object) }
    var isBeingDeleted: Bool { object.metadata.isBeingDeleted }
    var zone: String? { object.metadata.labels[Names.zone] ?? only(Names.zone) }
    var capacityType: String? { object.metadata.labels[Names.capacityType] ?? only(Names.capacityType) }
    /// Of a claim that is not launched yet the one it will most likely be.
    var instanceType: String? {
        object.metadata.labels[Names.instanceType] ?? requirements.first { $0.key == Names.instanceType && $0.op == "In" }?.values.first
    }

    private func only(_ key: String) -> String? { requirements.first { $0.key == key && $0.op == "In" }?.values.first }

    /// The labels its node has, or will have.
    func labels(_ type: InstanceType?) -> [String: String] {
        var labels = type?.labels ?? [:]
        for requirement in requirements where requirement.op == "In" && requirement.values.count == 1 {
            labels[requirement.key] = requirement.values.first
        }
        labels.merge(object.metadata.labels) { $1 }
        labels[Names.hostname] = nodeName ?? name
        return labels
    }
}
