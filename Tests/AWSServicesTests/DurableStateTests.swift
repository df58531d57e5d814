import AWSProtocol
import Glibc
import RecordStore
import Synchronization
import Testing

@testable import AWSServices

private struct Counter: Codable, Sendable, Equatable { var value: Int }

private struct Counters: DurableTables {
    var rows = Table<Counter>("counters")
    init() {}
    mutating func load(from storage: any RowStorage) async throws { try await rows.load(from: storage) }
    mutating func takeChanges() -> [RowChange] { rows.takeChanges() }
}

/// A disk that can be full.
private final class FullDisk: RowStorage {
    struct Full: Error {}
    let isFull = Mutex(false)
    let commits = Mutex(0)
    func load<Row: Codable & Sendable>(_ type: Row.Type, collection: String) async throws -> [String: Row] { [:] }
    func commit(_ changes: [RowChange]) async throws {
        if isFull.withLock({ $0 }) { throw Full() }
        commits.withLock { $0 += 1 }
    }
}

/// Whether a stream has something to tell now; it tells nothing after.
func isTold(_ stream: AsyncStream<Void>) async -> Bool {
    let task = Task {
        for await _ in stream { return true }
        return false
    }
    // What is there already is still given.
    task.cancel()
    return await task.value
}

@Suite struct DurableStateTests {
    @Test("an update that throws, or that the disk does not take, leaves nothing behind")
    func atomic() async throws {
        let disk = FullDisk()
        let state = try await DurableState<Counters>(storage: disk)
        try await state.update { $0.rows["a"] = Counter(value: 1) }
        await #expect(throws: AWSError.self) {
            try await state.update { tables in
                tables.rows["a"] = Counter(value: 2)
                throw AWSError("x", "y")
            }
        }
        disk.isFull.withLock { $0 = true }
        await #expect(throws: FullDisk.Full.self) { try await state.update { $0.rows["a"] = Counter(value: 3) } }
        #expect(await state.read { $0.rows["a"]?.value } == 1)
        disk.isFull.withLock { $0 = false }
        try await state.update { $0.rows["a"] = Counter(value: 1) }
        #expect(disk.commits.withLock { $0 } == 1, "what did not change is not written")
    }

    @Test("changes of a collection are told to those who asked for it, once they can be read")
    func changes() async throws {
        let disk = FullDisk()
        let state = try await DurableState<Counters>(storage: disk)
        let quiet = await state.changes(of: ["counters"])
        disk.isFull.withLock { $0 = true }
        await #expect(throws: FullDisk.Full.self) { try await state.update { $0.rows["a"] = Counter(value: 1) } }
        disk.isFull.withLock { $0 = false }
        try await state.update { _ in }
        #expect(await !isTold(quiet), "nothing changed")
        let (own, others) = (await state.changes(of: ["counters", "x"]), await state.changes(of: ["y"]))
        for value in [2, 3] { try await state.update { $0.rows["a"] = Counter(value: value) } }
        var iterator = own.makeAsyncIterator()
        await iterator.next()
        #expect(await state.read { $0.rows["a"]?.value } == 3)
        let (again, unconcerned) = (await isTold(own), await isTold(others))
        #expect(!again && !unconcerned, "both changes were told as one")
    }

    @Test("updates at once do not lose each other")
    func concurrent() async throws {
        let state = try await DurableState<Counters>(storage: FullDisk())
        await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<200 { group.addTask { try await state.update { $0.rows["a"] = Counter(value: ($0.rows["a"]?.value ?? 0) + 1) } } }
        }
        #expect(await state.read { $0.rows["a"]?.value } == 200)
    }

    @Test("identities and networks are found again in the record store's file")
    func recordStore() async throws {
        let path = "/tmp/eyrie-state-\(AWSIdentifier.hex(16)).db"
        defer { for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) } }
        let store = try RecordStore(path: path)
        let first = RecordRowStorage(store)
        let identities = try await IdentityStore(storage: first)
        let admin = try await identities.administratorCredentials()
        let network = try await EC2Network(storage: first, account: identities.account, region: "eu-central-1")
        let vpcs = await network.state.read { $0.vpcs.rows }
        await store.close()
        let second = RecordRowStorage(try RecordStore(path: path))
        #expect(try await IdentityStore(storage: second).administratorCredentials() == admin)
        #expect(try await EC2Network(storage: second, account: identities.account, region: "eu-central-1").state.read { $0.vpcs.rows } == vpcs)
    }
}
