import KubeAPI

/// A pod that waits to be scheduled. Upstream: framework.QueuedPodInfo.
struct QueuedPod: Sendable {
    var info: PodInfo
    /// The place of the profile that its scheduler's name names.
    var profile = 0
    /// When it came into its present place of the queue.
    var timestamp: Timestamp
    /// Tries so far.
    var attempts = 0
    var lastFailure: Timestamp?
    /// Plugins that rejected nodes in the last try.
    var rejectedBy: Set<String> = []
}

/// Pods that wait: ready to be tried by priority and time; backing off; or until something changes. A value, no clock of its own.
/// Upstream: pkg/scheduler/backend/queue.PriorityQueue.
///
/// ```
///            pop                fails                    event
///   active ───────▶ (a try) ─────────────▶ unschedulable ───────┐
///     ▲                        │ error                          │ backoff over: to active at once
///     │ backoff over           ▼                                ▼
///     └──────────────────── backoff ◀───────────────────────────┘
/// ```
struct SchedulingQueue: Sendable {
    /// A time at which a pod must be looked at again; see `flush`.
    struct Timer: Sendable, Equatable {
        var uid: String
        var after: Double
    }

    /// A pod that no event has moved for so long is tried again all the same. Upstream: DefaultPodMaxInUnschedulablePodsDuration.
    static let maxUnschedulable: Double = 300

    private struct HeapEntry: Sendable {
        var priority: Int64
        var timestamp: Timestamp
        var serial: UInt64
        var uid: String

        func precedes(_ other: HeapEntry) -> Bool {
            if priority != other.priority { return priority > other.priority }
            if timestamp != other.timestamp { return timestamp < other.timestamp }
            return serial < other.serial
        }
    }

    /// Removed pods stay in the heap until they come up; `active` says whether an entry still counts.
    private var heap: [HeapEntry] = []
    private var active: [String: (pod: QueuedPod, serial: UInt64)] = [:]
    private var backoff: [String: QueuedPod] = [:]
    private var unschedulable = UnschedulablePods()
    private var gated: [String: QueuedPod] = [:]
    private var serial: UInt64 = 0
    /// A pod that extenders are being asked about, with what has happened since. Upstream: inFlightPods, inFlightEvents.
    private var consulted: (uid: String, events: [ClusterEvent])?
    /// Pods of the unschedulable for whom room is being made, and whether something has happened since that concerns them.
    private var preparing: [String: Bool] = [:]
    private let patience: PodBackoff

    init(_ patience: PodBackoff = .standard) { self.patience = patience }

    var activeCount: Int { active.count }
    var backoffCount: Int { backoff.count }
    var unschedulableCount: Int { unschedulable.count }
    var gatedCount: Int { gated.count }
    func contains(_ uid: String) -> Bool { active[uid] != nil || backoff[uid] != nil || unschedulable[uid] != nil || gated[uid] != nil }

    /// A pod that is new, or whose spec or labels changed. A changed one is tried again, as it may fit now.
    /// - Parameters:
    ///   - profile: the place of its profile.
    ///   - holdsGated: whether the pod waits as long as it has scheduling gates.
    mutating func set(_ pod: PodInfo, profile: Int = 0, holdsGated: Bool = true, now: Timestamp) {
        var queued = remove(pod.uid) ?? QueuedPod(info: pod, timestamp: now)
        queued.info = pod
        queued.profile = profile
        if holdsGated, SchedulingGates.reasonToWait(pod) != nil { gated[pod.uid] = queued } else { activate(queued) }
    }

    /// The next pod to try; it is no longer in the queue.
    mutating func pop() -> QueuedPod? {
        while let entry = popHeap() {
            guard let waiting = active[entry.uid], waiting.serial == entry.serial else { continue }
            active[entry.uid] = nil
            var pod = waiting.pod
            pod.attempts += 1
            return pod
        }
        return nil
    }

    /// Extenders are asked about a pod: until `endConsultation`, what happens is remembered. One pod at a time.
    mutating func beginConsultation(_ uid: String) { consulted = (uid, []) }

    /// Gives what has happened since the beginning.
    mutating func endConsultation() -> [ClusterEvent] {
        defer { consulted = nil }
        return consulted?.events ?? []
    }

