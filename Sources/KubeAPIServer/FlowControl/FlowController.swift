import KubeAPI
import Synchronization

/// Priority and fairness: decides for every request whether it runs now, waits in a queue or is refused, by the FlowSchemas and
/// PriorityLevelConfigurations there are. Upstream: util/flowcontrol.
///
/// A request that finds its level with a free seat and nobody waiting is let in by `enterNow`, without suspending. All others go through `enter`.
final class FlowController: Sendable {
    /// How long a request waits at most. Upstream: a quarter of --request-timeout.
    static let maximumWait = Duration.seconds(15)

    /// A request that is being worked on; to be given back with `leave`.
    struct Ticket: Sendable {
        fileprivate var entry: FlowPlan.Entry
        fileprivate var generation: UInt64
        fileprivate var seats: Int
        fileprivate var queue: Int?
        fileprivate var began: ContinuousClock.Instant

        var schemaUID: String { entry.schema.uid }
        var levelUID: String { entry.level.uid }
        var schemaName: String { entry.schema.name }
        var levelName: String { entry.level.name }
    }

    /// A refusal, with what its headers say.
    struct Refused: Error {
        var schemaUID: String
        var levelUID: String
        /// Seconds.
        var retryAfter: Int
    }

    private enum Outcome {
        case admitted(Ticket)
        case refused(FlowStatistics.Refusal)
        /// The configuration changed: it is classified again.
        case again
    }

    private struct Waiter {
        var entry: FlowPlan.Entry
        var seats: Int
        var queue: Int
        var arrived: ContinuousClock.Instant
        var flow: String
        var request: String
        var continuation: CheckedContinuation<Outcome, Never>
    }

    private struct Level {
        var configuration: PriorityLevel
        var fair: FairQueues?
        var executing = 0
        var retryAfter = RetryAfter()
    }

    private struct State {
        var plan: FlowPlan
        var pool: SeatPool
        /// As `plan.limited`.
        var levels: [Level]
        var waiters: [UInt64: Waiter] = [:]
        var nextWaiter: UInt64 = 0
        var schemas: [String: FlowSchema] = [:]
        var configurations: [String: PriorityLevel] = [:]
        var statistics: [String: FlowStatistics] = [:]
    }

    private let seats: Int
    private let state: Mutex<State>

    /// `seats`: requests of one seat the server works on at once, exempt ones not counted. Upstream: the sum of --max-requests-inflight and
    /// --max-mutating-requests-inflight.
    init(seats: Int) {
        self.seats = max(1, seats)
        var statistics: [String: FlowStatistics] = [:]
        let plan = Self.plan(generation: 0, schemas: [], levels: [], &statistics)
        state = Mutex(
            State(
                plan: plan, pool: SeatPool(seats: self.seats, levels: plan.limited.compactMap { $0.limited.map { ($0, 0) } }),
                levels: plan.limited.map { Level(configuration: $0, fair: $0.limited?.queuing.map(FairQueues.init)) }, statistics: statistics))
    }

    /// Takes the objects there are and follows them. `changed` is called after each change, on the store's writer.
    func follow(_ reader: any ObjectReader, changed: @escaping @Sendable () -> Void = {}) {
        ObjectFollower.follow(reader, .priorityLevelConfigurations) { [self] old, new in
            guard let object = new ?? old else { return }
            let level = new.map(PriorityLevel.init)
            let name = object.metadata.name
            update { state in
                guard state.configurations[name] != level else { return false }
                state.configurations[name] = level
                return true
            }
            changed()
        }
        ObjectFollower.follow(reader, .flowSchemas) { [self] old, new in
            guard let object = new ?? old else { return }
            let name = object.metadata.name
            // Its own status is written to it: only another specification is a change.
            let isSame = old != nil && new != nil && old?["spec"].value == new?["spec"].value && old?.metadata.uid == new?.metadata.uid
            let schema = new.map(FlowSchema.init)
            update { state in
                guard !isSame || state.schemas[name] == nil else { return false }
                state.schemas[name] = schema
                return true
            }
            changed()
        }
    }

    private static func plan(
        generation: UInt64, schemas: [FlowSchema], levels: [PriorityLevel], _ statistics: inout [String: FlowStatistics]
    ) -> FlowPlan {
        var known = statistics
        let plan = FlowPlan(generation: generation, schemas: schemas, levels: levels) { level, schema in
            if let found = known["\(level)/\(schema)"] { return found }
            let made = FlowStatistics(level: level, schema: schema)
            known["\(level)/\(schema)"] = made
            return made
        }
        statistics = known
        return plan
    }

