import ContainerRuntime
import KubeAPI
import Logging

/// The pod life-cycle event generator: turns the runtime's events into "look at this pod", and lists everything now and then, so that a lost event
/// only delays. Upstream: pkg/kubelet/pleg (evented).
actor PLEG {
    private let runtime: any ContainerRuntime
    private let relistPeriod: Duration
    private let logger: Logger
    /// Pods by the IDs of their containers and sandboxes.
    private var owners: [String: String] = [:]
    /// Containers and their states as last listed, by pod.
    private var listed: [String: Set<String>] = [:]
    private var watchers: [String: [Int: AsyncStream<Void>.Continuation]] = [:]
    private var nextWatcher = 0
    private(set) var lastRelist: ContinuousClock.Instant?

    init(runtime: any ContainerRuntime, relistPeriod: Duration, logger: Logger) {
        self.runtime = runtime
        self.relistPeriod = relistPeriod
        self.logger = logger
    }

    /// Runs until cancelled. `changed` is called for pods to look at, `present` after each list with all pods the runtime has anything of.
    func run(changed: @escaping @Sendable (String) -> Void, present: @escaping @Sendable (Set<String>) -> Void) async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                await withDiscardingTaskGroup { group in
                    for await event in self.runtime.events() {
                        await self.take(event, changed: changed, present: present)
                        if case .exited(let id) = event { group.addTask { await self.settle(id, changed: changed) } }
                    }
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    do { try await Task.sleep(for: self.relistPeriod) } catch { return }  // Cancelled.
                    await self.relist(changed: changed, present: present)
                }
            }
        }
    }

    /// Tells whose a container or sandbox is, before its first event.
    func note(_ id: String, podUID: String) { owners[id] = podUID }

    private func take(_ event: RuntimeEvent, changed: @Sendable (String) -> Void, present: @Sendable (Set<String>) -> Void) async {
        switch event {
        case .resynchronize: await relist(changed: changed, present: present)
        // Nothing starts but by this kubelet, which looks at what it has started itself.
        case .started: break
        case .exited(let id): _ = await owner(of: id)
        case .outOfMemory(let id), .deleted(let id):
            if let uid = await owner(of: id) { changed(uid) }
            for continuation in (watchers[id] ?? [:]).values { continuation.yield() }
            if case .deleted = event { owners[id] = nil }
        }
    }

    /// The runtime hears of a process' end by the same event as we do, and may still call it running: looks again until it does not.
    private func settle(_ id: String, changed: @Sendable (String) -> Void) async {
        var pause = Duration.milliseconds(5)
        while pause < .seconds(5) {
            do {
                let state = try await runtime.containers(ContainerFilter(id: id)).first?.state
                if state != .running { break }
                try await Task.sleep(for: pause)
            } catch {
                break  // Cancelled, or the runtime is gone: the next list tells.
            }
            pause *= 2
        }
        if let uid = owners[id] { changed(uid) }
        for continuation in (watchers[id] ?? [:]).values { continuation.yield() }
    }

    private func owner(of id: String) async -> String? {
        if let uid = owners[id] { return uid }
        do {
            let uid = try await runtime.containers(ContainerFilter(id: id)).first?.labels[ContainerLabels.podUID]
            let found: String?
            if let uid { found = uid } else { found = try await runtime.podSandboxes(PodSandboxFilter(id: id)).first?.metadata.uid }
            if let found { owners[id] = found }
            return found
        } catch {
            logger.debug("cannot tell whose a container is", metadata: ["id": "\(id)", "error": "\(error)"])
            return nil  // The next list finds it.
        }
    }

    func relist(changed: @Sendable (String) -> Void, present: @Sendable (Set<String>) -> Void) async {
        do {
            let sandboxes = try await runtime.podSandboxes(PodSandboxFilter())
            let containers = try await runtime.containers(ContainerFilter())
            var now: [String: Set<String>] = [:]
            var owners: [String: String] = [:]
            for sandbox in sandboxes {
                let uid = sandbox.metadata.uid
                now[uid, default: []].insert("\(sandbox.id) \(sandbox.isReady)")
                owners[sandbox.id] = uid
            }
            for container in containers {
                guard let uid = container.labels[ContainerLabels.podUID] else { continue }
                now[uid, default: []].insert("\(container.id) \(container.state)")
                owners[container.id] = uid
            }
            for uid in Set(now.keys).union(listed.keys) where now[uid] != listed[uid] { changed(uid) }
            for (id, continuations) in watchers where owners[id] == nil || containers.contains(where: { $0.id == id && $0.state == .exited }) {
                for continuation in continuations.values { continuation.yield() }
            }
            listed = now
            self.owners.merge(owners) { _, new in new }
            self.owners = self.owners.filter { owners[$0.key] != nil || listed[$0.value] != nil }
            lastRelist = .now
            present(Set(now.keys))
        } catch {
            logger.warning("cannot list the runtime's containers", metadata: ["error": "\(error)"])
        }
    }

    /// Yields when the container may have ended. For followers of logs.
    func changes(of id: String) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        nextWatcher += 1
        let number = nextWatcher
        watchers[id, default: [:]][number] = continuation
        continuation.onTermination = { [weak self] _ in Task { await self?.unwatch(id, number) } }
        return stream
    }

    private func unwatch(_ id: String, _ number: Int) {
        watchers[id]?[number] = nil
        if watchers[id]?.isEmpty == true { watchers[id] = nil }
    }
}
