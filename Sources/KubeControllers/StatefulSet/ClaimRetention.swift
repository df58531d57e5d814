import KubeAPI

/// What becomes of a StatefulSet's claims: they go with the set, or with a pod that scaling took away, by owner references that the garbage collector
/// follows. Upstream: apps/v1 StatefulSetPersistentVolumeClaimRetentionPolicy, updateClaimOwnerRefForSetAndPod in stateful_set_utils.go.
struct ClaimRetention: Sendable, Equatable {
    var deletesWithSet: Bool
    var deletesWhenScaled: Bool

    init(_ view: JSONView?) {
        deletesWithSet = view["whenDeleted"].string == "Delete"
        deletesWhenScaled = view["whenScaled"].string == "Delete"
    }

    /// Whether a claim still goes with an earlier pod of that name, so that the next has to wait until it is gone.
    /// Upstream: PodClaimIsStale in stateful_pod_control.go.
    func isStale(_ claim: Object, pod name: String) -> Bool {
        deletesWhenScaled && claim.metadata.ownerReferences.contains { Self.isPod($0, name) }
    }

    /// The owners that a claim is to have; nil: it has them, or goes with an owner of that name that is gone. References of others stay, and where
    /// the policy keeps claims, ours go: what was to be deleted under an earlier policy is not any more.
    /// - Parameters:
    ///   - pod: the claim's, if it is there.
    ///   - isCondemned: the ordinal is beyond the set's replicas.
    func owners(of claim: Object, set: OwnerReference, pod: Object?, isCondemned: Bool) -> [OwnerReference]? {
        let current = claim.metadata.ownerReferences
        // What an earlier set or pod of the name was promised is not taken back. Upstream: hasStaleOwnerRef.
        let isPromised = current.contains { reference in
            reference.kind == set.kind && reference.name == set.name && reference.uid != set.uid
                || pod.map { Self.isPod(reference, $0.metadata.name) && reference.uid != $0.metadata.uid } ?? false
        }
        if isPromised { return nil }
        func isOurs(_ reference: OwnerReference) -> Bool { reference.uid == set.uid || reference.uid == pod?.metadata.uid }
        var wanted = current.filter { !isOurs($0) }
        // Somebody else answers for the claim: ours only go.
        if current.contains(where: { $0.controller && !isOurs($0) }) { return wanted == current ? nil : wanted }
        let withPod = deletesWhenScaled && isCondemned
        if withPod, let meta = pod?.metadata {
            wanted.append(OwnerReference(apiVersion: "v1", kind: "Pod", name: meta.name, uid: meta.uid))
        } else if deletesWithSet, !withPod {
            wanted.append(set)
        }
        return wanted == current ? nil : wanted
    }

    private static func isPod(_ reference: OwnerReference, _ name: String) -> Bool { reference.kind == "Pod" && reference.name == name }
}