    /// A pod that fits nowhere: it waits for an event that concerns the plugins that rejected it.
    /// - Parameter isPreparing: room is being made for it: it waits for `endPreparation` too. Tried when some of those in its way have gone and
    ///   others have not, it would drive out more elsewhere. Upstream: DefaultPreemption.PreEnqueue.
    mutating func addUnschedulable(_ pod: QueuedPod, rejectedBy: Set<String>, isPreparing: Bool = false, now: Timestamp) -> Timer {
        if isPreparing { preparing[pod.info.uid] = false }
        var pod = pod
        pod.rejectedBy = rejectedBy
        pod.lastFailure = now
        pod.timestamp = now
        unschedulable.insert(pod)
        return Timer(uid: pod.info.uid, after: Self.maxUnschedulable)
    }

    /// A pod that cannot be tried before something else is done for it: that costs it neither a try nor a back-off.
    mutating func addWaiting(_ pod: QueuedPod, for plugins: Set<String>, now: Timestamp) {
        var pod = pod
        pod.rejectedBy = plugins
        pod.attempts = max(0, pod.attempts - 1)
        pod.timestamp = now
        unschedulable.insert(pod)
    }

    /// A pod whose try failed by an error, not by the cluster's state: it is tried again after its backoff, whatever happens.
    mutating func addBackoff(_ pod: QueuedPod, now: Timestamp) -> Timer {
        var pod = pod
        pod.rejectedBy = []
        pod.lastFailure = now
        pod.timestamp = now
        return startBackoff(pod, now: now)
    }

    /// Takes the pods that `event` concerns out of their waiting. The timers are for those that still have to sit out their backoff.
    mutating func move(_ event: ClusterEvent, now: Timestamp) -> [Timer] {
        if consulted != nil, !(consulted?.events.contains(event) ?? true) { consulted?.events.append(event) }
        var timers: [Timer] = []
        for pod in unschedulable.concerned(by: event) {
            if preparing[pod.info.uid] != nil {
                preparing[pod.info.uid] = true
                continue
            }
            if let timer = leaveUnschedulable(pod, now) { timers.append(timer) }
        }
        return timers
    }

    /// All that was in a pod's way has been told to go, or could not be. It is tried again if something has happened meanwhile that concerns it, and
    /// in any case when `isFailed`.
    mutating func endPreparation(_ uid: String, isFailed: Bool, now: Timestamp) -> Timer? {
        guard let hasMoved = preparing.removeValue(forKey: uid), hasMoved || isFailed, let pod = unschedulable[uid] else { return nil }
        return leaveUnschedulable(pod, now)
    }

    private mutating func leaveUnschedulable(_ pod: QueuedPod, _ now: Timestamp) -> Timer? {
        unschedulable.remove(pod.info.uid)
        if backoffLeft(pod, now) > 0 { return startBackoff(pod, now: now) }
        activate(pod)
        return nil
    }

    /// A timer has ended. Gives another one when it ended too early.
    mutating func flush(_ uid: String, now: Timestamp) -> Timer? {
        if let pod = backoff[uid] {
            let left = backoffLeft(pod, now)
            if left > 0 { return Timer(uid: uid, after: left) }
            backoff[uid] = nil
            activate(pod)
        } else if let pod = unschedulable[uid] {
            let left = Self.maxUnschedulable - now.timeInterval(since: pod.timestamp)
            if left > 0 { return Timer(uid: uid, after: left) }
            unschedulable.remove(uid)
            activate(pod)
        }
        return nil
    }

    @discardableResult mutating func remove(_ uid: String) -> QueuedPod? {
        preparing[uid] = nil
        return active.removeValue(forKey: uid)?.pod ?? backoff.removeValue(forKey: uid) ?? unschedulable.remove(uid)
            ?? gated.removeValue(forKey: uid)
    }

    private func backoffLeft(_ pod: QueuedPod, _ now: Timestamp) -> Double {
        guard let failed = pod.lastFailure else { return 0 }
        return failed.adding(seconds: patience.seconds(attempts: pod.attempts)).timeInterval(since: now)
    }

    private mutating func startBackoff(_ pod: QueuedPod, now: Timestamp) -> Timer {
        backoff[pod.info.uid] = pod
        return Timer(uid: pod.info.uid, after: max(0.001, backoffLeft(pod, now)))
    }

    private mutating func activate(_ pod: QueuedPod) {
        serial &+= 1
        active[pod.info.uid] = (pod, serial)
        heap.append(HeapEntry(priority: pod.info.priority, timestamp: pod.timestamp, serial: serial, uid: pod.info.uid))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func popHeap() -> HeapEntry? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].precedes(heap[child]) { child += 1 }
            guard heap[child].precedes(heap[parent]) else { break }
            heap.swapAt(child, parent)
            parent = child
        }
        return first
    }
}
