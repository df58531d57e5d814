import KubeAPI
import KubeStorage
import Testing

struct GroupCommitTests {
    @Test("concurrent writes share commits, each with a revision of its own, and are observed in order before they are answered")
    func groups() async throws {
        let folder = try Folder()
        let store = try SQLiteStore(path: folder.database)
        let observed = Locked<(groups: Int, revisions: [Int64])>((0, []))
        store.observe { events in
            observed.withLock {
                $0.groups += 1
                $0.revisions += events.map(\.revision)
            }
        }
        let count = 1000
        let revisions = try await withThrowingTaskGroup(of: Int64.self) { group in
            for number in 0..<count {
                group.addTask {
                    let revision = try await store.write(StoreWrite(key: key("n\(number)"), value: Array("{}".utf8), condition: .absent))
                    #expect(observed.withLock { ($0.revisions.last ?? 0) >= revision })
                    return revision
                }
            }
            return try await group.reduce(into: [Int64]()) { $0.append($1) }
        }
        #expect(revisions.sorted() == Array(2...Int64(count + 1)))
        let (groups, seen) = observed.withLock { $0 }
        #expect(seen == Array(2...Int64(count + 1)))
        #expect(groups < count, "\(groups) commits for \(count) concurrent writes")
        #expect(store.revision == Int64(count + 1))
        await store.close()
    }

    @Test("a failed condition fails that write alone, also when its neighbours in the group decide it")
    func conditions() async throws {
        let folder = try Folder()
        let store = try SQLiteStore(path: folder.database)
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<200 {
                group.addTask {
                    do {
                        // Two writers for each key: one of them must lose, whichever.
                        _ = try await store.write(StoreWrite(key: key("n\(number / 2)"), value: Array("{}".utf8), condition: .absent))
                        return true
                    } catch {
                        #expect(error as? StoreError == .alreadyExists(key: key("n\(number / 2)")))
                        return false
                    }
                }
            }
            return await group.reduce(into: [Bool]()) { $0.append($1) }
        }
        #expect(outcomes.count(where: { $0 }) == 100)
        #expect(store.revision == 101)
        #expect(try await store.load(prefix: "").entries.count == 100)
        await store.close()
    }
}
