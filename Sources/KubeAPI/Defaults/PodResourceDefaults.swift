/// Defaults of the resources of a pod as a whole. Upstream: defaultHugePagePodLimits and defaultPodRequests of pkg/apis/core/v1/defaults.go.
enum PodResourceDefaults {
    /// What of a pod's resources may be said at its level, besides huge pages. Upstream: resourcehelper.SupportedPodLevelResources.
    private static let supported: Set<String> = ["cpu", "memory"]
    private static func isHugePage(_ name: String) -> Bool { name.hasPrefix("hugepages-") }

    /// Fills in a spec whose containers have their own defaults already.
    static func apply(_ spec: inout Value) {
        guard case .object? = spec["resources"] else { return }
        let containers = spec
        spec.withObject("resources") { resources in
            guard resources.hasElements("limits") || resources.hasElements("requests") else { return }
            var limits = resources["limits"]?.object ?? Members()
            for (name, sum) in sums(containers, "limits") where isHugePage(name) && isUnset(limits[name]) { limits[name] = .string(sum.description) }
            guard !limits.isEmpty else { return }
            resources["limits"] = .object(limits)
            var requests = resources["requests"]?.object ?? Members()
            // What may be given away twice is what the containers ask for, huge pages are what the pod may have.
            for (name, sum) in sums(containers, "requests") where supported.contains(name) && isUnset(requests[name]) {
                requests[name] = .string(sum.description)
            }
            for (name, limit) in limits where (supported.contains(name) || isHugePage(name)) && isUnset(requests[name]) { requests[name] = limit }
            if !requests.isEmpty { resources["requests"] = .object(requests) }
        }
    }

    private static func isUnset(_ value: Value?) -> Bool { value?.isNull ?? true }

    /// What the containers ask for at once, by name: those that run together, or the largest that starts them.
    /// Upstream: resourcehelper.AggregateContainerRequests, AggregateContainerLimits.
    private static func sums(_ spec: Value, _ list: String) -> [(String, Quantity)] {
        func own(_ container: Value) -> ResourceList {
            (container[path: "resources", list]?.object ?? Members()).reduce(into: [:]) { $0[$1.0] = $1.1.quantity }
        }
        func add(_ more: ResourceList, to sum: inout ResourceList) {
            for (name, amount) in more { sum[name] = sum[name].map { $0 + amount } ?? amount }
        }
        var sum: ResourceList = [:]
        for container in spec["containers"]?.array ?? [] { add(own(container), to: &sum) }
        var sidecars: ResourceList = [:]
        var largest: ResourceList = [:]
        for container in spec["initContainers"]?.array ?? [] {
            var amount = own(container)
            if container["restartPolicy"]?.string == "Always" {
                add(amount, to: &sum)
                add(amount, to: &sidecars)
                amount = sidecars
            } else {
                add(sidecars, to: &amount)
            }
            for (name, amount) in amount where largest[name].map({ amount > $0 }) ?? true { largest[name] = amount }
        }
        for (name, amount) in largest where sum[name].map({ amount > $0 }) ?? true { sum[name] = amount }
        return sum.sorted { $0.key < $1.key }
    }
}
