import KubeAPI

/// Pods that ask for a device tolerate the taint that keeps others off the nodes that have it. On in EKS, off by default upstream.
/// Upstream: plugin/extendedresourcetoleration.
struct ExtendedResourceToleration: AdmissionPlugin {
    let name = "ExtendedResourceToleration"

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.isFor(.pods, .create, .update) else { return }
        var names: Set<String> = []
        for list in ["containers", "initContainers"] {
            for container in attributes.object[path: "spec", list]?.array ?? [] {
                for name in container[path: "resources", "requests"]?.object?.keys ?? [] where QuotaNames.isExtended(name) { names.insert(name) }
            }
        }
        guard !names.isEmpty else { return }
        var tolerations = attributes.object[path: "spec", "tolerations"]?.array ?? []
        for name in names.sorted() {
            let isThere = tolerations.contains {
                $0["key"]?.string == name && $0["operator"]?.string == "Exists" && $0["effect"]?.string == "NoSchedule"
            }
            if !isThere { tolerations.append(["key": .string(name), "operator": "Exists", "effect": "NoSchedule"]) }
        }
        attributes.object[path: "spec", "tolerations"] = .array(tolerations)
    }
}
