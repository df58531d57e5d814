import KubeAPI

/// What the binder does for a claim. Upstream: syncClaim in pkg/controller/volume/persistentvolume/pv_controller.go.
enum ClaimDecision: Sendable {
    /// Both sides are written, or written to their end.
    case bind(Object)
    /// The claim waits; the event says for what.
    case wait(JobEvent?)
    /// A volume is to be made for it.
    case provision(storageClass: Object)
    /// Its volume is gone, or somebody else's.
    case lost(reason: String, message: String)

    /// - Parameters:
    ///   - volume: the volume that the claim names, if the cache has it.
    ///   - volumes: all there are.
    init(_ claim: Object, volume: Object?, volumes: [Object], storageClass: Object?) {
        let name = ClaimBinding.volumeName(claim)
        if claim.metadata.annotations[ClaimBinding.bindCompleted] != nil {
            self = Self.bound(claim, name, volume)
        } else if name.isEmpty {
            self = Self.unbound(claim, volumes, storageClass)
        } else if let volume {
            self =
                ClaimBinding.isTaken(volume) && !ClaimBinding.isPromised(volume, to: claim)
                ? .wait(JobEvent(isWarning: true, reason: "FailedBinding", message: "volume \"\(name)\" already bound to a different claim."))
                : .bind(volume)
        } else {
            // The user named a volume that may come yet.
            self = .wait(nil)
        }
    }

    /// Upstream: syncBoundClaim.
    private static func bound(_ claim: Object, _ name: String, _ volume: Object?) -> ClaimDecision {
        guard !name.isEmpty else {
            return .lost(reason: "ClaimLost", message: "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")
        }
        guard let volume else { return .lost(reason: "ClaimLost", message: "Bound claim has lost its PersistentVolume. Data on the volume is lost!") }
        if !ClaimBinding.isTaken(volume) || ClaimBinding.isPromised(volume, to: claim) { return .bind(volume) }
        return .lost(reason: "ClaimMisbound", message: "Two claims are bound to the same volume, this one is bound incorrectly")
    }

    /// Upstream: syncUnboundClaim.
    private static func unbound(_ claim: Object, _ volumes: [Object], _ storageClass: Object?) -> ClaimDecision {
        let waits = ClaimBinding.isDelayed(storageClass) && claim.metadata.annotations[ClaimBinding.selectedNode] == nil
        let delayed = ClaimBinding.isDelayed(storageClass)
        if let volume = ClaimBinding.bestVolume(for: claim, among: volumes, onlyPromised: delayed) { return .bind(volume) }
        if waits {
            return .wait(JobEvent(reason: "WaitForFirstConsumer", message: "waiting for first consumer to be created before binding"))
        }
        let name = ClaimBinding.className(claim)
        guard !name.isEmpty else {
            return .wait(
                JobEvent(reason: "FailedBinding", message: "no persistent volumes available for this claim and no storage class is set"))
        }
        guard let storageClass else {
            return .wait(
                JobEvent(isWarning: true, reason: "ProvisioningFailed", message: "storageclass.storage.k8s.io \"\(name)\" not found"))
        }
        guard storageClass["provisioner"].string != ClaimBinding.noProvisioner else {
            return .wait(
                JobEvent(isWarning: true, reason: "ProvisioningFailed", message: "no volume plugin matched name: \(ClaimBinding.noProvisioner)"))
        }
        return .provision(storageClass: storageClass)
    }
}

/// What the binder does for a volume. Upstream: syncVolume.
enum VolumeDecision: Sendable, Equatable {
    case phase(String)
    /// Its claim is to be looked at: only one side of the binding stands.
    case claim
    /// The volume is nobody's any more: it is kept, or ended where it was made for a claim.
    case release
    /// Promised to a claim that got another one: it is free again.
    case unbind

    init(_ volume: Object, claim: Object?) {
        guard ClaimBinding.isTaken(volume) else {
            self = .phase("Available")
            return
        }
        let uid = volume["spec"]["claimRef"]["uid"].string ?? ""
        // Promised by name, to whoever comes.
        guard !uid.isEmpty else {
            self = .phase("Available")
            return
        }
        guard let claim, claim.metadata.uid == uid else {
            self = .release
            return
        }
        let name = ClaimBinding.volumeName(claim)
        if name == volume.metadata.name {
            self = .phase("Bound")
        } else if name.isEmpty {
            self = .claim
        } else {
            self =
                volume.metadata.annotations[ClaimBinding.provisionedBy] != nil && volume["spec"]["persistentVolumeReclaimPolicy"].string == "Delete"
                ? .release : .unbind
        }
    }
}
