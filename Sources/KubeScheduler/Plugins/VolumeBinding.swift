/// Honours where a pod's volumes are, and finds or has made volumes for claims that wait for the pod. Upstream: plugins/volumebinding.
struct VolumeBinding: FilterPlugin {
    let name = "VolumeBinding"

    private struct Filter: NodeFilter {
        var needs: VolumeNeeds

        func filter(_ node: NodeInfo) -> Rejection? {
            if needs.isVolumeMissing {
                return Rejection("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)", unresolvable: true)
            }
            if !needs.bound.allSatisfy({ $0.isUsable(on: node) }) {
                return Rejection("node(s) didn't match PersistentVolume's node affinity", unresolvable: true)
            }
            return needs.unbound.isEmpty || VolumeChoice(needs, on: node) != nil
                ? nil : Rejection("node(s) didn't find available persistent volumes to bind", unresolvable: true)
        }
    }

    func refusal(_ input: CycleInput) -> String? { input.volumes?.refusal }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? { input.volumes.map { Filter(needs: $0) } }
}
