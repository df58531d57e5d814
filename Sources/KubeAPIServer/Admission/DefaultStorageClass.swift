import KubeAPI

/// Claims that name no storage class get the cluster's default. Upstream: plugin/storage/storageclass/setdefault.
struct DefaultStorageClass: AdmissionPlugin {
    let name = "DefaultStorageClass"
    let reader: any ObjectReader

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.isFor(.persistentVolumeClaims, .create) else { return }
        guard attributes.object[path: "spec", "storageClassName"]?.string == nil,
            attributes.object[path: "metadata", "annotations", "volume.beta.kubernetes.io/storage-class"] == nil
        else { return }
        let defaults = reader.list(.storageClasses, namespace: nil).filter { storageClass in
            let annotations = storageClass.metadata.annotations
            return annotations["storageclass.kubernetes.io/is-default-class"] == "true"
                || annotations["storageclass.beta.kubernetes.io/is-default-class"] == "true"
        }
        // Of several the newest, then the first by name.
        let chosen = defaults.min { a, b in
            let (first, second) = (a.metadata.creationTimestamp?.microseconds ?? 0, b.metadata.creationTimestamp?.microseconds ?? 0)
            return first != second ? first > second : a.metadata.name < b.metadata.name
        }
        if let chosen { attributes.object[path: "spec", "storageClassName"] = .string(chosen.metadata.name) }
    }
}
