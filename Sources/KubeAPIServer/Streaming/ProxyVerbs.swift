import HTTPTransport
import KubeAPI

extension ResourceVerbs {
    /// `pods/NAME/proxy/PATH`, `services/NAME/proxy/PATH` and `nodes/NAME/proxy/PATH`, with any method. Upstream: the ProxyREST of each.
    func proxy() async throws -> APIResult {
        guard let head = request.head else { throw StatusError.badRequest("\(row.resource)/proxy needs a connection") }
        guard let place = proxyPath(head) else {
            // A page at a path without slash would resolve its links one step too high. Upstream: proxyRedirectsforRootPath.
            let query = head.query.isEmpty ? "" : "?\(head.query)"
            return .response(HTTPResponse(status: 301, fields: ["Location": "\(head.path)/\(query)"]))
        }
        if row.resource == "nodes", head.isUpgrade { try authorizeNodeUpgrade() }
        try await admitConnect(options: ["path": .string(PercentEncoding.decode(place.path) ?? place.path)])
        let target = head.query.isEmpty ? place.path : "\(place.path)?\(head.query)"
        var backend: BackendProxy
        switch row.resource {
        case "pods": backend = try self.backend(try podLocation(info.name), head, target)
        case "services": backend = try self.backend(try serviceLocation(info.name), head, target)
        default: backend = try nodeBackend(head, target)
        }
        backend.pathPrefix = place.prefix
        return .response(try await backend.respond())
    }

    /// The part of the request's path that is the backend's, as it was sent, and the part before it; nil when a page is read without a slash after
    /// `proxy`.
    private func proxyPath(_ head: HTTPRequestHead) -> (prefix: String, path: String)? {
        let pieces = head.path.split(separator: "/", omittingEmptySubsequences: false)
        // "", "api", "v1", ("namespaces", NAMESPACE,) RESOURCE, NAME, "proxy".
        let count = row.namespaced ? 8 : 6
        guard pieces.count > count else { return ["GET", "HEAD"].contains(head.method) ? nil : (String(head.path), "/") }
        return (pieces[..<count].joined(separator: "/"), "/" + pieces[count...].joined(separator: "/"))
    }

    private func backend(_ location: ProxyLocation, _ head: HTTPRequestHead, _ target: String) throws -> BackendProxy {
        let client = try environment.proxies.client(for: location.address, isTLS: location.isTLS)
        var backend = BackendProxy(client: client, head: head, body: request.stream, target: target)
        backend.backendAuthority = location.authority
        return backend
    }

    /// The kubelet itself, or another port of its node. Upstream: node.ResourceLocation.
    private func nodeBackend(_ head: HTTPRequestHead, _ target: String) throws -> BackendProxy {
        guard let wanted = ProxyName(info.name) else { throw StatusError.badRequest("invalid node request \(info.name.goQuoted)") }
        guard let node = reader.get(.nodes, namespace: "", name: wanted.name) else { throw StatusError.notFound(.nodes, wanted.name) }
        let kubelet = try connections().address(of: node)
        if wanted.port.isEmpty || wanted.port == String(kubelet.port) {
            var backend = BackendProxy(client: try connections().client(for: node), head: head, body: request.stream, target: target)
            backend.backendAuthority = HTTPAddress.tcp(host: kubelet.host, port: kubelet.port).description
            // Whoever holds a node must not send the API server's clients elsewhere (CVE-2020-8559).
            backend.rejectsRedirects = true
            return backend
        }
        let port = try Self.portNumber(wanted.port)
        return try backend(ProxyLocation(address: .tcp(host: kubelet.host, port: port), isTLS: wanted.scheme == "https"), head, target)
    }

    /// An upgrade through `nodes/proxy` may be an exec, whatever its method: a right to read must not run commands. Upstream: KEP-2862 tells apart
    /// what the kubelet is asked for.
    private func authorizeNodeUpgrade() throws {
        var info = info
        info.verb = "create"
        try Authorization.require(info.attributes(request.user), environment.authorizers)
    }

    /// Admission of a connection. `options` without kind, as the path and the query say them. Upstream: handlers.ConnectResource.
    func admitConnect(options: Value) async throws {
        let kind = row.subresource(info.subresource)?.kind ?? row.groupVersionKind
        var object: Value = ["kind": .string(kind.kind), "apiVersion": .string(kind.apiVersion)]
        for (key, value) in options.object ?? Members() where value != "" { object[key] = value }
        var attributes = admissionAttributes(.connect, object, old: nil, name: info.name, kind: kind, dryRun: false)
        try await admit(&attributes)
        warnings.add(attributes.warnings)
        attributes.warnings = []
        try await validateAdmission(attributes)
    }
}
