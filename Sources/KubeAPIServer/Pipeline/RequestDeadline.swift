import KubeAPI

/// How long a request may take. Upstream: genericapiserver/filters.WithRequestDeadline.
enum RequestDeadline {
    /// Upstream: --request-timeout.
    static let standard = Duration.seconds(60)

    /// What the query's `timeout` asks for, at most the server's own; the server's when it asks for nothing or for none. Throws 400 for a text that
    /// is no duration.
    static func of(_ query: QueryParameters) throws -> Duration {
        guard let text = query["timeout"], !text.isEmpty else { return standard }
        guard let asked = GoDuration.parse(text) else {
            throw StatusError.badRequest("invalid timeout specified in the request URL - time: invalid duration \(text.goQuoted)")
        }
        return asked <= .zero ? standard : min(asked, standard)
    }
}
