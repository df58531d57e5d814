import KubeAPI

/// A pod's class by its requests and limits of cpu and memory. Upstream: pkg/apis/core/helper/qos.ComputePodQOS.
enum PodQualityOfService {
    /// What one container, or the pod as a whole, asks for.
    private struct Resources {
        /// By name; nil for what is missing or no quantity.
        let request: (String) -> Quantity?
        let limit: (String) -> Quantity?
    }

    /// Of a pod that is being written.
    static func compute(_ pod: Value) -> String {
        func resources(_ owner: Value?) -> Resources? {
            guard let resources = owner?["resources"], resources["requests"]?.object != nil || resources["limits"]?.object != nil else { return nil }
            return Resources(
                request: { (resources["requests"]?[$0]).flatMap(quantity) }, limit: { (resources["limits"]?[$0]).flatMap(quantity) })
        }
        let containers = ["containers", "initContainers"].flatMap { pod[path: "spec", $0]?.array ?? [] }
        return compute(pod: resources(pod["spec"]), containers: containers.lazy.map { resources($0) })
    }

    static func compute(_ pod: Object) -> String {
        func resources(_ owner: JSONView?) -> Resources? {
            guard let resources = owner["resources"].present, resources["requests"].present != nil || resources["limits"].present != nil else {
                return nil
            }
            return Resources(request: { resources["requests"][$0]?.quantity }, limit: { resources["limits"][$0]?.quantity })
        }
        let containers = pod["spec"]["containers"].elements + pod["spec"]["initContainers"].elements
        return compute(pod: resources(pod["spec"]), containers: containers.lazy.map { resources($0) })
    }

    private static func quantity(_ value: Value) -> Quantity? {
        switch value {
        case .string(let text): try? Quantity(text)  // Validation refuses what is none.
        case .int(let number): try? Quantity(String(number))
        default: nil
        }
    }

    private static func compute(pod: Resources?, containers: some Sequence<Resources?>) -> String {
        var requests: ResourceList = [:]
        var limits: ResourceList = [:]
        var isGuaranteed = true
        /// How many of the two were there.
        func add(_ sum: inout ResourceList, _ list: ((String) -> Quantity?)?) -> Int {
            var seen = 0
            for name in ["cpu", "memory"] {
                guard let quantity = list?(name), quantity.sign > 0 else { continue }
                sum[name] = (sum[name] ?? .zero) + quantity
                seen += 1
            }
            return seen
        }
        if let pod {
            // Resources of the pod as a whole stand for its containers'.
            _ = add(&requests, pod.request)
            if add(&limits, pod.limit) < 2 { isGuaranteed = false }
        } else {
            for container in containers {
                _ = add(&requests, container?.request)
                if add(&limits, container?.limit) < 2 { isGuaranteed = false }
            }
        }
        if requests.isEmpty, limits.isEmpty { return "BestEffort" }
        if isGuaranteed, requests.count == limits.count, requests.allSatisfy({ limits[$0.key] == $0.value }) { return "Guaranteed" }
        return "Burstable"
    }
}
