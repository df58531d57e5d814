import KubeAPI

/// A pod's class by its requests and limits of cpu and memory. Upstream: pkg/apis/core/helper/qos.ComputePodQOS.
enum PodQualityOfService {
    /// Of a pod that is being written. Throws only for a tree that is no object.
    static func compute(_ pod: Value) throws -> String {
        // Resources alone: to encode the whole pod for them would cost more than all else here.
        func resources(_ owner: Value) -> Value { owner["resources"].map { ["resources": $0] } ?? [:] }
        guard let spec = pod["spec"] else { return compute(try Object([:])) }
        var slim = resources(spec)
        for list in ["containers", "initContainers"] { if let items = spec[list]?.array { slim[list] = .array(items.map(resources)) } }
        return compute(try Object(["spec": slim]))
    }

    static func compute(_ pod: Object) -> String {
        var requests: ResourceList = [:]
        var limits: ResourceList = [:]
        var isGuaranteed = true
        func add(_ sum: inout ResourceList, _ list: ResourceList) -> Set<String> {
            var seen: Set<String> = []
            for name in ["cpu", "memory"] {
                guard let quantity = list[name], quantity.sign > 0 else { continue }
                sum[name] = (sum[name] ?? .zero) + quantity
                seen.insert(name)
            }
            return seen
        }
        let resources = pod["spec"]["resources"].present
        if let resources, resources["requests"].present != nil || resources["limits"].present != nil {
            // Resources of the pod as a whole stand for its containers'.
            _ = add(&requests, resources["requests"].resourceList)
            if add(&limits, resources["limits"].resourceList).count < 2 { isGuaranteed = false }
        } else {
            for container in pod["spec"]["containers"].elements + pod["spec"]["initContainers"].elements {
                _ = add(&requests, container["resources"].flatMap { $0["requests"] }.resourceList)
                if add(&limits, container["resources"].flatMap { $0["limits"] }.resourceList).count < 2 { isGuaranteed = false }
            }
        }
        if requests.isEmpty, limits.isEmpty { return "BestEffort" }
        if isGuaranteed, requests.count == limits.count, requests.allSatisfy({ limits[$0.key] == $0.value }) { return "Guaranteed" }
        return "Burstable"
    }
}
