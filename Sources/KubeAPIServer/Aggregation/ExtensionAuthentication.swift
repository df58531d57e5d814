import KubeAPI

/// The ConfigMap by which extension servers learn whom to believe: clients' certificates by one CA, this server's word about users by another.
/// Upstream: clusterauthenticationtrust.Controller.
enum ExtensionAuthentication {
    static let namespace = "kube-system"
    static let name = "extension-apiserver-authentication"

    /// Nil when there is nobody to be believed.
    static func configMap(_ configuration: AggregationConfiguration) -> Value? {
        var data = Members()
        if let pem = configuration.clientAuthorityPEM { data["client-ca-file"] = .string(pem) }
        if let pem = configuration.authorityPEM {
            data["requestheader-allowed-names"] = .string(Value([configuration.commonName]).jsonString)
            data["requestheader-client-ca-file"] = .string(pem)
            data["requestheader-extra-headers-prefix"] = "[\"X-Remote-Extra-\"]"
            data["requestheader-group-headers"] = "[\"X-Remote-Group\"]"
            data["requestheader-uid-headers"] = "[\"X-Remote-Uid\"]"
            data["requestheader-username-headers"] = "[\"X-Remote-User\"]"
        }
        guard !data.isEmpty else { return nil }
        return [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "data": .object(data),
        ]
    }
}
