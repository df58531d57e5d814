import KubeAPI

/// Fields whose feature gates are off in 1.36: dropped, unless the stored object has them already.
/// Upstream: podutil.DropDisabledPodFields, DropDisabledTemplateFields. A StatefulSet's `maxUnavailable` stays, whose gate was on in 1.35 and is off in
/// 1.36: the controller heeds it.
enum DisabledFields {
    /// Where a kind keeps the spec of its pods.
    private static let podSpecs: [GroupResource: [String]] = [
        GroupResource(group: "", resource: "pods"): ["spec"],
        GroupResource(group: "", resource: "podtemplates"): ["template", "spec"],
        GroupResource(group: "", resource: "replicationcontrollers"): ["spec", "template", "spec"],
        GroupResource(group: "apps", resource: "deployments"): ["spec", "template", "spec"],
        GroupResource(group: "apps", resource: "replicasets"): ["spec", "template", "spec"],
        GroupResource(group: "apps", resource: "statefulsets"): ["spec", "template", "spec"],
        GroupResource(group: "apps", resource: "daemonsets"): ["spec", "template", "spec"],
        GroupResource(group: "batch", resource: "jobs"): ["spec", "template", "spec"],
        GroupResource(group: "batch", resource: "cronjobs"): ["spec", "jobTemplate", "spec", "template", "spec"],
    ]
    private static let containerLists = ["initContainers", "containers", "ephemeralContainers"]

    static func drop(from object: inout Value, row: ResourceRow, old: Value?) {
        guard let path = podSpecs[row.groupResource] else { return }
        guard let spec = object[path: path] else { return }
        let oldSpec = old?[path: path]
        // ContainerStopSignals
        if hasStopSignal(spec), !(oldSpec.map(hasStopSignal) ?? false) { dropStopSignals(&object, path) }
        // ClusterTrustBundleProjection, PodCertificateRequest
        let projections = ["clusterTrustBundle", "podCertificate"].filter { kind in
            hasProjection(kind, spec) && !(oldSpec.map { hasProjection(kind, $0) } ?? false)
        }
        if !projections.isEmpty { drop(projections, from: &object, path) }
    }

    private static func isUnset(_ value: Value?) -> Bool { value?.isNull ?? true }

    private static func hasStopSignal(_ spec: Value) -> Bool {
        containerLists.contains { list in
            (spec[list]?.array ?? []).contains { !isUnset($0[path: "lifecycle", "stopSignal"]) }
        }
    }

    /// A lifecycle with nothing else in it goes as a whole. Upstream: dropContainerStopSignals.
    private static func dropStopSignals(_ object: inout Value, _ path: [String]) {
        for list in containerLists {
            guard let containers = object[path: path + [list]]?.array else { continue }
            object[path: path + [list]] = .array(
                containers.map { container in
                    guard !isUnset(container[path: "lifecycle", "stopSignal"]) else { return container }
                    var container = container
                    let hasHook = ["preStop", "postStart"].contains { !isUnset(container[path: "lifecycle", $0]) }
                    if hasHook { container[path: "lifecycle", "stopSignal"] = nil } else { container["lifecycle"] = nil }
                    return container
                })
        }
    }

    private static func hasProjection(_ kind: String, _ spec: Value) -> Bool {
        (spec["volumes"]?.array ?? []).contains { volume in
            (volume[path: "projected", "sources"]?.array ?? []).contains { !isUnset($0[kind]) }
        }
    }

    /// The source stays, with nothing in it.
    private static func drop(_ kinds: [String], from object: inout Value, _ path: [String]) {
        guard let volumes = object[path: path + ["volumes"]]?.array else { return }
        object[path: path + ["volumes"]] = .array(
            volumes.map { volume in
                guard let sources = volume[path: "projected", "sources"]?.array else { return volume }
                var volume = volume
                volume[path: "projected", "sources"] = .array(
                    sources.map { source in
                        var source = source
                        for kind in kinds where source[kind] != nil { source[kind] = nil }
                        return source
                    })
                return volume
            })
    }
}
