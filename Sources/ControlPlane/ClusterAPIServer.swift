internal import HTTPTransport
internal import KubeAPI
internal import KubeAPIServer
internal import KubeStorage

/// Puts a cluster's API server together: its version, its keys, who is believed.
enum ClusterAPIServer {
    static func make(_ configuration: ControlPlaneConfiguration, _ pki: ClusterPKI, store: any Store, cidr: ServiceCIDR, address: String) throws
        -> APIServer
    {
        let book = configuration.access
        var settings = ClusterSettings(
            serviceCIDR: cidr, tokenIssuer: try ServiceAccountTokenIssuer(issuer: configuration.issuer, privateKeyPEM: pki.serviceAccountKeyPEM),
            bearerAuthenticators: [CloudTokenAuthenticator(decide: configuration.authenticate), IdentityProviderAuthenticator(book: book)],
            authorizers: { _ in [AccessPolicyAuthorizer(book: book)] })
        // A stock cluster believes the same proxies: those with a certificate of the CA of its own, by the name that is published.
        var front = RequestHeaderAuthenticator.Configuration(clientCAPEM: pki.frontProxyAuthority.certificatePEM)
        front.allowedNames = [ClusterPKI.frontProxyName]
        settings.requestHeader = try RequestHeaderAuthenticator(front)
        settings.tokenWebhooks = configuration.webhooks.tokens.map { [$0] } ?? []
        settings.authorizationWebhooks = configuration.webhooks.authorization.map { [$0] } ?? []
        let (fargate, identity) = (configuration.fargate, configuration.workloadIdentity)
        settings.mutators = { reader in
            // As EKS's webhooks follow one another, by their names.
            let first: [any AdmissionPlugin] = [FargateAdmission(book: fargate, reader: reader)]
            return first + (identity.map { [WorkloadIdentityAdmission(identity: $0, reader: reader)] } ?? [])
        }
        let minor = configuration.version.split(separator: ".").dropFirst().first.map(String.init) ?? ""
        var server = APIServer.Configuration(
            store: store, kubelets: KubeletClientConfiguration(identity: try pki.kubeletClient(), rootsPEM: pki.bundlePEM),
            version: VersionInfo(minor: minor, gitVersion: configuration.gitVersion), serverAddress: address,
            audit: audit(configuration)
        ) { [settings] in APIServer.Components.standard(settings, reader: $0) }
        server.proxyAddresses = ProxyAddressPolicy(refused: Set(configuration.privateAddresses + [configuration.publicHost]))
        server.aggregation = AggregationConfiguration(
            identity: try pki.frontProxyClient(), authorityPEM: pki.frontProxyAuthority.certificatePEM,
            clientAuthorityPEM: pki.bundlePEM)
        if let seats = configuration.seats { (server.readOnlyInFlight, server.mutatingInFlight) = (seats - seats / 3, seats / 3) }
        if let logs = configuration.logs { server.logger = logs.logger("eyrie.apiserver", .api) }
        return APIServer(server)
    }

    /// A file where one is wanted; else the log that the cluster's user may switch on, by EKS's policy.
    private static func audit(_ configuration: ControlPlaneConfiguration) -> AuditConfiguration? {
        if let policy = configuration.auditPolicy {
            return AuditConfiguration(policy: policy, sink: FileAuditSink(path: "\(configuration.directory)/audit.log"))
        }
        return configuration.logs.map { logs in
            AuditConfiguration(policy: .eksDefault, sink: AuditLogSink(logs: logs), isWanted: { logs.isOn(.audit) })
        }
    }
}
