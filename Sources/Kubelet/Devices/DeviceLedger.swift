import KubeAPI

/// Which devices there are and who has them: pure. Upstream: devicemanager's podDevices and its sets of devices.
struct DeviceLedger: Sendable {
    struct Holder: Hashable, Sendable {
        var podUID: String
        var container: String
    }

    /// Devices by resource and id, with whether each is healthy.
    private(set) var devices: [String: [String: Bool]] = [:]
    /// Ids by holder and resource.
    private(set) var held: [Holder: [String: [String]]] = [:]

    mutating func set(_ devices: [String: Bool], of resource: String) { self.devices[resource] = devices }

    /// The plug-in has gone: its devices are not to be given out.
    mutating func lose(_ resource: String) { devices[resource] = devices[resource]?.mapValues { _ in false } }

    var capacity: ResourceList { devices.mapValues { Quantity(Int64($0.count)) } }
    var allocatable: ResourceList { devices.mapValues { Quantity(Int64($0.values.count { $0 })) } }

    /// Gives a container `count` devices, those of the pod's init containers that have ended before others. Throws `PodRejection` when there are too few.
    mutating func take(_ count: Int, of resource: String, for holder: Holder, reusing former: [String]) throws -> [String] {
        if let ids = held[holder]?[resource], ids.count == count { return ids }
        let used = Set(held.values.flatMap { $0[resource] ?? [] }).subtracting(former)
        let free = (devices[resource] ?? [:]).filter { $0.value && !used.contains($0.key) }.keys.sorted()
        guard free.count >= count else {
            let problem = "requested number of devices unavailable for \(resource). Requested: \(count), Available: \(free.count)"
            throw PodRejection(reason: "UnexpectedAdmissionError", message: "Allocate failed due to \(problem), which is unexpected")
        }
        let preferred = free.filter(former.contains)
        let ids = Array((preferred + free.filter { !former.contains($0) }).prefix(count))
        held[holder, default: [:]][resource] = ids
        return ids
    }

    /// Found with a container of an earlier agent.
    mutating func note(_ ids: [String: [String]], of holder: Holder) { held[holder] = ids }

    mutating func release(podUID: String) { held = held.filter { $0.key.podUID != podUID } }
    mutating func release(_ holder: Holder) { held[holder] = nil }
}
