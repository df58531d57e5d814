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

    @Test("what was queued is written before the store closes, also while it gathers writes of a crowd; nobody waits for ever")
    func closes() async throws {
        let folder = try Folder()
        let store = try SQLiteStore(path: folder.database)
        let observed = Locked<Int>(0)
        store.observe { events in observed.withLock { $0 += events.count } }
        let made = await withTaskGroup(of: Bool.self) { group in
            for writer in 0..<64 {
                group.addTask {
                    for number in 0..<1000 {
                        let write = StoreWrite(key: key("n\(writer)-\(number)"), value: Array("{}".utf8), condition: .absent)
                        do { _ = try await store.write(write) } catch {
                            #expect(error as? StoreError == .closed)
                            return false
                        }
                    }
                    return true
                }
            }
            group.addTask {
                while observed.withLock({ $0 }) < 640 { await Task.yield() }
                await store.close()
                return false
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(made < 64, "it was closed before all was written")
        let again = try SQLiteStore(path: folder.database)
        #expect(try await again.load(prefix: "").entries.count == observed.withLock { $0 })
        await again.close()
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
