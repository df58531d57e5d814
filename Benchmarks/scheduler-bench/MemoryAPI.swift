import KubeAPI
import KubeClient
import Synchronization

/// An API that holds a workload's nodes and pods, tells of bindings and keeps nothing else.
final class MemoryAPI: KubeTransport {
    /// Bindings so far.
    actor Bindings {
        private(set) var count = 0
        private var waiting: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

        func add() {
            count += 1
            for waiter in waiting where waiter.count <= count { waiter.continuation.resume() }
            waiting.removeAll { $0.count <= count }
        }

        func wait(for count: Int) async {
            if self.count >= count { return }
            await withCheckedContinuation { waiting.append((count, $0)) }
        }
    }

    private struct State {
        var pods: [String: Value] = [:]
        var revision = 1
        var watch: AsyncThrowingStream<WatchEvent, any Error>.Continuation?
    }

    let bindings = Bindings()
    private let workload: Workload
    private let nodes: Object
    private let state = Mutex(State())

    init(_ workload: Workload) throws {
        self.workload = workload
        nodes = try Self.list("Node", (0..<workload.nodes).map { NodeTemplate.object($0, zones: workload.zones) })
        for number in 0..<workload.initPods {
            let name = "init-\(number)"
            state.withLock { $0.pods["sched-1/\(name)"] = Self.stored(workload.initPod.object(name, namespace: "sched-1"), 1) }
        }
    }

    private static func list(_ kind: String, _ items: [Value], revision: Int = 1) throws -> Object {
        try Object(
            ["apiVersion": "v1", "kind": .string(kind + "List"), "metadata": ["resourceVersion": .string(String(revision))], "items": .array(items)])
    }

    private static func stored(_ pod: Value, _ revision: Int) -> Value {
        var pod = pod
        let name = pod[path: "metadata", "name"]?.string ?? ""
        pod[path: "metadata", "uid"] = .string("uid-\(name)")
        pod[path: "metadata", "resourceVersion"] = .string(String(revision))
        pod[path: "metadata", "creationTimestamp"] = "2026-01-01T00:00:00Z"
        pod["status"] = ["phase": "Pending"]
        // As the API server's admission would.
        let isHigh = pod[path: "spec", "priorityClassName"] == PodTemplate.highPriorityClass[path: "metadata", "name"]
        pod[path: "spec", "priority"] = isHigh ? PodTemplate.highPriorityClass["value"] : 0
        return pod
    }

    /// The measured pods come, all at once.
    func release() async {
        for number in 0..<workload.pods { tell(.added, workload.pod.object("pod-\(number)", namespace: "sched-0")) }
    }

    private func tell(_ kind: WatchEvent.Kind, _ pod: Value) {
        state.withLock { state in
            state.revision += 1
            var pod = pod
            if kind == .added {
                pod = Self.stored(pod, state.revision)
            } else {
                pod[path: "metadata", "resourceVersion"] = .string(String(state.revision))
            }
            let key = "\(pod[path: "metadata", "namespace"]?.string ?? "")/\(pod[path: "metadata", "name"]?.string ?? "")"
            state.pods[key] = kind == .deleted ? nil : pod
            if let object = try? Object(pod) { state.watch?.yield(WatchEvent(kind: kind, object: object)) }
        }
    }

    func perform(_ request: KubeRequest) async throws -> Object {
        if request.verb == .list {
            switch request.resource {
            case .nodes: return nodes
            case .pods:
                let (pods, revision) = state.withLock { (Array($0.pods.values), $0.revision) }
                return try Self.list("Pod", pods, revision: revision)
            default: return try Self.list("Nothing", [])
            }
        }
        let key = "\(request.namespace ?? "")/\(request.name ?? "")"
        if request.verb == .delete, request.resource == .pods, let pod = state.withLock({ $0.pods[key] }) { tell(.deleted, pod) }
        if request.subresource == "binding" {
            let node = try Object(bytes: request.body ?? [])["target"]["name"].string ?? ""
            if var pod = state.withLock({ $0.pods[key] }) {
                pod[path: "spec", "nodeName"] = .string(node)
                tell(.modified, pod)
            }
            await bindings.add()
        }
        return try Object(["apiVersion": "v1", "kind": "Status", "status": "Success"])
    }

    func watch(_ request: KubeRequest) async throws -> AsyncThrowingStream<WatchEvent, any Error> {
        let (stream, continuation) = AsyncThrowingStream.makeStream(of: WatchEvent.self)
        guard request.resource == .pods else { return stream }
        let listed = request.query.first { $0.name == "resourceVersion" }.flatMap { Int($0.value) } ?? 0
        try state.withLock { state in
            // What came between the list and the watch is told first.
            for pod in state.pods.values {
                guard let revision = pod[path: "metadata", "resourceVersion"]?.string.flatMap({ Int($0) }), revision > listed else { continue }
                continuation.yield(WatchEvent(kind: .added, object: try Object(pod)))
            }
            state.watch = continuation
        }
        return stream
    }
}
