import KubeAPI

/// An object as owner references name it. Upstream: garbagecollector.objectReference.
struct ObjectIdentity: Sendable, Hashable {
    var apiVersion: String
    var kind: String
    /// Empty for cluster-scoped objects.
    var namespace: String
    var name: String
    var uid: String
}

/// Who owns whom among all objects of the cluster, kept from watch events: a value, no input or output. Each change returns the work it gives rise
/// to.
/// Upstream: garbagecollector.GraphBuilder.
struct DependencyGraph: Sendable {
    struct Node: Sendable {
        var identity: ObjectIdentity
        var owners: [OwnerReference] = []
        /// Uids of the objects that name this one as an owner.
        var dependents: Set<String> = []
        var isBeingDeleted = false
        /// Being deleted in the foreground: waits for its dependents.
        var isDeletingDependents = false
        /// Being deleted, its dependents to be kept.
        var isOrphaningDependents = false
        /// Known only from a dependent's reference, not seen itself: it may be gone, or not have arrived yet.
        var isVirtual = false
    }

    enum Work: Sendable, Hashable {
        /// See whether the object still has an owner to live for.
        case attemptToDelete(uid: String)
        /// Take the object out of its dependents' references.
        case attemptToOrphan(uid: String)
    }

    static let foregroundFinalizer = "foregroundDeletion"
    static let orphanFinalizer = "orphan"

    private(set) var nodes: [String: Node] = [:]

    /// Whether a kind lives in namespaces: an owner of such a kind is looked for in its dependent's namespace. Nil for a kind that is not served.
    let isNamespaced: @Sendable (_ apiVersion: String, _ kind: String) -> Bool?

    init(isNamespaced: @escaping @Sendable (_ apiVersion: String, _ kind: String) -> Bool?) { self.isNamespaced = isNamespaced }

    /// An object was added or changed. Upstream: processGraphChanges for addEvent and updateEvent.
    mutating func observe(_ object: Object, apiVersion: String, kind: String) -> [Work] {
        let meta = object.metadata
        let uid = meta.uid
        guard !uid.isEmpty else { return [] }
        let owners = meta.ownerReferences
        let finalizers = meta.finalizers
        let identity = ObjectIdentity(apiVersion: apiVersion, kind: kind, namespace: meta.namespace, name: meta.name, uid: uid)
        var work: [Work] = []
        let known = nodes[uid]
        var node = known ?? Node(identity: identity)
        node.identity = identity
        node.isVirtual = false
        let oldOwners = node.owners
        node.owners = owners
        let startsDeleting = meta.isBeingDeleted && finalizers.contains(Self.foregroundFinalizer) && !node.isDeletingDependents
        let startsOrphaning = meta.isBeingDeleted && finalizers.contains(Self.orphanFinalizer) && !node.isOrphaningDependents
        node.isBeingDeleted = meta.isBeingDeleted
        node.isDeletingDependents = meta.isBeingDeleted && finalizers.contains(Self.foregroundFinalizer)
        node.isOrphaningDependents = meta.isBeingDeleted && finalizers.contains(Self.orphanFinalizer)
        nodes[uid] = node

        let oldUIDs = Set(oldOwners.map(\.uid))
        let newUIDs = Set(owners.map(\.uid))
        for owner in owners where !oldUIDs.contains(owner.uid) { work += addDependent(uid, to: owner, in: meta.namespace) }
        for owner in oldOwners {
            let current = owners.first { $0.uid == owner.uid }
            if !newUIDs.contains(owner.uid) { nodes[owner.uid]?.dependents.remove(uid) }
            // An owner that this object no longer holds back may go on with its deletion. Upstream: addUnblockedOwnersToDeleteQueue.
            let unblocked = owner.blockOwnerDeletion && !(current?.blockOwnerDeletion ?? false)
            if unblocked, nodes[owner.uid]?.isDeletingDependents ?? false { work.append(.attemptToDelete(uid: owner.uid)) }
        }
        if startsOrphaning { work.append(.attemptToOrphan(uid: uid)) }
        if startsDeleting {
            for dependent in nodes[uid]?.dependents ?? [] { work.append(.attemptToDelete(uid: dependent)) }
            work.append(.attemptToDelete(uid: uid))
        }
        return work
    }

    /// An object is gone, seen or found out by asking. Upstream: processGraphChanges for deleteEvent.
    mutating func observeDeletion(uid: String) -> [Work] {
        guard let node = nodes.removeValue(forKey: uid) else { return [] }
        var work: [Work] = node.dependents.map { .attemptToDelete(uid: $0) }
        for owner in node.owners {
            nodes[owner.uid]?.dependents.remove(uid)
            if nodes[owner.uid]?.isDeletingDependents ?? false { work.append(.attemptToDelete(uid: owner.uid)) }
            // Nobody refers to an owner that was never seen: nothing to remember of it.
            if let virtual = nodes[owner.uid], virtual.isVirtual, virtual.dependents.isEmpty { nodes[owner.uid] = nil }
        }
        return work
    }

    /// Dependents that hold their owner's foreground deletion back. Upstream: node.blockingDependents.
    func blockingDependents(of uid: String) -> [Node] {
        (nodes[uid]?.dependents ?? []).compactMap { nodes[$0] }.filter { node in
            node.owners.contains { $0.uid == uid && $0.blockOwnerDeletion }
        }
    }

    func dependents(of uid: String) -> [Node] { (nodes[uid]?.dependents ?? []).compactMap { nodes[$0] } }

    private mutating func addDependent(_ uid: String, to owner: OwnerReference, in namespace: String) -> [Work] {
        if nodes[owner.uid] != nil {
            nodes[owner.uid]?.dependents.insert(uid)
            // The owner is already on its way out: the new dependent has to follow.
            return nodes[owner.uid]?.isDeletingDependents ?? false ? [.attemptToDelete(uid: uid)] : []
        }
        let scoped = isNamespaced(owner.apiVersion, owner.kind) ?? !namespace.isEmpty
        var node = Node(
            identity: ObjectIdentity(
                apiVersion: owner.apiVersion, kind: owner.kind, namespace: scoped ? namespace : "", name: owner.name, uid: owner.uid))
        node.isVirtual = true
        node.dependents = [uid]
        nodes[owner.uid] = node
        return [.attemptToDelete(uid: owner.uid)]
    }
}
