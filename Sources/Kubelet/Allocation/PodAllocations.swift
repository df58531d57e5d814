import KubeAPI
import Synchronization

/// A resize that was wished for and not granted. Upstream: the condition PodResizePending.
struct PendingResize: Sendable, Equatable {
    enum Reason: String, Sendable { case deferred = "Deferred", infeasible = "Infeasible" }
    var reason: Reason
    var message: String
    /// The pod's generation that asked.
    var generation: Int64
}

/// What the pods of this node have been given of it, and what they wait for. Decides whether a pod may come and whether a running one may have other
/// resources; nothing is kept on disk, since pods' statuses tell what was granted. Upstream: pkg/kubelet/allocation.Manager.
final class PodAllocations: Sendable {
    /// What a look at a pod's wishes gave.
    enum Outcome: Sendable, Equatable {
        /// It has what it wishes for.
        case unchanged
        case granted
        /// Not now, or never on this node; `isNews`: it was not told before.
        case pending(PendingResize, isNews: Bool)
    }

    private struct Entry {
        /// With the wishes of the spec.
        var pod: Pod
        var given: AllocatedResources
        var requests: ResourceList
        var pending: PendingResize?
        /// Since when it waits, as a counter.
        var waitingSince = 0
    }
    private struct State {
        var entries: [String: Entry] = [:]
        var clock = 0
    }

    private let allocatable: ResourceList
    private let state = Mutex(State())

    init(allocatable: ResourceList) { self.allocatable = allocatable }

    private static func requests(_ pod: Pod) -> ResourceList { PodResources.requests(pod.object, .init(usesStatus: false)) }

    /// Takes in a pod that was bound to this node, or says why it cannot run here. One that was started before is taken as it was.
    func admit(_ pod: Pod) -> PodRejection? {
        state.withLock { state in
            let wasAdmitted = pod.status["startTime"].string != nil
            let given = wasAdmitted ? AllocatedResources(reported: pod) : AllocatedResources(spec: pod)
            let requests = Self.requests(given.apply(to: pod))
            if !wasAdmitted {
                let others = state.entries.filter { $0.key != pod.uid }.map(\.value.requests)
                if let missing = NodeRoom.shortfall(of: requests, beside: others, allocatable: allocatable, countsPod: true) {
                    return missing.rejection
                }
            }
            state.entries[pod.uid] = Entry(pod: pod, given: given, requests: requests)
            return nil
        }
    }

    /// Looks at the newest wishes of a pod that was admitted; returns the pod with what it has been given.
    func update(_ pod: Pod) -> (pod: Pod, outcome: Outcome) {
        state.withLock { state in
            guard state.entries[pod.uid] != nil else { return (pod, .unchanged) }
            state.entries[pod.uid]?.pod = pod
            let outcome = Self.grant(pod.uid, &state, allocatable)
            return (state.entries[pod.uid]?.given.apply(to: pod) ?? pod, outcome)
        }
    }

    private static func grant(_ uid: String, _ state: inout State, _ allocatable: ResourceList) -> Outcome {
        guard var entry = state.entries[uid] else { return .unchanged }
        defer { state.entries[uid] = entry }
        guard !entry.given.matches(entry.pod) else {
            entry.pending = nil
            return .unchanged
        }
        let wished = requests(entry.pod)
        let generation = entry.pod.metadata.generation
        let refusal: PendingResize?
        if let message = NodeRoom.infeasible(wished, allocatable: allocatable) {
            refusal = PendingResize(reason: .infeasible, message: message, generation: generation)
        } else {
            let others = state.entries.filter { $0.key != uid }.map(\.value.requests)
            refusal = NodeRoom.shortfall(of: wished, beside: others, allocatable: allocatable, countsPod: false).map {
                PendingResize(reason: .deferred, message: $0.message, generation: generation)
            }
        }
        guard let refusal else {
            entry.given = AllocatedResources(spec: entry.pod)
            entry.requests = wished
            entry.pending = nil
            return .granted
        }
        let isNews = entry.pending?.reason != refusal.reason || entry.pending?.message != refusal.message
        if entry.pending == nil {
            state.clock += 1
            entry.waitingSince = state.clock
        }
        entry.pending = refusal
        return .pending(refusal, isNews: isNews)
    }

    func pending(_ uid: String) -> PendingResize? { state.withLock { $0.entries[uid]?.pending } }

    /// The pod with what it has been given.
    func given(_ pod: Pod) -> Pod { state.withLock { $0.entries[pod.uid]?.given }?.apply(to: pod) ?? pod }

    /// A pod has ended: what it had is free.
    func release(uid: String) { state.withLock { _ = $0.entries.removeValue(forKey: uid) } }

    /// Grants what waits as far as there is room now; returns the pods that got theirs. Called when a pod has ended or become smaller.
    func grantPending() -> [String] {
        state.withLock { state in
            let waiting = state.entries.filter { $0.value.pending?.reason == .deferred }.sorted { Self.comesFirst($0.value, $1.value) }
            return waiting.map(\.key).filter { Self.grant($0, &state, allocatable) == .granted }
        }
    }

    /// Upstream: sortPendingResizes.
    private static func comesFirst(_ a: Entry, _ b: Entry) -> Bool {
        let (smaller, otherSmaller) = (!grows(a), !grows(b))
        if smaller != otherSmaller { return smaller }
        let (priority, other) = (a.pod.spec["priority"].int ?? 0, b.pod.spec["priority"].int ?? 0)
        if priority != other { return priority > other }
        let (guaranteed, otherGuaranteed) = (a.pod.qosClass == .guaranteed, b.pod.qosClass == .guaranteed)
        if guaranteed != otherGuaranteed { return guaranteed }
        return a.waitingSince < b.waitingSince
    }

    private static func grows(_ entry: Entry) -> Bool {
        let wished = requests(entry.pod)
        return ["cpu", "memory"].contains { wished[$0] ?? .zero > entry.requests[$0] ?? .zero }
    }
}
