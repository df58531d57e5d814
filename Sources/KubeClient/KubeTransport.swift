package import KubeAPI

/// A request of the Kubernetes API, in its own terms. Both transports (network, in-process) carry it; both pass every filter and all admission.
package struct KubeRequest: Sendable {
    package enum Verb: String, Sendable { case get, list, create, update, patch, delete, deletecollection, watch }

    package var verb: Verb
    package var resource: GroupVersionResource
    /// Nil for cluster-scoped resources and for all namespaces.
    package var namespace: String?
    package var name: String?
    /// `status`, `scale`, `binding`, `eviction`, `log`, …
    package var subresource: String?
    /// Query parameters: `labelSelector`, `resourceVersion`, `fieldManager`, ….
    package var query: [(name: String, value: String)]
    package var body: [UInt8]?
    /// The media type of `body`: `application/json`, or a patch type.
    package var contentType: String

    package init(
        _ verb: Verb, _ resource: GroupVersionResource, namespace: String? = nil, name: String? = nil, subresource: String? = nil,
        query: [(name: String, value: String)] = [], body: [UInt8]? = nil, contentType: String = "application/json"
    ) {
        self.verb = verb
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.subresource = subresource
        self.query = query
        self.body = body
        self.contentType = contentType
    }

    package var method: String {
        switch verb {
        case .get, .list, .watch: "GET"
        case .create: "POST"
        case .update: "PUT"
        case .patch: "PATCH"
        case .delete, .deletecollection: "DELETE"
        }
    }

    /// The URL path, for example `/apis/apps/v1/namespaces/default/deployments/web/scale`.
    package var path: String {
        var path = resource.pathPrefix
        if let namespace { path += "/namespaces/\(namespace)" }
        path += "/\(resource.resource)"
        if let name { path += "/\(name)" }
        if let subresource { path += "/\(subresource)" }
        return path
    }
}

/// One event of a watch. `object` of an error event is a Status.
package struct WatchEvent: Sendable {
    package enum Kind: String, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
        case bookmark = "BOOKMARK"
        case error = "ERROR"
    }
    package var kind: Kind
    package var object: Object

    package init(kind: Kind, object: Object) {
        self.kind = kind
        self.object = object
    }
}

/// The way from a client to an API server. Two implementations: `NetworkTransport` (HTTPS) and the API server's `InProcessTransport`.
package protocol KubeTransport: Sendable {
    /// Performs any verb but watch; the answer is the object, or a `StatusError`. Transport failures are thrown as they are (`HTTPError`).
    func perform(_ request: KubeRequest) async throws -> Object
    /// Opens a watch. Throws `StatusError` when refused (410 `Expired` when the resourceVersion is too old); the stream ends when the server ends it.
    func watch(_ request: KubeRequest) async throws -> AsyncThrowingStream<WatchEvent, any Error>
}
