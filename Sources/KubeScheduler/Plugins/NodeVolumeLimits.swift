/// Keeps to how many volumes of a CSI driver a node can have. Upstream: plugins/nodevolumelimits.
struct NodeVolumeLimits: FilterPlugin {
    let name = "NodeVolumeLimits"

    private struct Filter: NodeFilter {
        var wanted: [String: Set<String>]
        var lookup: VolumeLookup

        func filter(_ node: NodeInfo) -> Rejection? {
            for (driver, volumes) in wanted {
                guard let limit = lookup.limit(of: driver, on: node.name) else { continue }
                let attached = lookup.attached(of: driver, claims: node.claims.keys)
                if Int64(attached.union(volumes).count) > limit { return Rejection("node(s) exceed max volume count") }
            }
            return nil
        }
    }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? {
        guard let needs = input.volumes, let lookup = input.lookup, !needs.attached.isEmpty, lookup.csiNodes.count > 0 else { return nil }
        return Filter(wanted: needs.attached, lookup: lookup)
    }
}
