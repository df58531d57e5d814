import Synchronization

/// Which pods each claim's node had when it was looked at last.
final class PodMarks: Sendable {
    private let marks = Mutex<[String: String]>([:])

    /// Whether the mark is another than the last. The first look is none, unless there are pods: a restart is no event of pods.
    func change(_ claim: String, to mark: String) -> Bool {
        marks.withLock { marks in
            let old = marks.updateValue(mark, forKey: claim)
            return old.map { $0 != mark } ?? false
        }
    }

    func forget(_ claim: String) { marks.withLock { _ = $0.removeValue(forKey: claim) } }
}
