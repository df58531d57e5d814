import KubeAPI
import Synchronization

/// Uids of pods from which the tracking finalizer is being taken, until the cache shows it: those it still shows as tracked were counted before, and
/// must not be counted again. Upstream: uidTrackingExpectations in tracking_utils.go.
final class ReleasedPods: Sendable {
    private let uids = Mutex<Set<String>>([])

    /// To be read before pods are: one that is seen in between would otherwise be in neither.
    var all: Set<String> { uids.withLock { $0 } }

    func contains(_ uid: String) -> Bool { uids.withLock { $0.contains(uid) } }

    /// Before the finalizer is taken, so that no event comes first.
    func insert(_ uid: String) { uids.withLock { _ = $0.insert(uid) } }

    /// It was not taken, or the pod is gone.
    func remove(_ uid: String) { uids.withLock { _ = $0.remove(uid) } }

    /// The cache shows the pod as it is.
    func observe(_ pod: Object) {
        guard !uids.withLock({ $0.isEmpty }), !JobTracking.isTracked(pod) else { return }
        remove(pod.metadata.uid)
    }
}
