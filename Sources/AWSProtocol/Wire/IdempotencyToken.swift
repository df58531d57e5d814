/// What a `clientRequestToken` stood for: kept beside the resource it made. Upstream: EKS API, "clientRequestToken".
package struct IdempotencyToken: Codable, Sendable, Equatable {
    package var token: String
    /// SHA-256 of the request's parameters without the token.
    package var parameters: String
    /// Seconds since 1970.
    package var createdAt: Double

    /// How long a token is remembered.
    package static let lifetime: Double = 86_400

    package init(token: String, parameters: AWSJSON, createdAt: Double) {
        self.token = token
        var members = parameters.objectValue ?? [:]
        members["clientRequestToken"] = nil
        self.parameters = CanonicalRequest.hash(of: AWSJSON.object(members).encoded)
        self.createdAt = createdAt
    }

    package enum Answer: Sendable, Equatable {
        /// Another token, or one forgotten: the request is a new one.
        case new
        /// The same request again: answer as before.
        case replay
        /// The same token with other parameters.
        case conflict
    }

    /// How a later request compares.
    package func answer(to later: IdempotencyToken) -> Answer {
        guard token == later.token, later.createdAt < createdAt + IdempotencyToken.lifetime else { return .new }
        return parameters == later.parameters ? .replay : .conflict
    }
}
