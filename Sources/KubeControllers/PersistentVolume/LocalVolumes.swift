internal import KubeAPI

/// Where volumes of the built-in provisioner live: folders on the host, which all machines see. What a zone's disks are on AWS.
package struct VolumeStore: Sendable {
    /// Makes the folder of a volume and gives its path.
    package var create: @Sendable (_ name: String) async throws -> String
    /// Removes it with all that is in it.
    package var remove: @Sendable (_ name: String) async throws -> Void

    package init(create: @escaping @Sendable (String) async throws -> String, remove: @escaping @Sendable (String) async throws -> Void) {
        self.create = create
        self.remove = remove
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
        if claim["spec"]["volumeMode"].string == "Block" { return "block volumes are not implemented by Eyrie yet" }
        if let source = claim["spec"]["dataSource"], !source.isNull { return "volumes from snapshots and clones are not implemented by Eyrie yet" }
        let modes = Set(claim["spec"]["accessModes"].strings).subtracting(["ReadWriteOnce", "ReadWriteOncePod"])
        return modes.isEmpty
            ? nil : "access modes of EBS volumes are ReadWriteOnce and ReadWriteOncePod, not \(modes.sorted().joined(separator: ", "))"
    }

    /// The volume in `path` for a claim, bound to it from its beginning.
    /// - Parameter zone: of the node that the claim's pod goes to; nil: of any.
    static func volume(for claim: Object, _ storageClass: Object, path: String, zone: String?) -> Value {
        let spec = claim["spec"]
        let size = spec["resources"]["requests"]["storage"].value ?? "1Gi"
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
                "capacity": ["storage": size], "accessModes": spec["accessModes"].value ?? ["ReadWriteOnce"], "volumeMode": "Filesystem",
                "persistentVolumeReclaimPolicy": storageClass["reclaimPolicy"].value ?? "Delete",
                "storageClassName": .string(storageClass.metadata.name), "local": ["path": .string(path)],
                "nodeAffinity": ["required": ["nodeSelectorTerms": [term]]], "claimRef": reference(to: claim),
            ],
        ]
        if let options = storageClass["mountOptions"].value, !options.isBlank { volume[path: "spec", "mountOptions"] = options }
        return volume
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
