import KubeAPI
import KubeClient
import Synchronization
import Testing

private let start = Timestamp(seconds: 1_767_225_600)

private func held(by holder: String, renewed: Int64 = 0, transitions: Int64 = 3) -> LeaderElectionRecord {
    LeaderElectionRecord(
        holderIdentity: holder, leaseDurationSeconds: 15, acquireTime: start, renewTime: start.adding(seconds: renewed),
        leaderTransitions: transitions)
}

@Suite("What a candidate for a Lease decides")
struct LeaderElectionTests {
    private let now = start.adding(seconds: 100)

    private func taken(transitions: Int64, acquired: Timestamp? = nil) -> LeaderElection.Attempt {
        .write(
            LeaderElectionRecord(
                holderIdentity: "me", leaseDurationSeconds: 15, acquireTime: acquired ?? now, renewTime: now, leaderTransitions: transitions))
    }

    @Test("a Lease that is not there, or was given back, is taken at once")
    func free() {
        var election = LeaderElection(identity: "me")
        #expect(election.attempt(nil, now: now, at: .zero) == taken(transitions: 0))
        #expect(!election.isLeader, "not before it is written")
        #expect(election.attempt(held(by: ""), now: now, at: .zero) == taken(transitions: 4))
    }

    @Test("what one held before a crash one holds at once, as before")
    func own() {
        var election = LeaderElection(identity: "me")
        #expect(election.attempt(held(by: "me"), now: now, at: .zero) == taken(transitions: 3, acquired: start))
        #expect(election.isLeader)
    }

    @Test("another's Lease is taken once it has not changed for its duration on one's own clock, whatever times it names")
    func foreign() {
        var election = LeaderElection(identity: "me")
        #expect(election.attempt(held(by: "other"), now: now, at: .seconds(100)) == .standBy(holder: "other"))
        #expect(election.attempt(held(by: "other"), now: now, at: .seconds(114)) == .standBy(holder: "other"))
        #expect(election.attempt(held(by: "other", renewed: 1), now: now, at: .seconds(114)) == .standBy(holder: "other"))
        #expect(election.attempt(held(by: "other", renewed: 1), now: now, at: .seconds(128)) == .standBy(holder: "other"))
        #expect(election.attempt(held(by: "other", renewed: 1), now: now, at: .seconds(129)) == taken(transitions: 4))
        #expect(
            election.attempt(held(by: "", transitions: Int64(Int32.max)), now: now, at: .seconds(130)) == taken(transitions: Int64(Int32.max)),
            "the field has 32 bits")
    }

    @Test("the holder renews without reading while its Lease is valid, and gives back what it holds")
    func renewal() {
        var election = LeaderElection(identity: "me")
        #expect(election.renewal(now: now, at: .zero) == nil && election.release(now: now) == nil)
        election.wrote(held(by: "me"), at: .seconds(10))
        #expect(election.deadline == .seconds(20))
        #expect(election.renewal(now: now, at: .seconds(24)).map(LeaderElection.Attempt.write) == taken(transitions: 3, acquired: start))
        #expect(election.renewal(now: now, at: .seconds(25)) == nil)
        let given = election.release(now: now)
        #expect(given?.holderIdentity == "" && given?.leaseDurationSeconds == 1 && given?.leaderTransitions == 3)
        #expect(election.attempt(held(by: "other"), now: now, at: .seconds(26)) == .standBy(holder: "other"))
        #expect(!election.isLeader && election.release(now: now) == nil)
    }

    @Test("a record is what its Lease says, and leaves the Lease's other fields alone")
    func lease() throws {
        var value: Value = [
            "kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": ["name": "l", "annotations": ["a": "b"]],
            "spec": ["strategy": "OldestEmulationVersion"],
        ]
        held(by: "me", renewed: 7).write(into: &value)
        #expect(value[path: "spec", "renewTime"]?.string == "2026-01-01T00:00:07.000000Z")
        #expect(value[path: "spec", "strategy"] != nil && value[path: "metadata", "annotations"] != nil)
        #expect(LeaderElectionRecord(try Object(value)) == held(by: "me", renewed: 7))
        let empty = LeaderElectionRecord(try Object(["kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": ["name": "l"]]))
        #expect(empty.holderIdentity.isEmpty && empty.acquireTime == nil)
    }
}

/// Keeps one Lease by compare-and-swap, and the events about it.
private final class LeaseServer: KubeTransport {
    private struct State {
        var lease: Object?
        var revision: Int64 = 0
        var writes = 0
        var fails = false
    }

    private let state = Mutex(State())
    let events = Journal()
    var record: LeaderElectionRecord? { state.withLock(\.lease).map(LeaderElectionRecord.init) }
    var writes: Int { state.withLock(\.writes) }

    /// From now on every request fails, or none.
    func fail(_ fails: Bool) { state.withLock { $0.fails = fails } }

