import KubeAPI
import KubeClient
import Synchronization

/// ConfigMaps and Secrets that pods name, read when a pod needs them and kept for a short while: a hundred pods of one Deployment ask once.
/// Upstream: pkg/kubelet/util/manager's TTL based cache.
final class CachedObjects: ReferencedObjects {
    /// How long an object read for one pod serves others. Upstream re-reads for each new pod; a change within this time is seen at the next look.
    static let lifetime = Duration.seconds(1)
    /// Entries kept at most; the cache is emptied when it is full, being only a saver of calls.
    static let limit = 1000

    private struct Key: Hashable {
        var isSecret: Bool
        var namespace: String
        var name: String
    }
    private struct Entry {
        var object: Object
        var read: ContinuousClock.Instant
    }

    private let client: KubeClient
    private let entries = Mutex<[Key: Entry]>([:])

    init(client: KubeClient) { self.client = client }

    func configMap(namespace: String, name: String) async throws -> Object { try await get(Key(isSecret: false, namespace: namespace, name: name)) }
    func secret(namespace: String, name: String) async throws -> Object { try await get(Key(isSecret: true, namespace: namespace, name: name)) }

    /// Claims and volumes are read when a pod starts, and must be what they are then: they are not kept.
    func persistentVolumeClaim(namespace: String, name: String) async throws -> Object {
        try await client.get(.persistentVolumeClaims, namespace: namespace, name: name)
    }

    func persistentVolume(name: String) async throws -> Object { try await client.get(.persistentVolumes, name: name) }
    func runtimeClass(name: String) async throws -> Object { try await client.get(.runtimeClasses, name: name) }

    private func get(_ key: Key) async throws -> Object {
        let now = ContinuousClock.now
        if let entry = entries.withLock({ $0[key] }), now - entry.read < Self.lifetime { return entry.object }
        let object = try await client.get(key.isSecret ? .secrets : .configMaps, namespace: key.namespace, name: key.name)
        entries.withLock { entries in
            if entries.count >= Self.limit { entries = [:] }
            entries[key] = Entry(object: object, read: now)
        }
        return object
    }
}

/// Service account tokens for pods, kept until they are due to be made anew. Upstream: pkg/kubelet/token.Manager.
final class PodTokens: TokenSource {
    private struct Key: Hashable {
        var podUID: String
        var audiences: [String]
        var expirationSeconds: Int64
    }
    private struct Entry {
        var token: PodToken
        var refreshAt: Timestamp
    }

    private let client: KubeClient
    private let now: @Sendable () -> Timestamp
    private let entries = Mutex<[Key: Entry]>([:])

    init(client: KubeClient, now: @escaping @Sendable () -> Timestamp) {
        self.client = client
        self.now = now
    }

    func issue(pod: Pod, audiences: [String], expirationSeconds: Int64) async throws -> PodToken {
        let key = Key(podUID: pod.uid, audiences: audiences, expirationSeconds: expirationSeconds)
        let time = now()
        let known = entries.withLock { $0[key] }
        if let known, time < known.refreshAt { return known.token }
        do {
            let made = try await request(pod, audiences, expirationSeconds)
            entries.withLock { $0[key] = made }
            return made.token
        } catch {
            // A token due for renewal still serves until its end.
            if let known, time < known.token.endsAt { return known.token }
            throw error
        }
    }

    func forget(podUID: String) { entries.withLock { entries in entries = entries.filter { $0.key.podUID != podUID } } }

    private func request(_ pod: Pod, _ audiences: [String], _ seconds: Int64) async throws -> Entry {
        let account = pod.serviceAccountName.isEmpty ? "default" : pod.serviceAccountName
        let body: Value = [
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": [
                "audiences": Value(audiences), "expirationSeconds": .int(seconds),
                "boundObjectRef": ["apiVersion": "v1", "kind": "Pod", "name": .string(pod.name), "uid": .string(pod.uid)],
            ],
        ]
        let answer = try await client.create(.serviceAccounts, namespace: pod.namespace, body, name: account, subresource: "token")
        let begins = now()
        guard let token = answer["status"]["token"].string else { throw StatusError.internalError("token request returned no token") }
        let ends = answer["status"]["expirationTimestamp"].string.flatMap { Timestamp(rfc3339: $0) } ?? begins.adding(seconds: seconds)
        // Renewed at 80 % of its life, and a day old at most. Upstream: requiresRefresh.
        let life = max(0, ends.seconds - begins.seconds)
        return Entry(token: PodToken(text: token, endsAt: ends), refreshAt: begins.adding(seconds: min(life / 5 * 4, 86400)))
    }
}
