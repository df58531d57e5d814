import KubeAPI

/// What a pod uses of the node. Upstream: statsapi.PodStats.
struct PodUsage: Sendable {
    struct Container: Sendable {
        var name: String
        /// Bytes of memory that cannot be given back without writing it away.
        var memory: Int64?
        /// Bytes of the writable layer and of logs.
        var storage: Int64 = 0
    }

    var pod: Pod
    var containers: [Container] = []
    /// Bytes; nil when it could not be told.
    var memory: Int64?
    /// Bytes of emptyDirs on the disk, by volume.
    var volumes: [String: Int64] = [:]
    var inodes: Int64 = 0
    var processes: Int64 = 0

    /// Everything of the pod on the node's disk.
    var storage: Int64 { containers.reduce(0) { $0 &+ $1.storage } &+ volumes.values.reduce(0, &+) }

    func amount(_ resource: StarvedResource) -> Quantity {
        switch resource {
        case .memory: Quantity(memory ?? 0, .binarySI)
        case .storage: Quantity(storage, .binarySI)
        case .inodes: Quantity(inodes)
        case .pids: Quantity(processes)
        }
    }
}

/// In which order pods go: pure. Upstream: rankMemoryPressure, rankDiskPressureFunc, rankPIDPressure.
enum EvictionRanking {
    /// Those that use more than they asked for come first, then those of lower priority, then those that use the most beyond it.
    static func ranked(_ pods: [PodUsage], for resource: StarvedResource) -> [PodUsage] {
        struct Place {
            var exceeds: Bool
            var priority: Int64
            var excess: Quantity
        }
        let places = pods.map { usage -> (PodUsage, Place) in
            let requested = PodResources.requests(usage.pod.object, .init(usesStatus: false))[resource.rawValue] ?? .zero
            let used = usage.amount(resource)
            return (
                usage,
                Place(exceeds: resource != .pids && used > requested, priority: usage.pod.spec["priority"].int ?? 0, excess: used - requested)
            )
        }
        return places.sorted { a, b in
            if a.1.exceeds != b.1.exceeds { return a.1.exceeds }
            if a.1.priority != b.1.priority { return a.1.priority < b.1.priority }
            return a.1.excess > b.1.excess
        }.map(\.0)
    }
}

/// What evicted pods are told, in upstream's words. Upstream: evictionMessage and the formats of pkg/kubelet/eviction/helpers.go.
enum EvictionMessages {
    static func starved(_ threshold: EvictionThreshold, _ observation: SignalObservation?, _ usage: PodUsage) -> String {
        let resource = threshold.signal.resource
        var message = "The node was low on resource: \(resource.rawValue). "
        if let observation {
            message += "Threshold quantity: \(threshold.amount.quantity(of: observation.capacity)), available: \(observation.available). "
        }
        for container in usage.containers {
            guard let spec = usage.pod.container(named: container.name) else { continue }
            let used: Int64?
            switch resource {
            case .memory: used = container.memory
            case .storage: used = container.storage
            default: used = nil
            }
            let requested = spec.requests[resource.rawValue] ?? .zero
            guard let used, Quantity(used) > requested else { continue }
            message +=
                "Container \(container.name) was using \(Quantity(used, .binarySI)), request is \(requested), "
                + "has larger consumption of \(resource.rawValue). "
        }
        return message
    }

    /// Why a pod may not stay for what it keeps on the disk; nil when it may. Upstream: localStorageEviction.
    static func localStorage(_ usage: PodUsage) -> String? {
        for volume in usage.pod.volumes {
            guard let limit = volume["emptyDir"]["sizeLimit"].quantity, limit.sign > 0, let name = volume["name"].string,
                let used = usage.volumes[name], Quantity(used) > limit
            else { continue }
            return "Usage of EmptyDir volume \(name.goQuoted) exceeds the limit \(limit.description.goQuoted). "
        }
        let limits = PodResources.limits(usage.pod.object, .init(usesStatus: false))
        if let limit = limits["ephemeral-storage"], Quantity(usage.storage) > limit {
            return "Pod ephemeral local storage usage exceeds the total limit of containers \(limit). "
        }
        for container in usage.containers {
            guard let limit = usage.pod.container(named: container.name)?.limits["ephemeral-storage"], limit.sign > 0,
                Quantity(container.storage) > limit
            else { continue }
            return "Container \(container.name) exceeded its local ephemeral storage limit \(limit.description.goQuoted). "
        }
        return nil
    }

    /// Whether the pod has a limit on what it keeps on the disk at all.
    static func hasStorageLimit(_ pod: Pod) -> Bool {
        pod.volumes.contains { ($0["emptyDir"]["sizeLimit"].quantity?.sign ?? 0) > 0 }
            || pod.containers.contains { ($0.limits["ephemeral-storage"]?.sign ?? 0) > 0 }
    }
}
