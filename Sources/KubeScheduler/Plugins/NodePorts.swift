/// Keeps pods off nodes where their host ports are taken. Upstream: plugins/nodeports.
struct NodePorts: FilterPlugin {
    let name = "NodePorts"
    let looksOnlyAtNode = true

    private struct Filter: NodeFilter {
        var ports: [HostPort]
        func filter(_ node: NodeInfo) -> Rejection? {
            for taken in node.hostPorts.keys where ports.contains(where: { $0.conflicts(with: taken) }) {
                return Rejection("node(s) didn't have free ports for the requested pod ports")
            }
            return nil
        }
    }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? {
        input.pod.hostPorts.isEmpty ? nil : Filter(ports: input.pod.hostPorts)
    }
}
