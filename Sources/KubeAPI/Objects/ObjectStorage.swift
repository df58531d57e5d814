import Synchronization

/// The bytes of one object with, while somebody reads it, their token index.
///
/// The index takes more memory than the bytes, and of most objects in a cache nobody reads a field: it is made when a field is first read. Objects of
/// caches are many and live long, so of theirs only the `RecentIndexes` are kept; what is read after that is indexed again, at about 2 µs a kilobyte.
final class ObjectStorage: Sendable {
    let bytes: [UInt8]
    /// Whether the index may be dropped and made again.
    private let isCached: Bool
    private let index: Mutex<JSONDocument?>

    /// `bytes` are one JSON object: the server's own output, or what it checked before.
    init(_ bytes: [UInt8], index: JSONDocument? = nil, isCached: Bool) {
        self.bytes = bytes
        self.isCached = isCached
        self.index = Mutex(index)
        if isCached, let index { RecentIndexes.shared.add(self, index.tokens.count) }
    }

    var document: JSONDocument {
        if let known = index.withLock({ $0 }) { return known }
        let made: JSONDocument
        // Bytes that are no JSON can only come of a damaged database: such an object has no fields.
        do throws(JSONError) { made = try JSONDocument(bytes) } catch { made = Self.empty }
        // Two readers may both have made it: either will do.
        index.withLock { $0 = made }
        if isCached { RecentIndexes.shared.add(self, made.tokens.count) }
        return made
    }

    /// The index if there is one.
    var presentIndex: JSONDocument? { index.withLock { $0 } }

    fileprivate func dropIndex() { index.withLock { $0 = nil } }

    private static let empty = JSONDocument(Array("{}".utf8), tokens: [UInt64(JSONKind.object.rawValue) << 60 | 2, 2])
}

/// The indexes of cached objects that were made last, in the order they were made; the oldest are dropped. One for the process: memory is the
/// process's, too. Who still holds a view of a dropped index keeps it.
private final class RecentIndexes: Sendable {
    static let shared = RecentIndexes()

    /// Tokens of 8 bytes: 8 MiB, the indexes of some two thousand pods.
    private static let limit = 1 << 20

    private struct State {
        var objects: [ObjectStorage] = []
        var costs: [Int] = []
        /// The first of the lists that is still in.
        var head = 0
        var total = 0
    }
    private let state = Mutex(State())

    func add(_ object: ObjectStorage, _ tokens: Int) {
        let dropped = state.withLock { state -> [ObjectStorage] in
            state.objects.append(object)
            state.costs.append(tokens)
            state.total += tokens
            guard state.total > Self.limit else { return [] }
            let start = state.head
            // Many at once, so that what is over is seldom.
            while state.total > Self.limit / 8 * 7, state.head < state.objects.count - 1 {
                state.total -= state.costs[state.head]
                state.head += 1
            }
            let dropped = Array(state.objects[start..<state.head])
            state.objects.removeFirst(state.head)
            state.costs.removeFirst(state.head)
            state.head = 0
            return dropped
        }
        for object in dropped { object.dropIndex() }
    }
}
