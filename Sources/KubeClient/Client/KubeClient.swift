package import KubeAPI

/// A client of the Kubernetes API, by resource. Every function throws `StatusError` for the server's refusals and the transport's own errors
/// otherwise.
/// Upstream: client-go's dynamic client.
package struct KubeClient: Sendable {
    /// Objects asked for in one page of a list. Upstream: pager.defaultPageSize.
    static let pageSize = 500

    package let transport: any KubeTransport
    /// Named in `metadata.managedFields` as the writer; nil leaves it to the server.
    package var fieldManager: String?

    package init(transport: any KubeTransport, fieldManager: String? = nil) {
        self.transport = transport
        self.fieldManager = fieldManager
    }

    private var writeQuery: [(name: String, value: String)] { fieldManager.map { [("fieldManager", $0)] } ?? [] }

    /// Reads one object, or its subresource.
    package func get(_ resource: GroupVersionResource, namespace: String? = nil, name: String, subresource: String? = nil) async throws -> Object {
        try await transport.perform(KubeRequest(.get, resource, namespace: namespace, name: name, subresource: subresource))
    }

    /// Reads all pages of a list. A list whose continuation has expired is begun again, whole.
    package func list(_ resource: GroupVersionResource, namespace: String? = nil, options: ListOptions = ListOptions()) async throws -> ObjectList {
        var whole = try await listPage(resource, namespace: namespace, options: options, limit: Self.pageSize, continueToken: nil)
        while !whole.continueToken.isEmpty {
            do {
                let page = try await listPage(
                    resource, namespace: namespace, options: options, limit: Self.pageSize, continueToken: whole.continueToken)
                whole.items += page.items
                whole.continueToken = page.continueToken
                whole.resourceVersion = page.resourceVersion
            } catch let error as StatusError where error.isExpired {
                return try await listPage(resource, namespace: namespace, options: options, limit: nil, continueToken: nil)
            }
        }
        return whole
    }

    /// Reads one page of a list.
    package func listPage(
        _ resource: GroupVersionResource, namespace: String? = nil, options: ListOptions = ListOptions(), limit: Int?, continueToken: String?
    ) async throws -> ObjectList {
        var options = options
        // A continue token holds the revision of its list; naming another is an error.
        if continueToken != nil {
            options.resourceVersion = nil
            options.resourceVersionMatch = nil
        }
        var query = options.query
        if let limit { query.append(("limit", String(limit))) }
        if let continueToken { query.append(("continue", continueToken)) }
        return try ObjectList(list: try await transport.perform(KubeRequest(.list, resource, namespace: namespace, query: query)))
    }

    /// Opens a watch from `options.resourceVersion` on.
    package func watch(
        _ resource: GroupVersionResource, namespace: String? = nil, options: ListOptions = ListOptions(), timeoutSeconds: Int? = nil
    ) async throws -> AsyncThrowingStream<WatchEvent, any Error> {
        var query = options.query
        query.append(("watch", "true"))
        query.append(("allowWatchBookmarks", "true"))
        if let timeoutSeconds { query.append(("timeoutSeconds", String(timeoutSeconds))) }
        return try await transport.watch(KubeRequest(.watch, resource, namespace: namespace, query: query))
    }

    /// Creates an object; its namespace is taken from its metadata unless given. With `subresource` and `name`, creates that (`binding`, `eviction`,
    /// `token`).
    @discardableResult
    package func create(
        _ resource: GroupVersionResource, namespace: String? = nil, _ object: Value, name: String? = nil, subresource: String? = nil
    ) async throws -> Object {
        let inObject = object[path: "metadata", "namespace"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        return try await transport.perform(
            KubeRequest(
                .create, resource, namespace: namespace ?? inObject, name: name, subresource: subresource, query: writeQuery, body: object.jsonBytes))
    }

    /// Replaces an object (or its subresource); name and namespace are its metadata's. Its resourceVersion, if set, must be the current one.
    @discardableResult
    package func update(_ resource: GroupVersionResource, _ object: Value, subresource: String? = nil) async throws -> Object {
        let metadata = object["metadata"]
        let namespace = metadata?["namespace"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        return try await transport.perform(
            KubeRequest(
                .update, resource, namespace: namespace, name: metadata?["name"]?.string ?? "", subresource: subresource, query: writeQuery,
                body: object.jsonBytes))
    }

    /// Replaces an object's status; everything else in `object` is ignored by the server.
    @discardableResult
    package func updateStatus(_ resource: GroupVersionResource, _ object: Value) async throws -> Object {
        try await update(resource, object, subresource: "status")
    }

    /// Patches an object or its subresource. `force` takes over fields of other appliers (apply patches only).
    @discardableResult
    package func patch(
        _ resource: GroupVersionResource, namespace: String? = nil, name: String, type: PatchType, _ patch: Value, subresource: String? = nil,
        force: Bool = false
    ) async throws -> Object {
        var query = writeQuery
        if force { query.append(("force", "true")) }
        return try await transport.perform(
            KubeRequest(
                .patch, resource, namespace: namespace, name: name, subresource: subresource, query: query, body: patch.jsonBytes,
                contentType: type.rawValue))
    }

    /// Deletes an object. The answer is the object when it lives on for a while (finalizers, a grace period), else a Status of success.
    @discardableResult
    package func delete(
        _ resource: GroupVersionResource, namespace: String? = nil, name: String, options: DeleteOptions = DeleteOptions()
    ) async throws -> Object {
        try await transport.perform(KubeRequest(.delete, resource, namespace: namespace, name: name, body: options.value.jsonBytes))
    }

    /// Deletes all objects that `selecting` names.
    @discardableResult
    package func deleteCollection(
        _ resource: GroupVersionResource, namespace: String? = nil, selecting: ListOptions = ListOptions(), options: DeleteOptions = DeleteOptions()
    ) async throws -> Object {
        try await transport.perform(
            KubeRequest(.deletecollection, resource, namespace: namespace, query: selecting.query, body: options.value.jsonBytes))
    }
}
