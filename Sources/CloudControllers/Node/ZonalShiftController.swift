package import KubeAPI
package import KubeClient
package import Logging
internal import Synchronization

/// Cordons and marks the nodes in zones that traffic is shifted away from, and takes it back when the shift is over.
package final class ZonalShiftController: Sendable {
    private static let workers = 4

    private let client: KubeClient
    private let nodes: SharedInformer
    private let queue: WorkQueue<String>
    private let logger: Logger
    /// Nil until it is known: nothing is taken back before.
    private let shifted = Mutex<Set<String>?>(nil)

    /// The informers are run by the caller.
    package init(client: KubeClient, informers: InformerFactory, logger: Logger) {
        self.client = client
        self.logger = logger
        nodes = informers.informer(for: .nodes)
        queue = WorkQueue(name: "zonal-shift", backoff: .init(first: .milliseconds(50), limit: .seconds(60)))
        let queue = queue
        nodes.addHandler(
            InformerHandler(
                added: { queue.add($0.metadata.name) },
                updated: { old, new in
                    // Heartbeats change nothing here.
                    if old.metadata.labels != new.metadata.labels { queue.add(new.metadata.name) }
                }))
    }

    /// Runs until the task is cancelled. `zones`: the names of the zones now, then each change.
    package func run(_ zones: AsyncStream<Set<String>>) async {
        // Only cancellation ends the wait early.
        do { try await nodes.waitForSync() } catch { return }
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await zones in zones {
                    self.shifted.withLock { $0 = zones }
                    for name in self.nodes.indexer.keys { self.queue.add(name) }
                }
            }
            group.addTask { await self.queue.run(workers: Self.workers, logger: self.logger) { try await self.sync($0) } }
        }
    }

    private func sync(_ name: String) async throws {
        guard let zones = shifted.withLock({ $0 }), let node = nodes.indexer.get(name), !node.metadata.isBeingDeleted else { return }
        guard let patch = ZonalShiftPlan.patch(node, shifted: zones) else { return }
        do { try await client.patch(.nodes, name: name, type: .merge, patch) } catch let error as StatusError where error.isNotFound {}
        logger.info(
            "a node follows a zonal shift", metadata: ["node": "\(name)", "zones": "\(zones.sorted())"])
    }
}
