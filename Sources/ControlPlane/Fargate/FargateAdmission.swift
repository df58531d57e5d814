internal import CloudControllers
internal import KubeAPI
internal import KubeAPIServer

/// Gives new pods that match a Fargate profile to Fargate's scheduler. Upstream: EKS's mutating webhook
/// `0500-amazon-eks-fargate-mutation.amazonaws.com`.
struct FargateAdmission: AdmissionPlugin {
    let name = "FargateMutation"
    /// The class that keeps others from taking the pod's place on its node, and its number.
    private static let priorityClass = "system-node-critical"
    private static let priority: Int64 = 2_000_001_000
    private static let computeType = "eks.amazonaws.com/compute-type"
    private static let configMaps = GroupResource(group: "", resource: "configmaps")

    let book: FargateBook
    let reader: any ObjectReader

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.resource.resource == "pods", attributes.resource.group.isEmpty, attributes.subresource.isEmpty,
            attributes.operation == .create
        else { return }
        let pod = try Object(attributes.object)
        guard Self.mayMove(pod),
            let profile = book.profiles.profile(
                namespace: attributes.namespace, labels: pod.metadata.labels, asked: pod.metadata.labels[FargatePod.profileLabel])
        else { return }
        let hasLogging = reader.get(Self.configMaps, namespace: "aws-observability", name: "aws-logging") != nil
        attributes.object = Self.applied(to: attributes.object, profile: profile, capacity: FargateCapacity(for: pod), hasLogging: hasLogging)
    }

    /// Not a DaemonSet's, which belongs to its node; not one that has a node, or that asks for EC2.
    private static func mayMove(_ pod: Object) -> Bool {
        pod.metadata.controller?.kind != "DaemonSet" && (pod["spec"]["nodeName"].string ?? "").isEmpty
            && pod.metadata.annotations[computeType] != "ec2"
    }

    /// A pure function of the pod. A pod that no machine can hold has no capacity.
    static func applied(to pod: Value, profile: String, capacity: FargateCapacity?, hasLogging: Bool) -> Value {
        var pod = pod
        pod[path: "metadata", "labels", FargatePod.profileLabel] = .string(profile)
        if let capacity { pod[path: "metadata", "annotations", FargatePod.capacityAnnotation] = .string(capacity.description) }
        // Logs are not sent anywhere from here, whatever the ConfigMap says.
        pod[path: "metadata", "annotations", FargatePod.loggingAnnotation] = .string(
            hasLogging ? "LoggingDisabled: NOT_IMPLEMENTED" : FargatePod.noLoggingConfiguration)
        pod[path: "spec", "schedulerName"] = .string(FargatePod.schedulerName)
        pod[path: "spec", "priorityClassName"] = .string(priorityClass)
        pod[path: "spec", "priority"] = .int(priority)
        return pod
    }
}
