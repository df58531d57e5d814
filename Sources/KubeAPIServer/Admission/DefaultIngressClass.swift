import KubeAPI

/// Ingresses that name no class get the cluster's default. Upstream: plugin/network/defaultingressclass.
struct DefaultIngressClass: AdmissionPlugin {
    let name = "DefaultIngressClass"
    let reader: any ObjectReader

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.isFor(.ingresses, .create) else { return }
        guard attributes.object[path: "spec", "ingressClassName"]?.string == nil,
            attributes.object[path: "metadata", "annotations", "kubernetes.io/ingress.class"] == nil
        else { return }
        let defaults = reader.list(.ingressClasses, namespace: nil).filter {
            $0.metadata.annotations["ingressclass.kubernetes.io/is-default-class"] == "true"
        }
        // Of several the newest, then the first by name.
        let chosen = defaults.min { a, b in
            let (first, second) = (a.metadata.creationTimestamp?.microseconds ?? 0, b.metadata.creationTimestamp?.microseconds ?? 0)
            return first != second ? first > second : a.metadata.name < b.metadata.name
        }
        if let chosen { attributes.object[path: "spec", "ingressClassName"] = .string(chosen.metadata.name) }
    }
}
