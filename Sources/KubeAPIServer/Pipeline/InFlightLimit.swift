import Synchronization

/// How many requests are worked on at once. Long-running ones (watches, exec, logs) are not counted. Upstream: genericfilters.WithMaxInFlightLimit.
final class InFlightLimit: Sendable {
    /// Reads and writes at once: upstream's defaults of --max-requests-inflight and --max-mutating-requests-inflight.
    static let readOnlyDefault = 400
    static let mutatingDefault = 200

    private struct Counts {
        var readOnly = 0
        var mutating = 0
    }

    private let readOnlyLimit: Int
    private let mutatingLimit: Int
    private let counts = Mutex(Counts())

    init(readOnly: Int = readOnlyDefault, mutating: Int = mutatingDefault) {
        readOnlyLimit = readOnly
        mutatingLimit = mutating
    }

    /// Takes a place; false when all are taken. Members of system:masters are let through, so that an administrator can look into an overload.
    func enter(isMutating: Bool, isExempt: Bool) -> Bool {
        counts.withLock { counts in
            if isMutating {
                guard isExempt || counts.mutating < mutatingLimit else { return false }
                counts.mutating += 1
            } else {
                guard isExempt || counts.readOnly < readOnlyLimit else { return false }
                counts.readOnly += 1
            }
            return true
        }
    }

    func leave(isMutating: Bool) {
        counts.withLock { counts in
            if isMutating { counts.mutating -= 1 } else { counts.readOnly -= 1 }
        }
    }

    /// (reads, writes) under way, for /metrics.
    var current: (readOnly: Int, mutating: Int) { counts.withLock { ($0.readOnly, $0.mutating) } }
}
