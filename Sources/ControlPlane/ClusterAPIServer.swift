internal import HTTPTransport
internal import KubeAPI
internal import KubeAPIServer
internal import KubeStorage

/// Puts a cluster's API server together: its version, its keys, who is believed.
enum ClusterAPIServer {
    static func make(_ configuration: ControlPlaneConfiguration, _ pki: ClusterPKI, store: any Store, cidr: ServiceCIDR, address: String) throws
        -> APIServer
    {
        let settings = ClusterSettings(
            serviceCIDR: cidr, tokenIssuer: try ServiceAccountTokenIssuer(issuer: configuration.issuer, privateKeyPEM: pki.serviceAccountKeyPEM),
            bearerAuthenticators: [CloudTokenAuthenticator(decide: configuration.authenticate)])
        let minor = configuration.version.split(separator: ".").dropFirst().first.map(String.init) ?? ""
        return APIServer(
            .init(
                store: store, kubelets: KubeletClientConfiguration(identity: try pki.kubeletClient(), rootsPEM: pki.authority.certificatePEM),
                version: VersionInfo(minor: minor, gitVersion: configuration.gitVersion), serverAddress: address
            ) { APIServer.Components.standard(settings, reader: $0) })
    }
}
