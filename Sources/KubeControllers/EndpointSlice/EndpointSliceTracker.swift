import KubeAPI
import Synchronization

/// Remembers the slices written, until the cache shows them: a plan made of an older cache would write them twice.
/// Upstream: endpointslice/pkg/util.EndpointSliceTracker.
final class EndpointSliceTracker: Sendable {
    /// Stands for "deleted" where a generation is expected.
    private static let deleted: Int64 = -1

    private let generations = Mutex<[String: [String: Int64]]>([:])

    /// A slice of the Service was written.
    func expect(_ service: String, _ slice: Object) {
        generations.withLock { $0[service, default: [:]][slice.metadata.uid] = slice.metadata.generation }
    }

    func expectDeletion(_ service: String, uid: String) { generations.withLock { $0[service, default: [:]][uid] = Self.deleted } }

    /// A slice was seen to be deleted. False when it was not expected to be.
    func observeDeletion(_ service: String, uid: String) {
        generations.withLock { _ = $0[service]?.removeValue(forKey: uid) }
    }

    /// Whether `slices`, the cache's, lack something that was written.
    func isStale(_ service: String, _ slices: [Object]) -> Bool {
        generations.withLock { all in
            guard let expected = all[service] else { return false }
            var missing = expected.filter { $0.value != Self.deleted }
            for slice in slices {
                guard let generation = expected[slice.metadata.uid] else { continue }
                if generation == Self.deleted || generation > slice.metadata.generation { return true }
                missing[slice.metadata.uid] = nil
            }
            return !missing.isEmpty
        }
    }

    func forget(_ service: String) { generations.withLock { $0[service] = nil } }
}
