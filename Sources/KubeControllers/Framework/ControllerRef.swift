import KubeAPI
import KubeClient

/// Finds objects by the uid of the owner that manages them, and those that nobody manages. Upstream: the controllerRef indices of client-go's
/// listers.
enum ControllerIndex {
    static let name = "controller"

    static func add(to informer: SharedInformer) {
        informer.addIndex(name) { object in
            if let owner = object.metadata.controller { return [owner.uid] }
            return [orphanKey(object.metadata.namespace)]
        }
    }

    private static func orphanKey(_ namespace: String) -> String { "orphans of \(namespace)" }

    static func owned(_ indexer: Indexer, by uid: String) -> [Object] { indexer.byIndex(name, uid) }
    static func orphans(_ indexer: Indexer, in namespace: String) -> [Object] { indexer.byIndex(name, orphanKey(namespace)) }
}

/// Settles which objects a workload manages: it adopts orphans that its selector matches and releases what it no longer matches.
/// Upstream: controller.PodControllerRefManager, ReplicaSetControllerRefManager.
struct ControllerRefClaimer: Sendable {
    let client: KubeClient
    /// The workload's resource, by which it is read afresh before anything is adopted.
    let ownerResource: GroupVersionResource
    /// What is claimed.
    let resource: GroupVersionResource
    /// What adopted objects get besides an owner, such as the finalizer by which Jobs count their pods.
    var finalizers: [String] = []

    /// The objects that belong to `owner` now. `candidates`: those that it manages and those that nobody does.
    func claim(_ owner: Object, selector: LabelSelector, reference: OwnerReference, candidates: [Object]) async throws -> [Object] {
        var claimed: [Object] = []
        var checked = false
        for object in candidates {
            let meta = object.metadata
            if let controller = meta.controller {
                guard controller.uid == owner.metadata.uid else { continue }
                if selector.matches(object) {
                    claimed.append(object)
                } else if !owner.metadata.isBeingDeleted {
                    try await release(object, from: owner)
                }
                continue
            }
            guard !owner.metadata.isBeingDeleted, !meta.isBeingDeleted, meta.namespace == owner.metadata.namespace, selector.matches(object) else {
                continue
            }
            if !checked {
                try await checkStillThere(owner)
                checked = true
            }
            if let adopted = try await adopt(object, reference) { claimed.append(adopted) }
        }
        return claimed
    }

    /// The cache may hold an owner that was deleted since, or made anew: it must not adopt. Upstream: controller.RecheckDeletionTimestamp.
    private func checkStillThere(_ owner: Object) async throws {
        let meta = owner.metadata
        let fresh = try await client.get(ownerResource, namespace: meta.namespace, name: meta.name)
        if fresh.metadata.uid != meta.uid || fresh.metadata.isBeingDeleted {
            throw StatusError.conflict(ownerResource.groupResource, meta.name, "it was deleted, it cannot adopt")
        }
    }

    private func adopt(_ object: Object, _ reference: OwnerReference) async throws -> Object? {
        // The uid makes it the very object that was looked at. Upstream: ownerRefControllerPatch.
        var change: Value = ["uid": .string(object.metadata.uid), "ownerReferences": [reference.value]]
        if !finalizers.isEmpty { change["finalizers"] = Value(finalizers) }
        do { return try await patch(object, change) } catch let error as StatusError where error.isNotFound { return nil }
    }

    private func release(_ object: Object, from owner: Object) async throws {
        var change: Value = [
            "uid": .string(object.metadata.uid), "ownerReferences": [["$patch": "delete", "uid": .string(owner.metadata.uid)]],
        ]
        if !finalizers.isEmpty { change["$deleteFromPrimitiveList/finalizers"] = Value(finalizers) }
        // An object that is gone, was made anew, or has no owners needs no release. Upstream: PodControllerRefManager.ReleasePod.
        do { try await patch(object, change) } catch let error as StatusError where error.isNotFound || error.code == 422 {}
    }

    /// Owners are changed by a patch: what was written to the object meanwhile does not matter, and the controllers' roles give no more.
    @discardableResult
    private func patch(_ object: Object, _ metadata: Value) async throws -> Object {
        let meta = object.metadata
        return try await client.patch(resource, namespace: meta.namespace, name: meta.name, type: .strategicMerge, ["metadata": metadata])
    }
}

/// Finds the workloads that an object's change concerns. Upstream: resolveControllerRef, getPodReplicaSets, getDeploymentsForReplicaSet.
struct OwnerResolver: Sendable {
    let owners: Indexer
    let kind: String
    /// The selector of an owner. Upstream: metav1.LabelSelectorAsSelector for all but ReplicationControllers.
    var selector: @Sendable (Object) throws -> LabelSelector = { try LabelSelector(object: $0["spec"]["selector"]) }

    /// The key of the workload that manages `object`, if it is one of ours and the cache has the very one.
    func owner(of object: Object) -> String? {
        let meta = object.metadata
        guard let reference = meta.controller, reference.kind == kind, let owner = owners.get(namespace: meta.namespace, name: reference.name),
            owner.metadata.uid == reference.uid
        else { return nil }
        return owner.metadata.key
    }

    /// Keys of the workloads that could adopt `object`.
    func adopters(of object: Object) -> [String] {
        let labels = object["metadata"]["labels"]
        guard labels.stringMap.isEmpty == false else { return [] }
        return owners.list(namespace: object.metadata.namespace).filter { owner in
            // A selector that cannot be read matches nothing here; the owner's own sync reports it.
            guard let selector = try? selector(owner), !selector.isEverything else { return false }
            return selector.matches(object)
        }.map(\.metadata.key)
    }

    /// All keys to look at after `object` changed from `old`.
    func concerned(by object: Object, was old: Object? = nil) -> [String] {
        var keys: [String] = []
        if let old, old.metadata.controller?.uid != object.metadata.controller?.uid, let key = owner(of: old) { keys.append(key) }
        if object.metadata.controller != nil {
            if let key = owner(of: object) { keys.append(key) }
        } else {
            keys += adopters(of: object)
        }
        return keys
    }
    /// Tells `enqueue` of every workload that a change of an object concerns.
    func handler(_ enqueue: @escaping @Sendable (String) -> Void) -> InformerHandler {
        InformerHandler(
            added: { for key in concerned(by: $0) { enqueue(key) } }, updated: { for key in concerned(by: $1, was: $0) { enqueue(key) } },
            deleted: { if let key = owner(of: $0) { enqueue(key) } })
    }
}
