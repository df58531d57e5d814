import KubeAPI

/// The volume behind a pod's claim. Upstream: desired_state_of_world_populator's createVolumeSpec with getPVCExtractPV and getPVSpec.
struct ClaimedVolume: Sendable {
    /// The volume as a pod's own would be written: its name in the pod, and its source.
    var volume: Object
    let persistent: Object
    let claim: Object
    /// Containers have the device itself, not files on it.
    let isBlock: Bool

    /// Bytes that the volume has grown to without the node's part; nil: it has not.
    var missingBytes: Int64? {
        guard let capacity = persistent["spec"]["capacity"]["storage"].quantity, let claimed = claim["status"]["capacity"]["storage"].quantity,
            claimed < capacity
        else { return nil }
        return capacity.value
    }

    /// Nil: the volume is no claim. Throws `VolumeError` for a claim that cannot be used yet, and what the reading throws.
    init?(_ volume: JSONView, pod: Pod, objects: any ReferencedObjects) async throws {
        let name = volume["name"].string ?? ""
        let claimName: String
        let isEphemeral = volume["ephemeral"].map { !$0.isNull } ?? false
        if let source = volume["persistentVolumeClaim"], !source.isNull {
            claimName = source["claimName"].string ?? ""
        } else if isEphemeral {
            claimName = "\(pod.name)-\(name)"
        } else {
            return nil
        }
        func problem(_ why: String) -> VolumeError { VolumeError("error processing PVC \(pod.namespace)/\(claimName): \(why)") }
        let claim = try await objects.persistentVolumeClaim(namespace: pod.namespace, name: claimName)
        if isEphemeral, claim.metadata.controller?.uid != pod.uid { throw problem("PVC was not created for pod (pod is not owner)") }
        guard !claim.metadata.isBeingDeleted else { throw problem("PVC is being deleted") }
        let volumeName = claim["spec"]["volumeName"].string ?? ""
        guard claim["status"]["phase"].string == "Bound", !volumeName.isEmpty else { throw problem("PVC is not bound") }
        let persistent = try await objects.persistentVolume(name: volumeName)
        guard persistent["spec"]["claimRef"]["uid"].string == claim.metadata.uid else {
            throw VolumeError("PV \(volumeName) is not bound to PVC \(pod.namespace)/\(claimName)")
        }
        let mode = persistent["spec"]["volumeMode"].string ?? "Filesystem"
        isBlock = mode == "Block"
        let list = isBlock ? "volumeMounts" : "volumeDevices"
        if pod.allContainers.contains(where: { $0.view[list].elements.contains { $0["name"].string == name } }) {
            throw VolumeError("volume \(name) has volumeMode \(mode), but is specified in \(list)")
        }
        let source = try Self.source(of: persistent)
        if isBlock, source.key == "hostPath" { throw VolumeError("no volume plugin for block volumes matched a volume of type hostPath") }
        self.volume = try Object(["name": .string(name), source.key: source.value])
        (self.persistent, self.claim) = (persistent, claim)
    }

    /// What of a PersistentVolume's spec says where it is. Upstream: core/v1 PersistentVolumeSource.
    private static func source(of volume: Object) throws -> (key: String, value: Value) {
        for key in ["local", "hostPath", "csi"] { if let source = volume["spec"][key].value, !source.isNull { return (key, source) } }
        let known = ["nfs", "iscsi", "fc", "awsElasticBlockStore", "gcePersistentDisk", "azureDisk", "azureFile", "cephfs", "rbd", "cinder"]
        let kind = known.first { volume["spec"][$0] != nil } ?? "unknown"
        throw VolumeError("persistent volumes of type \(kind) are not implemented by Eyrie yet")
    }
}
