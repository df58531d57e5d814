import KubeAPI
import KubeClient
import Logging

/// Deletes the tokens by which nodes join once their time is over. Upstream: pkg/controller/bootstrap.TokenCleaner.
final class TokenCleaner: Controller {
    let name = "token-cleaner-controller"
    private static let workers = 1
    private static let namespace = "kube-system"
    private static let secretType = "bootstrap.kubernetes.io/token"

    private let environment: ControllerEnvironment
    private let secrets: SharedInformer
    private let queue: WorkQueue<String>

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        secrets = environment.informers.informer(for: .secrets, namespace: Self.namespace, fieldSelector: "type=\(Self.secretType)")
        queue = environment.queue("token_cleaner")
        let queue = queue
        secrets.addHandler(InformerHandler(added: { queue.add($0.metadata.key) }, updated: { queue.add($1.metadata.key) }))
    }

    func run() async throws {
        try await secrets.waitForSync()
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// Seconds until a token's end, zero or less once it is over; nil when it has none. An end that cannot be read has passed.
    /// Upstream: cluster-bootstrap secretutil.GetExpiration.
    static func secondsLeft(_ secret: Object, now: Timestamp) -> Double? {
        let text = String(decoding: Base64.decode(secret["data"]["expiration"].string ?? "") ?? [], as: UTF8.self)
        guard !text.isEmpty else { return nil }
        guard let end = Timestamp(rfc3339: text) else { return 0 }
        return end.timeInterval(since: now)
    }

    private func sync(_ key: String) async throws {
        guard let secret = secrets.indexer.get(key), let left = Self.secondsLeft(secret, now: environment.now()) else { return }
        guard left <= 0 else { return queue.addAfter(key, .fromSeconds(left + 0.001)) }
        let meta = secret.metadata
        do {
            try await environment.client.delete(
                .secrets, namespace: meta.namespace, name: meta.name, options: DeleteOptions(preconditionUID: meta.uid))
        } catch let error as StatusError where error.isNotFound || error.isConflict {}
    }
}
