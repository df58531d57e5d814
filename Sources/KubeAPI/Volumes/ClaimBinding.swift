/// How claims and volumes find each other: what the binder and the scheduler must see alike.
/// Upstream: component-helpers/storage/volume (pv_helpers.go), pkg/controller/volume/persistentvolume/util.
package enum ClaimBinding {
    /// On a claim: both sides of the binding have been written once.
    package static let bindCompleted = "pv.kubernetes.io/bind-completed"
    /// On either: the binder chose it, nobody asked for the very one.
    package static let boundByController = "pv.kubernetes.io/bound-by-controller"
    /// On a volume: who made it, and ends it.
    package static let provisionedBy = "pv.kubernetes.io/provisioned-by"
    /// On a claim: who is to make a volume.
    package static let storageProvisioner = "volume.kubernetes.io/storage-provisioner"
    /// The same under its older name, which provisioners still read.
    package static let betaStorageProvisioner = "volume.beta.kubernetes.io/storage-provisioner"
    /// On a claim: the node its first pod goes to.
    package static let selectedNode = "volume.kubernetes.io/selected-node"
    /// What a class names whose volumes are made by hand.
    package static let noProvisioner = "kubernetes.io/no-provisioner"

    /// The storage class of a claim or a volume; empty: none. Upstream: GetPersistentVolumeClaimClass.
    package static func className(_ object: Object) -> String {
        object.metadata.annotations["volume.beta.kubernetes.io/storage-class"] ?? object["spec"]["storageClassName"].string ?? ""
    }

    package static func volumeName(_ claim: Object) -> String { claim["spec"]["volumeName"].string ?? "" }

    /// Whether both sides of a claim's binding stand.
    package static func isBound(_ claim: Object) -> Bool { !volumeName(claim).isEmpty && claim.metadata.annotations[bindCompleted] != nil }

    /// Whether a class leaves the choice until a pod needs it. Upstream: IsDelayBindingMode.
    package static func isDelayed(_ storageClass: Object?) -> Bool { storageClass?["volumeBindingMode"].string == "WaitForFirstConsumer" }

    /// Whether a volume is promised to this very claim. Upstream: IsVolumeBoundToClaim.
    package static func isPromised(_ volume: Object, to claim: Object) -> Bool {
        guard let reference = volume["spec"]["claimRef"], !reference.isNull else { return false }
        let meta = claim.metadata
        guard reference["name"].string == meta.name, reference["namespace"].string == meta.namespace else { return false }
        let uid = reference["uid"].string ?? ""
        return uid.isEmpty || uid == meta.uid
    }

    /// Whether somebody has a volume already, or may have it alone.
    package static func isTaken(_ volume: Object) -> Bool { volume["spec"]["claimRef"].map { !$0.isNull } ?? false }

    /// The volume promised to a claim, or else the smallest free one that will do. Upstream: FindMatchingVolume.
    /// - Parameters:
    ///   - onlyPromised: a class that waits for a pod has none chosen for it before.
    ///   - fits: whether a volume can be used where the claim is needed.
    package static func bestVolume(
        for claim: Object, among volumes: [Object], onlyPromised: Bool, fits: (Object) -> Bool = { _ in true }
    ) -> Object? {
        let spec = claim["spec"]
        let wanted = spec["resources"]["requests"]["storage"].quantity ?? .zero
        let modes = Set(spec["accessModes"].strings)
        let mode = spec["volumeMode"].string ?? "Filesystem"
        // The API server refuses selectors that cannot be read; one that slipped in selects nothing.
        let selector = spec["selector"].map { $0.isNull ? nil : (try? LabelSelector(object: $0)) ?? .nothing } ?? nil
        var best: (volume: Object, size: Quantity)?
        for volume in volumes where (volume["spec"]["volumeMode"].string ?? "Filesystem") == mode && !volume.metadata.isBeingDeleted {
            let size = volume["spec"]["capacity"]["storage"].quantity ?? .zero
            guard size >= wanted else { continue }
            if isPromised(volume, to: claim) { return fits(volume) ? volume : nil }
            guard !onlyPromised, !isTaken(volume), volume["status"]["phase"].string == "Available", className(volume) == className(claim),
                selector?.matches(volume) ?? true, modes.isSubset(of: volume["spec"]["accessModes"].strings), fits(volume)
            else { continue }
            if let best, (best.size, best.volume.metadata.name) <= (size, volume.metadata.name) { continue }
            best = (volume, size)
        }
        return best?.volume
    }
}
