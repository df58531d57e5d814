import KubeAPI
import KubeClient
import Synchronization

/// A clock that the test advances.
final class ManualClock: Clock, Sendable {
    struct Instant: InstantProtocol {
        var offset: Duration = .zero
        func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Duration { other.offset - offset }
        static func < (a: Instant, b: Instant) -> Bool { a.offset < b.offset }
    }

    private struct Sleeper {
        var number: Int
        var deadline: Instant
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now = Instant()
        var next = 0
        var sleepers: [Sleeper] = []
        var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())
    var now: Instant { state.withLock(\.now) }
    var minimumResolution: Duration { .zero }
    var deadlines: [Duration] { state.withLock { $0.sleepers.map(\.deadline.offset).sorted() } }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        let number = state.withLock { state in
            state.next += 1
            return state.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let (outcome, watchers) = state.withLock { state -> (Result<Void, any Error>?, [CheckedContinuation<Void, Never>]) in
                    if Task.isCancelled { return (.failure(CancellationError()), []) }
                    if deadline <= state.now { return (.success(()), []) }
                    state.sleepers.append(Sleeper(number: number, deadline: deadline, continuation: continuation))
                    let count = state.sleepers.count
                    let woken = state.watchers.filter { $0.count <= count }.map(\.continuation)
                    state.watchers.removeAll { $0.count <= count }
                    return (nil, woken)
                }
                if let outcome { continuation.resume(with: outcome) }
                for watcher in watchers { watcher.resume() }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                state.sleepers.firstIndex { $0.number == number }.map { state.sleepers.remove(at: $0) }
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Returns when `count` tasks sleep on this clock.
    func waitForSleepers(_ count: Int = 1) async {
        await withCheckedContinuation { continuation in
            let isMet = state.withLock { state in
                if state.sleepers.count >= count { return true }
                state.watchers.append((count, continuation))
                return false
            }
            if isMet { continuation.resume() }
        }
    }

    func advance(by duration: Duration) {
        let woken = state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let woken = state.sleepers.filter { $0.deadline <= state.now }
            state.sleepers.removeAll { $0.deadline <= state.now }
            return woken
        }
        for sleeper in woken { sleeper.continuation.resume() }
    }
}

/// A server of one resource, as small as a reflector needs: list, watch from a revision, and failures on order.
final class FakeServer: KubeTransport {
    typealias Stream = AsyncThrowingStream<WatchEvent, any Error>

    private struct State {
        var revision = 1
        var objects: [String: Object] = [:]
        var history: [(revision: Int, event: WatchEvent)] = []
        var oldest = 0
        var watches: [Stream.Continuation] = []
        var requests: [KubeRequest] = []
        var failures: [any Error] = []

        mutating func publish(_ event: WatchEvent) {
            history.append((revision, event))
            for watch in watches { watch.yield(event) }
        }
    }

    private let state = Mutex(State())
    var requests: [KubeRequest] { state.withLock(\.requests) }
    var verbs: [String] { requests.map(\.verb.rawValue) }

    /// The next request of any kind fails with `error`.
    func fail(_ error: any Error) { state.withLock { $0.failures.append(error) } }

    func set(_ name: String, _ number: Int = 0) throws {
        try state.withLock { state in
            state.revision += 1
            let isNew = state.objects[name] == nil
            let object = try Self.object(name, number).withResourceVersion(Int64(state.revision))
            state.objects[name] = object
            state.publish(WatchEvent(kind: isNew ? .added : .modified, object: object))
        }
    }

    func delete(_ name: String) throws {
        try state.withLock { state in
            guard state.objects.removeValue(forKey: name) != nil else { return }
            state.revision += 1
            state.publish(WatchEvent(kind: .deleted, object: try Self.object(name, 0).withResourceVersion(Int64(state.revision))))
        }
    }

