/// Keeps pods off cordoned nodes, unless they tolerate the taint that stands for it. Upstream: plugins/nodeunschedulable.
struct NodeUnschedulable: FilterPlugin {
    let name = "NodeUnschedulable"
    let looksOnlyAtNode = true
    static let taint = Taint(key: "node.kubernetes.io/unschedulable", effect: "NoSchedule")

    private struct Filter: NodeFilter {
        func filter(_ node: NodeInfo) -> Rejection? {
            node.unschedulable ? Rejection("node(s) were unschedulable", unresolvable: true) : nil
        }
    }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? {
        input.pod.tolerates(Self.taint) ? nil : Filter()
    }
}
