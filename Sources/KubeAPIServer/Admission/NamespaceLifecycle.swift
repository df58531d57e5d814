import KubeAPI

/// Refuses objects in namespaces that are missing or going, and the deletion of the namespaces a cluster needs. Upstream: plugin/namespace/lifecycle.
struct NamespaceLifecycle: AdmissionPlugin {
    let name = "NamespaceLifecycle"
    let reader: any ObjectReader
    /// Upstream: the immortal namespaces of lifecycle.NewLifecycle.
    private static let immortal: Set<String> = ["default", "kube-system", "kube-public"]

    func admit(_ attributes: inout AdmissionAttributes) async throws { try check(attributes) }

    private func check(_ attributes: AdmissionAttributes) throws {
        let isNamespace = attributes.resource.groupResource == .namespaces
        if isNamespace {
            if attributes.operation == .delete, Self.immortal.contains(attributes.name) {
                throw attributes.forbidden("this namespace may not be deleted")
            }
            return
        }
        guard !attributes.namespace.isEmpty, attributes.operation == .create || attributes.operation == .update else { return }
        // Questions about access are no content: they may be asked about any namespace.
        guard attributes.resource.group != AccessReviews.group else { return }
        guard let namespace = reader.get(.namespaces, namespace: "", name: attributes.namespace) else {
            throw StatusError.notFound(.namespaces, attributes.namespace)
        }
        guard attributes.operation == .create, namespace.metadata.isBeingDeleted || namespace["status"]["phase"].string == "Terminating" else {
            return
        }
        var error = attributes.forbidden("unable to create new content in namespace \(attributes.namespace) because it is being terminated")
        error.details?.causes = [
            StatusError.Cause(
                reason: "NamespaceTerminating", message: "namespace \(attributes.namespace) is being terminated", field: "metadata.namespace")
        ]
        throw error
    }
}
