import HTTPTransport
import KubeAPI
import KubeClient
import KubeStorage
import Synchronization

/// What watchers that asked for the same thing send in common: one encoding of a batch serves all who stand at its beginning. Most do: a change wakes
/// them together. Upstream: cacher.cachingObject, by object.
final class SharedFrames: Sendable {
    /// Watchers of one kind are at a few places at once: those that were quick and those that were slow.
    private static let keptBatches = 4

    private struct Batch {
        var from: UInt64
        var to: UInt64
        /// Nil: nothing of the batch is for these watchers.
        var bytes: HTTPSharedBytes?
    }
    private let recent = Mutex<[Batch]>([])

    /// The frames of a batch, encoded when nobody has yet. Rethrows what encoding throws.
    func frames(of batch: WatchBatch, _ encode: ([WatchCacheEvent]) throws -> [UInt8]) throws -> HTTPSharedBytes? {
        // Held while encoding: who comes next wants the same.
        try recent.withLock { recent in
            if let known = recent.first(where: { $0.from == batch.from && $0.to == batch.to }) { return known.bytes }
            let frames = try encode(batch.events)
            let bytes = frames.isEmpty ? nil : HTTPSharedBytes(frames)
            recent.append(Batch(from: batch.from, to: batch.to, bytes: bytes))
            if recent.count > Self.keptBatches { recent.removeFirst() }
            return bytes
        }
    }

    // MARK: Who asks for what

    private struct Entry {
        var frames: SharedFrames
        var users: Int
    }
    private static let all = Mutex<[Key: Entry]>([:])

    /// What tells kinds of watchers apart.
    struct Key: Hashable {
        /// The cache: revisions of one server mean nothing in another.
        var cache: ObjectIdentifier
        var resource: GroupVersionResource
        var namespace: String
        var labels: String
        var fields: String
        var bookmarks: Bool
        /// Format and shape.
        var form: String
    }

    static func join(_ key: Key) -> SharedFrames {
        all.withLock { all in
            if let entry = all[key] {
                all[key]?.users = entry.users + 1
                return entry.frames
            }
            let frames = SharedFrames()
            all[key] = Entry(frames: frames, users: 1)
            return frames
        }
    }

    static func leave(_ key: Key) {
        all.withLock { all in
            guard let entry = all[key] else { return }
            if entry.users > 1 { all[key]?.users = entry.users - 1 } else { all[key] = nil }
        }
    }
}

/// A watch as its connection takes it: no task, no queue; it costs what it sends. Belongs to the connection's event loop once it is asked for pieces.
final class WatchSource: HTTPBodySource, @unchecked Sendable {
    private enum Phase {
        case streaming
        /// The time is over: a bookmark is still due.
        case expired
        case over
    }

    private let session: WatchSession
    private let encode: @Sendable ([WatchEvent]) throws -> [UInt8]
    /// With the frames, if they may be shared.
    private let shared: (key: SharedFrames.Key, frames: SharedFrames)?
    private let metrics: ServerMetrics
    private var phase = Phase.streaming
    private var isCounted = false

    /// `key` nil: this watch's frames are its own.
    init(
        _ session: WatchSession, key: SharedFrames.Key?, metrics: ServerMetrics, encode: @escaping @Sendable ([WatchEvent]) throws -> [UInt8]
    ) {
        self.session = session
        self.encode = encode
        self.metrics = metrics
        shared = key.map { ($0, SharedFrames.join($0)) }
    }

    deinit { if let shared { SharedFrames.leave(shared.key) } }

    var lifetime: Duration? { session.lifetime }

    func next() -> HTTPBodyPiece {
        if !isCounted {
            isCounted = true
            metrics.watches(+1)
        }
        do {
            switch phase {
            case .over: return .end
            case .expired:
                phase = .over
                guard let bookmark = session.lastBookmark else { return .end }
                return .bytes(HTTPSharedBytes(try encode([bookmark])))
            case .streaming: return try stream()
            }
        } catch let error as StatusError {
            // A client that is too slow gets an ERROR event as its last, which makes it list again.
            phase = .over
            do { return .bytes(HTTPSharedBytes(try encode([WatchEvent(kind: .error, object: Object(tree: error.value))]))) } catch { return .abort }
        } catch {
            return .abort
        }
    }

    private func stream() throws -> HTTPBodyPiece {
        while true {
            switch try session.subscription.poll() {
            case .waiting: return .wait
            case .closed:
                phase = .expired
                return next()
            case .events(let events):
                let frames = try encode(session.events(events))
                if !frames.isEmpty { return .bytes(HTTPSharedBytes(frames)) }
            case .batch(let batch):
                if let shared {
                    if let bytes = try shared.frames.frames(of: batch, { try encode(session.events($0)) }) { return .bytes(bytes) }
                } else {
                    let frames = try encode(session.events(batch.events))
                    if !frames.isEmpty { return .bytes(HTTPSharedBytes(frames)) }
                }
            }
        }
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) { session.subscription.whenReady(wake) }

    func expire() { if case .streaming = phase { phase = .expired } }

    func cancel() {
        phase = .over
        session.subscription.stop()
        if isCounted { metrics.watches(-1) }
        isCounted = false
    }
}
