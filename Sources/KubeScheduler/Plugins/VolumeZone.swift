import KubeAPI

/// Keeps pods in the zones that their volumes' labels name. Upstream: plugins/volumezone.
struct VolumeZone: FilterPlugin {
    let name = "VolumeZone"

    private static let keys = [
        "topology.kubernetes.io/zone", "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
    ]

    private struct Filter: NodeFilter {
        /// Labels with the values that will do.
        var places: [(key: String, values: Set<String>)]

        func filter(_ node: NodeInfo) -> Rejection? {
            // A cluster without zones has them on no node.
            guard VolumeZone.keys.contains(where: { node.labels[$0] != nil }) else { return nil }
            for (key, values) in places where !(node.labels[key].map(values.contains) ?? false) {
                return Rejection("node(s) had no available volume zone", unresolvable: true)
            }
            return nil
        }
    }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? {
        let places = (input.volumes?.bound ?? []).flatMap { volume in
            let labels = volume.metadata.labels
            // Several zones stand in one value, apart by two underscores.
            return Self.keys.compactMap { key in
                labels[key].map { (key: key, values: Set($0.replacing("__", with: "\n").split(separator: "\n").map(String.init))) }
            }
        }
        return places.isEmpty ? nil : Filter(places: places)
    }
}
