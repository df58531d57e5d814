package import KubeAPI
package import Logging
internal import Synchronization

/// Runs something while this process holds a Lease, as `LeaderElection` decides. Upstream: client-go/tools/leaderelection.LeaderElector with
/// resourcelock.LeaseLock.
///
///     standing by ──acquired──▶ leading ──not renewed in time, or another holds it──▶ standing by
package final class LeaderElector: Sendable {
    private struct State {
        var election: LeaderElection
        /// As last read or written.
        var lease: Object?
    }

    private let client: KubeClient
    private let namespace: String
    private let name: String
    private let recorder: EventRecorder
    private let time: TimeSource
    private let now: @Sendable () -> Timestamp
    private let random: @Sendable () -> Double
    private let logger: Logger
    private let state: Mutex<State>

    /// - Parameters:
    ///   - name: the Lease's, which is made when it is not there.
    ///   - identity: the holder's, the same after a crash only where nothing else can run under it meanwhile.
    ///   - component: who writes the events.
    ///   - clock: stands still while the machine sleeps, or each sleep would cost the Lease.
    ///   - random: from 0 to 1.
    package init(
        client: KubeClient, namespace: String = "kube-system", name: String, identity: String, component: String,
        settings: LeaderElection.Settings = LeaderElection.Settings(), clock: any Clock<Duration> = SuspendingClock(),
        now: @escaping @Sendable () -> Timestamp = { .now }, random: @escaping @Sendable () -> Double = { .random(in: 0..<1) },
        logger: Logger = Logger(label: "leaderelection")
    ) {
        self.client = client
        self.namespace = namespace
        self.name = name
        self.now = now
        self.random = random
        self.logger = logger
        time = TimeSource(clock)
        recorder = EventRecorder(client: client, component: component, wallClock: now, logger: logger)
        state = Mutex(State(election: LeaderElection(identity: identity, settings: settings)))
    }

    private var election: LeaderElection { state.withLock(\.election) }
    private var lock: String { "\(namespace)/\(name)" }

    /// Runs `lead` each time that the Lease is got, and cancels it when the Lease is lost, until the task is cancelled; then the Lease is given back.
    package func run(_ lead: @escaping @Sendable () async -> Void) async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.recorder.run() }
            while await acquire() {
                await hold(lead)
                if Task.isCancelled { return await release() }
                logger.warning("the leader lease was lost", metadata: ["lock": "\(lock)"])
                record("stopped leading")
            }
        }
    }

    /// False: cancelled. Upstream: acquire.
    private func acquire() async -> Bool {
        logger.debug("attempting to acquire leader lease", metadata: ["lock": "\(lock)"])
        while !Task.isCancelled {
            if await attempt() {
                logger.debug("successfully acquired lease", metadata: ["lock": "\(lock)"])
                record("became leader")
                return true
            }
            let settings = election.settings
            do { try await time.sleep(settings.retryPeriod * (1 + random() * settings.jitterFactor)) } catch { return false }
        }
        return false
    }

    /// Returns when `lead` has ended, for whatever reason.
    private func hold(_ lead: @escaping @Sendable () async -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await lead() }
            group.addTask { await self.renew() }
            group.addTask { await self.deadline() }
            await group.next()
            group.cancelAll()
        }
    }

    /// Until another holds the Lease. Upstream: renew.
    private func renew() async {
        var pause = election.settings.renewInterval
        while election.isLeader {
            do { try await time.sleep(pause) } catch { return }
            pause = await attempt() ? election.settings.renewInterval : election.settings.retryPeriod
        }
    }

    /// Until the Lease has not been renewed for too long, however long a renewal under way may take.
    private func deadline() async {
        while case let left = election.deadline - time.now(), left > .zero {
            do { try await time.sleep(left) } catch { return }
        }
    }

    /// Whether the Lease is held after that. Upstream: tryAcquireOrRenew.
    private func attempt() async -> Bool {
        let started = time.now()
        do {
            let known = state.withLock { state in state.election.renewal(now: now(), at: started).map { ($0, state.lease) } }
            if let (record, lease) = known, let lease {
                do {
                    try await write(record, over: lease, started)
                    return true
                } catch let error as StatusError where error.isConflict || error.isNotFound {
                    // Somebody has changed it: it must be read.
                }
            }
            var lease: Object?
            do { lease = try await client.get(.leases, namespace: namespace, name: name) } catch let error as StatusError where error.isNotFound {}
            switch state.withLock({ $0.election.attempt(lease.map(LeaderElectionRecord.init), now: now(), at: started) }) {
            case .write(let record):
                try await write(record, over: lease, started)
                return true
            case .standBy(let holder):
                logger.debug("lock is held and has not yet expired", metadata: ["lock": "\(lock)", "holder": "\(holder)"])
            }
        } catch is CancellationError {
        } catch {
            let text = (error as? StatusError)?.message ?? "\(error)"
            logger.debug("the leader lease cannot be written", metadata: ["lock": "\(lock)", "error": "\(text)"])
        }
        return false
    }

    private func write(_ record: LeaderElectionRecord, over lease: Object?, _ started: Duration) async throws {
        var value: Value =
            lease?.value
            ?? [
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": .string(name), "namespace": .string(namespace)],
            ]
        record.write(into: &value)
        let written = try await lease == nil ? client.create(.leases, value) : client.update(.leases, value)
        state.withLock { state in
            state.lease = written
            state.election.wrote(record, at: started)
        }
    }

    /// Failing to is no harm: the Lease runs out.
    private func release() async {
        let held = state.withLock { state in state.election.release(now: now()).map { ($0, state.lease) } }
        guard let (record, lease) = held, let lease else { return }
        // A task of its own, since this one is cancelled.
        await Task {
            do { try await write(record, over: lease, time.now()) } catch {
                logger.debug("the leader lease was not given back", metadata: ["lock": "\(lock)", "error": "\(error)"])
            }
        }.value
    }

    private func record(_ what: String) {
        guard let lease = state.withLock(\.lease) else { return }
        recorder.event(lease, .normal, reason: "LeaderElection", message: "\(election.identity) \(what)")
    }
}
