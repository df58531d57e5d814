import KubeAPI
import Synchronization

/// Zones in which no instance could be had a while ago. Upstream: karpenter-provider-aws cache.UnavailableOfferings.
final class ZoneShortages: Sendable {
    private let until = Mutex<[String: Timestamp]>([:])

    func note(_ zone: String, until time: Timestamp) { until.withLock { $0[zone] = time } }

    func zones(at now: Timestamp) -> Set<String> {
        until.withLock { until in
            until = until.filter { $0.value > now }
            return Set(until.keys)
        }
    }

    /// When the first of them is tried again.
    var next: Timestamp? { until.withLock { $0.values.min() } }
}
