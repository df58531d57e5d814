import KubeAPI
import KubeClient
import Logging

/// Binds claims to volumes, makes and ends volumes of the built-in provisioner. Upstream: pkg/controller/volume/persistentvolume, and
/// pkg/controller/volume/expand for those volumes.
final class VolumeBinderController: Controller {
    let name = "persistentvolume-binder-controller"

    private enum Key: Hashable, Sendable {
        case claim(String)
        case volume(String)
    }

    private let environment: ControllerEnvironment
    private let claims: SharedInformer
    private let volumes: SharedInformer
    private let classes: SharedInformer
    private let nodes: SharedInformer
    private let drivers: SharedInformer
    private let queue: WorkQueue<Key>
    private let recorder: EventRecorder
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        claims = environment.informers.informer(for: .persistentVolumeClaims)
        volumes = environment.informers.informer(for: .persistentVolumes)
        classes = environment.informers.informer(for: .storageClasses)
        nodes = environment.informers.informer(for: .nodes)
        drivers = environment.informers.informer(for: .csiDrivers)
        queue = environment.queue("persistentvolumes", of: Key.self, backoff: .init(first: .milliseconds(20), limit: .seconds(60)))
        recorder = environment.recorder(name)
        let (queue, claimIndexer) = (queue, claims.indexer)
        claims.addHandler(
            .any { claim in
                queue.add(.claim(claim.metadata.key))
                let volume = ClaimBinding.volumeName(claim)
                if !volume.isEmpty { queue.add(.volume(volume)) }
            })
        volumes.addHandler(
            .any { volume in
                queue.add(.volume(volume.metadata.name))
                if ClaimBinding.isTaken(volume) {
                    queue.add(.claim(Self.claimKey(volume)))
                } else {
                    // Any claim that waits may take it.
                    for claim in claimIndexer.list() where !ClaimBinding.isBound(claim) { queue.add(.claim(claim.metadata.key)) }
                }
            })
        classes.addHandler(
            .any { storageClass in
                for claim in claimIndexer.list() where !ClaimBinding.isBound(claim) && ClaimBinding.className(claim) == storageClass.metadata.name {
                    queue.add(.claim(claim.metadata.key))
                }
            })
    }

    private static func claimKey(_ volume: Object) -> String {
        let reference = volume["spec"]["claimRef"]
        return "\(reference["namespace"].string ?? "")/\(reference["name"].string ?? "")"
    }

    func run() async throws {
        for informer in [claims, volumes, classes, nodes, drivers] { try await informer.waitForSync() }
        // One at a time: two claims must not be given one volume.
        await queue.run(workers: 1, logger: environment.logger) { key in
            switch key {
            case .claim(let key): try await self.syncClaim(key)
            case .volume(let name): try await self.syncVolume(name)
            }
        }
    }

    private func event(_ object: Object, _ event: JobEvent) {
        recorder.event(object, event.isWarning ? .warning : .normal, reason: event.reason, message: event.message)
    }

    /// Whether a provisioner's volumes are made here.
    private func isOurs(_ provisioner: String) -> Bool {
        environment.configuration.volumes != nil && LocalVolumes.provisioners.contains(provisioner) && drivers.indexer.get(provisioner) == nil
    }

    // MARK: Claims

    private func syncClaim(_ key: String) async throws {
        guard let claim = claims.indexer.get(key) else { return }
        let name = ClaimBinding.volumeName(claim)
        let decision = ClaimDecision(
            claim, volume: name.isEmpty ? nil : volumes.indexer.get(name), volumes: volumes.indexer.list(),
            storageClass: classes.indexer.get(ClaimBinding.className(claim)))
        switch decision {
        case .bind(let volume):
            try await bind(volume, claim)
            try await expand(volume, claim)
        case .wait(let event):
            if let event { self.event(claim, event) }
            try await setPhase("Pending", claim)
        case .provision(let storageClass):
            try await provision(storageClass, claim)
        case .lost(let reason, let message):
            guard claim["status"]["phase"].string != "Lost" else { return }
            var value = claim.value
            value[path: "status", "phase"] = "Lost"
            value[path: "status", "capacity"] = nil
            value[path: "status", "accessModes"] = nil
            try await client.updateStatus(.persistentVolumeClaims, value)
            event(claim, JobEvent(isWarning: true, reason: reason, message: message))
        }
    }

    private func setPhase(_ phase: String, _ claim: Object) async throws {
        guard claim["status"]["phase"].string != phase else { return }
        var value = claim.value
        value[path: "status", "phase"] = .string(phase)
        try await client.updateStatus(.persistentVolumeClaims, value)
    }

    /// Volume first, so that nobody else takes it; each side with its status. Upstream: bind.
    private func bind(_ volume: Object, _ claim: Object) async throws {
        let volume = try await bindVolume(volume, claim)
        var value = claim.value
        let volumeName = volume.metadata.name
        if !ClaimBinding.isBound(claim) {
            if ClaimBinding.volumeName(claim).isEmpty {
                value[path: "spec", "volumeName"] = .string(volumeName)
                value[path: "metadata", "annotations", ClaimBinding.boundByController] = "yes"
            }
            value[path: "metadata", "annotations", ClaimBinding.bindCompleted] = "yes"
            value = try await client.update(.persistentVolumeClaims, value).value
        }
        guard claim["status"]["phase"].string != "Bound" else { return }
        value[path: "status", "phase"] = "Bound"
        value[path: "status", "accessModes"] = volume["spec"]["accessModes"].value
        value[path: "status", "capacity"] = volume["spec"]["capacity"].value
        try await client.updateStatus(.persistentVolumeClaims, value)
    }

    private func bindVolume(_ volume: Object, _ claim: Object) async throws -> Object {
        var volume = volume
        if volume["spec"]["claimRef"]["uid"].string != claim.metadata.uid {
            var value = volume.value
            if !ClaimBinding.isTaken(volume) { value[path: "metadata", "annotations", ClaimBinding.boundByController] = "yes" }
            value[path: "spec", "claimRef"] = LocalVolumes.reference(to: claim)
            volume = try await client.update(.persistentVolumes, value)
        }
        return try await setPhase("Bound", volume: volume)
    }

    private func setPhase(_ phase: String, volume: Object, message: String? = nil) async throws -> Object {
        guard volume["status"]["phase"].string != phase || (message != nil && volume["status"]["message"].string != message) else { return volume }
        var value = volume.value
        value[path: "status", "phase"] = .string(phase)
        value[path: "status", "message"] = message.map { .string($0) }
        return try await client.updateStatus(.persistentVolumes, value)
    }

    /// A claim that asks for more than its volume has gets it: a folder at once, a disk when its node has taken notice.
    /// Upstream: the expand controller.
    private func expand(_ volume: Object, _ claim: Object) async throws {
        guard ClaimBinding.isBound(claim), claim["status"]["phase"].string == "Bound",
            let wanted = claim["spec"]["resources"]["requests"]["storage"].quantity
        else { return }
        guard let provisioner = volume.metadata.annotations[ClaimBinding.provisionedBy], isOurs(provisioner) else {
            if volume["spec"]["csi"] != nil, wanted > claim["status"]["capacity"]["storage"].quantity ?? .zero,
                wanted > volume["spec"]["capacity"]["storage"].quantity ?? .zero
            {
                event(claim, JobEvent(reason: "ExternalExpanding", message: "waiting for an external controller to expand this PVC"))
            }
            return
        }
        let size: Value = .string(wanted.description)
        guard wanted > claim["status"]["capacity"]["storage"].quantity ?? .zero, let store = environment.configuration.volumes else { return }
        let isNodes = try await store.expand(volume.metadata.name, wanted.value)
        if wanted > volume["spec"]["capacity"]["storage"].quantity ?? .zero {
            var value = volume.value
            value[path: "spec", "capacity", "storage"] = size
            try await client.update(.persistentVolumes, value)
        }
        guard !isNodes else {
            guard !LocalVolumes.isAwaitingNode(claim) else { return }
            try await client.updateStatus(.persistentVolumeClaims, LocalVolumes.awaitingNode(claim, now: .now))
            return event(claim, JobEvent(reason: "FileSystemResizeRequired", message: "Require file system resize of volume on node"))
        }
        var value = claim.value
        value[path: "status", "capacity", "storage"] = size
        try await client.updateStatus(.persistentVolumeClaims, value)
        event(
            claim,
            JobEvent(reason: "FileSystemResizeSuccessful", message: "MountVolume.NodeExpandVolume succeeded for volume \"\(volume.metadata.name)\""))
    }

    /// Upstream: provisionClaim.
    private func provision(_ storageClass: Object, _ claim: Object) async throws {
        let provisioner = storageClass["provisioner"].string ?? ""
        var claim = claim
        if claim.metadata.annotations[ClaimBinding.storageProvisioner] != provisioner {
            var value = claim.value
            value[path: "metadata", "annotations", ClaimBinding.storageProvisioner] = .string(provisioner)
            value[path: "metadata", "annotations", ClaimBinding.betaStorageProvisioner] = .string(provisioner)
            claim = try await client.update(.persistentVolumeClaims, value)
        }
        guard let store = environment.configuration.volumes, isOurs(provisioner) else {
            event(
                claim,
                JobEvent(
                    reason: "ExternalProvisioning",
                    message: "Waiting for a volume to be created either by the external provisioner '\(provisioner)' or manually by the system "
                        + "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."))
            return try await setPhase("Pending", claim)
        }
        if let problem = LocalVolumes.problem(claim) {
            event(claim, JobEvent(isWarning: true, reason: "ProvisioningFailed", message: problem))
            return try await setPhase("Pending", claim)
        }
        let node = claim.metadata.annotations[ClaimBinding.selectedNode].flatMap { nodes.indexer.get($0) }
        let name = LocalVolumes.name(for: claim)
        do {
            let path = try await store.create(name, LocalVolumes.kind(for: claim))
            try await client.create(
                .persistentVolumes, LocalVolumes.volume(for: claim, storageClass, path: path, zone: node?.metadata.labels[LocalVolumes.zone]))
        } catch let error as StatusError where error.isAlreadyExists {
            // Made before: its event brings the claim here again.
            return
        } catch {
            let text = (error as? StatusError)?.message ?? "\(error)"
            event(
                claim,
                JobEvent(
                    isWarning: true, reason: "ProvisioningFailed",
                    message: "failed to provision volume with StorageClass \"\(storageClass.metadata.name)\": \(text)"))
            throw error
        }
        event(claim, JobEvent(reason: "ProvisioningSucceeded", message: "Successfully provisioned volume \(name) using \(provisioner)"))
    }

    // MARK: Volumes

    private func syncVolume(_ name: String) async throws {
        guard let volume = volumes.indexer.get(name) else { return }
        var claim = ClaimBinding.isTaken(volume) ? claims.indexer.get(Self.claimKey(volume)) : nil
        if ClaimBinding.isTaken(volume), claim == nil {
            // The cache may be behind: data must not be lost by that.
            let reference = volume["spec"]["claimRef"]
            do {
                claim = try await client.get(
                    .persistentVolumeClaims, namespace: reference["namespace"].string ?? "", name: reference["name"].string ?? "")
            } catch let error as StatusError where error.isNotFound {}
        }
        switch VolumeDecision(volume, claim: claim) {
        case .phase(let phase): _ = try await setPhase(phase, volume: volume)
        case .claim: queue.add(.claim(Self.claimKey(volume)))
        case .unbind:
            var value = volume.value
            if volume.metadata.annotations[ClaimBinding.boundByController] != nil {
                value[path: "spec", "claimRef"] = nil
                value[path: "metadata", "annotations", ClaimBinding.boundByController] = nil
            } else {
                value[path: "spec", "claimRef", "uid"] = nil
                value[path: "spec", "claimRef", "resourceVersion"] = nil
            }
            try await client.update(.persistentVolumes, value)
        case .release: try await reclaim(volume)
        }
    }

    /// Upstream: reclaimVolume.
    private func reclaim(_ volume: Object) async throws {
        let phase = volume["status"]["phase"].string ?? ""
        var volume = volume
        if phase != "Released", phase != "Failed" { volume = try await setPhase("Released", volume: volume) }
        switch volume["spec"]["persistentVolumeReclaimPolicy"].string {
        case "Delete":
            guard let provisioner = volume.metadata.annotations[ClaimBinding.provisionedBy], isOurs(provisioner),
                let store = environment.configuration.volumes
            else { return }
            do {
                try await store.remove(volume.metadata.name)
            } catch {
                _ = try await setPhase("Failed", volume: volume, message: "\(error)")
                event(volume, JobEvent(isWarning: true, reason: "VolumeFailedDelete", message: "\(error)"))
                throw error
            }
            do { try await client.delete(.persistentVolumes, name: volume.metadata.name) } catch let error as StatusError where error.isNotFound {}
        case "Recycle":
            event(volume, JobEvent(isWarning: true, reason: "VolumeFailedRecycle", message: "recycling volumes is not implemented by Eyrie"))
        default: break
        }
    }
}
