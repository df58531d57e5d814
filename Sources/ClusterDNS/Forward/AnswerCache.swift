import Synchronization

/// Answers of other servers, kept as long as they say, within the bounds of the settings. Upstream: CoreDNS's plug-in cache.
final class AnswerCache: Sendable {
    private struct Entry {
        var answer: ForwardedAnswer
        var stored: ContinuousClock.Instant
        var ends: ContinuousClock.Instant
    }

    private let settings: Corefile.Cache
    private let entries = Mutex<[ForwardedQuestion: Entry]>([:])

    init(_ settings: Corefile.Cache) { self.settings = settings }

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
        let kept = min(max(seconds, settings.minimum), answer.isDenial ? settings.denial : settings.success)
        entries.withLock { entries in
            if entries.count >= settings.capacity {
                entries = entries.filter { $0.value.ends > now }
                // All are young: the store begins anew rather than being searched for each one.
                if entries.count >= settings.capacity { entries = [:] }
            }
            entries[question] = Entry(answer: answer, stored: now, ends: now + .seconds(Int64(kept)))
        }
    }
}
