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
    private let queue: WorkQueue<String>
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        namespaces = environment.informers.informer(for: .namespaces)
        // Upstream waits a fixed 8 s or more between looks; the first looks here come sooner, because most namespaces are empty at once.
        queue = environment.queue("namespace", backoff: .init(first: .milliseconds(50), limit: .seconds(15)))
        let queue = queue
        let changed: @Sendable (Object) -> Void = { if $0.metadata.isBeingDeleted { queue.add($0.metadata.name) } }
        namespaces.addHandler(InformerHandler(added: changed, updated: { _, new in changed(new) }))
    }

    func run() async throws {
        try await namespaces.waitForSync()
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
        let content = await empty(name)
        try Task.checkCancellation()
        let before = namespace["status"]["conditions"].elements.map(Condition.init(view:))
        let after = content.conditions(before, now: environment.now())
        if before != after {
            var value = namespace.value
            value[path: "status", "conditions"] = after.value
            namespace = try await client.updateStatus(.namespaces, value)
        }
        guard content.isEmpty else {
            throw ContentRemains(description: "namespace \(name) still holds \(content.remaining) \(content.failures)")
        }
        var value = namespace.value
        let left = namespace["spec"]["finalizers"].strings.filter { $0 != Self.finalizer }
        value[path: "spec", "finalizers"] = Value(left)
        do { try await client.update(.namespaces, value, subresource: "finalize") } catch let error as StatusError where error.isNotFound {}
    }

    private func empty(_ namespace: String) async -> NamespaceContent {
        let (first, rest) = NamespaceContent.order(environment.configuration.resources())
        var content = NamespaceContent()
        for row in first { await empty(namespace, of: row, &content) }
        guard content.remaining.isEmpty else { return content }
        for row in rest { await empty(namespace, of: row, &content) }
        return content
    }

    private func empty(_ namespace: String, of row: ResourceRow, _ content: inout NamespaceContent) async {
        let resource = row.groupVersionResource
        do {
            var items = try await client.list(resource, namespace: namespace).items
            guard !items.isEmpty else { return }
            if row.supports("deletecollection") {
                try await client.deleteCollection(resource, namespace: namespace, options: DeleteOptions(propagationPolicy: .background))
            } else {
                for item in items {
                    // One that is gone meanwhile is what is wanted.
                    do {
                        try await client.delete(
                            resource, namespace: namespace, name: item.metadata.name, options: DeleteOptions(propagationPolicy: .background))
                    } catch let error as StatusError where error.isNotFound {}
                }
            }
            items = try await client.list(resource, namespace: namespace).items
            guard !items.isEmpty else { return }
            // Upstream writes the group resource in its long form, with the dot even for the core group.
            content.remaining["\(row.resource).\(row.group)"] = items.count
            for item in items { for finalizer in item.metadata.finalizers { content.finalizers[finalizer, default: 0] += 1 } }
        } catch let error as StatusError where error.isNotFound || error.code == 405 {
            // The resource is no longer served: nothing of it is left.
        } catch {
            content.failures.append("unexpected error for \(resource): \((error as? StatusError)?.message ?? "\(error)")")
        }
    }
}
