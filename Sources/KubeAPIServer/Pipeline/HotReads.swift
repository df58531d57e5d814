import HTTPTransport
import KubeAPI

/// Gets and watches of built-in kinds, answered on the connection's event loop: what they need is in memory, and a task for each costs more than the
/// answer. Every decision is made by the same code as for any other request; where one cannot be made without waiting, or is not a plain yes, the
/// request goes the usual way from its beginning.
extension RequestPipeline {
    /// Nil: the usual way. Nothing was counted or changed then.
    func respondNow() -> HTTPResponse? {
        // An audit wants every step of a request noted.
        guard head.method == "GET", !head.isUpgrade, head.target.utf8.count <= Self.maximumTargetBytes, !(server.auditor?.isWanted ?? false),
            !server.isShuttingDown,
            !Impersonation.isAsked(head)
        else { return nil }
        let started = ContinuousClock.now
        let query = QueryParameters(encoded: head.query)
        // Whatever fails here fails there, too, and is told there.
        guard let info = try? RequestInfo(method: head.method, rawPath: head.path, query: query), info.verb == "get" || info.verb == "watch",
            info.isResourceRequest, info.subresource.isEmpty, let running = try? server.running(),
            let scope = running.environment.registry.scope(info.groupVersionResource), scope.custom == nil,
            let user = try? running.authentication.immediately(head, info)
        else { return nil }
        guard case .allow = Authorization.decide(info.attributes(user), running.components.authorizers),
            let form = try? AcceptedForm.negotiate(head.fields.all("Accept"), endpoint: .builtIn, isWatch: info.verb == "watch")
        else { return nil }
        let gate = RequestGate(server: server, running: running, info: info, user: user)
        let encoder = ResponseEncoder(scope: scope, form: form, query: query, metrics: server.metrics, userAgent: head.fields["User-Agent"] ?? "")
        let request = APIRequest(info: info, user: user, query: query, head: head)
        let verbs = ResourceVerbs(environment: running.environment, scope: scope, request: request)
        guard let ticket = gate.enterNow(query) else { return nil }
        defer { gate.leave(ticket) }
        guard let result = try? verbs.readNow() else { return nil }
        let warnings = Self.deprecations[scope.row.groupVersionResource].map { [$0] } ?? []
        guard var response = try? encoder.encode(APIResponse(result: result, warnings: warnings + verbs.warnings.all)) else { return nil }
        if !ticket.schemaUID.isEmpty {
            response.fields.add("X-Kubernetes-Pf-Flowschema-Uid", ticket.schemaUID)
            response.fields.add("X-Kubernetes-Pf-Prioritylevel-Uid", ticket.levelUID)
        }
        server.metrics.authenticated(.success)
        let trace = Trace()
        trace.isServed = true
        trace.deprecation = Self.deprecations[scope.row.groupVersionResource]
        return complete(response, info, query, auditID: Auditor.identifier(head), started: started, trace)
    }
}

extension ResourceVerbs {
    /// A get or a watch of a built-in kind. Throws what `perform` would.
    func readNow() throws -> APIResult {
        try checkScope()
        guard row.supports(info.verb) else { throw StatusError.methodNotSupported(scope.resource, info.verb) }
        return info.verb == "watch" ? .watch(try watch()) : .object(scope.external(try existing()), status: 200)
    }
}
