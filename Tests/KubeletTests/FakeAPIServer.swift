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
            return try put(resource, request.namespace, name, value, .added)
        case .update:
            return try put(resource, request.namespace, name, try Value(json: request.body ?? []), .modified)
        case .patch:
            guard let old = state.withLock({ $0.objects[key] }) else { throw StatusError.notFound(resource.groupResource, name) }
            let patch = try Value(json: request.body ?? [])
            if let uid = patch[path: "metadata", "uid"], uid != old[path: "metadata", "uid"] {
                throw StatusError.conflict(resource.groupResource, name, "uid mismatch")
            }
            return try put(resource, request.namespace, name, Self.merge(old, patch), .modified)
        case .delete:
            guard let old = state.withLock({ $0.objects[key] }) else { throw StatusError.notFound(resource.groupResource, name) }
            state.withLock { $0.objects[key] = nil }
            try tell(resource, .deleted, old)
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
        let exists = get(resource, namespace, name) != nil
        return try put(resource, namespace, name, value, exists ? .modified : .added)
    }

    /// Removes an object at once, as a forced deletion does.
    func remove(_ resource: GroupVersionResource, _ namespace: String?, _ name: String) throws {
        guard let old = state.withLock({ $0.objects.removeValue(forKey: Self.key(resource, namespace, name)) }) else { return }
        try tell(resource, .deleted, old)
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

    private func put(_ resource: GroupVersionResource, _ namespace: String?, _ name: String, _ value: Value, _ kind: WatchEvent.Kind) throws -> Object
    {
        var value = value
        state.withLock { state in
            state.revision += 1
            value[path: "metadata", "resourceVersion"] = .string(String(state.revision))
            state.objects[Self.key(resource, namespace, name)] = value
        }
        try tell(resource, kind, value)
        return try Object(value)
    }

    private func tell(_ resource: GroupVersionResource, _ kind: WatchEvent.Kind, _ value: Value) throws {
        let object = try Object(value)
        for (watched, _, continuation) in state.withLock({ Array($0.watchers.values) }) where watched == resource {
            continuation.yield(WatchEvent(kind: kind, object: object))
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
func eventually(_ seconds: Double = 10, _ condition: () async throws -> Bool) async rethrows -> Bool {
    let end = ContinuousClock.now + .milliseconds(Int64(seconds * 1000))
    while ContinuousClock.now < end {
        if try await condition() { return true }
        do { try await Task.sleep(for: .milliseconds(5)) } catch { return false }
    }
    return try await condition()
}
