import KubeAPI
import KubeClient
import Logging

/// Empties namespaces that are being deleted, then lets them go. Upstream: pkg/controller/namespace.
final class NamespaceController: Controller {
    let name = "namespace-controller"
    /// Upstream: --concurrent-namespace-syncs.
    private static let workers = 10
    private static let finalizer = "kubernetes"

    /// Not an error of anybody's: content takes its time to go.
    private struct ContentRemains: Error, CustomStringConvertible {
        var description: String
    }

    private let environment: ControllerEnvironment
    private let namespaces: SharedInformer
    private let pods: SharedInformer
    private let queue: WorkQueue<String>
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        namespaces = environment.informers.informer(for: .namespaces)
        pods = environment.informers.informer(for: .pods)
        // Upstream waits for half of the estimate, 8 s for finalizers; the first looks here come sooner, because most namespaces are empty at once.
        queue = environment.queue("namespace", backoff: .init(first: .milliseconds(50), limit: .seconds(8)))
        let (queue, terminating, remaining) = (queue, namespaces.indexer, pods.indexer)
        let changed: @Sendable (Object) -> Void = { if $0.metadata.isBeingDeleted { queue.add($0.metadata.name) } }
        namespaces.addHandler(InformerHandler(added: changed, updated: { _, new in changed(new) }))
        // Everything else waits for the pods, whose grace may be long.
        pods.addHandler(
            InformerHandler(deleted: { pod in
                let namespace = pod.metadata.namespace
                guard terminating.get(namespace)?.metadata.isBeingDeleted == true, remaining.list(namespace: namespace).isEmpty else { return }
                queue.add(namespace)
            }))
    }

    func run() async throws {
        for informer in [namespaces, pods] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// Upstream: namespacedResourcesDeleter.Delete.
    private func sync(_ name: String) async throws {
        var namespace: Object
        do { namespace = try await client.get(.namespaces, name: name) } catch let error as StatusError where error.isNotFound { return }
        guard namespace.metadata.isBeingDeleted, namespace["spec"]["finalizers"].strings.contains(Self.finalizer) else { return }
        if namespace["status"]["phase"].string != "Terminating" {
            var value = namespace.value
            value[path: "status", "phase"] = "Terminating"
            namespace = try await client.updateStatus(.namespaces, value)
        }
        let content = await empty(name, deletedAt: namespace.metadata.deletionTimestamp ?? environment.now())
        try Task.checkCancellation()
        let before = namespace["status"]["conditions"].elements.map(Condition.init(view:))
        let after = content.conditions(before, now: environment.now())
        if before != after {
            var value = namespace.value
            value[path: "status", "conditions"] = after.value
            namespace = try await client.updateStatus(.namespaces, value)
        }
        guard content.isEmpty else {
            throw ContentRemains(
                description: "some content remains in the namespace, estimate \(content.estimate) seconds before it is removed: "
                    + "\(content.remaining) \(content.failures) \(content.undiscovered)")
        }
        var value = namespace.value
        let left = namespace["spec"]["finalizers"].strings.filter { $0 != Self.finalizer }
        value[path: "spec", "finalizers"] = Value(left)
        do { try await client.update(.namespaces, value, subresource: "finalize") } catch let error as StatusError where error.isNotFound {}
    }

    /// Upstream: deleteAllContent.
    private func empty(_ namespace: String, deletedAt: Timestamp) async -> NamespaceContent {
        var content = NamespaceContent()
        // What cannot be discovered is no reason to leave the rest.
        let extensions = environment.configuration.extensionResources()
        content.undiscovered = extensions.failures
        let rows = environment.configuration.resources().rows + extensions.rows
        content.unparsed = rows.map(\.groupVersion).filter { !NamespaceContent.isGroupVersion($0) }
        let (pods, rest) = NamespaceContent.order(rows)
        for row in pods { await empty(namespace, of: row, deletedAt, &content) }
        guard content.remaining.isEmpty, content.failures.isEmpty else { return content }
        for row in rest { await empty(namespace, of: row, deletedAt, &content) }
        return content
    }

    private func empty(_ namespace: String, of row: ResourceRow, _ deletedAt: Timestamp, _ content: inout NamespaceContent) async {
        let resource = row.groupVersionResource
        do {
            let items = try await client.list(resource, namespace: namespace).items
            guard !items.isEmpty else { return }
            let isPods = NamespaceContent.isPods(row)
            let grace = isPods ? NamespaceContent.grace(of: items, deletedAt: deletedAt, now: environment.now()) : 0
            if try await !deleteCollection(row, namespace) {
                for item in items { try await delete(row, namespace, item.metadata.name) }
            }
            content.count(try await client.list(resource, namespace: namespace).items, of: row, in: namespace, grace: grace)
        } catch let error as StatusError where error.isNotFound || error.code == 405 {
            // The resource is no longer served: nothing of it is left.
        } catch {
            content.failures.append((error as? StatusError)?.message ?? "\(error)")
        }
    }

    /// Background deletion: the garbage collector has nothing to do with what goes anyway.
    private static let options = DeleteOptions(propagationPolicy: .background)

    /// False when that is not offered.
    private func deleteCollection(_ row: ResourceRow, _ namespace: String) async throws -> Bool {
        guard row.supports("deletecollection") else { return false }
        do {
            try await client.deleteCollection(row.groupVersionResource, namespace: namespace, options: Self.options)
            return true
        } catch let error as StatusError where error.isNotFound || error.code == 405 {
            return false
        }
    }

    private func delete(_ row: ResourceRow, _ namespace: String, _ name: String) async throws {
        // One that is gone meanwhile is what is wanted.
        do {
            try await client.delete(row.groupVersionResource, namespace: namespace, name: name, options: Self.options)
        } catch let error as StatusError where error.isNotFound || error.code == 405 {}
    }
}
