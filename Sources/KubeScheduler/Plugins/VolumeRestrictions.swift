/// Keeps a claim that only one pod may use to one pod. Upstream: plugins/volumerestrictions (ReadWriteOncePod).
struct VolumeRestrictions: FilterPlugin {
    let name = "VolumeRestrictions"

    private struct Filter: NodeFilter {
        var claims: [String]

        func filter(_ node: NodeInfo) -> Rejection? {
            claims.contains { node.claims[$0] != nil }
                ? Rejection("node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode") : nil
        }
    }

    /// On any other node the claim is in use as well: only the pod's going can help, and that is on one node.
    private struct Elsewhere: NodeFilter {
        var filter: Filter

        func filter(_ node: NodeInfo) -> Rejection? {
            filter.filter(node)
                ?? Rejection("node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode", unresolvable: true)
        }
    }

    let looksAtOtherPods = true

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? {
        let used = (input.volumes?.exclusive ?? []).filter { cache.isInUse(claim: $0) }
        return used.isEmpty ? nil : Elsewhere(filter: Filter(claims: used))
    }
}
