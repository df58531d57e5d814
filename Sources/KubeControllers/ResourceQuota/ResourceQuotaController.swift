import KubeAPI
import KubeClient
import Logging

/// Keeps `status` of quotas: the limits as they are now, and what is used of them. Upstream: pkg/controller/resourcequota.
final class ResourceQuotaController: Controller {
    let name = "resourcequota-controller"
    /// Upstream: --concurrent-resource-quota-syncs.
    private static let workers = 5
    /// After admission has booked something: what it booked for a request that then failed is given back, once the request is surely over.
    private static let settling = Duration.seconds(5)
    /// Upstream: --resource-quota-sync-period.
    private static let period = Duration.seconds(300)

    private let environment: ControllerEnvironment
    private let quotas: SharedInformer
    private let definitions: SharedInformer
    private let pods: SharedInformer
    private let services: SharedInformer
    private let claims: SharedInformer
    private let queue: WorkQueue<String>
    private let counter: ObjectCounter

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        let informers = environment.informers
        quotas = informers.informer(for: .resourceQuotas)
        definitions = informers.informer(for: .customResourceDefinitions)
        pods = informers.informer(for: .pods)
        services = informers.informer(for: .services)
        claims = informers.informer(for: .persistentVolumeClaims)
        queue = environment.queue("resource_quota_controller_resource_changes")
        let (queue, indexer) = (queue, quotas.indexer)
        @Sendable func all(in namespace: String?) { for quota in indexer.list(namespace: namespace) { queue.add(quota.metadata.key) } }
        counter = ObjectCounter(environment) { all(in: $0) }
        quotas.addHandler(
            InformerHandler(
                added: { queue.add($0.metadata.key) },
                updated: { old, new in
                    let isNewSpec = old["spec"].value != new["spec"].value || new["status"]["hard"] == nil
                    if isNewSpec { queue.add(new.metadata.key) } else { queue.addAfter(new.metadata.key, Self.settling) }
                }))
        // A quota may name a resource that is only defined later.
        definitions.addHandler(.any { _ in for quota in indexer.list() { queue.addAfter(quota.metadata.key, .seconds(1)) } })
        let now = environment.now
        for (informer, measure) in [(pods, QuotaMeasure.pods), (services, .services), (claims, .claims)] {
            informer.addHandler(
                InformerHandler(
                    updated: { old, new in
                        // Most namespaces have no quota: then nothing is compared.
                        let found = indexer.list(namespace: new.metadata.namespace)
                        guard !found.isEmpty, QuotaStatusPlan.replenishes(old, new, measure, now: now()) else { return }
                        for quota in found { queue.add(quota.metadata.key) }
                    }, deleted: { all(in: $0.metadata.namespace) }))
        }
    }

    func run() async throws {
        for informer in [quotas, definitions, pods, services, claims] { try await informer.waitForSync() }
        defer { counter.stop() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    private func sync(_ key: String) async throws {
        guard let object = quotas.indexer.get(key) else { return }
        let quota = QuotaView(object)
        let served = environment.configuration.resources()
        let counted = QuotaStatusPlan.counted(by: quota, served: served)
        counter.watch(counted, served: served)
        let namespace = object.metadata.namespace
        let usage = QuotaStatusPlan.usage(
            of: quota,
            objects: { measure in
                switch measure {
                case .pods: pods.indexer.list(namespace: namespace)
                case .services: services.indexer.list(namespace: namespace)
                case .claims: claims.indexer.list(namespace: namespace)
                case .objects: []
                }
            }, count: { counter.count($0, in: namespace) }, counted: counted, now: environment.now())
        if let tree = QuotaStatusPlan.plan(quota, usage: usage) {
            do {
                try await environment.client.updateStatus(.resourceQuotas, tree)
            } catch let error as StatusError where error.isNotFound {
                return
            } catch let error as StatusError where error.isConflict {
                // Admission has booked meanwhile; its change brings the key back, but this look was wanted now.
                queue.addAfter(key, .milliseconds(20))
                return
            }
        }
        queue.addAfter(key, Self.period)
    }
}
