internal import Certificates
internal import HTTPTransport
internal import KubeAPI
internal import KubeAPIServer
internal import KubeStorage

/// Puts a cluster's API server together: who may enter, what is checked, what is served.
enum ClusterAPIServer {
    static func make(_ configuration: ControlPlaneConfiguration, _ pki: ClusterPKI, store: any Store, cidr: ServiceCIDR, address: String) throws -> APIServer {
        let issuer = try ServiceAccountTokenIssuer(issuer: configuration.issuer, privateKeyPEM: pki.serviceAccountKeyPEM)
        let kubelets = KubeletClientConfiguration(identity: try pki.kubeletClient(), rootsPEM: pki.authority.certificatePEM)
        let cloud = CloudTokenAuthenticator(decide: configuration.authenticate)
        let minor = configuration.version.split(separator: ".").last.map(String.init) ?? ""
        return APIServer(
            .init(
                store: store, kubelets: kubelets, version: VersionInfo(minor: minor, gitVersion: configuration.gitVersion), serverAddress: address
            ) { reader in
                let authorization = ClusterAuthorization(reader: reader)
                let accounts = ServiceAccountTokenAuthenticator(issuer: issuer, reader: reader)
                let tokens: [any BearerTokenAuthenticator] = [accounts, cloud]
                return APIServer.Components(
                    authenticators: [ClientCertificateAuthenticator(), BearerTokenRequestAuthenticator(tokens)],
                    authorizers: [authorization.authorizer],
                    admission: AdmissionChain.standard(reader: reader, authorization: authorization),
                    strategies: StrategyTable.standard(serviceCIDR: cidr, reader: reader),
                    reviews: reviews(authorization, accounts, issuer, cloud), tokenIssuer: issuer)
            })
    }

    private static func reviews(
        _ authorization: ClusterAuthorization, _ accounts: ServiceAccountTokenAuthenticator, _ issuer: ServiceAccountTokenIssuer, _ cloud: CloudTokenAuthenticator
    ) -> [GroupResource: ReviewHandler] {
        let authorizer = authorization.authorizer
        let rbac = authorization.rbac
        func resource(_ name: String) -> GroupResource { GroupResource(group: "authorization.k8s.io", resource: name) }
        return [
            resource("subjectaccessreviews"): { review, _, _ in try AccessReviews.subjectAccessReview(review, authorizer: authorizer) },
            resource("localsubjectaccessreviews"): { review, namespace, _ in
                try AccessReviews.localSubjectAccessReview(review, namespace: namespace, authorizer: authorizer)
            },
            resource("selfsubjectaccessreviews"): { review, _, user in
                try AccessReviews.selfSubjectAccessReview(review, user: user, authorizer: authorizer)
            },
            resource("selfsubjectrulesreviews"): { review, _, user in try AccessReviews.selfSubjectRulesReview(review, user: user, rbac: rbac) },
            GroupResource(group: "authentication.k8s.io", resource: "tokenreviews"): { review, _, _ in
                try await AuthenticationReviews.tokenReview(review, serviceAccounts: accounts, issuer: issuer, others: [cloud])
            },
            GroupResource(group: "authentication.k8s.io", resource: "selfsubjectreviews"): { _, _, user in AuthenticationReviews.selfSubjectReview(user: user) },
        ]
    }
}
