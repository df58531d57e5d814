import KubeAPI

/// Which thresholds are met, since when, and what the node's conditions are: pure, times are given in seconds. Upstream: the eviction manager's
/// synchronize up to the choice of pods.
struct EvictionState: Sendable {
    private let policy: EvictionPolicy
    private var met: [EvictionThreshold] = []
    private var firstObserved: [EvictionThreshold: Double] = [:]
    private var lastObserved: [NodePressure: Double] = [:]
    private(set) var pressures: Set<NodePressure> = []

    init(_ policy: EvictionPolicy) { self.policy = policy }

    /// Takes in a look at the node; returns the thresholds that pods must go for now, the most urgent first.
    mutating func observe(_ observations: NodeObservations, at now: Double) -> [EvictionThreshold] {
        var current = policy.thresholds.filter { Self.isMet($0, observations, withReclaim: false) }
        for threshold in met where !current.contains(threshold) && Self.isMet(threshold, observations, withReclaim: true) {
            current.append(threshold)
        }
        firstObserved = Dictionary(current.map { ($0, firstObserved[$0] ?? now) }) { first, _ in first }
        for threshold in current { lastObserved[threshold.signal.pressure] = now }
        pressures = Set(lastObserved.filter { now - $0.value < policy.transitionPeriod || $0.value == now }.keys)
        met = current.filter { now - (firstObserved[$0] ?? now) >= $0.grace }
        // Memory is what cannot be waited for. Upstream: byEvictionPriority.
        return met.filter { $0.signal.resource == .memory } + met.filter { $0.signal.resource != .memory }
    }

    /// Whether nothing is met any more, with what is to be reclaimed beyond the thresholds.
    func isResolved(_ observations: NodeObservations) -> Bool { !policy.thresholds.contains { Self.isMet($0, observations, withReclaim: true) } }

    private static func isMet(_ threshold: EvictionThreshold, _ observations: NodeObservations, withReclaim: Bool) -> Bool {
        guard let observation = observations[threshold.signal] else { return false }
        var wanted = threshold.amount.quantity(of: observation.capacity)
        if withReclaim, let more = threshold.minimumReclaim { wanted += more.quantity(of: observation.capacity) }
        return observation.available < wanted
    }
}

/// Which pods may come to a node under pressure. Upstream: the eviction manager's Admit.
enum PressureAdmission {
    /// Static pods, and those of the priority classes that Kubernetes brings. Upstream: kubetypes.IsCriticalPod.
    static func isCritical(_ pod: Pod) -> Bool { pod.isStatic || (pod.spec["priority"].int ?? 0) >= 2_000_000_000 }

    static func rejection(_ pod: Pod, pressures: Set<NodePressure>) -> PodRejection? {
        if pressures.isEmpty || isCritical(pod) { return nil }
        if pressures == [.memory], pod.qosClass != .bestEffort || toleratesMemoryPressure(pod) { return nil }
        let names = NodePressure.allCases.filter(pressures.contains).map(\.rawValue).joined(separator: " ")
        return PodRejection(reason: "Evicted", message: "The node had condition: [\(names)]. ")
    }

    private static func toleratesMemoryPressure(_ pod: Pod) -> Bool {
        pod.spec["tolerations"].elements.contains { toleration in
            let (key, effect) = (toleration["key"].string ?? "", toleration["effect"].string ?? "")
            guard effect.isEmpty || effect == "NoSchedule" else { return false }
            let exists = toleration["operator"].string == "Exists"
            if key.isEmpty { return exists }
            return key == "node.kubernetes.io/memory-pressure" && (exists || (toleration["value"].string ?? "").isEmpty)
        }
    }
}
