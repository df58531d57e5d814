import KubeAPI

/// Why a pod may not run on this node: its status' reason and message. Upstream: lifecycle.PodAdmitResult.
struct PodRejection: Error, Sendable, Equatable {
    var reason: String
    var message: String
}

/// What of the node a pod lacks. Upstream: lifecycle.InsufficientResourceError.
struct ResourceShortfall: Sendable, Equatable {
    var resource: String
    var requested: Int64
    var used: Int64
    var capacity: Int64

    var message: String { "Node didn't have enough resource: \(resource), requested: \(requested), used: \(used), capacity: \(capacity)" }
    var rejection: PodRejection { PodRejection(reason: "OutOf\(resource)", message: message) }
}

/// Whether requests fit beside others: pure. Upstream: fitsRequest of the scheduler's NodeResourcesFit, as the kubelet's admission asks it.
enum NodeRoom {
    /// In units of upstream's messages: thousandths of a processor, whole units of all else.
    static func amount(_ quantity: Quantity, of resource: String) -> Int64 { resource == "cpu" ? quantity.milliValue : quantity.value }

    /// Nil when there is room. `countsPod`: the pod is new here and needs one of the node's places for pods.
    static func shortfall(
        of requests: ResourceList, beside others: [ResourceList], allocatable: ResourceList, countsPod: Bool
    ) -> ResourceShortfall? {
        if countsPod, let places = allocatable["pods"]?.value, Int64(others.count) &+ 1 > places {
            return ResourceShortfall(resource: "pods", requested: 1, used: Int64(others.count), capacity: places)
        }
        let order = ["cpu", "memory", "ephemeral-storage"]
        for resource in order + requests.keys.filter({ !order.contains($0) }).sorted() {
            guard let wanted = requests[resource], wanted.sign > 0 else { continue }
            // Extended resources that the node does not have are counted elsewhere. Upstream: removeMissingExtendedResources.
            let isNative = order.contains(resource) || HugePages.isResource(resource)
            guard let whole = allocatable[resource] ?? (isNative ? .zero : nil) else { continue }
            let used = others.reduce(Quantity.zero) { $0 + ($1[resource] ?? .zero) }
            if used + wanted > whole {
                return ResourceShortfall(
                    resource: resource, requested: amount(wanted, of: resource), used: amount(used, of: resource),
                    capacity: amount(whole, of: resource))
            }
        }
        return nil
    }

    /// What no node of this size could ever give. Upstream: the allocation manager's check before a resize is deferred.
    static func infeasible(_ requests: ResourceList, allocatable: ResourceList) -> String? {
        for resource in ["memory", "cpu"] {
            guard let wanted = requests[resource], wanted > allocatable[resource] ?? .zero else { continue }
            let (requested, capacity) = (amount(wanted, of: resource), amount(allocatable[resource] ?? .zero, of: resource))
            return "Node didn't have enough capacity: \(resource), requested: \(requested), capacity: \(capacity)"
        }
        return nil
    }
}
