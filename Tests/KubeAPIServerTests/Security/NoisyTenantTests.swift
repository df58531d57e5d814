import HTTPTransport
import KubeAPI
import Synchronization
import Testing

@testable import KubeAPIServer

/// R14: whoever asks ten times what the server can do is made to wait or sent away; others do not notice, and the server stays ready.
@Suite("A noisy tenant", .timeLimit(.minutes(1)))
struct NoisyTenantTests {
    private static func user(_ name: String) -> HTTPFields {
        ["Authorization": "Test system:serviceaccount:\(name):default,system:serviceaccounts,system:authenticated"]
    }

    private final class Answers: Sendable {
        private let all = Mutex<[(status: Int, retryAfter: String?)]>([])
        func add(_ answer: TestServer.Answer) { all.withLock { $0.append((answer.status, answer.fields["Retry-After"])) } }
        var list: [(status: Int, retryAfter: String?)] { all.withLock { $0 } }
    }

    /// The slowest of some reads and writes of a user who does one after the other.
    private func quietest(_ test: TestServer, _ prefix: String, _ count: Int) async -> Duration {
        var slowest = Duration.zero
        for index in 0..<count {
            let start = ContinuousClock.now
            let read = await test.http("GET", "/api/v1/namespaces/quiet/configmaps?limit=1", Self.user("quiet"))
            let body = configMap("\(prefix)-\(index)").jsonString
            let write = await test.http("POST", "/api/v1/namespaces/quiet/configmaps", Self.user("quiet"), body: body)
            slowest = max(slowest, ContinuousClock.now - start)
            #expect(read.status == 200 && write.status == 201)
        }
        return slowest
    }

    @Test("R14: the noisy one is refused with 429 and a time to come back; the quiet one waits at most for its turn; readyz stays ok")
    func noise() async throws {
        let test = try await TestServer { configuration in
            configuration.readOnlyInFlight = 8
            configuration.mutatingInFlight = 4
        }
        for object in FlowControlDefaults.priorityLevels() {
            try await test.create("flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations", object, namespace: nil)
        }
        for object in FlowControlDefaults.flowSchemas() {
            try await test.create("flowcontrol.apiserver.k8s.io/v1/flowschemas", object, namespace: nil)
        }
        let idle = await quietest(test, "idle", 20)

        let noise = Answers()
        let began = ContinuousClock.now
        let loud = await withTaskGroup(of: Duration?.self) { group in
            for index in 0..<3_000 {
                group.addTask {
                    let body = configMap("noise-\(index)", ["k": String(repeating: "x", count: 4_000)]).jsonString
                    noise.add(await test.http("POST", "/api/v1/namespaces/noisy/configmaps", Self.user("noisy"), body: body))
                    return nil
                }
            }
            group.addTask { await quietest(test, "loud", 20) }
            group.addTask {
                for _ in 0..<20 { #expect(await test.http("GET", "/readyz", ["Authorization": "none"]).status == 200) }
                return nil
            }
            var slowest: Duration?
            for await one in group { if let one { slowest = one } }
            return slowest
        }
        let whole = ContinuousClock.now - began
        let statuses = noise.list
        let refused = statuses.filter { $0.status == 429 }
        #expect(statuses.count == 3_000 && statuses.allSatisfy { $0.status == 201 || $0.status == 429 })
        #expect(!refused.isEmpty && refused.allSatisfy { ($0.retryAfter.flatMap { Int($0) } ?? 0) >= 1 })
        #expect(statuses.contains { $0.status == 201 }, "what there was room for was done")
        // The rest of the process shares two cores with the noise: a second is far above a turn and far below the noise's whole.
        #expect(try #require(loud) < max(idle * 50, .seconds(1), whole / 2), "idle \(idle), loud \(loud.map { "\($0)" } ?? "never")")
        await test.server.stop()
    }
}
