import KubeAPI
import KubeClient
import Synchronization

/// Ends a node's pods before the node itself ends, the least important first. A node without periods ends at once. That the agent alone ends is no
/// shutdown: pods go on. Upstream: nodeshutdown.managerImpl.
final class NodeShutdown: Sendable {
    /// What the pods' last statuses have to get to the API server, which may be away.
    static let statusLimit = Duration.seconds(3)

    private struct State {
        var isShuttingDown = false
        /// Of the run that waits for the request.
        var request: AsyncStream<Void>.Continuation?
    }

    private let periods: [ShutdownPeriod]
    private let state = Mutex(State())
    private let done = AsyncStream<Void>.makeStream()

    init(_ periods: [ShutdownPeriod]) { self.periods = periods }

    private var isShuttingDown: Bool { state.withLock(\.isShuttingDown) }

    /// Why no pod may come any more; nil when it may. Upstream: managerImpl.Admit.
    var rejection: PodRejection? {
        isShuttingDown ? PodRejection(reason: "NodeShutdown", message: "Pod was rejected as the node is shutting down.") : nil
    }

    /// Has the pods ended, and waits until that is done or the task is cancelled.
    func perform() async {
        guard !periods.isEmpty else { return }
        state.withLock { state in
            state.isShuttingDown = true
            state.request?.yield()
        }
        for await _ in done.stream {}
    }

    /// Waits for a shutdown and ends the pods. `began`: it is one. Returns when they have ended, or when cancelled.
    func run(_ workers: PodWorkers, _ services: PodServices, node: ObjectReference, began: @Sendable () -> Void) async {
        let (requests, request) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        state.withLock { state in
            state.request = request
            if state.isShuttingDown { request.yield() }
        }
        for await _ in requests { break }
        guard isShuttingDown, !Task.isCancelled else { return }
        services.recorder.event(regarding: node, .normal, reason: "NodeShutdown", message: "Shutdown manager detected shutdown event")
        began()
        for group in ShutdownPlan.groups(periods, await workers.activePods()) {
            await withDiscardingTaskGroup { tasks in
                for pod in group.pods {
                    tasks.addTask { await workers.end(pod.uid, ShutdownPlan.ending(pod, of: group), limit: .seconds(group.seconds)) }
                }
            }
        }
        await services.statuses.flush(limit: Self.statusLimit)
        done.continuation.finish()
    }
}
