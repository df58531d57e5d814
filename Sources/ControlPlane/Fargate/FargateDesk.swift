package import CloudControllers
internal import KubeAPI
internal import KubeClient
internal import Synchronization

/// Where the service and a cluster's Fargate scheduler meet: the pods on Fargate as a stream, and what is done with each.
final class FargateDesk: Sendable {
    private struct State {
        var scheduler: FargateScheduler?
        /// Nil until the scheduler knows all.
        var pods: [FargatePod]?
        var subscribers: [Int: AsyncStream<[FargatePod]>.Continuation] = [:]
        var next = 0
        var isFinished = false
    }

    private let state = Mutex(State())

    func open(_ scheduler: FargateScheduler) { state.withLock { $0.scheduler = scheduler } }

    var scheduler: FargateScheduler? { state.withLock { $0.scheduler } }

    func publish(_ pods: [FargatePod]) {
        state.withLock { state in
            state.pods = pods
            for subscriber in state.subscribers.values { subscriber.yield(pods) }
        }
    }

    /// Each element is all there are: who is slow misses states, not the last one.
    func subscribe() -> AsyncStream<[FargatePod]> {
        let (stream, continuation) = AsyncStream.makeStream(of: [FargatePod].self, bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state -> Int? in
            guard !state.isFinished else { return nil }
            if let pods = state.pods { continuation.yield(pods) }
            state.next += 1
            state.subscribers[state.next] = continuation
            return state.next
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { _ = $0.subscribers.removeValue(forKey: id) } }
        return stream
    }

    func finish() {
        let subscribers = state.withLock { state in
            state.isFinished = true
            state.scheduler = nil
            defer { state.subscribers = [:] }
            return state.subscribers
        }
        for subscriber in subscribers.values { subscriber.finish() }
    }
}

extension ControlPlane {
    /// All pods on Fargate, then all of them again at each change. Ends when the control plane stops.
    package func fargatePods() -> AsyncStream<[FargatePod]> { fargateDesk()?.subscribe() ?? AsyncStream { $0.finish() } }

    /// Binds a pod to the node that was made for it. Throws when the control plane does not run, and `StatusError`.
    package func bind(_ pod: FargatePod, to node: String) async throws { try await fargateScheduler().bind(pod, to: node) }

    /// Tells a pod's owner why it waits. Throws when the control plane does not run, and `StatusError`.
    package func report(_ message: String, of pod: FargatePod) async throws { try await fargateScheduler().report(message, of: pod) }

    /// Deletes the pods of a profile that is going. Throws when the control plane does not run, and `StatusError`.
    package func deletePods(ofFargateProfile profile: String) async throws {
        let client = try fargateManager()
        let pods = try await client.list(.pods, options: ListOptions(labelSelector: "\(FargatePod.profileLabel)=\(profile)")).items
        for pod in pods where pod["spec"]["schedulerName"].string == FargatePod.schedulerName && !pod.metadata.isBeingDeleted {
            do {
                try await client.delete(
                    .pods, namespace: pod.metadata.namespace, name: pod.metadata.name, options: DeleteOptions(preconditionUID: pod.metadata.uid))
            } catch let error as StatusError where error.isNotFound || error.isConflict {}  // Gone, or another of its name.
        }
    }

    private func fargateScheduler() throws -> FargateScheduler {
        guard let scheduler = fargateDesk()?.scheduler else { throw ControlPlaneError.notReady("it does not run") }
        return scheduler
    }
}