    func bookmark() throws {
        try state.withLock { state in
            state.revision += 1
            let object = try Object(["kind": "ConfigMap", "apiVersion": "v1", "metadata": ["resourceVersion": .string(String(state.revision))]])
            for watch in state.watches { watch.yield(WatchEvent(kind: .bookmark, object: object)) }
        }
    }

    /// Ends all watches, with an error or quietly.
    func disconnect(throwing error: (any Error)? = nil) {
        let watches = state.withLock { state in
            defer { state.watches = [] }
            return state.watches
        }
        for watch in watches { watch.finish(throwing: error) }
    }

    /// Returns when somebody watches: a list is told of before its watch is open.
    func waitForWatch() async { while state.withLock(\.watches.isEmpty) { await Task.yield() } }

    /// Tells all watches that their revision is too old, and ends them.
    func expire() throws {
        let status = try Object(StatusError.expired("too old resource version: 1 (2)").value)
        for watch in state.withLock(\.watches) { watch.yield(WatchEvent(kind: .error, object: status)) }
        disconnect()
    }

    /// Watches from before now are refused from now on.
    func compact() { state.withLock { $0.oldest = $0.revision + 1 } }

    static func object(_ name: String, _ number: Int) throws -> Object {
        try Object([
            "kind": "ConfigMap", "apiVersion": "v1", "metadata": ["name": .string(name), "namespace": "default", "uid": .string("uid-\(name)")],
            "data": ["number": .string(String(number))],
        ])
    }

    func perform(_ request: KubeRequest) async throws -> Object {
        try state.withLock { state in
            state.requests.append(request)
            if !state.failures.isEmpty { throw state.failures.removeFirst() }
            switch request.verb {
            case .list:
                // As upstream: items without kind and apiVersion.
                let items = state.objects.sorted { $0.key < $1.key }.map { entry -> Value in
                    var value = entry.value.value
                    value["kind"] = nil
                    value["apiVersion"] = nil
                    return value
                }
                return try Object([
                    "kind": "ConfigMapList", "apiVersion": "v1", "metadata": ["resourceVersion": .string(String(state.revision))],
                    "items": .array(items),
                ])
            default: return try Object(Value(json: request.body ?? Array("{}".utf8)))
            }
        }
    }

    func watch(_ request: KubeRequest) async throws -> Stream {
        try state.withLock { state in
            state.requests.append(request)
            if !state.failures.isEmpty { throw state.failures.removeFirst() }
            let from = request.query.first { $0.name == "resourceVersion" }.flatMap { Int($0.value) } ?? 0
            guard from >= state.oldest else { throw StatusError.expired("too old resource version: \(from) (\(state.oldest))") }
            let (stream, continuation) = Stream.makeStream()
            for (revision, event) in state.history where revision > from { continuation.yield(event) }
            state.watches.append(continuation)
            return stream
        }
    }
}

/// What happened, for tests that wait for it.
final class Journal: Sendable {
    private struct State {
        var lines: [String] = []
        var waiters: [(count: Int, continuation: CheckedContinuation<[String], Never>)] = []
    }
    private let state = Mutex(State())
    var lines: [String] { state.withLock(\.lines) }

    func add(_ line: String) {
        let woken = state.withLock { state in
            state.lines.append(line)
            let lines = state.lines
            let woken = state.waiters.filter { $0.count <= lines.count }.map { ($0.continuation, lines) }
            state.waiters.removeAll { $0.count <= lines.count }
            return woken
        }
        for (continuation, lines) in woken { continuation.resume(returning: lines) }
    }

    /// All lines, as soon as there are `count`.
    func wait(for count: Int) async -> [String] {
        await withCheckedContinuation { continuation in
            let lines = state.withLock { state -> [String]? in
                if state.lines.count >= count { return state.lines }
                state.waiters.append((count, continuation))
                return nil
            }
            if let lines { continuation.resume(returning: lines) }
        }
    }
}

extension Object {
    var number: String { self["data"]["number"].string ?? "" }
}
