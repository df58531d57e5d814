/// Pods for which room is being made on a node: until they are bound, others of no higher priority must not take it.
/// Upstream: pkg/scheduler/backend/queue.nominator.
struct Nominator: Sendable {
    private var pods: [String: [String: PodInfo]] = [:]
    private var nodes: [String: String] = [:]

    var isEmpty: Bool { nodes.isEmpty }
    func node(of uid: String) -> String? { nodes[uid] }

    mutating func nominate(_ pod: PodInfo, for node: String) {
        remove(pod.uid)
        pods[node, default: [:]][pod.uid] = pod
        nodes[pod.uid] = node
    }

    mutating func remove(_ uid: String) {
        guard let node = nodes.removeValue(forKey: uid) else { return }
        pods[node]?[uid] = nil
        if pods[node]?.isEmpty ?? false { pods[node] = nil }
    }

    /// The nodes on which there are some before which `pod` must stand back.
    func nodes(before pod: PodInfo) -> [String] { pods.keys.filter { !pods(on: $0, before: pod).isEmpty } }

    /// Those before which `pod` must stand back on a node.
    func pods(on node: String, before pod: PodInfo) -> [PodInfo] {
        pods[node]?.values.filter { $0.uid != pod.uid && $0.priority >= pod.priority } ?? []
    }

    /// Those that stand back before `pod`: what they were promised is gone. Upstream: getLowerPriorityNominatedPods.
    func pods(on node: String, behind pod: PodInfo) -> [PodInfo] { pods[node]?.values.filter { $0.priority < pod.priority } ?? [] }
}