    private func update(_ change: (inout State) -> Bool) {
        let woken = state.withLock { state -> [CheckedContinuation<Outcome, Never>] in
            guard change(&state) else { return [] }
            let plan = Self.plan(
                generation: state.plan.generation + 1, schemas: Array(state.schemas.values), levels: Array(state.configurations.values),
                &state.statistics)
            let former = Dictionary(zip(state.plan.limited.map(\.name), state.levels.indices), uniquingKeysWith: { first, _ in first })
            let used = state.pool.levels.map(\.inUse)
            state.pool = SeatPool(
                seats: seats, levels: plan.limited.compactMap { level in level.limited.map { ($0, former[level.name].map { used[$0] } ?? 0) } })
            state.levels = plan.limited.map { level in
                var made = Level(configuration: level, fair: level.limited?.queuing.map(FairQueues.init))
                if let old = former[level.name] {
                    made.executing = state.levels[old].executing
                    made.retryAfter = state.levels[old].retryAfter
                }
                return made
            }
            state.plan = plan
            // Whoever waits finds its place by the new configuration.
            let woken = state.waiters.values.map { waiter in
                waiter.entry.statistics.waiting.wrappingSubtract(1, ordering: .relaxed)
                return waiter.continuation
            }
            state.waiters = [:]
            return woken
        }
        for continuation in woken { continuation.resume(returning: .again) }
    }

    // MARK: Requests

    /// Lets a request in that need not wait; nil when it must, or be refused: then `enter` says which.
    func enterNow(_ user: UserInfo, _ info: RequestInfo, seats: Int = 1) -> Ticket? {
        let plan = state.withLock(\.plan)
        let entry = plan.classify(user, info)
        let now = ContinuousClock.now
        guard let index = entry.limitedIndex else {
            entry.statistics.begin(seats: seats, waited: 0)
            return Ticket(entry: entry, generation: plan.generation, seats: seats, queue: nil, began: now)
        }
        let taken = state.withLock { state -> Int? in
            guard state.plan.generation == plan.generation else { return nil }
            return Self.take(&state, index, seats)
        }
        guard let taken else { return nil }
        entry.statistics.begin(seats: taken, waited: 0)
        return Ticket(entry: entry, generation: plan.generation, seats: taken, queue: nil, began: now)
    }

    /// The seats taken; nil when there are none or others wait for them.
    private static func take(_ state: inout State, _ index: Int, _ seats: Int) -> Int? {
        let level = state.levels[index]
        guard level.fair.map({ $0.count == 0 }) ?? true else { return nil }
        let wanted = min(seats, WorkEstimate.limit(nominal: state.pool.levels[index].nominal))
        guard state.pool.take(wanted, of: index) else { return nil }
        state.levels[index].executing += 1
        return wanted
    }

    /// Lets a request in, at once or after its turn has come. Throws `Refused`.
    func enter(_ user: UserInfo, _ info: RequestInfo, seats: Int = 1) async throws -> Ticket {
        while true {
            if let ticket = enterNow(user, info, seats: seats) { return ticket }
            let plan = state.withLock(\.plan)
            let entry = plan.classify(user, info)
            guard let index = entry.limitedIndex else { continue }
            let id = state.withLock { state -> UInt64 in
                state.nextWaiter += 1
                return state.nextWaiter
            }
            let outcome = await wait(id, plan, entry, index, user, info, seats)
            switch outcome {
            case .admitted(let ticket): return ticket
            case .again: continue
            case .refused(let why):
                entry.statistics.refuse(why)
                let second = Timestamp.now.seconds
                let retryAfter = state.withLock { state in
                    state.plan.generation == plan.generation ? state.levels[index].retryAfter.refused(at: second) : 1
                }
                throw Refused(schemaUID: entry.schema.uid, levelUID: entry.level.uid, retryAfter: retryAfter)
            }
        }
    }

