package import KubeAPI

/// The handlers of all create-only resources, for the core to serve.
package enum Reviews {
    package static func standard(
        authorization: ClusterAuthorization, serviceAccounts: ServiceAccountTokenAuthenticator, issuer: ServiceAccountTokenIssuer,
        otherTokens: [any BearerTokenAuthenticator]
    ) -> [GroupResource: ReviewHandler] {
        func access(_ resource: String) -> GroupResource { GroupResource(group: "authorization.k8s.io", resource: resource) }
        func identity(_ resource: String) -> GroupResource { GroupResource(group: "authentication.k8s.io", resource: resource) }
        let authorizer = authorization.authorizer
        let rbac = authorization.rbac
        return [
            access("subjectaccessreviews"): { review, _, _ in try AccessReviews.subjectAccessReview(review, authorizer: authorizer) },
            access("localsubjectaccessreviews"): { review, namespace, _ in
                try AccessReviews.localSubjectAccessReview(review, namespace: namespace, authorizer: authorizer)
            },
            access("selfsubjectaccessreviews"): { review, _, user in try AccessReviews.selfSubjectAccessReview(review, user: user, authorizer: authorizer) },
            access("selfsubjectrulesreviews"): { review, _, user in try AccessReviews.selfSubjectRulesReview(review, user: user, rbac: rbac) },
            identity("tokenreviews"): { review, _, _ in
                try await AuthenticationReviews.tokenReview(review, serviceAccounts: serviceAccounts, issuer: issuer, others: otherTokens)
            },
            identity("selfsubjectreviews"): { _, _, user in AuthenticationReviews.selfSubjectReview(user: user) },
        ]
    }
}
