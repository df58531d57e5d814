import KubeAPI
import KubeClient
import Logging

/// Lets claims go once no pod uses them. Upstream: pkg/controller/volume/pvcprotection.
final class ClaimProtectionController: Controller {
    let name = "persistentvolumeclaim-protection-controller"
    static let finalizer = "kubernetes.io/pvc-protection"
    private static let workers = 2
    /// Pods by the claims they name; shared with who else asks for a claim's pods.
    static let usersIndex = "claims"

    private let environment: ControllerEnvironment
    private let claims: SharedInformer
    private let pods: SharedInformer
    private let queue: WorkQueue<String>
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        claims = environment.informers.informer(for: .persistentVolumeClaims)
        pods = environment.informers.informer(for: .pods)
        queue = environment.queue("pvcprotection")
        pods.addIndex(Self.usersIndex) { Self.claims(of: $0) }
        let (queue, indexer) = (queue, claims.indexer)
        claims.addHandler(
            InformerHandler(
                added: { if Self.isConcerned($0) { queue.add($0.metadata.key) } }, updated: { if Self.isConcerned($1) { queue.add($1.metadata.key) } }
            ))
        @Sendable func released(_ pod: Object) {
            for key in Self.claims(of: pod) { if let claim = indexer.get(key), Self.isConcerned(claim) { queue.add(key) } }
        }
        pods.addHandler(
            InformerHandler(
                added: { if PodView($0).isTerminal { released($0) } }, updated: { if PodView($1).isTerminal { released($1) } }, deleted: released))
    }

    /// Claims that wait to go, or that came before their protection.
    private static func isConcerned(_ claim: Object) -> Bool {
        claim.metadata.isBeingDeleted == claim.metadata.finalizers.contains(finalizer)
    }

    /// Keys of the claims a pod names, those of its ephemeral volumes too.
    static func claims(of pod: Object) -> [String] {
        let metadata = pod.metadata
        return pod["spec"]["volumes"].elements.compactMap { volume in
            if let name = volume["persistentVolumeClaim"]["claimName"].string { return "\(metadata.namespace)/\(name)" }
            guard volume["ephemeral"] != nil, let name = volume["name"]?.string else { return nil }
            return "\(metadata.namespace)/\(metadata.name)-\(name)"
        }
    }

    func run() async throws {
        for informer in [claims, pods] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// A pod uses a claim from when it has a node until it has ended. Upstream: podUsesPVC.
    static func isUsed(by pod: Object) -> Bool { !PodView(pod).nodeName.isEmpty && !PodView(pod).isTerminal }

    private func sync(_ key: String) async throws {
        guard let claim = claims.indexer.get(key), Self.isConcerned(claim) else { return }
        let meta = claim.metadata
        if meta.isBeingDeleted {
            guard !pods.indexer.byIndex(Self.usersIndex, key).contains(where: Self.isUsed) else { return }
            // The cache may be behind: a pod that was just bound must not lose its volume.
            let fresh = try await client.list(.pods, namespace: meta.namespace).items
            guard !fresh.contains(where: { Self.claims(of: $0).contains(key) && Self.isUsed(by: $0) }) else { return }
        }
        try await Finalizers.set(Self.finalizer, on: claim, .persistentVolumeClaims, present: !meta.isBeingDeleted, client)
    }
}

/// Lets volumes go once no claim is bound to them. Upstream: pkg/controller/volume/pvprotection.
final class VolumeProtectionController: Controller {
    let name = "persistentvolume-protection-controller"
    static let finalizer = "kubernetes.io/pv-protection"
    private static let workers = 1

    private let environment: ControllerEnvironment
    private let volumes: SharedInformer
    private let queue: WorkQueue<String>

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        volumes = environment.informers.informer(for: .persistentVolumes)
        queue = environment.queue("pvprotection")
        let queue = queue
        @Sendable func look(_ volume: Object) { if Self.plan(volume) != nil { queue.add(volume.metadata.name) } }
        volumes.addHandler(InformerHandler(added: look, updated: { look($1) }))
    }

    func run() async throws {
        try await volumes.waitForSync()
        await queue.run(workers: Self.workers, logger: environment.logger) { name in
            guard let volume = self.volumes.indexer.get(name), let present = Self.plan(volume) else { return }
            try await Finalizers.set(Self.finalizer, on: volume, .persistentVolumes, present: present, self.environment.client)
        }
    }

    /// Whether the finalizer is to be put on (true) or taken off (false); nil: neither.
    static func plan(_ volume: Object) -> Bool? {
        let meta = volume.metadata
        let isThere = meta.finalizers.contains(finalizer)
        if meta.isBeingDeleted { return isThere && volume["status"]["phase"].string != "Bound" ? false : nil }
        return isThere ? nil : true
    }
}

/// Puts finalizers on objects and takes them off.
enum Finalizers {
    /// An object that is gone, or was changed meanwhile (which brings it back to its controller), is no error.
    static func set(
        _ finalizer: String, on object: Object, _ resource: GroupVersionResource, present: Bool, _ client: KubeClient
    ) async throws {
        var tree = object.value
        var list = object.metadata.finalizers.filter { $0 != finalizer }
        if present { list.append(finalizer) }
        tree[path: "metadata", "finalizers"] = list.isEmpty ? nil : Value(list)
        do { try await client.update(resource, tree) } catch let error as StatusError where error.isNotFound || error.isConflict {}
    }
}
