/// What a pod asks for as a whole. Upstream: component-helpers/resource.PodRequests and PodLimits.
package enum PodResources {
    /// What counts of a pod's containers.
    package struct Options: Sendable {
        /// Whether `spec.resources` and the resources of resized containers count; LimitRanger looks at the wish of the containers alone.
        package var usesStatus: Bool

        package init(usesStatus: Bool = true) { self.usesStatus = usesStatus }
    }

    /// Pod-level resources that may be set. Upstream: resourcehelper.supportedPodLevelResources.
    private static func isPodLevel(_ name: String) -> Bool { name == "cpu" || name == "memory" || name.hasPrefix("hugepages-") }

    /// The requests, with overhead.
    package static func requests(_ pod: Object, _ options: Options = Options()) -> ResourceList {
        let isInfeasible = options.usesStatus && isResizeInfeasible(pod)
        var total = aggregate(pod) { container in
            var list = container["resources"].flatMap { $0["requests"] }.resourceList
            guard options.usesStatus, let status = status(of: container, in: pod) else { return list }
            if isInfeasible { list = [:] }
            // A resize counts with the most of what is wished for, granted and in force.
            for other in [status["resources"].flatMap { $0["requests"] }.resourceList, status["allocatedResources"].resourceList] {
                list.merge(other) { max($0, $1) }
            }
            return list
        }
        for (name, quantity) in pod["spec"]["resources"]["requests"].resourceList where isPodLevel(name) { total[name] = quantity }
        for (name, quantity) in pod["spec"]["overhead"].resourceList { total[name] = (total[name] ?? .zero) + quantity }
        return total
    }

    /// The limits; overhead is added where there is a limit.
    package static func limits(_ pod: Object, _ options: Options = Options()) -> ResourceList {
        let isInfeasible = options.usesStatus && isResizeInfeasible(pod)
        var total = aggregate(pod) { container in
            var list = container["resources"].flatMap { $0["limits"] }.resourceList
            guard options.usesStatus, let status = status(of: container, in: pod) else { return list }
            if isInfeasible { list = [:] }
            list.merge(status["resources"].flatMap { $0["limits"] }.resourceList) { max($0, $1) }
            return list
        }
        for (name, quantity) in pod["spec"]["resources"]["limits"].resourceList where isPodLevel(name) { total[name] = quantity }
        for (name, quantity) in pod["spec"]["overhead"].resourceList { if let limit = total[name] { total[name] = limit + quantity } }
        return total
    }

    /// A wish that no node will grant does not count. Upstream: IsPodResizeInfeasible.
    private static func isResizeInfeasible(_ pod: Object) -> Bool {
        guard pod.mayContain("PodResizePending") else { return false }
        return pod["status"].flatMap { $0["conditions"] }.elements.contains {
            ($0["type"]?.equals("PodResizePending") ?? false) && ($0["reason"]?.equals("Infeasible") ?? false)
        }
    }

    private static func status(of container: JSONView, in pod: Object) -> JSONView? {
        guard let name = container["name"].string else { return nil }
        let statuses = pod["status"].flatMap { $0[container["restartPolicy"].string == "Always" ? "initContainerStatuses" : "containerStatuses"] }
        return statuses.elements.first { $0["name"]?.equals(name) ?? false }
    }

    /// The sum of the containers, or the most that the init containers need on their way; sidecars run on beside both.
    private static func aggregate(_ pod: Object, _ resources: (JSONView) -> ResourceList) -> ResourceList {
        var total: ResourceList = [:]
        func add(_ list: ResourceList, to sum: inout ResourceList) { sum.merge(list) { $0 + $1 } }
        for container in pod["spec"]["containers"].elements { add(resources(container), to: &total) }
        var sidecars: ResourceList = [:]
        var most: ResourceList = [:]
        for container in pod["spec"]["initContainers"].elements {
            var needed = resources(container)
            if container["restartPolicy"].string == "Always" {
                add(needed, to: &total)
                add(needed, to: &sidecars)
                needed = sidecars
            } else {
                add(sidecars, to: &needed)
            }
            most.merge(needed) { max($0, $1) }
        }
        total.merge(most) { max($0, $1) }
        return total
    }
}
