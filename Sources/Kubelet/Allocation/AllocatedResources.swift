import KubeAPI

/// The `resources` that each container of a pod was given, by name: what it runs with until a resize is granted. Only cpu and memory of a running pod
/// can change. Upstream: allocation/state.PodResourceInfo.
struct AllocatedResources: Sendable, Equatable {
    private(set) var containers: [String: Value] = [:]

    private static let resizable = ["cpu", "memory"]

    /// As the spec wishes.
    init(spec pod: Pod) {
        for container in Self.resizable(pod) { containers[container.name] = container.view["resources"].value ?? [:] }
    }

    /// As the pod's status tells it of containers that have been granted something before; the spec for the others. So an agent that was started again
    /// knows what its predecessor granted.
    init(reported pod: Pod) {
        for container in Self.resizable(pod) {
            var resources = container.view["resources"].value ?? [:]
            let list = container.isInit ? "initContainerStatuses" : "containerStatuses"
            let status = pod.status[list].elements.first { $0["name"].string == container.name }
            if let told = status["resources"], told["requests"] != nil || told["limits"] != nil || status["allocatedResources"] != nil {
                let requests = status["allocatedResources"] ?? told["requests"]
                for name in Self.resizable {
                    for (list, amount) in [("requests", requests[name].value), ("limits", told["limits"][name].value)] {
                        if amount != nil || resources[path: list, name] != nil { resources[path: list, name] = amount }
                    }
                }
            }
            containers[container.name] = resources
        }
    }

    /// Containers whose resources may change while they run. Upstream: IsResizableContainer.
    static func resizable(_ pod: Pod) -> [ContainerSpec] { pod.initContainers.filter(\.isSidecar) + pod.containers }

    /// Whether the spec wishes for nothing else.
    func matches(_ pod: Pod) -> Bool {
        Self.resizable(pod).allSatisfy { container in
            guard let granted = containers[container.name] else { return true }
            return ["requests", "limits"].allSatisfy { list in
                Self.resizable.allSatisfy { Self.quantity(granted, list, $0) == container.view["resources"][list][$0].quantity }
            }
        }
    }

    private static func quantity(_ resources: Value, _ list: String, _ name: String) -> Quantity? {
        switch resources[path: list, name] {
        case .string(let text)?: try? Quantity(text)  // No quantity reads as none.
        case .int(let number)?: Quantity(number)
        default: nil
        }
    }

    /// The pod with what it was given in place of what it wishes for.
    func apply(to pod: Pod) -> Pod {
        guard !matches(pod) else { return pod }
        var value = pod.object.value
        for list in ["initContainers", "containers"] {
            guard let specs = value[path: "spec", list]?.array else { continue }
            value[path: "spec", list] = .array(
                specs.map { spec in
                    guard let name = spec["name"]?.string, let granted = containers[name] else { return spec }
                    var spec = spec
                    spec["resources"] = granted
                    return spec
                })
        }
        return (try? Object(value)).map { Pod($0) } ?? pod  // A tree made of a parsed object always encodes to one.
    }
}
