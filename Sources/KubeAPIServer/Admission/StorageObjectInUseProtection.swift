import KubeAPI

/// Claims, volumes and volume attributes classes stay until nobody uses them: their protection controllers take the finalizer away. Upstream:
/// plugin/storage/storageobjectinuseprotection.
struct StorageObjectInUseProtection: AdmissionPlugin {
    let name = "StorageObjectInUseProtection"
    private static let finalizers: [GroupResource: String] = [
        .persistentVolumeClaims: "kubernetes.io/pvc-protection", .persistentVolumes: "kubernetes.io/pv-protection",
        GroupResource(group: "storage.k8s.io", resource: "volumeattributesclasses"): "kubernetes.io/vac-protection",
    ]

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.operation == .create, attributes.subresource.isEmpty,
            let finalizer = Self.finalizers[attributes.resource.groupResource]
        else { return }
        let present = attributes.object[path: "metadata", "finalizers"]?.array ?? []
        guard !present.contains(.string(finalizer)) else { return }
        attributes.object[path: "metadata", "finalizers"] = .array(present + [.string(finalizer)])
    }
}

/// Claims may only grow, when bound, and where their storage class allows it. Upstream: plugin/storage/persistentvolume/resize.
struct PersistentVolumeClaimResize: AdmissionPlugin {
    let name = "PersistentVolumeClaimResize"
    let reader: any ObjectReader

    func validate(_ attributes: AdmissionAttributes) async throws {
        guard attributes.isFor(.persistentVolumeClaims, .update), let old = attributes.oldObject else { return }
        let claim = try Object(attributes.object)
        func size(_ claim: Object) -> Quantity { claim["spec"]["resources"]["requests"]["storage"].quantity ?? .zero }
        guard size(claim) > size(old) else { return }
        guard old["status"]["phase"].string == "Bound" else { throw attributes.forbidden("Only bound persistent volume claims can be expanded") }
        let className = Self.storageClass(claim)
        guard !className.isEmpty, className == Self.storageClass(old),
            reader.get(.storageClasses, namespace: "", name: className)?["allowVolumeExpansion"].bool == true
        else {
            throw attributes.forbidden(
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize")
        }
    }

    /// Upstream: storagehelpers.GetPersistentVolumeClaimClass.
    private static func storageClass(_ claim: Object) -> String {
        claim.metadata.annotations["volume.beta.kubernetes.io/storage-class"] ?? claim["spec"]["storageClassName"].string ?? ""
    }
}
