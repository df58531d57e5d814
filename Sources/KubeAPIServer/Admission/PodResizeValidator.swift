import KubeAPI

/// A running pod is not given a size that its node can never have; the kubelet would only say so later. Upstream: plugin/pkg/admission/podresize.
struct PodResizeValidator: AdmissionPlugin {
    let name = "PodResizeValidator"
    let reader: any ObjectReader

    func validate(_ attributes: AdmissionAttributes) async throws {
        guard attributes.isFor(.pods, .update, subresource: "resize") else { return }
        let pod = try Object(attributes.object)
        // The generation says whether anything is asked for.
        guard let nodeName = pod["spec"]["nodeName"].string, !nodeName.isEmpty, pod.metadata.generation != attributes.oldObject?.metadata.generation
        else { return }
        guard let node = reader.get(.nodes, namespace: "", name: nodeName) else {
            throw attributes.forbidden("node \(nodeName.goQuoted) not found")
        }
        if let system = node.metadata.labels["kubernetes.io/os"], system != "linux" {
            throw Self.refusal(
                attributes, "pod resize is only supported on linux nodes, node \(nodeName.goQuoted) is \(system.goQuoted)", "UnsupportedPlatform")
        }
        let requests = PodResources.requests(pod, .init(usesStatus: false))
        let allocatable = node["status"]["allocatable"].resourceList
        let (cpu, memory) = (requests["cpu"] ?? .zero, requests["memory"] ?? .zero)
        let (processors, room) = (allocatable["cpu"] ?? .zero, allocatable["memory"] ?? .zero)
        var lacking: [String] = []
        if cpu > processors { lacking.append("cpu, requested: \(cpu.milliValue), allocatable: \(processors.milliValue)") }
        if memory > room { lacking.append("memory, requested: \(memory.value), allocatable: \(room.value)") }
        guard lacking.isEmpty else {
            throw Self.refusal(attributes, "node didn't have enough allocatable resources: \(lacking.joined(separator: "; "))", "NodeCapacity")
        }
    }

    /// A refusal whose cause programs can tell from others, as the VerticalPodAutoscaler does.
    private static func refusal(_ attributes: AdmissionAttributes, _ why: String, _ cause: String) -> StatusError {
        var error = attributes.forbidden(why)
        error.details?.causes.append(StatusError.Cause(reason: cause, message: "", field: ""))
        return error
    }
}
