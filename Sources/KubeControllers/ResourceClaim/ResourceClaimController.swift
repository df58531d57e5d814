import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Makes the ResourceClaims that pods ask for by templates, and frees claims whose pods are over. Upstream: pkg/controller/resourceclaim.
final class ResourceClaimController: Controller {
    let name = "resourceclaim-controller"
    /// Upstream: defaultResourceClaimControllerWorkers.
    private static let workers = 10
    /// A claim's annotation with the pod's name for it. Upstream: podResourceClaimAnnotation.
    static let annotation = "resource.kubernetes.io/pod-claim-name"
    /// Upstream: resourceapi.Finalizer.
    static let finalizer = "resource.kubernetes.io/delete-protection"
    /// Upstream: resourceapi.ResourceClaimReservedForMaxSize.
    private static let maximumConsumers = 256
    private static let templateIndex = "resource claim template"
    private static let claimIndex = "resource claim"

    enum Work: Sendable, Hashable {
        case pod(String)
        case claim(String)
    }

    private let environment: ControllerEnvironment
    private let pods: SharedInformer
    private let claims: SharedInformer
    private let templates: SharedInformer
    private let queue: WorkQueue<Work>
    private let recorder: EventRecorder
    /// Names of the claims made for a pod, by its uid and its name for them: the cache may not have them yet.
    private let made = Mutex<[String: [String: String]]>([:])
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        pods = environment.informers.informer(for: .pods)
        claims = environment.informers.informer(for: .resourceClaims)
        templates = environment.informers.informer(for: .resourceClaimTemplates)
        queue = environment.queue("resource_claim", of: Work.self)
        recorder = environment.recorder("resource_claim")
        ControllerIndex.add(to: claims)
        pods.addIndex(Self.templateIndex) { pod in
            Self.uses(of: pod).compactMap { $0["resourceClaimTemplateName"].string }.map { "\(pod.metadata.namespace)/\($0)" }
        }
        pods.addIndex(Self.claimIndex) { pod in Self.uses(of: pod).compactMap { Self.claimName($0, pod) }.map { "\(pod.metadata.namespace)/\($0)" } }
        addHandlers()
    }

    private func addHandlers() {
        let (queue, pods, claims) = (queue, pods.indexer, claims.indexer)
        @Sendable func release(_ pod: Object) {
            let names = Self.uses(of: pod).compactMap { Self.claimName($0, pod) }
            for name in names { queue.add(.claim("\(pod.metadata.namespace)/\(name)")) }
            for claim in ControllerIndex.owned(claims, by: pod.metadata.uid) { queue.add(.claim(claim.metadata.key)) }
        }
        @Sendable func look(_ pod: Object) {
            guard !Self.uses(of: pod).isEmpty else { return }
            if Self.isDone(pod) { release(pod) } else if !pod.metadata.isBeingDeleted { queue.add(.pod(pod.metadata.key)) }
        }
        self.pods.addHandler(
            InformerHandler(
                added: look, updated: { look($1) },
                deleted: { [weak self] pod in
                    guard !Self.uses(of: pod).isEmpty else { return }
                    _ = self?.made.withLock { $0.removeValue(forKey: pod.metadata.uid) }
                    release(pod)
                }))
        @Sendable func lookAt(_ claim: Object) {
            queue.add(.claim(claim.metadata.key))
            // A pod that is bound already waits for its claim to be reserved for it.
            for pod in pods.byIndex(Self.claimIndex, claim.metadata.key) where !(pod["spec"]["nodeName"].string ?? "").isEmpty { look(pod) }
        }
        self.claims.addHandler(
            InformerHandler(
                added: lookAt, updated: { lookAt($1) },
                deleted: { claim in for pod in pods.byIndex(Self.claimIndex, claim.metadata.key) { look(pod) } }))
        templates.addHandler(InformerHandler(added: { template in for pod in pods.byIndex(Self.templateIndex, template.metadata.key) { look(pod) } }))
    }

    func run() async throws {
        for informer in [pods, claims, templates] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { work in
            switch work {
            case .pod(let key): try await self.syncPod(key)
            case .claim(let key): try await self.syncClaim(key)
            }
        }
    }

    // MARK: Pods

    private struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    private static func uses(of pod: Object) -> [JSONView] {
        pod.mayContain("resourceClaims") ? pod["spec"]["resourceClaims"].elements.map { $0 } : []
    }

    /// The name of the claim behind a pod's name for it; nil: it has not been made, or none is needed. Upstream: resourceclaim.Name.
    private static func claimName(_ use: JSONView, _ pod: Object) -> String? {
        if let name = use["resourceClaimName"].string, !name.isEmpty { return name }
        return pod["status"]["resourceClaimStatuses"].elements.first { $0["name"].string == use["name"].string }?["resourceClaimName"].string
    }

    /// Whether none of its containers runs or ever will. Upstream: isPodDone.
    static func isDone(_ pod: Object) -> Bool {
        let phase = pod["status"]["phase"].string
        return phase == "Succeeded" || phase == "Failed" || (pod.metadata.isBeingDeleted && (pod["spec"]["nodeName"].string ?? "").isEmpty)
    }

    /// Upstream: syncPod.
    private func syncPod(_ key: String) async throws {
        guard let pod = pods.indexer.get(key), !pod.metadata.isBeingDeleted, !Self.isDone(pod) else { return }
        var names: [(pod: String, claim: String)] = []
        for use in Self.uses(of: pod) {
            let name = use["name"].string ?? ""
            do {
                if let claim = try await make(use, named: name, for: pod) { names.append((name, claim)) }
            } catch {
                let text = (error as? StatusError)?.message ?? "\(error)"
                recorder.event(pod, .warning, reason: "FailedResourceClaimCreation", message: "PodResourceClaim \(name): \(text)")
                throw error
            }
        }
        if !names.isEmpty {
            try await client.patch(
                .pods, namespace: pod.metadata.namespace, name: pod.metadata.name, type: .strategicMerge,
                [
                    "metadata": ["uid": .string(pod.metadata.uid)],
                    "status": ["resourceClaimStatuses": .array(names.map { ["name": .string($0.pod), "resourceClaimName": .string($0.claim)] })],
                ], subresource: "status")
        }
        // A pod that no scheduler has placed holds its claims nevertheless.
        guard !(pod["spec"]["nodeName"].string ?? "").isEmpty else { return }
        for use in Self.uses(of: pod) {
            guard let name = Self.claimName(use, pod), let claim = claims.indexer.get(namespace: pod.metadata.namespace, name: name) else { continue }
            try await reserve(claim, for: pod)
        }
    }

    /// The name of the claim that a template asks for, newly known; nil: nothing is to be written. Upstream: handleClaim.
    private func make(_ use: JSONView, named name: String, for pod: Object) async throws -> String? {
        let meta = pod.metadata
        guard let templateName = use["resourceClaimTemplateName"].string, !templateName.isEmpty else { return nil }
        let recorded = pod["status"]["resourceClaimStatuses"].elements.first { $0["name"].string == name }
        if let recorded {
            // None is needed.
            guard let claimName = recorded["resourceClaimName"].string else { return nil }
            if claims.indexer.get(namespace: meta.namespace, name: claimName)?.metadata.controller?.uid == meta.uid { return nil }
        }
        let orphan = ControllerIndex.owned(claims.indexer, by: meta.uid).first { $0.metadata.annotations[Self.annotation] == name }
        if let orphan { return orphan.metadata.name }
        if let known = made.withLock({ $0[meta.uid]?[name] }), recorded == nil { return known }
        guard let template = templates.indexer.get(namespace: meta.namespace, name: templateName) else {
            // As upstream's lister names the kind.
            throw Missing(
                description:
                    "resource claim template \(templateName.goQuoted): resourceclaimtemplate.resource.k8s.io \(templateName.goQuoted) not found")
        }
        let claim = try await client.create(.resourceClaims, Self.claim(of: template, named: name, for: pod))
        made.withLock { $0[meta.uid, default: [:]][name] = claim.metadata.name }
        return claim.metadata.name
    }

    /// Upstream: the claim of handleClaim.
    static func claim(of template: Object, named name: String, for pod: Object) -> Value {
        let meta = pod.metadata
        var metadata: Value = [
            "generateName": .string(prefix(pod: meta.name, claim: name)), "namespace": .string(meta.namespace),
            "ownerReferences": [OwnerReference(apiVersion: "v1", kind: "Pod", name: meta.name, uid: meta.uid).value],
        ]
        if let labels = template["spec"]["metadata"]["labels"].value, !labels.isBlank { metadata["labels"] = labels }
        var annotations = template["spec"]["metadata"]["annotations"].stringMap
        annotations[annotation] = name
        metadata["annotations"] = Value(annotations)
        return ["apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": metadata, "spec": template["spec"]["spec"].value ?? [:]]
    }

    /// The base of a claim's name: of both names as much as fits. Upstream: handleClaim, maxBaseLen.
    static func prefix(pod: String, claim: String) -> String {
        let (whole, limit) = ("\(pod)-\(claim)-", 57)
        guard whole.utf8.count > limit else { return whole }
        // Names of pods and claims are ASCII.
        func cut(_ text: String) -> Substring { text.prefix(text.utf8.count * limit / whole.utf8.count) }
        return "\(cut(pod))-\(cut(claim))"
    }

    /// Upstream: reserveForPod.
    private func reserve(_ claim: Object, for pod: Object) async throws {
        let consumers = claim["status"]["reservedFor"].elements
        guard let allocation = claim["status"]["allocation"], !allocation.isNull, consumers.count < Self.maximumConsumers,
            !consumers.contains(where: { $0["uid"].string == pod.metadata.uid })
        else { return }
        var value = claim.value
        let consumer: Value = ["resource": "pods", "name": .string(pod.metadata.name), "uid": .string(pod.metadata.uid)]
        value[path: "status", "reservedFor"] = .array(consumers.map { $0.value } + [consumer])
        try await client.updateStatus(.resourceClaims, value)
    }

    // MARK: Claims

    /// Upstream: syncClaim.
    private func syncClaim(_ key: String) async throws {
        guard var claim = claims.indexer.get(key) else { return }
        let consumers = claim["status"]["reservedFor"].elements.map { $0 }
        var valid: [JSONView] = []
        for consumer in consumers {
            guard (consumer["apiGroup"].string ?? "").isEmpty, consumer["resource"].string == "pods" else {
                throw StatusError.internalError("unsupported ReservedFor entry: \(consumer["resource"].string ?? "")")
            }
            if try await isHeld(by: consumer, in: claim.metadata.namespace) { valid.append(consumer) }
        }
        let isProtected = claim.metadata.finalizers.contains(Self.finalizer)
        if valid.count < consumers.count {
            // An update, which fails when something else has changed meanwhile.
            var value = claim.value
            value[path: "status", "reservedFor"] = valid.isEmpty ? nil : .array(valid.map { $0.value })
            if valid.isEmpty, isProtected { value[path: "status", "allocation"] = nil }
            claim = try await client.updateStatus(.resourceClaims, value)
            if isProtected, claim["status"]["allocation"] == nil { claim = try await unprotect(claim) }
        } else if isProtected, claim.metadata.isBeingDeleted, valid.isEmpty {
            if claim["status"]["allocation"] != nil {
                var value = claim.value
                value[path: "status", "allocation"] = nil
                claim = try await client.updateStatus(.resourceClaims, value)
            }
            claim = try await unprotect(claim)
        }
        guard valid.isEmpty, !claim.metadata.isBeingDeleted, let owner = claim.metadata.controller, owner.kind == "Pod", owner.apiVersion == "v1",
            let pod = pods.indexer.get(namespace: claim.metadata.namespace, name: owner.name), pod.metadata.uid != owner.uid || Self.isDone(pod)
        else { return }
        // The pod will not need it, and may stay for a while: its going would take the claim with it.
        do {
            try await client.delete(
                .resourceClaims, namespace: claim.metadata.namespace, name: claim.metadata.name,
                options: DeleteOptions(preconditionUID: claim.metadata.uid))
        } catch let error as StatusError where error.isNotFound {}
    }

    /// Whether a pod still needs the claim. One that the cache does not have may be new: it is asked for.
    private func isHeld(by consumer: JSONView, in namespace: String) async throws -> Bool {
        let name = consumer["name"].string ?? ""
        if let pod = pods.indexer.get(namespace: namespace, name: name) { return pod.metadata.uid == consumer["uid"].string && !Self.isDone(pod) }
        do {
            return try await client.get(.pods, namespace: namespace, name: name).metadata.uid == consumer["uid"].string
        } catch let error as StatusError where error.isNotFound {
            return false
        }
    }

    private func unprotect(_ claim: Object) async throws -> Object {
        let left = claim.metadata.finalizers.filter { $0 != Self.finalizer }
        var value = claim.value
        value[path: "metadata", "finalizers"] = left.isEmpty ? nil : Value(left)
        return try await client.update(.resourceClaims, value)
    }
}
