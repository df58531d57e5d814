/// Keeps pods to nodes where the devices of their ResourceClaims are. No driver can register with a node, so that nobody here offers devices: a claim
/// to which nobody else has given any fits on no node, as upstream says where there is no driver. Upstream: plugins/dynamicresources.
struct DynamicResources: FilterPlugin {
    static let name = "DynamicResources"
    var name: String { Self.name }

    private struct Filter: NodeFilter {
        var needs: DeviceNeeds

        func filter(_ node: NodeInfo) -> Rejection? {
            if !needs.places.allSatisfy({ terms in terms.contains { $0.matches(node) } }) {
                return Rejection("resourceclaim not available on the node", unresolvable: true)
            }
            return needs.isUnallocated ? Rejection("cannot allocate all claims", unresolvable: true) : nil
        }
    }

    func refusal(_ input: CycleInput) -> String? { input.devices?.refusal }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? { input.devices.map { Filter(needs: $0) } }
}
