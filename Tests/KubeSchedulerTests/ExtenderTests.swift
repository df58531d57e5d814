import HTTPTransport
import KubeAPI
import Logging
import Synchronization
import Testing

@testable import KubeScheduler

/// An extender that answers what it is told, and the questions it was asked.
private final class FakeExtender: Sendable {
    private final class Book: Sendable { let questions = Mutex<[(url: String, body: Value)]>([]) }

    let extender: SchedulerExtender
    private let book: Book

    init(_ text: String, status: Int = 200, fails: Bool = false, _ change: (inout ExtenderConfiguration) -> Void = { _ in }) throws {
        let client = try HTTPClient(configuration: .init(address: .tcp(host: "127.0.0.1", port: 1)))
        var configuration = ExtenderConfiguration(urlPrefix: "http://127.0.0.1:1/x", client: client)
        configuration.filterVerb = "filter"
        configuration.prioritizeVerb = "prioritize"
        configuration.preemptVerb = "preempt"
        configuration.bindVerb = "bind"
        configuration.weight = 2
        change(&configuration)
        let book = Book()
        extender = SchedulerExtender(configuration) { url, body, _ in
            let value = try Value(json: body)
            book.questions.withLock { $0.append((url, value)) }
            if fails { throw HTTPError.connectFailed("cannot connect to 127.0.0.1:1: connection refused") }
            return (status, Array(text.utf8))
        }
        self.book = book
    }

    var asked: [(url: String, body: Value)] { book.questions.withLock { $0 } }
}

private func round(_ extenders: FakeExtender...) throws -> ExtenderRound {
    ExtenderRound(extenders: extenders.map(\.extender), pod: try podObject("p"), logger: Logger(label: "test"))
}

private func nodes(_ names: String...) throws -> [String: Object] {
    Dictionary(uniqueKeysWithValues: try names.map { ($0, try node($0)) })
}

/// What was thrown, as text.
private func failure(_ body: () async throws -> Void) async -> String? {
    do { try await body() } catch { return "\(error)" }
    return nil
}

