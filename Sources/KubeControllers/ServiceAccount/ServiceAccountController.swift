import KubeAPI
import KubeClient

/// Keeps a ServiceAccount named `default` in every namespace. Upstream: pkg/controller/serviceaccount.ServiceAccountsController.
final class ServiceAccountController: Controller {
    let name = "serviceaccount-controller"
    private static let workers = 1
    private static let account = "default"

    private let environment: ControllerEnvironment
    private let namespaces: SharedInformer
    private let accounts: SharedInformer
    private let queue: WorkQueue<String>

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        namespaces = environment.informers.informer(for: .namespaces)
        accounts = environment.informers.informer(for: .serviceAccounts)
        queue = environment.queue("serviceaccount")
        let queue = queue
        namespaces.addHandler(InformerHandler(added: { queue.add($0.metadata.name) }, updated: { queue.add($1.metadata.name) }))
        accounts.addHandler(InformerHandler(deleted: { queue.add($0.metadata.namespace) }))
    }

    func run() async throws {
        for informer in [namespaces, accounts] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    private func sync(_ namespace: String) async throws {
        guard let object = namespaces.indexer.get(namespace), !object.metadata.isBeingDeleted, object["status"]["phase"].string != "Terminating",
            accounts.indexer.get(namespace: namespace, name: Self.account) == nil
        else { return }
        let account: Value = [
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": .string(Self.account), "namespace": .string(namespace)],
        ]
        do {
            try await environment.client.create(.serviceAccounts, account)
        } catch let error as StatusError where error.isAlreadyExists || error.isNamespaceTerminating || error.isNotFound {
            // Somebody else made it, or the namespace is going: nothing is left to do.
        }
    }
}
