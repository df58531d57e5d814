import KubeAPI

/// What a request is about, told from its method and path alone. Upstream: request.RequestInfo and its RequestInfoFactory.
struct RequestInfo: Sendable, Equatable {
    /// False for `/healthz`, `/version`, `/apis/apps/v1`, …; then only `path` and `verb` (the lower-case method) mean something.
    var isResourceRequest = false
    var path: String
    var verb: String
    var apiGroup = ""
    var apiVersion = ""
    /// Empty for cluster-scoped resources and for all namespaces.
    var namespace = ""
    var resource = ""
    var subresource = ""
    var name = ""
    /// The query's `fieldSelector` as it was sent: the Node authoriser reads it.
    var fieldSelector = ""
    var labelSelector = ""
    /// What follows the subresource, as in `nodes/x/proxy/stats/summary`, without a slash in front.
    var rest = ""
    /// The watch was asked for by the old path form (`/api/v1/watch/pods`), not by `watch=true`.
    var isWatchPath = false

    var groupVersionResource: GroupVersionResource { GroupVersionResource(group: apiGroup, version: apiVersion, resource: resource) }
    var groupResource: GroupResource { GroupResource(group: apiGroup, resource: resource) }

    /// Subresources of a namespace, which are not resources in it.
    private static let namespaceSubresources: Set<String> = ["status", "finalize"]

    /// Reads a request. Nil for a path no resource or handler can have: empty segments, `.` and `..`, encoded slashes, bad percent-encoding.
    /// Throws 400 for a resource path that breaks off after the verb of its old form (`/api/v1/watch`).
    init?(method: String, rawPath: Substring, query: QueryParameters) throws {
        guard let segments = Self.segments(of: rawPath) else { return nil }
        path = "/" + segments.joined(separator: "/")
        verb = method.lowercased()
        guard let prefix = segments.first, prefix == "api" || prefix == "apis" else { return }
        var parts = Array(segments.dropFirst())
        // /api/VERSION/RESOURCE and /apis/GROUP/VERSION/RESOURCE are the shortest resource paths.
        guard parts.count >= (prefix == "api" ? 2 : 3) else { return }
        if prefix == "apis" { apiGroup = parts.removeFirst() }
        apiVersion = parts.removeFirst()
        isResourceRequest = true
        if parts[0] == "watch" {
            guard parts.count >= 2 else { throw StatusError.badRequest("unable to determine kind and namespace from url, \(path)") }
            verb = "watch"
            isWatchPath = true
            parts.removeFirst()
        } else {
            verb =
                switch method {
                case "POST": "create"
                case "GET", "HEAD": "get"
                case "PUT": "update"
                case "PATCH": "patch"
                case "DELETE": "delete"
                default: ""
                }
        }
        if parts[0] == "namespaces", parts.count > 1 {
            namespace = parts[1]
            if parts.count > 2, !Self.namespaceSubresources.contains(parts[2]) { parts.removeFirst(2) }
        }
        resource = parts[0]
        if parts.count >= 2 { name = parts[1] }
        if parts.count >= 3, !isWatchPath { subresource = parts[2] }
        if parts.count >= 4 { rest = parts[3...].joined(separator: "/") }
        if name.isEmpty {
            if verb == "get" { verb = query.flag("watch") ? "watch" : "list" }
            if verb == "delete" { verb = "deletecollection" }
        }
        guard verb == "list" || verb == "watch" || verb == "deletecollection" else { return }
        fieldSelector = query["fieldSelector"] ?? ""
        labelSelector = query["labelSelector"] ?? ""
        if verb == "list" || verb == "watch" || verb == "deletecollection", name.isEmpty, let selected = Self.nameSelected(query["fieldSelector"]) {
            name = selected
        }
    }

    /// The request of a client in this process.
    init(verb: String, resource: GroupVersionResource, namespace: String, name: String, subresource: String) {
        isResourceRequest = true
        path = ""
        self.verb = verb
        apiGroup = resource.group
        apiVersion = resource.version
        self.resource = resource.resource
        self.name = name
        self.subresource = subresource
        // As the path of a namespace reads: its name is its namespace too.
        self.namespace = resource.group.isEmpty && resource.resource == "namespaces" ? name : namespace
    }

    /// Requests that may last: no timeout, not counted as in flight. Upstream: genericfilters.BasicLongRunningRequestCheck.
    var isLongRunning: Bool { verb == "watch" || ["proxy", "exec", "attach", "portforward", "log"].contains(subresource) }

    /// Decoded path segments. A slash at the end is allowed, as `/apis/` is asked for by clients.
    private static func segments(of path: Substring) -> [String]? {
        guard path.first == "/" else { return nil }
        var raw = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        if raw.last?.isEmpty == true { raw.removeLast() }
        var segments: [String] = []
        segments.reserveCapacity(raw.count)
        for part in raw {
            guard !part.isEmpty, let text = PercentEncoding.decode(part), !text.contains("/"), text != ".", text != "..", !text.utf8.contains(0)
            else {
                return nil
            }
            segments.append(text)
        }
        return segments
    }

    /// The name a field selector pins (`metadata.name=x`): authorisation by name then applies. Upstream: RequestInfoFactory.NewRequestInfo.
    static func nameSelected(_ selector: String?) -> String? {
        guard let selector else { return nil }
        for term in selector.split(separator: ",") {
            guard term.hasPrefix("metadata.name="), !term.contains("!=") else { continue }
            let value = term.dropFirst("metadata.name=".count).drop { $0 == "=" }
            guard !value.isEmpty, !value.contains("/"), value != ".", value != "..", !value.contains("\\") else { return nil }
            return String(value)
        }
        return nil
    }
}
