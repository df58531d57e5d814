import KubeAPI

/// Amounts of compute resources. Upstream: framework.Resource.
struct Resource: Sendable, Hashable {
    /// One request, and a pod, count at most this much (a petabyte, or a trillion cores in thousandths): no node is larger.
    static let limit: Int64 = 1 << 50

    var milliCPU: Int64 = 0
    var memory: Int64 = 0
    var ephemeralStorage: Int64 = 0
    /// Extended resources, huge pages and attachable volumes, by name.
    var scalar: [String: Int64] = [:]

    init() {}

    /// Of a ResourceList such as `resources.requests`; a negative amount counts as none. `pods` is no amount of a pod and is left out.
    init(_ view: JSONView?) {
        guard let view else { return }
        for (name, value) in view.members {
            guard let quantity = value.quantity else { continue }
            let amount = min(Self.limit, max(0, name == "cpu" ? quantity.milliValue : quantity.value))
            switch name {
            case "cpu": milliCPU = amount
            case "memory": memory = amount
            case "ephemeral-storage": ephemeralStorage = amount
            case "pods": break
            default: scalar[name] = amount
            }
        }
    }

    static func += (a: inout Resource, b: Resource) {
        a.milliCPU &+= b.milliCPU
        a.memory &+= b.memory
        a.ephemeralStorage &+= b.ephemeralStorage
        for (name, amount) in b.scalar { a.scalar[name, default: 0] &+= amount }
    }

    static func -= (a: inout Resource, b: Resource) {
        a.milliCPU &-= b.milliCPU
        a.memory &-= b.memory
        a.ephemeralStorage &-= b.ephemeralStorage
        for (name, amount) in b.scalar { a.scalar[name, default: 0] &-= amount }
    }

    /// What no node has counts as `limit`, however many containers ask for it: sums over the pods of a node then do not overflow.
    mutating func capped() {
        milliCPU = min(milliCPU, Self.limit)
        memory = min(memory, Self.limit)
        ephemeralStorage = min(ephemeralStorage, Self.limit)
        for (name, amount) in scalar where amount > Self.limit { scalar[name] = Self.limit }
    }

    /// The larger of each.
    mutating func formMaximum(_ other: Resource) {
        milliCPU = max(milliCPU, other.milliCPU)
        memory = max(memory, other.memory)
        ephemeralStorage = max(ephemeralStorage, other.ephemeralStorage)
        for (name, amount) in other.scalar { scalar[name] = max(scalar[name] ?? 0, amount) }
    }

    var isZero: Bool { milliCPU == 0 && memory == 0 && ephemeralStorage == 0 && scalar.values.allSatisfy { $0 == 0 } }
}

/// How much a pod takes of a node. Upstream: component-helpers/resource.PodRequests, scheduler/util.GetNonzeroRequests.
enum PodRequests {
    /// What a container without requests counts as when nodes are compared, so that such pods spread too. Upstream: DefaultMilliCPURequest,
    /// DefaultMemoryRequest.
    private static let defaultMilliCPU: Int64 = 100
    private static let defaultMemory: Int64 = 200 * 1024 * 1024

    /// The sum of all containers, or the most that starting up takes if that is more. With `nonZero`, containers without requests count as the
    /// defaults. A container on its way from one size to another counts with the most of what is wished for, granted and in force; `status` is of a
    /// pod that was bound.
    static func of(_ spec: JSONView?, status: JSONView? = nil, nonZero: Bool) -> Resource {
        let isInfeasible = status["conditions"].elements.contains {
            $0["type"].string == "PodResizePending" && $0["reason"].string == "Infeasible"
        }
        func request(_ container: JSONView) -> Resource {
            let list = container["resources"]["requests"]
            var resource = Resource(list)
            if let told = current(container, status) {
                // A wish that no node will grant does not count. Upstream: IsPodResizeInfeasible.
                if isInfeasible { (resource.milliCPU, resource.memory) = (0, 0) }
                for other in [told["resources"]["requests"], told["allocatedResources"]] {
                    let amounts = Resource(other)
                    resource.milliCPU = max(resource.milliCPU, amounts.milliCPU)
                    resource.memory = max(resource.memory, amounts.memory)
                }
            }
            if nonZero {
                if list["cpu"] == nil { resource.milliCPU = defaultMilliCPU }
                if list["memory"] == nil { resource.memory = defaultMemory }
            }
            return resource
        }
        var total = Resource()
        for container in spec["containers"].elements {
            total += request(container)
            total.capped()
        }
        var sidecars = Resource()
        var startup = Resource()
        for container in spec["initContainers"].elements {
            var resource = request(container)
            if container["restartPolicy"].string == "Always" {
                total += resource
                total.capped()
                sidecars += resource
                sidecars.capped()
                resource = sidecars
            } else {
                resource += sidecars
            }
            startup.formMaximum(resource)
        }
        total.formMaximum(startup)
        // Requests of the pod as a whole take the place of its containers'.
        if let whole = spec["resources"]["requests"] {
            let resource = Resource(whole)
            if whole["cpu"] != nil { total.milliCPU = resource.milliCPU }
            if whole["memory"] != nil { total.memory = resource.memory }
            for (name, amount) in resource.scalar where name.hasPrefix("hugepages-") { total.scalar[name] = amount }
        }
        total += Resource(spec["overhead"])
        total.capped()
        return total
    }

    /// What the kubelet told of a container that can be resized.
    private static func current(_ container: JSONView, _ status: JSONView?) -> JSONView? {
        guard let status, let name = container["name"].string else { return nil }
        let list = container["restartPolicy"].string == "Always" ? ["initContainerStatuses", "containerStatuses"] : ["containerStatuses"]
        return list.lazy.flatMap { status[$0].elements }.first { $0["name"].string == name }
    }
}
