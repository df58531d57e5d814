import HTTPTransport
import KubeAPI
import Testing

@testable import KubeClient

struct InformerTests {
    /// An informer of the server's ConfigMaps that runs while `body` does.
    private func withInformer(
        _ server: FakeServer, clock: any Clock<Duration> = ContinuousClock(), _ body: (SharedInformer, Journal) async throws -> Void
    ) async throws {
        let factory = InformerFactory(client: KubeClient(transport: server), clock: clock)
        let informer = factory.informer(for: .configMaps)
        #expect(factory.informer(for: .configMaps) === informer)
        let journal = Journal()
        informer.addHandler(journal.handler)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await factory.run() }
            try await body(informer, journal)
            group.cancelAll()
        }
    }

    @Test("an informer lists, watches, tells its handlers in order and keeps its cache and indices")
    func follows() async throws {
        let server = FakeServer()
        try server.set("a", 1)
        try await withInformer(server) { informer, journal in
            informer.addIndex("number") { [$0.number] }
            try await informer.waitForSync()
            #expect(informer.hasSynced)
            try server.set("b", 1)
            try server.set("a", 2)
            try server.delete("b")
            #expect(await journal.wait(for: 4) == ["+a1", "+b1", "a1>2", "-b"])
            #expect(informer.lister.get(namespace: "default", name: "a")?.number == "2")
            #expect(informer.lister.get(namespace: "default", name: "b") == nil)
            #expect(informer.lister.list(namespace: "default").count == 1 && informer.lister.list(namespace: "other").isEmpty)
            #expect(informer.lister.byIndex("number", "2").count == 1 && informer.lister.byIndex("number", "1").isEmpty)
            #expect(informer.lister.list().first?.kind == "ConfigMap", "items of a list get the kind that upstream's lists leave out")
            let late = Journal()
            informer.addHandler(late.handler)
            #expect(late.lines == ["+a2"])
        }
    }

    @Test("after a broken watch it resumes from the last revision seen, a bookmark's too, without listing again")
    func resumes() async throws {
        let server = FakeServer()
        let clock = ManualClock()
        try await withInformer(server, clock: clock) { informer, journal in
            try await informer.waitForSync()
            try server.set("a", 1)
            _ = await journal.wait(for: 1)
            try server.bookmark()
            server.disconnect(throwing: HTTPError.connectionClosed)
            try server.set("a", 2)
            await clock.waitForSleepers()
            clock.advance(by: .seconds(1))
            #expect(await journal.wait(for: 2) == ["+a1", "a1>2"])
        }
        #expect(server.verbs == ["list", "watch", "watch"])
        #expect(server.requests.last?.query.first { $0.name == "resourceVersion" }?.value == "3")
    }

    @Test("410 Expired makes it list again; what vanished meanwhile is told as deleted, what is unchanged is not told", arguments: [false, true])
    func relists(asErrorEvent: Bool) async throws {
        let server = FakeServer()
        let clock = ManualClock()
        try server.set("a", 1)
        try server.set("b", 1)
        try server.set("c", 1)
        try await withInformer(server, clock: clock) { informer, journal in
            _ = await journal.wait(for: 3)
            await server.waitForWatch()
            if asErrorEvent { try server.expire() } else { server.disconnect() }
            try server.delete("b")
            try server.set("c", 2)
            server.compact()
            try server.set("d", 1)
            for _ in 0..<(asErrorEvent ? 1 : 2) {
                await clock.waitForSleepers()
                clock.advance(by: .seconds(1))
            }
            #expect(await journal.wait(for: 6).suffix(3).sorted() == ["+d1", "-b", "c1>2"])
        }
    }

    @Test("failures are retried with growing pauses up to 30 s")
    func backsOff() async throws {
        let server = FakeServer()
        let clock = ManualClock()
        for _ in 0..<15 { server.fail(HTTPError.connectFailed("no one there")) }
        try server.set("a", 1)
        try await withInformer(server, clock: clock) { informer, journal in
            var pauses: [Duration] = []
            for _ in 0..<15 {
                await clock.waitForSleepers()
                pauses.append((clock.deadlines.first ?? .zero) - clock.now.offset)
                #expect(!informer.hasSynced)
                clock.advance(by: .seconds(60))
            }
            #expect(await journal.wait(for: 1) == ["+a1"])
            #expect(pauses[0] <= Reflector.firstPause && pauses[14] > .seconds(14) && pauses[14] <= .seconds(30))
        }
    }

    @Test("handlers that were added through a view go with it; the cache is the same")
    func views() async throws {
        let server = FakeServer()
        try server.set("a", 1)
        let factory = InformerFactory(client: KubeClient(transport: server))
        let (all, some) = (Journal(), Journal())
        let view = factory.makeView()
        view.informer(for: .configMaps).addHandler(some.handler)
        factory.informer(for: .configMaps).addHandler(all.handler)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await factory.run() }
            try await view.informer(for: .configMaps).waitForSync()
            #expect(view.informer(for: .configMaps).indexer === factory.informer(for: .configMaps).indexer)
            view.removeHandlers()
            factory.removeHandlers()
            try server.set("b", 1)
            #expect(await all.wait(for: 2) == ["+a1", "+b1"])
            #expect(some.lines == ["+a1"])
            group.cancelAll()
        }
    }

    @Test("waiting for a sync ends with its task")
    func cancelledWait() async throws {
        let informer = SharedInformer(reflector: Reflector(client: KubeClient(transport: FakeServer()), resource: .pods))
        let waiting = Task { try await informer.waitForSync() }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
    }
}

extension Journal {
    var handler: InformerHandler {
        InformerHandler(
            added: { self.add("+\($0.metadata.name)\($0.number)") }, updated: { self.add("\($0.metadata.name)\($0.number)>\($1.number)") },
            deleted: { self.add("-\($0.metadata.name)") })
    }
}
