import Glibc
import KubeAPI

/// A pod as the choice of which to delete sees it.
struct RankedPod: Sendable {
    var object: Object
    var uid: String
    var nodeName: String
    var phase: String
    var ready: Bool
    var readyTime: Timestamp?
    var created: Timestamp?
    var deletionCost: Int64
    var restarts: (regular: Int64, sidecar: Int64)
    /// How many active pods of related ReplicaSets share its node.
    var rank: Int

    init(_ pod: Object, rank: Int = 0) {
        let view = PodView(pod)
        object = pod
        uid = view.meta.uid
        nodeName = view.nodeName
        phase = view.phase
        ready = view.isReady
        readyTime = view.readyTime
        created = view.meta.creationTimestamp
        deletionCost = view.meta.annotations["controller.kubernetes.io/pod-deletion-cost"].flatMap { Int64($0) } ?? 0
        restarts = view.restarts
        self.rank = rank
    }
}

/// The order in which surplus pods are deleted: those that do least come first. Upstream: controller.ActivePodsWithRanks.
enum ActivePodsWithRanks {
    /// The pods to delete, `count` of `active`. `related` are the pods of all ReplicaSets with the same controller, by which crowding of nodes is
    /// told.
    /// Upstream: getPodsToDelete.
    static func podsToDelete(active: [Object], related: [Object], count: Int, now: Timestamp) -> [Object] {
        guard count < active.count else { return active }
        var crowd: [String: Int] = [:]
        for pod in related {
            let view = PodView(pod)
            if view.isActive { crowd[view.nodeName, default: 0] += 1 }
        }
        let ranked = active.map { RankedPod($0, rank: crowd[PodView($0).nodeName] ?? 0) }
        return ranked.sorted { precedes($0, $1, now: now) }.prefix(max(0, count)).map(\.object)
    }

    /// Whether `a` is deleted before `b`.
    static func precedes(_ a: RankedPod, _ b: RankedPod, now: Timestamp) -> Bool {
        // 1. Not on a node yet.
        if a.nodeName.isEmpty != b.nodeName.isEmpty { return a.nodeName.isEmpty }
        // 2. Pending before unknown before running.
        if let x = ordinal(a.phase), let y = ordinal(b.phase), x != y { return x < y }
        // 3. Not ready.
        if a.ready != b.ready { return !a.ready }
        // 4. Cheaper to delete.
        if a.deletionCost != b.deletionCost { return a.deletionCost < b.deletionCost }
        // 5. On a more crowded node.
        if a.rank != b.rank { return a.rank > b.rank }
        // 6. Ready for a shorter time, by orders of magnitude, so that the victim among pods of about one age is random.
        if a.ready, b.ready, a.readyTime != b.readyTime { return younger(a.readyTime, b.readyTime, a.uid, b.uid, now) }
        // 7. More restarts.
        if a.restarts.regular != b.restarts.regular { return a.restarts.regular > b.restarts.regular }
        if a.restarts.sidecar != b.restarts.sidecar { return a.restarts.sidecar > b.restarts.sidecar }
        // 8. Younger.
        if a.created != b.created { return younger(a.created, b.created, a.uid, b.uid, now) }
        return false
    }

    private static func ordinal(_ phase: String) -> Int? {
        switch phase {
        case "Pending", "": 0
        case "Unknown": 1
        case "Running": 2
        default: nil
        }
    }

    private static func younger(_ a: Timestamp?, _ b: Timestamp?, _ uidA: String, _ uidB: String, _ now: Timestamp) -> Bool {
        guard let a, let b else { return a == nil && b != nil }
        let x = magnitude(a, now)
        let y = magnitude(b, now)
        return x == y ? uidA < uidB : x < y
    }

    /// The power of two of the age in nanoseconds; -1 for the future. Upstream: logarithmicRankDiff.
    private static func magnitude(_ time: Timestamp, _ now: Timestamp) -> Int {
        let age = now.timeInterval(since: time) * 1e9
        return age > 0 ? Int(log2(age)) : -1
    }
}
