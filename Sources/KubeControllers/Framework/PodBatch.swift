import KubeAPI
import KubeClient
import Synchronization

/// Creates and deletes pods for a workload, many at once, with its events and expectations. Upstream: controller.RealPodControl with slowStartBatch.
struct PodBatch: Sendable {
    let client: KubeClient
    let recorder: EventRecorder
    let expectations: Expectations
    /// The workload.
    let owner: Object
    let key: String

    /// Creates these pods, slowly at first. Gives the first error; one for a namespace that is going is none.
    func create(_ pods: [Value]) async -> (any Error)? {
        let counter = Counter()
        let (succeeded, error) = await slowStartBatch(pods.count) {
            guard let pod = counter.next(of: pods) else { return }
            do {
                let created = try await client.create(.pods, pod)
                recorder.event(owner, .normal, reason: "SuccessfulCreate", message: "Created pod: \(created.metadata.name)")
            } catch let error as StatusError {
                if !error.isNamespaceTerminating {
                    recorder.event(owner, .warning, reason: "FailedCreate", message: "Error creating: \(error.message)")
                }
                throw error
            }
        }
        // What was not created will not be seen either. Upstream: skippedPods.
        if succeeded < pods.count { expectations.creationObserved(key, pods.count - succeeded) }
        if let status = error as? StatusError, status.isNamespaceTerminating { return nil }
        return error
    }

    /// Deletes these pods, all at once. Gives the first error; a pod that is gone already is none.
    func delete(_ pods: [Object]) async -> (any Error)? {
        await withTaskGroup(of: (any Error)?.self) { group in
            for pod in pods {
                group.addTask {
                    let meta = pod.metadata
                    do {
                        try await client.delete(.pods, namespace: meta.namespace, name: meta.name, options: DeleteOptions(preconditionUID: meta.uid))
                        recorder.event(owner, .normal, reason: "SuccessfulDelete", message: "Deleted pod: \(meta.name)")
                        return nil
                    } catch {
                        expectations.deletionObserved(key, meta.uid)
                        let status = error as? StatusError
                        if status?.isNotFound ?? false { return nil }
                        recorder.event(owner, .warning, reason: "FailedDelete", message: "Error deleting: \(status?.message ?? "\(error)")")
                        return error
                    }
                }
            }
            var first: (any Error)?
            for await error in group where first == nil { first = error }
            return first
        }
    }

    /// Hands each pod out once.
    private final class Counter: Sendable {
        private let place = Mutex(0)
        func next(of pods: [Value]) -> Value? {
            place.withLock { place in
                guard place < pods.count else { return nil }
                defer { place += 1 }
                return pods[place]
            }
        }
    }
}
