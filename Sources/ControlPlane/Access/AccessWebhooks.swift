internal import KubeAPI
internal import HTTPTransport
internal import KubeAPIServer

/// Services outside that are asked whose a token is and what a user may do, of all clusters of the service; EKS has no such setting. Each is named by a
/// file in the form of a kubeconfig, as kube-apiserver's flags --authentication-token-webhook-config-file and --authorization-webhook-config-file take it.
package struct AccessWebhooks: Sendable {
    var tokens: WebhookTokenAuthenticator.Configuration?
    var authorization: WebhookAuthorizer.Configuration?

    package init() {}

    /// Reads the files' texts; `read` gives the text of the files they name. Throws `AccessWebhookError` for one that names no service.
    package init(tokenFile: String?, authorizationFile: String?, read: (String) -> String?) throws {
        tokens = try tokenFile.map { .init(service: try Self.service($0, read)) }
        authorization = try authorizationFile.map { .init(service: try Self.service($0, read)) }
    }

    /// The service of the current context. Upstream: clientcmd by webhook.LoadKubeconfig.
    private static func service(_ text: String, _ read: (String) -> String?) throws -> WebhookClientConfiguration {
        guard let json = try? YAMLDecoder.decode(Array(text.utf8)).json, let root = try? JSONDocument(json).root else {
            throw AccessWebhookError("it is no YAML")
        }
        func named(_ list: String, _ member: String, _ name: String?) -> JSONView? {
            root[list].elements.first { $0["name"].string == name }?[member]
        }
        guard let context = named("contexts", "context", root["current-context"].string) else {
            throw AccessWebhookError("its current-context names no context")
        }
        guard let cluster = named("clusters", "cluster", context["cluster"].string), let server = cluster["server"].string, !server.isEmpty else {
            throw AccessWebhookError("its context names no cluster with a server")
        }
        guard cluster["insecure-skip-tls-verify"].bool != true else { throw AccessWebhookError("insecure-skip-tls-verify is not supported") }
        let user = named("users", "user", context["user"].string)
        guard user?["token"].string == nil, user?["exec"].string == nil, user?["username"].string == nil else {
            throw AccessWebhookError("of its user only a client certificate is supported")
        }
        let certificate = try data(user, "client-certificate", read)
        let key = try data(user, "client-key", read)
        guard (certificate == nil) == (key == nil) else { throw AccessWebhookError("a client certificate needs its key, and a key its certificate") }
        var identity: TLSIdentity?
        if let certificate, let key { identity = TLSIdentity(certificateChainPEM: certificate, privateKeyPEM: key) }
        return WebhookClientConfiguration(target: .url(server), rootsPEM: try data(cluster, "certificate-authority", read), identity: identity)
    }

    /// What stands in `NAME-data`, or in the file that `NAME` names.
    private static func data(_ view: JSONView?, _ name: String, _ read: (String) -> String?) throws -> String? {
        if let encoded = view["\(name)-data"].string, !encoded.isEmpty {
            guard let bytes = Base64.decode(encoded) else { throw AccessWebhookError("its \(name)-data is no Base64") }
            return String(decoding: bytes, as: UTF8.self)
        }
        guard let path = view[name].string, !path.isEmpty else { return nil }
        guard let text = read(path) else { throw AccessWebhookError("\(path) cannot be read") }
        return text
    }
}

/// Why a file names no service.
package struct AccessWebhookError: Error, CustomStringConvertible {
    package var description: String
    init(_ description: String) { self.description = description }
}
