import HTTPTransport
import KubeAPI
import Synchronization
import Testing

@testable import KubeAPIServer

@Suite("Priority and fairness")
struct FlowControllerTests {
    private static let list = RequestInfo(
        verb: "list", resource: GroupVersionResource(group: "", version: "v1", resource: "pods"), namespace: "default", name: "", subresource: "")

    private func controller(seats: Int, queue: String = #"{"type":"Queue","queuing":{"queues":8,"handSize":2,"queueLengthLimit":2}}"#) throws
        -> FlowController
    {
        let reader = MemoryReader()
        try reader.set(
            .priorityLevelConfigurations,
            #"{"kind":"PriorityLevelConfiguration","metadata":{"name":"small","uid":"level-uid"},"spec":{"type":"Limited","limited":{"nominalConcurrencyShares":100,"lendablePercent":0,"borrowingLimitPercent":0,"limitResponse":\#(queue)}}}"#
        )
        try reader.set(
            .priorityLevelConfigurations,
            #"{"kind":"PriorityLevelConfiguration","metadata":{"name":"catch-all"},"spec":{"type":"Limited","limited":{"nominalConcurrencyShares":0,"limitResponse":{"type":"Reject"}}}}"#
        )
        try reader.set(
            .flowSchemas,
            #"{"kind":"FlowSchema","metadata":{"name":"everyone","uid":"schema-uid"},"spec":{"matchingPrecedence":500,"priorityLevelConfiguration":{"name":"small"},"distinguisherMethod":{"type":"ByUser"},"rules":[{"subjects":[{"kind":"Group","group":{"name":"system:authenticated"}}],"resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"],"namespaces":["*"]}]}]}}"#
        )
        let controller = FlowController(seats: seats)
        controller.follow(reader)
        return controller
    }

    private func user(_ name: String, _ groups: String...) -> UserInfo { UserInfo(name: name, groups: groups + ["system:authenticated"]) }

    @Test("a request finds its schema by precedence, subjects, verbs, resources and scope")
    func matching() throws {
        let controller = try controller(seats: 10)
        let ticket = try #require(controller.enterNow(user("jane"), Self.list))
        #expect(ticket.schemaUID == "schema-uid" && ticket.levelUID == "level-uid")
        #expect(controller.enterNow(user("root", "system:masters"), Self.list)?.levelName == "exempt")
        // The rule is not for requests outside of namespaces: catch-all takes them, which has no seats at all, and lets one in when idle.
        var cluster = Self.list
        cluster.namespace = ""
        #expect(controller.enterNow(user("jane"), cluster)?.levelName == "catch-all")
    }

    @Test("a request beyond the seats waits its turn, one beyond the queues is refused with a time to come back")
    func queues() async throws {
        let controller = try controller(seats: 1)
        let jane = user("jane")
        let first = try #require(controller.enterNow(jane, Self.list))
        #expect(controller.enterNow(jane, Self.list) == nil)
        // Their turns come in an order of their own: each gives its seat back itself.
        let waiting = (0..<4).map { _ in
            Task {
                let ticket = try await controller.enter(jane, Self.list)
                controller.leave(ticket)
                return ticket.schemaName
            }
        }
        while controller.report.levels.first(where: { $0.name == "small" })?.waiting != 4 { await Task.yield() }
        await #expect(throws: FlowController.Refused.self) { _ = try await controller.enter(jane, Self.list) }
        controller.leave(first)
        for task in waiting { #expect(try await task.value == "everyone") }
        let level = try #require(controller.report.levels.first { $0.name == "small" })
        #expect(level.waiting == 0 && level.executing == 0 && level.seats.inUse == 0)
        let statistics = try #require(controller.report.statistics.first { $0.schema == "everyone" })
        #expect(statistics.refusals.first { $0.0 == .queueFull }?.1 == 1)
        #expect(statistics.dispatched.load(ordering: .relaxed) == 5)
    }

    @Test("a client that goes away gives up its place; a changed configuration sends waiting requests on their new way")
    func leaving() async throws {
        let reader = MemoryReader()
        let level =
            #"{"kind":"PriorityLevelConfiguration","metadata":{"name":"catch-all"},"spec":{"type":"Limited","limited":{"nominalConcurrencyShares":5,"limitResponse":{"type":"Queue","queuing":{"queues":1,"handSize":1,"queueLengthLimit":9}}}}}"#
        try reader.set(.priorityLevelConfigurations, level)
        let controller = FlowController(seats: 1)
        controller.follow(reader)
        let held = try #require(controller.enterNow(user("a"), Self.list))
        let gone = Task { try await controller.enter(user("b"), Self.list) }
        while controller.report.waiting.count != 1 { await Task.yield() }
        gone.cancel()
        await #expect(throws: FlowController.Refused.self) { _ = try await gone.value }
        #expect(controller.report.waiting.isEmpty)

        let moved = Task { try await controller.enter(user("c"), Self.list) }
        while controller.report.waiting.count != 1 { await Task.yield() }
        try reader.set(.priorityLevelConfigurations, level.split(separator: #""Limited""#).joined(separator: #""Exempt""#))
        let ticket = try await moved.value
        #expect(ticket.levelName == "catch-all")
        controller.leave(ticket)
        controller.leave(held)
    }

    /// How many of each name were done.
    private final class Counts: Sendable {
        private let counts = Mutex<[String: Int]>([:])
        func add(_ name: String) { counts.withLock { $0[name, default: 0] += 1 } }
        subscript(name: String) -> Int? { counts.withLock { $0[name] } }
    }

    @Test("under load every flow gets its part, whoever asks most")
    func flood() async throws {
        let controller = try controller(
            seats: 4, queue: #"{"type":"Queue","queuing":{"queues":64,"handSize":4,"queueLengthLimit":200}}"#)
        let counts = Counts()
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<440 {
                let name = index % 11 == 10 ? "mouse" : "elephant"
                group.addTask {
                    guard let ticket = try? await controller.enter(user(name), Self.list) else { return }
                    await Task.yield()
                    controller.leave(ticket)
                    counts.add(name)
                }
            }
        }
        #expect(counts["mouse"] == 40)
        #expect(counts["elephant"] == 400)
    }

    @Test("over HTTP: upstream's 429, its headers, and the dumps")
    func http() async throws {
        let test = try await TestServer { configuration in
            configuration.readOnlyInFlight = 1
            configuration.mutatingInFlight = 0
        }
        let running = try test.server.running()
        let held = try #require(running.flow.enterNow(user("x"), Self.list))
        let refused = await test.http("GET", "/api/v1/pods", ["Authorization": "Test x"])
        #expect(refused.status == 429)
        #expect(refused.fields["Retry-After"] == "1")
        #expect(refused.text == "Too many requests, please try again later.\n")
        #expect(await test.http("GET", "/api/v1/pods").status == 200, "system:masters is exempt")
        let dump = await test.http("GET", "/debug/api_priority_and_fairness/dump_priority_levels").text
        #expect(dump.hasPrefix("PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, WaitingRequests, ExecutingRequests\n"))
        #expect(dump.contains("catch-all,         0,            false,  false,       0,               1"))
        #expect(await test.http("GET", "/debug/api_priority_and_fairness/dump_queues").status == 200)
        #expect(await test.http("GET", "/debug/api_priority_and_fairness/dump_requests?includeRequestDetails=1").text.contains("APIPath"))
        running.flow.leave(held)
        #expect(await test.http("GET", "/api/v1/pods", ["Authorization": "Test x"]).status == 200)
    }
}
