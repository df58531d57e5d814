package import HTTPTransport
package import KubeAPI

/// How a webhook is reached and known. Upstream: webhook.ClientConfig; the same form in admissionregistration's and apiextensions'
/// WebhookClientConfig.
package struct WebhookClientConfiguration: Sendable, Hashable {
    /// Where it is.
    package enum Target: Sendable, Hashable {
        /// `https://host[:port]/path`; `http` only where a file of the operator's says so.
        case url(String)
        case service(namespace: String, name: String, port: Int, path: String)
    }

    package var target: Target
    /// The CAs of its certificate in PEM; nil trusts the system's.
    package var rootsPEM: String?
    /// What is shown when it asks for a client certificate.
    package var identity: TLSIdentity?

    package init(target: Target, rootsPEM: String? = nil, identity: TLSIdentity? = nil) {
        self.target = target
        self.rootsPEM = rootsPEM
        self.identity = identity
    }

    /// Reads the `clientConfig` of a webhook configuration or of a CustomResourceDefinition's conversion; validation has seen it.
    package init(_ view: JSONView?) {
        if let url = view["url"].string {
            target = .url(url)
        } else {
            let service = view["service"]
            let port = service["port"].int.flatMap { Int(exactly: $0) } ?? 443
            target = .service(
                namespace: service["namespace"].string ?? "", name: service["name"].string ?? "", port: port, path: service["path"].string ?? "")
        }
        let bundle = view["caBundle"].string ?? ""
        rootsPEM = bundle.isEmpty ? nil : Base64.decode(bundle).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// The URL as errors name it: for services the name their certificate is for.
    var shownURL: String {
        switch target {
        case .url(let url): return url
        case .service(let namespace, let name, let port, let path):
            let rest = path.hasPrefix("/") || path.isEmpty ? path : "/\(path)"
            return "https://\(name).\(namespace).svc:\(port)\(rest)"
        }
    }
}
