internal import KubeAPI

/// A pod that is Fargate's to run, as its scheduler last saw it.
package struct FargatePod: Sendable, Equatable {
    package static let schedulerName = "fargate-scheduler"
    package static let profileLabel = "eks.amazonaws.com/fargate-profile"
    package static let capacityAnnotation = "CapacityProvisioned"
    package static let loggingAnnotation = "Logging"
    /// The logging annotation where there is no ConfigMap `aws-logging` in the namespace `aws-observability`.
    package static let noLoggingConfiguration = "LoggingDisabled: LOGGING_CONFIGMAP_NOT_FOUND"

    package var uid: String
    package var namespace: String
    package var name: String
    /// The profile whose role and subnets it gets.
    package var profile: String
    package var capacity: FargateCapacity
    /// The node it is bound to.
    package var nodeName: String?
    /// Whether it is to have a machine of its own: not what Fargate cannot run, nor what is deleted before it has a node.
    package var isWanted: Bool

    package init(
        uid: String, namespace: String, name: String, profile: String, capacity: FargateCapacity, nodeName: String? = nil, isWanted: Bool = true
    ) {
        self.uid = uid
        self.namespace = namespace
        self.name = name
        self.profile = profile
        self.capacity = capacity
        self.nodeName = nodeName
        self.isWanted = isWanted
    }

    static func isOurs(_ pod: Object) -> Bool { pod["spec"]["schedulerName"].string == schedulerName }

    /// `isSupported`: whether Fargate can run it. Bound ones were found fit before.
    init(_ pod: Object, isSupported: Bool) {
        let node = pod["spec"]["nodeName"].string.flatMap { $0.isEmpty ? nil : $0 }
        let capacity = FargateCapacity(for: pod)
        self.init(
            uid: pod.metadata.uid, namespace: pod.metadata.namespace, name: pod.metadata.name, profile: pod.metadata.labels[Self.profileLabel] ?? "",
            capacity: capacity ?? FargateCapacity(milliCPU: 250, memoryMiB: 512), nodeName: node,
            isWanted: node != nil || (isSupported && capacity != nil && !pod.metadata.isBeingDeleted))
    }
}