    /// Somebody else writes.
    func put(_ record: LeaderElectionRecord) throws {
        var value: Value = ["kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": ["name": "l", "namespace": "kube-system"]]
        record.write(into: &value)
        let lease = try Object(value)
        state.withLock { state in
            state.revision += 1
            state.lease = lease.withResourceVersion(state.revision)
        }
    }

    func perform(_ request: KubeRequest) async throws -> Object {
        let resource = request.resource.groupResource
        let body = try Object(Value(json: request.body ?? Array("{}".utf8)))
        if request.resource == .events {
            events.add(body["message"].string ?? "")
            return body
        }
        return try state.withLock { state in
            if state.fails { throw StatusError.serviceUnavailable("the disk is full") }
            if request.verb == .get {
                guard let lease = state.lease else { throw StatusError.notFound(resource, "l") }
                return lease
            }
            if request.verb == .update, body.metadata.resourceVersion != state.lease?.metadata.resourceVersion {
                throw StatusError.conflict(resource, "l", "the object has been modified")
            }
            state.revision += 1
            state.writes += 1
            let lease = body.withResourceVersion(state.revision)
            state.lease = lease
            return lease
        }
    }

    func watch(_ request: KubeRequest) async throws -> AsyncThrowingStream<WatchEvent, any Error> { AsyncThrowingStream { $0.finish() } }
}

@Suite("Leading while a Lease is held")
struct LeaderElectorTests {
    private let server = LeaseServer()
    private let clock = ManualClock()
    private let journal = Journal()

    private func elector() -> LeaderElector {
        LeaderElector(
            client: KubeClient(transport: server), name: "l", identity: "me", component: "test", clock: clock, now: { start }, random: { 0 })
    }

    /// Leads until cancelled.
    private func lead() async {
        journal.add("leads")
        // Cancelled: that is what it waits for.
        try? await Task.sleep(for: .seconds(3600))
        journal.add("stopped")
    }

    /// Lets time pass until `condition` is met.
    private func advance(by step: Duration, until condition: () -> Bool) async {
        while !condition() {
            await clock.waitForSleepers()
            clock.advance(by: step)
            await Task.yield()
        }
    }

    @Test("it leads at once, renews, and gives the Lease back at its end")
    func leads() async throws {
        let task = Task { await elector().run { await lead() } }
        #expect(await journal.wait(for: 1) == ["leads"])
        #expect(server.record?.holderIdentity == "me" && server.record?.leaderTransitions == 0 && server.writes == 1)
        #expect(await server.events.wait(for: 1) == ["me became leader"])
        for renewals in 1...3 {
            // Renewing and the deadline.
            await clock.waitForSleepers(2)
            #expect(server.writes == renewals)
            clock.advance(by: .seconds(5))
        }
        await clock.waitForSleepers(2)
        #expect(server.writes == 4 && journal.lines == ["leads"])
        task.cancel()
        await task.value
        #expect(journal.lines == ["leads", "stopped"])
        #expect(server.record?.holderIdentity == "" && server.record?.leaseDurationSeconds == 1)
    }

    @Test("the successor of a crashed process leads at once under the same name")
    func crash() async throws {
        try server.put(held(by: "me"))
        let task = Task { await elector().run { await lead() } }
        #expect(await journal.wait(for: 1) == ["leads"])
        #expect(server.record?.leaderTransitions == 3 && server.record?.acquireTime == start)
        task.cancel()
        await task.value
    }

    @Test("when another takes the Lease it stops, stands by, and leads again when the other no longer renews")
    func another() async throws {
        let task = Task { await elector().run { await lead() } }
        #expect(await journal.wait(for: 1) == ["leads"])
        try server.put(held(by: "other", transitions: 1))
        await advance(by: .seconds(1)) { journal.lines.count == 2 }
        #expect(await server.events.wait(for: 2) == ["me became leader", "me stopped leading"])
        let writes = server.writes
        await advance(by: .seconds(1)) { server.writes > writes }
        #expect(await journal.wait(for: 3) == ["leads", "stopped", "leads"])
        #expect(clock.now.offset >= .seconds(15) && server.record?.leaderTransitions == 2)
        task.cancel()
        await task.value
    }

    @Test("when it cannot renew for ten seconds it stops, and leads again when it can")
    func unrenewed() async throws {
        let task = Task { await elector().run { await lead() } }
        #expect(await journal.wait(for: 1) == ["leads"])
        server.fail(true)
        await advance(by: .seconds(1)) { journal.lines.count == 2 }
        #expect(clock.now.offset >= .seconds(10) && server.record?.holderIdentity == "me")
        let writes = server.writes
        server.fail(false)
        await advance(by: .seconds(1)) { server.writes > writes }
        #expect(await journal.wait(for: 3) == ["leads", "stopped", "leads"])
        #expect(server.record?.leaderTransitions == 0)
        task.cancel()
        await task.value
    }
}
