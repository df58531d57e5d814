import HTTPTransport
import KubeAPI

/// What a cluster decides about its API server; all else is as upstream's defaults.
package struct ClusterSettings: Sendable {
    /// The range of Service addresses.
    package var serviceCIDR: ServiceCIDR
    /// Signs service accounts' tokens.
    package var tokenIssuer: ServiceAccountTokenIssuer
    /// Tokens beside service accounts': EKS's.
    package var bearerAuthenticators: [any BearerTokenAuthenticator]
    /// Identity providers whose tokens are accepted: EKS's associated ones.
    package var identityProviders: [OIDCConfiguration] = []
    /// Services that are asked whose a token is when nobody else knows it.
    package var tokenWebhooks: [WebhookTokenAuthenticator.Configuration] = []
    /// Asked when nobody else has an opinion.
    package var authorizationWebhooks: [WebhookAuthorizer.Configuration] = []
    /// A proxy in front that names users in headers. Nil: none is believed.
    package var requestHeader: RequestHeaderAuthenticator?
    /// Asked after the Node authoriser and before RBAC: EKS access policies.
    package var authorizers: @Sendable (any ObjectReader) -> [any Authorizer]

    /// Admission of the cloud's own, in the place of its mutating webhooks: before those of the cluster's users.
    package var mutators: @Sendable (any ObjectReader) -> [any AdmissionPlugin] = { _ in [] }

    package init(
        serviceCIDR: ServiceCIDR, tokenIssuer: ServiceAccountTokenIssuer, bearerAuthenticators: [any BearerTokenAuthenticator] = [],
        authorizers: @escaping @Sendable (any ObjectReader) -> [any Authorizer] = { _ in [] }
    ) {
        self.serviceCIDR = serviceCIDR
        self.tokenIssuer = tokenIssuer
        self.bearerAuthenticators = bearerAuthenticators
        self.authorizers = authorizers
    }
}

extension APIServer.Components {
    /// The parts of a cluster's API server: client certificates and bearer tokens, `system:masters`, Node and RBAC, the default admission plug-ins,
    /// the strategies of the kinds that have code, the reviews. Upstream: the defaults of kube-apiserver's options.
    package static func standard(_ settings: ClusterSettings, reader: any ObjectReader) -> APIServer.Components {
        let authorization = ClusterAuthorization(reader: reader, extra: settings.authorizers(reader))
        let serviceAccounts = ServiceAccountTokenAuthenticator(issuer: settings.tokenIssuer, reader: reader)
        let webhooks = WebhookClient(resolver: ServiceResolver(reader: reader))
        // Webhooks last: nobody's token is told to others that somebody here knows.
        let others: [any BearerTokenAuthenticator] =
            [BootstrapTokenAuthenticator(reader: reader)] + settings.identityProviders.map { OIDCAuthenticator($0) } + settings.bearerAuthenticators
            + settings.tokenWebhooks.map { WebhookTokenAuthenticator($0, client: webhooks) }
        let bearer = BearerTokenRequestAuthenticator([serviceAccounts] + others)
        let remote = settings.authorizationWebhooks.map { WebhookAuthorizer($0, client: webhooks) }
        let front = settings.requestHeader
        let certificates = ClientCertificateAuthenticator(excludedRoots: front?.roots ?? [])
        let authenticators: [any RequestAuthenticator] = (front.map { [$0] } ?? []) + [certificates, bearer]
        return APIServer.Components(
            authenticators: authenticators, authorizers: [authorization.authorizer],
            admission: AdmissionChain.standard(
                reader: reader, authorization: authorization, webhooks: webhooks, mutators: settings.mutators(reader)),
            strategies: StrategyTable.standard(serviceCIDR: settings.serviceCIDR, reader: reader),
            reviews: reviews(settings, authorization, remote, serviceAccounts, others), tokenIssuer: settings.tokenIssuer,
            paths: [IssuerDocuments(issuer: settings.tokenIssuer)], remoteAuthorizers: remote)
    }

    private static func reviews(
        _ settings: ClusterSettings, _ authorization: ClusterAuthorization, _ remote: [any RemoteAuthorizer],
        _ serviceAccounts: ServiceAccountTokenAuthenticator, _ others: [any BearerTokenAuthenticator]
    ) -> [GroupResource: ReviewHandler] {
        func authentication(_ name: String) -> GroupResource { GroupResource(group: "authentication.k8s.io", resource: name) }
        func authorizationResource(_ name: String) -> GroupResource { GroupResource(group: "authorization.k8s.io", resource: name) }
        let access = AccessReviews(authorizers: [authorization.authorizer], remote: remote)
        let rbac = authorization.rbac
        let issuer = settings.tokenIssuer
        return [
            authentication("tokenreviews"): { review, _, _ in
                try await AuthenticationReviews.tokenReview(review, serviceAccounts: serviceAccounts, issuer: issuer, others: others)
            },
            authentication("selfsubjectreviews"): { _, _, user in AuthenticationReviews.selfSubjectReview(user: user) },
            authorizationResource("subjectaccessreviews"): { review, _, _ in try await access.subjectAccessReview(review) },
            authorizationResource("localsubjectaccessreviews"): { review, namespace, _ in
                try await access.localSubjectAccessReview(review, namespace: namespace)
            },
            authorizationResource("selfsubjectaccessreviews"): { review, _, user in try await access.selfSubjectAccessReview(review, user: user) },
            authorizationResource("selfsubjectrulesreviews"): { review, _, user in
                try AccessReviews.selfSubjectRulesReview(review, user: user, rbac: rbac)
            },
        ]
    }
}

extension APIServer {
    /// Writes the default objects that are missing, as the API server itself, then reports ready. Throws the first error of a write.
    package func bootstrap(_ configuration: Bootstrap.Configuration) async throws {
        let client = InProcessTransport(self, user: .apiServer)
        var configuration = configuration
        configuration.aggregation = self.configuration.aggregation
        try await Bootstrap.reconcile(configuration) { try await client.perform($0) }
        beginMaintenance()
        markReady()
    }
}

/// The documents by which others verify service accounts' tokens. Upstream: routes.OpenIDMetadataServer.
struct IssuerDocuments: PathResponder {
    let issuer: ServiceAccountTokenIssuer

    func respond(to head: HTTPRequestHead, path: String, user: UserInfo) -> HTTPResponse? {
        let fields: (String) -> HTTPFields = { ["Cache-Control": "public, max-age=3600", "Content-Type": $0] }
        switch path {
        case "/.well-known/openid-configuration":
            return HTTPResponse(status: 200, fields: fields("application/json"), body: .bytes(issuer.openIDConfiguration().jsonBytes))
        case "/openid/v1/jwks": return HTTPResponse(status: 200, fields: fields("application/jwk-set+json"), body: .bytes(issuer.jwks.jsonBytes))
        default: return nil
        }
    }
}
