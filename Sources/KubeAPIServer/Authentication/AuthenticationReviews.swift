package import KubeAPI

/// The create-only resources of authentication.k8s.io. Upstream: pkg/registry/authentication.
package enum AuthenticationReviews {
    /// `tokenreviews`: whose a token is. `serviceAccounts` judges audiences; other kinds of tokens are for the API server alone. Throws
    /// `StatusError` BadRequest.
    package static func tokenReview(
        _ review: Object, serviceAccounts: ServiceAccountTokenAuthenticator, issuer: ServiceAccountTokenIssuer, others: [any BearerTokenAuthenticator]
    ) async throws -> Value {
        let token = review["spec"]["token"].string ?? ""
        guard !token.isEmpty else { throw StatusError.badRequest("token is required for TokenReview in authentication") }
        let asked = review["spec"]["audiences"].strings
        let audiences = asked.isEmpty ? issuer.audiences : asked
        var status: Value = ["authenticated": false]
        do {
            if let (user, accepted) = try serviceAccounts.user(of: token, audiences: audiences) {
                status = accepted.isEmpty ? status : authenticated(user, audiences: accepted)
            } else if !audiences.contains(where: issuer.audiences.contains) {
                status["error"] = "[invalid bearer token, token audiences do not include \(quotedList(audiences))]"
            } else {
                for authenticator in others {
                    guard let user = try await authenticator.authenticate(token: token) else { continue }
                    status = authenticated(user, audiences: audiences.filter(issuer.audiences.contains))
                    break
                }
            }
        } catch let error as StatusError where error.code == 401 {
            status["error"] = "invalid bearer token"
        }
        var answer = review.value
        answer["apiVersion"] = "authentication.k8s.io/v1"
        answer["kind"] = "TokenReview"
        if answer["metadata"] == nil { answer["metadata"] = [:] }
        answer["status"] = status
        return answer
    }

    /// `selfsubjectreviews`: who the asking user is.
    package static func selfSubjectReview(user: UserInfo) -> Value {
        [
            "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": ["creationTimestamp": .string(Timestamp.now.rfc3339)],
            "status": ["userInfo": value(user)],
        ]
    }

    private static func authenticated(_ user: UserInfo, audiences: [String]) -> Value {
        var user = user
        if !user.groups.contains(UserInfo.allAuthenticated) { user.groups.append(UserInfo.allAuthenticated) }
        var status: Value = ["authenticated": true, "user": value(user)]
        if !audiences.isEmpty { status["audiences"] = Value(audiences) }
        return status
    }

    /// Upstream: authenticationv1.UserInfo.
    static func value(_ user: UserInfo) -> Value {
        var value: Value = ["username": .string(user.name)]
        if !user.uid.isEmpty { value["uid"] = .string(user.uid) }
        if !user.groups.isEmpty { value["groups"] = Value(user.groups) }
        if !user.extra.isEmpty { value["extra"] = .object(Members(user.extra.sorted { $0.key < $1.key }.map { ($0.key, Value($0.value)) })) }
        return value
    }
}
