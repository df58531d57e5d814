import KubeAPI
import KubeClient
import Synchronization

/// An API server of a few kinds in memory, with the verbs a kubelet uses: enough of merging for what it sends.
final class FakeAPIServer: KubeTransport {
    private struct State {
        var objects: [String: Value] = [:]
        var revision: Int64 = 0
        var watchers: [Int: (GroupVersionResource, String?, AsyncThrowingStream<WatchEvent, any Error>.Continuation)] = [:]
        var next = 0
        var requests: [String] = []

        func tell(_ resource: GroupVersionResource, _ event: WatchEvent) {
            for (watched, _, continuation) in watchers.values where watched == resource { continuation.yield(event) }
        }
    }
    private let state = Mutex(State())

    var client: KubeClient { KubeClient(transport: self) }

    private static func key(_ resource: GroupVersionResource, _ namespace: String?, _ name: String) -> String {
        "\(resource.resource)/\(namespace ?? "")/\(name)"
    }

    /// Every request that changed something: `patch pods/status web`.
    var requests: [String] { state.withLock(\.requests) }

    func perform(_ request: KubeRequest) async throws -> Object {
        let resource = request.resource
        let name = request.name ?? ""
        let key = Self.key(resource, request.namespace, name)
        if request.verb != .get, request.verb != .list {
            state.withLock { $0.requests.append("\(request.verb) \(resource.resource)\(request.subresource.map { "/" + $0 } ?? "") \(name)") }
        }
        switch request.verb {
        case .get:
            guard let value = state.withLock({ $0.objects[key] }) else { throw StatusError.notFound(resource.groupResource, name) }
            return try Object(value)
        case .list:
            let (items, revision) = state.withLock { state in
                (state.objects.filter { $0.key.hasPrefix("\(resource.resource)/") }.values.map(\.self), state.revision)
            }
            return try Object([
                "kind": "List", "apiVersion": "v1", "metadata": ["resourceVersion": .string(String(revision))], "items": .array(items),
            ])
        case .create:
            if request.subresource == "token" {
                return try Object([
                    "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
                    "status": ["token": "a-token", "expirationTimestamp": "2099-01-01T00:00:00Z"],
                ])
            }
            var value = try Value(json: request.body ?? [])
            let name = value[path: "metadata", "name"]?.string ?? ""
            if value[path: "metadata", "uid"] == nil { value[path: "metadata", "uid"] = .string("uid-\(name)") }
            return try change(resource, request.namespace, name) { _ in value }
        case .update:
            let value = try Value(json: request.body ?? [])
            return try change(resource, request.namespace, name) { _ in value }
        case .patch:
            let patch = try Value(json: request.body ?? [])
            return try change(resource, request.namespace, name) { old in
                guard let old else { throw StatusError.notFound(resource.groupResource, name) }
                if let uid = patch[path: "metadata", "uid"], uid != old[path: "metadata", "uid"] {
                    throw StatusError.conflict(resource.groupResource, name, "uid mismatch")
                }
                return Self.merge(old, patch)
            }
        case .delete:
            guard try take(resource, request.namespace, name) else { throw StatusError.notFound(resource.groupResource, name) }
            return try Object(["kind": "Status", "apiVersion": "v1", "status": "Success"])
        case .watch, .deletecollection: throw StatusError.notImplemented("\(request.verb)")
        }
    }

    func watch(_ request: KubeRequest) async throws -> AsyncThrowingStream<WatchEvent, any Error> {
        let (stream, continuation) = AsyncThrowingStream<WatchEvent, any Error>.makeStream()
        let from = Int64(request.query.first { $0.name == "resourceVersion" }?.value ?? "") ?? 0
        try state.withLock { state in
            state.next += 1
            state.watchers[state.next] = (request.resource, request.namespace, continuation)
            // What was written between the list and the watch.
            for (key, value) in state.objects where key.hasPrefix("\(request.resource.resource)/") {
                if (Int64(value[path: "metadata", "resourceVersion"]?.string ?? "") ?? 0) > from {
                    continuation.yield(WatchEvent(kind: .added, object: try Object(value)))
                }
            }
        }
        return stream
    }

    /// Puts an object in, as a user or another component would.
    @discardableResult
    func put(_ resource: GroupVersionResource, _ value: Value) throws -> Object {
        let namespace = value[path: "metadata", "namespace"]?.string
        let name = value[path: "metadata", "name"]?.string ?? ""
        return try change(resource, namespace, name) { _ in value }
    }

    /// Removes an object at once, as a forced deletion does.
    func remove(_ resource: GroupVersionResource, _ namespace: String?, _ name: String) throws {
        _ = try take(resource, namespace, name)
    }

    func get(_ resource: GroupVersionResource, _ namespace: String?, _ name: String) -> Value? {
        state.withLock { $0.objects[Self.key(resource, namespace, name)] }
    }

    /// Messages of events with a reason.
    func events(_ reason: String) -> [String] {
        state.withLock {
            $0.objects.filter { $0.key.hasPrefix("events/") && $0.value["reason"]?.string == reason }.compactMap { $0.value["message"]?.string }
        }
    }

    /// Writes what `body` makes of an object, and tells it, in one step: writers cannot overwrite each other, and watchers hear revisions in order.
    private func change(
        _ resource: GroupVersionResource, _ namespace: String?, _ name: String, _ body: (Value?) throws -> Value
    ) throws -> Object {
        try state.withLock { state in
            let key = Self.key(resource, namespace, name)
            let old = state.objects[key]
            var value = try body(old)
            state.revision += 1
            value[path: "metadata", "resourceVersion"] = .string(String(state.revision))
            let object = try Object(value)
            state.objects[key] = value
            state.tell(resource, WatchEvent(kind: old == nil ? .added : .modified, object: object))
            return object
        }
    }

    /// Removes an object and tells it; false when there is none.
    private func take(_ resource: GroupVersionResource, _ namespace: String?, _ name: String) throws -> Bool {
        try state.withLock { state in
            guard let old = state.objects.removeValue(forKey: Self.key(resource, namespace, name)) else { return false }
            state.tell(resource, WatchEvent(kind: .deleted, object: try Object(old)))
            return true
        }
    }

    /// A merge patch whose lists of conditions and addresses are merged by their keys.
    static func merge(_ old: Value, _ patch: Value) -> Value {
        guard let members = patch.object else { return patch }
        var result = old.object == nil ? Value.object(Members()) : old
        for (key, value) in members {
            switch (key, value) {
            case (_, .null): result[key] = nil
            case ("conditions", .array(let items)), ("podIPs", .array(let items)), ("hostIPs", .array(let items)):
                let by = key == "conditions" ? "type" : "ip"
                var list = result[key]?.array ?? []
                for item in items {
                    let place = list.firstIndex { $0[by] == item[by] }
                    if item["$patch"]?.string == "delete" {
                        if let place { list.remove(at: place) }
                    } else if let place {
                        list[place] = merge(list[place], item)
                    } else {
                        list.append(merge([:], item))
                    }
                }
                result[key] = .array(list)
            case (_, .object): result[key] = merge(result[key] ?? [:], value)
            default: result[key] = value
            }
        }
        return result
    }
}

/// Waits until `condition` holds, looking often; false when it does not within the time.
func eventually(_ seconds: Double = 30, _ condition: () async throws -> Bool) async rethrows -> Bool {
    let end = ContinuousClock.now + .milliseconds(Int64(seconds * 1000))
    while ContinuousClock.now < end {
        if try await condition() { return true }
        do { try await Task.sleep(for: .milliseconds(5)) } catch { return false }
    }
    return try await condition()
}
