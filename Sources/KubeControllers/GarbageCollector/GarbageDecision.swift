import KubeAPI

/// What an owner reference turned out to point to.
enum OwnerState: Sendable, Equatable {
    /// It exists, with the uid of the reference.
    case present
    /// It exists, and is being deleted in the foreground: it waits for its dependents.
    case waitingForDependents
    /// There is no object of that name, or it has another uid.
    case absent
    /// The kind is not served, or the reference cannot be valid (a cluster-scoped object owned by a namespaced one): nothing may be concluded.
    case unknown
}

/// How an object is deleted. Upstream: metav1.DeletionPropagation.
enum DeletionPropagation: String, Sendable {
    case background = "Background"
    case foreground = "Foreground"
    case orphan = "Orphan"
}

/// What to do with one object whose owners were looked up. Upstream: attemptToDeleteItem.
enum GarbageDecision: Sendable, Equatable {
    case keep
    /// Owners that live on hold it; the references to others go.
    case removeReferences(uids: Set<String>)
    /// All owners that are left wait for it. `unblock`: its own dependents are being deleted too, in a circle, so it must no longer hold its owners
    /// back.
    case deleteForeground(unblock: Bool)
    case delete(DeletionPropagation)

    /// - Parameters:
    ///   - dependentsDeleting: whether the object has dependents, and one of them is being deleted in the foreground.
    static func decide(
        references: [OwnerReference], states: [String: OwnerState], finalizers: [String], hasDependents: Bool, dependentsDeleting: Bool
    ) -> GarbageDecision {
        guard !references.isEmpty else { return .keep }
        let solid = references.filter { states[$0.uid] == .present }
        let waiting = references.filter { states[$0.uid] == .waitingForDependents }
        let dangling = references.filter { states[$0.uid] == .absent }
        // An owner of which nothing is known holds the object: deleting is not undone.
        let unknown = references.count - solid.count - waiting.count - dangling.count
        if unknown > 0 { return .keep }
        if !solid.isEmpty {
            let gone = Set((dangling + waiting).map(\.uid))
            return gone.isEmpty ? .keep : .removeReferences(uids: gone)
        }
        if !waiting.isEmpty, hasDependents { return .deleteForeground(unblock: dependentsDeleting) }
        if finalizers.contains(DependencyGraph.orphanFinalizer) { return .delete(.orphan) }
        if finalizers.contains(DependencyGraph.foregroundFinalizer) { return .delete(.foreground) }
        return .delete(.background)
    }
}
