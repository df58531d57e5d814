/// Honours a node that the pod names itself. Upstream: plugins/nodename.
struct NodeName: FilterPlugin {
    let name = "NodeName"
    let looksOnlyAtNode = true

    private struct Filter: NodeFilter {
        var nodeName: String
        func filter(_ node: NodeInfo) -> Rejection? {
            node.name == nodeName ? nil : Rejection("node(s) didn't match the requested node name", unresolvable: true)
        }
    }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? {
        input.pod.nodeName.isEmpty ? nil : Filter(nodeName: input.pod.nodeName)
    }
}
