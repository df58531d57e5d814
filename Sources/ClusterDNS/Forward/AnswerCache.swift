import Synchronization

/// Answers of other servers, kept as long as they say, 30 s at most. Upstream: CoreDNS's plug-in cache, `cache 30`.
final class AnswerCache: Sendable {
    private static let longestSeconds: UInt32 = 30
    private static let shortestSeconds: UInt32 = 5
    /// Entries at most. Upstream: 9984 of each kind.
    private static let capacity = 8192

    private struct Entry {
        var answer: ForwardedAnswer
        var stored: ContinuousClock.Instant
        var ends: ContinuousClock.Instant
    }

    private let entries = Mutex<[ForwardedQuestion: Entry]>([:])

    /// The answer and its age in seconds.
    func answer(_ question: ForwardedQuestion, now: ContinuousClock.Instant) -> (answer: ForwardedAnswer, age: UInt32)? {
        entries.withLock { entries in
            guard let entry = entries[question] else { return nil }
            guard entry.ends > now else {
                entries[question] = nil
                return nil
            }
            return (entry.answer, UInt32(clamping: entry.stored.duration(to: now).components.seconds))
        }
    }

    func keep(_ answer: ForwardedAnswer, for question: ForwardedQuestion, now: ContinuousClock.Instant) {
        guard let seconds = answer.seconds, seconds > 0 else { return }
        let kept = min(max(seconds, Self.shortestSeconds), Self.longestSeconds)
        entries.withLock { entries in
            if entries.count >= Self.capacity {
                entries = entries.filter { $0.value.ends > now }
                // All are young: the store begins anew rather than being searched for each one.
                if entries.count >= Self.capacity { entries = [:] }
            }
            entries[question] = Entry(answer: answer, stored: now, ends: now + .seconds(Int64(kept)))
        }
    }
}
