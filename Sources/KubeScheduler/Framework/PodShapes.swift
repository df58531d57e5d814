import Synchronization

/// The `NodeNeeds` that pods share, kept once: the pods of a Deployment have one between them, and are known by it without comparing.
final class PodShape: Sendable {
    let needs: NodeNeeds
    init(_ needs: NodeNeeds) { self.needs = needs }
}

/// The shapes and labels of all pods of a scheduler.
final class PodShapes: Sendable {
    /// Kept at most; then all are made anew, and pods of before and after do not share.
    private static let limit = 8192

    private struct State {
        var shapes: [NodeNeeds: PodShape] = [:]
        var labels: Set<[String: String]> = []
    }

    private let state = Mutex(State())

    func shape(_ needs: NodeNeeds) -> PodShape {
        state.withLock { state in
            if let known = state.shapes[needs] { return known }
            if state.shapes.count >= Self.limit { state.shapes = [:] }
            let shape = PodShape(needs)
            state.shapes[needs] = shape
            return shape
        }
    }

    /// The same labels, in the memory of those that were seen first.
    func labels(_ labels: [String: String]) -> [String: String] {
        state.withLock { state in
            if state.labels.count >= Self.limit { state.labels = [] }
            return state.labels.insert(labels).memberAfterInsert
        }
    }
}
