import KubeAPI
import KubeClient
import Logging

/// Fills Secrets of type kubernetes.io/service-account-token with a token of the ServiceAccount they name, and deletes those whose account is gone.
/// It never makes such Secrets: pods get tokens with an end. Upstream: pkg/controller/serviceaccount.TokensController.
final class TokensController: Controller {
    let name = "serviceaccount-token-controller"
    /// Upstream: --concurrent-serviceaccount-token-syncs.
    private static let workers = 5
    private static let accountIndex = "account"

    /// A Secret with the account it names, which is asked about when the Secret is gone.
    private struct Key: Hashable, Sendable, CustomStringConvertible {
        var namespace: String
        var secret: String
        var account: String
        var description: String { "\(namespace)/\(secret)" }

        init(_ secret: Object) {
            namespace = secret.metadata.namespace
            self.secret = secret.metadata.name
            account = ServiceAccountTokenSecret.account(of: secret)
        }
    }

    private let environment: ControllerEnvironment
    private let secrets: SharedInformer
    private let accounts: SharedInformer
    private let queue: WorkQueue<Key>
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        // Only these Secrets are cached, not every one of the cluster.
        secrets = environment.informers.informer(for: .secrets, fieldSelector: "type=\(ServiceAccountTokenSecret.type)")
        accounts = environment.informers.informer(for: .serviceAccounts)
        queue = environment.queue("serviceaccount_tokens_secret", of: Key.self)
        secrets.addIndex(Self.accountIndex) { ["\($0.metadata.namespace)/\(ServiceAccountTokenSecret.account(of: $0))"] }
        let (queue, indexer) = (queue, secrets.indexer)
        secrets.addHandler(.any { queue.add(Key($0)) })
        accounts.addHandler(
            .any { account in
                for secret in indexer.byIndex(Self.accountIndex, account.metadata.key) { queue.add(Key(secret)) }
            })
    }

    func run() async throws {
        // Without a key nothing can be signed, and what nobody fills must not be deleted either.
        guard let sign = environment.configuration.serviceAccountToken else { return }
        for informer in [secrets, accounts] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0, sign) }
    }

    private func sync(_ key: Key, _ sign: ControllerConfiguration.TokenSigner) async throws {
        guard let secret = secrets.indexer.get(namespace: key.namespace, name: key.secret) else { return try await forget(key) }
        let meta = secret.metadata
        guard let account = try await account(of: secret) else {
            do {
                try await client.delete(
                    .secrets, namespace: meta.namespace, name: meta.name, options: DeleteOptions(preconditionUID: meta.uid))
            } catch let error as StatusError where error.isNotFound || error.isConflict {}  // Gone, or another by its name.
            return
        }
        let rootCA = environment.configuration.rootCAPEM
        guard ServiceAccountTokenSecret.isIncomplete(secret, rootCA: rootCA) else { return }
        do {
            let live = try await client.get(.secrets, namespace: meta.namespace, name: meta.name)
            // The event of the newer version brings us back here.
            guard live.metadata.uid == meta.uid, live.metadata.resourceVersion == meta.resourceVersion else { return }
            let filled = try ServiceAccountTokenSecret.filled(live, account: account, rootCA: rootCA) {
                try sign(meta.namespace, account.metadata.name, account.metadata.uid, meta.name)
            }
            try await client.update(.secrets, filled)
        } catch let error as StatusError where error.isNotFound || error.isConflict {}
    }

    /// The account that a Secret names, if it is the very one. The cache may be behind: before a Secret is deleted the server is asked.
    private func account(of secret: Object) async throws -> Object? {
        let (namespace, name) = (secret.metadata.namespace, ServiceAccountTokenSecret.account(of: secret))
        guard !name.isEmpty else { return nil }
        let uid = secret.metadata.annotations[ServiceAccountTokenSecret.uidAnnotation] ?? ""
        func isMeant(_ account: Object) -> Bool { uid.isEmpty || account.metadata.uid == uid }
        if let cached = accounts.indexer.get(namespace: namespace, name: name), isMeant(cached) { return cached }
        do {
            let live = try await client.get(.serviceAccounts, namespace: namespace, name: name)
            return isMeant(live) ? live : nil
        } catch let error as StatusError where error.isNotFound { return nil }
    }

    /// Takes a Secret that is gone from its account's list. Upstream: removeSecretReference.
    private func forget(_ key: Key) async throws {
        guard let cached = accounts.indexer.get(namespace: key.namespace, name: key.account), Self.refers(cached, to: key.secret) else { return }
        do {
            let live = try await client.get(.serviceAccounts, namespace: key.namespace, name: key.account)
            guard live.metadata.uid == cached.metadata.uid, Self.refers(live, to: key.secret) else { return }
            var value = live.value
            value["secrets"] = .array(live["secrets"].elements.filter { $0["name"].string != key.secret }.map(\.value))
            try await client.update(.serviceAccounts, value)
        } catch let error as StatusError where error.isNotFound {}
    }

    private static func refers(_ account: Object, to secret: String) -> Bool {
        account["secrets"].elements.contains { $0["name"].string == secret }
    }
}

/// What a Secret with a service account's token holds. Pure.
enum ServiceAccountTokenSecret {
    /// Upstream: core/v1 SecretTypeServiceAccountToken, ServiceAccountNameKey, ServiceAccountUIDKey.
    static let type = "kubernetes.io/service-account-token"
    static let nameAnnotation = "kubernetes.io/service-account.name"
    static let uidAnnotation = "kubernetes.io/service-account.uid"

    static func account(of secret: Object) -> String { secret.metadata.annotations[nameAnnotation] ?? "" }

    /// Upstream: secretUpdateNeeded.
    static func isIncomplete(_ secret: Object, rootCA: String) -> Bool {
        let data = secret["data"]
        return needsCA(data, rootCA) || isEmpty(data["namespace"]) || isEmpty(data["token"])
    }

    /// The Secret with what it lacks; `sign` is asked only when it has no token. Throws what `sign` throws. Upstream: generateTokenIfNeeded.
    static func filled(_ secret: Object, account: Object, rootCA: String, sign: () throws -> String) throws -> Value {
        var value = secret.value
        let data = secret["data"]
        func set(_ name: String, _ text: String) { value[path: "data", name] = .string(Base64.encode(Array(text.utf8))) }
        if needsCA(data, rootCA) { set("ca.crt", rootCA) }
        if isEmpty(data["namespace"]) { set("namespace", secret.metadata.namespace) }
        if isEmpty(data["token"]) { set("token", try sign()) }
        var annotations = secret.metadata.annotations
        annotations[nameAnnotation] = account.metadata.name
        annotations[uidAnnotation] = account.metadata.uid
        value[path: "metadata", "annotations"] = Value(annotations)
        return value
    }

    private static func needsCA(_ data: JSONView?, _ rootCA: String) -> Bool {
        !rootCA.isEmpty && Base64.decode(data["ca.crt"].string ?? "") != Array(rootCA.utf8)
    }

    private static func isEmpty(_ view: JSONView?) -> Bool { (view.string ?? "").isEmpty }
}
