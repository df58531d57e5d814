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

    /// Nothing is to be done, ever: what upstream defaults to.
    var keepsAll: Bool { !deletesWithSet && !deletesWhenScaled }

    /// The owners that a claim is to have; nil: it has them. References of others stay.
    /// - Parameters:
    ///   - pod: the claim's, if it is there.
    ///   - isCondemned: the ordinal is beyond the set's replicas.
    func owners(of claim: Object, set: OwnerReference, pod: Object?, isCondemned: Bool) -> [OwnerReference]? {
        let current = claim.metadata.ownerReferences
        // Somebody else answers for the claim.
        if let controller = current.first(where: \.controller), !Self.isOurs(controller, set, pod) { return nil }
        var wanted = current.filter { !Self.isOurs($0, set, pod) }
        let withPod = deletesWhenScaled && isCondemned
        if withPod, let meta = pod?.metadata {
            wanted.append(OwnerReference(apiVersion: "v1", kind: "Pod", name: meta.name, uid: meta.uid))
        } else if deletesWithSet, !withPod {
            wanted.append(set)
        }
        return wanted == current ? nil : wanted
    }

    private static func isOurs(_ reference: OwnerReference, _ set: OwnerReference, _ pod: Object?) -> Bool {
        reference.uid == set.uid || (reference.kind == "Pod" && reference.name == pod?.metadata.name)
    }
}