    private func wait(
        _ id: UInt64, _ plan: FlowPlan, _ entry: FlowPlan.Entry, _ index: Int, _ user: UserInfo, _ info: RequestInfo, _ seats: Int
    ) async -> Outcome {
        // Ends with the wait: a cancelled sleep throws, and then there is nothing to end.
        let clock = Task { if (try? await Task.sleep(for: Self.maximumWait)) != nil { self.giveUp(id, .timeOut) } }
        defer { clock.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Outcome, Never>) in
                let flow = entry.schema.flow(user, info)
                let decided = state.withLock { state -> Outcome? in
                    guard state.plan.generation == plan.generation else { return .again }
                    if Task.isCancelled { return .refused(.cancelled) }
                    if let taken = Self.take(&state, index, seats) {
                        entry.statistics.begin(seats: taken, waited: 0)
                        return .admitted(Ticket(entry: entry, generation: plan.generation, seats: taken, queue: nil, began: .now))
                    }
                    guard state.levels[index].fair != nil else { return .refused(.concurrencyLimit) }
                    let wanted = min(seats, WorkEstimate.limit(nominal: state.pool.levels[index].nominal))
                    let hash = FairQueues.flowHash(schema: entry.schema.name, flow: flow)
                    guard let queue = state.levels[index].fair?.enqueue(id, seats: wanted, flow: hash) else { return .refused(.queueFull) }
                    state.pool.setWaited(true, of: index)
                    state.waiters[id] = Waiter(
                        entry: entry, seats: wanted, queue: queue, arrived: .now, flow: flow,
                        request: [
                            user.name, info.verb, info.path, info.namespace, info.name,
                            info.apiGroup.isEmpty ? info.apiVersion : "\(info.apiGroup)/\(info.apiVersion)", info.resource, info.subresource,
                        ].joined(separator: ",\t"), continuation: continuation)
                    entry.statistics.waiting.wrappingAdd(1, ordering: .relaxed)
                    return nil
                }
                if let decided { continuation.resume(returning: decided) }
            }
        } onCancel: {
            giveUp(id, .cancelled)
        }
    }

    private func giveUp(_ id: UInt64, _ why: FlowStatistics.Refusal) {
        let waiter = state.withLock { state -> Waiter? in
            guard let waiter = state.waiters.removeValue(forKey: id), let index = waiter.entry.limitedIndex, index < state.levels.count else {
                return nil
            }
            _ = state.levels[index].fair?.remove(id)
            state.pool.setWaited((state.levels[index].fair?.count ?? 0) > 0, of: index)
            return waiter
        }
        guard let waiter else { return }
        waiter.entry.statistics.waiting.wrappingSubtract(1, ordering: .relaxed)
        waiter.continuation.resume(returning: .refused(why))
    }

    /// A request is done: its seats go to those who wait.
    func leave(_ ticket: Ticket) {
        let seconds = (ContinuousClock.now - ticket.began).seconds
        ticket.entry.statistics.end(seats: ticket.seats, seconds: seconds)
        guard ticket.entry.limitedIndex != nil else { return }
        let woken = state.withLock { state -> [(Waiter, Ticket)] in
            let isSame = state.plan.generation == ticket.generation
            let name = ticket.entry.level.name
            guard let index = isSame ? ticket.entry.limitedIndex : state.plan.limited.firstIndex(where: { $0.name == name }) else { return [] }
            state.pool.give(ticket.seats, backTo: index)
            state.levels[index].executing = max(0, state.levels[index].executing - 1)
            if isSame, let queue = ticket.queue { state.levels[index].fair?.end(queue, seats: ticket.seats, seconds: seconds) }
            guard !state.waiters.isEmpty else { return [] }
            return Self.dispatch(&state)
        }
        for (waiter, ticket) in woken {
            waiter.entry.statistics.waiting.wrappingSubtract(1, ordering: .relaxed)
            waiter.entry.statistics.begin(seats: ticket.seats, waited: (ticket.began - waiter.arrived).seconds)
            waiter.continuation.resume(returning: .admitted(ticket))
        }
    }

    /// Gives free seats to waiting requests, one of a level at a time, until none can have one.
    private static func dispatch(_ state: inout State) -> [(Waiter, Ticket)] {
        var woken: [(Waiter, Ticket)] = []
        var isProgress = true
        while isProgress {
            isProgress = false
            for index in state.pool.dispatchOrder {
                guard let (queue, request) = state.levels[index].fair?.next, state.pool.take(request.seats, of: index) else { continue }
                state.levels[index].fair?.begin(queue)
                state.pool.setWaited((state.levels[index].fair?.count ?? 0) > 0, of: index)
                state.levels[index].executing += 1
                isProgress = true
                guard let waiter = state.waiters.removeValue(forKey: request.id) else { continue }
                woken.append(
                    (
                        waiter,
                        Ticket(entry: waiter.entry, generation: state.plan.generation, seats: request.seats, queue: queue, began: .now)
                    ))
                break
            }
        }
        return woken
    }

    // MARK: What it looks like

    /// Of every limited level: its name, seats, what executes and waits, and its queues.
    struct LevelReport: Sendable {
        var name: String
        var seats: SeatPool.Level
        var executing: Int
        var waiting: Int
        var queues: [FairQueues.Queue]
    }

    /// A request in a queue, for the dumps.
    struct WaitingReport: Sendable {
        var level: String
        var schema: String
        var queue: Int
        var flow: String
        /// Seconds it has waited.
        var waited: Double
        var seats: Int
        /// User, verb, path, namespace, name, API version, resource, subresource.
        var request: String
    }

    var report: (levels: [LevelReport], exempt: [String], waiting: [WaitingReport], statistics: [FlowStatistics], dangling: Set<String>) {
        let now = ContinuousClock.now
        return state.withLock { state in
            let levels = state.levels.indices.map { index in
                LevelReport(
                    name: state.levels[index].configuration.name, seats: state.pool.levels[index], executing: state.levels[index].executing,
                    waiting: state.levels[index].fair?.count ?? 0, queues: state.levels[index].fair?.queues ?? [])
            }
            let waiting = state.waiters.sorted { $0.key < $1.key }.map { _, waiter in
                WaitingReport(
                    level: waiter.entry.level.name, schema: waiter.entry.schema.name, queue: waiter.queue, flow: waiter.flow,
                    waited: (now - waiter.arrived).seconds, seats: waiter.seats, request: waiter.request)
            }
            let exempt = state.plan.levels.filter { $0.limited == nil }.map(\.name)
            return (levels, exempt, waiting, Array(state.statistics.values), state.plan.dangling)
        }
    }
}

extension GroupResource {
    static let flowSchemas = GroupResource(group: "flowcontrol.apiserver.k8s.io", resource: "flowschemas")
    static let priorityLevelConfigurations = GroupResource(group: "flowcontrol.apiserver.k8s.io", resource: "prioritylevelconfigurations")
}

extension Duration {
    /// As a number of seconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
