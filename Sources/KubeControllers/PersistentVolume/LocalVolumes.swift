internal import KubeAPI

/// Where volumes of the built-in provisioner live: folders on the host, which all machines see. What a zone's disks are on AWS.
package struct VolumeStore: Sendable {
    /// What a volume is to be.
    package enum Kind: Sendable, Equatable {
        /// Files, so many bytes of them where the host can tell.
        case filesystem(bytes: Int64)
        /// A block device of so many bytes.
        case block(bytes: Int64)
    }

    /// Makes a volume and gives its path: of a folder, or of a file that nodes make a device, and format. One that is there is taken.
    package var create: @Sendable (_ name: String, Kind) async throws -> String
    /// Gives a volume more bytes; returns whether nodes must take notice.
    package var expand: @Sendable (_ name: String, _ bytes: Int64) async throws -> Bool
    /// Removes it with all that is in it.
    package var remove: @Sendable (_ name: String) async throws -> Void

    package init(
        create: @escaping @Sendable (String, Kind) async throws -> String, expand: @escaping @Sendable (String, Int64) async throws -> Bool,
        remove: @escaping @Sendable (String) async throws -> Void
    ) {
        (self.create, self.expand, self.remove) = (create, expand, remove)
    }
}

/// Makes the volumes that a cluster on AWS has from EBS, as `local` volumes of the zone of the claim's first pod. It steps back where a driver of
/// that name is installed. Upstream: provisionClaimOperation; on EKS, the EBS CSI driver.
enum LocalVolumes {
    /// The names under which storage classes ask for EBS: the driver's, Auto Mode's and the one before CSI.
    static let provisioners: Set<String> = ["ebs.csi.aws.com", "ebs.csi.eks.amazonaws.com", "kubernetes.io/aws-ebs"]
    static let zone = "topology.kubernetes.io/zone"

    static func name(for claim: Object) -> String { "pvc-\(claim.metadata.uid)" }

    /// Why no volume can be made for a claim; nil: one can.
    static func problem(_ claim: Object) -> String? {
        if let source = claim["spec"]["dataSource"], !source.isNull { return "volumes from snapshots and clones are not implemented by Eyrie yet" }
        let modes = Set(claim["spec"]["accessModes"].strings).subtracting(["ReadWriteOnce", "ReadWriteOncePod"])
        return modes.isEmpty
            ? nil : "access modes of EBS volumes are ReadWriteOnce and ReadWriteOncePod, not \(modes.sorted().joined(separator: ", "))"
    }

    private static let defaultSize = Quantity(1 << 30, .binarySI)

    private static func size(_ claim: Object) -> Quantity { claim["spec"]["resources"]["requests"]["storage"].quantity ?? defaultSize }

    /// What is to be made for a claim.
    static func kind(for claim: Object) -> VolumeStore.Kind {
        let bytes = size(claim).value
        return claim["spec"]["volumeMode"].string == "Block" ? .block(bytes: bytes) : .filesystem(bytes: bytes)
    }

    /// The volume in `path` for a claim, bound to it from its beginning.
    /// - Parameter zone: of the node that the claim's pod goes to; nil: of any.
    static func volume(for claim: Object, _ storageClass: Object, path: String, zone: String?) -> Value {
        let spec = claim["spec"]
        let term: Value =
            zone.map { ["matchExpressions": [["key": .string(Self.zone), "operator": "In", "values": [.string($0)]]]] }
            ?? ["matchExpressions": [["key": "kubernetes.io/os", "operator": "In", "values": ["linux"]]]]
        var volume: Value = [
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": [
                "name": .string(name(for: claim)),
                "annotations": [ClaimBinding.provisionedBy: storageClass["provisioner"].value ?? "", "pv.kubernetes.io/bound-by-controller": "yes"],
            ],
            "spec": [
                "capacity": ["storage": .string(size(claim).description)], "accessModes": spec["accessModes"].value ?? ["ReadWriteOnce"],
                "volumeMode": spec["volumeMode"].value ?? "Filesystem",
                "persistentVolumeReclaimPolicy": storageClass["reclaimPolicy"].value ?? "Delete",
                "storageClassName": .string(storageClass.metadata.name), "local": ["path": .string(path)],
                "nodeAffinity": ["required": ["nodeSelectorTerms": [term]]], "claimRef": reference(to: claim),
            ],
        ]
        if let options = storageClass["mountOptions"].value, !options.isBlank { volume[path: "spec", "mountOptions"] = options }
        return volume
    }

    /// The claim whose volume has grown, while the nodes have yet to take notice. Upstream: external-resizer's markForPendingNodeExpansion.
    static func awaitingNode(_ claim: Object, now: Timestamp) -> Value {
        var value = claim.value
        let others = claim["status"]["conditions"].elements.filter { !["Resizing", "FileSystemResizePending"].contains($0["type"].string) }
        let pending: Value = [
            "type": "FileSystemResizePending", "status": "True", "lastTransitionTime": .string(now.rfc3339),
            "message": "Waiting for user to (re-)start a pod to finish file system resize of volume on node.",
        ]
        value[path: "status", "conditions"] = .array(others.map(\.value) + [pending])
        value[path: "status", "allocatedResourceStatuses", "storage"] = "NodeResizePending"
        return value
    }

    static func isAwaitingNode(_ claim: Object) -> Bool {
        claim["status"]["conditions"].elements.contains { $0["type"].string == "FileSystemResizePending" && $0["status"].string == "True" }
    }

    /// `spec.claimRef` of a volume.
    static func reference(to claim: Object) -> Value {
        let meta = claim.metadata
        return [
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": .string(meta.name), "namespace": .string(meta.namespace),
            "uid": .string(meta.uid), "resourceVersion": .string(meta.resourceVersion),
        ]
    }
}
