import HTTPTransport
import KubeAPI
import KubeClient
import Synchronization
import Testing

@testable import KubeScheduler

/// A cluster of nodes and pods that change when they are told to; what the scheduler writes is told.
final class StillCluster: KubeTransport {
    /// Something that was written.
    struct Write: Sendable {
        var what: String
        var body: Value
    }

    private let objects: [String: [Object]]
    private let watches = Mutex<[(resource: String, continuation: AsyncThrowingStream<WatchEvent, any Error>.Continuation)]>([])
    let writes: AsyncStream<Write>
    private let teller: AsyncStream<Write>.Continuation

    init(_ objects: [String: [Object]]) {
        self.objects = objects
        (writes, teller) = AsyncStream.makeStream()
    }

    func perform(_ request: KubeRequest) async throws -> Object {
        if request.verb == .list {
            let items = (objects[request.resource.resource] ?? []).map(\.value)
            return try Object(["apiVersion": "v1", "kind": "List", "metadata": ["resourceVersion": "1"], "items": .array(items)])
        }
        let body = try Value(json: request.body ?? [])
        teller.yield(Write(what: "\(request.resource.resource)/\(request.subresource ?? "")", body: body))
        return try Object(body)
    }

    func watch(_ request: KubeRequest) async throws -> AsyncThrowingStream<WatchEvent, any Error> {
        let (stream, continuation) = AsyncThrowingStream<WatchEvent, any Error>.makeStream()
        // Kept, or the stream would end.
        watches.withLock { $0.append((request.resource.resource, continuation)) }
        return stream
    }

    /// Tells who watches the resource.
    func happen(_ kind: WatchEvent.Kind, _ resource: String, _ object: Object) {
        for watch in watches.withLock({ $0 }) where watch.resource == resource { watch.continuation.yield(WatchEvent(kind: kind, object: object)) }
    }
}

/// An extender on loopback that gives one answer after the other, the last for ever.
private final class Answers: HTTPResponder {
    let left: Mutex<[(status: Int, text: String)]>

    init(_ answers: [(status: Int, text: String)]) { left = Mutex(answers) }

    func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        // The answer may not come before the question has arrived.
        _ = try? await body.collect(limit: 1 << 20)
        let answer = left.withLock { $0.count > 1 ? $0.removeFirst() : $0.first }
        return HTTPResponse(status: answer?.status ?? 500, body: .bytes(Array((answer?.text ?? "").utf8)))
    }
}

@Suite("Scheduler: decisions with extenders", .serialized, .timeLimit(.minutes(1)))
struct ConsultationTests {
    /// Runs a scheduler over two nodes and a pod until `isEnough` of what it writes.
    private func run(
        _ answers: [(status: Int, text: String)], verbs: String, pod: Object? = nil, until isEnough: @escaping @Sendable (StillCluster.Write) -> Bool
    ) async throws -> [StillCluster.Write] {
        let server = try await HTTPServer.start(.init(address: .tcp(host: "127.0.0.1", port: 0)), responder: Answers(answers))
        let configuration = try SchedulerConfiguration(
            text: "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
                + "extenders: [{urlPrefix: 'http://127.0.0.1:\(server.port)/', nodeCacheCapable: true, \(verbs)}]", read: { _ in nil })
        let cluster = StillCluster(["nodes": [try node("a"), try node("b")], "pods": [try pod ?? podObject("p", cpu: "1")]])
        let scheduler = Scheduler(client: KubeClient(transport: cluster), configuration: configuration)
        let seen = try await withThrowingTaskGroup(of: [StillCluster.Write].self) { group in
            group.addTask {
                await scheduler.run()
                return []
            }
            group.addTask {
                var seen: [StillCluster.Write] = []
                for await write in cluster.writes {
                    seen.append(write)
                    if isEnough(write) { break }
                }
                return seen
            }
            defer { group.cancelAll() }
            return try await group.next() ?? []
        }
        await server.stop(grace: .zero)
        return seen
    }

    @Test("the pod goes to the node that the extender leaves")
    func filtered() async throws {
        let writes = try await run([(200, #"{"NodeNames":["b"],"FailedNodes":{"a":"no"}}"#)], verbs: "filterVerb: filter") {
            $0.what == "pods/binding"
        }
        #expect(writes.last?.body[path: "target", "name"] == "b")
    }

    @Test("the node that the extender likes wins over an equal one")
    func prioritized() async throws {
        let writes = try await run([(200, #"[{"Host":"b","Score":10}]"#)], verbs: "prioritizeVerb: prioritize, weight: 1") {
            $0.what == "pods/binding"
        }
        #expect(writes.last?.body[path: "target", "name"] == "b")
    }

    @Test("an extender's reasons stand in the pod's condition")
    func rejected() async throws {
        let writes = try await run([(200, #"{"NodeNames":[],"FailedNodes":{"a":"no","b":"no"}}"#)], verbs: "filterVerb: filter") {
            $0.what == "pods/status"
        }
        let condition = writes.last?.body[path: "status", "conditions"]?.array?.first
        #expect(condition?["reason"] == "Unschedulable")
        #expect(condition?["message"]?.string?.hasPrefix("0/2 nodes are available: 2 no.") ?? false)
    }

    @Test("an error stands in the pod's condition, and the pod is tried again")
    func failed() async throws {
        let writes = try await run([(500, "broken"), (200, #"{"NodeNames":["a"]}"#)], verbs: "filterVerb: filter") { $0.what == "pods/binding" }
        let condition = writes.first { $0.what == "pods/status" }?.body[path: "status", "conditions"]?.array?.first
        #expect(condition?["reason"] == "SchedulerError")
        #expect(condition?["message"]?.string?.hasPrefix("failed filter with extender at URL http://127.0.0.1:") ?? false)
        #expect(writes.last?.body[path: "target", "name"] == "a")
    }

    @Test("a promise is taken back when extenders leave no node and nobody could make room")
    func promiseWithdrawn() async throws {
        var promised = try podObject("p", cpu: "1", priority: 5).value
        promised[path: "status", "nominatedNodeName"] = "a"
        let writes = try await run(
            [(200, #"{"NodeNames":[],"FailedNodes":{"a":"no","b":"no"}}"#)], verbs: "filterVerb: filter", pod: try Object(promised)
        ) { $0.what == "pods/status" }
        #expect(writes.last?.body[path: "status", "nominatedNodeName"] == .null)
    }

    @Test("an extender that binds leaves nothing to be bound")
    func bound() async throws {
        let writes = try await run([(200, "{}")], verbs: "bindVerb: bind") { $0.what == "events/" }
        #expect(writes.last?.body["reason"] == "Scheduled")
        #expect(!writes.contains { $0.what == "pods/binding" })
    }
}