@Suite("Scheduler: extenders")
struct ExtenderTests {
    @Test("an extender gets the nodes as objects, or their names when it knows them, and its list is what is left")
    func filters() async throws {
        let all = try nodes("a", "b", "c")
        let whole = try FakeExtender(
            #"{"Nodes":{"items":[{"metadata":{"name":"b"}}]},"FailedNodes":{"a":"no"},"FailedAndUnresolvableNodes":{"c":"never","a":"never"}}"#)
        let left = try await round(whole).filter(["a", "b", "c"]) { all[$0] }
        #expect(left.nodes == ["b"])
        #expect(left.rejections == ["a": Rejection("never", unresolvable: true), "c": Rejection("never", unresolvable: true)])
        let question = try #require(whole.asked.first)
        #expect(question.url == "http://127.0.0.1:1/x/filter")
        #expect(question.body[path: "Pod", "metadata", "name"] == "p" && question.body["NodeNames"] == .null)
        #expect(question.body[path: "Nodes", "items"]?.array?.count == 3)

        // Go reads names of members without regard to case.
        let named = try FakeExtender(#"{"nodenames":["a"],"failedNodes":{"b":"no"}}"#) { $0.knowsNodes = true }
        let some = try await round(named).filter(["a", "b"]) { all[$0] }
        #expect(some == .init(nodes: ["a"], rejections: ["b": Rejection("no")]))
        #expect(named.asked.first?.body["NodeNames"] == ["a", "b"] && named.asked.first?.body["Nodes"] == .null)

        // Nothing said is no node left, and then nobody else is asked.
        let silent = try FakeExtender("{}")
        #expect(try await round(silent, whole).filter(["a"]) { all[$0] }.nodes.isEmpty)
        #expect(whole.asked.count == 1)
    }

    @Test("what goes wrong is said in upstream's words, and passes over an extender that may be left out")
    func failures() async throws {
        let all = try nodes("a")
        func failureOf(_ extender: FakeExtender) async throws -> String? {
            let round = try round(extender)
            return await failure { _ = try await round.filter(["a"]) { all[$0] } }
        }
        #expect(try await failureOf(FakeExtender(#"{"Error":"out of order"}"#)) == "out of order")
        #expect(try await failureOf(FakeExtender("", status: 503)) == "failed filter with extender at URL http://127.0.0.1:1/x/filter, code 503")
        #expect(
            try await failureOf(FakeExtender("", fails: true))
                == "Post \"http://127.0.0.1:1/x/filter\": dial tcp 127.0.0.1:1: connect: connection refused")
        #expect(try await failureOf(FakeExtender("nonsense")) != nil)
        #expect(
            try await failureOf(FakeExtender(#"{"Nodes":{"items":[{"metadata":{"name":"z"}}]}}"#))
                == "extender \"http://127.0.0.1:1/x\" claims a filtered node \"z\" which is not found in the input node list")
        let ignorable = try FakeExtender("", fails: true) { $0.isIgnorable = true }
        #expect(try await round(ignorable).filter(["a"]) { all[$0] } == .init(nodes: ["a"]))
    }

    @Test("scores are weighted, brought to the scheduler's scale and added; one that fails gives none")
    func scores() async throws {
        let list = try nodes("a", "b").values.map { $0 }
        let one = try FakeExtender(#"[{"Host":"a","Score":10},{"host":"b","score":1}]"#)
        let other = try FakeExtender(#"[{"Host":"b","Score":3}]"#)
        let broken = try FakeExtender("", fails: true)
        #expect(try await round(one, other, broken).prioritize(list) == ["a": 200, "b": 80])
        // Nothing an extender says makes a sum overflow.
        let huge = try JSONDocument(Array(#"[{"Host":"a","Score":9223372036854775807},{"Host":"a","Score":9223372036854775807}]"#.utf8))
        #expect(ExtenderMessages.scores(huge.root, weight: .max)["a"] == 1 << 60)
    }

    @Test("an extender's worth decides between nodes that are equal otherwise")
    func worth() throws {
        var all = cache([try node("a"), try node("b"), try node("c")])
        var cycle = SchedulingCycle(profile: .standard)
        let input = CycleInput(pod: try pod("p", cpu: "1"))
        #expect(cycle.choose(among: ["a", "b", "c"], input, &all, worth: ["b": 10], random: { _ in 0 }) == "b")
        // Nodes that have gone since are left out.
        all.removeNode("b")
        #expect(cycle.choose(among: ["b", "c"], input, &all, worth: ["b": 10]) == "c")
        #expect(cycle.choose(among: ["b"], input, &all, worth: [:]) == nil)
    }

    @Test("only pods that ask for a managed resource are an extender's concern")
    func interest() throws {
        let extender = try FakeExtender("{}") { $0.managedResources = ["a.io/gpu"] }.extender
        func asks(_ spec: @escaping (inout Value) -> Void) throws -> Bool { extender.isInterested(in: try podObject("p", spec: spec)) }
        #expect(try !asks { _ in })
        #expect(try asks { $0["containers"] = [["name": "c", "resources": ["limits": ["a.io/gpu": "1"]]]] })
        #expect(try asks { $0["initContainers"] = [["name": "c", "resources": ["requests": ["a.io/gpu": "1"]]]] })
        #expect(try FakeExtender("{}").extender.isInterested(in: podObject("p")))
    }

    @Test("an extender that binds is told pod and node; its error stands alone; without one nobody has bound the pod")
    func binding() async throws {
        let extender = try FakeExtender(#"{"Error":""}"#)
        #expect(try await round(extender).bind(pod("p"), to: "a"))
        #expect(extender.asked.first?.body == ["PodName": "p", "PodNamespace": "default", "PodUID": "uid-p", "Node": "a"])
        let refusing = try round(FakeExtender(#"{"Error":"no room"}"#))
        let info = try pod("p")
        #expect(await failure { _ = try await refusing.bind(info, to: "a") } == "no room")
        #expect(try await !round(FakeExtender("{}", fails: true) { $0.isIgnorable = true }).bind(pod("p"), to: "a"))
        #expect(try await !round(FakeExtender("{}") { $0.bindVerb = "" }).bind(pod("p"), to: "a"))
    }

    @Test("an extender may take candidates for preemption away, and victims it names must be there")
    func preemption() async throws {
        let (x, y) = (try pod("x", node: "a"), try pod("y", node: "b"))
        let candidates: [DefaultPreemption.Candidate] = [
            .init(node: "a", victims: [x], violations: 1), .init(node: "b", victims: [y], violations: 0),
        ]
        let pods = ["a": [x], "b": [y]]
        func ask(_ extender: FakeExtender) async throws -> [String] {
            try await round(extender).preempt(candidates, objects: { try? podObject($0.name) }, pods: { pods[$0] }).map {
                "\($0.node):\($0.victims.map(\.name).joined()):\($0.violations)"
            }
        }
        let extender = try FakeExtender(#"{"NodeNameToMetaVictims":{"b":{"Pods":[{"UID":"uid-y"}],"NumPDBViolations":3}}}"#) { $0.knowsNodes = true }
        #expect(try await ask(extender) == ["b:y:3"])
        #expect(extender.asked.first?.body[path: "NodeNameToMetaVictims", "a"] == ["Pods": [["UID": "uid-x"]], "NumPDBViolations": 1])
        let whole = try FakeExtender(#"{"NodeNameToMetaVictims":{}}"#)
        #expect(try await ask(whole).isEmpty)
        #expect(whole.asked.first?.body[path: "NodeNameToVictims", "a", "Pods"]?.array?.count == 1)
        let liar = try FakeExtender(#"{"NodeNameToMetaVictims":{"a":{"Pods":[{"UID":"uid-y"}]}}}"#)
        #expect(await failure { _ = try await ask(liar) }?.contains("but the pod is not found on that node") ?? false)
        let empty = #"{"NodeNameToMetaVictims":{"a":{"Pods":[]}}}"#
        let (strict, lenient) = (try FakeExtender(empty), try FakeExtender(empty) { $0.isIgnorable = true })
        #expect(await failure { _ = try await ask(strict) } == "expected at least one victim pod on node \"a\"")
        #expect(try await ask(lenient).isEmpty)
    }

    @Test("what happens while extenders are asked is remembered; anything is worth another try of what they rejected")
    func meanwhile() throws {
        var queue = SchedulingQueue()
        queue.set(try pod("p"), now: epoch)
        let popped = queue.pop()
        let tried = try #require(popped)
        queue.beginConsultation("uid-p")
        _ = queue.move(.nodeLabelsChanged, now: epoch)
        _ = queue.move(.nodeLabelsChanged, now: epoch)
        #expect(queue.endConsultation() == [.nodeLabelsChanged])
        #expect(queue.endConsultation().isEmpty)
        #expect(ClusterEvent.nodeLabelsChanged.concerns(["NodeAffinity"]) && !ClusterEvent.nodeLabelsChanged.concerns(["NodeResourcesFit"]))
        #expect(ClusterEvent.namespaceChanged.concerns(["Extender"]) && ClusterEvent.namespaceChanged.concerns([]))
        _ = queue.addUnschedulable(tried, rejectedBy: ["Extender"], now: epoch)
        _ = queue.move(.namespaceChanged, now: epoch)
        #expect(queue.unschedulableCount == 0)
    }
}
