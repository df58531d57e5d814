import CloudControllers

/// The pods on Fargate of all clusters, as their control planes told last. Not durable: a control plane tells all again when it starts.
struct FargateDemand {
    /// By cluster, then by the pod's uid; a cluster that told nothing yet has no entry.
    private var pods: [String: [String: FargatePod]] = [:]

    /// Takes over what a cluster told. Returns the uids of the pods that came, changed or went.
    mutating func take(_ all: [FargatePod], of cluster: String) -> Set<String> {
        let before = pods[cluster] ?? [:]
        let after = Dictionary(all.map { ($0.uid, $0) }) { first, _ in first }
        pods[cluster] = after
        return Set(after.filter { before[$0.key] != $0.value }.keys).union(before.keys.filter { after[$0] == nil })
    }

    func isKnown(_ cluster: String) -> Bool { pods[cluster] != nil }
    func pod(_ uid: String, of cluster: String) -> FargatePod? { pods[cluster]?[uid] }
    func hasPods(of profile: String, in cluster: String) -> Bool { pods[cluster]?.values.contains { $0.profile == profile } ?? false }
    mutating func forget(_ cluster: String) { pods[cluster] = nil }
}
